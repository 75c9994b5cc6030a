"""Sessions that come and go, and readers that do, leave nothing behind."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from qpty.sessions.config import SessionsConfig
from qpty.sessions.errors import ClosingError
from tests.crashes.leaks import come_and_go, holdings
from tests.crashes.processes import children, marked

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sessions.house import House

FEW = SessionsConfig(warm_workers=0, max_workers=3)


async def test_sessions_that_come_and_go_leave_nothing(demo_house: Callable[..., House]) -> None:
    others = children()  # of other tests, that is: the stand-in for the cloud
    async with demo_house(config=FEW) as home:
        random = Random(1)  # noqa: S311
        assert await come_and_go(home, cycles=6, at_once=3, talkative=1.0, random=random)
        before = await holdings(home)

        turns = await come_and_go(home, cycles=40, at_once=4, talkative=0.6, random=random)

        assert turns >= 15
        assert (await holdings(home)).more_than(before) == {}
        assert (before.marked, before.sessions, before.rows, before.directories, before.live) == (0, 0, 0, 0, 0)
        assert children() == others


async def test_a_stock_of_warm_workers_that_are_used_up_leaves_nothing(demo_house: Callable[..., House]) -> None:
    config = SessionsConfig(warm_workers=1, max_workers=2)
    async with demo_house(config=config) as home:
        for _ in range(2):
            await home.warm()
            await come_and_go(home, cycles=3, at_once=1, talkative=0.5, random=Random(2))  # noqa: S311
            await home.warm()
            first = await holdings(home)
        for _ in range(4):
            await come_and_go(home, cycles=3, at_once=1, talkative=0.5, random=Random(3))  # noqa: S311
            await home.warm()

        assert (await holdings(home)).more_than(first) == {}
        assert first.directories == first.live == 1


async def test_hibernation_and_revival_leave_nothing(demo_house: Callable[..., House]) -> None:
    others = children()
    async with demo_house(config=FEW) as home:
        session = await home.manager.create()

        async def again() -> None:
            await home.say(session.id, "echo once more")
            assert await home.manager.hibernate(session.id)

        for _ in range(3):
            await again()
        before = await holdings(home)
        for _ in range(6):
            await again()
        after = await holdings(home)

        grown = after.more_than(before)
        assert grown.pop("rows")[1] > before.rows  # what was said stays
        assert grown == {}
        assert (after.marked, after.live) == (0, 0)
        assert children() == others


async def test_closing_leaves_nothing(demo_house: Callable[..., House]) -> None:
    home = demo_house(config=SessionsConfig(warm_workers=1, max_workers=4))
    tasks, others = asyncio.all_tasks(), children()
    for _ in range(2):
        async with home:
            await home.warm()
            sessions = [await home.manager.create() for _ in range(4)]
            turns = [await home.manager.send(session.id, "slow 5") for session in sessions]
            await home.until(sessions[0].id, "message.delta")
            queued = await home.manager.send(sessions[0].id, "echo later")
        assert [turn.ended.done() for turn in turns] == [True] * 4
        assert isinstance(queued.ended.exception(), ClosingError)  # it waits for the next start
        assert asyncio.all_tasks() == tasks
    assert marked(f"test-{home.work}") == frozenset()
    assert children() == others
