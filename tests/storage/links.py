"""A writer's connection that tells what it was asked, and does what a test wants instead."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qpty.storage import migrations
from qpty.storage.database import Database, _backend

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from qpty.storage.backend import Backend, Link, Outcome
    from qpty.storage.errors import StorageError
    from qpty.storage.writes import JournalRow, Statement, Write


@dataclass
class Spy:
    """A backend around the real one. `commits` counts those that succeeded; `log` has every statement and append.

    `instead` holds what the next commits do instead of committing; None commits.
    """

    real: Backend
    commits: int = 0
    log: list[Any] = field(default_factory=list)
    instead: deque[Callable[[Link], Awaitable[None]] | None] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.url = self.real.url
        self.errors = self.real.errors
        self.prepare = self.real.prepare
        self.readers = self.real.readers
        self.fault = self.real.fault
        self.spied: SpyLink | None = None

    def link(self) -> Link:
        self.spied = SpyLink(self, self.real.link())
        return self.spied


class SpyLink:
    """The connection of a `Spy`. `on_outcome` and `on_rollback` are called before the real thing."""

    def __init__(self, spy: Spy, real: Link) -> None:
        self.spy = spy
        self.real = real
        self.on_outcome: Callable[[str], Outcome | None] = lambda _witness: None
        self.on_rollback: Callable[[], None] = lambda: None

    async def begin(self) -> None:
        await self.real.begin()

    async def execute(self, statement: Statement) -> None:
        self.spy.log.append(statement)
        await self.real.execute(statement)

    async def append(self, events: Sequence[JournalRow]) -> None:
        self.spy.log.append(tuple(events))
        await self.real.append(events)

    async def witness(self) -> str | None:
        return await self.real.witness()

    async def commit(self) -> None:
        instead = self.spy.instead.popleft() if self.spy.instead else None
        await (self.real.commit() if instead is None else instead(self.real))
        self.spy.commits += 1

    async def outcome(self, witness: str) -> Outcome:
        return self.on_outcome(witness) or await self.real.outcome(witness)

    async def rollback(self) -> None:
        await self.real.rollback()
        self.on_rollback()

    async def close(self) -> None:
        await self.real.close()


async def spied(url: str) -> tuple[Database, Spy]:
    """A database whose writer is watched; the test closes it."""
    spy = Spy(_backend(url))
    await spy.prepare(migrations.load_versions())
    return Database(spy), spy


class Waiting:
    """A source of the writer: what `give` is given waits until it is taken."""

    def __init__(self) -> None:
        self.waits: list[Write] = []
        self.takes: list[list[Write]] = []
        self.done = 0
        self.refusals: list[StorageError] = []
        self.answered = asyncio.Event()

    def give(self, *writes: Write) -> Waiting:
        self.waits.extend(writes)
        return self

    def take(self) -> list[Write]:
        taken, self.waits = self.waits, []
        self.takes.append(taken)
        return taken

    def written(self) -> None:
        self.done += 1
        self.answered.set()

    def refused(self, error: StorageError) -> None:
        self.refusals.append(error)
        self.answered.set()

    async def answer(self) -> None:
        """Wait for the next answer."""
        async with asyncio.timeout(10):
            await self.answered.wait()
        self.answered.clear()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until a condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for says nothing when it happens
            await asyncio.sleep(0.001)
