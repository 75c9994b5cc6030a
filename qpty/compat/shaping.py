"""`stop` and `max_tokens`, which the CLI has no way to pass on: done to its text on the way out.

The text up to a stop text, or the last token that fits, is what the client gets; the turn is stopped then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qpty.compat.usage import TokenCount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpty.compat.replies import EndingReason


@dataclass(frozen=True, slots=True)
class Cut:
    """Why a text ends here: `length`, or `stop` with the text that came."""

    reason: EndingReason
    stop_text: str | None = None


class Shaper:
    """Cuts a text that comes in pieces. After `cut` is set nothing more comes out."""

    def __init__(self, *, stop: Sequence[str] = (), max_tokens: int | None = None) -> None:
        self.cut: Cut | None = None
        self._stop = [text for text in stop if text]
        self._longest = max(map(len, self._stop), default=0)
        self._left = max_tokens
        self._held = ""
        self._count = TokenCount()

    def feed(self, text: str) -> str:
        """Take more text; return what may be sent."""
        if self.cut is not None:
            return ""
        self._held += text
        found = [(at, stop) for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if found:
            # The one that is complete first, as if the text came character by character.
            at, stop = min(found, key=lambda one: (one[0] + len(one[1]), one[0]))
            ready, self._held = self._held[:at], ""
            ready = self._within(ready)
            if self.cut is None:
                self.cut = Cut("stop", stop)
            return ready
        keep = next((n for n in range(min(self._longest - 1, len(self._held)), 0, -1) if self._may_begin(n)), 0)
        ready, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return self._within(ready)

    def finish(self) -> str:
        """No more text comes; return what was held back."""
        ready, self._held = self._held, ""
        return "" if self.cut is not None else self._within(ready)

    def _may_begin(self, length: int) -> bool:
        """Whether the last so many characters are the beginning of a stop text."""
        end = self._held[-length:]
        return any(stop.startswith(end) for stop in self._stop)

    def _within(self, text: str) -> str:
        """Return what of a text still fits."""
        if self._left is None or not text:
            return text
        if self._count.with_more(text) <= self._left:
            self._count.add(text)
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self._count.with_more(text[:middle]) <= self._left:
                low = middle
            else:
                high = middle - 1
        self.cut = Cut("length")
        self._count.add(text[:low])
        return text[:low]
