"""The list of sessions and its dialogs, in a real browser: what a person does and sees."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from playwright.async_api import expect

from tests.page.complaints import complaints
from tests.server.browser import page_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Locator, Page

    from tests.server.conftest import Serve
    from tests.server.served import Served

SCREEN = 10_000


@asynccontextmanager
async def opened(
    serve_demo: Serve, chromium: str, *, width: int = 1280, path: str = "/"
) -> AsyncIterator[tuple[Served, Page]]:
    """A service and its page, which the browser finds nothing wrong with."""
    async with serve_demo() as served, page_of(chromium, width=width) as page:
        problems = complaints(page)
        page.set_default_timeout(SCREEN)
        await page.goto(served.url + path)
        yield served, page
        assert problems == []


def titles(page: Page) -> Locator:
    """The titles in the list."""
    return page.locator(".session-title")


async def menu(page: Page, title: str, choice: str) -> None:
    """Choose from a session's menu."""
    await page.locator(".session-row", has_text=title).get_by_role("button").click()
    await page.get_by_role("menuitem", name=choice, exact=True).click()


async def test_a_search_shows_what_fits_and_then_all_again(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium) as (served, page):
        for title in ("Heron nests", "Stork nests", "100% sure"):
            await served.session(title=title)
        await page.reload()
        await expect(titles(page)).to_have_text(["100% sure", "Stork nests", "Heron nests"])
        search = page.get_by_role("searchbox", name="Search sessions")
        await search.fill("NESTS")
        await expect(titles(page)).to_have_text(["Stork nests", "Heron nests"])
        await expect(page.locator("#polite")).to_have_text("2 sessions found")
        await search.fill("%")
        await expect(titles(page)).to_have_text(["100% sure"])
        await search.fill("gull")
        await expect(page.get_by_text("No session’s title has this in it.")).to_be_visible()
        await search.press("Escape")
        await expect(titles(page)).to_have_count(3)


async def test_the_list_follows_without_losing_focus_or_place(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium) as (served, page):
        made = [await served.session(title=f"Session {number:02}") for number in range(60)]
        await page.reload()
        await expect(titles(page)).to_have_count(50)
        await page.locator(".session-scroll").evaluate("place => place.scrollTo(0, place.scrollHeight)")
        await expect(titles(page)).to_have_count(60)
        link = page.get_by_role("link", name="Session 30")
        await link.focus()
        await page.evaluate("() => { window.row = document.activeElement.closest('li'); }")
        before = await link.evaluate("link => link.getBoundingClientRect().top")
        await served.ask("PATCH", f"/api/v1/sessions/{made[30]}", {"title": "Renamed elsewhere"})
        await served.chat("hello", made[58])
        await served.ask("DELETE", f"/api/v1/sessions/{made[57]}")
        await expect(titles(page).first).to_have_text("Session 58")
        await expect(page.locator(".session-row").first).to_contain_text("ready")
        await expect(page.get_by_text("Session 57")).to_have_count(0)
        await expect(page.get_by_role("link", name="Renamed elsewhere")).to_be_focused()
        assert await page.evaluate("() => document.activeElement.closest('li') === window.row")
        after = await page.locator(":focus").evaluate("link => link.getBoundingClientRect().top")
        assert abs(after - before) < 80
        await expect(titles(page)).to_have_count(59)


async def test_a_hostile_title_runs_nothing_and_shows_what_is_hidden(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium) as (served, page):
        title = "<img src=x onerror='window.ran=1'>\u202etxt.exe"
        await served.session(title=title)
        await page.reload()
        await expect(titles(page)).to_have_text(["<img src=x onerror='window.ran=1'>U+202Etxt.exe"])
        await menu(page, "txt.exe", "Delete")
        await expect(page.get_by_role("dialog")).to_contain_text("U+202Etxt.exe")
        assert await page.evaluate("() => window.ran") is None
        assert await page.locator(".session-title img").count() == 0


async def test_a_session_is_renamed(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium) as (served, page):
        session_id = await served.session(title="before")
        await page.goto(f"{served.url}/sessions/{session_id}")
        await menu(page, "before", "Rename")
        field = page.get_by_role("textbox", name="Title")
        await expect(field).to_be_focused()
        await field.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.get_by_role("button", name="What to do with “before”")).to_be_focused()
        await menu(page, "before", "Rename")
        await field.fill("after <b>")
        await field.press("Enter")
        await expect(titles(page)).to_have_text(["after <b>"])
        await expect(page.locator("#title")).to_have_text("after <b>")
        assert (await served.ask("GET", f"/api/v1/sessions/{session_id}"))[1]["title"] == "after <b>"
        await menu(page, "after", "Rename")
        await field.fill(" ")
        await page.get_by_role("button", name="Rename", exact=True).click()
        await expect(titles(page)).to_have_text(["Untitled"])
        assert (await served.ask("GET", f"/api/v1/sessions/{session_id}"))[1]["title"] is None


