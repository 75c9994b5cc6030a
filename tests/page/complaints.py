"""What a browser complains of, but for what a test brings about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Page

REFUSED = "Failed to load resource: the server responded with a status of 4"
"""What the console says of a request that the server refused, as tests provoke it."""

STOPPED = "net::ERR_ABORTED"
"""How a request ended that the page itself took back, or left behind by going elsewhere."""


def complaints(page: Page) -> list[str]:
    """What the browser complains of from now on: scripts and styles refused, errors in scripts, requests that broke."""
    found: list[str] = []
    page.on(
        "console",
        lambda said: found.append(said.text) if said.type == "error" and not said.text.startswith(REFUSED) else None,
    )
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on(
        "requestfailed",
        lambda request: found.append(f"{request.url}: {request.failure}") if request.failure != STOPPED else None,
    )
    return found
