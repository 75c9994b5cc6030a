"""Five hundred live sessions, fifty of them streaming at q's pace: latency, memory, and what the journal costs.

450 sessions have the demo agent and are idle after one turn; 50 have a program that types 110 words of 45 bytes a
second, which tell when they were written. Each of these has one reader of its journal. All is in one process, as a
server is, which does nothing else; the agents' own time isn't counted.

Rounds of the same turns alternate between these ways to read the same terminals:

- *driver*: fifty bare agents, each with a reader of its `events()`: no sessions;
- *no journal*: sessions whose live text is handed to the reader instead of the journal, one by one and not as JSON;
- *journal*: sessions, as they are;
- *not written*: the same with a database that takes as long for a transaction and does nothing in it;
- *at once*: the same with a database that does nothing and takes no time, so hardly anything is joined.

The milliseconds are from the writing of a word to the reader's having it, so they include what the machine takes to
wake up a reader of the terminal; *added* is what the sessions add to the driver's own. Both say little on a machine
that others use: *kept waiting* is the share of the time for which this process wanted a processor and had none,
*machine* how busy all processors were, with everything that runs on them.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qpty.agent import spec
from qpty.agent.driver import TerminalAgent
from qpty.agent.provider import Profile, TerminalProvider
from qpty.core.events import Exited, MessageDelta, TurnCompleted, TurnFailed
from qpty.sessions.config import SessionsConfig
from qpty.sessions.manager import SessionManager
from qpty.sessions.running import settle_memory
from qpty.storage import migrations
from qpty.storage.database import Database
from qpty.storage.sqlite import SqliteBackend, SqliteLink
from tests.bench._machine import (
    allow_descriptors,
    alone,
    full_or,
    kept_waiting,
    machine_busy,
    resident,
    verdict,
)
from tests.bench._terminals import BenchmarkError, delays, percentile, typist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from qpty.agent.observing import TerminalObserver
    from qpty.agent.spec import AgentSpec
    from qpty.sessions.journal import Journal
    from qpty.sessions.turns import Turn
    from qpty.storage.writes import JournalRow, Statement

SESSIONS: Final = full_or(500, 40)
STREAMS: Final = full_or(50, 10)
STARTING: Final = 8
"""Agents that are started at the same time."""

RATE: Final = 110
LENGTH: Final = 45
ROUNDS: Final = full_or(2, 1)
MARGIN: Final = 1.5
"""Seconds that the programs type beyond what is measured."""

WAYS: Final = {
    "driver": full_or(3, 1),
    "no journal": full_or(3, 1),
    "journal": full_or(10, 2),
    "not written": full_or(3, 1),
    "at once": full_or(3, 1),
}
"""The seconds of each in one round."""

IDLE: Final = 5.0
"""Seconds that all sessions are watched doing nothing."""

LATENCY_TARGET: Final = 100.0
"""Milliseconds that 99 of 100 words may take."""

MEMORY_TARGET: Final = 2.0
"""MiB of the server for one session."""

JOURNAL_TARGET: Final = 15.0
"""Percent that the journal may add to the processor time of the same run without it."""

TYPIST: Final = Profile(agent="typist")


class MixedProvider(TerminalProvider):
    """The demo agent; for the profile `TYPIST`, the program that types."""

    def __init__(self, demo: AgentSpec, typing: AgentSpec, *, server_id: str) -> None:
        super().__init__(demo, server_id=server_id)
        self._typists = TerminalProvider(typing, server_id=server_id)

    def agent(
        self,
        profile: Profile,
        directory: Path,
        *,
        columns: int,
        lines: int,
        observer: TerminalObserver | None = None,
    ) -> TerminalAgent:
        """Make an agent; it isn't started."""
        if profile == TYPIST:
            return self._typists.agent(profile, directory, columns=columns, lines=lines, observer=observer)
        return super().agent(profile, directory, columns=columns, lines=lines, observer=observer)


