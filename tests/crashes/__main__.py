"""Kill, cut and leak for long, and count: `python -m tests.crashes --rounds N`.

Each experiment prints a line of counts for each of its parts. Exit status: 0, or 1 if anything was lost, doubled, or
left behind, which is then printed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from qpty.agent import spec
from qpty.sessions.checkpoints import CHECKPOINTS
from qpty.sessions.config import SessionsConfig
from tests.crashes.leaks import come_and_go, holdings
from tests.crashes.readers import read_in_pieces
from tests.crashes.servers import Survival
from tests.crashes.streams import NETWORK_TURNS, over
from tests.crashes.workers import ROOMY, WorkerKiller, kill_workers
from tests.lab import Lab, lab_directory
from tests.sessions.house import COLD, House, demo_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from qpty.agent.spec import AgentSpec

KILLS_A_ROUND: Final = 5
CUTS_A_ROUND: Final = 100
CYCLES_A_ROUND: Final = 50
"""So 100 rounds are the 500 kills of a worker, 100 of a server, 10,000 cuts and 5,000 sessions that are promised."""

PARTS: Final = 10
"""Into which the cycles are divided, to see whether memory grows."""


async def workers_of_demo(rounds: int, work: Path, random: Random) -> list[str]:
    """Kill workers of the demo agent at named places."""
    return await _workers(demo_spec(work), rounds, work, random)


async def workers_of_q(rounds: int, work: Path, random: Random) -> list[str]:
    """Kill workers of the real q at named places; skipped where there is none."""
    if lab_directory() is None:
        print("   skipped: no real q here, set QPTY_LAB to the lab's directory")
        return []
    with Lab(work / "lab") as lab:
        environment = {**os.environ, "HOME": str(lab.home)}
        found = spec.locate(str(lab.q), environment=environment, data_directory=work / "data")
        return await _workers(found, rounds, work, random)


async def _workers(agent: AgentSpec, rounds: int, work: Path, random: Random) -> list[str]:
    killer = WorkerKiller(dying=lambda: random.random() < 0.5)
    async with House(agent, work, config=ROOMY, reached=killer) as home:
        killer.watch(home)
        outcome = await kill_workers(home, killer, kills=KILLS_A_ROUND * rounds, sessions=4, random=random)
    _count(outcome.kills, "kills")
    print(f"   {outcome.answered} turns answered, {outcome.lost} lost with their worker")
    return outcome.problems


async def servers(rounds: int, work: Path, random: Random) -> list[str]:
    """Kill the server with 20 sessions streaming, at named places and from outside."""
    survival = Survival(work, random)
    places = [None, None, *CHECKPOINTS]
    problems: list[str] = []
    for number in range(rounds):
        problems += await survival.round(places[number % len(places)])
        if problems:
            break
    problems += await survival.check()
    _count(survival.kills, "kills")
    print("  ", ", ".join(f"{count} {name}" for name, count in survival.tallies.items()))
    return problems


async def leaks(rounds: int, work: Path, random: Random) -> list[str]:
    """Create and delete sessions, a tenth of them with turns whose tools leave processes behind."""
    problems: list[str] = []
    turns = 0
    async with House(demo_spec(work), work, config=replace(COLD, max_workers=4)) as home:
        await come_and_go(home, cycles=20, at_once=4, talkative=1.0, random=random)
        first = await holdings(home)
        print(f"   at first: {first}")
        for _ in range(PARTS):
            cycles = max(1, CYCLES_A_ROUND * rounds // PARTS)
            turns += await come_and_go(home, cycles=cycles, at_once=4, talkative=0.1, random=random)
            now = await holdings(home)
            print(f"   {cycles} more: {now.resident_kib} KiB")
            problems += [f"{name}: {before} became {after}" for name, (before, after) in now.more_than(first).items()]
    print(f"   at last: {now}, {turns} turns")
    return problems


async def readers(rounds: int, work: Path, random: Random) -> list[str]:
    """Cut readers off while a session streams, and have them resume."""
    return await _readers(rounds, work, random, COLD)


async def trimmed_readers(rounds: int, work: Path, random: Random) -> list[str]:
    """The same with a journal that keeps 50 events."""
    return await _readers(rounds, work, random, SessionsConfig(warm_workers=0, journal_events=50))


async def streams(rounds: int, work: Path, random: Random) -> list[str]:
    """Cut clients off, of server-sent events and of WebSockets alternately, and have them resume."""
    async with House(demo_spec(work, QPTY_DEMO_PACE="0.002"), work, config=COLD) as home, over(home, work) as sources:
        crowd = await read_in_pieces(
            home,
            cuts=CUTS_A_ROUND * rounds,
            readers=10,
            random=random,
            sources=sources,
            turns_waited=NETWORK_TURNS,
        )
    for name, some in (("SSE", crowd[::2]), ("WebSocket", crowd[1::2])):
        print(f"   {sum(reader.cuts for reader in some)} cuts of {name}, {len(some[0].seen)} events")
    return [problem for reader in crowd for problem in reader.problems]


async def _readers(rounds: int, work: Path, random: Random, config: SessionsConfig) -> list[str]:
    async with House(demo_spec(work, QPTY_DEMO_PACE="0.002"), work, config=config) as home:
        crowd = await read_in_pieces(home, cuts=CUTS_A_ROUND * rounds, readers=10, random=random)
    cuts, resets = sum(reader.cuts for reader in crowd), sum(len(reader.resets) for reader in crowd)
    print(f"   {cuts} cuts, {max(len(reader.seen) for reader in crowd)} events, {resets} resets")
    return [problem for reader in crowd for problem in reader.problems]


def _count(counter: Mapping[Any, int], what: str) -> None:
    shown = ", ".join(f"{count} at {place}" for place, count in sorted(counter.items()))
    print(f"   {sum(counter.values())} {what}: {shown}")


EXPERIMENTS: Final[dict[str, Callable[[int, Path, Random], Coroutine[None, None, list[str]]]]] = {
    "demo": workers_of_demo,
    "q": workers_of_q,
    "servers": servers,
    "leaks": leaks,
    "readers": readers,
    "trimmed": trimmed_readers,
    "streams": streams,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry the experiments out, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.crashes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, metavar="N", help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is random (default: %(default)s)")
    parser.add_argument("experiments", nargs="*", metavar="NAME", help=f"of {', '.join(EXPERIMENTS)}; default: all")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or not set(options.experiments) <= EXPERIMENTS.keys():
        parser.error(f"N is at least 1, and the experiments are {', '.join(EXPERIMENTS)}")
    wrong = 0
    for name in options.experiments or EXPERIMENTS:
        experiment = EXPERIMENTS[name]
        print(f"== {name}: {(experiment.__doc__ or '').strip()}", flush=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="qpty-crashes-") as work:
            random = Random(options.seed)  # noqa: S311
            problems = asyncio.run(experiment(options.rounds, Path(work), random))
        print(f"   {len(problems)} problems, {time.monotonic() - began:.0f} s", flush=True)
        for problem in problems:
            print(f"   PROBLEM: {problem[:1000]}")
        wrong += len(problems)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
