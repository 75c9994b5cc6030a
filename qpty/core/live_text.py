"""Live text of one segment: what was typed on the screen, with what is certainly lost given back.

The CLI drops the first space of every line that starts with one, so a line that shows n ≥ 1 leading spaces was sent
with n + 1 (a line with exactly one can't be told from a line with none). Line ends are held until text follows them:
the last ones are the CLI's own, and how many those are is known only when the segment is over.
"""

from __future__ import annotations


class LiveText:
    """Collects one segment; `text` is all that was given out so far."""

    __slots__ = ("_drops_first_space", "_line_start", "_parts", "line_ends")

    def __init__(self, *, drops_first_space: bool) -> None:
        self._drops_first_space = drops_first_space
        self._line_start = True
        self._parts: list[str] = []
        self.line_ends = 0

    @property
    def text(self) -> str:
        """All text given out so far."""
        return "".join(self._parts)

    def draw(self, text: str) -> str:
        """Take typed text in; return what can be given out now."""
        if self._line_start:
            self._line_start = False
            if self._drops_first_space and text[0] == " ":
                text = " " + text
        if self.line_ends:
            text = "\n" * self.line_ends + text
            self.line_ends = 0
        self._parts.append(text)
        return text

    def end_line(self) -> None:
        """Take a line end in."""
        self.line_ends += 1
        self._line_start = True

    def close(self, *, closing_line_ends: int) -> str:
        """End the segment, the last `closing_line_ends` being the CLI's own; return what is left to give out."""
        rest = "\n" * max(0, self.line_ends - closing_line_ends)
        self.line_ends = 0
        if rest:
            self._parts.append(rest)
        return rest