class StandInLink(SqliteLink):
    """SQLite's connection for the writer, which writes nothing while `stands_in`: a transaction then takes `seconds`.

    `took` has the seconds of the real ones.
    """

    def __init__(self, link: SqliteLink) -> None:
        super().__init__(link._engine)
        self.stands_in = False
        self.seconds = 0.0
        self.took: list[float] = []
        self.transactions = 0
        self._idle = False
        self._began = 0.0

    async def begin(self) -> None:
        """Start a transaction, and decide for all of it."""
        self._idle = self.stands_in
        self._began = time.perf_counter()
        if not self._idle:
            await super().begin()

    async def execute(self, statement: Statement) -> None:
        """Carry one statement out."""
        if not self._idle:
            await super().execute(statement)

    async def append(self, events: Sequence[JournalRow]) -> None:
        """Append events."""
        if not self._idle:
            await super().append(events)

    async def commit(self) -> None:
        """Make it durable, or pass the time that this would have taken."""
        self.transactions += 1
        if not self._idle:
            await super().commit()
            self.took.append(time.perf_counter() - self._began)
        elif self.seconds:
            await asyncio.sleep(self.seconds)


class StandInBackend(SqliteBackend):
    """SQLite, whose writer's connection can stand aside."""

    def link(self) -> StandInLink:
        """Return the writer's connection."""
        self.last_link = StandInLink(super().link())
        return self.last_link


@dataclass(slots=True)
class Reader:
    """What one reader got, and when: (nanoseconds, text that has words)."""

    pieces: list[tuple[int, str]] = field(default_factory=list)
    first: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, text: str) -> None:
        """A piece has come."""
        self.pieces.append((time.monotonic_ns(), text))
        self.first.set()


