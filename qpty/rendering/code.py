"""Code, as lines of HTML. Each line is complete in itself, so that code may be cut after any of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qpty.rendering import text
from qpty.rendering.cutting import cuts
from qpty.rendering.highlighting import highlighted
from qpty.rendering.limits import MAX_CODE_LINE, MAX_HIGHLIGHTED, MAX_HIGHLIGHTED_TOTAL

if TYPE_CHECKING:
    from collections.abc import Iterator

_LANGUAGE: Final = re.compile(r"[A-Za-z0-9+#._-]{1,32}\Z")

_LONGEST_HIDDEN: Final = 64
"""Code points of html for a hidden character, about; a line of nothing else is cut so that it still fits a piece."""

Line = tuple[str, int, int]
"""A line's html, its elements, and its number in the code from 0. A line that was cut has several."""


@dataclass(slots=True)
class Allowance:
    """How much code of a text may still be highlighted, in code points."""

    left: int = MAX_HIGHLIGHTED_TOTAL


def language_of(info: str) -> str:
    """Return the language that a code fence names; `""` if it names none."""
    word = info.split(maxsplit=1)[0] if info.split(maxsplit=1) else ""
    return word if _LANGUAGE.match(word) else ""


def code_lines(code: str, language: str, allowance: Allowance) -> Iterator[Line]:
    """Yield a code's lines, each with its line end. What is beyond the limits of highlighting is plain.

    That is the text's end and not the whole of it, so that code which grows keeps its first lines as they were.
    """
    cut = _highlighted_part(code, min(MAX_HIGHLIGHTED, allowance.left))
    words = highlighted(code[:cut], language) if cut else None
    number = 0
    if words is None:
        cut = 0
    else:
        allowance.left -= cut
        for html, elements, ends in _coloured_lines(words):
            yield html, elements, number
            number += ends
    yield from _plain_lines(code[cut:], number)


def _highlighted_part(code: str, limit: int) -> int:
    return len(code) if len(code) <= limit else code.rfind("\n", 0, limit) + 1


def _coloured_lines(words: Iterator[tuple[str, str]]) -> Iterator[tuple[str, int, bool]]:
    parts: list[str] = []
    elements = 0
    for css_class, word in words:
        for piece in word.splitlines(keepends=True) if word.count("\n") else (word,):
            shown, hidden = text.code(piece.removesuffix("\n"))
            if css_class and shown and not shown.isspace():
                parts.append(f'<span class="{css_class}">{shown}</span>')
                elements += 1 + hidden
            else:
                parts.append(shown)
                elements += hidden
            if piece.endswith("\n"):
                yield "".join([*parts, "\n"]), elements, True
                parts, elements = [], 0
    if parts:
        yield "".join(parts), elements, False


def _plain_lines(code: str, number: int) -> Iterator[Line]:
    start = 0
    while start < len(code):
        end = code.find("\n", start) + 1 or len(code)
        if end - start <= _LONGEST_HIDDEN * 4:
            yield (*text.code(code[start:end]), number)
        else:
            size = _LONGEST_HIDDEN * 4 if text.has_hidden(code[start:end]) else MAX_CODE_LINE
            for at, stop in cuts(code, start, end, size=size):
                yield (*text.code(code[at:stop]), number)
        start, number = end, number + 1
