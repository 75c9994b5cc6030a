"""Chatting in a browser, on the real q and on the demo agent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.page.driving import chat_page
from tests.server.served import no_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.async_api import FilePayload

    from tests.server.conftest import Serve
    from tests.server.served import Logged, Served


@pytest.fixture(autouse=True)
def logged() -> Iterator[Logged]:
    """What the server logs; nothing of these tests may be a fault."""
    with no_faults() as found:
        yield found


def is_q(served: Served) -> bool:
    """Whether the real q answers: its scripted model says other things than the demo."""
    return served.service.agent.kind == "q"


async def test_from_the_first_visit_to_an_answer(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await expect(chat.page.get_by_role("heading", name="What shall we work on?")).to_be_visible()
        await chat.say("markdown")
        turn = await chat.answered("markdown", "你好" if is_q(served) else "再见")
        await expect(turn.locator("table td").first).to_be_visible()
        assert await turn.locator("h3, strong, em, li li, blockquote").count() >= 5
        code = turn.locator("pre.code")
        assert await code.get_attribute("data-language") == "python"
        assert await code.locator(".hl-k").first.inner_text() == "def"
        assert await chat.page.title() == "markdown · qpty"
        await expect(chat.state).to_have_text("ready")
        assert f"{served.url}/sessions/{chat.session_id}" == chat.page.url


async def test_text_is_on_the_page_while_it_is_still_being_said(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("slow 3")
        turn = chat.turn("slow 3")
        await expect(turn.locator(".answer")).to_contain_text("part 1")
        assert await turn.get_attribute("data-status") == "running"
        await chat.answered("slow 3", "part 3")


async def test_a_permission_shows_exactly_what_would_run_and_is_allowed(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("bash echo one && echo two > out.txt")
        question = chat.page.get_by_role("region", name=re.compile("May execute_bash run"))
        await expect(question.locator("pre")).to_have_text("echo one && echo two > out.txt")
        await expect(chat.state).to_have_text("asks for permission")
        await expect(chat.button("Send")).to_be_disabled()
        await chat.button("Allow").click()
        turn = await chat.answered("bash echo one && echo two > out.txt", re.compile("one"))
        card = turn.locator("details.tool")
        await expect(card.locator("summary")).to_contain_text("done")
        await card.locator("summary").click()
        await expect(card.locator(".tool-output")).to_contain_text("one")
        await expect(turn.locator(".question")).to_contain_text("Allowed.")
        status, text = await served.ask("GET", f"/api/v1/sessions/{chat.session_id}/files/out.txt")
        assert (status, text) == (200, "two\n")


async def test_a_permission_is_refused(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("bash touch never")
        await chat.button("Refuse").click()
        turn = chat.turn("bash touch never")
        await expect(turn).to_have_attribute("data-status", "completed")
        await expect(turn.locator(".question")).to_contain_text("Refused.")
        await expect(turn.locator("details.tool")).to_have_attribute("data-outcome", "refused")
        assert (await served.ask("GET", f"/api/v1/sessions/{chat.session_id}/files/never"))[0] == 404


async def test_always_allowed_is_not_asked_again(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("bash echo first")
        await chat.button("Always allow in this session").click()
        await chat.answered("bash echo first", "first")
        await chat.say("bash echo second")
        turn = await chat.answered("bash echo second", "second")
        assert await turn.locator(".question").count() == 0


@pytest.mark.parametrize("way", ["the button", "Escape"])
async def test_a_turn_is_stopped(serve: Serve, chromium: str, way: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("slow 60")
        await expect(chat.turn("slow 60").locator(".answer")).to_contain_text("part 1")
        if way == "Escape":
            await chat.page.keyboard.press("Escape")
        else:
            await chat.button("Stop (Esc)").click()
        turn = await chat.answered("slow 60", "Stopped.")
        await expect(turn.locator(".segment")).to_contain_text("part 1")
        await expect(chat.button("Stop (Esc)")).to_be_hidden()
        await chat.say("hello")
        await chat.answered("hello", "Hello")


async def test_messages_queue_and_one_is_taken_out(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("slow 2")
        await expect(chat.turn("slow 2").locator(".answer")).to_contain_text("part 1")
        await chat.say("echo not this")
        await chat.say("echo but this")
        await expect(chat.turn("echo not this")).to_contain_text("queued")
        await chat.turn("echo not this").get_by_role("button", name="Take out of the queue").click()
        await chat.answered("echo but this", "but this")
        await expect(chat.turn("echo not this").locator(".answer")).to_have_text("Stopped.")


async def test_a_failure_says_what_to_do_and_the_message_is_sent_again(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("denied")
        turn = chat.turn("denied")
        await expect(turn).to_have_attribute("data-status", "failed")
        await expect(turn.locator(".failure")).to_contain_text("The account isn’t allowed to use this.")
        await chat.say("boom")
        await expect(chat.turn("boom")).to_have_attribute("data-status", "failed")
        await chat.turn("boom").get_by_role("button", name="Send again", exact=True).click()
        await expect(chat.page.locator(".message-text", has_text=re.compile("^boom$"))).to_have_count(2)


async def test_a_message_is_changed_and_sent_again_in_a_session_of_its_own(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("remember blue")
        await chat.answered("remember blue", re.compile("."))
        await chat.say("echo second")
        await chat.answered("echo second", "second")
        first = chat.session_id
        await chat.turn("echo second").get_by_role("button", name="Change and send again").click()
        await chat.page.get_by_role("textbox", name="Change and send again").fill("recall")
        await chat.button("Send in a new session").click()
        await chat.page.wait_for_url(lambda url: first not in url and "/sessions/" in url)
        await chat.answered("recall", "blue")
        await expect(chat.turn("remember blue")).to_be_visible()
        assert await chat.page.locator(".message-text").all_inner_texts() == ["remember blue", "recall"]
        await chat.page.go_back()
        await expect(chat.turn("echo second")).to_be_visible()


async def test_arrows_bring_earlier_messages_back(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("echo one")
        await chat.answered("echo one", "one")
        await chat.say("echo two")
        await chat.answered("echo two", "two")
        await chat.field.press("ArrowUp")
        await expect(chat.field).to_have_value("echo two")
        await chat.field.press("ArrowUp")
        await expect(chat.field).to_have_value("echo one")
        await chat.field.press("ArrowDown")
        await chat.field.press("ArrowDown")
        await expect(chat.field).to_have_value("")
        await chat.field.fill("mine")
        await chat.field.press("ArrowUp")
        await expect(chat.field).to_have_value("mine")


async def test_shift_enter_is_a_new_line_and_enter_of_an_input_method_sends_nothing(
    serve_demo: Serve, chromium: str
) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.field.fill("echo a")
        await chat.field.press("Shift+Enter")
        await chat.page.keyboard.insert_text("你好")
        await chat.page.evaluate(
            """() => document.activeElement.dispatchEvent(
                new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true, cancelable: true}))"""
        )
        await expect(chat.field).to_have_value("echo a\n你好")
        await chat.field.press("Enter")
        await chat.answered("echo a\n你好", "你好")


async def test_an_attached_file_is_there_for_the_agent(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        async with chat.page.expect_file_chooser() as chooser:
            await chat.button("Attach files").click()
        notes: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": "the word is 鹤".encode()}
        await (await chooser.value).set_files([notes])
        await expect(chat.page.get_by_role("list", name="Attached files")).to_contain_text("notes.txt")
        await chat.say("read notes.txt")
        turn = chat.turns.first
        await expect(turn.locator(".message-text")).to_have_text("read notes.txt\n\nAttached file: `notes.txt`")
        await chat.say("bash cat notes.txt")
        await chat.button("Allow").click()
        await chat.answered("bash cat notes.txt", "鹤")
        await chat.page.evaluate(
            """() => {
                const data = new DataTransfer();
                data.items.add(new File(["again"], "notes.txt"));
                const paste = new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
                document.querySelector("#composer-text").dispatchEvent(paste);
            }"""
        )
        await chat.say("echo thanks")
        await expect(chat.turns.last.locator(".message-text")).to_contain_text("`notes-2.txt`")


async def test_two_tabs_show_the_same(serve: Serve, chromium: str) -> None:
    async with (
        serve() as served,
        chat_page(chromium, served.url) as one,
        chat_page(chromium, served.url) as two,
    ):
        await one.visit()
        await one.say("bash echo together")
        await expect(one.button("Allow")).to_be_visible()
        await two.visit(f"/sessions/{one.session_id}")
        await two.button("Allow").click()
        await one.answered("bash echo together", "together")
        await two.answered("bash echo together", "together")
        await two.say("echo from the other")
        await one.answered("echo from the other", "from the other")
        await expect(two.turns).to_have_count(2)
        assert (
            await one.page.locator(".answer").all_inner_texts() == await two.page.locator(".answer").all_inner_texts()
        )
