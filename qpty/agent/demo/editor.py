"""The line editor: reads one message, painting as q's does (rustyline), byte for byte where that is simple to do.

Bracketed paste is on, and the terminal raw, exactly while it reads. That is how a reader knows that the agent is ready.
"""

import os

from .keys import KEY, PASTE, TEXT, Key, KeyReader
from .layout import place_after
from .signals import Signals
from .terminal import Terminal, TerminalGoneError

LINE, INTERRUPT, END_OF_FILE = "line", "interrupt", "end-of-file"
"""How reading a line may end: accepted, Ctrl-C, Ctrl-D on an empty line."""

_SMALL_READ, _BIG_READ = 1024, 1 << 16


def is_incomplete(text: str) -> bool:
    """Whether Enter only adds a line: an open code fence, or a backslash at the end."""
    return text.count("```") % 2 == 1 or text.endswith("\\")


class Editor:
    """A line editor with a memory for the lines that were accepted and for the keys that came too early."""

    __slots__ = (
        "_commands", "_cursor", "_draft", "_end", "_hint", "_history", "_keys", "_past", "_place", "_point", "_prompt",
        "_queue", "_signals", "_terminal", "_text",
    )  # fmt: skip

    def __init__(self, terminal: Terminal, signals: Signals, commands: tuple[str, ...]) -> None:
        self._terminal, self._signals = terminal, signals
        self._commands = tuple(sorted(commands))
        self._keys = KeyReader()
        self._queue: list[Key] = []
        self._history: list[str] = []
        self._prompt = ("", "")
        self._begin_line()

    def _begin_line(self) -> None:
        self._text, self._point, self._hint = "", 0, ""
        self._past, self._draft = len(self._history), ""
        self._place, self._end = (0, 0), (0, 0)

    def read(self, prompt: str, painted: str, notice: str = "") -> tuple[str, str]:
        """Read one message: how it ended (LINE, INTERRUPT, END_OF_FILE) and its text.

        `prompt` is the prompt's plain text and `painted` the same with colours. `notice` is text of another of q's
        threads, which appears wherever chance puts it: before bracketed paste is on, before the prompt, or after it.
        Raises TerminalGoneError.
        """
        self._begin_line()
        self._prompt = (prompt, painted)
        saved = self._terminal.raw()
        place = os.urandom(1)[0] % 3
        self._terminal.note(notice if place == 0 else "")
        self._terminal.write("\x1b[?2004h")
        self._terminal.note(notice if place == 1 else "")
        self._refresh()
        self._terminal.note(notice if place == 2 else "")
        try:
            how = self._edit()
        finally:
            self._terminal.restore(saved)
            self._terminal.write("\x1b[?2004l")
            self._terminal.write("\n")
        if how == LINE and self._text.strip():
            self._history.append(self._text)
        return how, self._text

    def _edit(self) -> str:
        while True:
            while self._queue:
                how = self._press(self._queue.pop(0))
                if how:
                    return how
            try:
                data = os.read(0, _BIG_READ if self._keys.pasting else _SMALL_READ)
            except OSError as error:
                raise TerminalGoneError from error
            if not data:
                return END_OF_FILE
            self._queue += self._keys.feed(data)

    def _press(self, key: Key) -> str:
        """Do what a key asks for; how the line ended, or "" if it goes on."""
        kind, value = key
        if kind != KEY:
            typed = list(value) if kind == TEXT and "/" in (self._text + value)[:1] else [value]
            for text in typed:  # a command gets a hint at each key
                self._insert(text, whole=kind == PASTE)
            return ""
        if value == "interrupt":
            return INTERRUPT
        if value == "end-of-file" and not self._text:
            return END_OF_FILE
        if value == "enter":
            self._settle()
            if not is_incomplete(self._text):
                return LINE
            value = "newline"
        if value == "newline":
            self._insert("\n", whole=True)
        elif value in ("left", "right", "home", "end"):
            self._move({"left": self._point - 1, "right": self._point + 1}.get(value, self._line_edge(value)))
        elif value in ("up", "down"):
            self._vertical(-1 if value == "up" else 1)
        elif value == "tab":
            self._complete()
        else:
            self._delete(value)
        return ""

    # editing

    def _insert(self, text: str, whole: bool = False) -> None:
        at_end = self._point == len(self._text)
        self._text = self._text[: self._point] + text + self._text[self._point :]
        self._point += len(text)
        plain = at_end and not whole and len(text) < 256 and text.isprintable()
        if plain and not self._hint and not self._wanted_hint():
            row, column = place_after(text, *self._place, self._terminal.columns())
            if row == self._place[0]:
                self._terminal.write(text)
                self._place = self._end = (row, column)
                return
        self._refresh()

    def _line_edge(self, which: str) -> int:
        if which == "home":
            return self._text.rfind("\n", 0, self._point) + 1
        end = self._text.find("\n", self._point)
        return len(self._text) if end < 0 else end

    def _delete(self, key: str) -> None:
        start, end = self._point, self._point
        if key == "backspace":
            start -= 1
        elif key in ("delete", "end-of-file"):
            end += 1
        elif key == "kill-left":
            start = self._line_edge("home")
            start -= start == end
        elif key == "kill-right":
            end = self._line_edge("end")
            end += start == end
        elif key == "kill-word":
            start = len(self._text[:end].rstrip())
            while start and not self._text[start - 1].isspace():
                start -= 1
        start, end = max(start, 0), min(end, len(self._text))
        if start < end:
            self._text, self._point = self._text[:start] + self._text[end:], start
            self._refresh()
        elif key == "clear-screen":
            self._terminal.write("\x1b[H\x1b[J")
            self._place = self._end = (0, 0)
            self._refresh()

    def _vertical(self, step: int) -> None:
        line_start, line_end = self._line_edge("home"), self._line_edge("end")
        column = self._point - line_start
        if step < 0 and line_start:
            above = self._text.rfind("\n", 0, line_start - 1) + 1
            self._move(min(above + column, line_start - 1))
        elif step > 0 and line_end < len(self._text):
            below = self._text.find("\n", line_end + 1)
            self._move(min(line_end + 1 + column, len(self._text) if below < 0 else below))
        elif 0 <= self._past + step <= len(self._history):
            if self._past == len(self._history):
                self._draft = self._text
            self._past += step
            self._text = self._draft if self._past == len(self._history) else self._history[self._past]
            self._point = len(self._text)
            self._refresh()

    # hints: grey proposals for commands

    def _wanted_hint(self) -> str:
        if not self._text.startswith("/") or self._point < len(self._text) or len(self._text) > 32:
            return ""
        return next((c[len(self._text) :] for c in self._commands if c.startswith(self._text) and c != self._text), "")

    def _complete(self) -> None:
        hint = self._wanted_hint()
        if hint:
            self._text += hint
            self._point = len(self._text)
            self._refresh()

    def _settle(self) -> None:
        """Before a line is accepted: no hint, and the cursor at the end."""
        if self._hint:
            self._refresh(hint="")
        self._move(len(self._text))

    # painting

    def _move(self, point: int) -> None:
        if not 0 <= point <= len(self._text) or point == self._point:
            return
        self._point = point
        row, column = self._position(self._text[:point])
        rows, columns = row - self._place[0], column - self._place[1]
        self._terminal.write(_step(rows, "B", "A") + _step(columns, "C", "D"))
        self._place = (row, column)

    def _position(self, text: str) -> tuple[int, int]:
        columns = self._terminal.columns()
        return place_after(text, *place_after(self._prompt[0], 0, 0, columns), columns)

    def _refresh(self, hint: str | None = None) -> None:
        """Paint everything anew, from the rows that the last painting left."""
        self._hint = self._wanted_hint() if hint is None else hint
        place, end = self._position(self._text[: self._point]), self._position(self._text)
        below = self._end[0] - self._place[0]
        out = [f"\x1b[{below}B" if below else "", "\r\x1b[K\x1b[A" * self._end[0], "\r\x1b[K", self._prompt[1]]
        out.append(self._text)
        if self._hint:
            out.append(f"\x1b[38;5;240m{self._hint}\x1b[m")
        if end[0] and not end[1] and not self._text.endswith("\n"):
            out.append("\n")  # the terminal itself stays in the last column
        out.append(_step(place[0] - end[0], "B", "A"))
        out.append(f"\r\x1b[{place[1]}C" if place[1] else "\r")
        self._terminal.write("".join(out))
        self._place, self._end = place, end


def _step(count: int, forward: str, back: str) -> str:
    if not count:
        return ""
    letter = forward if count > 0 else back
    return f"\x1b[{letter}" if abs(count) == 1 else f"\x1b[{abs(count)}{letter}"
