"""What became of each text, and the table of all.

Exact means exact: the same characters, whatever they look like. A live text that isn't is put under what q's screen
lost of it, if what came is just what was left; anything else is `other`, and shown.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DROPPED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
SHOWN_MISSES: Final = 5
SHOWN_WIDTH: Final = 300


class Live(Enum):
    """How a live text compares with the text that was sent; the value is its line in the table."""

    EXACT = "exact"
    NOTHING_SHOWN = "nothing to show: only blanks and control characters"
    CONTROLS = "tab or another control character"
    SPACE = "single leading space"
    BOTH = "both of these"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One text as it was sent, as it came live and as it came in the end.

    `certain` is false where the final text wasn't from q's record; `failure` tells why there is none at all.
    """

    sent: str
    live: str
    final: str
    certain: bool = True
    failure: str = ""

    @property
    def final_exact(self) -> bool:
        """Whether the final text, said to be exact, is."""
        return not self.failure and self.certain and self.final == self.sent

    @property
    def verdict(self) -> Live:
        """What became of the live text."""
        if self.live == self.sent:
            return Live.EXACT
        left = without_controls(self.sent)
        if not left.strip():
            return Live.NOTHING_SHOWN
        shown = without_single_leading_spaces(left)
        if self.failure or self.live != shown:
            return Live.OTHER
        if shown == left:
            return Live.CONTROLS
        return Live.SPACE if left == self.sent else Live.BOTH


def without_controls(text: str) -> str:
    """What is left of a text when q has dropped its control characters; a line end stays one, however it is spelt."""
    return _DROPPED.sub("", text)


def without_single_leading_spaces(text: str) -> str:
    """What is left when a first space that was alone is lost: where more follow, its loss shows and is mended."""
    return re.sub(r"^ (?! )", "", text, flags=re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """The readings of one body of texts, and the least percentage of exact live texts; None for no such bound."""

    name: str
    readings: Sequence[Reading]
    least_live: float | None = None

    @property
    def final(self) -> int:
        """How many final texts are exact."""
        return sum(reading.final_exact for reading in self.readings)

    @property
    def live(self) -> int:
        """How many live texts are exact."""
        return sum(reading.verdict is Live.EXACT for reading in self.readings)

    def shortcomings(self) -> list[str]:
        """What isn't as it has to be, in words."""
        found = []
        if self.final < len(self.readings):
            found.append(f"{self.name}: {len(self.readings) - self.final} final texts are not exact")
        if self.least_live is not None and self.live < self.least_live / 100 * len(self.readings):
            found.append(f"{self.name}: fewer than {self.least_live:g} % of the live texts are exact")
        return found


def report(corpora: Sequence[Corpus]) -> Iterator[str]:
    """The lines of the table, the classes of the misses, and the first misses that have no known cause."""
    width = max(len(corpus.name) for corpus in corpora)
    yield f"{'':{width}}  {'final exact':>20}  {'live exact':>20}"
    for corpus in corpora:
        total = len(corpus.readings)
        figures = (_share(corpus.final, total), _share(corpus.live, total))
        yield f"{corpus.name:{width}}  {figures[0]:>20}  {figures[1]:>20}"
    for corpus in corpora:
        misses = Counter(reading.verdict for reading in corpus.readings)
        misses.pop(Live.EXACT, None)
        if misses:
            yield f"\n{corpus.name}: live texts that are not exact"
        for verdict in Live:
            if misses[verdict]:
                yield f"  {misses[verdict]:4}  {verdict.value}"
    for corpus in corpora:
        wrong = [reading for reading in corpus.readings if not reading.final_exact]
        yield from _shown(f"{corpus.name}: final texts that are not exact", wrong)
        wrong = [reading for reading in corpus.readings if reading.verdict is Live.OTHER]
        yield from _shown(f"{corpus.name}: live texts lost in some other way", wrong)


def _share(count: int, total: int) -> str:
    return f"{count}/{total} {100 * count / total:6.2f} %" if total else "none"


def _shown(title: str, readings: Sequence[Reading]) -> Iterator[str]:
    if not readings:
        return
    yield f"\n{title}: {len(readings)}" + (f", the first {SHOWN_MISSES}" if len(readings) > SHOWN_MISSES else "")
    for reading in readings[:SHOWN_MISSES]:
        for name, text in (("sent", reading.sent), ("live", reading.live), ("final", reading.final)):
            yield f"  {name:6}{_cut(text)}"
        if reading.failure:
            yield f"  {'failed':6}{reading.failure}"


def _cut(text: str) -> str:
    shown = ascii(text)
    return shown if len(shown) <= SHOWN_WIDTH else f"{shown[:SHOWN_WIDTH]}… ({len(text)} characters)"
