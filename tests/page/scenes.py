"""The page's views, each brought about as a person does: for looking at them, and for checks of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.page.driving import ChatPage


@dataclass(frozen=True, slots=True)
class Scene:
    """A view: its name, and what brings it about, from a fresh tab on."""

    name: str
    enter: Callable[[ChatPage], Awaitable[None]]


async def start(chat: ChatPage) -> None:
    """The first page."""
    await chat.visit()
    await expect(chat.field).to_be_visible()


async def answer(chat: ChatPage) -> None:
    """An answer with everything that markdown has."""
    await start(chat)
    await chat.say("markdown")
    await chat.answered("markdown", "A demo of markdown")
    await expect(chat.page.locator("pre.code .hl-k").first).to_be_visible()


async def tools(chat: ChatPage) -> None:
    """A tool that ran, opened."""
    await start(chat)
    await chat.say("bash printf 'one\\ntwo\\n' | tee list.txt")
    await chat.button("Allow").click()
    turn = await chat.answered("bash printf 'one\\ntwo\\n' | tee list.txt", "finished")
    await turn.locator("details.tool summary").click()
    await expect(turn.locator(".tool-output")).to_contain_text("two")


async def question(chat: ChatPage) -> None:
    """A permission that waits."""
    await start(chat)
    await chat.say("echo Let me look at the directory first.")
    await chat.answered("echo Let me look at the directory first.", "directory")
    await chat.say("bash ls -l && rm -rf build/*.tmp")
    await expect(chat.button("Allow")).to_be_visible()


async def failure(chat: ChatPage) -> None:
    """A turn that failed, and one that was stopped."""
    await start(chat)
    await chat.say("slow 60")
    await expect(chat.turn("slow 60").locator(".answer")).to_contain_text("part 1")
    await chat.button("Stop (Esc)").click()
    await chat.answered("slow 60", "Stopped.")
    await chat.say("boom")
    await expect(chat.turn("boom")).to_have_attribute("data-status", "failed")


async def editing(chat: ChatPage) -> None:
    """A message that is being changed."""
    await start(chat)
    await chat.say("echo first")
    turn = await chat.answered("echo first", "first")
    await turn.get_by_role("button", name="Change and send again").click()


async def files(chat: ChatPage) -> None:
    """The files of a session, one of them open."""
    await tools(chat)
    await chat.button("Files").click()
    await chat.page.locator("#panel").get_by_text("list.txt").first.click()
    await expect(chat.page.locator("#panel")).to_contain_text("two")


async def terminal(chat: ChatPage) -> None:
    """The terminal, beside what was said."""
    await tools(chat)
    await chat.button("Terminal").click()
    await expect(chat.page.locator("#panel")).to_contain_text("Completed in")


async def keyboard(chat: ChatPage) -> None:
    """The terminal with its keyboard taken over."""
    await terminal(chat)
    await chat.button("Take over the keyboard").click()
    await expect(chat.button("Give the keyboard back").first).to_be_visible()


async def recording(chat: ChatPage) -> None:
    """The terminal's recording."""
    await tools(chat)
    await chat.button("Terminal").click()
    await chat.page.get_by_role("tab", name="Recording").click()
    await expect(chat.page.locator("#panel").get_by_role("slider")).to_be_enabled()


async def new_session(chat: ChatPage) -> None:
    """The dialog of a new session, all of it."""
    await start(chat)
    await open_sessions(chat)
    await chat.button("New session with options").click()
    await chat.page.locator("dialog summary").first.click()


async def deleting(chat: ChatPage) -> None:
    """The question before a session is deleted."""
    await answer(chat)
    await open_sessions(chat)
    await chat.page.locator("#session-list [aria-haspopup=menu]").first.click()
    await chat.page.get_by_role("menuitem", name="Delete").click()
    await expect(chat.page.locator("dialog[open]")).to_be_visible()


async def not_found(chat: ChatPage) -> None:
    """A session that isn't there."""
    await chat.visit("/sessions/00000000-0000-4000-8000-000000000000")
    await expect(chat.page.get_by_role("heading", name="There is nothing here").first).to_be_visible()


async def sessions(chat: ChatPage) -> None:
    """The list of sessions, where it is a drawer."""
    await answer(chat)
    await open_sessions(chat)


async def open_sessions(chat: ChatPage) -> None:
    """Show the list of sessions, if it isn't."""
    shows = chat.button("Show sessions")
    if await shows.is_visible():
        await shows.click()


SCENES = tuple(
    Scene(enter.__name__, enter)
    for enter in (
        start, answer, tools, question, failure, editing, files, terminal, keyboard, recording, new_session, deleting,
        not_found, sessions,
    )
)  # fmt: skip
