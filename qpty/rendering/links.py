"""Where a link may lead: a web or mail address, or a file of the session's directory. All else is text.

A file is a relative path; the page asks for it by the files' API, which checks it again. Addresses in plain text become
links where they are certain: `http://`, `https://` and mail addresses. Bare host names do not, since `main.rs` and
`setup.py` are some, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import unquote

from linkify_it import LinkifyIt  # type: ignore[import-untyped]

from qpty.rendering.limits import MAX_ADDRESS
from qpty.rendering.text import has_hidden

if TYPE_CHECKING:
    from collections.abc import Iterator

_REMOTE: Final = re.compile(r"(?:https?://[^\s/?#\\]|mailto:[^\s])[^\s]*\Z", re.IGNORECASE)
_WORD: Final = re.compile(r"\S+")
_MAX_MARKS: Final = 4
"""A word with more `://` or `@` is no address; the search for some is quadratic in them."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a link leads: an address (`remote`), or a `file`'s path from the session's directory on."""

    kind: Literal["remote", "file"]
    value: str


@dataclass(frozen=True, slots=True)
class Address:
    """An address found in plain text: its place there, and the link's address."""

    start: int
    end: int
    href: str


def destination(href: str) -> Destination | None:
    """Return where a percent-encoded link destination may lead; None if it is to be shown as text."""
    if not href or len(href) > MAX_ADDRESS:
        return None
    if _REMOTE.match(href):
        return None if has_hidden(href) else Destination("remote", href)
    path = _file_path(href)
    return None if path is None else Destination("file", path)


def _file_path(href: str) -> str | None:
    raw = href.partition("#")[0]
    if "?" in raw:
        return None
    path = unquote(raw, errors="replace")
    while path.startswith("./"):
        path = path[2:]
    if not path or "\\" in path or "\ufffd" in path or has_hidden(path):
        return None
    names = path.split("/")  # an absolute path's first one is empty
    # A colon in the first name would make it a scheme for whoever reads it as a URL.
    if ":" in names[0] or any(name in ("", ".", "..") or name != name.strip() for name in names) or "\n" in path:
        return None
    return path


@lru_cache(maxsize=1)
def _finder() -> LinkifyIt:
    finder = LinkifyIt(options={"fuzzy_link": False, "fuzzy_email": True, "fuzzy_ip": False})
    return finder.add("ftp:", None).add("//", None)


def addresses(text: str) -> Iterator[Address]:
    """Yield the addresses in plain text, in order; the work is linear in the text."""
    if "://" not in text and "@" not in text and "mailto:" not in text:
        return
    for word in _WORD.finditer(text):
        found = word[0]
        slashes, ats = found.count("://"), found.count("@")
        if not (slashes or ats) or slashes > _MAX_MARKS or ats > _MAX_MARKS or len(found) > MAX_ADDRESS:
            continue
        for match in _finder().match(found) or ():
            yield Address(word.start() + match.index, word.start() + match.last_index, match.url)
