"""The files of a session, in a real browser: looked at, put, taken away, and what a turn changed."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.async_api import FilePayload, expect

from tests.page.complaints import complaints
from tests.server.browser import page_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Locator, Page

    from tests.server.conftest import Serve
    from tests.server.served import Served

SCREEN = 10_000

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP8z8DAwMDAxMDAwMDAAAANHQEDasKb6QAAAABJRU5ErkJggg=="
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>window.top.ran=1</script></svg>'


@dataclass
class Files:
    """A session's files in a page."""

    served: Served
    page: Page
    session_id: str
    directory: Path

    def row(self, name: str) -> Locator:
        """A row of the tree."""
        return self.page.get_by_role("treeitem").filter(
            has=self.page.locator(".tree-name").get_by_text(name, exact=True)
        )

    async def look(self) -> None:
        """Have the page look again."""
        await self.page.get_by_role("button", name="Look again").click()

    async def drop(self, selector: str, name: str, content: str) -> None:
        """Drop a file."""
        transfer = await self.page.evaluate_handle(
            """([name, content]) => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([content], name));
                return transfer;
            }""",
            [name, content],
        )
        for event in ("dragover", "drop"):
            await self.page.dispatch_event(selector, event, {"dataTransfer": transfer})


@asynccontextmanager
async def opened(
    serve_demo: Serve, chromium: str, *, width: int = 1280, files: dict[str, bytes] | None = None, **settings: Any
) -> AsyncIterator[Files]:
    """A session with files, and the page that shows them; the browser finds nothing wrong with it."""
    async with serve_demo(**settings) as served, page_of(chromium, width=width) as page:
        problems = complaints(page)
        page.set_default_timeout(SCREEN)
        session_id = await served.session(title="with files", trust_all_tools=True)
        _, found = await served.ask("GET", f"/api/v1/sessions/{session_id}")
        directory = Path(found["absolute_work_directory"])
        for name, content in (files or {}).items():
            await asyncio.to_thread((directory / name).parent.mkdir, parents=True, exist_ok=True)
            await asyncio.to_thread((directory / name).write_bytes, content)
        await page.goto(f"{served.url}/sessions/{session_id}/files")
        yield Files(served, page, session_id, directory)
        assert problems == []


async def test_a_tree_is_unfolded_and_a_text_is_shown(serve_demo: Serve, chromium: str) -> None:
    text = "first\n\ttwo \u202e\u200b\n<script>window.ran=1</script>\r\nlast"
    async with opened(serve_demo, chromium, files={"src/deep/a.py": text.encode(), "empty": b""}) as files:
        page = files.page
        await expect(page.locator(".tree-name")).to_have_text(["src", "empty"])
        await files.row("src").click()
        await files.row("deep").click()
        await expect(files.row("deep")).to_have_attribute("aria-level", "2")
        await files.row("a.py").click()
        await expect(page.locator(".preview-name")).to_have_text("src/deep/a.py")
        await expect(page.locator(".line")).to_have_text(
            ["first", "two U+202EU+200B", "<script>window.ran=1</script>", "last"], use_inner_text=True
        )
        assert await page.evaluate("() => window.ran") is None
        await page.get_by_role("button", name="Back to the files").click()
        await expect(files.row("a.py")).to_be_focused()
        await files.row("empty").click()
        await expect(page.get_by_text("This file is empty.")).to_be_visible()


async def test_images_are_shown_and_what_is_none_says_so(serve_demo: Serve, chromium: str) -> None:
    given = {
        "a.png": PNG,
        "b.svg": SVG,
        "broken.png": b"<script>",
        "c.bin": b"\x00\x01",
        "d.txt": bytes(range(128, 256)),
    }
    async with opened(serve_demo, chromium, files=given) as files:
        page = files.page
        for name, width in (("a.png", 2), ("b.svg", 9)):
            await files.row(name).click()
            image = page.get_by_role("img", name=f"Image {name}")
            await expect(image).to_be_visible()
            await page.wait_for_function("() => document.querySelector('.preview-image img')?.naturalWidth > 0")
            assert await image.evaluate("image => image.naturalWidth") == width
            await page.get_by_role("button", name="Back to the files").click()
        await files.row("broken.png").click()
        await expect(page.get_by_text("This image can’t be shown")).to_be_visible()
        for name in ("c.bin", "d.txt"):
            await page.get_by_role("button", name="Back to the files").click()
            await files.row(name).click()
            await expect(page.get_by_text("This is no text.")).to_be_visible()
        assert await page.evaluate("() => window.ran") is None


