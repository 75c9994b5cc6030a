"""Clients that neither take nor give don't keep anything, or anybody, for long."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from qpty.server import connections
from qpty.server.connections import ConnectionWatch
from tests.server.served import TIMEOUT

if TYPE_CHECKING:
    from tests.server.conftest import Serve
    from tests.server.served import Served


async def opened(served: Served, data: bytes, *, buffer: int | None = None) -> socket.socket:
    """Connect and send something, and never read."""
    loop = asyncio.get_running_loop()
    client = socket.socket()
    if buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.setblocking(False)
    await loop.sock_connect(client, ("127.0.0.1", int(served.url.rpartition(":")[2])))
    await loop.sock_sendall(client, data)
    return client


async def ended(client: socket.socket) -> None:
    """Wait until the server has ended a connection."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(TIMEOUT):
        try:
            while await loop.sock_recv(client, 1 << 20):
                pass
        except ConnectionResetError:
            return
        finally:
            client.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often."""
    monkeypatch.setattr(connections, "PAUSE", 0.02)
    monkeypatch.setattr(connections, "HEAD_START", 0.05)


LARGE = 20 << 20
HEAD = "POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
HALF = HEAD + "Content-Length: 50\r\n\r\n{"


async def test_who_sends_half_a_body_is_cut_off(serve_demo: Serve, quick: None) -> None:
    async with serve_demo(stall_timeout=0.2) as served:
        await ended(await opened(served, HALF.encode()))
        assert (await served.ask("GET", "/health"))[0] == 200


async def test_who_does_not_take_a_download_is_cut_off(serve_demo: Serve, quick: None) -> None:
    async with serve_demo(stall_timeout=0.2) as served:
        session_id = await served.session()
        path = f"/api/v1/sessions/{session_id}/files/large"
        await (await served.manager.files(session_id)).write("large", b"x" * LARGE)
        client = await opened(served, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), buffer=4096)
        metrics = served.service.metrics
        async with asyncio.timeout(TIMEOUT):
            while b"qpty_connections_cut_off_total 1.0" not in metrics.text():  # noqa: ASYNC110 — nobody tells
                await asyncio.sleep(0.01)
        client.close()
        status, text = await served.ask("GET", path)
        assert (status, len(text)) == (200, LARGE)


async def test_a_slow_client_that_goes_on_is_not_cut_off(serve_demo: Serve) -> None:
    async with serve_demo(stall_timeout=5) as served:
        client = await opened(served, HALF.encode())
        under_way = served.service.under_way
        async with asyncio.timeout(TIMEOUT):
            while not list(under_way):  # noqa: ASYNC110 — nobody tells
                await asyncio.sleep(0.01)
        watch = ConnectionWatch(served.service, lambda: None)
        loop = asyncio.get_running_loop()
        (request,) = under_way
        for second in range(0, 100, 10):
            before = request.content.total_bytes
            await loop.sock_sendall(client, b" ")
            async with asyncio.timeout(TIMEOUT):
                while request.content.total_bytes == before:  # noqa: ASYNC110 — nobody tells
                    await asyncio.sleep(0.01)
            watch.look(float(second))
        assert request.transport is not None
        watch.look(120.0)
        await ended(client)


async def test_a_stop_does_not_wait_for_who_takes_nothing(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        path = f"/api/v1/sessions/{session_id}/files/large"
        await (await served.manager.files(session_id)).write("large", b"x" * LARGE)
        clients = [
            await opened(served, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), buffer=4096),
            await opened(served, HALF.encode()),
        ]
        async with asyncio.timeout(TIMEOUT):
            while len(list(served.service.under_way)) < 2:  # noqa: ASYNC110 — nobody tells
                await asyncio.sleep(0.01)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 2 * connections.GRACE + 2
    for client in clients:
        client.close()


async def test_a_revoked_key_commands_nothing_any_more(serve_demo: Serve, quick: None) -> None:
    async with serve_demo() as served:
        keys = served.service.access.keys
        key = await asyncio.to_thread(keys.create, "one")
        kept = await asyncio.to_thread(keys.create, "two")
        headers = {"x-api-key": key.key}
        made = (await served.ask("POST", "/api/v1/sessions", headers=headers))[1]["session_id"]
        url = f"{served.url}/api/v1/sessions/{made}/ws"
        async with served.http.ws_connect(url, headers=headers) as ws:
            await ws.receive_json(timeout=TIMEOUT)
            await asyncio.to_thread(keys.revoke, key.id)
            message = await ws.receive(timeout=TIMEOUT)
            assert message.data is None or isinstance(message.data, int)
            assert ws.closed
        assert (await served.ask("GET", "/api/v1/sessions", headers={"x-api-key": kept.key}))[0] == 200
