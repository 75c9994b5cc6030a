"""What was said long ago: inherited by a fork, trimmed from the journal, or just a lot. Once each, and in order."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.page.driving import chat_page
from tests.page.journals import Telling, exchange
from tests.server.served import TIMEOUT, no_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.page.driving import ChatPage
    from tests.server.conftest import Serve
    from tests.server.served import Logged, Served

TOP = "(turn) => turn.getBoundingClientRect().top"

IN_PLACE = "([answer, top]) => Math.abs(answer.getBoundingClientRect().top - top) <= 30"
"""A function of the page's: whether an answer is where it was, but for what rendering the turn above moves it."""


@pytest.fixture(autouse=True)
def logged() -> Iterator[Logged]:
    """What the server logs; nothing of these tests may be a fault."""
    with no_faults() as found:
        yield found


def numbered(first: int, last: int) -> list[tuple[str, str | None]]:
    """Exchanges that can be told apart."""
    return [(f"question {number}", f"The **answer {number}**.\n\nIts end.") for number in range(first, last + 1)]


async def asked(chat: ChatPage) -> list[str]:
    """The messages on the page, from the top."""
    return await chat.page.locator(".message-text").all_text_contents()


async def shown(chat: ChatPage) -> list[tuple[str, str]]:
    """The turns on the page, from the top: what was asked, and what was answered."""
    found: list[list[str]] = await chat.turns.evaluate_all(
        "(turns) => turns.map((turn) => [turn.querySelector('.message-text')?.textContent ?? '',"
        " [...turn.querySelectorAll('.block')].map((block) => block.textContent).join(' ')])"
    )
    return [(question, " ".join(answered.split())) for question, answered in found]


def expected(first: int, last: int) -> list[tuple[str, str]]:
    """What `shown` should find of exchanges with these numbers."""
    return [(f"question {number}", f"The answer {number}. Its end.") for number in range(first, last + 1)]


async def trim(served: Served, session_id: str) -> int:
    """Have the journal forget what is beyond its bounds; the number of the first event that it still has."""
    journal = (await served.loaded(session_id)).journal
    await journal.durable()
    await journal.trim()
    return journal.first_seq


async def rendered(chat: ChatPage, number: int) -> None:
    """Wait until the answer of an exchange is there, rendered."""
    await expect(chat.turn(f"question {number}").locator("strong")).to_have_text(f"answer {number}")


