"""A worker that is killed costs the turn that runs, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
import uuid
from collections import Counter
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from qpty.sessions.config import SessionsConfig
from qpty.sessions.errors import SessionNotFoundError
from tests.crashes.agreement import disagreements
from tests.crashes.processes import marked, worker_in
from tests.crashes.workers import (
    LOST,
    OPEN,
    PLACES,
    ROOMY,
    TRUSTING,
    Talk,
    WorkerKiller,
    judge,
    kill_workers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from qpty.sessions.checkpoints import Checkpoint
    from tests.lab import Lab
    from tests.sessions.house import House

ONE_PLACE = SessionsConfig(warm_workers=0, max_workers=1)


async def kinds(talk: Talk, end: Mapping[str, Any]) -> list[str]:
    """The types of a turn's events."""
    return [event["type"] for event in await talk.events() if event.get("turn_id") == end["turn_id"]]


def prompts(log: Path) -> Counter[str]:
    """How often the stand-in for the cloud was sent each prompt."""
    found: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        request = json.loads(line)
        if request["body"] is None:
            continue
        content = request["body"]["conversationState"]["currentMessage"]["userInputMessage"].get("content", "")
        found[
            content.rpartition("--- USER MESSAGE BEGIN ---\n")[2].partition("--- USER MESSAGE END ---")[0].strip()
        ] += 1
    return found


@pytest.mark.parametrize("place", PLACES)
async def test_a_dead_worker_costs_one_turn(
    house: Callable[..., House], place: Checkpoint, request: pytest.FixtureRequest
) -> None:
    killer = WorkerKiller()
    async with house(reached=killer, config=ONE_PLACE) as home:
        killer.watch(home)
        profile = None if place == "turn.asking" else TRUSTING
        talk = Talk(home, (await home.manager.create(profile=profile)).id)
        assert (await talk.say(f"remember {place}"))["type"] == "turn.completed"
        if place.startswith("worker."):
            await home.manager.hibernate(talk.session_id)
        killer.arm(place, talk.session_id)
        errand = talk.errand(then="sleep 60" if place in LOST else f"echo {place}")

        end = await talk.say(errand)
        if place == "worker.hibernating":  # it makes room for somebody else
            other = await home.manager.create()
            assert (await home.say(other.id, "echo other"))["type"] == "turn.completed"

        assert killer.kills == {place: 1}
        assert judge(place, end, typed="turn.started" in await kinds(talk, end)) == []
        if place not in OPEN:
            await talk.without_worker(after=end["seq"])
        if place in {"turn.streaming", "turn.asking"}:
            # The tool call that was left open is cancelled with the next message; the stand-ins answer only to that.
            assert (await talk.say("echo next"))["type"] == "turn.completed"
        assert await talk.problems() == []  # the next message is answered, and the model was told what was said before
        contexts = [event["context"] for event in await talk.events() if event["type"] == "session.revived"]
        assert contexts
        assert set(contexts) == {"kept"}
        if home.spec.kind == "q":
            lab: Lab = request.getfixturevalue("lab")
            assert prompts(lab.log)[errand] in ({0, 1} if end["type"] == "turn.failed" else {1})


CUT_SHORT = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE conversations SET value = value || printf('%.*c', 1000000, ' ')")
os.kill(os.getpid(), signal.SIGKILL)
"""
"""A save of the agent's record that is killed when a part of it is in the file: SQLite has to roll it back."""


async def test_a_save_that_was_cut_short_costs_no_conversation(house: Callable[..., House]) -> None:
    async with house() as home:
        talk = Talk(home, (await home.manager.create()).id)
        await talk.say("remember me")
        assert await home.manager.hibernate(talk.session_id)
        database = home.spec.database.resolve()
        killed = await asyncio.create_subprocess_exec(sys.executable, "-c", CUT_SHORT, database)
        await killed.wait()
        assert database.with_name(database.name + "-journal").exists()

        assert (await talk.say("recall"))["text"] == "You told me: me"
        assert await talk.problems() == []


async def test_a_turn_that_is_lost_after_its_context_was_is_not_answered_with_earlier_words(
    house: Callable[..., House],
) -> None:
    killer = WorkerKiller()
    async with house(reached=killer) as home:
        killer.watch(home)
        talk = Talk(home, (await home.manager.create()).id)
        await talk.say("remember me")
        assert await home.manager.hibernate(talk.session_id)
        row = await home.database.session(talk.session_id)
        assert row is not None
        assert row.record_mark is not None
        with closing(sqlite3.connect(home.spec.database, isolation_level=None)) as record:  # somebody else's talk
            for known in (row.record_mark["conversation_id"], row.record_mark["last_message_id"]):
                record.execute("UPDATE conversations SET value = replace(value, ?, ?)", (known, str(uuid.uuid4())))
        killer.arm("turn.typed", talk.session_id)

        end = await talk.say("echo lost")

        assert (end["type"], end.get("code")) == ("turn.failed", "worker_lost")
        revived = [event for event in await talk.events() if event["type"] == "session.revived"]
        assert [(event["context"], event["carried_over"]) for event in revived] == [("lost", 1)]
        assert await disagreements(home.database, talk.session_id) == []


