"""Cells of the screen: how wide a character is, how it looks, and what a change of colour makes of that."""

from __future__ import annotations

from typing import Any

from pyte import graphics
from pyte.screens import Char
from wcwidth import wcwidth

MAX_CACHED = 4096
"""Entries of a cache, which is emptied when it is full."""

BLANK = Char(" ")

_BRIGHT_MAGENTA = {"bfightmagenta": "brightmagenta"}  # a slip of pyte's table


class Widths(dict[str, int]):
    """Columns of each character: 0, 1, 2; -1 for what isn't drawn."""

    def __missing__(self, character: str) -> int:
        if len(self) >= MAX_CACHED:
            self.clear()
        width = self[character] = wcwidth(character)
        return width


class Style(dict[str, Char]):
    """The cells of one set of attributes by character, and the styles that a colour change leads to."""

    __slots__ = ("after", "attributes")

    def __init__(self, attributes: Char) -> None:
        super().__init__()
        self.attributes = attributes
        self.after: dict[str, Style] = {}

    def __missing__(self, character: str) -> Char:
        if len(self) >= MAX_CACHED:
            self.clear()
        cell = self[character] = self.attributes._replace(data=character)
        return cell


def _colour(values: list[int]) -> str | None:
    """The colour that `5;N` or `2;R;G;B` names; takes what it reads off the list's end. None where it names none."""
    match values.pop() if values else None:
        case 5 if values:
            number = values.pop()
            return graphics.FG_BG_256[number] if number < len(graphics.FG_BG_256) else None
        case 2:
            parts = [min(values.pop(), 255) for _ in range(min(3, len(values)))]
            return "".join(f"{part:02x}" for part in parts) if len(parts) == 3 else None
    return None


def rendition(attributes: Char, params: tuple[tuple[int, ...], ...]) -> Char:
    """Return the attributes after `CSI … m` with these parameters, each a number with its subparameters."""
    values = list(reversed(params)) or [(0,)]
    change: dict[str, Any] = {}
    while values:
        code, *sub = values.pop()
        if code == 0:
            change = BLANK._asdict()
        elif code in (38, 48, 58):
            if sub:
                if sub[0] == 2 and len(sub) > 4:  # 2:SPACE:R:G:B
                    del sub[1]
                colour = _colour(sub[::-1])
            else:
                flat = [value for value, *_ in values]
                colour = _colour(flat)
                del values[len(flat) :]
            if colour is not None and code != 58:  # the underline's own colour isn't shown
                change["fg" if code == 38 else "bg"] = colour
        elif code in graphics.FG_ANSI:
            change["fg"] = graphics.FG_ANSI[code]
        elif code in graphics.BG_ANSI:
            change["bg"] = graphics.BG_ANSI[code]
        elif code in graphics.FG_AIXTERM:
            change["fg"] = graphics.FG_AIXTERM[code]
        elif code in graphics.BG_AIXTERM:
            name = graphics.BG_AIXTERM[code]
            change["bg"] = _BRIGHT_MAGENTA.get(name, name)
        elif code == 4 and sub:  # 4:0 is none, 4:3 curly …
            change["underscore"] = sub[0] != 0
        elif code in graphics.TEXT:
            sign, name = graphics.TEXT[code][0], graphics.TEXT[code][1:]
            change[name] = sign == "+"
    return attributes._replace(**change)
