"""What a session promises, on the real q and on the demo agent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from qpty.agent.provider import Profile, ProfileError
from qpty.core.errors import EmptyPromptError
from qpty.sessions.config import SessionsConfig
from qpty.sessions.errors import (
    ClosingError,
    CursorError,
    ForkError,
    NoCapacityError,
    NotLiveError,
    QuestionGoneError,
    QuestionOpenError,
    QueueFullError,
    SessionNotFoundError,
    TurnNotFoundError,
)
from tests.sessions.house import COLD, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sessions.house import House

    Make = Callable[..., House]


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """The types in order, runs of one type as one."""
    found: list[str] = []
    for event in events:
        if not found or found[-1] != event["type"]:
            found.append(event["type"])
    return found


async def test_a_message_is_answered_and_everything_is_kept(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create()
        assert session.state == "hibernated"
        assert session.directory.stat().st_mode & 0o777 == 0o700
        turn = await home.manager.send(session.id, "hello")
        end = await home.ended(turn)
        assert (end["stop_reason"], end["text"], end["exact"]) == ("end_turn", "Hello! How can I help you today?", True)
        events = await home.until(session.id, "turn.completed")
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert kinds(events) == [
            "turn.queued",
            "session.state",
            "turn.started",
            "message.delta",
            "message.completed",
            "turn.completed",
        ]
        live = "".join(event["text"] for event in events if event["type"] == "message.delta")
        assert live == end["text"]
        said = await home.manager.messages(session.id)
        assert [(message.role, message.text) for message in said] == [("user", "hello"), ("assistant", end["text"])]
        info = await home.manager.get(session.id)
        assert (info.state, info.message_count, info.question, info.turn_id) == ("ready", 2, None, None)
        row = await home.manager.turn(session.id, turn.id)
        assert row is not None
        assert (row.state, row.stop_reason, row.ended_seq) == ("completed", "end_turn", end["seq"])
        (use,) = await home.database.account_use("default", since_day="2000-01-01")
        assert (use.turns, use.model_calls) == (1, 1)


async def test_messages_queue_in_order_up_to_a_bound(house: Make) -> None:
    config = SessionsConfig(warm_workers=0, queue_limit=3)
    async with house(config=config) as home:
        session = await home.manager.create()
        turns = [await home.manager.send(session.id, f"number {number}") for number in range(4)]
        with pytest.raises(QueueFullError):
            await home.manager.send(session.id, "one too many")
        ends = [await home.ended(turn) for turn in turns]
        assert all(f"number {number}" in end["text"] for number, end in enumerate(ends))
        events = await home.events(session.id, lambda event: event["seq"] == ends[-1]["seq"])
        assert [event["position"] for event in events if event["type"] == "turn.queued"] == [0, 1, 2, 3]
        running = [event["turn_id"] for event in events if event["type"] == "turn.started"]
        assert running == [turn.id for turn in turns]


async def test_a_message_is_never_typed_into_a_question(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create()
        turn = await home.manager.send(session.id, "bash echo canary")
        queued = None
        if (await home.manager.get(session.id)).question is None:
            queued = await home.manager.send(session.id, "n")  # before the question: it waits
        question = await home.asked(turn, session.id)
        with pytest.raises(QuestionOpenError) as refusal:
            await home.manager.send(session.id, "y")
        assert refusal.value.question == question
        assert question["arguments"]["command"] == "echo canary"
        with pytest.raises(QuestionGoneError):
            await home.manager.answer(session.id, "not-this-one", "allow")
        with pytest.raises(QuestionGoneError):
            await home.manager.choose(session.id, question["request_id"], 0)
        await home.manager.answer(session.id, question["request_id"], "allow")
        end = await home.ended(turn)
        assert "canary" in end["text"]
        if queued is not None:
            assert (await home.ended(queued))["type"] == "turn.completed"
        with pytest.raises(QuestionGoneError):
            await home.manager.answer(session.id, question["request_id"], "allow")
        last = (await home.manager.messages(session.id))[1]
        assert last.role == "assistant"
        assert last.tools[0]["outcome"] == "ok"


async def test_a_refused_permission_ends_the_tool_and_not_the_session(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create()
        turn = await home.manager.send(session.id, "bash touch canary")
        question = await home.asked(turn, session.id)
        await home.manager.answer(session.id, question["request_id"], "refuse")
        assert (await home.ended(turn))["type"] == "turn.completed"
        assert not (session.directory / "canary").exists()
        assert (await home.say(session.id, "hello"))["type"] == "turn.completed"


async def test_a_turn_is_interrupted_and_the_session_goes_on(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create()
        assert await home.manager.interrupt(session.id) is False
        turn = await home.manager.send(session.id, "pause 20")
        await home.until(session.id, "message.delta", after=turn.seq)
        assert await home.manager.interrupt(session.id) is True
        assert (await home.ended(turn))["stop_reason"] == "interrupted"
        assert (await home.say(session.id, "hello"))["stop_reason"] == "end_turn"


async def test_an_open_question_is_refused_by_an_interrupt(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create()
        turn = await home.manager.send(session.id, "bash touch canary")
        await home.asked(turn, session.id)
        await home.manager.interrupt(session.id)
        assert (await home.ended(turn))["stop_reason"] == "interrupted"
        assert (await home.manager.get(session.id)).question is None
        assert not (session.directory / "canary").exists()


async def test_a_queued_message_can_be_taken_back(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create()
        running = await home.manager.send(session.id, "pause 20")
        queued = await home.manager.send(session.id, "never sent")
        assert await home.manager.interrupt(session.id, turn_id=queued.id) is True
        end = await home.ended(queued)
        assert (end["stop_reason"], end["evidence"]) == ("interrupted", ["not_sent"])
        assert await home.manager.interrupt(session.id, turn_id=queued.id) is False
        with pytest.raises(TurnNotFoundError):
            await home.manager.interrupt(session.id, turn_id="no-such-turn")
        await home.until(session.id, "message.delta")
        await home.manager.interrupt(session.id)
        assert (await home.ended(running))["stop_reason"] == "interrupted"
        started = [
            event["turn_id"]
            for event in await home.events(
                session.id, lambda event: event["type"] == "turn.completed" and event["turn_id"] == running.id
            )
            if event["type"] == "turn.started"
        ]
        assert started == [running.id]


async def test_a_hibernated_session_goes_on_with_its_context(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create()
        await home.say(session.id, "hello")
        pid = home.manager.loaded()[0].pid
        assert pid is not None
        assert await home.manager.hibernate(session.id) is True
        assert await home.manager.hibernate(session.id) is False
        assert (await home.manager.get(session.id)).state == "hibernated"
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        with pytest.raises(NotLiveError):
            await home.manager.screen(session.id)
        turn = await home.manager.send(session.id, "hello again")
        await home.ended(turn)
        revived = (await home.until(session.id, "session.revived", after=turn.seq))[-1]
        assert revived["context"] == "kept"
        assert (await home.manager.screen(session.id)).columns == 80


async def test_a_record_that_is_not_ours_is_not_taken_for_it(house: Make) -> None:
    """Somebody else talked to the CLI in this directory: the record is theirs, the context is lost and said to be."""
    async with house() as home:
        session = await home.manager.create()
        await home.say(session.id, "the hat is green")
        await home.manager.hibernate(session.id)
        stranger = home.provider.agent(Profile(), session.directory, columns=80, lines=24)
        await stranger.start()
        await stranger.send("hello", turn_id="theirs")
        async for event in stranger.events():
            if event.type == "turn.completed":
                break
        await stranger.close()
        turn = await home.manager.send(session.id, "hello again")
        await home.ended(turn)
        revived = (await home.until(session.id, "session.revived", after=turn.seq))[-1]
        assert (revived["context"], revived["carried_over"]) == ("lost", 1)
        assert "another conversation" in revived["detail"]
        await home.manager.hibernate(session.id)
        turn = await home.manager.send(session.id, "and again")
        await home.ended(turn)
        assert (await home.until(session.id, "session.revived", after=turn.seq))[-1]["context"] == "kept"


async def test_a_killed_worker_costs_its_turn_and_nothing_else(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create()
        await home.say(session.id, "hello")
        turn = await home.manager.send(session.id, "pause 20")
        queued = await home.manager.send(session.id, "hello again")
        await home.until(session.id, "message.delta", after=turn.seq)
        pid = home.manager.loaded()[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        end = await home.ended(turn)
        assert (end["type"], end["code"], end["retryable"]) == ("turn.failed", "worker_lost", True)
        assert (await home.ended(queued))["type"] == "turn.completed"
        revived = (await home.until(session.id, "session.revived", after=turn.seq))[-1]
        assert revived["context"] == "kept"
        (use,) = await home.database.account_use("default", since_day="2000-01-01")
        assert (use.turns, use.failed_turns) == (2, 1)


async def test_a_worker_that_dies_while_idle_is_noticed(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create()
        end = await home.say(session.id, "hello")
        pid = home.manager.loaded()[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await home.events(session.id, lambda event: event.get("state") == "hibernated", after=end["seq"])
        assert home.manager.pool.live == 0
        assert (await home.say(session.id, "hello"))["type"] == "turn.completed"


async def test_a_fork_has_the_conversation_up_to_its_turn(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create(title="hats")
        with pytest.raises(ForkError):
            await home.manager.fork(session.id)
        first = await home.manager.send(session.id, "hello")
        await home.ended(first)
        await home.say(session.id, "something else")
        fork = await home.manager.fork(session.id, turn_id=first.id)
        assert (fork.parent_id, fork.title, fork.message_count) == (session.id, "hats", 2)
        turn = await home.manager.send(fork.id, "and now")
        end = await home.ended(turn)
        assert (await home.until(fork.id, "session.revived"))[-1]["context"] == "kept"
        texts = [message.text for message in await home.manager.messages(fork.id)]
        assert texts == ["hello", "Hello! How can I help you today?", "and now", end["text"]]
        assert len(await home.manager.messages(session.id)) == 4
        with pytest.raises(ForkError):
            await home.manager.fork(session.id, turn_id="no-such-turn")


async def test_a_deleted_session_is_gone_with_all_it_had(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create()
        await home.say(session.id, "hello")
        (session.directory / "file").write_text("something")
        turn = await home.manager.send(session.id, "pause 20")
        await home.until(session.id, "message.delta", after=turn.seq)
        pid = home.manager.loaded()[0].pid
        assert pid is not None
        reader = asyncio.create_task(home.events(session.id, lambda _: False, after=0))
        await asyncio.gather(
            home.manager.delete(session.id),
            home.manager.send(session.id, "too late"),
            return_exceptions=True,
        )
        assert (await home.ended(turn))["type"] == "turn.failed"
        with pytest.raises(AssertionError, match="the events ended"):
            await asyncio.wait_for(reader, TIMEOUT)
        assert not session.directory.exists()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        with pytest.raises(SessionNotFoundError):
            await home.manager.get(session.id)
        with pytest.raises(SessionNotFoundError):
            await home.manager.delete(session.id)
        assert await home.database.events(session.id, after=0) == []
        assert home.manager.pool.live == 0


async def test_everything_is_there_after_a_restart(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create(owner="one")
        await home.say(session.id, "hello")
        before = await home.until(session.id, "turn.completed")
    async with house() as home:
        info = await home.manager.get(session.id, owner="one")
        assert (info.state, info.message_count) == ("hibernated", 2)
        assert await home.until(session.id, "turn.completed") == before
        turn = await home.manager.send(session.id, "hello again")
        await home.ended(turn)
        assert (await home.until(session.id, "session.revived", after=turn.seq))[-1]["context"] == "kept"


async def test_a_stop_marks_the_running_turn_and_keeps_the_queue(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create()
        running = await home.manager.send(session.id, "pause 20")
        queued = await home.manager.send(session.id, "hello")
        await home.until(session.id, "message.delta")
    assert (await running.wait())["code"] == "worker_lost"
    with pytest.raises(ClosingError):
        await home.manager.send(session.id, "too late")
    async with house() as home:
        events = await home.events(
            session.id, lambda event: event["type"] == "turn.completed" and event["turn_id"] == queued.id
        )
        assert [event["turn_id"] for event in events if event["type"] == "turn.failed"] == [running.id]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


async def test_a_question_that_nobody_answers_is_refused(house: Make) -> None:
    config = SessionsConfig(warm_workers=0, question_timeout=0.3)
    async with house(config=config) as home:
        session = await home.manager.create()
        turn = await home.manager.send(session.id, "bash touch canary")
        end = await home.ended(turn)
        assert end["stop_reason"] == "interrupted"
        notices = [event for event in await home.until(session.id, "turn.completed") if event["type"] == "notice"]
        assert [notice["code"] for notice in notices] == ["question_timeout"]
        assert not (session.directory / "canary").exists()


async def test_more_sessions_than_workers_take_turns(house: Make) -> None:
    config = SessionsConfig(warm_workers=0, max_workers=2)
    async with house(config=config) as home:
        sessions = [await home.manager.create(owner=f"owner {number % 2}") for number in range(6)]
        for _ in range(2):
            turns = [(session.id, await home.manager.send(session.id, "hello")) for session in sessions]
            for _, turn in turns:
                assert (await home.ended(turn))["type"] == "turn.completed"
                assert home.manager.pool.live <= 2


async def test_a_session_without_a_worker_in_time_says_so(house: Make) -> None:
    config = SessionsConfig(warm_workers=0, max_workers=1, queue_timeout=0.2)
    async with house(config=config) as home:
        first, second = await home.manager.create(), await home.manager.create()
        running = await home.manager.send(first.id, "pause 20")
        await home.until(first.id, "message.delta")
        turn = await home.manager.send(second.id, "hello")
        end = await home.ended(turn)
        assert (end["code"], end["retryable"], end["evidence"]) == ("no_capacity", True, ["not_sent"])
        await home.manager.interrupt(first.id)
        await home.ended(running)
        assert (await home.say(second.id, "hello"))["type"] == "turn.completed"


async def test_a_new_session_gets_a_warm_worker(house: Make) -> None:
    async with house(config=SessionsConfig(warm_workers=1)) as home:
        await home.warm()
        session = await home.manager.create()
        assert session.state == "ready"
        assert (await home.say(session.id, "hello"))["type"] == "turn.completed"
        other = await home.manager.create(profile=Profile(trust_all_tools=True))
        assert other.state == "hibernated"
        assert "hi" in (await home.say(other.id, "bash echo hi"))["text"]


async def test_what_cannot_be_sent_is_refused_before_it_is_queued(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create()
        with pytest.raises(EmptyPromptError):
            await home.manager.send(session.id, " \n")
        assert await home.manager.messages(session.id) == []
        with pytest.raises(ProfileError):
            Profile(model="--help")


async def test_another_owner_finds_nothing(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create(owner="one")
        for attempt in (home.manager.get, home.manager.delete, home.manager.messages, home.manager.files):
            with pytest.raises(SessionNotFoundError):
                await attempt(session.id, owner="two")
        with pytest.raises(SessionNotFoundError):
            await home.manager.send(session.id, "hello", owner="two")
        with pytest.raises(SessionNotFoundError):
            await home.manager.get("../../etc/passwd")
        assert (await home.manager.list_sessions(owner="two")).sessions == []


async def test_pages_have_every_session_once(demo_house: Make) -> None:
    async with demo_house() as home:
        made = {(await home.manager.create()).id for _ in range(7)}
        seen: list[str] = []
        cursor = None
        while True:
            page = await home.manager.list_sessions(limit=3, cursor=cursor)
            seen += [session.id for session in page.sessions]
            if (cursor := page.next) is None:
                break
        assert len(seen) == 7
        assert set(seen) == made
        with pytest.raises(CursorError):
            await home.manager.list_sessions(cursor="nonsense")


async def test_an_agent_that_is_not_signed_in_says_so_in_its_own_words(demo_house: Make) -> None:
    async with demo_house() as home:
        command = [*home.spec.argv, "logout"]
        process = await asyncio.create_subprocess_exec(*command, env=home.spec.environment, stdout=subprocess.DEVNULL)
        assert await process.wait() == 0
        session = await home.manager.create()
        end = await home.say(session.id, "hello")
        assert (end["code"], end["retryable"], end["evidence"]) == ("not_signed_in", False, ["not_sent"])
        assert "log in" in end["message"]
        assert home.manager.pool.live == 0
        assert home.manager.pool.running == 0


async def test_the_pool_says_when_it_will_have_room(demo_house: Make) -> None:
    config = SessionsConfig(warm_workers=0, max_workers=1, queue_timeout=0.05)
    async with demo_house(config=config) as home:
        busy = await home.manager.create()
        turn = await home.manager.send(busy.id, "pause 20")
        await home.until(busy.id, "message.delta")
        with pytest.raises(NoCapacityError) as refusal:
            await home.manager._pool.admit("somebody")
        assert 1 <= refusal.value.retry_after <= 60
        await home.manager.interrupt(busy.id)
        await home.ended(turn)


async def test_a_title_and_a_size_are_kept(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create(columns=100, lines=30)
        await home.manager.rename(session.id, "a title")
        await home.say(session.id, "hello")
        assert (await home.manager.screen(session.id)).columns == 100
        await home.manager.resize(session.id, columns=120, lines=40)
        assert (await home.manager.screen(session.id)).columns == 120
    async with demo_house() as home:
        info = await home.manager.get(session.id)
        assert (info.title, info.columns, info.lines) == ("a title", 120, 40)


async def test_a_session_from_before_directories_gets_one(demo_house: Make) -> None:
    from qpty.storage.writes import update_session

    async with demo_house(config=COLD) as home:
        session = await home.manager.create()
        await home.database.writer.write(update_session(session.id, directory=None))
        session.directory.rmdir()
    async with demo_house() as home:
        assert (await home.say(session.id, "hello"))["type"] == "turn.completed"
        assert session.directory.stat().st_mode & 0o777 == 0o700
        row = await home.database.session(session.id)
        assert row is not None
        assert row.directory == session.id


async def test_a_compaction_is_not_a_loss(house: Make) -> None:
    """The CLI rewrites its record when it summarises: it is the same conversation."""
    async with house() as home:
        session = await home.manager.create()
        for text in ("hello", "count 3", "hello"):
            await home.say(session.id, text)
        failed = await home.say(session.id, "overflow")
        assert failed["type"] == "turn.failed"
        await home.say(session.id, "hello")
        await home.manager.hibernate(session.id)
        turn = await home.manager.send(session.id, "hello")
        assert (await home.ended(turn))["type"] == "turn.completed"
        assert (await home.until(session.id, "session.revived", after=turn.seq))[-1]["context"] == "kept"


async def test_an_interrupted_tool_is_not_a_loss(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create(profile=Profile(trust_all_tools=True))
        await home.say(session.id, "hello")
        turn = await home.manager.send(session.id, "bash echo begun; sleep 60")
        await home.until(session.id, "tool.output", after=turn.seq)
        await home.manager.interrupt(session.id)
        assert (await home.ended(turn))["stop_reason"] == "interrupted"
        await home.manager.hibernate(session.id)
        turn = await home.manager.send(session.id, "hello")
        assert (await home.ended(turn))["type"] == "turn.completed"
        assert (await home.until(session.id, "session.revived", after=turn.seq))[-1]["context"] == "kept"


async def test_a_worker_in_its_own_back_off_is_replaced(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create()
        await home.say(session.id, "hello")
        pid = home.manager.loaded()[0].pid
        failed = await home.say(session.id, "throttle")
        assert (failed["code"], failed["retryable"]) == ("rate_limited", True)
        turn = await home.manager.send(session.id, "hello")
        assert (await home.ended(turn))["type"] == "turn.completed"
        assert home.manager.loaded()[0].pid != pid
        assert (await home.until(session.id, "session.revived", after=turn.seq))[-1]["context"] == "kept"


async def test_a_fork_of_a_fork_that_said_nothing_is_not_a_loss(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create()
        await home.say(session.id, "hello")
        first = await home.manager.fork(session.id)
        second = await home.manager.fork(first.id)
        await home.manager.delete(session.id)
        await home.manager.delete(first.id)
        turn = await home.manager.send(second.id, "hello")
        assert (await home.ended(turn))["type"] == "turn.completed"
        assert (await home.until(second.id, "session.revived"))[-1]["context"] == "kept"
        assert len(await home.manager.messages(second.id)) == 4
