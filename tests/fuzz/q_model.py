"""What q 1.19.7 makes of keys that are typed at its prompt, as a model of a few lines: the offline judge of encodings.

Written from what the real q does with unprotected texts, apart from `qpty.core.keys`: each side can catch the other's
mistake, and `tests/core/test_keys_real.py` holds both to the real one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Reading = Literal["message", "command", "nothing", "incomplete", "not one paste"]

DELETED = [(0x200B, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F), (0xFFF0, 0xFFFC), (0xFFFE, 0xFFFF), (0xE0000, 0xE007F)]
WHITE_SPACE = {
    *range(0x09, 0x0E),
    0x20,
    0x85,
    0xA0,
    0x1680,
    *range(0x2000, 0x200B),
    0x2028,
    0x2029,
    0x202F,
    0x205F,
    0x3000,
}
ONE_PASTE = re.compile(rb"\x1b\[200~([^\x1b]*)\x1b\[201~\r")


@dataclass(frozen=True, slots=True)
class Read:
    """What q took the keys for, and for a message what the model is sent."""

    reading: Reading
    text: str = ""


def is_deleted(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in DELETED)


def read_by_q(keys: bytes) -> Read:
    """Judge keys as the real q would, typed at an empty prompt."""
    paste = ONE_PASTE.fullmatch(keys)
    if paste is None:
        return Read("not one paste")
    pasted = paste[1].decode().replace("\r\n", "\n").replace("\r", "\n")
    if len(re.findall("```", pasted)) % 2 or pasted[-1:] == "\\":
        return Read("incomplete")
    seen = "".join(character for character in pasted if not is_deleted(character))
    first = next((character for character in seen if ord(character) not in WHITE_SPACE), "")
    if not first:
        return Read("nothing")
    return Read("command") if first in "!/@" else Read("message", seen)
