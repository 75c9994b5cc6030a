"""Cleaning of sessions that nobody used for long: what goes, what never does, and that nothing stops it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from qpty.sessions import expiry as expiry_module
from qpty.sessions.errors import SessionNotFoundError
from qpty.sessions.expiry import Swept
from qpty.sessions.files.errors import DirectoryBusyError
from qpty.storage.errors import StorageBusyError
from tests.sessions.house import COLD, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qpty.sessions.info import SessionInfo
    from qpty.storage.rows import SessionRow
    from tests.sessions.house import House

HOUR = 3600.0
DAY = 24 * HOUR
TIDY = replace(COLD, auto_cleanup=True)
FORGETFUL = replace(COLD, delete_after=2 * DAY)


@dataclass
class Clock:
    """The house's time, in seconds since the epoch."""

    now: float = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


async def sweep(house: House) -> Swept:
    return await house.manager.sweep(house.manager.now())


async def exists(house: House, info: SessionInfo) -> bool:
    """Whether a session is there; if it isn't, nothing of it is in the database."""
    try:
        await house.manager.get(info.id)
    except SessionNotFoundError:
        assert await house.database.session(info.id) is None
        assert await house.database.events(info.id, after=0) == []
        return False
    return True


async def create(house: House, number: int = 1) -> list[SessionInfo]:
    """Sessions that nobody ever used: a row and an empty directory each."""
    return [await house.manager.create() for _ in range(number)]


# -- hibernation


async def test_an_expired_session_hibernates_and_keeps_its_conversation(demo_house: Callable[..., House]) -> None:
    clock = Clock()
    async with demo_house(clock=clock) as house:
        info = await house.manager.create()
        await house.say(info.id, "remember teapot")
        clock.now += HOUR - 1
        assert await sweep(house) == Swept()
        assert not (await house.manager.get(info.id)).expired
        clock.now += 2
        assert await sweep(house) == Swept(hibernated=1)
        found = await house.manager.get(info.id)
        assert (found.state, found.expired, found.message_count) == ("hibernated", True, 2)
        assert house.manager.pool.live == 0
        assert await sweep(house) == Swept()
        assert "teapot" in (await house.say(info.id, "recall"))["text"]
        assert not (await house.manager.get(info.id)).expired


async def test_an_open_question_is_not_swept_away(demo_house: Callable[..., House]) -> None:
    """A session that waits for its person is in use, however long that takes."""
    clock = Clock()
    async with demo_house(clock=clock, config=replace(TIDY, delete_after=DAY)) as house:
        info = await house.manager.create()
        turn = await house.manager.send(info.id, "bash true")
        question = await house.asked(turn, info.id)
        clock.now += 30 * DAY
        assert await sweep(house) == Swept()
        await house.manager.answer(info.id, question["request_id"], "allow")
        assert (await house.ended(turn))["type"] == "turn.completed"


async def test_the_background_does_it_by_itself(demo_house: Callable[..., House]) -> None:
    clock = Clock()
    async with demo_house(clock=clock, config=replace(COLD, sweep_interval=0.01)) as house:
        info = await house.manager.create()
        await house.say(info.id, "hello")
        clock.now += HOUR
        await house.state(info.id, "hibernated")


# -- automatic cleaning


async def test_without_auto_cleanup_nothing_is_removed(demo_house: Callable[..., House]) -> None:
    clock = Clock()
    async with demo_house(clock=clock) as house:
        (info,) = await create(house)
        clock.now += 1_000 * DAY
        assert await sweep(house) == Swept()
        assert await exists(house, info)
        assert info.directory.is_dir()


async def test_only_expired_sessions_with_empty_directories_are_removed(demo_house: Callable[..., House]) -> None:
    clock = Clock()
    async with demo_house(clock=clock, config=TIDY) as house:
        empty, used = await create(house, 2)
        (used.directory / "deep").mkdir()
        clock.now += HOUR - 1
        (young,) = await create(house)
        clock.now += 2
        assert await sweep(house) == Swept(deleted=1)
        assert [await exists(house, info) for info in (empty, used, young)] == [False, True, True]
        assert [info.directory.exists() for info in (empty, used, young)] == [False, True, True]


