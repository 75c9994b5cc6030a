"""What goes wrong on a person's way, and what the page makes of it: nothing that was written is lost."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.page.driving import chat_page

if TYPE_CHECKING:
    from playwright.async_api import FilePayload, Route

    from tests.page.driving import ChatPage
    from tests.server.conftest import Serve

NOTES: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"some notes"}


async def attach(chat: ChatPage, *files: FilePayload) -> None:
    """Attach files by the button."""
    async with chat.page.expect_file_chooser() as chooser:
        await chat.button("Attach files").click()
    await (await chooser.value).set_files(list(files))


class Held:
    """Requests to an address that wait until they may go on."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.may_go = asyncio.Event()

    async def handle(self, route: Route) -> None:
        """What a browser's request goes through."""
        self.came.set()
        await self.may_go.wait()
        await route.continue_()


async def test_a_message_whose_files_are_still_uploaded_is_sent_though_the_person_goes_elsewhere(
    serve_demo: Serve, chromium: str
) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        first, other = await served.session(title="first"), await served.session(title="other")
        held = Held()
        await chat.page.route("**/api/v1/**/files/**", held.handle)
        await chat.visit(f"/sessions/{first}")
        await attach(chat, NOTES)
        await chat.say("echo with notes")
        await held.came.wait()
        await expect(chat.field).not_to_be_editable()
        await expect(chat.button("Attach files")).to_be_disabled()
        await chat.page.get_by_role("link", name=re.compile("^other")).click()
        await chat.page.wait_for_url(f"**/{other}")
        await chat.field.fill("mine")
        held.may_go.set()
        await served.until(f"/api/v1/sessions/{first}/events", lambda event: event["type"] == "turn.completed")
        _, found = await served.ask("GET", f"/api/v1/sessions/{first}/messages")
        assert found["messages"][0]["text"] == "echo with notes\n\nAttached file: `notes.txt`"
        await expect(chat.field).to_have_value("mine")
        await chat.page.get_by_role("link", name=re.compile("^first")).click()
        await expect(chat.page.locator(".message-text")).to_have_count(1)
        await expect(chat.field).to_have_value("")


