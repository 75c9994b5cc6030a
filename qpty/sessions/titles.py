"""The title of a session that nobody gave one: the beginning of its first message."""

from __future__ import annotations

import unicodedata
from typing import Final

TITLE_LENGTH: Final = 80
"""Characters of such a title at most, `…` among them."""

READ_CHARACTERS: Final = 16 * 1024
"""Of the message that are looked at: a title stands at its beginning, or nowhere."""

_JOINERS: Final = frozenset("\u200c\u200d")
"""Format characters that belong to words and to emoji; all others (directions, invisible marks) go."""

_LEFT_OUT: Final = frozenset({"Cc", "Cf", "Cs", "Cn", "Co"})


def title_of(message: str) -> str | None:
    """Return the first line of a message that has text, made fit for a list; None if there is none.

    White space is single spaces, control characters and those that turn the direction of a text are left out, and a
    line of more than 80 characters is cut at a word's end and has `…` there.
    """
    for line in message[:READ_CHARACTERS].splitlines():
        text = " ".join("".join(_shown(character) for character in line).split()).strip(" \u200c\u200d")
        if text:
            return _cut(text)
    return None


def _shown(character: str) -> str:
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) in _LEFT_OUT and character not in _JOINERS else character


def _cut(text: str) -> str:
    if len(text) <= TITLE_LENGTH:
        return text
    end = TITLE_LENGTH - 1
    word = text.rfind(" ", end // 2, end + 1)  # a script without spaces, or a path, is cut anywhere
    if word > 0:
        return text[:word].rstrip() + "…"
    while end > 1 and _continues(text, end):
        end -= 1
    return text[:end].rstrip() + "…"


def _continues(text: str, at: int) -> bool:
    """Whether a cut before this character would take a letter, or an emoji, apart."""
    return (
        unicodedata.combining(text[at]) > 0 or text[at] in _JOINERS or text[at] == "\ufe0f" or text[at - 1] in _JOINERS
    )
