"""Readers over the network that take nothing: they are cut off, and nobody else notices.

A stalled client here is a bare socket with a small receive buffer that asks for a stream and then never reads.
"""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from qpty.server import socket as module
from qpty.server.streaming import EventStream
from tests.crashes.processes import resident_kib
from tests.server.served import ends, eventually, no_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import Serve
    from tests.server.served import Event, Logged, Served

STALL_TIMEOUT = 0.5

MEMORY_KIB = 20 << 10

LINES = 60_000
PRINTS_MUCH = f"bash seq 1 {LINES}"

WEB_SOCKET = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@pytest.fixture(autouse=True)
def logged() -> Iterator[Logged]:
    """What the server logs; nothing of these tests may be a fault."""
    with no_faults() as found:
        yield found


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.3)


async def stalled(served: Served, path: str, headers: str = "") -> socket.socket:
    """A client that has its answer's first bytes, and takes no more of them."""
    host, port = served.url.removeprefix("http://").split(":")
    loop, client = asyncio.get_running_loop(), socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    await loop.sock_connect(client, (host, int(port)))
    await loop.sock_sendall(client, f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{headers}\r\n".encode())
    assert (await loop.sock_recv(client, 12)).startswith(b"HTTP/1.1 ")
    return client


class Check:
    """Holds events against what must come, and keeps none of them."""

    def __init__(self) -> None:
        self.seq = 0
        self.lines = 0
        self.rest = ""

    def take(self, event: Event) -> None:
        assert event["seq"] == self.seq + 1
        self.seq = event["seq"]
        if event["type"] == "tool.output":
            *lines, self.rest = (self.rest + event["text"]).split("\n")
            for line in lines:
                self.lines += 1
                assert int(line) == self.lines


async def read_by_sse(served: Served, session_id: str) -> Check:
    check = Check()
    async for event in served.events(f"/api/v1/sessions/{session_id}/events"):
        check.take(event)
        if ends(event):
            return check
    raise AssertionError("the stream ended")


async def read_by_socket(served: Served, session_id: str) -> Check:
    check = Check()
    async with served.http.ws_connect(f"{served.url}/api/v1/sessions/{session_id}/ws?after=0") as client:
        async for message in client:
            event = json.loads(message.data)
            if event["type"] != "hello":
                check.take(event)
            if ends(event):
                return check
    raise AssertionError("the socket ended")


async def test_stalled_readers_are_cut_off_and_harm_nobody(serve_demo: Serve, logged: Logged) -> None:
    async with serve_demo(stall_timeout=STALL_TIMEOUT, send_buffer=4096) as served:
        session_id = await served.session(trust_all_tools=True)
        streams = f"/api/v1/sessions/{session_id}"
        with ExitStack() as clients:
            for _ in range(5):
                clients.enter_context(await stalled(served, f"{streams}/events"))
                clients.enter_context(await stalled(served, f"{streams}/ws?after=0", WEB_SOCKET))
            normal = [
                asyncio.create_task(read(served, session_id))
                for read in (read_by_sse, read_by_socket)
                for _ in range(5)
            ]
            await eventually(lambda: served.service.streams.held("127.0.0.1") == 20)
            before = resident_kib()

            turn = await served.manager.send(session_id, PRINTS_MUCH)
            checks = await asyncio.wait_for(asyncio.gather(*normal), 60)

            assert [check.lines for check in checks] == [LINES] * 10
            assert len({check.seq for check in checks}) == 1
            assert (await turn.wait())["type"] == "turn.completed"
            assert resident_kib() - before <= MEMORY_KIB
            await eventually(lambda: served.figure("qpty_stalled_readers_total") == 10)
            await eventually(lambda: served.service.streams.held("127.0.0.1") == 0)

            assert served.figure('qpty_streams{kind="sse"}') == 0
            assert served.figure('qpty_streams{kind="websocket"}') == 0
            await eventually(lambda: not of_connections())
    cut = [line for line in logged.lines if "took nothing" in line["event"]]
    assert len(cut) == 10
    assert all(line["session_id"] == session_id and line["last_seq"] > 0 for line in cut)


async def test_a_stalled_stream_that_the_server_ends_leaves_nothing_behind(
    serve_demo: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers: list[asyncio.Task[Any] | None] = []
    enter = EventStream.__aenter__

    async def entered(stream: EventStream) -> EventStream:
        handlers.append(asyncio.current_task())
        return await enter(stream)

    monkeypatch.setattr(EventStream, "__aenter__", entered)
    async with serve_demo(send_buffer=4096) as served:
        session_id = await served.session(trust_all_tools=True)
        await (await served.manager.send(session_id, PRINTS_MUCH)).wait()
        with await stalled(served, f"/api/v1/sessions/{session_id}/events"):
            await eventually(lambda: "drain" in of_connections())
            [handler] = handlers
            assert handler is not None
            handler.cancel()  # as a server does that waits no longer
            await eventually(lambda: not of_connections())
            assert served.service.streams.held("127.0.0.1") == 0


def of_connections() -> list[str]:
    """Tasks of streams that still run."""
    names = {"drain", "heartbeat", "receiver", "follower", "watcher"}
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() in names]


async def test_a_socket_that_reads_again_in_time_gets_everything_and_the_reason(serve_demo: Serve) -> None:
    async with serve_demo(stall_timeout=STALL_TIMEOUT, send_buffer=4096) as served:
        session_id = await served.session(trust_all_tools=True)
        turn = await served.manager.send(session_id, PRINTS_MUCH)
        await turn.wait()
        async with served.socket(session_id, "?after=0") as client:
            await client.hear()
            # A client in this process takes from its socket by itself, until told otherwise.
            transport = client.socket._writer.transport
            transport.pause_reading()
            await eventually(lambda: served.figure("qpty_stalled_readers_total") == 1)
            transport.resume_reading()
            code, reason = await client.end()

        assert code == 4008
        assert reason == f"too slow: follow after {client.events[-1]['seq']}"
        assert [event["seq"] for event in client.events] == list(range(1, len(client.events) + 1))


async def test_a_reader_that_stalls_at_the_end_of_its_stream_is_cut_off_too(serve_demo: Serve) -> None:
    async with serve_demo(stall_timeout=STALL_TIMEOUT, send_buffer=4096) as served:
        session_id = await served.session(trust_all_tools=True)
        await (await served.manager.send(session_id, PRINTS_MUCH)).wait()
        with await stalled(served, f"/api/v1/sessions/{session_id}/events?follow=false"):
            await eventually(lambda: served.figure("qpty_stalled_readers_total") == 1)
            await eventually(lambda: served.service.streams.held("127.0.0.1") == 0)


async def test_a_socket_that_sends_and_never_reads_is_cut_off(serve_demo: Serve) -> None:
    """Nobody asked for events: what it doesn't take are the answers to its frames."""
    async with serve_demo(stall_timeout=STALL_TIMEOUT, send_buffer=4096) as served:
        session_id = await served.session()
        with await stalled(served, f"/api/v1/sessions/{session_id}/ws", WEB_SOCKET) as client:
            frame = bytes((0x81, 0x80 | 2)) + bytes(4) + b"{}"
            sending = asyncio.create_task(_send_for_ever(client, frame * 1000))
            await eventually(lambda: served.figure("qpty_stalled_readers_total") == 1)
            await eventually(lambda: served.service.streams.held("127.0.0.1") == 0)
            [outcome] = await asyncio.gather(sending, return_exceptions=True)

        assert isinstance(outcome, ConnectionError)
        assert of_connections() == []


async def _send_for_ever(client: socket.socket, data: bytes) -> None:
    while True:
        await asyncio.get_running_loop().sock_sendall(client, data)
