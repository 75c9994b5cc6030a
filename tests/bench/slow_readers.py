"""Ten readers of a stream, alone and beside ten that stand still: what the slow ones cost the others.

A typist writes 110 words a second in one session for each way. Of ten normal readers: the milliseconds from the writing
of a word to its arrival. The stalled ones read one event and then nothing until the turn is over; then they read the
rest. Memory is that of this process, grown from the turn's beginning to its end.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qpty.agent.provider import TerminalProvider
from qpty.sessions.config import SessionsConfig
from qpty.sessions.manager import SessionManager
from qpty.sessions.running import settle_memory
from qpty.storage.database import Database
from tests.bench._machine import full_or, resident, verdict
from tests.bench._terminals import BenchmarkError, delays, percentile, typist

if TYPE_CHECKING:
    from qpty.sessions.turns import Turn

NORMAL: Final = 10
STALLED: Final = 10
RATE: Final = 110
SECONDS: Final = full_or(15, 3)
WAYS: Final = {"alone": 0, "with stalled": STALLED, "alone again": 0}
RATIO_TARGET: Final = 1.2
MEMORY_TARGET: Final = 20.0
"""MiB."""


async def normal(manager: SessionManager, session_id: str, turn: Turn, arrived: list[tuple[int, str]]) -> int:
    """Read a turn as it comes; how many events it had."""
    count = 0
    async with aclosing(manager.events(session_id, after=turn.seq)) as events:
        async for event in events:
            count += 1
            if event.type == "message.delta":
                arrived.append((time.monotonic_ns(), event.body))
            elif event.type in {"turn.completed", "turn.failed"}:
                break
    return count


async def stalled(manager: SessionManager, session_id: str, turn: Turn) -> int:
    """Read one event, stand still until the turn is over, read the rest; how many events it had."""
    count = 0
    async with aclosing(manager.events(session_id, after=turn.seq)) as events:
        async for event in events:
            count += 1
            if count == 1:
                await turn.wait()
            if event.type in {"turn.completed", "turn.failed"}:
                break
    return count


async def stream(manager: SessionManager, slow: int) -> tuple[list[float], float]:
    """Have one turn read by all; the sorted delays of the normal readers, and the MiB that memory grew."""
    session = await manager.create()
    turn = await manager.send(session.id, f"type {RATE * SECONDS} {1_000_000 // RATE}")
    before = resident()
    arrived: list[tuple[int, str]] = []
    readers = [normal(manager, session.id, turn, arrived) for _ in range(NORMAL)]
    counts = await asyncio.gather(*readers, *(stalled(manager, session.id, turn) for _ in range(slow)))
    end = await turn.wait()
    if end["type"] != "turn.completed" or len(set(counts)) != 1:
        raise BenchmarkError(None)
    grown = (resident() - before) / 2**20
    await manager.hibernate(session.id)
    return delays(arrived), grown


async def measure(work: Path) -> None:
    """Each way once, in sessions of their own."""
    spec = typist(work / "typist")
    database = await Database.open(f"sqlite:///{work / 'qpty.db'}")
    provider = TerminalProvider(spec, server_id=f"bench-{work}")
    config = SessionsConfig(warm_workers=0)
    manager = await SessionManager.open(provider, database, base=work / "sessions", config=config)
    settle_memory()
    try:
        print(f"{'':14}{'p50 ms':>9}{'p99 ms':>9}{'memory MiB':>12}")
        found: dict[str, float] = {}
        for way, slow in WAYS.items():
            times, grown = await stream(manager, slow)
            found[way] = percentile(times, 99)
            print(f"{way:14}{percentile(times, 50):9.2f}{found[way]:9.2f}{grown:12.2f}")
            if slow:
                print(f"{'':14}memory beside {slow} stalled readers; {verdict(grown, MEMORY_TARGET)}")
        ratio = found["with stalled"] / max(found["alone"], found["alone again"])
        print(f"p99 with stalled readers / alone: {ratio:.2f}; {verdict(ratio, RATIO_TARGET)}")
    finally:
        await manager.close()
        await database.close()


def main() -> None:
    """Run it in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="qpty-bench-") as work:
        asyncio.run(measure(Path(work)))