@dataclass(slots=True)
class Figures:
    """What one way took, over all its rounds.

    `waited` are the seconds that the loop's thread was kept waiting for a processor, `busy` and `ticks` the machine's.
    """

    wall: float = 0.0
    processor: float = 0.0
    waited: float = 0.0
    busy: int = 0
    ticks: int = 0
    pieces: int = 0
    transactions: int = 0
    delays: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Percent of one core."""
        return 100 * self.processor / self.wall

    def at(self, percent: float) -> float:
        """Milliseconds that so many percent of the words took at most."""
        return percentile(sorted(self.delays), percent)


class Fleet:
    """All sessions of the benchmark in one process, and fifty bare agents beside them."""

    def __init__(self, work: Path, manager: SessionManager, link: StandInLink, typing: AgentSpec) -> None:
        self._work = work
        self._manager = manager
        self._link = link
        self._typing = typing
        self._streams: list[str] = []
        self._bare: list[TerminalAgent] = []

    async def live(self) -> float:
        """Create every session and have each one turn; the seconds that this takes."""
        gate = asyncio.Semaphore(STARTING)
        begin = time.perf_counter()

        async def one(number: int) -> None:
            streams = number < STREAMS
            async with gate:
                info = await self._manager.create(profile=TYPIST if streams else None)
                turn = await self._manager.send(info.id, self._message(0.2) if streams else "hello")
                if streams:
                    self._streams.append(info.id)
                await ended(turn)

        await asyncio.gather(*map(one, range(SESSIONS)))
        return time.perf_counter() - begin

    async def start_bare(self) -> None:
        """Start the agents that are no sessions."""
        for number in range(STREAMS):
            directory = self._work / f"bare-{number}"
            directory.mkdir()
            agent = TerminalAgent(self._typing, directory=directory)
            self._bare.append(agent)
            await agent.start()
            agent.discard_events()

    async def close(self) -> None:
        """End the agents that are no sessions; the manager ends the others."""
        await asyncio.gather(*(agent.close() for agent in self._bare))

    async def stream(self, way: str, figures: Figures) -> None:
        """Have fifty turns typed at once, and measure in the midst of them."""
        seconds = WAYS[way]
        message = self._message(seconds + MARGIN)
        readers = [Reader() for _ in range(STREAMS)]
        tasks: list[asyncio.Task[None]] = []
        bypassed = ExitStack()
        try:
            if way == "driver":
                for agent, reader in zip(self._bare, readers, strict=True):
                    await agent.send(message, turn_id="t")
                    tasks.append(asyncio.create_task(self._read_agent(agent, reader)))
            else:
                journals = {session.id: session.journal for session in self._manager.loaded()}
                self._link.seconds = 0.0 if way == "at once" else statistics.median(self._link.took[-200:])
                self._link.stands_in = way in {"not written", "at once"}
                sent = await asyncio.gather(*(self._manager.send(each, message) for each in self._streams))
                for session_id, turn, reader in zip(self._streams, sent, readers, strict=True):
                    if way == "no journal":
                        bypassed.enter_context(bypass(journals[session_id], reader))
                    tasks.append(asyncio.create_task(self._read_journal(session_id, turn, reader)))
            await asyncio.gather(*(reader.first.wait() for reader in readers))
            await self._measure(seconds, readers, figures)
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            bypassed.close()

    async def _measure(self, seconds: float, readers: Sequence[Reader], figures: Figures) -> None:
        for reader in readers:
            reader.pieces.clear()
        transactions = self._link.transactions
        (busy, ticks), waited = machine_busy(), kept_waiting()
        begin, worked = time.monotonic(), time.process_time()
        await asyncio.sleep(seconds)
        figures.processor += time.process_time() - worked
        figures.wall += time.monotonic() - begin
        figures.waited += kept_waiting() - waited
        busy_now, ticks_now = machine_busy()
        figures.busy += busy_now - busy
        figures.ticks += ticks_now - ticks
        figures.transactions += self._link.transactions - transactions
        for reader in readers:
            figures.pieces += len(reader.pieces)
            figures.delays += delays(reader.pieces)

    async def _read_journal(self, session_id: str, turn: Turn, reader: Reader) -> None:
        async for event in self._manager.events(session_id, after=turn.seq):
            if event.type == "message.delta":
                reader.take(event.body)
            elif event.type in {"turn.failed", "journal.reset"}:
                raise TurnLostError(event.data)
            elif event.type == "turn.completed":
                break
        await ended(turn)

    async def _read_agent(self, agent: TerminalAgent, reader: Reader) -> None:
        async for event in agent.events():
            if isinstance(event, MessageDelta):
                reader.take(event.text)
            elif isinstance(event, TurnFailed | Exited):
                raise BenchmarkError(event)
            elif isinstance(event, TurnCompleted):
                break

    def _message(self, seconds: float) -> str:
        return f"type {int(RATE * seconds)} {1_000_000 // RATE} {LENGTH}"


@contextmanager
def bypass(journal: Journal, reader: Reader) -> Iterator[None]:
    """Hand live text to the reader, and everything else to the journal."""
    append = journal.append_text

    def hand_over(kind: str, turn_id: str | None, of: str, which: object, text: str) -> int:
        if kind != "message.delta":
            return append(kind, turn_id, of, which, text)
        reader.take(text)
        return journal.last_seq

    vars(journal)["append_text"] = hand_over
    try:
        yield
    finally:
        del vars(journal)["append_text"]


class TurnLostError(Exception):
    """A turn didn't end as it should, or its events have a gap: the figures mean nothing."""

    def __init__(self, end: Mapping[str, object]) -> None:
        super().__init__(f"the turn ended with {end}")


async def ended(turn: Turn) -> None:
    """Wait for a turn's end. Raises TurnLostError."""
    end = await turn.ended
    if end["type"] != "turn.completed":
        raise TurnLostError(end)


