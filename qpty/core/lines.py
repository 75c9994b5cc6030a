"""Tokens of the terminal → styled lines, in the order in which they were drawn.

This is the transcript's half of reading: no width, so a soft wrap never shows; the games that programs play with the
cursor on one line (progress bars, erasures) are undone; only the two attributes that the CLI uses to tell its own words
from the model's are kept, the foreground colour and bold.

A line is bounded by `LINE_LIMIT` characters: past it, it is ended as if a line end stood there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LINE_LIMIT: Final = 1 << 16
"""Characters in one line. Echoes and answers aren't read by lines; a tool that plays with the cursor on a longer line
would make each of its writes copy all of it."""

PAINT_LIMIT: Final = 512
"""Tokens after the switch of bracketed paste among which a painted prompt is looked for; a prompt takes about ten."""

PASTE_ON: Final = "\x1b[?2004h"
PASTE_OFF: Final = "\x1b[?2004l"
CURSOR_HIDE: Final = "\x1b[?25l"
ERASE_LINE: Final = "\x1b[2K"
CURSOR_HOME: Final = "\x1b[H"

_SGR = re.compile(r"\x1b\[([0-9;:]*)m\Z")
_MOVE = re.compile(r"\x1b\[(\d*)([CDGK])\Z")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_FORWARD = re.compile(r"\x1b\[(\d*)C")
_TEXT = r"(?:[^\x00-\x1f\x7f-\x9f]|\x1b\[[0-9;]*m|\r?\n)*"
_CLEARED = r"(?:\x1b\[H\x1b\[J)?"
_PAINTS = re.compile(
    # Text before the paints: "(To exit the CLI …)" or a notification. Nothing may follow them.
    rf"{_CLEARED}{_TEXT}(?:\x07|\r\x1b\[K(?:\x1b\[A\r\x1b\[K)*{_TEXT}\r(?:\x1b\[\d*C)?)+\Z"
)
_FIRST_PAINT = re.compile(rf"{_CLEARED}{_TEXT}\r\x1b\[K{_TEXT}\r(?:\x1b\[\d*C)?")
_PAINT_START: Final = ["\r", "\x1b[K"]
_PALETTE: Final = 5
_TRUE_COLOUR: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One drawn line: its text; colour (palette index, None for the default) and bold of its first character."""

    text: str
    colour: int | None
    bold: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """What the line editor painted last: all visible text, and the column (from 0) at which it left the cursor."""

    text: str
    column: int


Ops = tuple[tuple[str, int | None], ...]


def _style_operations(raw: str) -> Ops:
    """Return what a SGR sequence does to colour and bold: (`fg`|`bold`, value) in order. () for any other sequence."""
    match = _SGR.match(raw)
    if match is None:
        return ()
    operations: list[tuple[str, int | None]] = []
    numbers = [int(part) if part.isdigit() else 0 for part in match[1].replace(":", ";").split(";")]
    index = 0
    while index < len(numbers):
        number = numbers[index]
        if number == 0:
            operations += [("fg", None), ("bold", 0)]
        elif number == 1:
            operations.append(("bold", 1))
        elif number in {2, 22}:
            operations.append(("bold", 0))
        elif 30 <= number <= 37:
            operations.append(("fg", number - 30))
        elif 90 <= number <= 97:
            operations.append(("fg", number - 82))
        elif number == 39:
            operations.append(("fg", None))
        elif number in {38, 48}:
            kind = numbers[index + 1] if index + 1 < len(numbers) else 0
            value: int | None = None
            if kind == _PALETTE and index + 2 < len(numbers):
                value = numbers[index + 2]
                index += 2
            elif kind == _TRUE_COLOUR:
                value = 256  # some colour that no dialect names
                index += 4
            if number == 38:
                operations.append(("fg", value))
        elif number == 4 and ":" in match[1]:
            break  # `4:3`: the style of an underline, nothing for us
        index += 1
    return tuple(operations)


