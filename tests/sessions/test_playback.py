"""A recording as screens: what was seen, when, in few lines; any moment can be reached from a full one."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from qpty.core.terminal import Run, ScreenSnapshot, Terminal
from qpty.sessions.errors import NoRecordingError
from qpty.sessions.playback import played
from qpty.sessions.recording_file import RESET, event_line, header_line
from qpty.sessions.screen_feed import ScreenUpdate, applied

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tests.sessions.house import House

Line = dict[str, Any]


def cast(*events: tuple[float, str, str], columns: int = 80, lines: int = 24) -> bytes:
    """A recording of these events."""
    rows = [event_line(at, kind, data) for at, kind, data in events]
    return (header_line(columns=columns, lines=lines, started=1_700_000_000) + "".join(rows)).encode("ascii")


async def chunks(content: bytes, size: int) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def terminal(*, columns: int, lines: int) -> Terminal:
    return Terminal(columns=columns, lines=lines)


async def play(content: bytes, *, size: int = 1 << 16) -> list[Line]:
    """All lines of a recording's playback."""
    text = b""
    async with aclosing(played("s", chunks(content, size), terminal=terminal, turn=asyncio.Lock())) as made:
        async for lines in made:
            assert lines.endswith(b"\n"), "whole lines at a time"
            text += lines
    return [json.loads(line) for line in text.splitlines()]


def update(line: Line) -> ScreenUpdate:
    fields = {name: value for name, value in line.items() if name not in {"type", "time"}}
    rows = {int(number): tuple(Run(**run) for run in row) for number, row in fields.pop("rows").items()}
    return ScreenUpdate(**fields, rows=rows)


def screens(lines: list[Line]) -> list[tuple[float, ScreenSnapshot]]:
    """Each look, with what a viewer sees after it."""
    seen: list[tuple[float, ScreenSnapshot]] = []
    last: ScreenSnapshot | None = None
    for line in lines[1:-1]:
        last = applied(last, update(line))
        seen.append((line["time"], last))
    return seen


def first_row(screen: ScreenSnapshot) -> str:
    return "".join(run.text for run in screen.rows[0])


async def test_looks_are_of_what_was_there_before_a_pause() -> None:
    lines = await play(cast((5.0, "o", "one"), (7.0, "o", "\rtwo"), (9.5, "o", "\rthree"), (9.6, "m", "a mark")))
    assert lines[0].pop("began").startswith("2023-11-14T22:13:20")
    assert lines[0] == {"type": "recording", "columns": 80, "lines": 24}
    assert [(at, first_row(screen)) for at, screen in screens(lines)] == [(0, "one"), (2, "two"), (4.5, "three")]
    assert lines[-1] == {"type": "end", "duration": 4.6, "looks": 3}


async def test_fast_output_is_looked_at_ten_times_a_second_and_its_end_is_never_missed() -> None:
    lines = await play(cast(*((number / 100, "o", f"\r{number}") for number in range(1000)), (60.0, "m", "later")))
    looks = screens(lines)
    assert 90 <= len(looks) <= 101
    assert all(later - earlier > 0.0999 for (earlier, _), (later, _) in pairwise(looks))
    assert looks[-1][0] == pytest.approx(9.99)
    assert first_row(looks[-1][1]) == "999"


async def test_nothing_is_said_where_nothing_changes() -> None:
    lines = await play(cast((0.0, "o", "x"), *((number, "o", "\rx") for number in range(1, 9))))
    assert [line["time"] for line in lines[1:-1] if line["rows"]] == [0]


async def test_whoever_seeks_finds_a_full_screen_not_far_before() -> None:
    slow = [(number * 1.0, "o", f"\r{number}") for number in range(60)]
    fast = [(60 + number / 10, "o", f"\r{number}") for number in range(300)]
    lines = (await play(cast(*slow, *fast)))[1:-1]
    full = [(number, line["time"]) for number, line in enumerate(lines) if line["full"]]
    assert full[0] == (0, 0)
    for (number, at), (next_number, next_at) in pairwise(full):
        assert next_at - at <= 11
        assert next_number - number <= 101
    assert len(full) < len(lines) / 5, "the others are small"


async def test_a_new_size_and_a_reset_are_seen() -> None:
    lines = await play(cast((0, "o", "one"), (1, "r", "100x30"), (1, "o", " two"), (2, "o", RESET), (3, "o", "three")))
    shown = [(screen.columns, screen.lines, first_row(screen)) for _, screen in screens(lines)]
    assert shown[0] == (80, 24, "one")
    assert (100, 30, "one two") in shown
    assert shown[-1] == (100, 30, "three")


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_how_the_file_is_read_changes_nothing(size: int) -> None:
    content = cast((0, "o", "\x1b[31mé宽"), (0.5, "o", "\x1b[1"), (0.6, "o", "mbold"), (2, "r", "40x10"))
    assert await play(content, size=size) == await play(content)


async def test_a_recording_with_nothing_in_it_is_an_empty_screen() -> None:
    lines = await play(cast())
    assert [line["type"] for line in lines] == ["recording", "screen", "end"]


@pytest.mark.parametrize(
    "content",
    [
        b"{}\n",
        b"[]\n",
        b"nonsense\n",
        cast() + b'{"a": 1}\n',
        cast() + b'[1, "o"]\n',
        cast() + b'["x", "o", "y"]\n',
        cast() + b'[1, "o", 5]\n',
        cast() + b'[1, "r", "0x0"]\n',
        cast() + b'[1, "r", "99999999x99999999"]\n',
        cast(columns=100_000, lines=100_000),
        cast() + b"[" * 100_000 + b"\n",
    ],
)
async def test_what_is_no_recording_is_refused(content: bytes) -> None:
    with pytest.raises(NoRecordingError, match="its line"):
        await play(content)


async def test_a_player_that_leaves_stops_the_work() -> None:
    read = 0

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal read
        yield cast()
        while True:
            read += 1
            yield event_line(float(read), "o", f"\r{read}").encode()

    turn = asyncio.Lock()
    async with aclosing(played("s", endless(), terminal=terminal, turn=turn)) as made:
        async for _ in made:
            if read > 3:
                break
    then = read
    await asyncio.sleep(0)
    assert read == then
    assert not turn.locked()


async def test_the_loop_goes_on_meanwhile() -> None:
    """Hostile output at a large size: a step may be long, but it isn't the loop's."""
    content = cast(*((number / 10, "o", "\x1b[2J" * 250 + str(number)) for number in range(30)), columns=400, lines=200)
    longest, began = 0.0, time.monotonic()
    task = asyncio.get_running_loop().create_task(play(content))
    while not task.done():
        before = time.monotonic()
        await asyncio.sleep(0)
        longest = max(longest, time.monotonic() - before)
    total = time.monotonic() - began
    assert len(await task) > 20
    assert total > 0.3, "it is work"
    assert longest < total / 3


async def test_a_session_s_recording_is_played_as_a_player_would(house: Callable[..., House]) -> None:
    async with house() as home:
        session_id = (await home.manager.create(columns=100, lines=30)).id
        await home.say(session_id, "pause 1")
        live = await home.manager.screen(session_id)
        text = b""
        async with aclosing(home.manager.recorded_screens(session_id)) as made:
            async for lines in made:
                text += lines
        looks = screens([json.loads(line) for line in text.splitlines()])
        assert looks[-1][1] == live
        assert any("before the" in str(screen) and "after the" not in str(screen) for _, screen in looks)
