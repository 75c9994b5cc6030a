"""Keys typed by hand, on the real q and on the demo agent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from qpty.agent.driver import KEYS_LIMIT
from qpty.agent.errors import WriteQueueFullError
from qpty.agent.record import ConversationRecord
from qpty.core.states import NotReadyError, State
from tests.agent.conversation import TIMEOUT

if TYPE_CHECKING:
    from tests.agent.conftest import Bench
    from tests.agent.conversation import Conversation


async def shown(chat: Conversation, text: str) -> None:
    """Wait until the screen shows something."""
    async with asyncio.timeout(TIMEOUT):
        while text not in "\n".join("".join(run.text for run in row) for row in chat.agent.screen.rows):
            await chat.agent.wait_for_screen(chat.agent.screen_version)


@pytest.mark.parametrize(("typed", "answer"), [(b"y\r", "allow"), (b"T\r", "always")])
async def test_a_permission_is_allowed_by_hand(bench: Bench, typed: bytes, answer: str) -> None:
    async with bench.conversation() as chat:
        assert (await chat.say("bash echo the heron")).last.type == "permission.requested"
        await chat.agent.type_keys(typed)
        turn = await chat.waits()
        assert turn.one("permission.answered").answer == answer
        assert turn.output == "the heron\n"
        assert turn.one("tool.completed").outcome == "ok"
        assert (turn.last.type, turn.last.stop_reason, turn.last.exact) == ("turn.completed", "end_turn", True)
        assert (await chat.say("hello")).last.exact


async def test_a_permission_is_refused_by_hand_key_by_key(bench: Bench) -> None:
    async with bench.conversation() as chat:
        await chat.say("bash touch canary")
        for key in (b"y", b"\x7f", b"n", b"\r"):
            await chat.agent.type_keys(key)
        turn = await chat.waits()
        assert turn.one("permission.answered").answer == "refuse"
        assert turn.one("tool.completed").outcome == "refused"
        assert turn.last.type == "turn.completed"
        assert list(bench.directory.iterdir()) == []


async def test_ctrl_c_at_a_question_by_hand_leaves_it_open(bench: Bench) -> None:
    async with bench.conversation() as chat:
        await chat.say("bash touch canary")
        await chat.agent.type_keys(b"\x03")
        await shown(chat, "To exit the CLI")
        assert chat.agent.state is State.PERMISSION
        await chat.agent.type_keys(b"y")
        turn = await chat.answer("refuse")
        assert turn.one("tool.completed").outcome == "refused"
        assert turn.last.type == "turn.completed"
        assert list(bench.directory.iterdir()) == []


async def test_an_answer_is_stopped_by_hand(bench: Bench) -> None:
    async with bench.conversation() as chat:
        await chat.begin("pause 30")
        await chat.text_appears("before the")
        await chat.agent.type_keys(b"\x03")
        turn = await chat.waits()
        assert (turn.last.type, turn.last.stop_reason) == ("turn.completed", "interrupted")
        assert "typed_by_hand" in turn.last.evidence
        assert (await chat.say("hello")).last.exact


async def test_a_tool_is_stopped_by_hand(bench: Bench) -> None:
    """Ctrl-C reaches the tool and the CLI at once: which of them is first decides what the CLI makes of it."""
    async with bench.conversation() as chat:
        await chat.say("bash echo begun; sleep 60")
        question = chat.agent.question
        assert question is not None
        await chat.agent.answer(question.request_id, "allow")
        await chat.text_appears("begun")
        await chat.agent.type_keys(b"\x03")
        turn = await chat.waits()
        outcome = turn.one("tool.completed").outcome
        if turn.last.type == "turn.failed":  # the CLI had its results already, and didn't send them
            assert (turn.last.code, turn.last.recycle) == ("unknown", True)
            return
        assert (outcome == "interrupted") == (turn.last.stop_reason == "interrupted")
        assert (await chat.say("hello")).last.exact


async def test_keys_reach_a_tool_that_reads(bench: Bench) -> None:
    async with bench.conversation() as chat:
        await chat.say("bash read -r word; echo it was $word")
        question = chat.agent.question
        assert question is not None
        await chat.agent.answer(question.request_id, "allow")
        await chat.agent.type_keys(b"heron\r")
        turn = await chat.waits()
        assert "it was heron" in turn.output
        assert turn.last.stop_reason == "end_turn"


async def test_a_conversation_by_hand_is_recorded_and_no_turn_of_ours(bench: Bench) -> None:
    async with bench.conversation() as chat:
        assert await chat.agent.read_mark() is None
        await chat.agent.type_keys(b"remember the heron\r")
        await shown(chat, "I will remember")
        assert chat.agent.state is State.UNKNOWN
        with pytest.raises(NotReadyError):
            await chat.begin("hello")
        async with asyncio.timeout(TIMEOUT):
            while (mark := await chat.agent.read_mark()) is None:
                await chat.agent.wait_for_screen(chat.agent.screen_version)
        assert mark.length == ConversationRecord(bench.spec.database, bench.directory).mark().length == 1


async def test_what_a_terminal_does_not_take_is_refused(bench: Bench) -> None:
    async with bench.conversation() as chat:
        await chat.say("bash stty -echo; sleep 60")
        question = chat.agent.question
        assert question is not None
        await chat.agent.answer(question.request_id, "allow")
        for _ in range(2 * KEYS_LIMIT // 4096 + 10):
            try:
                await chat.agent.type_keys(b"x" * 4096)
            except WriteQueueFullError:
                return
        raise AssertionError("it took everything")


async def test_nothing_is_typed_after_the_end(bench: Bench) -> None:
    async with bench.conversation() as chat:
        await chat.agent.close()
        with pytest.raises(NotReadyError):
            await chat.agent.type_keys(b"x")
