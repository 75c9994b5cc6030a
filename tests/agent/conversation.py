"""One agent in a test: say something, get the events up to where the agent waits again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from qpty.agent.driver import TerminalAgent
from qpty.core.events import (
    CommandCompleted,
    Event,
    Exited,
    MenuRequested,
    PermissionRequested,
    TurnCompleted,
    TurnFailed,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qpty.agent.capture import CaptureWriter
    from qpty.agent.spec import AgentSpec
    from qpty.core.deadlines import Deadlines
    from qpty.core.events import Answer

WAITS = (TurnCompleted, TurnFailed, PermissionRequested, MenuRequested, Exited)
TIMEOUT = 30.0
"""Seconds that anything may take: the real q waits out 20 s of retries on a throttled request."""


@dataclass
class Happened:
    """The events from one thing that was done up to where the agent waits again."""

    events: list[Event]

    def of(self, kind: str) -> list[Any]:
        """The events of one type."""
        return [event for event in self.events if event.type == kind]

    def one(self, kind: str) -> Any:
        """The only event of one type."""
        found = self.of(kind)
        assert len(found) == 1, f"{kind}: {found}"
        return found[0]

    @property
    def last(self) -> Any:
        """What the agent waits at, or how it ended."""
        return self.events[-1]

    @property
    def live(self) -> str:
        """The live text of the last segment that has any."""
        deltas = self.of("message.delta")
        return "".join(event.text for event in deltas if event.segment == deltas[-1].segment)

    @property
    def output(self) -> str:
        """All output of tools."""
        return "".join(event.text for event in self.of("tool.output"))

    @property
    def types(self) -> list[str]:
        """The types in order, session states left out, runs of the same as one."""
        merged: list[str] = []
        for event in self.events:
            if event.type != "session.state" and (not merged or merged[-1] != event.type):
                merged.append(event.type)
        return merged


class Conversation:
    """An agent that was started, and its events read in order."""

    def __init__(
        self,
        spec: AgentSpec,
        directory: Path,
        *,
        options: tuple[str, ...] = (),
        deadlines: Deadlines | None = None,
        capture: CaptureWriter | None = None,
    ) -> None:
        self.agent = TerminalAgent(
            spec, directory=directory, options=options, deadlines=deadlines, capture=capture, columns=80, lines=24
        )
        self._reader = self.agent.events()
        self._turns = 0

    async def __aenter__(self) -> Self:
        await asyncio.wait_for(self.agent.start(), TIMEOUT)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.agent.close()

    async def until(self, reached: Callable[[Event], bool]) -> Happened:
        """The events up to the first for which `reached` says so."""
        events: list[Event] = []
        try:
            async with asyncio.timeout(TIMEOUT):
                async for event in self._reader:
                    if not isinstance(event, CommandCompleted):
                        events.append(event)
                    if reached(event):
                        return Happened(events)
        except TimeoutError:
            raise AssertionError(f"{self.agent.describe()}; so far: {events}") from None
        raise AssertionError(f"the events ended: {events}")

    async def waits(self) -> Happened:
        """The events up to where the agent waits for somebody."""
        return await self.until(lambda event: isinstance(event, WAITS))

    async def begin(self, text: str) -> None:
        """Send a message and wait for nothing."""
        self._turns += 1
        await self.agent.send(text, turn_id=f"t{self._turns}")

    async def say(self, text: str) -> Happened:
        """Send a message; the events of the turn up to its end or its question."""
        await self.begin(text)
        return await self.waits()

    async def answer(self, answer: Answer) -> Happened:
        """Answer the open permission."""
        question = self.agent.question
        assert isinstance(question, PermissionRequested)
        await self.agent.answer(question.request_id, answer)
        return await self.waits()

    async def choose(self, index: int | None) -> Happened:
        """Choose from the open menu."""
        question = self.agent.question
        assert isinstance(question, MenuRequested)
        await self.agent.choose(question.request_id, index)
        return await self.waits()

    async def text_appears(self, text: str) -> Happened:
        """The events up to live text (of a message or a tool) that has this in it."""
        seen = ""

        def reached(event: Event) -> bool:
            nonlocal seen
            seen += getattr(event, "text", "") if event.type in {"message.delta", "tool.output"} else ""
            return text in seen

        return await self.until(reached)

    async def interrupt(self) -> Happened:
        """Interrupt; the events up to the turn's end."""
        await self.agent.interrupt()
        return await self.waits()
