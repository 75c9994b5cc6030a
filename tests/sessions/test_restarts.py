"""A server that is killed, or stopped: the next one has every session, and everything that anybody was told."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from qpty.sessions.checkpoints import CHECKPOINTS
from qpty.sessions.config import SessionsConfig
from qpty.storage.database import Database
from tests.crashes.agreement import disagreements, journal
from tests.crashes.processes import marked
from tests.crashes.servers import DIARY, Ledger, ServerKilledError, ServerProcess, Survival
from tests.crashes.workers import TRUSTING
from tests.lab import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from qpty.sessions.checkpoints import Checkpoint
    from tests.sessions.house import House


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Callable[[], Any]]:
    """Open the servers' database, which there is once a server has run."""
    opened: list[Database] = []

    async def opener() -> Database:
        opened.append(await Database.open(f"sqlite:///{tmp_path / 'data' / 'qpty.db'}"))
        return opened[-1]

    yield opener
    for each in opened:
        await each.close()


async def seen(server: ServerProcess, ledger: Ledger, session_id: str, kind: str) -> None:
    """Wait until readers of the session got an event of a type."""
    while not any(json.loads(body)["type"] == kind for body in ledger.events[session_id].values()):
        await server.told(server.events + 1)


async def of_type(database: Database, session_id: str, *types: str) -> list[dict[str, Any]]:
    """The session's events of some types."""
    return [event for event in await journal(database, session_id) if event["type"] in types]


async def test_a_server_that_is_killed_at_any_checkpoint_loses_nothing(tmp_path: Path) -> None:
    async def at(*places: Checkpoint) -> Survival:
        work = tmp_path / places[0]
        work.mkdir()
        survival = Survival(work, Random(7), sessions=3, max_workers=2)  # noqa: S311
        problems = await survival.round(None)
        for place in places:
            problems += await survival.round(place)
        problems += await survival.check()
        assert problems == []
        assert survival.kills.keys() >= set(places)
        return survival

    others = {"session.inserted", "session.deleting", "directory.removed"}  # these have tests of their own
    places = [place for place in CHECKPOINTS if place not in others]
    both = await asyncio.gather(at(*places[::2]), at(*places[1::2]))

    assert all(survival.tallies["lost_turns"] > 0 for survival in both)
    assert all(survival.tallies["queued_turns"] > 0 for survival in both)


async def test_twenty_streaming_sessions_survive_the_kill_of_their_server(tmp_path: Path) -> None:
    survival = Survival(tmp_path, Random(8), sessions=20, max_workers=18)  # noqa: S311
    problems = await survival.round(None)
    problems += await survival.check()

    assert problems == []
    assert survival.tallies["lost_turns"] > 0
    assert survival.tallies["orphans"] <= survival.tallies["left behind"]


async def test_a_server_that_is_killed_while_it_mends_is_mended_by_the_next(
    tmp_path: Path, database: Callable[[], Any]
) -> None:
    ledger = Ledger()
    async with ServerProcess(tmp_path, ledger) as server:
        running = await server.request("create")
        await server.request("send", session=running, text="slow 60")
        await seen(server, ledger, running, "message.delta")
        queued = await server.request("send", session=running, text="echo queued")
        deleted = await server.request("create")
        await server.request("arm", place="session.deleting", nth=1)
        with pytest.raises(ServerKilledError):
            await server.request("delete", session=deleted)

    async with ServerProcess(tmp_path, ledger, kill="directory.removed") as server:
        await server.gone()  # in the middle of finishing the deletion
        assert server.killed == ("directory.removed", deleted)
    async with ServerProcess(tmp_path, ledger, kill="turn.durable") as server:
        await server.gone()  # the lost turn was marked as lost
        assert server.killed == ("turn.durable", running)
    async with ServerProcess(tmp_path, ledger) as server:
        await server.request("idle")
        assert await server.request("list") == [running]

    assert ledger.problems == []
    assert [path.name for path in (tmp_path / "sessions").iterdir()] == [running]
    opened = await database()
    assert await disagreements(opened, running) == []
    first, second = await of_type(opened, running, "turn.failed", "turn.completed")
    assert first["code"] == "worker_lost"
    assert (second["turn_id"], second["text"]) == (queued, "queued")
    assert await opened.session(deleted) is None


