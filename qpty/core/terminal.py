"""Bytes of a terminal → tokens for the readers, and a screen that is painted when somebody looks.

Painting costs more than cutting text into tokens, and nobody looks at most states of a screen. So tokens wait, up to
`OUTSTANDING_LIMIT`, and the screen skips what has scrolled away in between.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from qpty.core.screen import Screen
from qpty.core.spinner import FrameLifter
from qpty.core.tokens import Tokeniser, sequence

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence as Items

    from pyte.screens import Char

OUTSTANDING_LIMIT = 4 * 1024
"""How much text waits to be painted, in characters: beyond it `feed` paints. That takes well under 1 ms of ordinary
output, some 10 ms of the worst a program can print; a larger limit saves little, since painting skips by itself."""

_PASTE = 2004


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Neighbouring cells of one look.

    Colours are `"default"`, one of pyte's names (`"red"`, `"brown"` for yellow, `"brightblue"` …), or six hexadecimal
    digits.
    """

    text: str
    fg: str = "default"
    bg: str = "default"
    bold: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenSnapshot:
    """What a person sees at one moment.

    `rows` are the lines from the top; blanks at a line's end that don't show are left out. The cursor counts from 0;
    `cursor_column` equals `columns` when the next character would wrap.
    """

    columns: int
    lines: int
    cursor_column: int
    cursor_line: int
    cursor_hidden: bool
    rows: tuple[tuple[Run, ...], ...]
    title: str


class Terminal:
    """One terminal's output: `feed` it bytes, walk the tokens, look at the `screen` when needed.

    `frames` and `words` are the dialect's spinner: its frames are in neither tokens nor screen. `version` changes
    whenever something was drawn or the size changed, so that a viewer can tell whether to look again.

    Raises ValueError for an absurd size (see `Screen`) and for words that can't be told apart (see `FrameLifter`).
    """

    __slots__ = (
        "_decoder",
        "_lifter",
        "_outstanding",
        "_screen",
        "_shown",
        "_tokeniser",
        "_waiting",
        "bracketed_paste",
        "version",
    )

    def __init__(self, *, columns: int = 80, lines: int = 24, frames: Items[str] = (), words: Items[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._lifter = FrameLifter(frames, words)
        self._tokeniser = Tokeniser()
        self._screen = Screen(columns, lines)
        self._waiting: list[str] = []
        self._outstanding = 0
        self._shown: dict[int, tuple[list[Char], bool, tuple[Run, ...]]] = {}  # what the last snapshot had of each line
        self.bracketed_paste = False
        self.version = 0

    def feed(self, data: bytes) -> list[str]:
        """The tokens that `data` completes. Never raises; bytes that aren't UTF-8 come out as U+FFFD.

        What may be the beginning of a character, a frame or a sequence waits for more: a few hundred characters, or
        `tokens.STRING_LIMIT` of a string.
        """
        return self._read(self._decoder.decode(data))

    def flush(self) -> list[str]:
        """The tokens of what was waiting: the input has ended. An unfinished sequence is dropped."""
        return self._read(self._decoder.decode(b"", final=True), last=True)

    def _read(self, text: str, *, last: bool = False) -> list[str]:
        text = self._lifter.feed(text)
        if last:
            text += self._lifter.flush()
        if not text:
            return []
        tokens = self._tokeniser.feed(text)
        if last:
            self._tokeniser = Tokeniser()
        if not tokens:
            return tokens
        spelled = "".join(tokens)  # `text` may have a control inside a sequence, or only its second half
        if "2004" in spelled or "\x1bc" in spelled:
            self._watch_paste(tokens)
        self.version += 1
        self._waiting += tokens
        self._outstanding += len(spelled)
        if self._outstanding > OUTSTANDING_LIMIT:
            self._paint()
        return tokens

    def _watch_paste(self, tokens: list[str]) -> None:
        """Follow mode 2004 without painting."""
        for raw in tokens:
            if raw == "\x1bc":
                self.bracketed_paste = False
            elif raw[0] == "\x1b" and "2004" in raw:
                said = sequence(raw)
                if said.kind == "csi" and said.private == "?" and not said.intermediates and _PASTE in said.numbers:
                    self.bracketed_paste = said.final == "h" or (self.bracketed_paste and said.final != "l")

    def _paint(self) -> None:
        waiting, self._waiting, self._outstanding = self._waiting, [], 0
        self._screen.apply(waiting)

    @property
    def screen(self) -> Screen:
        """The screen as it is now. Look, don't change it; it changes with the next `feed`."""
        if self._waiting:
            self._paint()
        return self._screen

    def resize(self, *, columns: int, lines: int) -> None:
        """The terminal has a new size. Raises ValueError for an absurd one (see `Screen`)."""
        self.screen.resize(columns=columns, lines=lines)
        self.version += 1

    def snapshot(self) -> ScreenSnapshot:
        """The screen as a value to keep or send. A line that is as it was in the last one costs very little."""
        screen = self.screen
        for y in [y for y in self._shown if y >= screen.lines]:
            del self._shown[y]
        return ScreenSnapshot(
            columns=screen.columns,
            lines=screen.lines,
            cursor_column=screen.cursor.x,
            cursor_line=screen.cursor.y,
            cursor_hidden=screen.cursor.hidden,
            rows=tuple(self._row(y) for y in range(screen.lines)),
            title=screen.title,
        )

    def _row(self, y: int) -> tuple[Run, ...]:
        screen = self._screen
        line, shown = screen.buffer[y], self._shown.get(y)
        if shown is None or shown[0] != line or shown[1] != screen.reversed:
            shown = (line.copy(), screen.reversed, tuple(_runs(screen.cells(y), screen.reversed)))
            self._shown[y] = shown
        return shown[2]


def _look(cell: Char) -> tuple[str, str, bool, bool, bool, bool]:
    return cell.fg, cell.bg, cell.bold, cell.italics, cell.underscore, cell.reverse


def _runs(cells: list[Char], reversed_screen: bool) -> Iterable[Run]:
    """A line's cells as runs, without the blanks at its end that don't show."""
    end = len(cells)
    while end and _is_invisible(cells[end - 1], reversed_screen):
        end -= 1
    for (fg, bg, bold, italic, underline, reverse), run in groupby(cells[:end], key=_look):
        yield Run(
            text="".join(cell.data for cell in run),
            fg=fg,
            bg=bg,
            bold=bold,
            italic=italic,
            underline=underline,
            reverse=reverse != reversed_screen,
        )


def _is_invisible(cell: Char, reversed_screen: bool) -> bool:
    return cell.data == " " and cell.bg == "default" and not cell.underscore and cell.reverse == reversed_screen
