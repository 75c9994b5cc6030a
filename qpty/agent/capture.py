"""Captures: what a terminal printed and what was known besides, in a file that anyone can replay.

An asciicast v2 file (a header line, then one JSON array a line: seconds, kind, data). Output is kind `o`; bytes that
are not UTF-8 are kept as surrogate escapes, so the file gives back the very bytes. Everything else is a marker (kind
`m`) whose label is a JSON object:

| `kind` | what |
|---|---|
| `witness` | the driver looked: `raw_mode`, `foreground`, `children` |
| `record` | the record was read: `result` (entries and mark) or `problem` |
| `time` | a deadline that the core asked for |
| `message`, `command`, `answer`, `menu`, `interrupt` | what a person wanted |
| `keys` | a person typed by hand; never which keys |
| `exit` | the process ended: `code`, `signal` |

So a capture has every input of the core's state machine, and replaying it is exact: no terminal, no database, no clock.
Rows of other kinds, and markers that are not JSON objects, are passed over: a recording of asciinema's can be read too.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TextIO

from qpty.core.commands import (
    CommandSubmitted,
    DataReceived,
    Input,
    InterruptSubmitted,
    KeysTyped,
    MenuAnswerSubmitted,
    MessageSubmitted,
    PermissionAnswerSubmitted,
    ProcessExited,
    RecordRead,
    TimePassed,
    Witnessed,
)
from qpty.core.errors import QptyError
from qpty.core.record import RecordedEntry, RecordedResult, RecordedTool, RecordMark, RecordSlice
from qpty.core.screen import MAX_COLUMNS, MAX_LINES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT = 1
"""The version of our markers, in the header."""

DECIMALS = 9
"""Of a time in seconds: a deadline and the wake for it must not change places by rounding."""


class CaptureError(QptyError):
    """A capture that can't be read; `line` is from 1, 0 where it is the file itself."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        self.path = path
        self.line = line
        self.reason = reason
        super().__init__(f"{path.name}:{line}: {reason}" if line else f"{path}: {reason}")