async def test_a_long_text_comes_in_parts_that_fit_together(serve_demo: Serve, chromium: str) -> None:
    lines = [f"{number} " + "é" * 40 for number in range(8000)]  # the parts end within a line, and within a letter
    async with opened(serve_demo, chromium, files={"long.txt": ("\n".join(lines) + "\n").encode()}) as files:
        page = files.page
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.headers.get("range", "")))
        await files.row("long.txt").click()
        more = page.get_by_role("button", name="Show more (")
        for _ in range(2):
            await more.click()
        await expect(more).to_have_count(0)
        await page.wait_for_function("() => document.querySelectorAll('.line').length >= 8000")
        shown = await page.evaluate(
            "() => [...document.querySelectorAll('.line')].map((line) => (line.className === 'line' ? '\\n' : '')"
            " + line.textContent).join('').slice(1).split('\\n')"
        )
        assert shown == lines
        assert [header for header in asked if header] == [f"bytes={at}-{at + 262143}" for at in (0, 262144, 524288)]


async def test_a_file_is_downloaded(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium, files={"a%41.txt": b"some text"}) as files:
        page = files.page
        await files.row("a%41.txt").get_by_role("button").click()
        async with page.expect_download() as download:
            await page.get_by_role("menuitem", name="Download").click()
        assert (await download.value).suggested_filename == "a%41.txt"
        assert (await asyncio.to_thread((await (await download.value).path()).read_bytes)) == b"some text"


async def test_files_are_uploaded_by_the_button_and_may_replace(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium) as files:
        page = files.page
        await expect(page.get_by_text("No files yet.")).to_be_visible()

        async def choose(*contents: bytes) -> None:
            async with page.expect_file_chooser() as chooser:
                await page.get_by_role("button", name="Upload", exact=True).click()
            await (await chooser.value).set_files(
                [
                    FilePayload(name=f"{number}.txt", mimeType="text/plain", buffer=content)
                    for number, content in enumerate(contents)
                ]
            )

        await choose(b"first", b"second")
        await expect(files.row("0.txt")).to_be_visible()
        await expect(files.row("1.txt")).to_be_visible()
        assert (files.directory / "0.txt").read_bytes() == b"first"
        await choose(b"again")
        dialog = page.get_by_role("dialog", name="Replace this file?")
        await expect(dialog).to_contain_text("0.txt")
        await dialog.get_by_role("button", name="Cancel").click()
        await expect(page.locator(".upload")).to_have_count(0)
        assert (files.directory / "0.txt").read_bytes() == b"first"
        await choose(b"once more")
        await dialog.get_by_role("button", name="Replace").click()
        await expect(page.locator(".upload")).to_have_count(0)
        await expect(files.row("0.txt")).to_contain_text("9 byte")
        assert (files.directory / "0.txt").read_bytes() == b"once more"


async def test_files_are_dropped_where_they_are_meant_to_be(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium, files={"below/x": b"x"}, max_file_bytes=1000) as files:
        page = files.page
        await expect(files.row("below")).to_be_visible()
        await files.drop(".files", "top.txt", "top")
        await expect(files.row("top.txt")).to_be_visible()
        await files.drop(".tree-row[data-path='below']", "<b>\u202e.txt", "in it")
        await files.row("below").click()
        await expect(page.locator(".tree-name").nth(1)).to_have_text("<b>U+202E.txt")
        assert (files.directory / "below" / "<b>\u202e.txt").read_text() == "in it"
        await files.drop(".files", "large.txt", "x" * 1001)
        await expect(page.locator(".upload .problem")).to_contain_text("large.txt is too large")
        await page.locator(".upload").get_by_role("button").click()
        await expect(page.locator(".uploads")).to_be_hidden()
        assert not (files.directory / "large.txt").exists()


async def test_files_are_deleted_after_a_question(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium, files={"a.txt": b"x", "b.txt": b"x", "below/x": b"x"}) as files:
        page = files.page
        await files.row("a.txt").focus()
        await page.keyboard.press("Delete")
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("a.txt")
        await page.keyboard.press("Escape")
        await expect(files.row("a.txt")).to_be_focused()
        await page.keyboard.press("Delete")
        await dialog.get_by_role("button", name="Delete").click()
        await expect(files.row("a.txt")).to_have_count(0)
        assert not (files.directory / "a.txt").exists()
        await expect(files.row("b.txt")).to_be_visible()
        await files.row("below").get_by_role("button").click()
        await page.get_by_role("menuitem", name="Delete").click()
        await dialog.get_by_role("button", name="Delete").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("isn’t empty")
        await page.keyboard.press("Escape")
        await files.row("b.txt").click()
        await page.locator(".preview-head").get_by_role("button", name="Delete").click()
        await dialog.get_by_role("button", name="Delete").click()
        await expect(page.locator(".preview")).to_be_hidden()
        assert not (files.directory / "b.txt").exists()


