"""Long contents laid out over several blocks, as a book's are over pages.

Whoever writes opens frames (a list, an item, a table, a piece of code), puts pieces of html into them and closes them
again. Where a piece doesn't fit any more, all open frames are closed, the block ends, and the next one begins by
opening them anew, marked as continued. So the frames of every block are balanced, and no block exceeds its limits
whatever is put in. Where a block ends depends on what is before it only: text that grows doesn't move it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qpty.rendering.limits import MAX_BLOCK_ELEMENTS, MAX_BLOCK_HTML

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Place:
    """Where an opening tag stands, and the number that its frame had reached.

    `continues`: the frame was open in the block before. `goes_on`: it is open in the next one.
    """

    continues: bool
    goes_on: bool
    number: int


@dataclass(slots=True, eq=False)
class Frame:
    """An element, or some, around pieces.

    `opening` writes the opening tags for a place; they are never longer than `reserve` less the closing tags. `number`
    counts what the frame's user counts, such as a list's items.
    """

    opening: Callable[[Place], str]
    closing: str
    reserve: int
    elements: int = 1
    number: int = 0


@dataclass(slots=True, eq=False)
class _Opened:
    """A frame in one block: what its opening tag depends on."""

    frame: Frame
    continues: bool
    number: int
    goes_on: bool = False

    def html(self) -> str:
        return self.frame.opening(Place(self.continues, self.goes_on, self.number))


@dataclass(frozen=True, slots=True)
class Page:
    """A block's html, and where in the source it begins."""

    start: int
    html: str
    continued: bool


@dataclass(slots=True)
class Pager:
    """Lays out pieces over pages; a page is what becomes a block."""

    pages: list[Page] = field(default_factory=list)
    _frames: list[_Opened] = field(default_factory=list)
    _body: list[str | _Opened] = field(default_factory=list)
    _start: int | None = None
    _length: int = 0
    _elements: int = 0
    _continued: bool = False

    def open(self, frame: Frame, at: int) -> None:
        """Open a frame at a place of the source."""
        self._room(frame.reserve, frame.elements, at)
        self._enter(frame, continues=False)

    def put(self, html: str, elements: int, at: int) -> None:
        """Put a piece, which is never cut, from a place of the source."""
        self._room(len(html), elements, at)
        self._body.append(html)
        self._length += len(html)
        self._elements += elements

    def close(self) -> None:
        """Close the frame that was opened last."""
        self._body.append(self._frames.pop().frame.closing)

    def turn(self) -> None:
        """End the page here, with all that is open going on in the next; nothing if nothing is on it yet."""
        if self._start is None:
            return
        for opened in self._frames:
            opened.goes_on = True
        frames = [opened.frame for opened in self._frames]
        self._body.extend(frame.closing for frame in reversed(frames))
        self._end(continued=True)
        for frame in frames:
            self._enter(frame, continues=True)

    def end(self) -> None:
        """End the page here; every frame must be closed."""
        if self._frames:
            raise AssertionError("a frame is open")
        if self._start is not None:
            self._end(continued=False)
        self._continued = False
        self._clear()

    def _room(self, length: int, elements: int, at: int) -> None:
        """Turn the page if that much doesn't fit."""
        if self._length + length > MAX_BLOCK_HTML or self._elements + elements > MAX_BLOCK_ELEMENTS:
            self.turn()
        if self._start is None:
            self._start = at

    def _enter(self, frame: Frame, *, continues: bool) -> None:
        opened = _Opened(frame, continues, frame.number)
        self._frames.append(opened)
        self._body.append(opened)
        self._length += frame.reserve
        self._elements += frame.elements

    def _end(self, *, continued: bool) -> None:
        if self._start is None:
            raise AssertionError("nothing is on the page")
        html = "".join(part if isinstance(part, str) else part.html() for part in self._body)
        self.pages.append(Page(self._start, html, self._continued))
        self._continued = continued
        self._clear()

    def _clear(self) -> None:
        self._frames, self._body, self._start, self._length, self._elements = [], [], None, 0, 0
