"""Agents without processes: they start, rest and end exactly when a test says so, and are counted while they live."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qpty.core.events import Exited
from qpty.core.record import NO_RECORD
from qpty.core.states import State
from qpty.core.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from qpty.agent.history import Exchange
    from qpty.agent.observing import TerminalObserver
    from qpty.agent.provider import Profile
    from qpty.core.events import Answer, Event, MenuRequested, PermissionRequested
    from qpty.core.record import RecordedEntry, RecordedTool, RecordMark
    from qpty.core.terminal import ScreenSnapshot


async def at_once() -> None:
    """Take no time."""


@dataclass
class Processes:
    """The agents that live: `most` is how many ever did at the same time."""

    alive: set[FakeAgent] = field(default_factory=set)
    most: int = 0

    def begun(self, agent: FakeAgent) -> None:
        self.alive.add(agent)
        self.most = max(self.most, len(self.alive))


class FakeAgent:
    """An agent that does nothing; `starting` and `closing` are awaited while it starts and ends, and may raise."""

    def __init__(
        self,
        processes: Processes,
        *,
        starting: Callable[[], Awaitable[object]] = at_once,
        closing: Callable[[], Awaitable[object]] = at_once,
    ) -> None:
        self.exited: Exited | None = None
        self.closed = False
        self.starting = starting
        self.closing = closing
        self._processes = processes

    @property
    def state(self) -> State:
        return State.EXITED if self.exited is not None else State.READY

    @property
    def question(self) -> PermissionRequested | MenuRequested | None:
        return None

    @property
    def pid(self) -> int | None:
        return None

    @property
    def mark(self) -> RecordMark | None:
        return None

    @property
    def screen(self) -> ScreenSnapshot:
        raise AssertionError("nobody looks at a fake agent's screen")

    @property
    def screen_version(self) -> int:
        raise AssertionError("nobody looks at a fake agent's screen")

    async def wait_for_screen(self, version: int) -> int:
        raise AssertionError("nobody looks at a fake agent's screen")

    async def start(self) -> None:
        self._processes.begun(self)
        try:
            await self.starting()
        except BaseException:
            self._processes.alive.discard(self)
            raise

    async def send(self, text: str, *, turn_id: str) -> None:
        raise AssertionError("a fake agent answers nothing")

    async def answer(self, request_id: str, answer: Answer) -> None:
        raise AssertionError("a fake agent asks nothing")

    async def choose(self, request_id: str, index: int | None) -> None:
        raise AssertionError("a fake agent asks nothing")

    async def interrupt(self) -> None:
        """There is no turn."""

    async def type_keys(self, data: bytes) -> None:
        raise AssertionError("nobody types at a fake agent")

    async def read_mark(self) -> RecordMark | None:
        return None

    async def take_up(self, history: Sequence[Exchange] | Mapping[str, object] | None = None) -> RecordMark:
        return NO_RECORD

    def resize(self, *, columns: int, lines: int) -> None:
        """It has no size."""

    async def events(self) -> AsyncGenerator[Event, None]:
        return
        yield

    def discard_events(self) -> None:
        """There are none."""

    def describe(self) -> str:
        return "a fake agent"

    def die(self) -> None:
        """End by itself, as a process does that is killed."""
        self.exited = Exited(code=None, signal=9, text="")
        self._processes.alive.discard(self)

    async def close(self) -> None:
        try:
            await self.closing()
        finally:
            self.closed = True
            self._processes.alive.discard(self)


@dataclass
class FakeProvider:
    """Gives the agents that `make` makes, in order of the calls, which it keeps."""

    make: Callable[[Profile], FakeAgent]
    given: list[FakeAgent] = field(default_factory=list)
    kind: str = "fake"

    @property
    def own_files(self) -> Collection[str]:
        return ()

    def files(self, profile: Profile, directory: Path) -> Mapping[str, bytes]:
        return {}

    def agent(
        self,
        profile: Profile,
        directory: Path,
        *,
        columns: int,
        lines: int,
        observer: TerminalObserver | None = None,
    ) -> FakeAgent:
        self.given.append(self.make(profile))
        return self.given[-1]

    def terminal(self, *, columns: int, lines: int) -> Terminal:
        return Terminal(columns=columns, lines=lines)

    def continues(self, directory: Path, mark: RecordMark) -> bool:
        return False

    def cut(self, directory: Path, *, length: int, message_id: str | None) -> str:
        raise AssertionError("a fake agent records nothing")

    def imported(self, entries: Sequence[RecordedEntry], *, directory: Path, base: str | None = None) -> str:
        raise AssertionError("a fake agent takes nothing up")

    def last_calls(self, directory: Path) -> Sequence[RecordedTool]:
        return ()

    async def end_orphans(self) -> int:
        return 0


async def soon(condition: Callable[[], bool], *, turns: int = 200) -> None:
    """Let the loop run until something is so; what isn't after so many turns of the loop never will be by itself."""
    for _ in range(turns):
        if condition():
            return
        await asyncio.sleep(0)
    assert condition(), "it never came to be"
