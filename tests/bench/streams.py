"""Fifty terminals that type at q's own pace, in one process: the share of a core that this process needs.

Each types 110 words of ten bytes a second, 9 ms apart. *bare* is an asyncio reader that calls `os.read` and nothing
else; *driver* is a `TerminalAgent` with its `events()` read, one each. The typing programs' own time isn't counted.
Beside it, of one of the fifty: the milliseconds from the writing of a word to its arrival.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qpty.agent.driver import TerminalAgent
from qpty.core.events import Exited, MessageDelta, TurnFailed
from tests.bench._terminals import PROGRAM, BareTerminal, BenchmarkError, delays, percentile, typist

if TYPE_CHECKING:
    from collections.abc import Iterator

TERMINALS: Final = 50
RATE: Final = 110
SECONDS: Final = 20.0
MARGIN: Final = 15.0
"""Seconds that the programs type beyond what is measured: the last may start so much later than the first."""

TARGET: Final = 60.0
"""Percent of one core."""

MESSAGE: Final = f"type {int(RATE * (SECONDS + MARGIN))} {1_000_000 // RATE}"


@dataclass(slots=True)
class Tally:
    """What arrived: how many pieces and characters, and the pieces of one terminal with their times."""

    pieces: int = 0
    characters: int = 0
    watched: list[tuple[int, str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a while of streaming took: seconds, processor seconds, pieces, and the delays of one terminal's words."""

    wall: float
    processor: float
    pieces: int
    characters: int
    delays: list[float]

    @property
    def share(self) -> float:
        """Percent of one core."""
        return 100 * self.processor / self.wall


async def measure(tally: Tally) -> Figures:
    """Let it stream for a while."""
    tally.pieces = tally.characters = 0
    tally.watched = []
    wall, begin = time.monotonic(), os.times()
    await asyncio.sleep(SECONDS)
    end, wall = os.times(), time.monotonic() - wall
    return Figures(
        wall=wall,
        processor=end.user - begin.user + end.system - begin.system,
        pieces=tally.pieces,
        characters=tally.characters,
        delays=delays(tally.watched),
    )


async def bare(work: Path) -> Figures:
    """Read the terminals, and do nothing with what was read."""
    loop = asyncio.get_running_loop()
    tally = Tally()
    with ExitStack() as stack:
        terminals: list[BareTerminal] = []
        for number in range(TERMINALS):
            typist(work / f"{number}")
            terminals.append(stack.enter_context(BareTerminal(PROGRAM, directory=work / f"{number}")))
        for number, terminal in enumerate(terminals):
            terminal.read_to(b"\x1b[2C")
            terminal.type(MESSAGE)

            def readable(terminal: BareTerminal = terminal, watched: bool = number == 0) -> None:
                data = terminal.read()
                tally.pieces += 1
                tally.characters += len(data)
                if watched and tally.watched is not None:
                    tally.watched.append((time.monotonic_ns(), data.decode("utf-8", "replace")))

            loop.add_reader(terminal.descriptor, readable)
            stack.callback(loop.remove_reader, terminal.descriptor)
        return await measure(tally)


async def driver(work: Path) -> Figures:
    """Read the terminals as a session does."""
    tally = Tally()
    agents = [TerminalAgent(typist(work / f"{number}"), directory=work / f"{number}") for number in range(TERMINALS)]

    async def read(agent: TerminalAgent) -> None:
        async for event in agent.events():
            if isinstance(event, MessageDelta):
                tally.pieces += 1
                tally.characters += len(event.text)
                if agent is agents[0] and tally.watched is not None:
                    tally.watched.append((time.monotonic_ns(), event.text))
            elif isinstance(event, TurnFailed | Exited):
                raise BenchmarkError(event)

    readers: list[asyncio.Task[None]] = []
    try:
        for agent in agents:
            await agent.start()
        for agent in agents:
            await agent.send(MESSAGE, turn_id="t")
            readers.append(asyncio.create_task(read(agent)))
        return await measure(tally)
    finally:
        failed = [error for reader in readers if reader.done() and (error := reader.exception()) is not None]
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        await asyncio.gather(*(agent.close() for agent in agents))
        if failed:
            raise failed[0]


def lines(found: dict[str, Figures]) -> Iterator[str]:
    """The table."""
    yield f"{'':10}{'% of a core':>12}{'us a piece':>12}{'pieces/s':>10}{'KB/s':>8}{'p50 ms':>9}{'p99 ms':>9}"
    for title, of in found.items():
        yield (
            f"{title:10}{of.share:12.1f}{1e6 * of.processor / of.pieces:12.1f}{of.pieces / of.wall:10.0f}"
            f"{of.characters / of.wall / 1000:8.1f}{percentile(of.delays, 50):9.3f}{percentile(of.delays, 99):9.3f}"
        )
    share = found["driver"].share
    yield f"driver / bare: {share / found['bare'].share:.1f}"
    yield (
        f"{TERMINALS} terminals at {RATE} words/s: {share:.1f} % of one core; target {TARGET:g} %: "
        f"{'met' if share <= TARGET else 'MISSED'}"
    )


def main() -> None:
    """Print both."""
    found: dict[str, Figures] = {}
    for title, run in (("bare", bare), ("driver", driver)):
        with tempfile.TemporaryDirectory(prefix="qpty-bench-") as work:
            found[title] = asyncio.run(run(Path(work)))
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main()
