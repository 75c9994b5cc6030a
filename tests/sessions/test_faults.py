"""What went wrong once: wrong values, cancelled callers, a stop at a bad moment, a database or directory that fails."""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

from qpty.agent.witness import WitnessStand
from qpty.sessions.config import SessionsConfig
from qpty.sessions.errors import ClosingError, CursorError, SessionNotFoundError, TurnNotFoundError, ValueRefusedError
from qpty.sessions.files.errors import DirectoryAccessError
from qpty.storage.errors import StorageFailedError
from qpty.storage.sqlite import SqliteLink
from tests.sessions.house import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sessions.house import House

    Make = Callable[..., House]


@pytest.mark.parametrize("size", [(0, 24), (80, 0), (-1, 24), (1001, 24), (1, 1), (80.5, 24), ("80", 24), (True, 24)])
async def test_a_size_that_cannot_be_is_refused(demo_house: Make, size: tuple[Any, Any]) -> None:
    columns, lines = size
    async with demo_house() as home:
        with pytest.raises(ValueRefusedError, match="whole number"):
            await home.manager.create(columns=columns, lines=lines)
        session = await home.manager.create()
        with pytest.raises(ValueRefusedError):
            await home.manager.resize(session.id, columns=columns, lines=lines)
        assert (await home.say(session.id, "hello"))["type"] == "turn.completed"
        assert len(home.manager.directories.session_ids()) == 1


@pytest.mark.parametrize("title", [5, b"x", "x" * 501])
async def test_a_title_that_cannot_be_is_refused(demo_house: Make, title: Any) -> None:
    async with demo_house() as home:
        with pytest.raises(ValueRefusedError):
            await home.manager.create(title=title)
        session = await home.manager.create()
        with pytest.raises(ValueRefusedError):
            await home.manager.rename(session.id, title)
        assert (await home.say(session.id, "hello"))["type"] == "turn.completed"