async def test_a_session_is_made_with_options(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium) as (served, page):
        await page.get_by_role("button", name="New session with options").click()
        dialog = page.get_by_role("dialog", name="New session")
        prompt = dialog.get_by_role("textbox", name="System prompt")
        await expect(prompt).to_be_focused()
        await prompt.fill("Be short.")
        await dialog.get_by_role("combobox", name="Model").fill("not a name")
        await dialog.get_by_label("Only these").check()
        await dialog.get_by_label("fs_read").check()
        await dialog.get_by_role("textbox", name="Others").fill("@git/log, @git/diff")
        await dialog.get_by_text("Advanced").click()
        await dialog.get_by_label("Columns of the terminal").fill("132")
        create = dialog.get_by_role("button", name="Create")
        await create.click()
        model = dialog.get_by_role("combobox", name="Model")
        await expect(model).to_have_attribute("aria-invalid", "true")
        await expect(model).to_be_focused()
        await model.fill("demo-haiku")
        await dialog.get_by_label("Columns of the terminal").fill("5")
        await create.click()
        columns = dialog.get_by_label("Columns of the terminal")
        await expect(columns).to_be_focused()
        await expect(dialog.locator(".dialog-pair .problem").first).to_contain_text("20")
        await expect(model).not_to_have_attribute("aria-invalid", "true")
        await columns.fill("132")
        await create.click()
        await page.wait_for_url("**/sessions/*")
        _, found = await served.ask("GET", f"/api/v1/sessions/{page.url.rpartition('/')[2]}")
        assert (found["system_prompt"], found["model"], found["columns"]) == ("Be short.", "demo-haiku", 132)
        assert found["trusted_tools"] == ["fs_read", "@git/log", "@git/diff"]
        await expect(page.locator(".session-link[aria-current=page]")).to_have_count(1)


async def test_an_agent_has_its_own_prompt(serve_demo: Serve, chromium: str, tmp_path: Path) -> None:
    directory = tmp_path / "home" / ".aws" / "amazonq" / "cli-agents"
    await asyncio.to_thread(directory.mkdir, parents=True)
    (directory / "reviewer.json").write_text(json.dumps({"name": "reviewer", "description": "Reviews <b>code"}))
    async with opened(serve_demo, chromium) as (served, page):
        await page.get_by_role("button", name="New session with options").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("combobox", name="Agent").select_option("reviewer — Reviews <b>code")
        await expect(dialog.get_by_role("textbox", name="System prompt")).to_be_disabled()
        await dialog.get_by_label("All: nothing asks for permission").check()
        await dialog.get_by_role("button", name="Create").click()
        await page.wait_for_url("**/sessions/*")
        _, found = await served.ask("GET", f"/api/v1/sessions/{page.url.rpartition('/')[2]}")
        assert (found["agent"], found["trust_all_tools"]) == ("reviewer", True)


async def test_a_session_is_deleted_once_the_loss_was_named(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium) as (served, page):
        other = await served.session(title="other")
        session_id = (await served.chat("hello"))["session_id"]
        await served.ask("PUT", f"/api/v1/sessions/{session_id}/files/notes.txt", data=b"x")
        await page.goto(f"{served.url}/sessions/{session_id}")
        await menu(page, "hello", "Delete")
        dialog = page.get_by_role("dialog", name="Delete this session?")
        await expect(dialog.get_by_role("listitem")).to_have_text(
            ["2 messages", "1 file of its directory", "the recording of its terminal"]
        )
        await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(dialog).to_have_count(0)
        assert (await served.ask("GET", f"/api/v1/sessions/{session_id}"))[0] == 200
        await menu(page, "hello", "Delete")
        await dialog.get_by_role("button", name="Delete").click()
        await page.wait_for_url(f"{served.url}/")
        await expect(titles(page)).to_have_text(["other"])
        assert (await served.ask("GET", f"/api/v1/sessions/{session_id}"))[0] == 404
        assert (await served.ask("GET", f"/api/v1/sessions/{other}"))[0] == 200


async def test_a_session_is_exported(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium) as (served, page):
        await served.chat("hello there")
        await page.reload()
        for choice, extension in (("Export as Markdown", "md"), ("Export as JSON", "json")):
            async with page.expect_download() as download:
                await menu(page, "hello there", choice)
            assert (await download.value).suggested_filename == f"hello there.{extension}"
            text = await asyncio.to_thread((await (await download.value).path()).read_text)
            assert "hello there" in text


async def test_the_list_is_worked_by_keys_on_a_narrow_screen(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium, width=390) as (served, page):
        await served.session(title="one")
        await page.reload()
        await page.get_by_role("button", name="Show sessions").press("Enter")
        await expect(page.get_by_role("link", name="one")).to_be_visible()
        more = page.get_by_role("button", name="What to do with “one”")
        await more.press("Enter")
        await expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
        await page.keyboard.press("ArrowUp")
        await expect(page.get_by_role("menuitem", name="Delete")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(more).to_be_focused()
        await more.press("Enter")
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Rename session")
        box = await dialog.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert await page.evaluate("() => document.documentElement.scrollWidth") <= 390


async def test_a_list_without_a_server_says_so_and_comes_back(serve_demo: Serve, chromium: str) -> None:
    async with serve_demo() as served, page_of(chromium) as page:
        await served.session(title="one")
        await page.route("**/api/v1/sessions?*", lambda route: route.abort())
        await page.goto(served.url)
        await expect(page.locator(".session-note")).to_contain_text("can’t be reached")
        await page.unroute("**/api/v1/sessions?*")
        await expect(titles(page)).to_have_text(["one"], timeout=SCREEN)
