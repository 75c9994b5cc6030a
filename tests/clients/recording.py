"""Record what a client sends: a proxy before a server, which writes a reduced file into `recorded/`.

    python -m tests.clients.recording NAME URL PORT    # then run the client with QPTY_URL=http://127.0.0.1:PORT; Ctrl-C

Long texts are cut (their length is told), ids of the machine and of the run are replaced one for one, and keys are
left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import sys
from typing import Any

import aiohttp
from aiohttp import web

from tests.clients.recorded import RECORDED

TEXT_LIMIT = 600
"""Characters that are kept of a text in a message."""
DESCRIPTION_LIMIT = 120
"""Characters that are kept of a description in a tool."""
HEADERS = ("accept", "content-type", "user-agent", "anthropic-version", "anthropic-beta", "x-app", "originator")
HEX = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b[0-9a-f]{64}\b")
PLACE = re.compile(r"/\S*?/qpty-agent-\w+/")
MACHINE = re.compile(r"OS Version: .*")
PASSED_ON = {"content-type", "x-request-id", "request-id", "retry-after", "x-should-retry"}


class Reducing:
    """Reduces bodies alike: the same id has the same stand-in in all of them."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def __call__(self, value: Any, limit: int = TEXT_LIMIT) -> Any:
        if isinstance(value, dict):
            own = {"description": DESCRIPTION_LIMIT}
            return {key: self(item, own.get(key, limit)) for key, item in value.items()}
        if isinstance(value, list):
            return [self(item, limit) for item in value]
        if not isinstance(value, str):
            return value
        text = MACHINE.sub("OS Version: Linux", PLACE.sub("/home/user/", HEX.sub(self._stand_in, value)))
        if len(text) <= limit or text.startswith("data:") or "PLAN: [" in text:
            return text
        return f"{text[:limit]}… ({len(text)} characters)"

    def _stand_in(self, found: re.Match[str]) -> str:
        number = f"{len(self._ids) + 1:012d}"
        made = f"00000000-0000-4000-8000-{number}" if "-" in found[0] else number.rjust(64, "0")
        return self._ids.setdefault(found[0], made)


def reduced(requests: list[dict[str, Any]]) -> dict[str, Any]:
    """The file's object of requests `{"path", "headers", "body"}`, which have to agree in path and headers."""
    reduce = Reducing()
    bodies = [reduce(request["body"]) for request in requests]
    first = requests[0]
    later = [{key: value for key, value in body.items() if value != bodies[0].get(key)} for body in bodies[1:]]
    headers = {name: first["headers"][name] for name in HEADERS if name in first["headers"]}
    return {
        "client": headers.get("user-agent", ""),
        "path": first["path"],
        "headers": headers,
        "requests": [bodies[0], *later],
    }


async def record(name: str, url: str, port: int) -> None:
    """Serve until told to end, by SIGINT or SIGTERM; then write what came by POST."""
    requests: list[dict[str, Any]] = []

    async def pass_on(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.method == "POST":
            headers = {key.lower(): value for key, value in request.headers.items()}
            requests.append({"path": request.path_qs, "headers": headers, "body": json.loads(body)})
        kept = {key: value for key, value in request.headers.items() if key.lower() not in {"host", "content-length"}}
        async with client.request(request.method, url + request.path_qs, headers=kept, data=body) as answer:
            headers = {key: value for key, value in answer.headers.items() if key.lower() in PASSED_ON}
            response = web.StreamResponse(status=answer.status, headers=headers)
            with contextlib.suppress(ConnectionResetError):  # Claude Code's first look does not wait for an answer
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
            return response

    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", pass_on)
    runner = web.AppRunner(app)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as client:
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            ended = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, ended.set)
            await ended.wait()
        finally:
            await runner.cleanup()
            if requests:
                text = json.dumps(reduced(requests), indent=1, ensure_ascii=False)
                (RECORDED / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1], sys.argv[2].rstrip("/"), int(sys.argv[3])))