async def idle() -> float:
    """Percent of one core that all sessions take while nobody does anything."""
    begin, worked = time.monotonic(), time.process_time()
    await asyncio.sleep(IDLE)
    return 100 * (time.process_time() - worked) / (time.monotonic() - begin)


async def measure(work: Path, say: Callable[[str], None]) -> None:
    """Bring the sessions to life, then stream in each way."""
    home = work / "home"
    home.mkdir()
    demo = spec.locate("demo", environment={**os.environ, "HOME": str(home)}, data_directory=work / "data")
    typing = typist(work / "typists")
    backend = StandInBackend(work / "qpty.db")
    await backend.prepare(await asyncio.to_thread(migrations.load_versions))
    database = Database(backend)
    provider = MixedProvider(demo, typing, server_id=f"bench-{work}")
    config = SessionsConfig(max_workers=SESSIONS, warm_workers=0)
    manager = await SessionManager.open(provider, database, base=work / "sessions", config=config)
    settle_memory()
    fleet = Fleet(work, manager, backend.last_link, typing)
    try:
        before = resident()
        took = await fleet.live()
        grown = (resident() - before) / SESSIONS / 2**20
        say(f"{SESSIONS} sessions live after one turn each, {manager.pool.live} workers: {took:.1f} s")
        say(
            f"memory of the server: {before / 2**20:.0f} MiB before, {grown:.3f} MiB a session; "
            f"{verdict(grown, MEMORY_TARGET)}"
        )
        say(f"nobody does anything: {await idle():.1f} % of a core")
        await fleet.start_bare()
        found = {way: Figures() for way in WAYS}
        for _ in range(ROUNDS):
            for way, figures in found.items():
                await fleet.stream(way, figures)
        for line in lines(found):
            say(line)
    finally:
        await fleet.close()
        begin = time.perf_counter()
        await manager.close()
        say(f"all sessions closed: {time.perf_counter() - begin:.1f} s")
        await database.close()


def lines(found: Mapping[str, Figures]) -> Iterator[str]:
    """The table, and what it comes to."""
    yield ""
    yield (
        f"{'':12}{'seconds':>9}{'% of a core':>13}{'pieces/s':>10}{'commits/s':>11}"
        f"{'p50 ms':>9}{'p99 ms':>9}{'longest':>9}{'kept waiting':>14}{'machine':>9}"
    )
    for way, of in found.items():
        yield (
            f"{way:12}{of.wall:9.1f}{of.share:13.1f}{of.pieces / of.wall:10.0f}{of.transactions / of.wall:11.1f}"
            f"{of.at(50):9.2f}{of.at(99):9.2f}{of.at(100):9.2f}"
            f"{100 * of.waited / of.wall:12.1f} %{100 * of.busy / of.ticks:7.0f} %"
        )
    journal, driver = found["journal"], found["driver"]
    words = STREAMS * RATE
    yield (
        f"{STREAMS} x {RATE} words/s, {words / (journal.pieces / journal.wall):.1f} words an event; added p50 "
        f"{journal.at(50) - driver.at(50):.2f} ms, p99 {journal.at(99) - driver.at(99):.2f} ms"
    )
    yield f"word to journal reader: p99 {journal.at(99):.1f} ms; {verdict(journal.at(99), LATENCY_TARGET)}"
    for way in ("no journal", "not written", "at once", "driver"):
        more = 100 * (journal.share / found[way].share - 1)
        note = f"; {verdict(more, JOURNAL_TARGET)}" if way in {"no journal", "not written"} else ""
        yield f"processor time over that of {way!r}: {more:+.1f} %{note}"


def run() -> None:
    """Measure, in this process."""
    allow_descriptors()
    with tempfile.TemporaryDirectory(prefix="qpty-bench-") as work:
        asyncio.run(measure(Path(work), lambda line: print(line, flush=True)))


def main() -> None:
    """Measure in a process of its own, for its memory's sake."""
    alone("tests.bench.sessions")


if __name__ == "__main__":
    run()
