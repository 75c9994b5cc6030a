"""Captures: every input comes back as it was, and what can't be read says where and why."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.agent.capture import Capture, CaptureError, CaptureWriter, read_capture
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
from qpty.core.record import NO_RECORD, RecordedEntry, RecordedResult, RecordedTool, RecordMark, RecordSlice

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = RecordedEntry(
    message_id="m1",
    prompt="héllo 🌍\u2028\x1b[31m",
    results=(RecordedResult(tool_id="x", ok=False, text="no\x00"),),
    cancelled=True,
    text="a\tb\x9d",
    tools=(RecordedTool(tool_id="y", name="execute_bash", arguments={"command": "echo", "n": [1, None, {"a": 2.5}]}),),
    made_up=True,
    request_started_ms=1,
    stream_ended_ms=2,
    prompt_length=3,
    response_size=4,
    model_id="model",
)
MARK = RecordMark(conversation_id="c", length=7, last_message_id="m1", last_digest="d", recent=("m0", "m1"))
EVERY_INPUT: tuple[Input, ...] = (
    DataReceived(data=b"plain", now=0.0),
    DataReceived(data="你好 🌍 é".encode(), now=0.000000123),
    DataReceived(data="🌍".encode()[:2], now=0.5),
    DataReceived(data="🌍".encode()[2:], now=0.5),
    DataReceived(data=bytes(range(256)), now=1.0),
    Witnessed(raw_mode=True, foreground=False, children=3, now=1.5),
    RecordRead(result=RecordSlice(entries=(ENTRY,), mark=MARK, rewritten=True, skipped=2), now=2.0),
    RecordRead(result=RecordSlice(entries=(), mark=NO_RECORD), now=2.0),
    RecordRead(result=None, problem="locked", now=2.0),
    TimePassed(now=3.25),
    MessageSubmitted(turn_id="t1", text="two\nlines \u2028 and \\ud800", now=4.0),
    CommandSubmitted(line='/load "a b"', now=5.0),
    PermissionAnswerSubmitted(request_id="t1.1", answer="always", now=6.0),
    MenuAnswerSubmitted(request_id="t1.2", index=1, now=7.0),
    MenuAnswerSubmitted(request_id="t1.2", index=None, now=7.0),
    InterruptSubmitted(now=8.0),
    ProcessExited(code=101, signal=None, now=9.0),
    ProcessExited(code=None, signal=9, now=9.0),
)


def written(*inputs: Input, title: str = "a title", dialect: str = "q") -> str:
    stream = io.StringIO()
    writer = CaptureWriter(stream, columns=120, lines=40, dialect=dialect, title=title)
    for one in inputs:
        writer.write(one)
    return stream.getvalue()


def read(path: Path, text: str | bytes) -> Capture:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_capture(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.cast"


@pytest.mark.parametrize("one", EVERY_INPUT, ids=lambda one: type(one).__name__)
def test_an_input_comes_back_as_it_was(path: Path, one: Input) -> None:
    first = TimePassed(now=0.0)
    assert read(path, written(first, one)).inputs == (first, one)


def test_all_of_them_come_back_in_order(path: Path) -> None:
    capture = read(path, written(*EVERY_INPUT))
    assert capture.inputs == EVERY_INPUT
    assert (capture.columns, capture.lines, capture.dialect, capture.title) == (120, 40, "q", "a title")


@given(data=st.lists(st.binary(min_size=1, max_size=40), max_size=5))
def test_any_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, data: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.cast"
    assert [one.data for one in read(path, written(*(DataReceived(data=one, now=0.0) for one in data))).inputs] == data  # type: ignore[attr-defined]


def test_time_starts_at_the_first_input_and_keeps_its_order(path: Path) -> None:
    """A deadline and the wake for it must not change places by rounding."""
    start = 123456.789012345
    moments = [start, start + 1e-8, start + 0.05, start + 0.05 + 1e-8]
    times = [one.now for one in read(path, written(*(TimePassed(now=now) for now in moments))).inputs]
    assert times[0] == 0.0
    assert times == sorted(set(times))


def test_the_file_is_an_asciicast_that_any_player_can_read(path: Path) -> None:
    rows = [json.loads(row) for row in written(*EVERY_INPUT).splitlines()]
    assert rows[0]["version"] == 2
    assert (rows[0]["width"], rows[0]["height"]) == (120, 40)
    assert all(len(row) == 3 and row[1] in {"o", "m"} for row in rows[1:])
    assert rows[1] == [0.0, "o", "plain"]
    assert rows[4][2] == "".join(chr(0xDC00 + byte) for byte in "🌍".encode()[2:])


def test_a_recording_of_another_program_can_be_read(path: Path) -> None:
    text = '{"version": 2, "width": 80, "height": 24}\n[0.1, "o", "a\u2028b"]\n[0.2, "i", "x"]\n[1, "m", "chapter"]\n\n'
    capture = read(path, text)
    assert capture.inputs == (DataReceived(data="a\u2028b".encode(), now=0.1),)
    assert (capture.dialect, capture.title) == ("q", "")


def test_no_marker_is_made_for_what_is_no_input() -> None:
    with pytest.raises(TypeError, match="no marker"):
        written(TimePassed(now=0.0), Input(now=1.0))


HEADER = '{"version": 2, "width": 80, "height": 24}\n'


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "not JSON"),
        ("hello\n", 1, "not JSON"),
        ("[1]\n", 1, "not a JSON object"),
        ('{"version": 1, "width": 80, "height": 24}\n', 1, "version 1"),
        ('{"width": 80, "height": 24}\n', 1, "version None"),
        ('{"version": 2, "height": 24}\n', 1, "width None"),
        ('{"version": 2, "width": 80, "height": "x"}\n', 1, "height 'x'"),
        ('{"version": 2, "width": 0, "height": 24}\n', 1, "width 0"),
        ('{"version": 2, "width": 80, "height": 100000}\n', 1, "height 100000"),
        ('{"version": 2, "width": true, "height": 24}\n', 1, "width True"),
        (HEADER + '[0, "o", "fine"]\nnot json\n', 3, "not an event"),
        (HEADER + "{}\n", 2, "give [seconds, kind, text]"),
        (HEADER + "[1, 2]\n", 2, "give [seconds, kind, text]"),
        (HEADER + '["x", "o", ""]\n', 2, "give [seconds, kind, text]"),
        (HEADER + '[NaN, "o", ""]\n', 2, "give [seconds, kind, text]"),
        (HEADER + '[1e999, "o", ""]\n', 2, "give [seconds, kind, text]"),
        (HEADER + '[0, "o", 5]\n', 2, "give [seconds, kind, text]"),
        (HEADER + '[0, "o", "\\ud800"]\n', 2, "not an event"),
        (HEADER + '[0, "m", "{not json"]\n', 2, "not an event"),
        (HEADER + '[0, "m", "{}"]\n', 2, "unknown marker None"),
        (HEADER + '[0, "m", "{\\"kind\\": \\"news\\"}"]\n', 2, "unknown marker 'news'"),
        (HEADER + '[0, "m", "{\\"kind\\": \\"witness\\"}"]\n', 2, "raw_mode"),
        (HEADER + '[0, "m", "{\\"kind\\": \\"message\\", \\"what\\": 1}"]\n', 2, "what"),
        (HEADER + '[0, "m", "{\\"kind\\": \\"record\\", \\"result\\": {}, \\"problem\\": null}"]\n', 2, "not an event"),
        (HEADER + '[0, "m", "{\\"kind\\": \\"record\\", \\"result\\": {\\"mark\\": 1}}"]\n', 2, "not an event"),
        (HEADER.encode() + b'[0, "o", "\xff"]\n', 2, "not UTF-8"),
    ],
)
def test_what_can_not_be_read_is_named_with_its_line(path: Path, text: str | bytes, line: int, reason: str) -> None:
    with pytest.raises(CaptureError) as caught:
        read(path, text)
    assert (caught.value.path, caught.value.line) == (path, line)
    assert reason in caught.value.reason
    assert str(caught.value).startswith(f"some.cast:{line}: ")


def test_a_deeply_nested_row_is_an_error_too(path: Path) -> None:
    with pytest.raises(CaptureError, match=r"some\.cast:2"):
        read(path, HEADER + "[" * 100_000)


@pytest.mark.parametrize("kind", ["missing", "directory"])
def test_a_file_that_can_not_be_opened_is_an_error_of_ours(tmp_path: Path, kind: str) -> None:
    path = tmp_path if kind == "directory" else tmp_path / "missing.cast"
    with pytest.raises(CaptureError, match="can't be read") as caught:
        read_capture(path)
    assert caught.value.line == 0
    assert str(path) in str(caught.value)


def test_a_marker_of_a_record_with_anything_in_it_survives(path: Path) -> None:
    arguments: dict[str, Any] = {"text": "\ud800 half", "deep": [[{}]], "number": 1e100}
    tool = RecordedTool(tool_id="t", name="n", arguments=arguments)
    entry = RecordedEntry(message_id=None, prompt=None, text="\udc80", tools=(tool,))
    one = RecordRead(result=RecordSlice(entries=(entry,), mark=NO_RECORD), now=0.0)
    assert read(path, written(one)).inputs == (one,)
