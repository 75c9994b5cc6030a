"""A recording as screens: qpty's own terminal plays it, so who watches needs none.

    async for lines in played(session_id, recordings.read(session_id), terminal=provider.terminal, turn=lock): …

Lines are JSON objects, one each (NDJSON):

| `type` | what |
|---|---|
| `recording` | the first: when it began, and the size of the terminal then |
| `screen` | one look: `time` (seconds from the first thing that is kept), and the fields of a `ScreenUpdate` |
| `end` | the last: `duration` in seconds, and how many looks there were |

A look is taken at most ten times a second of recorded time, only where something changed, and always of the last state
before a pause. Every ten seconds it is a full one: whoever seeks begins there, at most a hundred looks before.

Replaying is work for a processor, and what a hostile program printed is more of it. So it is done in a thread, in short
steps: the interpreter takes turns between that and the event loop every 5 ms. One step is done at a time in the whole
process, and after each everybody else has as much time. Nothing is replayed that nobody takes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Protocol

from qpty.agent.threads import in_thread
from qpty.core.screen import check_size
from qpty.sessions.errors import NoRecordingError
from qpty.sessions.journal import timestamp
from qpty.sessions.screen_feed import difference

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from qpty.core.terminal import ScreenSnapshot, Terminal

LOOKS_APART: Final = 0.1
"""Seconds of recorded time between two looks, at least."""

FULL_SECONDS: Final = 10.0
"""After so many seconds of recorded time, so after a hundred looks at most, one is full."""

STEP: Final = 0.02
"""Seconds of replaying at a time."""

STEP_BYTES: Final = 64 * 1024
"""Of lines made in one step, and one look more."""


class NewTerminal(Protocol):
    """Makes an empty terminal of a size."""

    def __call__(self, *, columns: int, lines: int) -> Terminal:
        """Make it."""


class Replay:
    """Plays one recording: `give` it bytes, `step` until it has used them, `end` it. `step` and `end` block."""

    def __init__(self, terminal: NewTerminal) -> None:
        self._new_terminal = terminal
        self._terminal: Terminal | None = None
        self._rest = b""
        self._waiting: deque[bytes] = deque()
        self._number = 0
        self._began: float | None = None
        self._now = 0.0
        self._printed = 0.0
        self._looked = 0.0
        self._full: float | None = None
        self._looks = 0
        self._version = -1
        self._seen: ScreenSnapshot | None = None

    @property
    def busy(self) -> bool:
        """Whether something that was given wasn't used yet."""
        return bool(self._waiting)

    def give(self, data: bytes) -> None:
        """Take more of the recording in."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._waiting.extend(lines)

    def step(self) -> bytes:
        """Replay for about `STEP` seconds; return what came of it. Raises ValueError for what is no recording."""
        made: list[bytes] = []
        size, until = 0, time.monotonic() + STEP
        while self._waiting and size < STEP_BYTES and time.monotonic() < until:
            self._number += 1
            try:
                line = self._take(json.loads(self._waiting.popleft()))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
                raise ValueError(f"its line {self._number} is not one of an asciicast") from None
            if line is not None:
                made.append(line)
                size += len(line)
        return b"".join(made)

    def end(self) -> bytes:
        """Return the last lines."""
        last = self._look() or b""
        return last + _line({"type": "end", "duration": round(self._now, 3), "looks": self._looks})

    def _take(self, row: Any) -> bytes | None:
        """Carry out one line; return the line that it made, if any."""
        terminal = self._terminal
        if terminal is None:
            columns, lines = row["width"], row["height"]
            check_size(columns, lines)
            self._terminal = self._new_terminal(columns=columns, lines=lines)
            began = timestamp(float(row["timestamp"]))
            return _line({"type": "recording", "began": began, "columns": columns, "lines": lines})
        at, kind, data = row
        self._began = at if self._began is None else self._began
        now = max(self._now, at - self._began)
        made = self._look() if now - self._looked >= LOOKS_APART else None
        if made is not None:
            self._looked = now
        self._now = now
        self._printed = now if kind in {"o", "r"} else self._printed
        if kind == "o":
            terminal.feed(data.encode("utf-8", "replace"))
        elif kind == "r":
            columns, _, lines = data.partition("x")
            terminal.resize(columns=int(columns), lines=int(lines))
        return made

    def _look(self) -> bytes | None:
        """Look at the screen as it was left, if it changed."""
        terminal, now = self._terminal, self._printed
        if terminal is None or terminal.version == self._version:
            return None
        if self._full is None or now - self._full >= FULL_SECONDS:
            self._seen = None
        self._version, seen = terminal.version, terminal.snapshot()
        update = difference(self._seen, seen)
        self._seen = seen
        if update is None:
            return None
        self._looks += 1
        if update.full:
            self._full = now
        return _line({"type": "screen", "time": round(now, 3), **update.to_dict()})


def _line(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


async def played(
    session_id: str, recording: AsyncGenerator[bytes, None], *, terminal: NewTerminal, turn: asyncio.Lock
) -> AsyncGenerator[bytes, None]:
    """Yield a session's recording as screens, whole lines at a time. `turn` is that of everybody who replays.

    Raises NoRecordingError: what reading it raises, or for what is no recording.
    """
    replay = Replay(terminal)
    try:
        async with aclosing(recording) as chunks:
            async for chunk in chunks:
                replay.give(chunk)
                while replay.busy:
                    if lines := await _in_turn(replay.step, turn):
                        yield lines
        yield await _in_turn(replay.end, turn)
    except ValueError as error:
        raise NoRecordingError(session_id, str(error)) from error


async def _in_turn(step: Callable[[], bytes], turn: asyncio.Lock) -> bytes:
    async with turn:
        began = time.monotonic()
        made = await in_thread(step)
        await asyncio.sleep(time.monotonic() - began)
    return made
