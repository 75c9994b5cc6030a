"""Ten thousand hibernated sessions in SQLite: what a page of fifty takes.

In milliseconds: *manager* is the first page that `SessionManager.list_sessions` gives; below it the first page of one
owner of twenty, and the page after nine tenths of all. *bare* is the first page read by `sqlite3` in the loop's thread,
as tuples. *cold* is the first call of a manager that was just opened, on a database that was just opened.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qpty.agent import spec
from qpty.agent.provider import TerminalProvider
from qpty.sessions.config import SessionsConfig
from qpty.sessions.manager import SessionManager
from qpty.storage.database import Database
from qpty.storage.rows import SessionRow
from qpty.storage.writes import insert_session
from tests.bench._machine import full_or, verdict
from tests.bench._terminals import percentile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SESSIONS: Final = full_or(10_000, 1_000)
OWNERS: Final = 20
PAGE: Final = 50
CALLS: Final = full_or(200, 20)
DEEP: Final = 9 * SESSIONS // 10
BATCH: Final = 500
NOW: Final = 1_700_000_000.0

TARGET: Final = 50.0
"""Milliseconds that 99 of 100 first pages may take."""

BARE: Final = "SELECT * FROM sessions WHERE deleted_at IS NULL ORDER BY last_activity DESC, id LIMIT ?"


def row(number: int) -> SessionRow:
    """A session that was used for a while, and sleeps."""
    session_id = str(uuid.uuid4())
    mark = {
        "conversation_id": str(uuid.uuid4()),
        "length": 12,
        "last_message_id": str(uuid.uuid4()),
        "last_digest": uuid.uuid4().hex * 2,
        "recent": [str(uuid.uuid4()) for _ in range(8)],
    }
    return SessionRow(
        id=session_id,
        owner=f"owner-{number % OWNERS}",
        created_at=NOW + number,
        # Not in the order in which they were made.
        last_activity=NOW + number * 7919 % SESSIONS,
        directory=session_id,
        title=f"The session with the number {number}",
        profile={"agent": "builder", "model": "claude-sonnet-4"},
        columns=80,
        lines=24,
        message_count=24,
        record_mark=mark,
    )


async def fill(url: str) -> float:
    """Insert the sessions; the seconds that this takes."""
    database = await Database.open(url)
    begin = time.perf_counter()
    try:
        for first in range(0, SESSIONS, BATCH):
            await database.writer.write(*(insert_session(row(number)) for number in range(first, first + BATCH)))
    finally:
        await database.close()
    return time.perf_counter() - begin


async def timed(call: Callable[[], Awaitable[object]]) -> float:
    """The milliseconds of one call."""
    begin = time.perf_counter()
    await call()
    return (time.perf_counter() - begin) * 1000


async def many(call: Callable[[], Awaitable[object]]) -> list[float]:
    """The milliseconds of many calls, sorted."""
    return sorted([await timed(call) for _ in range(CALLS)])


def bare(path: Path) -> list[float]:
    """The milliseconds of many bare reads of the first page, sorted."""
    took: list[float] = []
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        for _ in range(CALLS):
            begin = time.perf_counter()
            connection.execute(BARE, (PAGE,)).fetchall()
            took.append((time.perf_counter() - begin) * 1000)
    return sorted(took)


async def measure(work: Path) -> None:
    """Fill a database, open it anew, and list."""
    path = work / "qpty.db"
    url = f"sqlite:///{path}"
    filled = await fill(url)
    home = work / "home"
    home.mkdir()
    demo = spec.locate("demo", environment={**os.environ, "HOME": str(home)}, data_directory=work / "data")
    begin = time.perf_counter()
    database = await Database.open(url)
    config = SessionsConfig(warm_workers=0)
    provider = TerminalProvider(demo, server_id=f"bench-{work}")
    manager = await SessionManager.open(provider, database, base=work / "sessions", config=config)
    opened = time.perf_counter() - begin
    try:
        cold = await timed(lambda: manager.list_sessions(limit=PAGE))
        cursor: str | None = None
        for _ in range(DEEP // 200):
            cursor = (await manager.list_sessions(limit=200, cursor=cursor)).next
        found = {
            "bare": bare(path),
            "manager": await many(lambda: manager.list_sessions(limit=PAGE)),
            "one owner": await many(lambda: manager.list_sessions(owner="owner-3", limit=PAGE)),
            f"after {DEEP}": await many(lambda: manager.list_sessions(limit=PAGE, cursor=cursor)),
        }
    finally:
        await manager.close()
        await database.close()
    print(f"{SESSIONS} sessions inserted in {filled:.1f} s; database and manager opened in {opened * 1000:.0f} ms")
    print(f"{'ms':14}{'calls':>7}{'p50':>9}{'p99':>9}{'longest':>9}{'p50 / bare':>12}")
    for title, values in found.items():
        ratio = percentile(values, 50) / percentile(found["bare"], 50)
        print(
            f"{title:14}{len(values):7}{percentile(values, 50):9.3f}{percentile(values, 99):9.3f}{values[-1]:9.3f}"
            f"{ratio:12.1f}"
        )
    first = percentile(found["manager"], 99)
    print(f"first page of {PAGE}: p99 {first:.1f} ms; {verdict(first, TARGET)}; cold {cold:.1f} ms")


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="qpty-bench-") as work:
        asyncio.run(measure(Path(work)))


if __name__ == "__main__":
    main()
