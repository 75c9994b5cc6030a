"""The page as a person uses it: what is written, pressed and seen, by labels and roles."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from playwright.async_api import expect

from tests.server.browser import page_of
from tests.server.served import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import ConsoleMessage, Locator, Page

expect.set_options(timeout=TIMEOUT * 1000)


class ChatPage:
    """One tab with the page. `problems` is what its browser complained of: refused scripts, missing files."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.problems: list[str] = []
        page.set_default_timeout(TIMEOUT * 1000)
        page.on("console", self._heard)

    def _heard(self, message: ConsoleMessage) -> None:
        # A browser calls every refusal of the server an error; what the page makes of one is for tests to look at.
        refused = "Failed to load resource" in message.text and "/assets/" not in message.location["url"]
        lost = "WebSocket connection to" in message.text or "ERR_CONNECTION" in message.text
        if message.type == "error" and not refused and not lost:
            self.problems.append(message.text)

    async def visit(self, path: str = "/") -> None:
        """Go to an address of the page."""
        await self.page.goto(self.url + path)

    @property
    def field(self) -> Locator:
        """Where a message is written."""
        return self.page.get_by_role("textbox", name="Write a message")

    async def say(self, text: str) -> None:
        """Write a message and send it by Enter."""
        await self.field.fill(text)
        await self.field.press("Enter")

    @property
    def turns(self) -> Locator:
        """The turns, oldest first."""
        return self.page.locator("article.turn")

    def turn(self, message: str) -> Locator:
        """The newest turn of a message."""
        asked = self.page.locator(".message-text", has_text=re.compile(rf"^{re.escape(message)}$"))
        return self.turns.filter(has=asked).last

    async def answered(self, message: str, text: str | re.Pattern[str]) -> Locator:
        """Wait until a message is answered to its end, with a text in the answer; the turn."""
        turn = self.turn(message)
        await expect(turn).to_have_attribute("data-status", "completed")
        await expect(turn.locator(".answer")).to_contain_text(text)
        return turn

    @property
    def session_id(self) -> str:
        """The session in the address."""
        found = re.search(r"/sessions/([0-9a-f-]{36})", self.page.url)
        assert found is not None, self.page.url
        return found[1]

    @property
    def state(self) -> Locator:
        """What the page says of the session's state."""
        return self.page.locator("#state")

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """A button, by its label."""
        return self.page.get_by_role("button", name=name, exact=isinstance(name, str))


@asynccontextmanager
async def chat_page(address: str, url: str, **size: int) -> AsyncIterator[ChatPage]:
    """A tab of a browser with the page of a server. Whatever the browser complains of fails the test."""
    async with page_of(address, **size) as page:
        chat = ChatPage(page, url)
        yield chat
        assert chat.problems == []
