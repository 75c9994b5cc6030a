"""The steps of `qpty capture`: messages, answers and waits, played to an agent one after another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from qpty.core.errors import QptyError
from qpty.core.events import (
    Event,
    MenuRequested,
    MessageDelta,
    PermissionRequested,
    SessionState,
    ToolOutput,
    TurnStarted,
)
from qpty.core.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qpty.agent.driver import TerminalAgent
    from qpty.core.events import Answer

ANSWERS: Final[dict[str, Answer]] = {":allow": "allow", ":refuse": "refuse", ":always": "always"}
ALONE: Final = (*ANSWERS, ":leave", ":interrupt", ":take-up")
WITH_ARGUMENT: Final = (":choose", ":wait", ":until")
LETS_RUN: Final = (":wait", ":until")
AT_REST: Final = frozenset({State.READY, State.PERMISSION, State.MENU, State.EXITED})

LOOKED_AT: Final = 64 * 1024
"""Characters of live text, the newest, in which `:until` looks."""

WAIT_LIMIT: Final = 3600.0


class StepError(QptyError):
    """A step that can't be played; `number` is its place, from 1."""

    def __init__(self, number: int, step: str, reason: str) -> None:
        self.number = number
        self.step = step
        self.reason = reason
        super().__init__(f"step {number} ({step if len(step) <= 60 else step[:60] + '…'}): {reason}")


def check_steps(steps: Sequence[str]) -> None:
    """Raise `StepError` for the first step that nobody could play."""
    for number, step in enumerate(steps, start=1):
        if not step.startswith(":"):
            continue
        word, _, rest = step.partition(" ")
        if word not in (*ALONE, *WITH_ARGUMENT):
            known = ", ".join((*ALONE, *WITH_ARGUMENT))
            raise StepError(number, step, f"no such step; there are {known}, and messages")
        if word in ALONE and rest:
            raise StepError(number, step, f"{word} takes nothing after it")
        if word in WITH_ARGUMENT and not rest:
            raise StepError(number, step, f"{word} needs something after it")
        if word == ":choose" and not rest.isdecimal():
            raise StepError(number, step, "give the option's number, from 0")
        if word == ":wait" and not _is_a_time(rest):
            raise StepError(number, step, f"give seconds, from 0 to {WAIT_LIMIT:g}")


def _is_a_time(text: str) -> bool:
    try:
        return 0 <= float(text) <= WAIT_LIMIT
    except ValueError:
        return False


class StepPlayer:
    """Plays steps (see `check_steps`) to one agent, from its start to its end; `show` is called with every event.

    How long a step may take is bounded by the agent's own deadlines.
    """

    def __init__(self, agent: TerminalAgent, *, show: Callable[[Event], None]) -> None:
        self._agent = agent
        self._show = show
        self._turns = 0
        self._seen = ""
        self._state = ""
        self._moved = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def play(self, steps: Sequence[str]) -> None:
        """Start the agent, play the steps in order and end it.

        Raises `StepError` for a step that doesn't fit, and the errors of the agent's methods.
        """
        agent = self._agent
        self._reader = reader = asyncio.create_task(self._read())
        try:
            await agent.start()
            for number, step in enumerate(steps, start=1):
                await self.step(number, step)
                following = steps[number] if number < len(steps) else ""
                if not step.startswith(LETS_RUN) and not following.startswith(LETS_RUN):
                    await self._rest()
        finally:
            await agent.close()
            await reader

    async def step(self, number: int, step: str) -> None:
        """Do what one step says, and wait for nothing that it doesn't name. Raises `StepError`."""
        agent, question = self._agent, self._agent.question
        word, _, rest = step.partition(" ")
        if not step.startswith(":"):
            self._turns += 1
            await agent.send(step, turn_id=f"t{self._turns}")
        elif word in ANSWERS:
            if not isinstance(question, PermissionRequested):
                raise StepError(number, step, f"no permission is asked; the agent is {agent.state.value}")
            await agent.answer(question.request_id, ANSWERS[word])
        elif word in {":choose", ":leave"}:
            if not isinstance(question, MenuRequested):
                raise StepError(number, step, f"no menu is open; the agent is {agent.state.value}")
            if word == ":choose" and int(rest) >= len(question.options):
                raise StepError(number, step, f"the menu has the options 0 to {len(question.options) - 1}")
            await agent.choose(question.request_id, int(rest) if word == ":choose" else None)
        elif word == ":interrupt":
            await agent.interrupt()
        elif word == ":take-up":
            await agent.take_up()
        elif word == ":wait":
            await asyncio.sleep(float(rest))
        elif word == ":until":
            await self._until(number, step, rest)
        else:
            raise StepError(number, step, "no such step")

    async def _until(self, number: int, step: str, text: str) -> None:
        """Wait until a text was printed in this turn."""
        while text not in self._seen:
            if self._at_rest():
                raise StepError(number, step, f"that was not printed; the agent is {self._agent.state.value}")
            await self._move()

    async def _rest(self) -> None:
        """Wait until the turn has ended or asks something."""
        while not self._at_rest():
            await self._move()

    def _at_rest(self) -> bool:
        """Whether the agent waits for somebody, and all events up to there were shown."""
        state = self._agent.state
        return state in AT_REST and state.value == self._state

    async def _move(self) -> None:
        """Wait for another event; raises what showing one raised."""
        self._moved.clear()
        if self._reader is not None and not self._reader.done():
            await self._moved.wait()
        if self._reader is not None and self._reader.done():
            await self._reader

    async def _read(self) -> None:
        try:
            await self._show_events()
        finally:
            self._moved.set()

    async def _show_events(self) -> None:
        async for event in self._agent.events():
            if isinstance(event, TurnStarted):
                self._seen = ""
            elif isinstance(event, MessageDelta | ToolOutput):
                self._seen = (self._seen + event.text)[-LOOKED_AT:]
            elif isinstance(event, SessionState):
                self._state = event.state
            self._show(event)
            self._moved.set()
