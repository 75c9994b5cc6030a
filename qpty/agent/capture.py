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
| `exit` | the process ended: `code`, `signal` |

So a capture has every input of the core's state machine, and replaying it is exact: no terminal, no database, no clock.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from qpty.core.commands import (
    CommandSubmitted,
    DataReceived,
    Input,
    InterruptSubmitted,
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

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT = 1
"""The version of our markers, in the header."""


class CaptureError(QptyError):
    """A capture that can't be read; `line` is from 1."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        self.path = path
        self.line = line
        self.reason = reason
        super().__init__(f"{path.name}:{line}: {reason}")


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
        at = round(given.now - self._started, 6)
        if isinstance(given, DataReceived):
            row: list[Any] = [at, "o", given.data.decode("utf-8", "surrogateescape")]
        else:
            row = [at, "m", json.dumps(_label(given), ensure_ascii=False)]
        # Surrogate escapes can't be encoded: they are written as \udcXX escapes, which JSON reads back.
        self._stream.write(json.dumps(row, ensure_ascii=True) + "\n")


class Capture:
    """A capture that was read: its size, its dialect's name, and its inputs in order."""

    def __init__(self, *, columns: int, lines: int, dialect: str, title: str, inputs: tuple[Input, ...]) -> None:
        self.columns = columns
        self.lines = lines
        self.dialect = dialect
        self.title = title
        self.inputs = inputs


def read_capture(path: Path) -> Capture:
    """Read a capture whole; raises `CaptureError` naming the line that is wrong."""
    rows = path.read_text(encoding="utf-8").splitlines()
    if not rows:
        raise CaptureError(path, 1, "an empty file is no capture")
    try:
        header = json.loads(rows[0])
        version = header["version"]
        own = header.get("qpty", {})
        columns, lines = int(header["width"]), int(header["height"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CaptureError(path, 1, f"not the header of an asciicast: {error}") from error
    if version != 2:
        raise CaptureError(path, 1, f"asciicast version {version}: only version 2 can be read")
    return Capture(
        columns=columns,
        lines=lines,
        dialect=own.get("dialect", "q"),
        title=header.get("title", ""),
        inputs=tuple(_inputs(path, rows)),
    )


def _inputs(path: Path, rows: list[str]) -> Iterator[Input]:
    for number, row in enumerate(rows[1:], start=2):
        if not row.strip():
            continue
        try:
            at, kind, data = json.loads(row)
            if kind == "o":
                yield DataReceived(data=_bytes(data), now=float(at))
            elif kind == "m" and data.startswith("{"):
                yield _given(json.loads(data), float(at))
        except (ValueError, KeyError, TypeError) as error:
            raise CaptureError(path, number, f"not an event of a capture: {error!r}") from error


def _bytes(text: str) -> bytes:
    """Return the bytes that a row's text stands for (JSON may have written a pair of escapes for one character)."""
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
            result = asdict(given.result) if given.result is not None else None
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
        case ProcessExited():
            return {"kind": "exit", "code": given.code, "signal": given.signal}
        case _:
            raise TypeError(f"no marker for {given!r}")


def _given(label: dict[str, Any], now: float) -> Input:
    """Return the input of a marker."""
    kind = label.pop("kind")
    match kind:
        case "witness":
            return Witnessed(now=now, **label)
        case "record":
            result = label["result"]
            return RecordRead(now=now, result=_slice(result) if result else None, problem=label["problem"])
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
            }
        )
        for entry in data["entries"]
    )
    return RecordSlice(entries=entries, mark=RecordMark(**data["mark"]), rewritten=data["rewritten"])
