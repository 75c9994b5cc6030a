"""The terminal beside a conversation: what it shows, who types at it, and what it showed."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.page.driving import chat_page
from tests.server.served import eventually, no_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.async_api import Locator

    from tests.page.driving import ChatPage
    from tests.server.conftest import Serve
    from tests.server.served import Logged


@pytest.fixture(autouse=True)
def logged() -> Iterator[Logged]:
    """What the server logs; nothing of these tests may be a fault."""
    with no_faults() as found:
        yield found


def screen(chat: ChatPage) -> Locator:
    """The live screen."""
    return chat.page.get_by_role("group", name="Screen of the terminal")


async def open_terminal(chat: ChatPage) -> None:
    await chat.page.get_by_role("button", name="Terminal").click()
    await expect(screen(chat)).to_be_visible()


async def take_over(chat: ChatPage) -> Locator:
    """Take the keyboard over; the field that has the focus then."""
    await chat.button("Take over the keyboard").click()
    field = chat.page.get_by_role("textbox", name="Keyboard of the terminal")
    await expect(field).to_be_focused()
    return field


async def test_the_live_screen_shows_what_the_agent_printed(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("echo the heron")
        await chat.answered("echo the heron", "the heron")
        await open_terminal(chat)
        await expect(screen(chat)).to_contain_text("> echo the heron")
        await chat.say("echo a red kite 宽字")
        await expect(screen(chat)).to_contain_text("red kite")
        coloured = screen(chat).locator("[class*=ink-]").first
        await expect(coloured).to_be_visible()
        boxes = [await row.bounding_box() for row in await screen(chat).locator(".screen-row").all()]
        assert len(boxes) == 24
        heights = {round(box["height"], 2) for box in boxes if box is not None}
        assert len(heights) == 1, "wide characters keep the grid"


async def test_wide_characters_take_two_columns(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("echo 宽字|\n\naaaa|")
        await chat.answered("echo 宽字|\n\naaaa|", "aaaa")
        await open_terminal(chat)
        await expect(screen(chat)).to_contain_text("宽字|")
        ends: list[float] = await screen(chat).evaluate(
            """element => [...element.querySelectorAll(".screen-row")]
                .filter(row => /^(宽字|aaaa)\\|/.test(row.textContent))
                .map(row => {
                    const range = document.createRange();
                    const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
                    while (walker.nextNode()) {
                        const at = walker.currentNode.data.indexOf("|");
                        if (at >= 0) range.setStart(walker.currentNode, at), range.setEnd(walker.currentNode, at + 1);
                    }
                    return range.getBoundingClientRect().right;
                })"""
        )
        assert len(ends) >= 2
        assert max(ends) - min(ends) < 1, ends


async def test_a_person_takes_the_keyboard_over_and_the_chat_goes_on(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("bash echo the $((6 * 7)) herons")
        await expect(
            chat.turn("bash echo the $((6 * 7)) herons").get_by_role("button", name="Allow", exact=True)
        ).to_be_visible()
        await open_terminal(chat)
        await expect(screen(chat)).to_contain_text("Allow this action")
        field = await take_over(chat)
        await expect(chat.page.get_by_text("You have the keyboard").first).to_be_visible()
        await field.press("x")
        await field.press("Backspace")
        await field.press("y")
        await field.press("Enter")
        await expect(screen(chat)).to_contain_text("the 42 herons")
        await chat.answered("bash echo the $((6 * 7)) herons", "the 42 herons")
        await field.press("Escape")
        await expect(field).to_be_focused()
        await field.press("Control+Shift+Enter")
        await expect(chat.button("Take over the keyboard")).to_be_visible()
        await eventually(lambda: not served.manager.keyboard_taken(chat.session_id))
        await chat.say("hello")
        await chat.answered("hello", re.compile("."))


async def test_a_message_waits_until_the_keyboard_is_given_back(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("hello")
        await chat.answered("hello", re.compile("."))
        await open_terminal(chat)
        await take_over(chat)
        await chat.say("echo the heron")
        await expect(chat.page.get_by_text("Messages wait until the keyboard").first).to_be_visible()
        await chat.button("Give the keyboard back").click()
        await chat.answered("echo the heron", "the heron")


async def test_keys_are_sent_as_a_terminal_sends_them(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("hello")
        await chat.answered("hello", re.compile("."))
        await open_terminal(chat)
        typed: list[str] = []
        session = await served.loaded(chat.session_id)
        real = session.type_keys

        async def type_keys(hold: Any, text: str) -> None:
            typed.append(text)
            await real(hold, text)

        session.type_keys = type_keys  # type: ignore[method-assign]
        field = await take_over(chat)
        for key in ("a", "ArrowUp", "Control+ArrowLeft", "Home", "PageDown", "F5", "Shift+Tab", "Tab", "Alt+b"):
            await field.press(key)
        await field.press("Control+u")
        await chat.page.keyboard.insert_text("宽字")
        await field.evaluate(
            """element => {
                const data = new DataTransfer();
                data.setData("text/plain", "one\\x1b[201~two\\n");
                const paste = { clipboardData: data, bubbles: true, cancelable: true };
                element.dispatchEvent(new ClipboardEvent("paste", paste));
            }"""
        )
        wanted = "a\x1b[A\x1b[1;5D\x1b[H\x1b[6~\x1b[15~\x1b[Z\t\x1bb\x15宽字\x1b[200~one[201~two\r\x1b[201~"
        await eventually(lambda: len("".join(typed)) >= len(wanted))
        assert "".join(typed) == wanted, json.dumps(typed)


async def test_who_may_not_type_is_told_so(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        key = await asyncio.to_thread(served.service.access.keys.create, "mine")
        await chat.page.goto(served.url)
        await chat.page.fill("#key", key.key)
        await chat.page.keyboard.press("Enter")
        await chat.say("hello")
        await chat.answered("hello", re.compile("."))
        await open_terminal(chat)
        await expect(chat.button("Take over the keyboard")).to_be_disabled()
        await expect(chat.page.get_by_text("that takes a key that administers")).to_be_visible()
        chat.problems.clear()  # the sign-in page's own 401


async def test_two_tabs_and_one_keyboard(serve_demo: Serve, chromium: str) -> None:
    async with (
        serve_demo() as served,
        chat_page(chromium, served.url) as chat,
        chat_page(chromium, served.url) as other,
    ):
        await chat.visit()
        await chat.say("hello")
        await chat.answered("hello", re.compile("."))
        await open_terminal(chat)
        await other.visit(f"/sessions/{chat.session_id}/terminal")
        await expect(other.button("Take over the keyboard")).to_be_enabled()
        await take_over(chat)
        await expect(other.page.get_by_text("Somebody else has the keyboard.")).to_be_visible()
        await expect(other.button("Take over the keyboard")).to_be_disabled()
        await chat.page.get_by_role("button", name="Terminal").click()  # the panel is closed: it goes back
        await expect(other.button("Take over the keyboard")).to_be_enabled()


async def test_a_terminal_that_sleeps_says_so(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        session_id = await served.session()
        await chat.visit(f"/sessions/{session_id}/terminal")
        await expect(chat.page.get_by_text("No terminal is live.")).to_be_visible()
        await expect(chat.button("Take over the keyboard")).to_be_disabled()
        await chat.say("hello")
        await expect(screen(chat)).to_contain_text("hello")
        await take_over(chat)
        await served.ask("POST", f"/api/v1/sessions/{session_id}/hibernate")
        await expect(chat.page.get_by_text("No terminal is live.")).to_be_visible()
        await expect(screen(chat)).to_contain_text("hello")


async def test_screens_are_asked_for_only_while_they_are_seen(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        got: list[str] = []
        chat.page.on(
            "websocket",
            lambda socket: socket.on(
                "framereceived", lambda data: got.append(str(data)) if '"screen"' in str(data) else None
            ),
        )
        await chat.visit()
        await chat.say("hello")
        await chat.answered("hello", re.compile("."))
        assert got == []
        await open_terminal(chat)
        await chat.page.get_by_role("button", name="Terminal").click()
        await expect(screen(chat)).to_be_hidden()
        await chat.say("echo one")
        await chat.answered("echo one", "one")
        before = len(got)
        await chat.say("echo two")
        await chat.answered("echo two", "two")
        assert len(got) == before


async def test_a_recording_is_played_and_seeked(serve: Serve, chromium: str) -> None:
    async with serve() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("pause 1")
        await chat.answered("pause 1", "after the pause")
        await chat.say("echo the heron")
        await chat.answered("echo the heron", "the heron")
        await open_terminal(chat)
        await chat.page.get_by_role("tab", name="Recording").click()
        shown = chat.page.get_by_role("group", name="Screen of the recording")
        slider = chat.page.get_by_role("slider", name="Position")
        await expect(shown).to_be_visible()
        await expect(chat.page.get_by_text("Loading")).to_be_hidden()
        await slider.press("End")
        await expect(shown).to_contain_text("the heron")
        assert re.fullmatch(r"\d:\d\d of \d:\d\d", await slider.get_attribute("aria-valuetext") or "")
        await slider.press("Home")
        await expect(shown).not_to_contain_text("the heron")
        await chat.page.get_by_role("combobox", name="Speed").select_option("8×")
        await chat.button("Play").click()
        await expect(shown).to_contain_text("the heron")
        await expect(chat.button("Play")).to_be_visible()  # it has come to its end
        link = chat.page.get_by_role("link", name="Download the recording")
        async with chat.page.expect_download() as download:
            await link.click()
        assert (await download.value).suggested_filename == f"{chat.session_id}.cast"


async def test_a_session_without_a_recording_says_so(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        session_id = await served.session()
        await chat.visit(f"/sessions/{session_id}/terminal")
        await chat.page.get_by_role("tab", name="Recording").click()
        await expect(chat.page.get_by_text("Nothing was recorded yet.")).to_be_visible()
        chat.problems.clear()  # the browser's own note of the 404


@pytest.mark.parametrize("columns", [80, 200])
async def test_the_screen_fits_a_telephone_or_scrolls(serve_demo: Serve, chromium: str, columns: int) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url, width=390, height=800) as chat:
        session_id = await served.session(columns=columns)
        await served.chat("hello", session_id)
        await chat.visit(f"/sessions/{session_id}/terminal")
        await expect(screen(chat)).to_contain_text("hello")
        widths: list[float] = await screen(chat).evaluate("element => [element.scrollWidth, element.clientWidth]")
        page: list[float] = await chat.page.evaluate(
            "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert page[0] <= page[1], "the page itself never scrolls sideways"
        assert (widths[0] <= widths[1]) == (columns == 80), widths