class LineReader:
    """Follows one terminal's tokens. The owner calls one method a token and reads the attributes."""

    __slots__ = ("_cache", "_cr", "_paint", "_text", "bold", "colour", "column", "line_bold", "line_colour", "paste")

    def __init__(self) -> None:
        self.colour: int | None = None
        self.bold = False
        self.paste = False
        self.column = 0
        self.line_colour: int | None = None
        self.line_bold = False
        self._text = ""
        self._paint: list[str] | None = None
        self._cache: dict[str, Ops] = {}

    @property
    def text(self) -> str:
        """The line so far."""
        return self._text

    @property
    def plain(self) -> bool:
        """Whether text is drawn in the default colour and weight."""
        return self.colour is None and not self.bold

    def note(self, token: str) -> None:
        """Remember a token for the painted prompt; to be called with every token while `watching`."""
        paint = self._paint
        if paint is None:
            return
        if len(paint) >= PAINT_LIMIT or (token[0] == "\n" and paint[-2:-1] and _FORWARD.fullmatch(paint[-2])):
            self._paint = None  # a line end after the cursor was placed: this is nobody's prompt
        else:
            paint.append(token)

    @property
    def watching(self) -> bool:
        """Whether tokens since the last switch of bracketed paste may still be nothing but a painted prompt."""
        return self._paint is not None

    @property
    def painting(self) -> bool:
        """Whether the line editor paints: nothing, or its carriage return and erasure, came first since the switch."""
        paint = self._paint
        return paint is not None and (paint[:1] == [CURSOR_HOME] or paint[:2] == _PAINT_START[: len(paint)])

    def paste_on(self) -> None:
        """Bracketed paste was switched on: the line editor starts, what follows may be its prompt."""
        self.paste = True
        self._paint = []

    def paste_off(self) -> None:
        """Bracketed paste was switched off: the line editor gave its line away."""
        self.paste = False
        self._paint = None

    def cursor_home(self) -> None:
        """Go to the screen's first place: so the line editor begins to clear the screen, and paints anew then."""
        if self.paste:
            self._paint = [CURSOR_HOME]

    def draw(self, text: str) -> None:
        """Draw printable text at the cursor."""
        line = self._text
        column = self.column
        if not line:
            self.line_colour = self.colour
            self.line_bold = self.bold
        if column == len(line):
            self._text = line + text
        elif column > len(line):
            self._text = line + " " * (column - len(line)) + text
        else:
            self._text = line[:column] + text + line[column + len(text) :]
        self.column = column + len(text)

    def end_line(self) -> Line:
        """End the line and return it; the next starts empty."""
        line = Line(text=self._text, colour=self.line_colour, bold=self.line_bold)
        self.restart()
        return line

    def restart(self) -> None:
        """Start a line here: what was drawn before on this row belongs to something else."""
        self._text = ""
        self.column = 0
        self.line_colour = self.colour
        self.line_bold = self.bold

    def carriage_return(self) -> None:
        """Go back to the line's first column: what is drawn next overwrites it."""
        self.column = 0

    def backspace(self) -> None:
        """Go back one column."""
        self.column = max(0, self.column - 1)

    def sequence(self, raw: str) -> bool:
        """Take an escape sequence in; return whether it changed the style."""
        operations = self._cache.get(raw)
        if operations is None:
            operations = _style_operations(raw)
            if len(self._cache) >= 256:
                self._cache.clear()
            self._cache[raw] = operations
        if operations:
            for name, value in operations:
                if name == "fg":
                    self.colour = value
                else:
                    self.bold = bool(value)
            return True
        if raw[-1] in "CDGK":
            self._move(raw)
        return False

    def _move(self, raw: str) -> None:
        """Carry out the movements that matter on one line: forward, back, to a column, erase."""
        match = _MOVE.match(raw)
        if match is None:
            return
        count = min(int(match[1] or 0), LINE_LIMIT)
        if match[2] == "C":
            self.column += max(1, count)
        elif match[2] == "D":
            self.column = max(0, self.column - max(1, count))
        elif match[2] == "G":
            self.column = max(0, count - 1)
        elif count == 0:
            self._text = self._text[: self.column]
        elif count == 1:
            self._text = " " * min(self.column, len(self._text)) + self._text[self.column :]
        else:
            self._text = ""
        self.column = min(self.column, LINE_LIMIT)

    def painted(self) -> Paint | None:
        """Return the line editor's last paint, if all tokens since the switch of bracketed paste are paints of it.

        Or all since it began to clear the screen, as Ctrl-L has it do. One paint is: carriage return, erase to the end,
        styled text (possibly of several lines), carriage return, and the cursor moved right to where the typing goes
        on. The line's last part and that column are returned.
        """
        raw = "".join(self._paint or ()) if self.paste else ""
        paint = _last_paint(raw)  # first: cheaper than the match, and mostly there is none
        return paint if paint is not None and _PAINTS.match(raw) else None

    def first_painted(self) -> Paint | None:
        """Return the line editor's first paint since the switch of bracketed paste, whatever was printed after it."""
        first = _FIRST_PAINT.match("".join(self._paint or ())) if self.paste else None
        return _last_paint(first[0]) if first is not None else None


def _last_paint(raw: str) -> Paint | None:
    start = raw.rfind("\r\x1b[K")
    if start < 0:
        return None
    body, _, column = raw[start + 4 :].rpartition("\r")
    text = _STYLE.sub("", body).replace("\r", "")
    number = _FORWARD.match(column)
    return Paint(text=text, column=int(number[1] or 1) if number else 0)
