"""A session's screen as it changes: the whole of it first, then the lines that are others, over all its workers.

A viewer is told that something changed, and then looks by itself, at most so many times a second. Nothing is kept for
it but what it saw last: a slow viewer skips states, and always gets the newest one. While nothing changes nothing is
sent, and while nobody watches nothing is done.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from qpty.agent.driver import AgentGoneError
from qpty.core.terminal import Run, ScreenSnapshot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from qpty.agent.provider import Agent
    from qpty.sessions.session import Session

MAX_RATE: Final = 15.0
"""Looks a second."""

Row = tuple[Run, ...]

_OPTIONAL: Final = tuple(field for field in fields(Run) if field.name != "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenUpdate:
    """What changed on the screen, or (`full`) all of it: `rows` has the lines that changed by their numbers from 0.

    All other fields are always those of the whole screen, as in `ScreenSnapshot`. `live` is False while the session has
    no worker: the last screen stands, and a full update comes when there is another worker. A `full` update that isn't
    `live` is of a session that wasn't live at all: an empty screen.
    """

    full: bool
    live: bool
    columns: int
    lines: int
    cursor_column: int
    cursor_line: int
    cursor_hidden: bool
    title: str
    rows: Mapping[int, Row]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; of a run, what is as usual is left out."""
        return {
            "full": self.full,
            "live": self.live,
            "columns": self.columns,
            "lines": self.lines,
            "cursor_column": self.cursor_column,
            "cursor_line": self.cursor_line,
            "cursor_hidden": self.cursor_hidden,
            "title": self.title,
            "rows": {str(number): [_run_body(run) for run in row] for number, row in self.rows.items()},
        }


def _run_body(run: Run) -> dict[str, Any]:
    body: dict[str, Any] = {"text": run.text}
    for field in _OPTIONAL:
        value = getattr(run, field.name)
        if value != field.default:
            body[field.name] = value
    return body


def difference(last: ScreenSnapshot | None, seen: ScreenSnapshot) -> ScreenUpdate | None:
    """Return what makes `last` into `seen`; all of it after nothing, or another size. None if they are the same."""
    full = last is None or (last.columns, last.lines) != (seen.columns, seen.lines)
    if last is None or full:
        rows = dict(enumerate(seen.rows))
    elif last == seen:
        return None
    else:
        rows = {number: row for number, row in enumerate(seen.rows) if row != last.rows[number]}
    return _update(seen, full=full, live=True, rows=rows)


def applied(last: ScreenSnapshot | None, update: ScreenUpdate) -> ScreenSnapshot:
    """Return what a viewer sees after an update. Raises ValueError if the first one isn't full."""
    if not update.full and last is None:
        raise ValueError("the first update must be a full one")
    rows: list[Row] = [()] * update.lines if update.full or last is None else list(last.rows)
    for number, row in update.rows.items():
        rows[number] = row
    return ScreenSnapshot(
        columns=update.columns,
        lines=update.lines,
        cursor_column=update.cursor_column,
        cursor_line=update.cursor_line,
        cursor_hidden=update.cursor_hidden,
        rows=tuple(rows),
        title=update.title,
    )


async def screen_updates(session: Session, *, max_rate: float = MAX_RATE) -> AsyncGenerator[ScreenUpdate, None]:
    """Yield a full update, then what changes, at most `max_rate` times a second; ends with the session.

    Raises ValueError for a rate that isn't more than 0.
    """
    if not max_rate > 0:
        raise ValueError(f"max_rate is {max_rate}: give looks a second, more than 0")
    loop, live = asyncio.get_running_loop(), session.live
    pause, looked = 1 / max_rate, -math.inf
    last: ScreenSnapshot | None = None
    version: int | None
    while not live.is_closed():
        number, agent = live.number, live.agent
        if agent is None:
            yield _not_live(last, session)
        else:
            last, version = None, None
            while await _changed(agent, version):
                await asyncio.sleep(looked + pause - loop.time())
                if live.is_closed():
                    return
                looked = loop.time()
                version, seen = agent.screen_version, agent.screen  # of the same moment: what comes later is a change
                update = difference(last, seen)
                last = seen
                if update is not None:
                    yield update
        await live.wait(number)


async def _changed(agent: Agent, version: int | None) -> bool:
    """Wait until there is something to look at; False if there will be nothing any more."""
    if version is None:
        return True
    try:
        await agent.wait_for_screen(version)
    except AgentGoneError:
        return False
    return True


def _not_live(last: ScreenSnapshot | None, session: Session) -> ScreenUpdate:
    """Say that there is no worker: the last screen stands, or is empty where nothing was seen."""
    if last is not None:
        return _update(last, full=False, live=False, rows={})
    columns, lines = session.row.columns, session.row.lines
    blank = ScreenSnapshot(
        columns=columns,
        lines=lines,
        cursor_column=0,
        cursor_line=0,
        cursor_hidden=True,
        rows=((),) * lines,
        title="",
    )
    return _update(blank, full=True, live=False, rows=dict(enumerate(blank.rows)))


def _update(seen: ScreenSnapshot, *, full: bool, live: bool, rows: Mapping[int, Row]) -> ScreenUpdate:
    return ScreenUpdate(
        full=full,
        live=live,
        columns=seen.columns,
        lines=seen.lines,
        cursor_column=seen.cursor_column,
        cursor_line=seen.cursor_line,
        cursor_hidden=seen.cursor_hidden,
        title=seen.title,
        rows=rows,
    )
