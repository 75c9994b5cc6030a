"""Markdown to blocks of safe HTML: the whole way, as one pure function.

    source ─ parsing ─▶ block tokens ─ this module ─▶ frames and pieces ─ pages ─▶ pages ─ sanitising ─▶ blocks

It is CommonMark with tables, strikethrough, task lists and bare addresses, but without HTML, which is shown as text.
Link titles are left out: a tooltip could name another address than the one behind it.

Headings start at `h3`: the page's own title is its `h1` and a turn has an `h2`, so an answer's `#` is an `h3`, `##` an
`h4`, and so on; from `####` on all are `h6`, for want of more.

Nothing of a text is ever lost: what can't be shown within the limits is shown as it is written, in paragraphs of class
`plain`. Only definitions of links have no place of their own, and, as on GitHub, the cells of a row beyond its header.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from qpty.rendering.block import Block
from qpty.rendering.code import Allowance, code_lines, language_of
from qpty.rendering.frames import code_frame, item_frame, list_frame, quote_frame, table_frame
from qpty.rendering.inline import TooLargeError, render_inline
from qpty.rendering.limits import (
    MAX_BLOCKS,
    MAX_LINES,
    MAX_PIECE_ELEMENTS,
    MAX_PIECE_HTML,
    MAX_REPEATED_HEADER,
    MAX_REPEATED_HEADER_ELEMENTS,
    MAX_SOURCE,
    MAX_TABLE_ROWS,
)
from qpty.rendering.pages import Frame, Pager
from qpty.rendering.parsing import Parsed, is_too_deep, parse_blocks
from qpty.rendering.plain import plain_blocks, plain_pieces
from qpty.rendering.sanitising import sanitised
from qpty.rendering.tables import TOKEN as TABLE
from qpty.rendering.tables import Table, split_row
from qpty.rendering.text import without_surrogates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token

__all__ = ["Block", "render_blocks"]

_SHIFT: Final = 2
_LAST_LEVEL: Final = 6


def render_blocks(source: str) -> tuple[Block, ...]:
    """Return the blocks of a markdown text, in order; none for an empty text, and at least one for any other.

    Raises nothing, whatever the text is. The work is about linear in its length: 1 MB/s of ordinary answers, 100 KB/s
    of nearly all that was made to be slow.
    """
    if len(source) > MAX_SOURCE:
        return plain_blocks(source)
    text = without_surrogates(source)
    parsed = parse_blocks(text)
    writer = _Writer(text, parsed)
    for tokens in _top_level(parsed.tokens):
        if len(writer.pager.pages) >= MAX_BLOCKS:
            writer.write_plain(writer.start_of(tokens[0]), len(text))
            break
        writer.write(tokens)
    pages = writer.pager.pages
    if not pages:
        return (Block(0, len(text), ""),) if text else ()
    starts = [0, *(page.start for page in pages[1:]), len(text)]
    return tuple(Block(starts[i], starts[i + 1], sanitised(page.html), page.continued) for i, page in enumerate(pages))


def _top_level(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Yield the tokens of each top-level block."""
    start = 0
    for i, token in enumerate(tokens):
        if token.level == 0 and token.nesting <= 0:
            yield tokens[start : i + 1]
            start = i + 1


