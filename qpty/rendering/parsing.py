"""Markdown to tokens: markdown-it, with its quadratic parts bounded or replaced.

Blocks are parsed at once; what is inside a paragraph only when it is written, so that a paragraph that is too long is
never searched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from markdown_it import MarkdownIt

from qpty.rendering.limits import MAX_NESTING
from qpty.rendering.links import destination
from qpty.rendering.tables import table_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

_LINE_ENDS: Final = re.compile(r"\r\n?|\n")

_DEEPENING: Final = frozenset({"blockquote_open", "list_item_open"})


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text's block tokens, where its lines start (one more at the text's end), and its link definitions."""

    tokens: Sequence[Token]
    line_starts: Sequence[int]
    definitions: dict[str, Any]

    def offset(self, line: int) -> int:
        """Return where a line starts, in code points; the text's end for a line after the last one."""
        return self.line_starts[min(line, len(self.line_starts) - 1)]


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    options = {"html": False, "linkify": False, "maxNesting": MAX_NESTING, "tasklists": True}
    parser = MarkdownIt("commonmark", options)
    parser.disable(["html_block", "html_inline"])
    parser.enable("strikethrough")
    parser.block.ruler.before("code", "pipe_table", table_rule, {"alt": ["paragraph", "reference"]})
    parser.core.ruler.enableOnly(["normalize", "block"])
    parser.validateLink = lambda url: destination(url) is not None  # type: ignore[method-assign]
    return parser


def parse_blocks(text: str) -> Parsed:
    """Return the blocks of a text; what stands in paragraphs is not parsed yet."""
    definitions: dict[str, Any] = {}
    tokens = _parser().parse(text, definitions)
    starts = [0, *(found.end() for found in _LINE_ENDS.finditer(text))]
    if starts[-1] != len(text):
        starts.append(len(text))
    return Parsed(tokens, starts, definitions)


def parse_inline(content: str, definitions: dict[str, Any]) -> list[Token]:
    """Return the tokens of a paragraph's, heading's or cell's content."""
    parser = _parser()
    return parser.inline.parse(content, parser, definitions, [])


def is_too_deep(tokens: Sequence[Token]) -> bool:
    """Whether the parser may have left out what is nested too deeply: it skips that without a word."""
    return any(token.level + 1 >= MAX_NESTING and token.type in _DEEPENING for token in tokens)
