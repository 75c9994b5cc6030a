"""Hibernation forced after every turn: the model is sent what it would have been sent without it."""

from __future__ import annotations

import asyncio
import json
import os
import re
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest

from qpty.agent import spec
from tests.conftest import require_lab
from tests.lab import Lab
from tests.sessions.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from qpty.core.events import Answer

MESSAGES = [
    "remember the green hat",
    "bash echo one",
    "write note.txt with some words",
    "think 0.1",
    "two tools",
    "hello",
]
"""What one round says; prose, tools allowed and refused."""


CLOCK = re.compile(r"Current time: [^\n]*")
"""With which q begins what the model is sent."""


def sent(log: Path) -> list[dict[str, Any]]:
    """What the model was sent, request by request, without what names the moment, the place and the conversation."""
    bodies = [json.loads(line)["body"] for line in log.read_text().splitlines()]
    return [cleaned(body["conversationState"]) for body in bodies if body is not None]


def cleaned(value: Any) -> Any:
    """Leave out ids, times and directories."""
    if isinstance(value, dict):
        dropped = {"conversationId", "messageId", "utteranceId", "envState", "toolUseId"}
        kept = {name: cleaned(inner) for name, inner in value.items() if name not in dropped}
        if "tools" in kept:  # each process offers them in an order of its own
            kept["tools"].sort(key=lambda tool: json.dumps(tool, sort_keys=True))
        return kept
    if isinstance(value, list):
        return [cleaned(inner) for inner in value]
    return CLOCK.sub("", ordered(value)) if isinstance(value, str) else value


def ordered(text: str) -> str:
    """The results of commands in one order: q writes their three fields in any."""
    return re.sub(r'\{"(?:exit_status|stdout|stderr)":[^{}]*\}', lambda found: sorted_json(found[0]), text)


def sorted_json(text: str) -> str:
    """A JSON object with its names in order."""
    return json.dumps(json.loads(text), sort_keys=True)


async def converse(home: House, turns: int, *, hibernate: bool) -> list[str]:
    """Say so many things in one session; what was answered."""
    session = await home.manager.create()
    answers: Iterator[Answer] = cycle(("allow", "refuse", "allow"))
    texts = []
    waits = {"permission.requested", "turn.completed", "turn.failed"}
    for number in range(turns):
        turn = await home.manager.send(session.id, MESSAGES[number % len(MESSAGES)])
        after = turn.seq
        while True:
            events = await home.events(session.id, lambda event: event["type"] in waits, after=after)
            after = events[-1]["seq"]
            if events[-1]["type"] != "permission.requested":
                break
            await home.manager.answer(session.id, events[-1]["request_id"], next(answers))
        assert events[-1]["type"] == "turn.completed", events[-1]
        texts.append(ordered(events[-1]["text"]))
        await turn.wait()
        if hibernate:
            assert await home.manager.hibernate(session.id)
    revivals = [
        event["context"]
        for event in await home.events(session.id, lambda event: event["seq"] >= after)
        if event["type"] == "session.revived"
    ]
    assert revivals == (["kept"] * (turns - 1) if hibernate else [])
    return texts


@pytest.mark.real_q
@pytest.mark.timeout(240)
async def test_thirty_turns_with_hibernation_are_the_same_conversation(tmp_path: Path) -> None:
    require_lab()

    async def whole(work: Path, lab: Lab, *, hibernate: bool) -> tuple[list[str], list[dict[str, Any]]]:
        environment = {**os.environ, "HOME": str(lab.home)}
        found = spec.locate(str(lab.q), environment=environment, data_directory=work / "data")
        async with House(found, work) as home:
            answers = await converse(home, 30, hibernate=hibernate)
        return answers, sent(lab.log)

    with Lab(tmp_path / "lab one") as one, Lab(tmp_path / "lab two") as two:
        (answers, requests), (answers_revived, requests_revived) = await asyncio.gather(
            whole(tmp_path / "one", one, hibernate=False), whole(tmp_path / "two", two, hibernate=True)
        )
    assert len(requests) >= 40
    assert answers_revived == answers
    assert requests_revived == requests
