"""A page that is loaded anew, whose connection is cut, whose server dies: no text is lost, and none is doubled."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from playwright.async_api import expect

from tests.page.driving import chat_page
from tests.server.program import Program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import pytest

    from qpty.sessions.turns import Turn
    from tests.page.driving import ChatPage
    from tests.server.conftest import Serve
    from tests.server.served import Served


def cut(served: Served) -> None:
    """Cut every connection that the server has, as a network does."""
    for request in list(served.service.under_way):
        if request.transport is not None:
            request.transport.abort()


class Killable:
    """A server in a process of its own, at a port that stays."""

    def __init__(self, directory: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._program = Program(directory, {"QPTY_AGENT": "demo", "PORT": str(port)}).started()

    def kill(self) -> None:
        """End it without a word."""
        self._program.stop(signal.SIGKILL)

    def close(self) -> None:
        """End it as a person does."""
        self._program.stop()


@asynccontextmanager
async def server_at(directory: Path) -> AsyncIterator[tuple[Killable, Callable[[], None]]]:
    """Run a server; `start()` starts another one in its place, after it was killed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    servers = [await asyncio.to_thread(Killable, directory, port)]
    try:
        yield servers[0], lambda: servers.append(Killable(directory, port))
    finally:
        for server in servers:
            await asyncio.to_thread(server.close)


async def said(served: Served, chat: ChatPage) -> str:
    """The newest answer as the server has it."""
    _, found = await served.ask("GET", f"/api/v1/sessions/{chat.session_id}/messages")
    text: str = found["messages"][-1]["text"]
    return text


def words(text: str) -> list[str]:
    """A text without its white space, which a page has otherwise."""
    return text.split()


