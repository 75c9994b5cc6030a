"""Whether sessions that come and go leave anything behind: processes, descriptors, tasks, files, rows, memory."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from qpty.sessions.journal import Journal
from qpty.sessions.session import Session
from qpty.storage.backend import READERS
from tests.crashes.processes import children, descriptors, marked, resident_kib
from tests.crashes.workers import TRUSTING

if TYPE_CHECKING:
    from random import Random

    from tests.sessions.house import House

ERRANDS: Final = (
    "echo hello",
    "bash sleep 600 & seq 20",
    "bash setsid sleep 600 > /dev/null 2>&1 & echo daemon",
    "bash (setsid bash -c 'sleep 600 & sleep 600' < /dev/null > /dev/null 2>&1 &); mkdir -p a/b && touch a/b/c",
)
"""What is said: an answer, and tools that leave children, daemons and files."""

TABLES: Final = ("sessions", "turns", "messages", "journal", "seeds")
"""What a deleted session must have no row in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What this process has, and what is there because of it. All but `resident_kib` can be compared exactly."""

    children: int
    marked: int
    descriptors: int
    tasks: int
    sessions: int
    journals: int
    directories: int
    rows: int
    live: int
    resident_kib: int

    def more_than(self, before: Holdings) -> dict[str, tuple[int, int]]:
        """What there is more of than before, memory aside: its name, how much there was, how much there is."""
        then = asdict(before)
        return {
            name: (then[name], value)
            for name, value in asdict(self).items()
            if value > then[name] and name != "resident_kib"
        }


async def holdings(home: House) -> Holdings:
    """Look at everything."""
    stored = rows(home)  # first: SQLite keeps one file open when another connection to it is closed
    await asyncio.gather(*(home.manager.list_sessions() for _ in range(2 * READERS)))  # the pool opens all it may
    gc.collect()
    found = gc.get_objects()
    kinds = [type(each) for each in found]
    del found
    return Holdings(
        children=len(children()),
        marked=len(marked(f"test-{home.work}")),
        descriptors=descriptors(),
        tasks=len(asyncio.all_tasks()),
        sessions=kinds.count(Session),
        journals=kinds.count(Journal),
        directories=len(list((home.work / "sessions").iterdir())),
        rows=stored,
        live=home.manager.pool.live,
        resident_kib=resident_kib(),
    )


def rows(home: House) -> int:
    """How many rows the tables of sessions have together."""
    with closing(sqlite3.connect(home.work / "data" / "qpty.db")) as connection:
        counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]  # noqa: S608
    return sum(counts)


async def come_and_go(home: House, *, cycles: int, at_once: int, talkative: float, random: Random) -> int:
    """Create sessions, talk in some of them (a share of `talkative`), delete them all; how many turns there were.

    One in three of the talkative is deleted in the middle of its turn.
    """
    left = cycles
    turns = 0

    async def one_after_the_other() -> None:
        nonlocal left, turns
        while left > 0:
            left -= 1
            info = await home.manager.create(profile=TRUSTING)
            if random.random() < talkative:
                turns += 1
                turn = await home.manager.send(info.id, random.choice(ERRANDS))
                if random.random() < 2 / 3:
                    end = await home.ended(turn)
                    assert end["type"] == "turn.completed", end
                else:
                    await home.until(info.id, "turn.started")
            await home.manager.delete(info.id)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_the_other())
    return turns
