"""A menu as q paints it: raw terminal, no bracketed paste, arrows and j/k, Enter, ESC and Ctrl-C."""

import os

from .keys import KEY, TEXT, Key, KeyReader
from .signals import Signals, TurnInterruptedError
from .terminal import BOLD, GREY, HIDE_CURSOR, RESET, SHOW_CURSOR, Terminal

_ESCAPE_SECONDS = 0.05
"""How long a lone ESC may wait for the rest of a sequence before it is the ESC key."""


def choose(terminal: Terminal, signals: Signals, title: str, items: list[str]) -> int | None:
    """Let the user choose: the item's index, None for ESC. Raises TurnInterruptedError for Ctrl-C."""
    current = 0
    saved = terminal.raw()
    try:
        terminal.note(f"{HIDE_CURSOR}\x1b[35m?{RESET} {BOLD}{title}{RESET} {GREY}›{RESET}\n")
        terminal.note(_painted(items, current))
        keys = KeyReader()
        while True:
            for key in _keys(keys, signals):
                if key == (KEY, "interrupt"):
                    raise TurnInterruptedError
                if key in ((KEY, "enter"), (KEY, "escape")):
                    terminal.note(_erased(len(items) + 1))
                    if key[1] == "escape":
                        terminal.note(SHOW_CURSOR)
                        return None
                    terminal.note(
                        f"\x1b[32m✔{RESET} {BOLD}{title}{RESET} {GREY}·{RESET} \x1b[32m{items[current]}{RESET}\n"
                    )
                    terminal.note(SHOW_CURSOR)
                    return current
                current = (current + _direction(key)) % len(items)
                terminal.note(_erased(len(items)) + _painted(items, current))
    finally:
        terminal.restore(saved)


def _keys(reader: KeyReader, signals: Signals) -> list[Key]:
    if reader.escaping and not signals.readable(0, _ESCAPE_SECONDS):
        reader.feed(b" ")  # completes the ESC as a key of no meaning
        return [(KEY, "escape")]
    while not signals.wait([0], None):
        pass
    data = os.read(0, 1024)
    if not data:
        raise TurnInterruptedError
    return reader.feed(data)


def _direction(key: Key) -> int:
    if key in ((KEY, "down"), (KEY, "tab"), (TEXT, "j")):
        return 1
    return -1 if key in ((KEY, "up"), (TEXT, "k")) else 0


def _painted(items: list[str], current: int) -> str:
    return "".join(
        f"\x1b[32m❯{RESET} \x1b[36m{item}{RESET}\n" if index == current else f"  {item}\n"
        for index, item in enumerate(items)
    )


def _erased(lines: int) -> str:
    return f"\x1b[{lines}A" + "\r\x1b[2K\x1b[1B" * lines + f"\x1b[{lines}A"
