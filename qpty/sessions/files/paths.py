r"""The text of a path inside a session's directory, and the file names that it means.

A path is relative, its names separated by `/`. A file name on Linux is any bytes without `/` and NUL; nearly always
they are UTF-8, and then the text is simply the name. Names that aren't UTF-8 are *escaped*, so that they can be put
into JSON and URLs and still be told apart:

    name on the disk    text
    caf\xc3\xa9.txt     café.txt
    caf\xe9.txt         %raw:caf%E9.txt         `%raw:`, then the UTF-8 parts as they are, other bytes and `%` as %XX
    %raw:x              %raw:%25raw:x           a name that begins with the mark by itself is escaped too

So every name has exactly one text, and a text means one name: what a listing says can be given back to read or delete.
An escape in any other spelling (`%raw:a`, `%raw:%e9`) is refused. For programs in Python, names as `os.fsdecode` gives
them (lone surrogates) are understood as well, but never given out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from qpty.sessions.files.errors import FilePathError

if TYPE_CHECKING:
    from collections.abc import Sequence

MARK: Final = "%raw:"
"""What the text of a name begins with if the name is escaped."""

MAX_NAME_BYTES: Final = 255
"""The longest file name that Linux takes."""

MAX_DEPTH: Final = 64
"""The most names in a path. Each level costs a few system calls, and a walk holds one descriptor per level."""

_ESCAPE = re.compile(rb"%(?:([0-9A-F]{2})|)")
_NOT_UTF8 = re.compile("[\udc80-\udcff]|%")


def is_escaped(name: bytes) -> bool:
    """Whether the text of this name is an escape: it isn't UTF-8, or looks like an escape itself."""
    try:
        return name.decode("utf-8").startswith(MARK)
    except UnicodeDecodeError:
        return True


def name_text(name: bytes) -> str:
    """The text of one file name: valid Unicode, without `/`."""
    if not is_escaped(name):
        return name.decode("utf-8")
    text = name.decode("utf-8", "surrogateescape")
    return MARK + _NOT_UTF8.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", text)


def path_text(names: Sequence[bytes]) -> str:
    """The text of a path; `""` for the session's directory itself."""
    return "/".join(map(name_text, names))


def parse_path(text: str) -> tuple[bytes, ...]:
    """The file names that a path goes through, the last one what it leads to. At least one.

    Raises `FilePathError` for what is no path inside a directory: empty, absolute, with an empty name, `.` or `..`, a
    NUL, a name of more than 255 bytes, more than 64 names, a text that is not Unicode, an escape spelt otherwise than
    here. A backslash is an ordinary character. Nothing is normalised: names that look alike may be different.
    """
    if not text:
        raise FilePathError(text, "name a file")
    if text.startswith("/"):
        raise FilePathError(text, "give the path from the session's directory on, without the leading '/'")
    if text.count("/") >= MAX_DEPTH:
        raise FilePathError(text, f"it has more than {MAX_DEPTH} names")
    return tuple(_parse_name(part, text) for part in text.split("/"))


def parse_directory(text: str) -> tuple[bytes, ...]:
    """As `parse_path`, but `""` is the session's directory itself: no names."""
    return parse_path(text) if text else ()


def _parse_name(part: str, text: str) -> bytes:
    if not part:
        raise FilePathError(text, "a name in it is empty; separate names by one '/', without one at the end")
    name = _unescape(part, text) if part.startswith(MARK) else _encode(part, text)
    if name in (b".", b".."):
        raise FilePathError(text, "'.' and '..' are not followed; write the path without them")
    if b"\0" in name:
        raise FilePathError(text, "no file name holds a NUL")
    if len(name) > MAX_NAME_BYTES:
        raise FilePathError(text, f"a name in it is longer than {MAX_NAME_BYTES} bytes")
    return name


def _encode(part: str, text: str) -> bytes:
    try:
        name = part.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise FilePathError(text, "it holds half of a surrogate pair, which is not Unicode") from error
    if name.decode("utf-8", "surrogateescape") != part:  # surrogates that together spell valid UTF-8: an alias
        raise FilePathError(text, "it holds halves of surrogate pairs that spell an ordinary character")
    return name


def _unescape(part: str, text: str) -> bytes:
    escaped = _encode(part[len(MARK) :], text)
    # a `%` without two digits becomes nothing here and fails the comparison
    name = _ESCAPE.sub(lambda found: bytes.fromhex((found[1] or b"").decode("ascii")), escaped)
    if b"/" in name or name_text(name) != part:
        raise FilePathError(text, f"what follows {MARK!r} is not how a listing spells a name that is not UTF-8")
    return name
