"""Readers that are cut off and resume after the last number they have, anywhere in a session's journal, as it grows.

A reader reads from the manager itself, or over the network: a `Source` yields the events after a number.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.crashes.agreement import journal
from tests.crashes.workers import TRUSTING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from random import Random

    from tests.sessions.house import House

    Source = Callable[[str, int], AsyncGenerator[dict[str, Any], None]]
    """Session id and number → the events after that; a `journal.reset` has no `seq`."""

LONGEST_VISIT: Final = 6
"""Events that a reader takes at most before it is cut off."""

TURNS_WAITED: Final = 20
"""Of the loop, at most, before a reader that waits is cut off."""

REWOUND: Final = 0.05
"""The share of visits before which a reader forgets the last that it got."""

MESSAGES: Final = ("words 200", "bash seq 1 400", "markdown", "bash for i in $(seq 40); do echo $i; done")


@dataclass
class Reader:
    """Reads a session in visits, each of which resumes after the last number that the one before got."""

    source: Source
    session_id: str
    random: Random
    turns_waited: int = TURNS_WAITED
    seen: dict[int, dict[str, Any]] = field(default_factory=dict)
    resets: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    cuts: int = 0
    after: int = 0

    async def read_on(self) -> None:
        """Visit, again and again."""
        while True:
            if self.random.random() < REWOUND:
                self.after = self.random.randint(0, self.after)
            await self._visit(1 + self.random.randrange(LONGEST_VISIT), patient=self.random.random() < 0.5)

    async def read_up_to(self, last: int) -> None:
        """Read what is left in one visit."""
        if self.after < last:
            await self._read(last - self.after, last=last)

    async def _visit(self, count: int, *, patient: bool) -> None:
        """Take so many events, or what comes until it is cut off in the middle of its waiting."""
        before = self.after
        reading = asyncio.create_task(self._read(count))
        try:
            if patient:
                await reading
            else:
                for _ in range(self.random.randrange(self.turns_waited)):
                    await asyncio.sleep(0)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        self.cuts += self.after > before

    async def _read(self, count: int, *, last: int | None = None) -> None:
        async with aclosing(self.source(self.session_id, self.after)) as events:
            async for event in events:
                self._take(event.get("seq"), event)
                count -= 1
                if count == 0 or self.after == last:
                    return

    def _take(self, seq: int | None, data: dict[str, Any]) -> None:
        if seq is None:
            if data["first_seq"] <= self.after + 1:
                self.problems.append(f"reset to {data['first_seq']} where {self.after + 1} is next")
            self.resets.append(data)
            self.after = data["first_seq"] - 1
            return
        if seq != self.after + 1:
            self.problems.append(f"{seq} came where {self.after + 1} is next")
        if self.seen.setdefault(seq, data) != data:
            self.problems.append(f"{seq} was {self.seen[seq]} and is {data}")
        self.after = seq


def source_of(home: House) -> Source:
    """Read from the manager itself."""

    async def read(session_id: str, after: int) -> AsyncGenerator[dict[str, Any], None]:
        async with aclosing(home.manager.events(session_id, after=after)) as events:
            async for event in events:
                yield event.data

    return read


async def read_in_pieces(
    home: House,
    *,
    cuts: int,
    readers: int,
    random: Random,
    sources: Sequence[Source] = (),
    turns_waited: int = TURNS_WAITED,
) -> Sequence[Reader]:
    """Talk in a session while it is read, until the readers were cut off so often; then everybody reads to its end.

    Their `problems` hold what was missing, came twice, or differs from what is stored.
    """
    session_id = (await home.manager.create(profile=TRUSTING)).id
    sources = sources or (source_of(home),)
    crowd = [
        Reader(sources[number % len(sources)], session_id, random, turns_waited=turns_waited)
        for number in range(readers)
    ]
    reading = [asyncio.create_task(reader.read_on()) for reader in crowd]
    try:
        while sum(reader.cuts for reader in crowd) < cuts:
            end = await home.say(session_id, random.choice(MESSAGES))
            assert end["type"] == "turn.completed", end
    finally:
        for task in reading:
            task.cancel()
        outcomes = await asyncio.gather(*reading, return_exceptions=True)
    await home.manager.hibernate(session_id)
    stored = {event["seq"]: event for event in await journal(home.database, session_id)}
    for reader, outcome in zip(crowd, outcomes, strict=True):
        await reader.read_up_to(max(stored))
        if not isinstance(outcome, asyncio.CancelledError):
            reader.problems.append(f"it ended: {outcome!r}")
        wrong = {seq for seq, event in stored.items() if reader.seen.get(seq, event) != event}
        missing = set() if reader.resets else stored.keys() - reader.seen.keys()
        if wrong or missing:
            reader.problems.append(f"got otherwise than stored: {sorted(wrong)}, never got: {sorted(missing)}")
    return crowd
