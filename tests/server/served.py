"""A whole service on a socket of the loopback interface, inside the test's own event loop."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import logging
import os
import socket
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from qpty.server.serving import make_runner, running_service
from qpty.server.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
    from pathlib import Path

    from qpty.agent.spec import AgentSpec
    from qpty.server.service import Service
    from qpty.sessions.manager import SessionManager
    from qpty.sessions.session import Session

TIMEOUT = 30.0
"""Seconds that anything may take."""

ENDS = {"turn.completed", "turn.failed"}
QUESTIONS = {"permission.requested", "menu.requested"}

Event = dict[str, Any]


@dataclass
class Served:
    """A service that runs, and a client of it. `headers` go with every request of the client."""

    service: Service
    url: str
    http: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def manager(self) -> SessionManager:
        """The sessions behind it."""
        return self.service.manager

    async def ask(self, method: str, path: str, body: object = None, **options: Any) -> tuple[int, Any]:
        """Make a request; the status, and the JSON (or the text) of the answer."""
        if body is not None:
            options["json"] = body
        headers = {**self.headers, **options.pop("headers", {})}
        async with self.http.request(method, self.url + path, headers=headers, **options) as response:
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, await response.text()

    async def session(self, **body: Any) -> str:
        """Make a session; its id."""
        status, made = await self.ask("POST", "/api/v1/sessions", body)
        assert status == 201, made
        return str(made["session_id"])

    async def chat(self, message: str, session_id: str | None = None) -> dict[str, Any]:
        """Send a message and wait for the whole answer, or the question."""
        body = {"message": message} | ({"session_id": session_id} if session_id is not None else {})
        status, answer = await self.ask("POST", "/api/v1/chat", body)
        assert status == 200, answer
        found: dict[str, Any] = answer
        return found

    async def events(
        self, path: str, *, method: str = "GET", body: object = None, headers: dict[str, str] | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield the events of a stream as they come; each is checked against its own frame."""
        options: dict[str, Any] = {"json": body} if body is not None else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_read=TIMEOUT)
        async with self.http.request(
            method, self.url + path, headers={**self.headers, **(headers or {})}, timeout=timeout, **options
        ) as response:
            assert response.status == 200, await response.text()
            assert response.content_type == "text/event-stream"
            fields: dict[str, str] = {}
            async for raw in response.content:
                line = raw.decode().removesuffix("\n")
                if line.startswith((":", "retry:")):
                    continue
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields:
                    event: Event = json.loads(fields["data"])
                    if fields["event"] != "stream.error":
                        assert event["type"] == fields["event"]
                        assert event.get("seq") == (int(fields["id"]) if "id" in fields else None)
                    fields = {}
                    yield event

    async def until(self, path: str, last: Callable[[Event], bool], **options: Any) -> list[Event]:
        """The events of a stream up to the first that `last` accepts."""
        found: list[Event] = []
        async with asyncio.timeout(TIMEOUT), aclosing(self.events(path, **options)) as events:
            async for event in events:
                found.append(event)
                if last(event):
                    return found
        raise AssertionError(f"the stream ended: {found[-3:]}")

    @asynccontextmanager
    async def socket(self, session_id: str, query: str = "") -> AsyncIterator[Frames]:
        """A session's WebSocket; it is closed at the end, if it still is open."""
        address = f"{self.url}/api/v1/sessions/{session_id}/ws{query}"
        async with self.http.ws_connect(address, headers=self.headers, autoclose=False, max_msg_size=0) as socket:
            yield Frames(socket)

    async def loaded(self, session_id: str) -> Session:
        """The session's one object."""
        row = await self.manager.database.session(session_id)
        assert row is not None
        return await self.manager.load(row)

    def figure(self, name: str) -> float:
        """One of the service's figures, named with its labels as `/metrics` has it."""
        for line in self.service.metrics.text().decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        return 0.0


