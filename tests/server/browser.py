"""A real browser for tests: one chromium for the whole run, and pages of it in any test's own event loop.

Playwright's objects belong to the loop that made them, and each test has its own. So the browser is a process by itself
(`chromium`, a fixture of the session), and a test connects to it:

    async def test_a_page(serve_demo, chromium):
        async with serve_demo() as served, page_of(chromium) as page:
            await page.goto(served.url)
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from contextlib import asynccontextmanager, contextmanager
from queue import Empty, Queue
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path
    from typing import IO

    from playwright.async_api import Page

START_TIMEOUT = 30.0
"""Seconds that a browser may take to start."""

_LISTENS = re.compile(r"DevTools listening on (ws://\S+)")

OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root, who has no sandbox; the pages are ours
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-port=0",
)


def require_chromium() -> str:
    """Where chromium is; skips where there is none, and fails there in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs a browser: install Debian's chromium")
        pytest.skip("no chromium here")
    return found


@contextmanager
def running_chromium(work: Path) -> Iterator[str]:
    """Run chromium with a profile of its own in `work`; the address that Playwright connects to."""
    command = [require_chromium(), *OPTIONS, f"--user-data-dir={work}", "about:blank"]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    found: Queue[str] = Queue()
    reader = threading.Thread(target=_read, args=(process.stderr, found), name="chromium's messages")
    reader.start()
    try:
        try:
            yield found.get(timeout=START_TIMEOUT)
        except Empty:
            raise AssertionError(f"chromium did not start: exit status {process.poll()}") from None
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        process.stderr.close()


def _read(messages: IO[str], found: Queue[str]) -> None:
    for line in messages:
        matched = _LISTENS.search(line)
        if matched is not None:
            found.put(matched[1])


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A browser's address, for `page_of`; one browser for the whole run."""
    with running_chromium(tmp_path_factory.mktemp("chromium")) as address:
        yield address


@asynccontextmanager
async def page_of(address: str, *, width: int = 1280, height: int = 800) -> AsyncIterator[Page]:
    """A fresh page, with no cookies or storage of others. A script's error on it fails the test."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(address)
        context = await browser.new_context(viewport={"width": width, "height": height})
        errors: list[str] = []
        try:
            page = await context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            yield page
        finally:
            await context.close()
            await browser.close()  # only this connection to it
        assert errors == []