async def test_a_first_message_on_its_way_doesnt_pull_the_person_back(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        other = await served.session(title="other")
        held = Held()
        await chat.page.route(lambda url: url.endswith("/api/v1/sessions"), held.handle)
        await chat.visit()
        await chat.say("echo late")
        await held.came.wait()
        await chat.page.get_by_role("link", name=re.compile("^other")).click()
        await chat.page.wait_for_url(f"**/{other}")
        held.may_go.set()
        await expect(chat.page.get_by_role("link", name=re.compile("^echo late"))).to_be_visible()
        assert chat.session_id == other


async def test_a_message_that_was_sent_unseen_and_not_answered_is_sent_once(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        first, other = await served.session(title="first"), await served.session(title="other")
        held = Held()
        await chat.page.route("**/api/v1/**/files/**", held.handle)

        async def lose_the_answer(route: Route) -> None:
            if route.request.method == "POST":
                await route.fetch()
                await route.abort()
            else:
                await route.continue_()

        await chat.page.route("**/messages*", lose_the_answer)
        await chat.visit(f"/sessions/{first}")
        await attach(chat, NOTES)
        await chat.say("echo once")
        await held.came.wait()
        await chat.page.get_by_role("link", name=re.compile("^other")).click()
        await chat.page.wait_for_url(f"**/{other}")
        held.may_go.set()
        await expect(chat.page.locator(".toast.bad")).to_be_visible()
        await chat.page.get_by_role("link", name=re.compile("^first")).click()
        await expect(chat.turns.first).to_have_attribute("data-status", "completed")
        await chat.say("echo after")
        await chat.answered("echo after", "after")
        await expect(chat.page.locator("#waiting")).to_be_empty()
        _, found = await served.ask("GET", f"/api/v1/sessions/{first}/messages")
        asked = [message["text"] for message in found["messages"] if message["role"] == "user"]
        assert asked == ["echo once\n\nAttached file: `notes.txt`", "echo after"]


async def test_a_message_that_is_too_long_is_given_back(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("echo one")
        await chat.answered("echo one", "one")
        await chat.field.focus()
        await chat.page.evaluate("() => { document.querySelector('#composer-text').value = '再'.repeat(400_000); }")
        await chat.page.keyboard.press("Enter")
        await expect(chat.page.locator("#composer-problem")).to_contain_text("too long")
        assert len(await chat.page.locator("#composer-text").input_value()) == 400_000
        await chat.say("echo two")
        await chat.answered("echo two", "two")


async def test_a_session_that_cant_be_opened_now_is_tried_again_and_its_first_message_sent(
    serve_demo: Serve, chromium: str
) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        refusals = 2

        async def refuse(route: Route) -> None:
            nonlocal refusals
            if route.request.method != "GET" or refusals == 0:
                await route.continue_()
                return
            refusals -= 1
            await route.abort()

        await chat.page.route(re.compile(r"/api/v1/sessions/[0-9a-f-]{36}$"), refuse)
        await chat.visit()
        await chat.say("echo after all")
        for _ in range(2):
            await chat.button("Try again").click()
        await chat.answered("echo after all", "after all")


async def test_a_message_to_a_session_that_was_deleted_meanwhile_is_given_back(
    serve_demo: Serve, chromium: str
) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say("echo one")
        await chat.answered("echo one", "one")
        await chat.page.context.set_offline(True)
        await chat.say("echo important")
        await expect(chat.page.locator("#waiting")).to_contain_text("echo important")
        await served.ask("DELETE", f"/api/v1/sessions/{chat.session_id}")
        await chat.page.context.set_offline(False)
        await expect(chat.page.locator("#banner")).to_have_text("This session was deleted.")
        await expect(chat.field).to_have_value("echo important")
        await expect(chat.field).not_to_be_editable()
        await expect(chat.page.locator("#waiting")).to_be_empty()


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("a" + "🌍" * 70 + ".tx", "a" + "🌍" * 44 + ".tx"),
        ("再" * 100 + ".txt", "再" * 60 + ".txt"),
        (".. ..", "file"),
        (" -x.txt ", "x.txt"),
        ("a\u202eb`'\"c.txt", "abc.txt"),
    ],
)
async def test_any_file_can_be_attached(serve_demo: Serve, chromium: str, given: str, name: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await chat.visit(f"/sessions/{await served.session()}")
        await attach(chat, {**NOTES, "name": given})
        await chat.say("echo it")
        await expect(chat.page.locator(".message-text")).to_contain_text("Attached file:")
        _, found = await served.ask("GET", f"/api/v1/sessions/{chat.session_id}/files")
        assert [file["name"] for file in found["files"]] == [name]


@pytest.mark.parametrize("path", ["/sessions/%ff", "/sessions/%E0%A4%A", "/sessions/x/files"])
async def test_an_address_that_is_none_says_so(serve_demo: Serve, chromium: str, path: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await chat.visit(path)
        await expect(chat.page.get_by_role("heading", name="There is nothing here").first).to_be_visible()
        await chat.page.locator("#conversation").get_by_role("link", name="New session").click()
        await chat.say("hello")
        await chat.answered("hello", "Hello")


async def test_what_a_permission_doesnt_show_cant_be_allowed(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await chat.visit()
        await chat.say(f"bash true {'x' * 30_000} ; echo the end of it")
        await expect(chat.button("Allow")).to_be_disabled()
        await expect(chat.button("Always allow in this session")).to_be_disabled()
        await expect(chat.button("Refuse")).to_be_enabled()
        for _ in range(2):  # of the command, and of its summary
            await expect(chat.button("Allow")).to_be_disabled()
            await chat.page.locator(".question .unread").first.click()
        await expect(chat.page.locator(".question pre").first).to_contain_text("the end of it")
        await chat.button("Allow").click()
        await expect(chat.turns.last).to_have_attribute("data-status", "completed")