async def test_a_fork_shows_what_it_inherited_once_and_rendered(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        origin = await served.session()
        await exchange(served, origin, numbered(1, 3))
        _, fork = await served.ask("POST", f"/api/v1/sessions/{origin}/fork", {})
        await chat.visit(f"/sessions/{fork['session_id']}")
        for number in (1, 2, 3):
            await rendered(chat, number)
        assert await shown(chat) == expected(1, 3)
        await chat.say("echo 4")
        await chat.answered("echo 4", "4")
        assert await asked(chat) == ["question 1", "question 2", "question 3", "echo 4"]
        await chat.page.reload()
        await rendered(chat, 1)
        await chat.answered("echo 4", "4")
        assert await asked(chat) == ["question 1", "question 2", "question 3", "echo 4"]
        await expect(chat.button("Show earlier messages")).to_be_hidden()


async def test_what_the_fork_has_of_its_own_doesnt_hide_what_it_inherited(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        origin = await served.session()
        await exchange(served, origin, numbered(1, 2))
        _, fork = await served.ask("POST", f"/api/v1/sessions/{origin}/fork", {})
        await exchange(served, fork["session_id"], numbered(3, 60))
        await chat.visit(f"/sessions/{fork['session_id']}")
        for number in (1, 2, 60):
            await rendered(chat, number)
        assert await asked(chat) == [f"question {number}" for number in range(1, 61)]
        await expect(chat.button("Show earlier messages")).to_be_hidden()


async def test_a_trimmed_journal_goes_on_from_the_list_of_messages(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo(journal_events=20) as served, chat_page(chromium, served.url) as chat:
        session = await served.session()
        await exchange(served, session, numbered(1, 9))
        assert await trim(served, session) > 1
        await chat.visit(f"/sessions/{session}")
        for number in (1, 9):
            await rendered(chat, number)
        assert await shown(chat) == expected(1, 9)
        await expect(chat.button("Show earlier messages")).to_be_hidden()
        await expect(chat.state).to_have_text("asleep")


async def test_a_turn_without_its_beginning_shows_its_message_and_can_be_stopped(
    serve_demo: Serve, chromium: str
) -> None:
    async with serve_demo(journal_events=8) as served, chat_page(chromium, served.url) as chat:
        session = await served.session()
        await exchange(served, session, numbered(1, 2))
        journal = (await served.loaded(session)).journal
        told = Telling(journal, "question 3")
        for number in range(12):
            told.tool(f"tool-{number}", f"tool number {number}", {})
        await trim(served, session)
        assert journal.first_seq > journal.last_seq - 12
        await chat.visit(f"/sessions/{session}")
        await expect(chat.page.locator(".tool-name").last).to_have_text("tool number 11")
        await expect(chat.button("Stop (Esc)")).to_be_visible()
        await rendered(chat, 2)
        assert await asked(chat) == ["question 1", "question 2"]  # the third is in no list: its turn isn't a real one
        told.message("At last.")
        told.completed()
        await expect(chat.turns.last).to_have_attribute("data-status", "completed")
        await expect(chat.turns.last).to_contain_text("At last.")


async def test_a_real_turn_without_its_beginning_shows_its_message(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo(journal_events=30) as served, chat_page(chromium, served.url) as chat:
        session = await served.session()
        turn_id = (await served.chat("slow 1", session))["turn_id"]
        journal = (await served.loaded(session)).journal
        for number in range(40):
            journal.append({"type": "notice", "turn_id": turn_id, "code": "late", "text": f"late {number}"})
        first = await trim(served, session)
        await chat.visit(f"/sessions/{session}")
        await expect(chat.page.locator(".notice").last).to_have_text("late 39")
        assert first > 1
        await expect(chat.page.locator(".message-text")).to_have_text("slow 1")
        await expect(chat.page.locator(".segment")).to_contain_text("part 1")
        assert await chat.turns.count() == 1


async def test_a_question_that_was_asked_before_the_kept_part_is_still_asked(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo(journal_events=5) as served, chat_page(chromium, served.url) as chat:
        session = await served.session()
        await served.chat("bash echo allowed", session)
        journal = (await served.loaded(session)).journal
        for number in range(20):
            journal.append({"type": "notice", "code": "late", "text": f"late {number}"})
        await trim(served, session)
        await chat.visit(f"/sessions/{session}")
        await expect(chat.page.locator(".question pre")).to_have_text("echo allowed")
        await expect(chat.state).to_have_text("asks for permission")
        await expect(chat.page.locator(".message-text")).to_have_text("bash echo allowed")
        await chat.button("Allow").click()
        await chat.answered("bash echo allowed", "allowed")


async def test_earlier_messages_come_page_by_page_and_the_reader_stays_in_place(
    serve_demo: Serve, chromium: str
) -> None:
    async with serve_demo(journal_events=20) as served, chat_page(chromium, served.url) as chat:
        session = await served.session()
        turns = numbered(1, 90)
        for failed in (12, 40, 70):  # one message instead of two: pages end in the middle of a turn
            turns[failed - 1] = (f"question {failed}", None)
        await exchange(served, session, turns)
        await trim(served, session)
        await chat.visit(f"/sessions/{session}")
        await rendered(chat, 90)
        more = chat.button("Show earlier messages")
        pages = 0
        while True:
            await expect(chat.page.locator(".segment .tail:not(:empty)")).to_have_count(0)
            if await more.is_hidden():
                break
            held = await chat.turns.first.locator(".answer").element_handle()
            assert held is not None
            before = await chat.turns.count()
            await more.scroll_into_view_if_needed()
            place = await held.evaluate(TOP)
            await more.focus()
            await more.press("Enter")
            await expect(chat.turns).not_to_have_count(before)
            pages += 1
            await expect(chat.page.locator(".segment .tail:not(:empty)")).to_have_count(0)
            await chat.page.wait_for_function(IN_PLACE, arg=[held, place])
            assert await chat.page.evaluate("document.activeElement !== document.body")
        assert pages >= 3
        assert await asked(chat) == [f"question {number}" for number in range(1, 91)]
        answers = [answered for _, answered in await shown(chat)]
        assert [text for text in answers if text] == [
            f"The answer {number}. Its end." for number in range(1, 91) if number not in {12, 40, 70}
        ]


async def test_a_reader_who_is_behind_what_is_kept_ends_with_the_same_text(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo(journal_events=20) as served, chat_page(chromium, served.url) as chat:
        session = await served.session()
        await exchange(served, session, numbered(1, 5))
        await chat.visit(f"/sessions/{session}")
        await rendered(chat, 5)
        await chat.page.context.set_offline(True)
        cut(served)
        await expect(chat.page.locator("#banner")).to_be_visible()
        await exchange(served, session, numbered(6, 30))
        await trim(served, session)
        await chat.page.context.set_offline(False)
        await chat.page.evaluate("dispatchEvent(new Event('online'))")
        await rendered(chat, 30)
        await rendered(chat, 20)
        await chat.button("Show earlier messages").click()
        await rendered(chat, 1)
        await expect(chat.page.locator(".segment .tail:not(:empty)")).to_have_count(0)
        assert await shown(chat) == expected(1, 30)
        await expect(chat.state).to_have_text("asleep")


async def test_turns_that_come_while_earlier_ones_are_looked_up_are_not_doubled(
    serve_demo: Serve, chromium: str
) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        origin = await served.session()
        await exchange(served, origin, numbered(1, 3))
        _, fork = await served.ask("POST", f"/api/v1/sessions/{origin}/fork", {})
        holds, held = asyncio.Event(), asyncio.Event()

        async def hold(route) -> None:  # type: ignore[no-untyped-def]
            response = await route.fetch()
            held.set()
            await holds.wait()
            await route.fulfill(response=response)

        await chat.page.route(re.compile(r"/messages\?"), hold)
        await exchange(served, fork["session_id"], numbered(4, 4))
        await chat.visit(f"/sessions/{fork['session_id']}")
        await asyncio.wait_for(held.wait(), TIMEOUT)
        await exchange(served, fork["session_id"], numbered(5, 5))
        await rendered(chat, 5)
        holds.set()
        await rendered(chat, 1)
        assert await shown(chat) == expected(1, 5)


async def test_leaving_while_earlier_messages_are_looked_up_is_no_error(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        origin = await served.session()
        await exchange(served, origin, numbered(1, 3))
        _, fork = await served.ask("POST", f"/api/v1/sessions/{origin}/fork", {})
        asked_for = asyncio.Event()

        async def never(_: object) -> None:
            asked_for.set()

        await chat.page.route(re.compile(r"/messages\?"), never)
        await chat.visit(f"/sessions/{fork['session_id']}")
        await asyncio.wait_for(asked_for.wait(), TIMEOUT)
        await chat.page.get_by_role("link", name="qpty", exact=True).click()
        await expect(chat.page.get_by_role("heading", name="What shall we work on?")).to_be_visible()


async def test_earlier_messages_whose_rendering_was_lost_are_rendered_at_the_next_try(
    serve_demo: Serve, chromium: str
) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        origin = await served.session()
        await exchange(served, origin, numbered(1, 3))
        _, fork = await served.ask("POST", f"/api/v1/sessions/{origin}/fork", {})
        await chat.page.route("**/api/v1/markdown", lambda route: route.abort())
        await chat.visit(f"/sessions/{fork['session_id']}")
        await expect(chat.page.get_by_role("alert").filter(has_text="can’t be reached")).to_be_visible()
        await expect(chat.turn("question 3")).to_contain_text("The **answer 3**.")
        await chat.page.unroute("**/api/v1/markdown")
        await chat.button("Show earlier messages").click()
        for number in (1, 2, 3):
            await rendered(chat, number)
        assert await shown(chat) == expected(1, 3)
        await expect(chat.button("Show earlier messages")).to_be_hidden()


async def test_a_long_session_opens_at_its_newest_end(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        session = await served.session()
        await exchange(served, session, numbered(1, 300))
        await chat.visit(f"/sessions/{session}")
        await rendered(chat, 300)
        await expect(chat.turn("question 300")).to_be_in_viewport()
        await expect(chat.turns).to_have_count(300)
        await expect(chat.page.locator(".segment .tail:not(:empty)")).to_have_count(0)
        await expect(chat.turn("question 300").locator(".turn-foot")).to_be_in_viewport()
        assert await shown(chat) == expected(1, 300)
        await expect(chat.button("To the newest text")).to_be_hidden()


def cut(served: Served) -> None:
    """Cut every connection that the server has, as a network does."""
    for request in list(served.service.under_way):
        if request.transport is not None:
            request.transport.abort()
