"""The segments of one turn: the model's text between tool uses, live as it is typed, exact once the record has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from qpty.core.events import Event, MessageCompleted, MessageDelta
from qpty.core.live_text import LiveText

if TYPE_CHECKING:
    from qpty.core.dialect import Dialect

HOLD: Final = 0.05
"""Seconds for which the text after a tool is held back: a tool's last output may forge "Completed" and an answer, the
CLI's own "Completed" follows within about 3 ms of the tool's end (measured) and unmasks it."""


class Segments:
    """Collects the text of one turn and puts its events into `events`. At most one segment is open."""

    def __init__(self, dialect: Dialect, *, turn_id: str | None, events: list[Event]) -> None:
        self.first_text_at: float | None = None
        self.hold_until: float | None = None
        self._dialect = dialect
        self._turn_id = turn_id
        self._events = events
        self._done: list[tuple[str, bool]] = []
        self._placed = 0
        self._live: LiveText | None = None
        self._held: list[str] = []

    @property
    def text(self) -> str:
        """All that the model said so far: completed segments, joined by a blank line."""
        return "\n\n".join(text for text, _ in self._done)

    @property
    def exact(self) -> bool:
        """Whether every segment so far came from the record."""
        return all(exact for _, exact in self._done)

    def open(self, now: float) -> None:
        """Begin a segment; one that is still open has no record and says so."""
        self.abandon()
        self._live = LiveText(drops_first_space=self._dialect.drops_first_space)
        if self.hold_until is not None and now >= self.hold_until:
            self.hold_until = None

    def draw(self, text: str, now: float) -> None:
        """Take more typed text in."""
        if self._live is None:
            return
        out = self._live.draw(text)
        if self.first_text_at is None:
            self.first_text_at = now
        if self.hold_until is not None and now < self.hold_until:
            self._held.append(out)
            return
        self.release(now)
        self._delta(out)

    def end_line(self) -> None:
        """Take a line end in: the model's, or one of those that the CLI adds after its text."""
        if self._live is not None:
            self._live.end_line()

    def hold(self, now: float) -> None:
        """Hold back what follows now: the tool whose end was just seen may have printed it."""
        self.hold_until = now + HOLD

    def release(self, now: float) -> None:
        """Give out what was held back, if the hold is over."""
        if self.hold_until is not None and now >= self.hold_until:
            self.hold_until = None
            self._give_out()

    def discard(self) -> None:
        """Forget the open segment and what was held back: a tool had printed it."""
        self._held.clear()
        self._live = None

    def complete(self, text: str, *, tools: int, more: bool = False) -> None:
        """End the segment with its exact text; `tools` is how many tool calls follow it.

        `more` says that the record had later entries as well, so the open segment may be one of theirs. Where the
        record was late, the text belongs to a segment that was published without it: that is set right silently, for
        the turn's whole text, and not published twice.
        """
        if not text.strip() and (self._live is None or more):
            return  # nothing of it was ever shown
        place = self._published(text, more=more)
        if place is not None:
            self._done[place] = (text, True)
            self._placed = place + 1
            return
        live, self._live = self._live, None
        self.hold_until = None
        self._give_out()  # the record has the model's words: what was held back is real, or made good right here
        if live is not None:
            self._delta(live.close(closing_line_ends=self._dialect.closing_line_ends + tools))
        self._completed(text, exact=True)

    def abandon(self, *, tools: int = 0) -> None:
        """End the open segment without a record: its text is what the screen showed, before `tools` calls."""
        live, self._live = self._live, None
        if live is not None:
            self._delta(live.close(closing_line_ends=self._dialect.closing_line_ends + tools))
            self._completed(live.text, exact=False)

    def finish(self) -> None:
        """End what is still open: the turn is over."""
        self._held.clear()
        self.hold_until = None
        self.abandon()

    def _published(self, text: str, *, more: bool) -> int | None:
        """Return which segment that was published without the record has this text; None for the open one, or none.

        They are in order, and alike but for what the screen loses. One that is like none of them is the open one, if it
        is the newest.
        """
        waiting = [index for index in range(self._placed, len(self._done)) if not self._done[index][1]]
        if not waiting:
            return None
        words = _visible(text)
        is_open = self._live is not None and _visible(self._live.text) == words
        if is_open and not more:
            return None
        alike = next((index for index in waiting if _visible(self._done[index][0]) == words), None)
        if alike is not None or is_open:
            return alike
        return waiting[0] if more or self._live is None else None

    def _give_out(self) -> None:
        if self._held:
            self._delta("".join(self._held))
            self._held.clear()

    def _delta(self, text: str) -> None:
        if text:
            self._events.append(MessageDelta(turn_id=self._turn_id, segment=len(self._done), text=text))

    def _completed(self, text: str, *, exact: bool) -> None:
        self._events.append(MessageCompleted(turn_id=self._turn_id, segment=len(self._done), text=text, exact=exact))
        self._done.append((text, exact))
        if exact:
            self._placed = len(self._done)


def _visible(text: str) -> str:
    """Return what of a text no screen loses."""
    return _LOST.sub("", text)


_LOST = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
