"""The terminal that the agent speaks on: its modes, its size, and writes that reach it whole."""

import os
import termios
import threading

RESET = "\x1b[0m"
GREY, RED, GREEN, YELLOW = "\x1b[38;5;8m", "\x1b[38;5;9m", "\x1b[38;5;10m", "\x1b[38;5;11m"
BLUE, MAGENTA, CYAN = "\x1b[38;5;12m", "\x1b[38;5;13m", "\x1b[38;5;14m"
BOLD = "\x1b[1m"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"

Modes = list[int | list[bytes | int]]
"""What `termios.tcgetattr` returns."""

_INPUT, _OUTPUT, _LOCAL, _CONTROL = 0, 1, 3, 6


class TerminalGoneError(Exception):
    """The terminal hung up, or its foreground belongs to somebody else: there is nothing more to read from it."""


def pieces(text: str) -> list[str]:
    """Cut text where q's own writes end: inside a colour sequence, around it, and after each line."""
    found: list[str] = []
    for index, part in enumerate(text.split("\x1b[")):
        if index == 0:
            found += part.splitlines(keepends=True)
            continue
        end = next((i for i, ch in enumerate(part) if ch.isalpha()), len(part) - 1)
        body, last, rest = part[:end], part[end : end + 1], part[end + 1 :]
        if last == "m" and ";" in body:
            head, _, tail = body.partition(";")
            found += ["\x1b[", f"{head};", tail, last]
        else:
            found.append(f"\x1b[{body}{last}")
        found += rest.splitlines(keepends=True)
    return found


class Terminal:
    """Standard input, output and error, which are usually one terminal.

    The line editor and the answer go to standard output, everything else to standard error, as q does it. A terminal
    that is gone ends the program (the kernel sends SIGHUP; a write that fails raises OSError).
    """

    __slots__ = ("_turn", "interactive")

    def __init__(self) -> None:
        self.interactive = os.isatty(0)
        self._turn = threading.Lock()

    def write(self, text: str) -> None:
        """Write to standard output, in one go."""
        _write(1, text)

    def note(self, text: str) -> None:
        """Write to standard error in the small pieces in which q does, so that a spinner may come between."""
        for piece in pieces(text):
            with self._turn:
                _write(2, piece)

    def frame(self, parts: tuple[str, ...]) -> None:
        """Write a spinner's frame to standard error: in several writes, but none of `note` comes between them."""
        with self._turn:
            for part in parts:
                _write(2, part)

    def columns(self) -> int:
        """How many columns the window has; 80 where nobody said."""
        try:
            return os.get_terminal_size(1).columns or 80
        except OSError:
            return 80

    def raw(self) -> Modes | None:
        """Switch the line discipline off, as the line editor needs it; the modes to restore, None without one.

        Raises TerminalGoneError.
        """
        if not self.interactive:
            return None
        try:
            saved: Modes = termios.tcgetattr(0)
        except termios.error as error:
            raise TerminalGoneError from error
        raw: Modes = [list(field) if isinstance(field, list) else field for field in saved]
        off = termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP | termios.IXON
        raw[_INPUT] = _flags(raw, _INPUT) & ~off
        raw[_LOCAL] = _flags(raw, _LOCAL) & ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
        control = raw[_CONTROL]
        if isinstance(control, list):
            control[termios.VMIN], control[termios.VTIME] = 1, 0
        _set(raw)
        return saved

    def restore(self, saved: Modes | None) -> None:
        """Give the line discipline back what `raw` found. Raises TerminalGoneError."""
        if saved is not None:
            _set(saved)


def _set(modes: Modes) -> None:
    try:
        termios.tcsetattr(0, termios.TCSADRAIN, modes)
    except termios.error as error:
        raise TerminalGoneError from error


def _flags(modes: Modes, index: int) -> int:
    field = modes[index]
    return field if isinstance(field, int) else 0


def _write(fd: int, text: str) -> None:
    left = memoryview(text.encode("utf-8", "replace"))
    while left:
        left = left[os.write(fd, left) :]
