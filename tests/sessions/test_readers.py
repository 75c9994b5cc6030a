"""Readers that are cut off, stall, or fall behind: nothing is missing, nothing comes twice, and nobody else notices."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from random import Random
from typing import TYPE_CHECKING

from qpty.sessions.config import SessionsConfig
from tests.crashes.processes import resident_kib
from tests.crashes.readers import read_in_pieces
from tests.crashes.workers import TRUSTING
from tests.sessions.house import COLD

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sessions.house import House

LIVE = {"QPTY_DEMO_PACE": "0.002"}
"""The demo types slowly enough for its answer to become many events."""

MEMORY_KIB = 20 << 10


async def test_readers_that_are_cut_off_anywhere_miss_nothing(demo_house: Callable[..., House]) -> None:
    async with demo_house(environment=LIVE) as home:
        crowd = await read_in_pieces(home, cuts=300, readers=10, random=Random(5))  # noqa: S311

    assert sum(reader.cuts for reader in crowd) >= 300
    assert [reader.problems for reader in crowd] == [[]] * 10
    assert [reader.resets for reader in crowd] == [[]] * 10


async def test_readers_of_a_journal_that_is_trimmed_get_a_reset_instead_of_a_gap(
    demo_house: Callable[..., House],
) -> None:
    config = SessionsConfig(warm_workers=0, journal_events=30)
    async with demo_house(environment=LIVE, config=config) as home:
        crowd = await read_in_pieces(home, cuts=300, readers=10, random=Random(6))  # noqa: S311

    assert [reader.problems for reader in crowd] == [[]] * 10
    assert any(reader.resets for reader in crowd)


async def test_a_reset_tells_what_was_said_before_the_events_that_are_kept(demo_house: Callable[..., House]) -> None:
    config = SessionsConfig(warm_workers=0, journal_events=30)
    async with demo_house(environment=LIVE, config=config) as home:
        session_id = (await home.manager.create()).id
        said = [f"echo {number} {'and so on ' * 10}".strip() for number in range(12)]
        ends = [await home.say(session_id, text) for text in said]

        async with aclosing(home.manager.events(session_id, after=1)) as events:
            reset = await anext(events)
            following = [await anext(events) for _ in range(ends[-1]["seq"] - reset.data["first_seq"] + 1)]

        assert reset.type == "journal.reset"
        assert reset.seq is None
        first = reset.data["first_seq"]
        assert [event.seq for event in following] == list(range(first, ends[-1]["seq"] + 1))
        told = [(message["role"], message["text"]) for message in reset.data["snapshot"]["messages"]]
        rest = [event.data for event in following if event.type in {"turn.started", "turn.completed"}]
        told += [("user" if event["type"] == "turn.started" else "assistant", event["text"]) for event in rest]
        assert told == [
            part for text, end in zip(said, ends, strict=True) for part in (("user", text), ("assistant", end["text"]))
        ]


async def test_stalled_readers_harm_nobody(demo_house: Callable[..., House]) -> None:
    async with demo_house(config=COLD) as home:
        session_id = (await home.manager.create(profile=TRUSTING)).id
        stalled = [home.manager.events(session_id) for _ in range(10)]
        normal = [asyncio.create_task(home.until(session_id, "turn.completed")) for _ in range(10)]
        turn = await home.manager.send(session_id, "bash seq 1 60000")
        first = [await anext(events) for events in stalled]
        before = resident_kib()

        end = await home.ended(turn)

        everything = [await task for task in normal]
        assert end["type"] == "turn.completed"
        assert resident_kib() - before <= MEMORY_KIB
        assert all(events == everything[0] for events in everything)
        printed = "".join(event["text"] for event in everything[0] if event["type"] == "tool.output")
        assert printed.split() == [str(number) for number in range(1, 60001)]
        for events, begun in zip(stalled, first, strict=True):  # they go on where they stopped
            rest = [begun.data]
            while rest[-1]["seq"] < everything[0][-1]["seq"]:
                rest.append((await anext(events)).data)
            assert rest == everything[0]
