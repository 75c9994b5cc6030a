"""Text as HTML: escaped, with the characters that could deceive a reader made harmless in prose and visible in code.

A bidirectional override or isolate that isn't closed changes how everything after it is read, up to the end of its
block ("Trojan Source"). In prose such characters are legitimate, so they stay, but every run of text closes what it
opened, and closes nothing that it didn't. In code they, and all else that can't be seen, are shown by name.
"""

from __future__ import annotations

import re
from typing import Final

_PDF: Final = "\u202c"
_PDI: Final = "\u2069"
_CLOSER_OF: Final = {
    "\u202a": _PDF,
    "\u202b": _PDF,
    "\u202d": _PDF,
    "\u202e": _PDF,
    "\u2066": _PDI,
    "\u2067": _PDI,
    "\u2068": _PDI,
}
_BIDI: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")

_ESCAPED: Final = re.compile('[&<>"\u00a0]')
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\u00a0": "&nbsp;"}

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LINE_END: Final = re.compile("\r\n?")

_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e007f]"
    # joiners belong to emoji and to many scripts, never to ASCII
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
)


def without_surrogates(text: str) -> str:
    """Return the text with U+FFFD for each lone surrogate: a text of the same length that can be encoded."""
    return _SURROGATE.sub("\ufffd", text)


def with_newlines(text: str) -> str:
    r"""Return the text with `\n` as its only line end."""
    return _LINE_END.sub("\n", text)


def escaped(text: str) -> str:
    """Escape text for an element's content or a quoted attribute; as the sanitiser writes it, or longer."""
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], text)


def balanced(text: str) -> str:
    """Return the text with every bidirectional embedding and isolate closed, and without closers of others."""
    if _BIDI.search(text) is None:
        return text
    open_: list[str] = []
    done: list[str] = []
    at = 0
    for found in _BIDI.finditer(text):
        character = found[0]
        done.append(text[at : found.start()])
        at = found.end()
        if character in _CLOSER_OF:
            open_.append(_CLOSER_OF[character])
        elif open_ and open_[-1] == character:
            open_.pop()
        else:
            continue  # it would close what stands outside, or cross another pair
        done.append(character)
    return "".join([*done, text[at:], *reversed(open_)])


def prose(text: str) -> str:
    """Return text of a paragraph or an attribute as HTML: escaped, balanced, control characters as U+FFFD."""
    return escaped(balanced(_CONTROL.sub("\ufffd", with_newlines(text))))


def has_hidden(text: str) -> bool:
    """Whether some character of the text would be shown by name in code."""
    return _HIDDEN.search(text) is not None


def code(text: str) -> tuple[str, int]:
    """Return code as HTML with its hidden characters shown by name, and how many elements that took."""
    if _HIDDEN.search(text) is None:
        return escaped(text), 0
    done: list[str] = []
    at = count = 0
    for found in _HIDDEN.finditer(text):
        name = f"U+{ord(found[0]):04X}"
        done.append(escaped(text[at : found.start()]))
        done.append(f'<span class="hidden-character" title="{name}">{name}</span>')
        at, count = found.end(), count + 1
    done.append(escaped(text[at:]))
    return "".join(done), count