async def test_what_a_turn_changed_is_marked(serve: Serve, chromium: str) -> None:
    async with opened(serve, chromium, files={"old.txt": b"old"}) as files:
        page = files.page
        await expect(files.row("old.txt")).to_be_visible()
        await page.fill("#composer-text", "write new.txt some text")
        await page.press("#composer-text", "Enter")
        await expect(files.row("new.txt").locator(".changed")).to_be_visible(timeout=30_000)
        await expect(files.row("old.txt").locator(".changed")).to_be_hidden()
        await files.row("new.txt").click()
        await expect(page.locator(".line")).to_have_text(["some text"])
        await expect(page.locator(".preview-facts .changed")).to_be_visible()
        await expect(page.locator("#state")).to_have_text("ready", timeout=30_000)
        await page.fill("#composer-text", "hello")
        await page.press("#composer-text", "Enter")
        await expect(page.locator(".preview-facts .changed")).to_have_count(0)
        await page.get_by_role("button", name="Back to the files").click()
        await expect(files.row("new.txt").locator(".changed")).to_be_hidden()


async def test_hostile_names_run_nothing_and_can_be_read(serve_demo: Serve, chromium: str) -> None:
    names = ["<img src=x onerror=window.ran=1>", "a\u202etxt.exe", "line\nbreak\t", "\u200b", "%2e%2e", "'\"`&lt;"]
    async with opened(serve_demo, chromium, files={name: name.encode() for name in names}) as files:
        page = files.page
        (files.directory / "link").symlink_to("/etc/passwd")
        await files.look()
        await expect(files.row("link")).to_be_visible()
        shown = await page.locator(".tree-name").all_inner_texts()
        assert set(shown) == {
            "<img src=x onerror=window.ran=1>", "aU+202Etxt.exe", "lineU+000AbreakU+0009", "U+200B", "%2e%2e",
            "'\"`&lt;", "link",
        }  # fmt: skip
        for name in shown:
            if name == "link":
                continue
            await files.row(name).click()
            await expect(page.locator(".line").first).to_be_visible()
            await expect(page.locator(".preview-name")).to_have_text(name)
            await page.get_by_role("button", name="Back to the files").click()
        await files.row("link").click()
        await expect(page.locator(".preview")).to_be_hidden()
        assert await page.evaluate("() => window.ran") is None
        assert await page.locator(".files img").count() == 0


async def test_the_tree_is_worked_by_keys(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium, width=390, files={"a/b/c.txt": b"c", "z.txt": b"z"}) as files:
        page = files.page
        await files.row("a").focus()
        for key, name in (
            ("ArrowRight", "a"), ("ArrowRight", "b"), ("ArrowRight", "b"), ("ArrowDown", "c.txt"), ("End", "z.txt"),
            ("Home", "a"), ("z", "z.txt"), ("ArrowUp", "c.txt"), ("ArrowLeft", "b"), ("ArrowLeft", "b"),
            ("ArrowDown", "z.txt"), ("ArrowUp", "b"), ("ArrowRight", "b"), ("ArrowRight", "c.txt"),
        ):  # fmt: skip
            await page.keyboard.press(key)
            await expect(files.row(name)).to_be_focused()
        await page.keyboard.press("Shift+F10")
        await expect(page.get_by_role("menuitem", name="Open")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator(".preview-name")).to_be_focused()
        await expect(page.locator(".line")).to_have_text(["c"])
        assert await page.evaluate("() => document.documentElement.scrollWidth") <= 390
        assert await page.locator("[role=treeitem][tabindex='0']").count() == 1


async def test_a_refresh_moves_neither_focus_nor_rows(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium, files={f"{number:02}.txt": b"x" for number in range(40)}) as files:
        page = files.page
        row = files.row("30.txt")
        await row.focus()
        await row.evaluate("row => { window.row = row; }")
        (files.directory / "00.txt").unlink()
        (files.directory / "29b.txt").write_text("new")
        await page.evaluate("() => document.querySelector('[aria-label=\"Look again\"]').click()")
        await expect(files.row("29b.txt")).to_have_count(1)
        await expect(files.row("00.txt")).to_have_count(0)
        assert await page.evaluate("() => document.activeElement === window.row")


async def test_ten_thousand_files_keep_the_page_quick(serve_demo: Serve, chromium: str) -> None:
    async with opened(serve_demo, chromium) as files:
        page = files.page

        def make() -> None:
            (files.directory / "many").mkdir()
            for number in range(9_900):
                (files.directory / "many" / f"{number}.txt").touch()

        await asyncio.to_thread(make)
        await page.evaluate(
            """() => {
                window.longest = 0;
                new PerformanceObserver((list) => {
                    for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
                }).observe({ type: "longtask" });
            }"""
        )
        await files.look()
        await files.row("many").click()
        await expect(files.row("0.txt")).to_be_visible()
        await expect(page.get_by_role("treeitem")).to_have_count(202)
        await page.get_by_text("Show more (9700 left)").click()
        await expect(page.get_by_role("treeitem")).to_have_count(402)
        await expect(files.row("200.txt")).to_be_focused()
        longest = await page.evaluate("() => window.longest")
        assert longest < 500, longest
