"""What the driver sees to besides the core: what was begun is ended, what is held is known, errors have their types."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from qpty.agent import process_tree
from qpty.agent.driver import AgentGoneError, TakeUpError
from qpty.agent.history import Exchange, HistoryTextError
from qpty.core.events import PermissionRequested
from qpty.core.states import AnswerError, NotReadyError, QuestionMismatchError, State

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from qpty.agent.driver import TerminalAgent
    from qpty.core.record import RecordMark
    from tests.agent.conftest import Bench

OLD = [Exchange(prompt="remember the old door", answer="An old answer.")]


# -- the record


async def test_an_answer_that_could_not_be_read_is_not_the_next_turns(bench: Bench) -> None:
    async with bench.conversation() as chat:
        assert (await chat.say("hello")).last.exact
        # Where the database is not: nothing that is read here can be waited for, the agent's own writing neither.
        database = chat.agent._record.database
        chat.agent._record.database = bench.directory / "nowhere"
        missed = await chat.say("echo missed")
        assert (missed.last.text, missed.last.exact) == ("missed", False)
        chat.agent._record.database = database
        await chat.begin("slow 30")
        await chat.text_appears("part 1")
        turn = await chat.interrupt()
        assert (turn.last.stop_reason, turn.last.exact) == ("interrupted", False)
        assert "missed" not in turn.last.text
        turn = await chat.say("echo next")
        assert (turn.last.text, turn.last.exact) == ("next", True)
        assert not turn.of("notice")


async def test_a_message_is_typed_when_the_lock_is_gone(bench: Bench) -> None:
    async with bench.conversation() as chat:
        await chat.say("hello")
        chat.agent._machine._mark_is_new = False  # type: ignore[union-attr]
        with closing(sqlite3.connect(bench.spec.database, isolation_level=None)) as locker:
            locker.execute("BEGIN EXCLUSIVE")
            await chat.begin("echo next")
            assert chat.agent.state is State.BUSY
            locker.execute("ROLLBACK")
        turn = await chat.waits()
        assert (turn.last.text, turn.last.exact) == ("next", True)


@pytest.mark.parametrize("first", ["slow 30", "boom"])
async def test_what_the_directory_held_before_is_not_taken_for_what_was_taken_up(bench: Bench, first: str) -> None:
    """The row is written with the first answer; until then it holds another conversation, or there is none."""
    async with bench.conversation() as chat:
        await chat.say("echo of another conversation")
    async with bench.conversation() as chat:
        await chat.agent.take_up(OLD)
        await chat.begin(first)
        if first == "slow 30":
            await chat.text_appears("part 1")
            await chat.agent.interrupt()
        turn = await chat.waits()
        assert not any(event.exact for event in turn.of("message.completed"))
        turn = await chat.say("recall")
        assert (turn.last.text, turn.last.exact) == ("You told me: the old door", True)
        assert len(turn.of("message.completed")) == 1


# -- taking a conversation up


async def ended(bench: Bench, agent: TerminalAgent, pid: int) -> None:
    """Nothing is left of the agent, and nothing more can be done with it."""
    assert agent.state is State.EXITED
    assert process_tree.identify(pid) is None
    assert list(bench.spec.scratch.iterdir()) == []
    with pytest.raises(NotReadyError):
        await agent.send("hello", turn_id="t1")
    with pytest.raises(NotReadyError):
        await agent.take_up()


@pytest.mark.parametrize("commands", [0, 1, 2, 3])
async def test_a_take_up_that_is_cancelled_ends_the_agent(bench: Bench, commands: int) -> None:
    """Cancelled at its beginning, and when each of its commands has just been typed."""
    async with bench.conversation() as chat:
        agent, pid = chat.agent, chat.agent.pid
        assert pid is not None
        typed = asyncio.Event()
        seen = 0
        confirmed = agent._command_confirmed

        async def counted(*args: Any) -> None:
            nonlocal seen
            seen += 1
            if seen == commands:
                typed.set()
            await confirmed(*args)

        agent._command_confirmed = counted  # type: ignore[method-assign,assignment]
        task = asyncio.ensure_future(agent.take_up(OLD))
        if commands:
            await asyncio.wait_for(typed.wait(), 30)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # whoever cancels twice waits no less
        with pytest.raises(asyncio.CancelledError):
            await task
        await ended(bench, agent, pid)


async def test_a_take_up_that_is_cancelled_while_a_thread_writes_leaves_no_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()
    async with bench.conversation() as chat:
        agent, pid = chat.agent, chat.agent.pid
        assert pid is not None
        write = agent._write_history

        def slowly(*args: Any) -> RecordMark:
            begun.set()
            assert go.wait(30)
            return write(*args)

        monkeypatch.setattr(agent, "_write_history", slowly)
        task = asyncio.ensure_future(agent.take_up(OLD))
        assert await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ended(bench, agent, pid)


async def test_a_take_up_that_fails_ends_the_agent(bench: Bench) -> None:
    async with bench.conversation() as chat:
        agent, pid = chat.agent, chat.agent.pid
        assert pid is not None
        with pytest.raises(HistoryTextError):
            await agent.take_up([Exchange(prompt=" ", answer="An answer to nothing.")])
        await ended(bench, agent, pid)


async def test_a_take_up_that_is_not_confirmed_ends_the_agent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qpty.agent.driver.load_command", lambda path: f"/load {path}-that-is-not-there")
    async with bench.conversation() as chat:
        agent, pid = chat.agent, chat.agent.pid
        assert pid is not None
        with pytest.raises(TakeUpError):
            await agent.take_up(OLD)
        await ended(bench, agent, pid)


async def test_a_take_up_while_the_agent_is_busy_is_refused_and_harms_nothing(bench: Bench) -> None:
    async with bench.conversation() as chat:
        await chat.begin("slow 2")
        with pytest.raises(NotReadyError):
            await chat.agent.take_up(OLD)
        assert (await chat.waits()).last.exact


async def test_a_take_up_whose_agent_is_closed_meanwhile_says_so(bench: Bench) -> None:
    async with bench.conversation() as chat:
        task = asyncio.ensure_future(chat.agent.take_up(OLD))
        await asyncio.sleep(0)
        await chat.agent.close()
        with pytest.raises(AgentGoneError):
            await task
        assert list(bench.spec.scratch.iterdir()) == []


# -- wrong answers, and late ones


async def test_what_is_no_answer_has_an_error_that_names_the_answers(bench: Bench) -> None:
    async with bench.conversation() as chat:
        question = (await chat.say("bash touch made")).last
        with pytest.raises(AnswerError, match="allow, refuse, always"):
            await chat.agent.answer(question.request_id, "bogus")  # type: ignore[arg-type]
        assert chat.agent.question is question
        await chat.answer("refuse")
        assert list(bench.directory.iterdir()) == []


async def test_nothing_is_begun_while_the_agent_is_closed(bench: Bench) -> None:
    async with bench.conversation() as chat:
        await chat.say("hello")
        closing_ = asyncio.ensure_future(chat.agent.close())
        await asyncio.sleep(0)
        with pytest.raises(NotReadyError):
            await chat.agent.send("too late", turn_id="late")
        await closing_
        rest = [event async for event in chat.agent.events()]
        assert not any(event.turn_id == "late" for event in rest)


async def test_no_question_is_open_while_the_agent_is_closed(bench: Bench) -> None:
    async with bench.conversation() as chat:
        question = (await chat.say("bash touch made")).last
        assert isinstance(question, PermissionRequested)
        closing_ = asyncio.ensure_future(chat.agent.close())
        await asyncio.sleep(0)
        late: list[Callable[[], Coroutine[Any, Any, None]]] = [
            lambda: chat.agent.answer(question.request_id, "allow"),
            lambda: chat.agent.choose(question.request_id, None),
        ]
        for call in late:
            with pytest.raises(QuestionMismatchError):
                await call()
        await closing_
        assert list(bench.directory.iterdir()) == []