async def test_it_is_loaded_anew_in_the_middle_of_an_answer(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("slow 4")
        await expect(chat.turn("slow 4").locator(".answer")).to_contain_text("part 2")
        await chat.page.reload()
        await expect(chat.turn("slow 4").locator(".answer")).to_contain_text("part 1")
        turn = await chat.answered("slow 4", "part 4")
        assert words(await turn.locator(".segment").inner_text()) == words(await said(served, chat))


async def test_connections_are_cut_again_and_again_in_the_middle_of_an_answer(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("echo begin")
        await chat.answered("echo begin", "begin")
        events = f"/api/v1/sessions/{chat.session_id}/events?after={await last_seq(served, chat)}"
        cuts = random.Random(6)  # noqa: S311
        await chat.say("long 400")
        async with asyncio.timeout(60):
            async for event in served.events(events):
                if event["type"] == "turn.completed":
                    break
                if event["type"] == "message.delta" and cuts.random() < 0.05:
                    for request in list(served.service.under_way):
                        if request.path.endswith("/ws") and request.transport is not None:
                            request.transport.abort()
        turn = chat.turn("long 400")
        await expect(turn).to_have_attribute("data-status", "completed")
        answer = await said(served, chat)
        await expect(turn.locator(".segment .tail")).to_be_empty()
        shown = await turn.locator(".segment").evaluate("(segment) => segment.textContent")
        assert words(shown) == words(answer)


async def test_nothing_is_doubled_in_the_middle_of_an_answer_either(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("slow 8")
        answer = chat.turn("slow 8").locator(".segment")
        for number in (2, 4, 6):
            await expect(answer).to_contain_text(f"part {number}")
            await chat.page.context.set_offline(True)
            await expect(chat.page.locator("#banner")).to_be_visible()
            await chat.page.context.set_offline(False)
            await expect(chat.page.locator("#banner")).to_be_hidden()
            await expect(answer).to_contain_text(f"part {number + 1}")
            shown = await answer.evaluate("(segment) => segment.textContent")
            assert [shown.count(f"part {part}") for part in range(1, number + 2)] == [1] * (number + 1), shown
        await chat.answered("slow 8", "part 8")


async def last_seq(served: Served, chat: ChatPage) -> int:
    """The number of a session's newest event."""
    found = await served.until(
        f"/api/v1/sessions/{chat.session_id}/events?follow=false", lambda event: event["type"] == "turn.completed"
    )
    return int(found[-1]["seq"])


async def test_a_message_whose_acknowledgement_was_lost_is_sent_once(
    serve: Serve, chromium: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("echo one")
        await chat.answered("echo one", "one")
        send, lost = served.manager.send, 0

        async def send_and_cut(*arguments: Any, **options: Any) -> Turn:
            nonlocal lost
            turn = await send(*arguments, **options)
            if lost < 3:
                lost += 1
                cut(served)
            return turn

        monkeypatch.setattr(served.manager, "send", send_and_cut)
        await chat.say("echo two")
        await chat.answered("echo two", "two")
        await chat.say("echo three")
        await chat.answered("echo three", "three")
        assert await chat.page.locator(".message-text").all_inner_texts() == ["echo one", "echo two", "echo three"]
        assert lost >= 1


async def test_a_message_written_without_a_connection_is_sent_when_it_is_back(tmp_path: Path, chromium: str) -> None:
    async with server_at(tmp_path) as (first, start), chat_page(chromium, first.url) as chat:
        await chat.visit()
        await chat.say("echo one")
        await chat.answered("echo one", "one")
        first.kill()
        await expect(chat.page.locator("#banner")).to_contain_text("No connection")
        await chat.say("echo later")
        await expect(chat.page.locator("#waiting")).to_contain_text("sending")
        start()
        await chat.answered("echo later", "later")
        await expect(chat.page.locator("#banner")).to_be_hidden()
        await expect(chat.page.locator("#waiting")).to_be_empty()


async def test_the_server_is_killed_and_started_again_in_the_middle_of_an_answer(tmp_path: Path, chromium: str) -> None:
    async with server_at(tmp_path) as (first, start), chat_page(chromium, first.url) as chat:
        await chat.visit()
        await chat.say("remember green")
        await chat.answered("remember green", "remember")
        await chat.say("slow 60")
        answer = chat.turn("slow 60").locator(".answer")
        await expect(answer).to_contain_text("part 2")
        first.kill()
        await expect(chat.page.locator("#banner")).to_be_visible()
        start()
        await expect(chat.turn("slow 60")).to_have_attribute("data-status", "failed")
        await expect(answer.locator(".failure")).to_contain_text("The server was stopped in the middle of this.")
        shown = await answer.locator(".segment").evaluate("(segment) => segment.textContent")
        assert [shown.count(f"part {number}") for number in (1, 2)] == [1, 1]
        await chat.say("recall")
        await chat.answered("recall", "green")
        assert await chat.page.locator(".message-text").all_inner_texts() == ["remember green", "slow 60", "recall"]


async def test_a_session_that_is_deleted_elsewhere_says_so(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("echo one")
        await chat.answered("echo one", "one")
        await served.ask("DELETE", f"/api/v1/sessions/{chat.session_id}")
        await expect(chat.page.locator("#banner")).to_have_text("This session was deleted.")
        await chat.page.reload()
        await expect(chat.page.get_by_role("heading", name="There is nothing here").first).to_be_visible()


@asynccontextmanager
async def network(url: str) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """A network before a server: its address, and what makes it carry nothing any more of what is open, silently."""
    port = int(url.rpartition(":")[2])
    carrying: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data)
        sink.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((writer, back))
        for source, sink in ((reader, back), (there, writer)):
            carrying.add(asyncio.get_running_loop().create_task(carry(source, sink)))

    def freeze() -> None:
        for task in carrying:
            task.cancel()
        carrying.clear()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", freeze
    finally:
        server.close()
        freeze()
        for writer in writers:
            writer.close()


async def test_a_connection_that_died_without_a_word_is_noticed(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, network(served.url) as (url, freeze), chat_page(chromium, url) as chat:
        await chat.page.clock.install()
        await chat.visit()
        await chat.say("echo one")
        await chat.answered("echo one", "one")
        freeze()
        await served.ask("POST", f"/api/v1/sessions/{chat.session_id}/messages", {"message": "echo two"})
        await chat.page.clock.run_for(50_000)
        await chat.answered("echo two", "two")
        await expect(chat.page.locator("#banner")).to_be_hidden()
