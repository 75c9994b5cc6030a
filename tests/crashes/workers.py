"""Killing workers at named places, and what must hold afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from qpty.agent.provider import Profile
from qpty.sessions.config import SessionsConfig
from qpty.sessions.errors import QuestionGoneError
from tests.crashes.agreement import ENDS, disagreements, journal
from tests.crashes.processes import worker_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from random import Random

    from qpty.sessions.checkpoints import Checkpoint
    from tests.sessions.house import House

TRUSTING: Final = Profile(trust_all_tools=True)
"""Tools run without a question, so a message that is sent twice does its work twice."""

LOST: Final[tuple[Checkpoint, ...]] = ("turn.marked", "turn.typed", "turn.streaming", "turn.asking")
"""A kill here costs the running turn."""

OPEN: Final[tuple[Checkpoint, ...]] = ("turn.accepted", "worker.started", "worker.taken_up")
"""A kill here costs the running turn only if the worker's end was not noticed before the message was typed."""

SPARED: Final[tuple[Checkpoint, ...]] = ("turn.ended", "turn.durable", "worker.hibernating")
"""A kill here costs nothing: the turn had ended."""

PLACES: Final = (*LOST, *OPEN, *SPARED)
"""Where a session with a conversation has a worker. (At `worker.starting` and `directory.removed` there is none.)"""

ROOMY: Final = SessionsConfig(warm_workers=0, max_workers=3)
"""For four sessions: now and then one has to hibernate for another."""

LONG_TALK: Final = 60
"""Messages after which a session was long enough."""

DIARY: Final = "diary.txt"
"""The file of the session's directory in which each execution of a message leaves a line."""


TOLD: Final = 20
"""Of the newest earlier messages, in the answer to `history`."""


class WorkerKiller:
    """A listener of checkpoints that kills the worker of the session where one is reached, once.

    It waits until the process is dead, unless `dying()` says that the session may go on with one that dies.
    """

    def __init__(self, *, dying: Callable[[], bool] = lambda: False) -> None:
        self._dying = dying
        self.kills: Counter[Checkpoint] = Counter()
        self._armed: dict[str | None, Checkpoint] = {}
        self._home: House | None = None

    def watch(self, home: House) -> None:
        """Say whose workers are meant."""
        self._home = home

    def arm(self, place: Checkpoint, session_id: str | None) -> None:
        """Kill at the next visit to this place, by this session or (None) by any."""
        self._armed[session_id] = place

    def disarm(self, session_id: str) -> bool:
        """Whether the session didn't come by: then nothing is killed any more."""
        return self._armed.pop(session_id, None) is not None

    def __call__(self, place: Checkpoint, session_id: str) -> None:
        for key in (session_id, None):
            if self._home is None or self._armed.get(key) != place:
                continue
            home = self._home
            pid = worker_in(home.work / "sessions" / session_id, f"test-{home.work}")
            if pid is not None:
                del self._armed[key]
                os.kill(pid, signal.SIGKILL)
                if not self._dying():
                    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
                self.kills[place] += 1
                return


@dataclass
class Talk:
    """One session, what was said in it, and what became of that."""

    home: House
    session_id: str
    said: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    @property
    def diary(self) -> Path:
        """Where executions of messages are noted."""
        return self.home.work / "sessions" / self.session_id / DIARY

    async def events(self) -> list[dict[str, Any]]:
        """The session's whole journal."""
        return await journal(self.home.database, self.session_id)

    async def without_worker(self, *, after: int) -> None:
        """Wait until the session has noticed that its worker is gone."""
        await self.home.events(self.session_id, lambda event: event.get("state") == "hibernated", after=after)

    def errand(self, *, then: str = "true") -> str:
        """A message whose execution leaves a line in the diary, and that goes on with a command."""
        return f"bash echo errand-{len(self.said)} >> {DIARY}; {then} # {self.session_id}"

    async def say(self, text: str) -> Mapping[str, Any]:
        """Send a message, allow what it asks for, and see its end."""
        turn = await self.home.manager.send(self.session_id, text)
        allowing = asyncio.create_task(self._allow_all(turn.seq))
        try:
            end = await self.home.ended(turn)
        finally:
            allowing.cancel()
            await asyncio.gather(allowing, return_exceptions=True)
        self.said.append((text, end))
        return end

    async def _allow_all(self, after: int) -> None:
        async with aclosing(self.home.manager.events(self.session_id, after=after)) as events:
            async for event in events:
                if event.type == "permission.requested":
                    with suppress(QuestionGoneError):  # its worker was killed
                        await self.home.manager.answer(self.session_id, event.data["request_id"], "allow")

    def completed(self) -> list[str]:
        """The messages that were answered."""
        return [text for text, end in self.said if end["type"] == "turn.completed"]

    async def problems(self) -> list[str]:
        """What is wrong with what is stored, with what was executed, and with what the model is told next."""
        found = await self.stored()
        completed = self.completed()
        end = await self.say("history")
        if end["type"] != "turn.completed":
            return [*found, f"the next message failed: {end}"]
        count, _, told = end["text"].partition(" earlier messages: ")
        earlier = [text for text in told.split(" | ") if text]  # without those that only brought a tool's results
        asked = [text for text, _ in self.said]
        known = [text for text in earlier if text in completed]
        expected = completed if int(count) <= TOLD else completed[-len(known) :]
        if known != expected:
            found.append(f"the model is told {earlier}, answered were {completed}")
        if strange := [text for text in earlier if text not in asked]:
            found.append(f"the model is told what nobody said: {strange}")
        return [*found, *await self.stored()]

    async def stored(self) -> list[str]:
        """What is wrong with what is stored and with what was executed."""
        found = await disagreements(self.home.database, self.session_id)
        events = await self.events()
        by_id = {event["turn_id"]: event for event in events if event["type"] in ENDS}
        for text, end in self.said:
            stored = by_id.get(end["turn_id"], {})
            if any(stored.get(name) != value for name, value in end.items()):
                found.append(f"the end of {text!r} was told as {end}, and is stored as {stored}")
        found += [f"lost its context: {event}" for event in events if event.get("context") == "lost"]
        runs = Counter(self.diary.read_text().split()) if self.diary.exists() else Counter()
        for number, (text, end) in enumerate(self.said):
            times, name = runs.pop(f"errand-{number}", 0), f"errand-{number} "
            if times > 1 or (times == 0 and name in text and end["type"] == "turn.completed"):
                found.append(f"{text!r} was executed {times} times, and ended as {end}")
        if runs:
            found.append(f"executed, and nobody asked for it: {runs}")
        return found


