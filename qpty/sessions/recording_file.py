"""One session's recording on the disk: an asciicast v2 file that is valid at any moment, and never larger than a bound.

A header line, then one JSON array a line. Lines are added whole. When they would exceed the bound, the file is replaced
by one with the newest half: it has the same header with the size that the terminal had there, a reset, a marker, and
then whole lines as they were, so their times still count from the beginning of it all (players shorten the gap before
the first, see `IDLE_TIME_LIMIT`). What a kill cut off is passed over by a reader and taken away by the next `begin`.

All functions block: they are for threads. They raise OSError.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Final

from qpty.agent.files import write_private

if TYPE_CHECKING:
    from pathlib import Path

LINE_BYTES: Final = 16 * 1024
"""The longest line; `qpty.sessions.recording` cuts output into pieces that stay below."""

IDLE_TIME_LIMIT: Final = 2
"""Seconds to which players shorten a pause, unless they are told otherwise."""

CHUNK_BYTES: Final = 64 * 1024
"""Of a recording that is read, at once."""

MODE: Final = 0o600

RESET: Final = "\x1bc"
"""What makes a terminal forget all that was before."""

CUT: Final = "the beginning was cut off"


def event_line(at: float, kind: str, data: str) -> str:
    """Return one event as a line: `at` in seconds, `kind` o (output), r (resized, `COLSxROWS`) or m (marker)."""
    return f'[{at:.6f}, "{kind}", {encode_basestring_ascii(data)}]\n'


def header_line(*, columns: int, lines: int, started: int) -> str:
    """Return the first line; `started` is in whole seconds since the epoch."""
    header: dict[str, Any] = {"version": 2, "width": columns, "height": lines, "timestamp": started}
    return json.dumps({**header, "idle_time_limit": IDLE_TIME_LIMIT, "env": {"TERM": "xterm-256color"}}) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """Where a recording goes on: when it began, in seconds since the epoch, and its last event's seconds since then."""

    started: int
    last: float


def begin(path: Path) -> Beginning | None:
    """Make a recording ready to be gone on with; None where there is none yet.

    What isn't a recording, or can't be gone on with, is removed.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        size = _whole_lines(descriptor)
        os.ftruncate(descriptor, size)
        header, found = _header(os.pread(descriptor, LINE_BYTES, 0)), None
        if header is not None:
            found = Beginning(started=header["timestamp"], last=_last_time(descriptor, size))
    except ValueError:
        found = None
    finally:
        os.close(descriptor)
    if found is None:
        path.unlink()
    return found


def append(path: Path, data: bytes, *, limit: int) -> None:
    """Add whole lines, all of them or none; those of a new file begin with a header. At most `limit` bytes are kept.

    Raises FileNotFoundError if there is no file and `data` doesn't begin one.
    """
    flags = os.O_CREAT if data.startswith(b"{") else 0
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | flags, MODE)
    try:
        size = os.fstat(descriptor).st_size
        if size + len(data) > limit:
            write_private(path, _newest(_read_all(descriptor) + data, keep=limit // 2))
            return
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _newest(content: bytes, *, keep: int) -> bytes:
    """Return a recording of the newest lines, which have `keep` bytes or one line more; the header comes on top."""
    first, _, _ = content.partition(b"\n")
    header = _header(first + b"\n")
    start = content.rfind(b"\n", 0, len(content) - keep) + 1
    if header is None or start <= len(first) + 1:
        raise ValueError("a recording without a header, or too short to be cut")
    # Inside of a string a quote has a backslash before it, so this is found in the events themselves only.
    resized = content.rfind(b', "r", "', 0, start)
    columns, lines = header["width"], header["height"]
    if resized >= 0:
        columns_text, _, lines_text = content[resized + 8 : content.index(b'"', resized + 8)].partition(b"x")
        columns, lines = int(columns_text), int(lines_text)
    at = _time(content[start : start + 40])
    top = header_line(columns=columns, lines=lines, started=header["timestamp"])
    return (top + event_line(at, "o", RESET) + event_line(at, "m", CUT)).encode("ascii") + content[start:]


class RecordingReader:
    """One recording, open for reading as it was when it was opened: `size` bytes, whole lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self.size = 0

    def open(self) -> None:
        """Open it. Raises FileNotFoundError if there is none."""
        self._descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        self.size = _whole_lines(self._descriptor)

    def read(self, position: int) -> bytes:
        """Return the bytes from a position on, at most `CHUNK_BYTES`; none at the end."""
        if self._descriptor is None:
            raise RuntimeError("the recording is not open")
        return os.pread(self._descriptor, min(CHUNK_BYTES, self.size - position), position)

    def close(self) -> None:
        """Close it; safe to call twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _read_all(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    content = bytearray()
    while len(content) < size and (data := os.pread(descriptor, size - len(content), len(content))):
        content += data
    return bytes(content)


def _whole_lines(descriptor: int) -> int:
    """How many bytes the whole lines have; what follows them was cut off by a kill."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - LINE_BYTES)
    return start + os.pread(descriptor, LINE_BYTES, start).rfind(b"\n") + 1


def _last_time(descriptor: int, size: int) -> float:
    """The time of the last of so many bytes of whole lines; 0 if there is only the header. Raises ValueError."""
    start = max(0, size - LINE_BYTES)
    last = os.pread(descriptor, size - start, start)[:-1].rpartition(b"\n")[2]
    return 0.0 if last.startswith(b"{") else _time(last)


def _time(line: bytes) -> float:
    """The time of an event's line. Raises ValueError."""
    if not line.startswith(b"["):
        raise ValueError("not an event")
    return float(line[1:].partition(b",")[0])


def _header(line: bytes) -> dict[str, Any] | None:
    """The header at the beginning of some bytes; None if there is none of ours."""
    try:
        header = json.loads(line.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return None
    if not isinstance(header, dict) or header.get("version") != 2:
        return None
    return header if all(type(header.get(field)) is int for field in ("width", "height", "timestamp")) else None