@dataclass(slots=True)
class _Writer:
    """Writes the tokens of a text to pages."""

    text: str
    parsed: Parsed
    pager: Pager = field(default_factory=Pager)
    allowance: Allowance = field(default_factory=Allowance)
    lists: list[Frame] = field(default_factory=list)

    def write(self, tokens: Sequence[Token]) -> None:
        """Write one top-level block."""
        if is_too_deep(tokens):
            self.write_plain(self.start_of(tokens[0]), self.end_of(tokens[0]))
            return
        for i, token in enumerate(tokens):
            self.write_token(tokens, i, token)
        self.pager.end()

    def write_plain(self, start: int, end: int) -> None:
        """Write a part of the source as it is, as one top-level block."""
        for at, html in plain_pieces(self.text, start, end):
            self.pager.put(html, 1, at)
        self.pager.end()

    def start_of(self, token: Token) -> int:
        return self.parsed.offset(token.map[0] if token.map else 0)

    def end_of(self, token: Token) -> int:
        return self.parsed.offset(token.map[1] if token.map else 0)

    def write_token(self, tokens: Sequence[Token], i: int, token: Token) -> None:
        kind = token.type
        if kind == "inline":
            self.write_inline(tokens[i - 1], token)
        elif kind in ("paragraph_open", "paragraph_close", "heading_open", "heading_close"):
            pass  # written with what is in them
        elif kind in ("fence", "code_block"):
            self.write_code(token)
        elif kind == TABLE:
            self.write_table(token)
        elif kind == "hr":
            self.pager.put("<hr>", 1, self.start_of(token))
        elif kind in ("bullet_list_open", "ordered_list_open"):
            self.open_list(token)
        elif kind == "list_item_open":
            self.open_item(token)
        elif kind == "blockquote_open":
            self.pager.open(quote_frame(), self.start_of(token))
        elif kind in ("bullet_list_close", "ordered_list_close", "list_item_close", "blockquote_close"):
            self.pager.close()
            if kind == "list_item_close":
                self.lists[-1].number += 1
            elif kind != "blockquote_close":
                self.lists.pop()
        else:
            raise AssertionError(f"a token of type {kind!r} has no rule here")

    def open_list(self, token: Token) -> None:
        ordered = token.type == "ordered_list_open"
        tasks = "contains-task-list" in str(token.attrs.get("class", ""))
        frame = list_frame(ordered=ordered, start=int(token.attrs.get("start", 1)), tasks=tasks)
        self.lists.append(frame)
        self.pager.open(frame, self.start_of(token))

    def open_item(self, token: Token) -> None:
        checked = token.meta.get("checked")
        self.pager.open(item_frame(task=checked is not None), self.start_of(token))
        if checked is not None:
            mark = ' checked=""' if checked else ""
            self.pager.put(f'<input type="checkbox" disabled=""{mark}> ', 1, self.start_of(token))

    def write_inline(self, opener: Token, token: Token) -> None:
        """Write a paragraph or a heading; as plain text if it is too large."""
        at = self.start_of(token)
        try:
            html, elements = render_inline(token.content, self.parsed.definitions)
        except TooLargeError:
            for place, piece in plain_pieces(self.text, at, self.end_of(token)):
                self.pager.put(piece, 1, place)
            return
        if opener.hidden:  # a tight list's paragraph is without tags
            self.pager.put(html, elements, at)
            return
        tag = "p" if opener.type == "paragraph_open" else f"h{min(int(opener.tag[1:]) + _SHIFT, _LAST_LEVEL)}"
        self.pager.put(f'<{tag} dir="auto">{html}</{tag}>', elements + 1, at)

    def write_code(self, token: Token) -> None:
        language = language_of(token.info) if token.type == "fence" else ""
        first = (token.map[0] if token.map else 0) + (token.type == "fence")
        self.pager.open(code_frame(language), self.start_of(token))
        lines = 0
        for html, elements, number in code_lines(token.content, language, self.allowance):
            if lines == MAX_LINES:
                self.pager.turn()
                lines = 0
            self.pager.put(html, elements, self.parsed.offset(first + number))
            lines += 1
        self.pager.close()

    def write_table(self, token: Token) -> None:
        table: Table = token.meta["table"]
        header, elements = self.row("th", table, table.header)
        at = self.start_of(token)
        if header is not None and len(header) <= MAX_REPEATED_HEADER and elements <= MAX_REPEATED_HEADER_ELEMENTS:
            self.pager.open(table_frame(header, elements), at)
        else:
            self.pager.open(table_frame("", 0), at)
            self.put_row(header, elements, token.map[0] if token.map else 0, len(table.alignments))
        for number, (line, text) in enumerate(table.rows):
            if number and number % MAX_TABLE_ROWS == 0:
                self.pager.turn()
            self.put_row(*self.row("td", table, split_row(text)), line, len(table.alignments))
        self.pager.close()

    def row(self, tag: str, table: Table, cells: Sequence[str]) -> tuple[str | None, int]:
        """Return a row's html and how many elements it has; no html if it is too large."""
        parts: list[str] = []
        length, elements = 0, 1
        columns = len(table.alignments)
        for cell, alignment in zip(cells, table.alignments, strict=False):
            try:
                html, inside = render_inline(cell, self.parsed.definitions)
            except TooLargeError:
                return None, 0
            aligned = f' class="align-{alignment}"' if alignment else ""
            parts.append(f'<{tag}{aligned} dir="auto">{html}</{tag}>')
            length += len(parts[-1])
            elements += inside + 1
            if length > MAX_PIECE_HTML - 100 or elements >= MAX_PIECE_ELEMENTS:
                return None, 0
        left_out = columns - len(cells)
        if left_out > 0:  # one cell in place of them all, or a short row would grow with the header
            spanning = f' colspan="{left_out}"' if left_out > 1 else ""
            parts.append(f"<{tag}{spanning}></{tag}>")
            elements += 1
        return f"<tr>{''.join(parts)}</tr>", elements

    def put_row(self, html: str | None, elements: int, line: int, columns: int) -> None:
        """Put a row; one that is too large as rows of plain text."""
        at = self.parsed.offset(line)
        if html is not None:
            self.pager.put(html, elements, at)
            return
        for place, piece in plain_pieces(self.text, at, self.parsed.offset(line + 1)):
            self.pager.put(f'<tr><td colspan="{columns}">{piece}</td></tr>', 3, place)
