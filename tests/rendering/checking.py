"""Reads rendered html with another parser than the one that wrote it, and says what is in it that may not be."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from qpty.rendering.limits import MAX_BLOCK_ELEMENTS, MAX_BLOCK_HTML

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpty.rendering.block import Block

VOID = {"br", "hr", "img", "input"}

COMMON = {"class", "dir"}
ALLOWED: dict[str, set[str]] = {
    "a": {"href", "target", "rel", "data-file"},
    "img": {"data-file", "alt"},
    "input": {"type", "disabled", "checked"},
    "ol": {"start"},
    "pre": {"data-language"},
    "span": {"title"},
    "td": {"colspan"},
    "th": {"colspan"},
    **{
        name: set()
        for name in (
            "blockquote br code div em h3 h4 h5 h6 hr li p s strong table tbody thead tr ul".split()  # noqa: SIM905
        )
    },
}
"""Written down once more, so that a slip in `sanitising` shows."""

CLASS = re.compile(
    r"hl-[a-z0-9]+|hidden-character|file|plain|table-scroll|table-part|align-(left|center|right)|list-part|task-list"
    r"|task|continued|quote-part|code|part|first|middle|last"
)


class Reader(HTMLParser):
    """Collects elements, text and what is wrong."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.wrong: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        if self._open:
            self.wrong.append(f"left open: {self._open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        if tag not in ALLOWED:
            self.wrong.append(f"element {tag}")
            return
        self.wrong.extend(f"{tag} has {name}" for name in given if name not in ALLOWED[tag] | COMMON)
        self.wrong.extend(f"class {name}" for name in (given.get("class") or "").split() if not CLASS.fullmatch(name))
        if given.get("dir", "auto") not in ("auto", "ltr"):
            self.wrong.append(f"dir {given['dir']}")
        if (href := given.get("href")) is not None:
            if not re.match(r"(https?://|mailto:)[^\s]", href, re.IGNORECASE):
                self.wrong.append(f"href {href!r}")
            if (given.get("target"), given.get("rel")) != ("_blank", "noopener noreferrer nofollow"):
                self.wrong.append(f"a link without target or rel: {given}")
        if (path := given.get("data-file")) is not None:
            names = path.split("/")
            if ".." in names or "" in names or ":" in names[0] or "\\" in path:
                self.wrong.append(f"data-file {path!r}")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        self.wrong.append(f"a declaration: {decl}")

    def unknown_decl(self, data: str) -> None:
        self.wrong.append(f"a declaration: {data}")

    def handle_pi(self, data: str) -> None:
        self.wrong.append(f"an instruction: {data}")


def wrong_with(blocks: Sequence[Block], source: str) -> list[str]:
    """Say what is wrong with the blocks of a source: what they contain, cover, and how large they are."""
    wrong: list[str] = []
    at = 0
    for block in blocks:
        read = Reader(block.html)
        wrong.extend(read.wrong)
        if block.start != at or block.end < block.start:
            wrong.append(f"a block from {block.start} to {block.end} after {at}")
        if len(block.html) > MAX_BLOCK_HTML or len(read.elements) > MAX_BLOCK_ELEMENTS:
            wrong.append(f"a block of {len(block.html)} code points and {len(read.elements)} elements")
        at = block.end
    if at != len(source):
        wrong.append(f"covered up to {at} of {len(source)}")
    return wrong


def text_of(blocks: Sequence[Block]) -> str:
    """Return the text that a reader sees."""
    return "".join(Reader(block.html).text for block in blocks)


def html_of(blocks: Sequence[Block]) -> str:
    """Return the html of all blocks."""
    return "".join(block.html for block in blocks)
