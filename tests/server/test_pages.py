"""The pages, in a real browser: what a person sees, and the README's example in the page's console."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.server.browser import page_of
from tests.server.served import TIMEOUT
from tests.test_readme import blocks

if TYPE_CHECKING:
    from playwright.async_api import ConsoleMessage, Page

    from tests.server.conftest import Serve


def complaints(page: Page) -> list[str]:
    """What the browser complains of from now on: scripts and styles refused, files missing."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("requestfailed", lambda request: found.append(request.url))
    return found


async def test_the_example_of_the_readme_talks_to_a_session(serve_demo: Serve, chromium: str) -> None:
    (example,) = blocks("js")
    events: list[dict[str, Any]] = []
    ended = asyncio.Event()

    async def heard(message: ConsoleMessage) -> None:
        for argument in message.args:
            event = await argument.json_value()
            events.append(event)
            if event.get("type") == "turn.completed":
                ended.set()

    async with serve_demo() as served, page_of(chromium) as page:
        problems = complaints(page)
        await page.goto(served.url)
        page.on("console", heard)
        await page.evaluate(f"async () => {{ {example} }}")
        async with asyncio.timeout(TIMEOUT):
            await ended.wait()
        assert problems == []
    kinds = [event["type"] for event in events]
    assert {"hello", "ack", "turn.started", "message.completed"} <= set(kinds)


async def test_the_interface_can_be_read_and_tried(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, page_of(chromium) as page:
        problems = complaints(page)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{served.url}/docs")
        await page.click("text=Whether it can serve >> nth=0")
        await page.click("text=Try it out")
        await page.click("button.execute")
        shown = await page.inner_text(".live-responses-table .response-col_description pre >> nth=0")
        assert json.loads(shown)["status"] == "ok"
        assert problems == []
    assert all(url.startswith((served.url, "data:")) for url in asked)


async def test_a_person_signs_in_by_a_key(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, page_of(chromium) as page:
        key = await asyncio.to_thread(served.service.access.keys.create, "mine")
        await page.goto(served.url)
        await page.fill("#key", "not the key")
        await page.click("button")
        assert "not valid here" in await page.inner_text("[role=alert]")
        await page.fill("#key", key.key)
        await page.click("button")
        assert page.url == f"{served.url}/"
        await expect(page.locator("main")).to_contain_text("demo agent")


async def test_a_sign_in_leads_to_where_the_person_was_going(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, page_of(chromium) as page:
        key = await asyncio.to_thread(served.service.access.keys.create, "mine")
        served.headers["x-api-key"] = key.key
        path = f"/sessions/{await served.session(title='Mine')}/files"
        await page.goto(served.url + path)
        await page.fill("#key", "not the key")
        await page.click("button")
        await page.fill("#key", key.key)
        await page.click("button")
        await page.wait_for_function("() => document.title === 'Mine · qpty'")
        assert page.url == served.url + path


@pytest.mark.parametrize(
    "path", ["//example.org", "https://example.org", "/\\example.org", "/sessions/../login", "/api/v1/x"]
)
async def test_a_sign_in_leads_nowhere_else(serve_demo: Serve, path: str) -> None:
    async with serve_demo() as served:
        key = await asyncio.to_thread(served.service.access.keys.create, "mine")
        async with served.http.post(
            f"{served.url}/login", params={"next": path}, data={"key": key.key}, allow_redirects=False
        ) as response:
            assert (response.status, response.headers["Location"]) == (303, "/")
