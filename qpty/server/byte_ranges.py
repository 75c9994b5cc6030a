"""What of a file a request wants (RFC 9110, sections 13 and 14): nothing, one range, or the whole."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from qpty.sessions.files.errors import FileRangeError

_TAGS: Final = re.compile(r'(?:W/)?("[^"]*")|(\*)')

_ONE: Final = re.compile(r"bytes=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes from `start` up to, and without, `stop`."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Whole(Part):
    """All of it."""


def has_already(header: str | None, *, etag: str) -> bool:
    """Return whether an `If-None-Match` names what is there: by its tag, weak or not, among others; or by `*`."""
    if header is None:
        return False
    return any(star == "*" or tag == etag for tag, star in _TAGS.findall(header))


def wanted_range(header: str | None, *, if_range: str | None, etag: str, size: int, path: str) -> Part:
    """Return what to send. Raises FileRangeError when the range has nothing of the file.

    Several ranges, other units and what isn't a range are passed over, as the standard allows: the whole is sent.
    A range that holds only for another version of the file (`If-Range`) is, too.
    """
    whole = Whole(0, size)
    if header is None or (if_range is not None and if_range.strip() != etag):
        return whole
    found = _ONE.fullmatch(header.strip())
    if found is None or found.group(1) == found.group(2) == "":
        return whole
    first, last = found.groups()
    if first == "":
        if int(last) == 0 or size == 0:
            raise FileRangeError(path, size)
        return Part(max(0, size - int(last)), size)
    start = int(first)
    if last != "" and int(last) < start:
        return whole
    if start >= size:
        raise FileRangeError(path, size)
    return Part(start, size if last == "" else min(int(last) + 1, size))
