"""A turn by Anthropic's Messages against the same turn by qpty's own stream: first text, and the end.

*first text* and *end of turn* are those of `serving`; the end here is `message_stop`, which waits until the
conversation is remembered, so that the next request finds it. Both sessions are of one server and go on turn by turn;
the client sends its whole conversation each time, as these clients do.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.bench._machine import full_or
from tests.bench._terminals import BenchmarkError, delays, percentile
from tests.bench.serving import MESSAGE, served_turn, server

if TYPE_CHECKING:
    import http.client

TURNS: Final = full_or(150, 10)


def client_turn(connection: http.client.HTTPConnection, conversation: list[dict[str, Any]]) -> tuple[float, float]:
    """Milliseconds to the first text, and from the last word to the end; the answer is put into the conversation."""
    conversation.append({"role": "user", "content": MESSAGE})
    body = json.dumps({"model": "auto", "max_tokens": 100_000, "stream": True, "messages": conversation})
    began = time.monotonic_ns()
    connection.request("POST", "/v1/messages", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    first = arrived = 0
    text = ""
    while line := response.readline():
        if not line.startswith(b"data: "):
            continue
        arrived = time.monotonic_ns()
        data = json.loads(line[6:])
        if data["type"] == "content_block_delta":
            first = first or arrived
            text += data["delta"]["text"]
        elif data["type"] == "message_stop":
            response.read()
            conversation.append({"role": "assistant", "content": text})
            return (first - began) / 1e6, delays([(arrived, text)])[0]
    raise BenchmarkError(None)


def main() -> None:
    """Print both, and what the interface adds."""
    own: list[tuple[float, float]] = []
    clients: list[tuple[float, float]] = []
    with (
        tempfile.TemporaryDirectory(prefix="qpty-bench-") as scratch,
        server(Path(scratch) / "served") as connection,
    ):
        connection.request("POST", "/api/v1/sessions")
        session_id = json.load(connection.getresponse())["session_id"]
        conversation: list[dict[str, Any]] = []
        served_turn(connection, session_id)  # each starts its terminal
        client_turn(connection, conversation)
        for _ in range(TURNS):
            own.append(served_turn(connection, session_id))
            clients.append(client_turn(connection, conversation))
        connection.request("GET", "/api/v1/sessions")
        sessions = json.load(connection.getresponse())["sessions"]
    print(f"{TURNS} turns; the client's conversation has {len(conversation)} messages; {len(sessions)} sessions in all")
    print(f"{'ms':24}{'p50':>9}{'p90':>9}{'p99':>9}{'longest':>9}")
    for place, what in enumerate(("first text", "end of turn")):
        rows = {
            "own stream": sorted(figures[place] for figures in own),
            "messages": sorted(figures[place] for figures in clients),
        }
        for name, values in rows.items():
            figures = "".join(f"{percentile(values, point):9.2f}" for point in (50, 90, 99))
            print(f"{what + ', ' + name:24}{figures}{values[-1]:9.2f}")
        added = percentile(rows["messages"], 50) - percentile(rows["own stream"], 50)
        print(f"{what}: Messages adds {added:.2f} ms at p50")


if __name__ == "__main__":
    main()
