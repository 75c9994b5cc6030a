"""A person takes a session's keyboard over: messages wait, turns end, the conversation goes on from what is known."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from qpty.sessions.config import SessionsConfig
from qpty.sessions.errors import (
    KeyboardBlockedError,
    KeyboardNotTakenError,
    KeyboardTakenError,
    NotLiveError,
    ValueRefusedError,
)
from tests.sessions.house import TIMEOUT, House

if TYPE_CHECKING:
    from collections.abc import Callable

    from qpty.core.record import RecordMark
    from qpty.sessions.manager import SessionManager


async def shown(manager: SessionManager, session_id: str, text: str, *, prompts: bool = False) -> None:
    """Wait until the session's screen shows something; with a prompt behind it, where lines can be typed."""
    rows: dict[int, str] = {}
    async with asyncio.timeout(TIMEOUT), aclosing(manager.screen_updates(session_id, max_rate=100)) as updates:
        async for update in updates:
            rows |= {number: "".join(run.text for run in row) for number, row in update.rows.items()}
            screen = "\n".join(rows[number] for number in sorted(rows))
            if text in screen and (not prompts or screen.rstrip().endswith("\n>")):
                return
    raise AssertionError(f"it never showed {text!r}")


async def live(house: House) -> str:
    """A session with a live worker and one turn behind it."""
    session_id = (await house.manager.create()).id
    assert (await house.say(session_id, "remember the blue door"))["type"] == "turn.completed"
    return session_id


def notices(events: list[dict[str, Any]]) -> list[str]:
    return [event["code"] for event in events if event["type"] == "notice"]


async def test_messages_wait_while_the_keyboard_is_taken(house: Callable[..., House]) -> None:
    async with house() as home:
        session_id = await live(home)
        hold = await home.manager.take_keyboard(session_id)
        turn = await home.manager.send(session_id, "recall")
        waits = await home.events(
            session_id, lambda event: event["type"] == "notice" and event.get("turn_id") == turn.id, after=turn.seq
        )
        assert waits[-1]["code"] == "keyboard_taken"
        assert not [event for event in waits if event["type"] == "turn.started"]
        hold.give_back()
        end = await home.ended(turn)
        assert end["text"] == "You told me: the blue door"
        found = await home.events(session_id, lambda event: event["seq"] == end["seq"])
        assert notices(found) == ["keyboard_taken", "keyboard_taken", "keyboard_returned"]
        assert not [event for event in found if event["type"] == "session.revived"], "nobody typed: the same worker"


async def test_a_message_that_waits_for_the_keyboard_can_be_taken_back(demo_house: Callable[..., House]) -> None:
    async with demo_house() as home:
        session_id = await live(home)
        hold = await home.manager.take_keyboard(session_id)
        turn = await home.manager.send(session_id, "recall")
        await home.events(session_id, lambda event: event.get("code") == "keyboard_taken" and "turn_id" in event)
        assert await home.manager.interrupt(session_id)
        assert (await home.ended(turn))["evidence"] == ["not_sent"]
        hold.give_back()
        assert (await home.say(session_id, "hello"))["exact"]


async def test_who_waits_for_the_keyboard_keeps_no_other_session_waiting(demo_house: Callable[..., House]) -> None:
    async with demo_house(config=SessionsConfig(max_workers=2, warm_workers=0)) as home:
        session_id = await live(home)
        await home.manager.take_keyboard(session_id)
        waiting = await home.manager.send(session_id, "recall")
        others = [(await home.manager.create()).id for _ in range(3)]
        ends = await asyncio.gather(*(home.say(other, "hello") for other in others))
        assert [end["type"] for end in ends] == ["turn.completed"] * 3
        # The idle terminal gave way, and the keyboard with it: the message goes on.
        assert (await home.ended(waiting))["text"] == "You told me: the blue door"


async def test_what_was_said_by_hand_is_part_of_the_conversation_afterwards(house: Callable[..., House]) -> None:
    async with house() as home:
        session_id = await live(home)
        hold = await home.manager.take_keyboard(session_id)
        await hold.type("remember the green hat\r")
        await recorded(home, session_id, 2)
        turn = await home.manager.send(session_id, "history")
        hold.give_back()
        end = await home.ended(turn)
        assert "remember the blue door | remember the green hat" in end["text"]
        found = await home.events(session_id, lambda event: event["seq"] == end["seq"])
        assert [event["context"] for event in found if event["type"] == "session.revived"] == ["kept"]
        texts = [event["text"] for event in found if event["type"] == "turn.completed"]
        assert len(texts) == 2
        assert "green hat" not in texts[0]