def cursor(value: object) -> str:
    """Encode a value as cursors are."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "text",
    ["", "=", "é", cursor([10**400, "x"]), cursor([float("nan"), "x"]), cursor({}), cursor([1.0]), cursor([1.0, 2])],
)
async def test_what_is_no_cursor_is_refused(demo_house: Make, text: str) -> None:
    async with demo_house() as home:
        with pytest.raises(CursorError):
            await home.manager.list_sessions(cursor=text)


async def test_pages_have_bounds(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create()
        await home.say(session.id, "hello")
        assert len(await home.manager.messages(session.id, limit=10**30)) == 2
        assert len(await home.manager.messages(session.id, limit=-1)) == 1
        assert await home.manager.messages(session.id, after_position=10**30) == []


async def test_a_turn_of_another_session_is_not_found(demo_house: Make) -> None:
    async with demo_house() as home:
        one, other = await home.manager.create(owner="one"), await home.manager.create(owner="other")
        turn = await home.manager.send(one.id, "hello")
        await home.ended(turn)
        with pytest.raises(TurnNotFoundError):
            await home.manager.interrupt(other.id, turn_id=turn.id)


async def test_a_stop_keeps_every_queued_message(demo_house: Make) -> None:
    config = SessionsConfig(warm_workers=2, max_workers=4)
    async with demo_house(config=config) as home:
        sessions = [await home.manager.create() for _ in range(2)]
        turns = [
            await home.manager.send(session.id, f"number {number}") for number in range(12) for session in sessions
        ]
        await home.until(sessions[0].id, "turn.started")
    for turn in turns:
        with suppress(ClosingError):  # it wasn't typed
            end = await asyncio.wait_for(turn.wait(), TIMEOUT)
            assert end["type"] == "turn.completed" or end["code"] == "worker_lost"
    async with demo_house(config=config) as home:
        for turn, session in zip(turns, 12 * sessions, strict=True):
            end = await home.end_of(session.id, turn.id)
            assert end["type"] == "turn.completed" or end["code"] == "worker_lost"


async def test_a_cancelled_deletion_is_carried_out(demo_house: Make) -> None:
    async with demo_house() as home:
        for steps in range(12):
            session = await home.manager.create()
            turn = await home.manager.send(session.id, "pause 20")
            await home.until(session.id, "turn.started")
            reader = asyncio.create_task(home.events(session.id, lambda _: False))
            deletion = asyncio.create_task(home.manager.delete(session.id))
            for _ in range(steps):
                await asyncio.sleep(0)
            deletion.cancel()
            await asyncio.gather(deletion, return_exceptions=True)
            if not steps:  # it had not begun
                await home.manager.delete(session.id)
            assert (await asyncio.wait_for(turn.wait(), TIMEOUT))["type"] == "turn.failed"
            with pytest.raises(AssertionError, match="the events ended"):
                await asyncio.wait_for(reader, TIMEOUT)
            with pytest.raises(SessionNotFoundError):
                await home.manager.get(session.id)
        await home.manager.close()
        assert home.manager.pool.live == 0
        assert await home.provider.end_orphans() == 0


async def test_a_session_that_is_made_while_the_server_stops_leaves_no_agent(demo_house: Make) -> None:
    for steps in range(0, 12, 2):
        async with demo_house(config=SessionsConfig(warm_workers=1)) as home:
            await home.warm()
            creation = asyncio.create_task(home.manager.create())
            for _ in range(steps):
                await asyncio.sleep(0)
            await home.manager.close()
            await asyncio.gather(creation, return_exceptions=True)
            assert home.manager.pool.live == 0
            assert await home.provider.end_orphans() == 0


async def test_a_directory_that_cannot_be_removed_keeps_no_session_from_its_owner(
    demo_house: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qpty.sessions.directories import SessionDirectoryManager

    async with demo_house() as home:
        session, unlucky = await home.manager.create(), await home.manager.create()
        await home.say(session.id, "hello")

        def refuse(self: SessionDirectoryManager, session_id: str) -> None:
            raise DirectoryAccessError(session_id, 16)

        monkeypatch.setattr(SessionDirectoryManager, "remove", refuse)
        with pytest.raises(DirectoryAccessError):
            await home.manager.delete(unlucky.id)
    async with demo_house() as home:
        assert (await home.say(session.id, "hello"))["type"] == "turn.completed"
        with pytest.raises(SessionNotFoundError):
            await home.manager.get(unlucky.id)
        monkeypatch.undo()
        await home.manager.sweep(0.0)
        assert home.manager.directories.session_ids() == [session.id]


@pytest.mark.parametrize("read", ["journal_bytes", "journal_cut"])
async def test_housekeeping_of_the_journal_decides_no_turn(
    demo_house: Make, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    config = SessionsConfig(warm_workers=0, journal_events=5)
    async with demo_house(config=config) as home:

        async def fail(*_: object, **__: object) -> int:
            raise StorageFailedError("no answer", retryable=True)

        monkeypatch.setattr(home.database, read, fail)
        session = await home.manager.create()
        for _ in range(2):
            assert (await home.say(session.id, "hello"))["type"] == "turn.completed"


async def test_a_session_is_loaded_once(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create()
    async with demo_house() as home:
        turns = await asyncio.gather(*(home.manager.send(session.id, f"number {number}") for number in range(8)))
        assert len(home.manager.loaded()) == 1
        ends = [await home.ended(turn) for turn in turns]
        assert {end["type"] for end in ends} == {"turn.completed"}


async def test_a_look_that_finds_no_descriptor_is_tried_again(
    demo_house: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = WitnessStand.look
    missing = 3

    def short(stand: WitnessStand) -> Any:
        nonlocal missing
        if missing > 0:
            missing -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return look(stand)

    async with demo_house() as home:
        session = await home.manager.create()
        assert (await home.say(session.id, "hello"))["type"] == "turn.completed"
        monkeypatch.setattr(WitnessStand, "look", short)
        assert (await home.say(session.id, "hello"))["stop_reason"] == "end_turn"
        assert missing == 0


async def test_a_message_that_is_not_kept_in_time_is_refused_and_never_typed(
    demo_house: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = True
    commit = SqliteLink.commit

    async def refused(link: SqliteLink) -> None:
        if full:
            reason = sqlite3.OperationalError("database or disk is full")
            reason.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise OperationalError("COMMIT", None, reason)
        await commit(link)

    async with demo_house() as home:
        session = await home.manager.create()
        assert (await home.say(session.id, "remember red"))["type"] == "turn.completed"
        monkeypatch.setattr(SqliteLink, "commit", refused)
        monkeypatch.setattr("qpty.sessions.session.ACCEPT_TIMEOUT", 0.05)
        for _ in range(2):  # the second one at once: it is known by then
            with pytest.raises(StorageFailedError) as refusal:
                await home.manager.send(session.id, "remember blue")
            assert refusal.value.retryable
        with pytest.raises(StorageFailedError):
            await home.manager.create()
        full = False
        monkeypatch.setattr("qpty.sessions.session.ACCEPT_TIMEOUT", 30.0)  # a busy machine is no full disk
        await home.database.writer.write()
        end = await home.say(session.id, "recall")
        assert "red" in end["text"]
        assert "blue" not in end["text"]
