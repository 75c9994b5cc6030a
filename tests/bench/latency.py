"""Byte in to event out: from the child's write to the event, against a loop that does nothing but read the terminal.

A program types words that tell when they were written, 4 ms apart, in a turn as q has it. *bare* is a blocking
`os.read` of its terminal; *driver* is `async for event in agent.events()`. Rounds alternate.
Both include what the machine takes to wake a reader up: on a busy one look at the difference.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

from qpty.agent.driver import TerminalAgent
from qpty.core.events import Exited, MessageDelta, TurnCompleted, TurnFailed
from tests.bench._terminals import PROGRAM, BareTerminal, BenchmarkError, delays, percentile, typist

WORDS: Final = 1000
PERIOD: Final = 4000
ROUNDS: Final = 3
TARGET: Final = 2.0
"""Milliseconds that 99 of 100 events may take."""


def bare(directory: Path) -> list[tuple[int, str]]:
    """When each piece of an answer was read, in nanoseconds, and the piece."""
    arrivals: list[tuple[int, str]] = []
    typist(directory)
    with BareTerminal(PROGRAM, directory=directory) as terminal:
        terminal.read_to(b"\x1b[2C")
        terminal.type(f"type {WORDS} {PERIOD}")
        while data := terminal.read():
            arrivals.append((time.monotonic_ns(), data.decode("utf-8", "replace")))
            if b"\x1b[?2004h" in data:
                break
    return arrivals


async def driver(directory: Path) -> list[tuple[int, str]]:
    """When each live text came out of the driver, in nanoseconds, and the text."""
    arrivals: list[tuple[int, str]] = []
    agent = TerminalAgent(typist(directory), directory=directory)
    await agent.start()
    try:
        await agent.send(f"type {WORDS} {PERIOD}", turn_id="t")
        async for event in agent.events():
            if isinstance(event, MessageDelta):
                arrivals.append((time.monotonic_ns(), event.text))
            elif isinstance(event, TurnCompleted | TurnFailed | Exited):
                break
        if not isinstance(event, TurnCompleted):
            raise BenchmarkError(event)
    finally:
        await agent.close()
    return arrivals


def main() -> None:
    """Print both, and what the driver adds."""
    barely: list[tuple[int, str]] = []
    driven: list[tuple[int, str]] = []
    with tempfile.TemporaryDirectory(prefix="qpty-bench-") as work:
        for number in range(ROUNDS):
            barely += bare(Path(work, f"bare-{number}"))
            driven += asyncio.run(driver(Path(work, f"driver-{number}")))
    print(f"{'ms':12}{'words':>8}{'p50':>9}{'p90':>9}{'p99':>9}{'p99.9':>9}{'longest':>9}")
    found = {"bare": delays(barely), "driver": delays(driven)}
    points = (50, 90, 99, 99.9)
    for title, values in found.items():
        figures = "".join(f"{percentile(values, point):9.3f}" for point in points)
        print(f"{title:12}{len(values):8}{figures}{values[-1]:9.3f}")
    added = [percentile(found["driver"], point) - percentile(found["bare"], point) for point in points]
    ratio = [percentile(found["driver"], point) / percentile(found["bare"], point) for point in points]
    print(f"{'added':20}" + "".join(f"{value:9.3f}" for value in added))
    print(f"{'ratio':20}" + "".join(f"{value:9.1f}" for value in ratio))
    p99 = percentile(found["driver"], 99)
    print(f"driver p99 {p99:.3f} ms; target {TARGET:g} ms: {'met' if p99 <= TARGET else 'MISSED'}")


if __name__ == "__main__":
    main()
