"""What the journal costs: `python -m tests.storage.journal_cost [url]` prints CPU seconds and commit latencies.

Fifty sources append twenty, then forty events a second each, none of them urgent, for five seconds; each time the same
again without a database, for what the load itself costs. The CPU time is that of all threads of this process.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from dataclasses import dataclass, field
from statistics import quantiles
from typing import TYPE_CHECKING, Protocol

from qpty.storage import writes
from qpty.storage.database import Database
from tests.storage.rows import session

if TYPE_CHECKING:
    from qpty.storage.errors import StorageError
    from qpty.storage.writer import Source

SOURCES = 50
PER_SECOND = (20, 40)
SECONDS = 5
SPREAD = 5
"""Groups into which the sources are divided, one after the other: real sessions keep no common time."""

BODY = '{"seq":1234,"type":"message.delta","time":"2026-01-01T00:00:00.000Z","turn_id":"t","segment":0,"text":"%s"}'
TEXT = "about forty"


class Waker(Protocol):
    """What a stream needs of a writer."""

    def wake(self, source: Source, *, urgent: bool) -> None: ...


class Nobody:
    """No writer."""

    def wake(self, source: Source, *, urgent: bool) -> None: ...


@dataclass
class Stream:
    """One session that streams."""

    session_id: str
    latencies: list[float]
    seq: int = 0
    waits: list[tuple[str, int, str]] = field(default_factory=list)
    given: list[float] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)

    def append(self, waker: Waker) -> None:
        self.seq += 1
        self.waits.append((self.session_id, self.seq, BODY % TEXT))
        self.given.append(time.monotonic())
        waker.wake(self, urgent=False)

    def take(self) -> list[writes.Write]:
        rows, self.waits = self.waits, []
        self.taken, self.given = self.given, []
        return [writes.append_events(rows)]

    def written(self) -> None:
        now = time.monotonic()
        self.latencies.extend(now - given for given in self.taken)

    def refused(self, error: StorageError) -> None:
        raise error


async def stream(waker: Waker, names: list[str], per_second: int, *, first: int = 1) -> tuple[float, list[float]]:
    """Stream for a while; return CPU seconds per second, and the latencies."""
    latencies: list[float] = []
    streams = [Stream(name, latencies, first - 1) for name in names]
    gc.collect()
    began, cpu = time.monotonic(), time.process_time()
    for tick in range(SECONDS * per_second * SPREAD):
        for each in streams[tick % SPREAD :: SPREAD]:
            each.append(waker)
        await asyncio.sleep(began + (tick + 1) / per_second / SPREAD - time.monotonic())
    spent = time.process_time() - cpu
    return spent / (time.monotonic() - began), latencies


async def main(url: str) -> None:
    names = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(SOURCES)]
    database = await Database.open(url)
    await database.writer.write(*(writes.insert_session(session(name)) for name in names))
    first = 1
    for per_second in PER_SECOND:
        alone, _ = await stream(Nobody(), names, per_second)
        together, latencies = await stream(database.writer, names, per_second, first=first)
        await database.writer.write()
        first += per_second * SECONDS
        cuts = quantiles(latencies, n=100)
        print(f"{SOURCES * per_second} events/s of {len(BODY % TEXT)} bytes from {SOURCES} sources for {SECONDS} s:")
        print(
            f"  CPU {together:.2%} of a core, {alone:.2%} for the load itself: {together - alone:.2%} for the journal"
        )
        print(
            f"  latency p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms, most {max(latencies) * 1000:.1f} ms"
        )
    await database.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{directory}/qpty.db"))
