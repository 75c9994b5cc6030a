"""Texts through the real q: the stand-in answers with each, several sessions at a time."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from typing import TYPE_CHECKING

from qpty.agent import spec
from qpty.core.events import TurnCompleted
from qpty.core.states import State
from tests.agent.conversation import Conversation
from tests.fidelity.verdicts import Reading
from tests.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from qpty.agent.spec import AgentSpec
    from tests.agent.conversation import Happened


def read_through_q(texts: Sequence[str], *, work: Path, sessions: int) -> list[Reading]:
    """Have q answer with every text; the readings in the order of the texts. `work` is an empty directory."""
    docs = work / "docs.json"
    docs.write_text(json.dumps(texts), encoding="utf-8")
    with Lab(work=work / "lab", docs=docs) as lab:
        environment = {**os.environ, "HOME": str(lab.home)}
        agent = spec.locate(str(lab.q), environment=environment, data_directory=work / "data")
        return asyncio.run(read_all(agent, texts, work=work, sessions=sessions))


async def read_all(agent: AgentSpec, texts: Sequence[str], *, work: Path, sessions: int) -> list[Reading]:
    """As `read_through_q`, of an agent that is there already: `doc N` makes it answer with the N-th text."""
    waiting = deque(sorted(range(len(texts)), key=lambda index: -len(texts[index])))  # the long ones don't come last
    readings: dict[int, Reading] = {}
    async with asyncio.TaskGroup() as group:
        for number in range(min(sessions, len(texts))):
            directory = work / f"session-{number}"
            directory.mkdir()
            group.create_task(_session(agent, directory, texts, waiting, readings))
    return [readings[index] for index in range(len(texts))]


async def _session(
    agent: AgentSpec, directory: Path, texts: Sequence[str], waiting: deque[int], readings: dict[int, Reading]
) -> None:
    """Take texts as long as some wait; a terminal that isn't ready for another message is replaced."""
    while waiting:
        async with Conversation(agent, directory) as chat:
            while waiting and chat.agent.state is State.READY:
                index = waiting.popleft()
                readings[index] = reading(texts[index], await chat.say(f"doc {index}"))
                if sys.stderr.isatty():
                    print(f"\r{len(readings)}/{len(texts)} ", end="", file=sys.stderr, flush=True)


def reading(sent: str, turn: Happened) -> Reading:
    """What became of a text in the turn that answered with it."""
    completed = turn.of("message.completed")
    end = turn.last
    failure = "" if isinstance(end, TurnCompleted) else f"{end.type}: {getattr(end, 'code', '')}"
    return Reading(
        sent=sent,
        live="".join(delta.text for delta in turn.of("message.delta")),
        final="".join(message.text for message in completed),
        certain=all(message.exact for message in completed),
        failure=failure,
    )
