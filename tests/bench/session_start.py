"""How long a session takes to be there: from a warm worker, and revived after its hibernation.

*creation* is `SessionManager.create` while a worker is warm; each session is deleted and the next worker awaited before
the next. Beside it, the same row inserted durably and nothing else.

*revival* is the time from `send` to the journal's `turn.started` for a hibernated session, less the same for the
session when it is live and idle. The agent's own start is that of a bare `TerminalAgent` on the same program. The three
alternate, on the demo agent and, where there is a lab, on the real q.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qpty.agent import spec
from qpty.agent.driver import TerminalAgent
from qpty.agent.provider import TerminalProvider
from qpty.sessions.config import SessionsConfig
from qpty.sessions.manager import SessionManager
from qpty.sessions.turns import new_id
from qpty.storage.database import Database
from qpty.storage.rows import SessionRow
from qpty.storage.writes import insert_session
from tests.bench._machine import full_or, verdict
from tests.bench._terminals import percentile
from tests.lab import Lab, lab_directory

if TYPE_CHECKING:
    from qpty.agent.spec import AgentSpec

CREATIONS: Final = full_or(50, 5)
REVIVALS: Final = full_or(15, 3)
TIMEOUT: Final = 30.0
"""Seconds that anything may take."""

CREATION_TARGET: Final = 20.0
"""Milliseconds that half of the creations may take."""

REVIVAL_TARGET: Final = 100.0
"""Milliseconds that a revival may take beyond the agent's own start."""


@dataclass(slots=True)
class Times:
    """Milliseconds of what was measured on one agent."""

    creations: list[float] = field(default_factory=list)
    inserts: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    live: list[float] = field(default_factory=list)
    revived: list[float] = field(default_factory=list)


class NotAsMeantError(Exception):
    """Something else happened than what was to be measured."""


class House:
    """A manager with its database, in a directory of its own; close it."""

    def __init__(self, agent: AgentSpec, database: Database, manager: SessionManager, work: Path) -> None:
        self.agent = agent
        self.database = database
        self.manager = manager
        self.work = work

    @classmethod
    async def open(cls, agent: AgentSpec, work: Path, *, warm_workers: int) -> House:
        """Start one in a directory that is there."""
        database = await Database.open(f"sqlite:///{work / 'qpty.db'}")
        manager = await SessionManager.open(
            TerminalProvider(agent, server_id=f"bench-{work}"),
            database,
            base=work / "sessions",
            config=SessionsConfig(warm_workers=warm_workers),
        )
        return cls(agent, database, manager, work)

    async def close(self) -> None:
        """End everything."""
        await self.manager.close()
        await self.database.close()

    async def warm(self) -> None:
        """Wait for a warm worker."""
        async with asyncio.timeout(TIMEOUT):
            while not self.manager.pool.warm:  # noqa: ASYNC110 - nobody is told of it
                await asyncio.sleep(0.01)

    async def create(self, times: Times) -> None:
        """Create a session from a warm worker, and take it away again."""
        await self.warm()
        begin = time.perf_counter()
        info = await self.manager.create()
        times.creations.append((time.perf_counter() - begin) * 1000)
        if info.state != "ready":
            raise NotAsMeantError(f"the new session is {info.state}: it had no warm worker")
        await self.manager.delete(info.id)

    async def insert(self, times: Times) -> None:
        """Insert a session's row, durably."""
        now = time.time()
        session_id = new_id()
        row = SessionRow(
            id=session_id,
            owner="bench",
            created_at=now,
            last_activity=now,
            directory=session_id,
            profile={},
            columns=80,
            lines=24,
        )
        begin = time.perf_counter()
        await self.database.writer.write(insert_session(row))
        times.inserts.append((time.perf_counter() - begin) * 1000)

    async def started(self, session_id: str) -> float:
        """Send a message, and see its turn to its end; the milliseconds from `send` to its `turn.started`."""
        begin = time.perf_counter()
        turn = await self.manager.send(session_id, "hello")
        took = 0.0
        async with asyncio.timeout(TIMEOUT):
            async for event in self.manager.events(session_id, after=turn.seq):
                if event.type == "turn.started":
                    took = (time.perf_counter() - begin) * 1000
                elif event.type == "session.revived" and event.data["context"] != "kept":
                    raise NotAsMeantError(event.body)
                elif event.type in {"turn.completed", "turn.failed"}:
                    break
            end = await turn.ended
        if end["type"] != "turn.completed" or not took:
            raise NotAsMeantError(str(end))
        return took

    async def bare_start(self) -> float:
        """The milliseconds in which an agent by itself starts, to its first prompt."""
        directory = self.work / f"bare-{new_id()}"
        directory.mkdir()
        agent = TerminalAgent(self.agent, directory=directory)
        begin = time.perf_counter()
        await agent.start()
        took = (time.perf_counter() - begin) * 1000
        await agent.close()
        return took


async def measure(agent: AgentSpec, work: Path) -> Times:
    """Create with a warm worker; then revive without one, which would take the machine from what is measured."""
    times = Times()
    house = await House.open(agent, work / "warm", warm_workers=1)
    try:
        for _ in range(CREATIONS):
            await house.create(times)
            await house.insert(times)
    finally:
        await house.close()
    house = await House.open(agent, work / "cold", warm_workers=0)
    try:
        session_id = (await house.manager.create()).id
        await house.started(session_id)
        for _ in range(REVIVALS):
            times.live.append(await house.started(session_id))
            if not await house.manager.hibernate(session_id):
                raise NotAsMeantError("the session did not hibernate")
            times.revived.append(await house.started(session_id))
            times.starts.append(await house.bare_start())
    finally:
        await house.close()
    return times


def show(title: str, times: Times) -> None:
    """Print one agent's figures."""
    rows = {
        "creation, warm": times.creations,
        "bare insert": times.inserts,
        "agent's start": times.starts,
        "to turn, live": times.live,
        "to turn, revived": times.revived,
    }
    for name, values in rows.items():
        values.sort()
        print(
            f"{title:8}{name:18}{len(values):6}{percentile(values, 50):10.2f}{percentile(values, 99):10.2f}"
            f"{values[-1]:10.2f}"
        )
    creation = percentile(times.creations, 50)
    cost = percentile(times.revived, 50) - percentile(times.live, 50)
    added = cost - percentile(times.starts, 50)
    print(f"{title:8}creation p50 {creation:.1f} ms; {verdict(creation, CREATION_TARGET)}")
    print(f"{title:8}revival {cost:.0f} ms, {added:.0f} ms beyond the start; {verdict(added, REVIVAL_TARGET)}")


def main() -> None:
    """Measure each agent there is."""
    print(f"{'ms':26}{'times':>6}{'p50':>10}{'p99':>10}{'longest':>10}")
    with tempfile.TemporaryDirectory(prefix="qpty-bench-") as name, ExitStack() as stack:
        work = Path(name)
        homes = {"demo": work / "home"}
        homes["demo"].mkdir()
        settings = {"demo": "demo"}
        if lab_directory() is not None:
            lab = stack.enter_context(Lab(work=work / "lab"))
            homes["q"], settings["q"] = lab.home, str(lab.q)
        for title, setting in settings.items():
            environment = {**os.environ, "HOME": str(homes[title])}
            for warmth in ("warm", "cold"):
                (work / title / warmth).mkdir(parents=True)
            agent = spec.locate(setting, environment=environment, data_directory=work / f"data-{title}")
            show(title, asyncio.run(measure(agent, work / title)))
    if "q" not in settings:
        print("q: there is no lab here; set QPTY_LAB to its directory")


if __name__ == "__main__":
    main()