def judge(place: Checkpoint, end: Mapping[str, Any], *, typed: bool) -> list[str]:
    """What is wrong with the end of a turn whose worker was killed at a place; `typed` if it has a `turn.started`."""
    lost = end["type"] == "turn.failed"
    if lost and end["code"] != "worker_lost":
        return [f"killed at {place}: {end}"]
    if place in LOST and not lost:
        return [f"killed at {place}, and the turn is said to be answered: {end}"]
    if place in SPARED and lost:
        return [f"killed at {place}, when it was over, and the turn is said to be lost: {end}"]
    if lost and not typed:
        return [f"killed at {place}, before anything was typed, and the turn is said to be lost: {end}"]
    return []


@dataclass
class Outcome:
    """What many kills did. `lost` turns failed as `worker_lost`; `problems` are what must never be."""

    kills: Counter[Checkpoint] = field(default_factory=Counter)
    answered: int = 0
    lost: int = 0
    problems: list[str] = field(default_factory=list)


async def kill_workers(home: House, killer: WorkerKiller, *, kills: int, sessions: int, random: Random) -> Outcome:
    """Talk in several sessions at once and kill workers at random places, until there were so many kills."""
    outcome = Outcome(kills=killer.kills)

    async def talk_on(profile: Profile | None) -> None:
        while killer.kills.total() < kills:
            talk = Talk(home, (await home.manager.create(profile=profile)).id)
            outcome.problems += dict.fromkeys(await _talk(talk, killer, kills=kills, random=random))
            ends = [end["type"] for _, end in talk.said]
            outcome.answered += ends.count("turn.completed")
            outcome.lost += ends.count("turn.failed")

    async with asyncio.TaskGroup() as group:
        for number in range(sessions):
            group.create_task(talk_on(TRUSTING if number % 2 else None))
    return outcome


async def _talk(talk: Talk, killer: WorkerKiller, *, kills: int, random: Random) -> list[str]:
    """Talk in one session until there were enough kills everywhere, or it was long enough; what was wrong."""
    problems: list[str] = []
    while killer.kills.total() < kills and len(talk.said) < LONG_TALK:
        place = random.choice(PLACES)
        if place == "turn.accepted":  # there is a worker at that place only if nobody else needed its place
            problems += await _settled(talk)
        killer.arm(place, talk.session_id)
        if place.startswith("worker.") and random.random() < 0.7:
            await talk.home.manager.hibernate(talk.session_id)
        pause = "sleep 0.2" if place in LOST else "true"
        text = random.choice([talk.errand(then=pause), talk.errand(then="seq 200"), f"words {random.randrange(80)}"])
        end = await talk.say(text)
        killer.disarm(talk.session_id)
        problems += lost_otherwise(end)
        if end["type"] == "turn.completed" and random.random() < 0.5:
            problems += await talk.stored()
        else:
            problems += [*await _settled(talk), *await talk.problems()]
    return [*problems, *await _settled(talk), *await talk.problems()]


async def _settled(talk: Talk) -> list[str]:
    """Have a message answered; what was wrong.

    It may go to a worker that has just been killed after its turn, and be lost in its place. And a tool call that was
    left open is cancelled with it, to which alone the stand-ins answer.
    """
    end = await talk.say("echo next")
    if end["type"] == "turn.failed":
        problems = lost_otherwise(end)
        end = await talk.say("echo next")
        return [*problems, *([f"failed twice: {end}"] if end["type"] == "turn.failed" else [])]
    return []


def lost_otherwise(end: Mapping[str, Any]) -> list[str]:
    """A turn may be lost with its worker; any other failure is wrong."""
    return [f"failed: {end}"] if end["type"] == "turn.failed" and end["code"] != "worker_lost" else []