async def test_a_conversation_that_was_begun_by_hand_is_taken_up(house: Callable[..., House]) -> None:
    async with house(config=SessionsConfig(warm_workers=1)) as home:
        await home.warm()
        session_id = (await home.manager.create()).id
        hold = await home.manager.take_keyboard(session_id)
        await hold.type("remember the red boat\r")
        await recorded(home, session_id, 1)
        hold.give_back()
        end = await home.say(session_id, "recall")
        assert end["text"] == "You told me: the red boat"
        found = await home.events(session_id, lambda event: event["seq"] == end["seq"])
        assert [event["context"] for event in found if event["type"] == "session.revived"] == ["kept"]


async def recorded(home: House, session_id: str, length: int, *, after: RecordMark | None = None) -> RecordMark:
    """Wait until the agent has recorded so many exchanges, the last another than `after`'s; the mark."""
    row = await home.database.session(session_id)
    assert row is not None
    agent = (await home.manager.load(row)).live.agent
    assert agent is not None
    async with asyncio.timeout(TIMEOUT):
        while True:
            mark = await agent.read_mark()
            if mark is not None and mark.length == length and (after is None or mark.recent != after.recent):
                return mark
            await asyncio.sleep(0.01)


async def test_a_new_conversation_by_hand_is_not_passed_off_as_the_old_one(house: Callable[..., House]) -> None:
    async with house() as home:
        session_id = await live(home)
        before = await recorded(home, session_id, 1)
        hold = await home.manager.take_keyboard(session_id)
        await hold.type("/clear\r")
        await shown(home.manager, session_id, "y/n")
        await hold.type("y\r")
        await shown(home.manager, session_id, "cleared", prompts=True)  # what comes sooner is no line of its own
        await hold.type("remember the red boat\r")
        await recorded(home, session_id, 1, after=before)
        hold.give_back()
        end = await home.say(session_id, "recall")
        found = await home.events(session_id, lambda event: event["seq"] == end["seq"])
        (revived,) = [event for event in found if event["type"] == "session.revived"]
        told = end["text"].removeprefix("You told me: ")
        assert (revived["context"], told) in {("kept", "the red boat"), ("lost", "the blue door")}


async def test_a_permission_is_answered_by_hand_in_a_session(house: Callable[..., House]) -> None:
    async with house() as home:
        session_id = (await home.manager.create()).id
        turn = await home.manager.send(session_id, "bash echo the heron")
        await home.asked(turn, session_id)
        hold = await home.manager.take_keyboard(session_id)
        await hold.type("y\r")
        end = await home.ended(turn)
        assert (end["type"], end["stop_reason"]) == ("turn.completed", "end_turn")
        assert (await home.manager.get(session_id)).question is None
        found = await home.events(session_id, lambda event: event["seq"] == end["seq"])
        assert [event["answer"] for event in found if event["type"] == "permission.answered"] == ["allow"]
        taken = next(event for event in found if event.get("code") == "keyboard_taken")
        assert taken["turn_id"] == turn.id
        hold.give_back()
        assert (await home.say(session_id, "hello"))["exact"]


async def test_a_turn_that_runs_goes_on_when_the_keyboard_is_given_back(house: Callable[..., House]) -> None:
    async with house() as home:
        session_id = (await home.manager.create()).id
        turn = await home.manager.send(session_id, "bash read -r word; echo it was $word")
        question = await home.asked(turn, session_id)
        hold = await home.manager.take_keyboard(session_id)
        await home.manager.answer(session_id, question["request_id"], "allow")
        await hold.type("heron\r")
        hold.give_back()
        end = await home.ended(turn)
        assert "it was heron" in end["text"]
        after = await home.say(session_id, "hello")
        found = await home.events(session_id, lambda event: event["seq"] == after["seq"])
        assert [event["context"] for event in found if event["type"] == "session.revived"] == ["kept"]