async def test_a_conversation_in_an_empty_directory_goes_with_its_worker(demo_house: Callable[..., House]) -> None:
    clock = Clock()
    async with demo_house(clock=clock, config=TIDY) as house:
        info = await house.manager.create()
        await house.say(info.id, "hello")
        clock.now += HOUR + 1
        assert await sweep(house) == Swept(hibernated=1, deleted=1)
        assert not await exists(house, info)
        assert house.manager.pool.live == 0


def _file(directory: Path) -> None:
    (directory / "notes.txt").write_text("mine")


def _hidden_file(directory: Path) -> None:
    (directory / ".notes").write_text("")


def _empty_subdirectory(directory: Path) -> None:
    (directory / "a" / "b").mkdir(parents=True)


def _dangling_link(directory: Path) -> None:
    (directory / "link").symlink_to("/nonexistent")


@pytest.mark.parametrize("leave", [_file, _hidden_file, _empty_subdirectory, _dangling_link])
async def test_what_people_left_survives_with_its_session(
    demo_house: Callable[..., House], leave: Callable[[Path], None]
) -> None:
    clock = Clock()
    async with demo_house(clock=clock, config=TIDY) as house:
        (info,) = await create(house)
        leave(info.directory)
        left = sorted(info.directory.rglob("*"))
        for _ in range(3):
            clock.now += 100 * DAY
            assert await sweep(house) == Swept()
        assert await exists(house, info)
        assert sorted(info.directory.rglob("*")) == left != []


