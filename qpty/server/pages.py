"""The pages that the server has, and the files that they need. No page loads anything from elsewhere."""

from __future__ import annotations

import hashlib
import html
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from string import Template
from typing import TYPE_CHECKING, Final

from aiohttp import web

from qpty.core.keys import MAX_PROMPT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

    from qpty.server.models.service import Agent

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
APP_POLICY: Final = (
    POLICY.replace("img-src 'self' data:", "img-src 'self' data: blob:")  # an image about to be attached is a blob
    + "; require-trusted-types-for 'script'; trusted-types qpty-rendered"
)
"""Only one place of the page's scripts can make HTML of a text: `rendered_html.js`."""
DOCUMENTATION_POLICY: Final = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
"""Swagger UI writes styles into its elements. Its scripts are files."""

MEDIA_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

ELSEWHERE: Final = {
    "swagger-ui.css": ("offapi", "swagger_style.css"),
    "swagger-ui-bundle.js": ("offapi", "swagger_bundle.js"),
}
"""Name in `/assets/` → package, file. All others are files of `qpty.web`."""

OWN_PAGES: Final = re.compile(r"/|/docs|/sessions/[0-9a-f-]{1,64}(/[a-z]{1,20})?")

BEFORE_PAINT: Final = "scripts/before_paint.js"
"""The one script that is no module: it sets the theme before anything is painted."""

STYLES: Final = (
    "tokens", "base", "layout", "chat", "markdown", "highlight", "sessions", "files", "dialogs", "terminal",
)  # fmt: skip
"""The page's styles, in the order in which they apply."""


SPARE_BYTES: Final = 1024
"""Of the longest message: what may be added to it when it is typed (see `encode_prompt`)."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that a page needs."""

    data: bytes
    media_type: str
    etag: str


@cache
def assets() -> Mapping[str, Asset]:
    """Return every file that a page needs, by its name in `/assets/`. Blocks for the first call."""
    found = {name: _asset(files(package).joinpath(file), name) for name, (package, file) in ELSEWHERE.items()}
    found.update((name, _asset(file, name)) for name, file in _below(files("qpty.web"), ""))
    return found


def _below(directory: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for entry in directory.iterdir():
        name = f"{path}{entry.name}"
        if entry.is_dir():
            yield from _below(entry, f"{name}/")
        elif PurePosixPath(name).suffix in MEDIA_TYPES:
            yield name, entry


def _asset(file: Traversable, name: str) -> Asset:
    data = file.read_bytes()
    return Asset(data, MEDIA_TYPES[PurePosixPath(name).suffix], f'"{_digest(data)}"')


def _digest(data: bytes) -> str:
    return hashlib.blake2s(data, digest_size=16).hexdigest()


@cache
def release() -> str:
    """Return the name of all assets together, as they are now: what is asked for below it never changes."""
    return _digest("".join(f"{name}{found.etag}" for name, found in sorted(assets().items())).encode())


def asset(path: str) -> tuple[Asset, bool] | None:
    """Return a page's file, by `name` or `release/name`, and whether it will be the same for ever under that path."""
    first, _, rest = path.partition("/")
    lasting = first == release()
    found = assets().get(rest if lasting else path)
    return None if found is None else (found, lasting)


@cache
def _template(name: str) -> Template:
    return Template(files("qpty.web").joinpath(name).read_text(encoding="utf-8"))


@cache
def _shell() -> Template:
    """Return the page with the files that it loads; no script has to be parsed for the next one to be asked for."""
    base = f"/assets/{release()}"
    styles = [f'<link rel="stylesheet" href="{base}/styles/{name}.css">' for name in STYLES]
    modules = [
        f'<link rel="modulepreload" href="{base}/{name}">'
        for name in sorted(assets())
        if name.startswith("scripts/") and name != BEFORE_PAINT
    ]
    scripts = [f'<script src="{base}/{BEFORE_PAINT}"></script>']
    start = [f'<script type="module" src="{base}/scripts/main.js"></script>']
    text = _template("page.html").template
    return Template(text.replace("$assets", "\n".join(styles + scripts + modules + start)))


def load() -> None:
    """Read everything now, so that no request waits for the disk."""
    _shell()
    for name in ("sign-in.html", "documentation.html"):
        _template(name)


def _page(template: Template, *, status: int = 200, policy: str = POLICY, **values: str) -> web.Response:
    text = template.substitute({key: html.escape(value) for key, value in values.items()})
    return web.Response(text=text, status=status, content_type="text/html", headers={"Content-Security-Policy": policy})


def own_page(path: str) -> str:
    """Return a path if it is one of the page's, the first page otherwise: a sign-in leads nowhere else."""
    return path if OWN_PAGES.fullmatch(path) else "/"


def wants_a_page(request: web.Request) -> bool:
    """Whether it is a browser that a person looks at."""
    return "text/html" in request.headers.get("Accept", "")


def app_page(status: int, *, version: str, agent: Agent, signed_in: bool, max_upload_bytes: int) -> web.Response:
    """Return the page: its shell, and what its scripts have to know before they ask for anything."""
    return _page(
        _shell(),
        status=status,
        policy=APP_POLICY,
        version=version,
        agent=agent.kind,
        agent_version=agent.version or "",
        signed_in="yes" if signed_in else "no",
        max_upload=str(max_upload_bytes),
        max_message=str(MAX_PROMPT_BYTES - SPARE_BYTES),
    )


def sign_in_page(*, problem: str | None, path: str) -> web.Response:
    """Return the page that asks for a key, and leads to `path` then."""
    return _page(_template("sign-in.html"), status=401, problem=problem or "", path=path)


def documentation_page() -> web.Response:
    """Return the page that shows the interface."""
    return _page(_template("documentation.html"), policy=DOCUMENTATION_POLICY)