@dataclass
class Frames:
    """A client's end of a WebSocket. `got` has every frame that came, in order."""

    socket: aiohttp.ClientWebSocketResponse
    got: list[Event] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    """The code and the reason of the server's close frame."""
    _refs: itertools.count[int] = field(default_factory=itertools.count)

    async def hear(self) -> Event:
        """The next frame."""
        event = await self._hear()
        assert event is not None, f"it was closed: {self.closed}, after {self.got[-3:]}"
        return event

    async def _hear(self) -> Event | None:
        message = await self.socket.receive(timeout=TIMEOUT)
        if message.type is aiohttp.WSMsgType.TEXT:
            event: Event = json.loads(message.data)
            self.got.append(event)
            return event
        if message.type is aiohttp.WSMsgType.CLOSE:
            self.closed = (message.data, message.extra or "")
        return None

    async def until(self, last: Callable[[Event], bool]) -> list[Event]:
        """The frames up to the first that `last` accepts."""
        found = [await self.hear()]
        while not last(found[-1]):
            found.append(await self.hear())
        return found

    async def tell(self, **frame: Any) -> None:
        """Send a frame."""
        await self.socket.send_str(json.dumps(frame))

    async def ask(self, **frame: Any) -> Event:
        """Send a frame with a `ref`; what the server says to that. Events that come meanwhile are in `got`."""
        ref = f"ask-{next(self._refs)}"
        await self.tell(ref=ref, **frame)
        return (await self.until(lambda event: event.get("ref") == ref))[-1]

    async def end(self) -> tuple[int, str]:
        """Wait for the server's close frame; its code and its reason."""
        while await self._hear() is not None:
            pass
        assert self.closed is not None, "the connection ended without a close frame"
        await self.socket.close()
        return self.closed

    @property
    def events(self) -> list[Event]:
        """The journal's events among what came."""
        return [event for event in self.got if event["type"] not in {"hello", "ack", "error", "screen", "keyboard"}]


class Logged(logging.Handler):
    """The `lines` that the server logs, and the `faults` that anybody does."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[dict[str, Any]] = []
        self.faults: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.msg, dict):
            self.lines.append(record.msg)
        if record.levelno >= logging.ERROR:
            self.faults.append(f"{record.name}: {record.getMessage()} {record.exc_info}")


@contextmanager
def no_faults() -> Iterator[Logged]:
    """Hold it against whatever is inside that nothing is logged as a fault, also no forgotten exception of a task."""
    handler, root, server = Logged(), logging.getLogger(), logging.getLogger("qpty.server")
    level = server.level
    server.setLevel(logging.INFO)
    root.addHandler(handler)
    try:
        yield handler
        gc.collect()  # a task tells of its forgotten exception when it goes
    finally:
        root.removeHandler(handler)
        server.setLevel(level)
    assert handler.faults == [], handler.faults


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds that nobody tells of."""
    async with asyncio.timeout(TIMEOUT):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def ends(event: Event) -> bool:
    """Whether it is a turn's end."""
    return event["type"] in ENDS


def asks(event: Event) -> bool:
    """Whether it is a question, or a turn's end."""
    return event["type"] in QUESTIONS | ENDS


@asynccontextmanager
async def listening(service: Service, *, send_buffer: int | None = None) -> AsyncIterator[str]:
    """Serve a service at a free port; its URL. `send_buffer`: bytes that the kernel holds of each connection."""
    runner = make_runner(service, shutdown_timeout=5.0)
    await runner.setup()
    try:
        listener = socket.create_server(("127.0.0.1", 0))
        if send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)  # accepted sockets inherit it
        await web.SockSite(runner, listener).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving(
    spec: AgentSpec, work: Path, *, host: str = "127.0.0.1", send_buffer: int | None = None, **settings: Any
) -> AsyncIterator[Served]:
    """Run a service. `settings` are those of `load_settings`; no warm workers, so that a test knows who is whose."""
    given = {"warm_workers": 0, "rate_limit": 0, **settings}
    loaded = load_settings(environment={}, directory=work, host=host, **given)
    async with (
        running_service(loaded, os.environ, spec=spec) as service,
        aiohttp.ClientSession() as http,
        listening(service, send_buffer=send_buffer) as url,
    ):
        yield Served(service, url, http)
