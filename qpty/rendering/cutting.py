"""Where plain text is cut: after a line, else after a word, else between characters that don't belong together."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from qpty.rendering.limits import MAX_LINES, PLAIN_PIECE

if TYPE_CHECKING:
    from collections.abc import Iterator

_JOINERS: Final = frozenset("\u200c\u200d\ufe0e\ufe0f\u20e3")
_MAX_CLUSTER: Final = 32
"""A longer run of joined characters is cut anywhere: it was made to be one."""


def cuts(text: str, start: int, end: int, *, size: int = PLAIN_PIECE) -> Iterator[tuple[int, int]]:
    """Yield the bounds of consecutive pieces of `text[start:end]`, each of at most `size` code points and 400 lines."""
    while start < end:
        stop = end if end - start <= size else _cut(text, start, start + size)
        stop = _after_lines(text, start, stop)
        yield start, stop
        start = stop


def _cut(text: str, start: int, limit: int) -> int:
    """Return where to cut before `limit`, which is inside the text."""
    half = start + (limit - start) // 2
    line = text.rfind("\n", half, limit)
    if line >= 0:
        return line + 1
    word = max(text.rfind(" ", half, limit), text.rfind("\t", half, limit))
    if word >= 0:
        return word + 1
    for place in range(limit, max(half, limit - _MAX_CLUSTER), -1):
        if not _joined(text[place - 1], text[place]):
            return place
    return limit


def _joined(before: str, after: str) -> bool:
    """Whether two characters are shown as one, as far as that is seen from them alone."""
    return (
        before == "\u200d"
        or after in _JOINERS
        or bool(unicodedata.combining(after))
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or ("\U0001f1e6" <= before <= "\U0001f1ff" and "\U0001f1e6" <= after <= "\U0001f1ff")  # flags
        or (before == "\r" and after == "\n")
    )


def _after_lines(text: str, start: int, stop: int) -> int:
    """Return where the line ends that is the last one allowed from `start` on; `stop` if there are not so many."""
    place = start
    for _ in range(MAX_LINES):
        place = text.find("\n", place, stop) + 1
        if place == 0:
            return stop
    return place
