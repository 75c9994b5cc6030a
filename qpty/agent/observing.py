"""Who looks on while an agent runs in its terminal, and has no say in it: a recording, for one.

It is told in the event loop, between the read and what is made of it, so it must be quick and may never raise.
"""

from __future__ import annotations

from typing import Protocol


class TerminalObserver(Protocol):
    """Told of all that a terminal shows. Times are the event loop's, in seconds; sizes are in characters."""

    def started(self, *, columns: int, lines: int, now: float) -> None:
        """Take note: the process was started in a terminal of this size. The first call, and made once."""

    def output(self, data: bytes, now: float) -> None:
        """Take note: the terminal printed these bytes; a character may be cut at either end."""

    def resized(self, *, columns: int, lines: int, now: float) -> None:
        """Take note: the terminal has another size."""

    def ended(self, now: float) -> None:
        """Take note: the process has ended, or is given up. The last call, and made once."""