async def test_the_running_turn_is_lost_and_those_that_waited_are_answered_once(
    tmp_path: Path, database: Callable[[], Any]
) -> None:
    ledger = Ledger()
    async with ServerProcess(tmp_path, ledger) as server:
        session_id = await server.request("create")
        answered = await server.request("send", session=session_id, text="remember me")
        await server.request("idle")
        for number in range(4):
            text = f"bash echo errand-{number} >> {DIARY}; sleep {60 if number == 0 else 0}"
            await server.request("send", session=session_id, text=text)
        await seen(server, ledger, session_id, "tool.started")
    async with ServerProcess(tmp_path, ledger) as server:
        await server.request("idle")
        assert await server.request("list") == [session_id]
        last = await server.request("send", session=session_id, text="recall")
        await server.request("idle")
        recovery = server.recovery

    assert ledger.problems == []
    assert recovery["lost_turns"] == 1
    assert recovery["queued_turns"] == 3
    opened = await database()
    assert await disagreements(opened, session_id) == []
    ends = await of_type(opened, session_id, "turn.failed", "turn.completed")
    assert [end["type"] for end in ends] == ["turn.completed", "turn.failed", *["turn.completed"] * 4]
    assert ends[0]["turn_id"] == answered
    assert ends[1]["code"] == "worker_lost"
    assert (ends[-1]["turn_id"], ends[-1]["text"]) == (last, "You told me: me")
    runs = (tmp_path / "sessions" / session_id / DIARY).read_text().split()
    assert runs in (["errand-0", "errand-2", "errand-3"], ["errand-2", "errand-3"])
    # The second message told the model that its tool call was cancelled, and the demo answers only to that.
    assert "cancelled" in ends[2]["text"]
    (revived,) = await of_type(opened, session_id, "session.revived")
    assert revived["context"] == "kept"


async def test_a_fork_outlives_its_server_and_knows_the_conversation(
    tmp_path: Path, database: Callable[[], Any]
) -> None:
    ledger = Ledger()
    async with ServerProcess(tmp_path, ledger) as server:
        original = await server.request("create")
        await server.request("send", session=original, text="remember the kiwi")
        await server.request("idle")
        await server.request("arm", place="session.inserted", nth=1)
        with pytest.raises(ServerKilledError):  # nobody is told of this one
            await server.request("fork", session=original)
    async with ServerProcess(tmp_path, ledger) as server:
        (untold,) = set(await server.request("list")) - {original}
        told = await server.request("fork", session=original)
        await server.request("delete", session=original)
    async with ServerProcess(tmp_path, ledger) as server:
        assert set(await server.request("list")) == {untold, told}
        for fork in (untold, told):
            await server.request("send", session=fork, text="recall")
        await server.request("idle")

    assert ledger.problems == []
    opened = await database()
    for fork in (untold, told):
        assert await disagreements(opened, fork) == []
        (end,) = await of_type(opened, fork, "turn.failed", "turn.completed")
        assert end["text"] == "You told me: the kiwi"
        (revived,) = await of_type(opened, fork, "session.revived")
        assert revived["context"] == "kept"


async def test_what_a_killed_server_left_running_is_ended(tmp_path: Path) -> None:
    ledger = Ledger()
    async with ServerProcess(tmp_path, ledger) as server:
        session_id = await server.request("create")
        for text in ("bash setsid sleep 600 > /dev/null 2>&1 &", "bash trap '' HUP TERM; sleep 600"):
            await server.request("send", session=session_id, text=text)
        await seen(server, ledger, session_id, "tool.completed")  # of the first
        await server.told(server.events + 5)  # of the second
        server_id = server.server_id
    left = marked(server_id)  # the agent among them is about to end: its terminal is gone
    async with ServerProcess(tmp_path, ledger) as server:
        assert server.server_id == server_id
        assert marked(server_id) & left == frozenset()
        assert server.recovery["orphans"] >= 1

    assert left
    assert ledger.problems == []


async def test_a_server_that_is_stopped_ends_its_turns_and_keeps_what_waits(demo_house: Callable[..., House]) -> None:
    home = demo_house(config=SessionsConfig(warm_workers=1, max_workers=3), environment={"QPTY_DEMO_PACE": "0.001"})
    async with home:
        sessions = [(await home.manager.create(profile=TRUSTING)).id for _ in range(3)]
        for session_id in sessions:
            await home.say(session_id, "remember me")
        running = [await home.manager.send(session_id, "words 5000") for session_id in sessions]
        waiting = [await home.manager.send(session_id, "echo later") for session_id in sessions]
        for session_id, turn in zip(sessions, running, strict=True):
            await home.until(session_id, "message.delta", after=turn.seq)
    ends = [await asyncio.wait_for(turn.ended, 1) for turn in running]
    assert [end["code"] for end in ends] == ["worker_lost"] * 3

    async with home:
        for session_id, turn in zip(sessions, waiting, strict=True):
            found = await home.until(session_id, "turn.completed", after=turn.seq)
            assert found[-1]["text"] == "later"
            assert found[-1]["turn_id"] == turn.id
            assert (await home.say(session_id, "recall"))["text"] == "You told me: me"
            assert await disagreements(home.database, session_id) == []


async def test_two_servers_never_share_a_data_directory(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path, Ledger()):
        refused = await asyncio.create_subprocess_exec(
            *ServerProcess(tmp_path, Ledger()).command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        _, said = await refused.communicate()
    assert refused.returncode == 1
    assert b"DataDirectoryInUseError" in said