async def test_one_person_has_it_at_a_time(demo_house: Callable[..., House]) -> None:
    async with demo_house() as home:
        session_id = await live(home)
        hold = await home.manager.take_keyboard(session_id)
        assert hold.is_held()
        with pytest.raises(KeyboardTakenError):
            await home.manager.take_keyboard(session_id)
        hold.give_back()
        hold.give_back()
        assert not hold.is_held()
        with pytest.raises(KeyboardNotTakenError):
            await hold.type("x")
        other = await home.manager.take_keyboard(session_id)
        hold.give_back()
        assert other.is_held(), "what was given back gives nothing back"


async def test_without_a_live_terminal_there_is_no_keyboard(demo_house: Callable[..., House]) -> None:
    async with demo_house() as home:
        session_id = (await home.manager.create()).id
        with pytest.raises(NotLiveError):
            await home.manager.take_keyboard(session_id)
        await home.say(session_id, "hello")
        hold = await home.manager.take_keyboard(session_id)
        assert await home.manager.hibernate(session_id)
        assert not hold.is_held()
        found = await home.until(session_id, "notice", after=0)
        assert notices(found) == ["keyboard_taken"]
        last = await home.events(session_id, lambda event: event.get("code") == "keyboard_returned")
        assert "ended" in last[-1]["text"]
        with pytest.raises(KeyboardNotTakenError):
            await hold.type("x")


async def test_what_is_no_text_is_refused(demo_house: Callable[..., House]) -> None:
    async with demo_house() as home:
        session_id = await live(home)
        hold = await home.manager.take_keyboard(session_id)
        with pytest.raises(ValueRefusedError):
            await hold.type("\ud800")
        hold.give_back()
        assert (await home.say(session_id, "recall"))["text"] == "You told me: the blue door"


async def test_a_terminal_that_takes_nothing_says_so(demo_house: Callable[..., House]) -> None:
    async with demo_house() as home:
        session_id = (await home.manager.create()).id
        turn = await home.manager.send(session_id, "bash stty -echo; sleep 60")
        question = await home.asked(turn, session_id)
        await home.manager.answer(session_id, question["request_id"], "allow")
        hold = await home.manager.take_keyboard(session_id)
        for _ in range(50):
            try:
                await hold.type("x" * 4096)
            except KeyboardBlockedError:
                return
        raise AssertionError("it took everything")


async def test_the_keys_are_written_nowhere(demo_house: Callable[..., House], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with demo_house() as home:
        session_id = (await home.manager.create()).id
        turn = await home.manager.send(session_id, "bash stty -echo; echo hush; read -r word; stty echo; echo thanks")
        question = await home.asked(turn, session_id)
        hold = await home.manager.take_keyboard(session_id)
        await home.manager.answer(session_id, question["request_id"], "allow")
        await home.until(session_id, "tool.output", after=turn.seq)  # sooner, the line editor echoes
        await hold.type("correct horse\r")
        await home.ended(turn)
        hold.give_back()
    kept = [path.read_bytes() for path in (home.work / "data").rglob("*") if path.is_file()]
    assert kept
    assert not any(b"correct horse" in content for content in kept)
    assert "correct horse" not in caplog.text


async def test_typing_counts_as_use(demo_house: Callable[..., House]) -> None:
    async with demo_house(config=SessionsConfig(warm_workers=0, idle_timeout=0.5)) as home:
        session_id = await live(home)
        hold = await home.manager.take_keyboard(session_id)
        for _ in range(10):
            await asyncio.sleep(0.1)
            await hold.type("\x15")
        assert hold.is_held()
        await home.state(session_id, "hibernated")
        assert not hold.is_held()


async def test_a_turn_that_ends_leaves_the_keyboard_where_it_is(demo_house: Callable[..., House]) -> None:
    async with demo_house() as home:
        session_id = (await home.manager.create()).id
        turn = await home.manager.send(session_id, "bash echo hi")
        await home.asked(turn, session_id)
        hold = await home.manager.take_keyboard(session_id)
        await hold.type("y\r")
        await home.ended(turn)
        await hold.type("x")
        await shown(home.manager, session_id, "> x")
        assert hold.is_held()


async def test_the_server_stops_while_somebody_types(demo_house: Callable[..., House]) -> None:
    async with demo_house() as home:
        session_id = await live(home)
        hold = await home.manager.take_keyboard(session_id)
        await hold.type("half a wo")
        waiting = await home.manager.send(session_id, "recall")
    async with demo_house() as home:
        assert (await home.end_of(session_id, waiting.id))["text"] == "You told me: the blue door"
