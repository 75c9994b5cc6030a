"""The few pages that the server itself has, and the files that they need. No page loads anything from elsewhere."""

from __future__ import annotations

import hashlib
import html
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from qpty.server.models.service import Agent

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
DOCUMENTATION_POLICY: Final = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
"""Swagger UI writes styles into its elements. Its scripts are files."""

ASSETS: Final = {
    "style.css": ("qpty.web", "style.css", "text/css"),
    "home.js": ("qpty.web", "home.js", "text/javascript"),
    "documentation.js": ("qpty.web", "documentation.js", "text/javascript"),
    "swagger-ui.css": ("offapi", "swagger_style.css", "text/css"),
    "swagger-ui-bundle.js": ("offapi", "swagger_bundle.js", "text/javascript"),
}
"""Name in `/assets/` → package, file, media type."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that a page needs."""

    data: bytes
    media_type: str
    etag: str


@cache
def asset(name: str) -> Asset | None:
    """Return a page's file; None if there is no such one. Blocks for the first reading of each."""
    if name not in ASSETS:
        return None
    package, file, media_type = ASSETS[name]
    data = files(package).joinpath(file).read_bytes()
    return Asset(data, media_type, f'"{hashlib.blake2s(data, digest_size=16).hexdigest()}"')


@cache
def _template(name: str) -> Template:
    return Template(files("qpty.web").joinpath(name).read_text(encoding="utf-8"))


def load() -> None:
    """Read everything now, so that no request waits for the disk."""
    for name in ASSETS:
        asset(name)
    for name in ("home.html", "sign-in.html", "documentation.html"):
        _template(name)


def _page(name: str, *, status: int = 200, policy: str = POLICY, **values: str) -> web.Response:
    text = _template(name).substitute({key: html.escape(value) for key, value in values.items()})
    return web.Response(text=text, status=status, content_type="text/html", headers={"Content-Security-Policy": policy})


def wants_a_page(request: web.Request) -> bool:
    """Whether it is a browser that a person looks at."""
    return "text/html" in request.headers.get("Accept", "")


def home_page(*, version: str, agent: Agent) -> web.Response:
    """Return the first page."""
    version_of_q = f" {agent.version}" if agent.version is not None else ""
    called = {
        "q": f"Amazon Q CLI{version_of_q}",
        "kiro-cli": f"Kiro CLI{version_of_q}, which qpty was never tried with",
        "demo": "demo agent, with no model behind it",
    }[agent.kind]
    return _page("home.html", version=version, agent=called)


def sign_in_page(*, problem: str | None) -> web.Response:
    """Return the page that asks for a key."""
    return _page("sign-in.html", status=401, problem=problem or "")


def documentation_page() -> web.Response:
    """Return the page that shows the interface."""
    return _page("documentation.html", policy=DOCUMENTATION_POLICY)
