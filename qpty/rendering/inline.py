"""What stands in a paragraph, as HTML: emphasis, links, images, code spans and text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from qpty.rendering.limits import MAX_BRACKETS, MAX_INLINE, MAX_PIECE_ELEMENTS, MAX_PIECE_HTML
from qpty.rendering.links import addresses, destination
from qpty.rendering.parsing import parse_inline
from qpty.rendering.sanitising import REL
from qpty.rendering.text import code, escaped, prose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

_TAGS: Final = {
    "em_open": ("<em>", 1),
    "em_close": ("</em>", 0),
    "strong_open": ("<strong>", 1),
    "strong_close": ("</strong>", 0),
    "s_open": ("<s>", 1),
    "s_close": ("</s>", 0),
    "hardbreak": ("<br>", 1),
    "softbreak": ("\n", 0),
}

_PLAIN: Final = re.compile(r"[^\n!&*:<@\[\\\]_`~]*\Z")
"""Text with nothing in it that could be markup or an address: most cells, and many items and headings."""


class TooLargeError(Exception):
    """A paragraph, heading or cell that exceeds the limits; it is shown as plain text."""


@dataclass(slots=True)
class _Writer:
    """Collects html, counts it, and stops where it gets too much."""

    parts: list[str] = field(default_factory=list)
    length: int = 0
    elements: int = 0

    def write(self, html: str, elements: int = 0) -> None:
        self.parts.append(html)
        self.length += len(html)
        self.elements += elements
        if self.length > MAX_PIECE_HTML or self.elements > MAX_PIECE_ELEMENTS:
            raise TooLargeError


def render_inline(content: str, definitions: dict[str, Any]) -> tuple[str, int]:
    """Return a content's html, and how many elements it has. Raises TooLargeError."""
    if len(content) > MAX_INLINE or content.count("[") > MAX_BRACKETS:
        raise TooLargeError
    writer = _Writer()
    if _PLAIN.match(content):
        writer.write(prose(content))
    else:
        _write(writer, parse_inline(content, definitions))
    return "".join(writer.parts), writer.elements


def _write(writer: _Writer, tokens: Sequence[Token]) -> None:
    text: list[str] = []  # adjacent texts are one: an override in the first must not end in the second
    link: list[str] = []  # the closing tags of the link that is open; links don't nest
    for token in tokens:
        if token.type in ("text", "text_special"):
            text.append(token.content)
            continue
        if text:
            _write_text(writer, "".join(text), in_link=bool(link))
            text.clear()
        if token.type in _TAGS:
            writer.write(*_TAGS[token.type])
        elif token.type == "code_inline":
            shown, hidden = code(token.content)
            writer.write(f"<code>{shown}</code>", 1 + hidden)
        elif token.type == "link_open":
            link.append(_open_link(writer, str(token.attrs.get("href", ""))))
        elif token.type == "link_close":
            writer.write(link.pop())
        elif token.type == "image":
            _write_image(writer, token, in_link=bool(link))
        else:
            raise AssertionError(f"a token of type {token.type!r} has no rule here")
    if text:
        _write_text(writer, "".join(text), in_link=bool(link))


def _open_link(writer: _Writer, href: str) -> str:
    """Write a link's opening tag and return its closing one."""
    leads = destination(href)
    if leads is None:  # the parser asked before; a definition may be shared by text that didn't
        return ""
    if leads.kind == "file":
        writer.write(f'<a class="file" data-file="{escaped(leads.value)}">', 1)
    else:
        writer.write(_remote(leads.value), 1)
    return "</a>"


def _remote(href: str) -> str:
    return f'<a href="{escaped(href)}" target="_blank" rel="{REL}">'


def _write_image(writer: _Writer, token: Token, *, in_link: bool) -> None:
    """Write an image of the session's directory, or a link to one that is elsewhere: it is never loaded by itself."""
    alt = _text_of(token.children or ())
    leads = destination(str(token.attrs.get("src", "")))
    if leads is not None and leads.kind == "file":
        writer.write(f'<img class="file" data-file="{escaped(leads.value)}" alt="{prose(alt)}">', 1)
    elif leads is None or in_link:
        writer.write(prose(alt))
    else:
        writer.write(f"{_remote(leads.value)}{prose(alt or leads.value)}</a>", 1)


def _text_of(tokens: Sequence[Token]) -> str:
    """Return the text alone, as an image's description has it."""
    found: list[str] = []
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            found.append("\n")
        elif token.type == "image":
            found.append(_text_of(token.children or ()))
        else:
            found.append(token.content)
    return "".join(found)


def _write_text(writer: _Writer, text: str, *, in_link: bool) -> None:
    at = 0
    if not in_link:
        for address in addresses(text):
            leads = destination(address.href)
            if leads is None or leads.kind != "remote":
                continue
            writer.write(prose(text[at : address.start]))
            writer.write(f"{_remote(leads.value)}{prose(text[address.start : address.end])}</a>", 1)
            at = address.end
    writer.write(prose(text[at:]))
