"""A manager with everything around it, in a directory of the test's own; it can be closed and opened again."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from qpty.agent import spec
from qpty.agent.provider import TerminalProvider
from qpty.sessions.checkpoints import Checkpoints
from qpty.sessions.config import SessionsConfig
from qpty.sessions.manager import SessionManager
from qpty.storage.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from qpty.agent.profile import Profile
    from qpty.agent.spec import AgentSpec
    from qpty.core.deadlines import Deadlines
    from qpty.sessions.checkpoints import Checkpoint
    from qpty.sessions.turns import Turn

TIMEOUT = 30.0
"""Seconds that anything may take."""

DEMO_ENVIRONMENT = {"QPTY_DEMO_RETRY_SECONDS": "0.2", "QPTY_DEMO_PACE": "0"}
COLD = SessionsConfig(warm_workers=0)
"""Without warm workers: a test knows which process is whose."""


def demo_spec(work: Path, **environment: str) -> AgentSpec:
    """The demo agent with a HOME and data of its own below `work`."""
    home = work / "home"
    home.mkdir(exist_ok=True, parents=True)
    found = spec.locate("demo", environment={**os.environ, "HOME": str(home)}, data_directory=work / "data")
    return replace(found, environment={**found.environment, **DEMO_ENVIRONMENT, **environment})


@dataclass
class House:
    """`async with House(spec, work) as house:` is a running manager."""

    spec: AgentSpec
    work: Path
    config: SessionsConfig = COLD
    reached: Callable[[Checkpoint, str], None] | None = None
    deadlines: Deadlines | None = None
    database_url: str | None = None
    clock: Callable[[], float] | None = None
    default_profile: Profile | None = None
    manager: SessionManager = field(init=False)
    database: Database = field(init=False)
    provider: TerminalProvider = field(init=False)

    async def __aenter__(self) -> Self:
        (self.work / "data").mkdir(exist_ok=True, parents=True)
        url = self.database_url or f"sqlite:///{self.work / 'data' / 'qpty.db'}"
        self.database = await Database.open(url)
        self.provider = TerminalProvider(self.spec, server_id=f"test-{self.work}", deadlines=self.deadlines)
        self.manager = await SessionManager.open(
            self.provider,
            self.database,
            base=self.work / "sessions",
            config=self.config,
            recordings=self.work / "data" / "recordings",
            default_profile=self.default_profile,
            checkpoints=Checkpoints(self.reached),
            clock=self.clock or time.time,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.manager.close()
        await self.database.close()

    async def ended(self, turn: Turn) -> Mapping[str, Any]:
        """The turn's end, when it is durable."""
        try:
            return await asyncio.wait_for(turn.wait(), TIMEOUT)
        except TimeoutError:
            states = [session.describe() for session in self.manager.loaded()]
            raise AssertionError(f"turn {turn.id} did not end: {states}") from None

    async def say(self, session_id: str, text: str) -> Mapping[str, Any]:
        """Send a message and wait for the turn's end."""
        return await self.ended(await self.manager.send(session_id, text))

    async def until(self, session_id: str, kind: str, *, after: int = 0) -> list[dict[str, Any]]:
        """The events after a number, up to the first of a type (or that a predicate accepts)."""
        return await self.events(session_id, lambda event: event["type"] == kind, after=after)

    async def events(
        self, session_id: str, last: Callable[[dict[str, Any]], bool], *, after: int = 0
    ) -> list[dict[str, Any]]:
        """The events after a number, up to the first that `last` accepts."""
        found: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(TIMEOUT), aclosing(self.manager.events(session_id, after=after)) as events:
                async for event in events:
                    found.append(event.data)
                    if last(found[-1]):
                        return found
        except TimeoutError:
            states = [session.describe() for session in self.manager.loaded()]
            raise AssertionError(f"nothing of that kind came: {states}, {found[-5:]}") from None
        raise AssertionError(f"the events ended: {found[-5:]}")

    async def end_of(self, session_id: str, turn_id: str) -> dict[str, Any]:
        """The end of a turn, as the journal has it."""

        def ends(event: dict[str, Any]) -> bool:
            return event["type"] in {"turn.completed", "turn.failed"} and event["turn_id"] == turn_id

        return (await self.events(session_id, ends))[-1]

    async def warm(self) -> None:
        """Wait until a warm worker is in stock."""
        async with asyncio.timeout(TIMEOUT):
            while not self.manager.pool.warm:  # noqa: ASYNC110 — the pool tells nobody of its stock
                await asyncio.sleep(0.005)

    async def asked(self, turn: Turn, session_id: str) -> dict[str, Any]:
        """The question that a turn leads to."""
        kinds = {"permission.requested", "menu.requested", "turn.completed", "turn.failed"}
        found = await self.events(session_id, lambda event: event["type"] in kinds, after=turn.seq)
        assert found[-1]["type"].endswith(".requested"), found[-1]
        return found[-1]

    async def state(self, session_id: str, wanted: str) -> None:
        """Wait until the session is in a state; it must have been published, or come to be."""
        if (await self.manager.get(session_id)).state != wanted:
            await self.events(session_id, lambda event: event["type"] == "session.state" and event["state"] == wanted)
            assert (await self.manager.get(session_id)).state == wanted
