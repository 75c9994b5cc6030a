"""The screen as it changes: differences add up to the screen, and nothing comes that nobody has to see."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.agent.driver import AgentGoneError
from qpty.core.terminal import Run, ScreenSnapshot, Terminal
from qpty.sessions.errors import SessionNotFoundError
from qpty.sessions.screen_feed import ScreenUpdate, applied, difference
from tests.sessions.casts import text_of
from tests.sessions.house import COLD, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tests.sessions.house import House

    Make = Callable[..., House]
    Updates = AsyncGenerator[ScreenUpdate, None]

PIECES = st.sampled_from(
    [
        *(b"word ", b"\r\n", b"\x08", "你".encode(), "e\u0301".encode()),
        *(b"\x1b[31m", b"\x1b[7m", b"\x1b[0m", b"\x1b[H", b"\x1b[5;3H", b"\x1bM", b"\x1b[S", b"\x1b[L", b"\x1b[M"),
        *(b"\x1b[2J", b"\x1b[K", b"\x1bc", b"\x1b[?5h", b"\x1b[?5l", b"\x1b[?25l", b"\x1b[?1049h", b"\x1b[?1049l"),
        b"\x1b]0;title\x07",
    ]
)


class Viewer:
    """Applies what it gets; `screen` is what it shows then."""

    def __init__(self, updates: Updates) -> None:
        self.updates = updates
        self.screen: ScreenSnapshot | None = None
        self.got: list[ScreenUpdate] = []

    async def next(self) -> ScreenUpdate:
        update = await asyncio.wait_for(anext(self.updates), TIMEOUT)
        self.got.append(update)
        self.screen = applied(self.screen, update)
        return update

    async def comes_to(self, screen: ScreenSnapshot) -> None:
        while self.screen != screen:
            await self.next()

    async def until(self, wanted: Callable[[ScreenUpdate], bool]) -> ScreenUpdate:
        while not wanted(update := await self.next()):
            pass
        return update

    async def sees(self, text: str) -> None:
        while self.screen is None or text not in text_of(self.screen):
            await self.next()


# -- differences


@given(st.lists(st.tuples(st.lists(PIECES, max_size=12), st.sampled_from([None, None, (12, 7), (20, 5)]))))
def test_differences_add_up_to_the_screen(steps: list[tuple[list[bytes], tuple[int, int] | None]]) -> None:
    terminal, last, shown = Terminal(columns=20, lines=6), None, None
    fed: list[tuple[bytes, tuple[int, int] | None]] = []
    for pieces, size in steps:
        terminal.feed(b"".join(pieces))
        if size is not None:
            terminal.resize(columns=size[0], lines=size[1])
        fed.append((b"".join(pieces), size))
        seen = terminal.snapshot()
        update = difference(last, seen)
        assert (update is None) == (seen == last)
        if update is not None:
            shown = applied(shown, update)
            if not update.full and last is not None:
                assert all(seen.rows[number] != last.rows[number] for number in update.rows)
            json.dumps(update.to_dict())
        last = seen
        assert shown == seen
    fresh = Terminal(columns=20, lines=6)  # one that nobody looked at before
    for data, size in fed:
        fresh.feed(data)
        if size is not None:
            fresh.resize(columns=size[0], lines=size[1])
    assert shown is None or shown == fresh.snapshot()


def test_the_first_update_must_be_a_full_one() -> None:
    terminal = Terminal(columns=20, lines=5)
    before = terminal.snapshot()
    terminal.feed(b"x")
    update = difference(before, terminal.snapshot())
    assert update is not None
    with pytest.raises(ValueError, match="full"):
        applied(None, update)


def test_what_is_as_usual_is_left_out_of_json() -> None:
    terminal = Terminal(columns=20, lines=5)
    before = terminal.snapshot()
    terminal.feed(b"\r\nplain \x1b[1;31mred\x1b[0m\x1b[?25l")
    update = difference(before, terminal.snapshot())
    assert update is not None
    assert update.to_dict() == {
        "full": False,
        "live": True,
        "columns": 20,
        "lines": 5,
        "cursor_column": 9,
        "cursor_line": 1,
        "cursor_hidden": True,
        "title": "",
        "rows": {"1": [{"text": "plain "}, {"text": "red", "fg": "red", "bold": True}]},
    }
    assert update.rows == {1: (Run(text="plain "), Run(text="red", fg="red", bold=True))}


# -- with agents


async def test_a_viewer_sees_all_workers_of_a_session(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create(columns=90, lines=30)
        async with aclosing(home.manager.screen_updates(session.id)) as updates:
            viewer = Viewer(updates)
            first = await viewer.next()
            assert (first.full, first.live, first.columns, first.lines) == (True, False, 90, 30)
            assert first.rows == dict.fromkeys(range(30), ())

            turn = await home.manager.send(session.id, "blue door")
            second = await viewer.next()
            assert (second.full, second.live) == (True, True)
            assert set(second.rows) == set(range(30))
            await viewer.sees("You said: blue door")
            await home.ended(turn)
            screen = await home.manager.screen(session.id)
            await viewer.comes_to(screen)
            assert not any(update.full for update in viewer.got[2:])

            await home.manager.resize(session.id, columns=70, lines=20)
            resized = await viewer.next()
            assert (resized.full, resized.columns, resized.lines) == (True, 70, 20)
            await home.manager.hibernate(session.id)
            gone = await viewer.until(lambda update: not update.live)
            assert (gone.full, gone.rows) == (False, {})

            await home.say(session.id, "red door")
            revived = await viewer.next()
            assert (revived.full, revived.live) == (True, True)
            await viewer.sees("You said: red door")

            await home.manager.delete(session.id)
            async for update in updates:
                assert update.live


async def test_a_viewer_is_told_at_most_so_often_and_of_the_last_state(demo_house: Make) -> None:
    async with demo_house(environment={"QPTY_DEMO_PACE": "0.002"}) as home:
        session = await home.manager.create()
        await home.say(session.id, "hello")
        loop = asyncio.get_running_loop()
        async with aclosing(home.manager.screen_updates(session.id, max_rate=20)) as updates:
            viewer = Viewer(updates)
            await viewer.next()
            times = [loop.time()]
            watching = asyncio.create_task(watch(viewer, times))
            await home.ended(await home.manager.send(session.id, "words 300"))
            last = await home.manager.screen(session.id)
            async with asyncio.timeout(TIMEOUT):
                while viewer.screen != last:  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
            seen = len(times)
            assert seen > 3
            pauses = [after - before for before, after in pairwise(times)]
            # A pause is counted from the look, which comes a moment before the viewer has it.
            assert sum(pauses) / len(pauses) > 0.049
            assert "word300" in text_of(viewer.screen or pytest.fail("nothing was seen"))
            await asyncio.wait([watching], timeout=0.3)
            assert len(times) == seen  # nothing changes, and nothing is sent
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def watch(viewer: Viewer, times: list[float]) -> None:
    """Take every update, and note when it came."""
    while True:
        await viewer.next()
        times.append(asyncio.get_running_loop().time())


async def test_a_slow_viewer_skips_states(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create()
        await home.say(session.id, "hello")
        async with aclosing(home.manager.screen_updates(session.id, max_rate=1000)) as updates:
            viewer = Viewer(updates)
            await viewer.next()
            for number in range(5):
                await home.say(session.id, f"echo {number}")
            screen = await home.manager.screen(session.id)
            await viewer.next()
            assert viewer.screen == screen


async def test_viewers_end_with_the_manager(demo_house: Make) -> None:
    async with demo_house() as home:
        live, asleep = await home.manager.create(), await home.manager.create()
        await home.say(live.id, "hello")
        viewers = [Viewer(home.manager.screen_updates(session.id)) for session in (live, asleep)]
        for viewer in viewers:
            await viewer.next()
        waiting = [asyncio.ensure_future(anext(viewer.updates)) for viewer in viewers]
        await asyncio.sleep(0)
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), TIMEOUT)
    assert all(isinstance(result, StopAsyncIteration) for result in results), results


async def test_only_the_owner_sees_the_screen(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create(owner="ada")
        with pytest.raises(SessionNotFoundError):
            await anext(home.manager.screen_updates(session.id, owner="bob"))
        with pytest.raises(ValueError, match="max_rate"):
            await anext(home.manager.screen_updates(session.id, owner="ada", max_rate=0))


async def test_viewers_that_leave_are_not_kept(demo_house: Make) -> None:
    async with demo_house(config=COLD) as home:
        session = await home.manager.create()
        await home.say(session.id, "hello")
        agent: Any = home.manager.loaded()[0].live.agent
        for _ in range(3):
            waiting = asyncio.ensure_future(agent.wait_for_screen(agent.screen_version))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert agent._screen_waiters == []
        version = agent.screen_version
        assert await agent.wait_for_screen(version - 1) == version
        waiting = asyncio.ensure_future(agent.wait_for_screen(version))
        await home.manager.resize(session.id, columns=100, lines=30)
        assert await asyncio.wait_for(waiting, TIMEOUT) > version
        await home.manager.hibernate(session.id)
        with pytest.raises(AgentGoneError):
            await agent.wait_for_screen(agent.screen_version)


async def test_the_number_of_the_newest_event_is_told(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create()
        end = await home.say(session.id, "hello")
        await home.manager.hibernate(session.id)
        told = (await home.manager.get(session.id)).last_seq
        assert told is not None
        assert told >= end["seq"]
    async with demo_house() as home:
        assert (await home.manager.list_sessions()).sessions[0].last_seq is None
        assert ((await home.manager.get(session.id)).last_seq or 0) >= told