class CaptureWriter:
    """Writes one capture as it happens. The caller owns and closes the stream."""

    def __init__(self, stream: TextIO, *, columns: int, lines: int, dialect: str, title: str = "") -> None:
        self._stream = stream
        self._started: float | None = None
        header: dict[str, Any] = {"version": 2, "width": columns, "height": lines}
        if title:
            header["title"] = title
        header["qpty"] = {"format": FORMAT, "dialect": dialect}
        stream.write(json.dumps(header, ensure_ascii=False) + "\n")

    def write(self, given: Input) -> None:
        """Write one input of the state machine."""
        if self._started is None:
            self._started = given.now
        at = round(given.now - self._started, DECIMALS)
        if isinstance(given, DataReceived):
            row: list[Any] = [at, "o", given.data.decode("utf-8", "surrogateescape")]
        else:
            row = [at, "m", json.dumps(_label(given), ensure_ascii=False)]
        # Surrogate escapes can't be encoded: they are written as \udcXX escapes, which JSON reads back.
        self._stream.write(json.dumps(row, ensure_ascii=True) + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A capture that was read: the terminal's size, the dialect's name, and the inputs in order."""

    columns: int
    lines: int
    dialect: str
    title: str
    inputs: tuple[Input, ...]


def read_capture(path: Path) -> Capture:
    """Read a capture whole; raises `CaptureError` naming the line that is wrong."""
    try:
        # Lines end with a line feed alone: what Python calls a line would be cut at U+2028 and its like.
        rows = path.read_bytes().decode("utf-8").split("\n")
    except OSError as error:
        raise CaptureError(path, 0, f"can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise CaptureError(path, line, "not UTF-8: a capture writes undecodable bytes as escapes") from error
    header = _header(path, rows[0])
    own = header.get("qpty", {})
    dialect = own.get("dialect", "q") if isinstance(own, dict) else "q"
    title = header.get("title", "")
    return Capture(
        columns=header["width"],
        lines=header["height"],
        dialect=str(dialect),
        title=str(title),
        inputs=tuple(_inputs(path, rows)),
    )


def _header(path: Path, row: str) -> dict[str, Any]:
    """Return the header; raises `CaptureError` for one that is not an asciicast's."""
    try:
        header = json.loads(row)
    except ValueError as error:
        raise CaptureError(path, 1, "not the header of an asciicast: not JSON") from error
    if not isinstance(header, dict):
        raise CaptureError(path, 1, "not the header of an asciicast: not a JSON object")
    if header.get("version") != 2:
        raise CaptureError(path, 1, f"asciicast version {header.get('version')}: only version 2 can be read")
    for key, most in (("width", MAX_COLUMNS), ("height", MAX_LINES)):
        value = header.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise CaptureError(path, 1, f"{key} {value!r}: give a whole number from 1 to {most}")
    return header


def _inputs(path: Path, rows: list[str]) -> Iterator[Input]:
    for number, row in enumerate(rows[1:], start=2):
        if not row.strip():
            continue
        try:
            at, kind, data = _row(row)
            if kind == "o":
                yield DataReceived(data=_bytes(data), now=at)
            elif kind == "m" and data.startswith("{"):
                yield _given(json.loads(data), at)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CaptureError(path, number, f"not an event of a capture: {error!r}") from error


def _row(row: str) -> tuple[float, str, str]:
    """Return one row's time, kind and data; raises ValueError for anything else."""
    found = json.loads(row)
    match found:
        case [float() | int() as at, str() as kind, str() as data] if math.isfinite(at):
            return float(at), kind, data
        case _:
            raise ValueError("give [seconds, kind, text]")


def _bytes(text: str) -> bytes:
    """Return the bytes that a row's text stands for; raises ValueError for a lone surrogate that stands for none."""
    return text.encode("utf-8", "surrogateescape")


def _label(given: Input) -> dict[str, Any]:
    """Return the marker of an input."""
    match given:
        case Witnessed():
            return {
                "kind": "witness",
                "raw_mode": given.raw_mode,
                "foreground": given.foreground,
                "children": given.children,
            }
        case RecordRead():
            result = _record(given.result) if given.result is not None else None
            return {"kind": "record", "result": result, "problem": given.problem}
        case TimePassed():
            return {"kind": "time"}
        case MessageSubmitted():
            return {"kind": "message", "turn_id": given.turn_id, "text": given.text}
        case CommandSubmitted():
            return {"kind": "command", "line": given.line}
        case PermissionAnswerSubmitted():
            return {"kind": "answer", "request_id": given.request_id, "answer": given.answer}
        case MenuAnswerSubmitted():
            return {"kind": "menu", "request_id": given.request_id, "index": given.index}
        case InterruptSubmitted():
            return {"kind": "interrupt"}
        case KeysTyped():
            return {"kind": "keys"}
        case ProcessExited():
            return {"kind": "exit", "code": given.code, "signal": given.signal}
        case _:
            raise TypeError(f"no marker for {given!r}")


def _given(label: dict[str, Any], now: float) -> Input:
    """Return the input of a marker."""
    kind = label.pop("kind", None)
    match kind:
        case "witness":
            return Witnessed(now=now, **label)
        case "record":
            result = label["result"]
            return RecordRead(now=now, result=_slice(result) if result is not None else None, problem=label["problem"])
        case "time":
            return TimePassed(now=now)
        case "message":
            return MessageSubmitted(now=now, **label)
        case "command":
            return CommandSubmitted(now=now, **label)
        case "answer":
            return PermissionAnswerSubmitted(now=now, **label)
        case "menu":
            return MenuAnswerSubmitted(now=now, **label)
        case "interrupt":
            return InterruptSubmitted(now=now)
        case "keys":
            return KeysTyped(now=now)
        case "exit":
            return ProcessExited(now=now, **label)
        case _:
            raise ValueError(f"unknown marker {kind!r}")


def _slice(data: dict[str, Any]) -> RecordSlice:
    entries = tuple(
        RecordedEntry(
            **{
                **entry,
                "results": tuple(RecordedResult(**result) for result in entry["results"]),
                "tools": tuple(RecordedTool(**tool) for tool in entry["tools"]),
                "images": (),
            }
        )
        for entry in data["entries"]
    )
    mark = RecordMark(**{**data["mark"], "recent": tuple(data["mark"]["recent"])})
    return RecordSlice(entries=entries, mark=mark, rewritten=data["rewritten"], skipped=data["skipped"])


def _record(result: RecordSlice) -> dict[str, Any]:
    """What the record said, as JSON values; without its pictures, which the state machine has no use for."""
    return asdict(replace(result, entries=tuple(replace(entry, images=()) for entry in result.entries)))
