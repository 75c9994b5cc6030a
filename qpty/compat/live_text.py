"""The text of an answer for a stream, which can't take a word back.

Live text is what was typed on the terminal, and may lack white space that the CLI drops (the first space of a line,
tabs); the exact text comes when a segment is complete. How much is sent before that is the `Fidelity`:

| | sent live | at the end of a segment |
|---|---|---|
| `live` | everything | what is missing at the end |
| `auto` | prose: up to the first code fence | the rest, exact |
| `exact` | nothing | everything |
"""

from __future__ import annotations

import re
from typing import Final, Literal

Fidelity = Literal["auto", "live", "exact"]

FENCES: Final = ("```", "~~~")

_BEFORE_A_FENCE: Final = re.compile(r"(?:[ \t>]|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t]))*")
"""What may stand before a fence on its line: the marks of quotes and of lists. It matches any text, if only with
nothing."""

_MAY_BECOME_ONE: Final = re.compile(r"`{0,2}|~{0,2}|[-*+]|\d{1,9}[.)]?")
"""The beginning of a fence, or of a mark that may stand before one."""

_DROPPED: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")
"""What live text may lack, or have otherwise."""


class SegmentText:
    """The text of one segment: `feed` its live text, then `complete` it once; both return what is to be sent."""

    def __init__(self, fidelity: Fidelity) -> None:
        self._fidelity = fidelity
        self._sent: list[str] = []
        self._line = ""
        """What is held of a line that may begin a fence."""
        self._at_line_start = True
        self._holds = fidelity == "exact"

    def feed(self, text: str) -> str:
        """Take more live text."""
        if self._holds:
            return ""
        ready = text if self._fidelity == "live" else self._before_fence(text)
        self._sent.append(ready)
        return ready

    def complete(self, text: str) -> str | None:
        """Take the whole text; what is left to be sent of it. None where it isn't the one that was sent in part."""
        return rest_of(text, "".join(self._sent))

    def _before_fence(self, text: str) -> str:
        """Return what is certainly before the first fence; a line's beginning waits until it can't become one."""
        ready: list[str] = []
        for piece in re.split(r"(\n)", text):
            if piece == "\n":
                ready.append(self._line + piece)
                self._line, self._at_line_start = "", True
            elif piece and self._at_line_start:
                self._line += piece
                begins = _BEFORE_A_FENCE.sub("", self._line, count=1)
                if begins.startswith(FENCES):
                    self._holds = True
                    return "".join(ready)
                if not _MAY_BECOME_ONE.fullmatch(begins):
                    ready.append(self._line)
                    self._line, self._at_line_start = "", False
            elif piece:
                ready.append(piece)
        return "".join(ready)


def rest_of(text: str, sent: str) -> str | None:
    """Return what follows in a text on what was sent of it, white space aside; None if that isn't its beginning.

    After the last line end that was sent, whatever is left of the text is as it is: indented as it was.
    """
    if text.startswith(sent):
        return text[len(sent) :]
    at = 0
    for character in _DROPPED.sub("", sent):
        while at < len(text) and _DROPPED.match(text[at]):
            at += 1
        if at >= len(text) or text[at] != character:
            return None
        at += 1
    for character in sent[len(sent.rstrip()) :]:
        at = _after_blank(text, at, character)
    return text[at:]


def _after_blank(text: str, at: int, character: str) -> int:
    """Return where a text goes on after white space that was sent; where it was, if it isn't in the text there."""
    place = at
    while character == "\n" and place < len(text) and text[place] != "\n" and _DROPPED.match(text[place]):
        place += 1  # lost from a line that had nothing else
    return place + 1 if text.startswith(character, place) else at
