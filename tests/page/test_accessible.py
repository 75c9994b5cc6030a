"""Every view, light and dark, wide and narrow, held against axe-core: no serious violation."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.page.driving import chat_page
from tests.page.scenes import SCENES

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.page.scenes import Scene
    from tests.server.conftest import Serve

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"

LOOKS = [
    pytest.param({"width": 1280, "height": 800, "scheme": "light"}, id="wide-light"),
    pytest.param({"width": 390, "height": 844, "scheme": "dark"}, id="narrow-dark"),
]


@pytest.fixture
def axe() -> str:
    """Axe's script; skips where it isn't installed, and fails there in CI."""
    if not AXE.exists():
        if os.environ.get("CI"):
            pytest.fail("CI needs axe-core: make browser")
        pytest.skip("no axe-core here: make browser")
    return AXE.read_text(encoding="utf-8")


async def violations(page: Page, axe: str) -> list[str]:
    """What is wrong with the page as it is, seriously: one line each."""
    await page.evaluate(axe)
    found: dict[str, Any] = await page.evaluate(
        "() => axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa',"
        " 'wcag22aa', 'best-practice']})"
    )
    return [
        f"{problem['id']} ({problem['impact']}): {node['target']} {node['html'][:120]}"
        for problem in found["violations"]
        if problem["impact"] in {"serious", "critical"}
        for node in problem["nodes"]
    ]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_nothing_keeps_anybody_out(
    serve_demo: Serve, chromium: str, axe: str, scene: Scene, look: dict[str, Any]
) -> None:
    size = {name: look[name] for name in ("width", "height")}
    async with serve_demo() as served, chat_page(chromium, served.url, **size) as chat:
        await chat.page.emulate_media(color_scheme=look["scheme"], reduced_motion="reduce")
        await scene.enter(chat)
        assert await violations(chat.page, axe) == []


async def test_the_sign_in_keeps_nobody_out(serve_demo: Serve, chromium: str, axe: str) -> None:
    async with serve_demo() as served, chat_page(chromium, served.url) as chat:
        await asyncio.to_thread(served.service.access.keys.create, "one")
        await chat.visit()
        assert await violations(chat.page, axe) == []
