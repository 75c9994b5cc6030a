"""A whole turn over HTTP against driving the same program's bare terminal: first text, and the end of the turn.

*first text* is from the message's sending (the request; the paste and Enter) to the arrival of the first word.
*end of turn* is from the writing of the last word to the arrival of its end: `turn.completed`, which waits for the
program's record and is on the disk before it is sent, or the bare terminal's next prompt. The server is a process of
its own, as it always is; the client and the bare reader do nothing but read. Turns alternate.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tests.bench._machine import full_or
from tests.bench._terminals import PROGRAM, BareTerminal, BenchmarkError, delays, percentile, typist

if TYPE_CHECKING:
    from collections.abc import Iterator

TURNS: Final = full_or(400, 20)
WORDS: Final = 15
PERIOD: Final = 4000
"""Microseconds between two words."""

MESSAGE: Final = f"type {WORDS} {PERIOD}"
MEDIAN_TARGET: Final = 5.0
P99_TARGET: Final = 25.0
"""Milliseconds that the server may add."""

PROMPT: Final = b"\x1b[?2004h"


def bare_turn(terminal: BareTerminal) -> tuple[float, float]:
    """Milliseconds to the first word, and from the last one to the prompt."""
    began = time.monotonic_ns()
    terminal.type(MESSAGE)
    first = 0
    text = ""
    while True:
        data = terminal.read()
        arrived = time.monotonic_ns()
        if not data:
            raise BenchmarkError(None)
        text += data.decode("utf-8", "replace")
        if not first and delays([(arrived, text)]):
            first = arrived
        if PROMPT in data:
            break
    return (first - began) / 1e6, delays([(arrived, text)])[0]


def served_turn(connection: http.client.HTTPConnection, session_id: str) -> tuple[float, float]:
    """The same over HTTP, as server-sent events."""
    body = json.dumps({"message": MESSAGE, "session_id": session_id})
    began = time.monotonic_ns()
    connection.request("POST", "/api/v1/chat/stream", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    first = 0
    kind = b""
    while line := response.readline():
        arrived = time.monotonic_ns()
        if line.startswith(b"event: "):
            kind = line[7:].strip()
        elif line.startswith(b"data: "):
            if kind == b"message.delta" and not first:
                first = arrived
            elif kind == b"turn.completed":
                text = json.loads(line[6:])["text"]
                response.read()
                return (first - began) / 1e6, delays([(arrived, text)])[0]
            elif kind == b"turn.failed":
                raise BenchmarkError(None)
    raise BenchmarkError(None)


@contextmanager
def server(directory: Path) -> Iterator[http.client.HTTPConnection]:
    """A connection to a server."""
    directory.mkdir()
    command = [sys.executable, "-m", "tests.bench._served", str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        address = urlsplit(process.stdout.readline().decode().strip())
        assert address.hostname is not None
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        try:
            yield connection
        finally:
            connection.close()
            process.communicate()


def main() -> None:
    """Print both, and what the server adds."""
    bare: list[tuple[float, float]] = []
    served: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="qpty-bench-") as scratch:
        work = Path(scratch)
        typist(work / "bare")
        with server(work / "served") as connection, BareTerminal(PROGRAM, directory=work / "bare") as terminal:
            terminal.read_to(b"\x1b[2C")
            connection.request("POST", "/api/v1/sessions")
            session_id = json.load(connection.getresponse())["session_id"]
            served_turn(connection, session_id)  # starts the terminal
            for _ in range(TURNS):
                bare.append(bare_turn(terminal))
                served.append(served_turn(connection, session_id))
    print(f"{TURNS} turns of {WORDS} words each, {PERIOD / 1000:g} ms apart")
    print(f"{'ms':24}{'p50':>9}{'p90':>9}{'p99':>9}{'longest':>9}")
    for place, what in enumerate(("first text", "end of turn")):
        rows = {
            "bare": sorted(figures[place] for figures in bare),
            "served": sorted(figures[place] for figures in served),
        }
        for name, values in rows.items():
            figures = "".join(f"{percentile(values, point):9.2f}" for point in (50, 90, 99))
            print(f"{what + ', ' + name:24}{figures}{values[-1]:9.2f}")
        median, p99 = (percentile(rows["served"], point) - percentile(rows["bare"], point) for point in (50, 99))
        met = median <= MEDIAN_TARGET and p99 <= P99_TARGET
        print(
            f"{what}: added at p50 {median:.2f} ms (target {MEDIAN_TARGET:g}), at p99 {p99:.2f} ms "
            f"(target {P99_TARGET:g}): {'met' if met else 'MISSED'}"
        )


if __name__ == "__main__":
    main()
