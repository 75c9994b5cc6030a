"""The listener that agents find the tools of clients at."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import pytest

from qpty.server import tool_listener as module
from qpty.server.tool_listener import ToolListener, tool_listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from qpty.compat.gateway import Gateway

TOKEN = "a-token-that-nobody-else-knows"
SOON = 20.0


class Answering:
    """Stands for the gateway: notes what it is sent, and answers with `answer`, once `gate` is open."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, object]] = []
        self.answer: Mapping[str, object] | None = {"jsonrpc": "2.0", "id": 1, "result": {}}
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def respond(self, token: str, message: object) -> Mapping[str, object] | None:
        self.sent.append((token, message))
        self.waiting.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return self.answer


@pytest.fixture
async def listener() -> AsyncIterator[ToolListener]:
    async with tool_listener() as listening:
        yield listening


@pytest.fixture
async def gateway(listener: ToolListener) -> Answering:
    answering = Answering()
    listener.gateway = cast("Gateway", answering)
    return answering


async def post(listener: ToolListener, body: bytes, token: str = TOKEN) -> tuple[int, str | None, bytes]:
    async with aiohttp.ClientSession() as client, client.post(f"{listener.url}/{token}", data=body) as response:
        return response.status, response.headers.get("Content-Type"), await response.read()


async def test_a_message_and_its_answer(listener: ToolListener, gateway: Answering) -> None:
    gateway.answer = {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "größe 語"}]}}
    status, kind, body = await post(listener, b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
    assert (status, kind) == (200, "application/json")
    assert json.loads(body) == gateway.answer
    assert gateway.sent == [(TOKEN, {"jsonrpc": "2.0", "id": 1, "method": "ping"})]


async def test_a_notification_has_no_answer(listener: ToolListener, gateway: Answering) -> None:
    gateway.answer = None
    assert (await post(listener, b'{"jsonrpc":"2.0","method":"notifications/initialized"}'))[::2] == (202, b"")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"\x80", b"[" * 200_000, b"1" * 5_000])
async def test_what_is_no_json_is_a_mistake_and_no_fault(
    listener: ToolListener, gateway: Answering, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await post(listener, body))[0] == 400
    assert gateway.sent == []
    assert not caplog.records


async def test_half_a_pair_does_not_break_an_answer(listener: ToolListener, gateway: Answering) -> None:
    gateway.answer = {"id": "\ud800", "error": {}}
    status, _, body = await post(listener, rb'{"id": "\ud800"}')
    assert (status, json.loads(body)) == (200, {"id": "?", "error": {}})


async def test_before_there_is_a_gateway(listener: ToolListener) -> None:
    assert (await post(listener, b"{}"))[0] == 503


async def test_only_messages_are_taken(listener: ToolListener, gateway: Answering) -> None:
    async with aiohttp.ClientSession() as client:
        for method, address, status in [
            ("GET", f"{listener.url}/{TOKEN}", 405),  # no stream of what nobody asked for: the protocol's own answer
            ("DELETE", f"{listener.url}/{TOKEN}", 405),
            ("POST", listener.url, 404),
            ("POST", f"{listener.url}/{TOKEN}/more", 404),
        ]:
            async with client.request(method, address, data=b"{}") as response:
                assert response.status == status
    assert gateway.sent == []


async def test_a_body_without_end_is_refused(
    listener: ToolListener, gateway: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BODY_BYTES", 1_000)
    async with tool_listener() as small:
        small.gateway = cast("Gateway", gateway)
        assert (await post(small, json.dumps("x" * 998).encode()))[0] == 200
        assert (await post(small, json.dumps("x" * 999).encode()))[0] == 413
    assert len(gateway.sent) == 1


async def test_only_this_machine_reaches_it(listener: ToolListener) -> None:
    assert listener.url.startswith("http://127.0.0.1:")
    async with tool_listener() as other:
        assert other.url != listener.url


async def test_nothing_is_logged(listener: ToolListener, gateway: Answering, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await post(listener, b'{"secret": 1}')
    await post(listener, b"{secret")
    assert not [record for record in caplog.records if TOKEN in record.getMessage() or "secret" in record.getMessage()]


async def test_a_call_ends_when_the_agent_leaves(listener: ToolListener, gateway: Answering) -> None:
    gateway.gate.clear()
    call = asyncio.create_task(post(listener, b"{}"))
    async with asyncio.timeout(SOON):
        await gateway.waiting.wait()
        call.cancel()
        await gateway.cancelled.wait()


async def test_calls_wait_beside_each_other(listener: ToolListener, gateway: Answering) -> None:
    gateway.gate.clear()
    calls = [asyncio.create_task(post(listener, b"{}", token)) for token in ("a", "b")]
    async with asyncio.timeout(SOON):
        while len(gateway.sent) < 2:
            gateway.waiting.clear()
            await gateway.waiting.wait()
        gateway.gate.set()
        assert [status for status, _, _ in await asyncio.gather(*calls)] == [200, 200]


async def test_it_ends_with_the_calls_that_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHUTDOWN_TIMEOUT", 0.05)
    gateway = Answering()
    gateway.gate.clear()
    async with asyncio.timeout(SOON):
        async with tool_listener() as listening:
            listening.gateway = cast("Gateway", gateway)
            call: asyncio.Task[Any] = asyncio.create_task(post(listening, b"{}"))
            await gateway.waiting.wait()
            host, port = "127.0.0.1", int(listening.url.rsplit(":", 1)[1].partition("/")[0])
        with pytest.raises(aiohttp.ClientError):
            await call
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect((host, port))


async def test_a_start_that_fails_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[ToolListener] = []

    async def fail(listening: ToolListener) -> None:
        opened.append(listening)
        raise OSError("no")

    monkeypatch.setattr(ToolListener, "start", fail)
    with pytest.raises(OSError, match="no"):
        async with tool_listener():
            pytest.fail("it did not start")
    with pytest.raises(OSError, match="Bad file descriptor"):
        _ = opened[0].url