async def test_a_file_that_appears_in_the_last_moment_survives(
    demo_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look found nothing; what is written before the removal keeps the whole session."""
    clock = Clock()
    async with demo_house(clock=clock, config=TIDY) as house:
        (info,) = await create(house)
        look = house.manager.directories.is_empty

        def look_and_write(session_id: str) -> bool:
            empty = look(session_id)
            (house.manager.directories.path(session_id) / "late.txt").write_text("mine")
            return empty

        monkeypatch.setattr(house.manager.directories, "is_empty", look_and_write)
        clock.now += HOUR + 1
        assert await sweep(house) == Swept(deleted=0)
        assert (info.directory / "late.txt").read_text() == "mine"
        assert await exists(house, info)
        assert (await house.say(info.id, "hello"))["type"] == "turn.completed"


async def test_a_reader_of_a_removed_session_is_let_go(demo_house: Callable[..., House]) -> None:
    clock = Clock()
    async with demo_house(clock=clock, config=TIDY) as house:
        (info,) = await create(house)

        async def follow() -> list[object]:
            return [event async for event in house.manager.events(info.id)]

        reader = asyncio.create_task(follow())
        await asyncio.sleep(0)
        clock.now += HOUR + 1
        assert await sweep(house) == Swept(deleted=1)
        assert await asyncio.wait_for(reader, TIMEOUT) == []


# -- deletion by age, for those who ask for it


async def test_after_delete_after_files_go_too(demo_house: Callable[..., House]) -> None:
    clock = Clock()
    async with demo_house(clock=clock, config=FORGETFUL) as house:
        old, kept = await create(house, 2)
        for info in (old, kept):
            _file(info.directory)
        clock.now += DAY
        await house.manager.rename(old.id, "a title, which is no activity")
        await house.say(kept.id, "hello")
        clock.now += DAY - 1
        assert (await sweep(house)).deleted == 0
        clock.now += 2
        assert (await sweep(house)).deleted + (await sweep(house)).deleted == 1
        assert [await exists(house, info) for info in (old, kept)] == [False, True]
        assert [info.directory.exists() for info in (old, kept)] == [False, True]
        assert (kept.directory / "notes.txt").read_text() == "mine"


async def test_empty_ones_go_before_old_ones(demo_house: Callable[..., House]) -> None:
    clock = Clock()
    async with demo_house(clock=clock, config=replace(FORGETFUL, auto_cleanup=True)) as house:
        empty, used = await create(house, 2)
        _file(used.directory)
        clock.now += HOUR + 1
        assert (await sweep(house)).deleted == 1
        assert [await exists(house, info) for info in (empty, used)] == [False, True]
        clock.now += 2 * DAY
        assert (await sweep(house)).deleted + (await sweep(house)).deleted == 1
        assert not used.directory.exists()


# -- many sessions, and trouble with some


async def test_every_session_has_its_turn_whatever_the_batch(
    demo_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry_module, "BATCH", 2)
    clock = Clock()
    async with demo_house(clock=clock, config=TIDY) as house:
        used = await create(house, 3)
        for info in used:
            _file(info.directory)
        clock.now += 1
        empty = await create(house, 3)
        clock.now += HOUR + 1
        deleted = [(await sweep(house)).deleted for _ in range(3)]
        assert sum(deleted) == 3
        assert not any([await exists(house, info) for info in empty])
        assert all([await exists(house, info) for info in used])


async def test_a_session_that_was_kept_is_looked_at_again_however_many_follow(demo_house: Callable[..., House]) -> None:
    """It had files when it expired; it goes when it is old, also where other sessions expire all the time."""
    clock = Clock()
    async with demo_house(clock=clock, config=FORGETFUL) as house:
        (old,) = await create(house)
        _file(old.directory)
        clock.now += HOUR + 1
        assert (await sweep(house)).deleted == 0
        clock.now += 2 * DAY - 4 * HOUR
        for _ in range(4):
            await create(house)
            clock.now += HOUR + 1
        for _ in range(4):
            await sweep(house)
            await create(house)
            clock.now += HOUR + 1
        assert not await exists(house, old)


async def test_a_directory_that_cannot_be_removed_does_not_stop_the_cleaning(
    demo_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    async with demo_house(clock=clock, config=FORGETFUL) as house:
        stuck, free = await create(house, 2)
        clock.now += 3 * DAY
        await create(house)
        remove = house.manager.directories.remove

        def fail(session_id: str) -> None:
            if session_id == stuck.id:
                raise DirectoryBusyError(session_id, 60.0)
            remove(session_id)

        monkeypatch.setattr(house.manager.directories, "remove", fail)
        await sweep(house)
        assert not await exists(house, free)


async def test_a_busy_database_does_not_end_the_cleaning(
    demo_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look fails; the next one, a moment later, does what was due."""
    clock = Clock()
    async with demo_house(clock=clock, config=replace(TIDY, sweep_interval=0.01)) as house:
        (info,) = await create(house)
        look = house.database.idle_sessions
        failed = asyncio.Event()

        async def busy_once(**options: Any) -> list[SessionRow]:
            if not failed.is_set():
                failed.set()
                raise StorageBusyError(waiting=4, limit=4)
            return await look(**options)

        monkeypatch.setattr(house.database, "idle_sessions", busy_once)

        async def follow() -> list[object]:
            return [event async for event in house.manager.events(info.id)]

        removed = asyncio.create_task(follow())
        clock.now += HOUR + 1
        await asyncio.wait_for(failed.wait(), TIMEOUT)
        assert await asyncio.wait_for(removed, 2.0) == []
        async with asyncio.timeout(TIMEOUT):
            while await house.database.session(info.id) is not None:  # noqa: ASYNC110 — readers end before the rows go
                await asyncio.sleep(0)


async def test_a_session_that_is_used_while_others_are_removed_survives(demo_house: Callable[..., House]) -> None:
    """A message comes, and is accepted, after the sweep has begun and before it comes to this session."""
    clock = Clock()
    sent: list[asyncio.Task[object]] = []

    def reached(name: str, session_id: str) -> None:
        if name == "session.deleting" and session_id != late.id:
            sent.append(asyncio.create_task(house.manager.send(late.id, "hello")))

    async with demo_house(clock=clock, config=TIDY, reached=reached) as house:
        (first,) = await create(house)
        clock.now += 1
        (late,) = await create(house)
        clock.now += HOUR + 1
        await sweep(house)
        assert not await exists(house, first)
        assert len(sent) == 1
        await asyncio.wait_for(asyncio.gather(*sent, return_exceptions=True), TIMEOUT)
        assert sent[0].exception() is None, "its message was refused, or accepted and thrown away"
        assert await exists(house, late)