async def test_a_warm_worker_that_dies_as_its_session_is_created_costs_nothing(
    demo_house: Callable[..., House],
) -> None:
    killer = WorkerKiller()
    async with demo_house(reached=killer, config=SessionsConfig(warm_workers=1)) as home:
        killer.watch(home)
        await home.warm()
        killer.arm("session.inserted", None)

        talk = Talk(home, (await home.manager.create()).id)
        await talk.without_worker(after=0)

        assert killer.kills == {"session.inserted": 1}
        assert (await talk.say("echo hello"))["text"] == "hello"
        assert await talk.problems() == []


async def test_a_warm_worker_that_died_is_not_handed_out(demo_house: Callable[..., House]) -> None:
    async with demo_house(config=SessionsConfig(warm_workers=1)) as home:
        await home.warm()
        directory = next((home.work / "sessions").iterdir())
        pid = worker_in(directory, f"test-{home.work}")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

        sessions = [await home.manager.create() for _ in range(3)]

        for session in sessions:
            assert (await home.say(session.id, "echo hello"))["text"] == "hello"
            assert await disagreements(home.database, session.id) == []


async def test_a_session_is_deleted_whose_worker_dies_meanwhile(demo_house: Callable[..., House]) -> None:
    killer = WorkerKiller()
    async with demo_house(reached=killer) as home:
        killer.watch(home)
        talk = Talk(home, (await home.manager.create(profile=TRUSTING)).id)
        turn = await home.manager.send(talk.session_id, talk.errand(then="sleep 60"))
        await home.until(talk.session_id, "tool.started", after=turn.seq)
        killer.arm("session.deleting", talk.session_id)

        await home.manager.delete(talk.session_id)

        assert killer.kills == {"session.deleting": 1}
        assert (await home.ended(turn))["type"] == "turn.failed"
        with pytest.raises(SessionNotFoundError):
            await home.manager.get(talk.session_id)
        assert not talk.diary.parent.exists()
        assert marked(f"test-{home.work}") == frozenset()
        assert home.manager.pool.live == 0


async def test_messages_that_wait_behind_a_lost_turn_are_answered_in_order(demo_house: Callable[..., House]) -> None:
    killer = WorkerKiller()
    async with demo_house(reached=killer) as home:
        killer.watch(home)
        talk = Talk(home, (await home.manager.create(profile=TRUSTING)).id)
        killer.arm("turn.streaming", talk.session_id)
        lost = await home.manager.send(talk.session_id, talk.errand(then="sleep 60"))
        waiting = [await home.manager.send(talk.session_id, f"echo {number}") for number in range(3)]

        ends = [await home.ended(turn) for turn in (lost, *waiting)]

        assert [end["type"] for end in ends] == ["turn.failed", *["turn.completed"] * 3]
        assert ends[0]["code"] == "worker_lost"
        assert [end["seq"] for end in ends] == sorted(end["seq"] for end in ends)
        assert [end["text"] for end in ends[2:]] == ["1", "2"]
        assert await disagreements(home.database, talk.session_id) == []


async def test_random_kills_lose_no_completed_turn(demo_house: Callable[..., House]) -> None:
    random = Random(4)  # noqa: S311
    killer = WorkerKiller(dying=lambda: random.random() < 0.5)
    async with demo_house(reached=killer, config=ROOMY) as home:
        killer.watch(home)
        outcome = await kill_workers(home, killer, kills=12, sessions=3, random=random)
        assert outcome.problems == []
        assert outcome.kills.total() >= 12
        assert outcome.answered > 12


async def test_a_message_for_a_terminal_that_has_just_hung_up_ends_well_or_as_lost(
    demo_house: Callable[..., House],
) -> None:
    home: House

    def hang_up(place: Checkpoint, session_id: str) -> None:
        """Have the end of the terminal be seen, before the end of the process is."""
        if place != "turn.marked":
            return
        (session,) = home.manager.loaded()
        if session.current is not None and session.current.text == "echo unlucky":
            assert session.pid is not None
            os.kill(session.pid, signal.SIGKILL)
            os.waitid(os.P_PID, session.pid, os.WEXITED | os.WNOWAIT)
            session._worker.agent._readable()  # type: ignore[union-attr]  # what the loop would do next

    home = demo_house(reached=hang_up)
    async with home:
        session_id = (await home.manager.create()).id
        await home.say(session_id, "remember me")

        end = await home.say(session_id, "echo unlucky")

        assert end["type"] == "turn.completed" or end["code"] == "worker_lost"
        assert (await home.say(session_id, "recall"))["text"] == "You told me: me"
        assert await disagreements(home.database, session_id) == []
