"""The past without what its complete text repeats."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from qpty.server.compacting import compacted
from qpty.sessions.journal import JournalEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

Told = tuple[str, int, str]
"""The type, the segment and the text of an event."""


def events_of(told: Sequence[Told]) -> list[JournalEvent]:
    """A journal of one turn."""
    return [
        JournalEvent(
            seq, kind, json.dumps({"seq": seq, "type": kind, "turn_id": "t", "segment": segment, "text": text})
        )
        for seq, (kind, segment, text) in enumerate(told, 1)
    ]


async def read(events: Sequence[JournalEvent], past: int) -> list[JournalEvent]:
    """What a reader gets of a journal, whose past ends with a number."""

    async def source() -> AsyncIterator[JournalEvent]:
        for event in events:
            yield event

    return [event async for event in compacted(source(), past=past)]


def brief(events: Sequence[JournalEvent]) -> list[tuple[int | None, str, str]]:
    """Numbers, types and texts."""
    return [(event.seq, event.type, event.data["text"]) for event in events]


async def test_deltas_of_a_completed_segment_are_left_out() -> None:
    told = [("message.delta", 0, "a"), ("message.delta", 0, "b"), ("message.completed", 0, "ab"), ("notice", 0, "n")]
    found = await read(events_of(told), past=4)
    assert brief(found) == [(3, "message.completed", "ab"), (4, "notice", "n")]


async def test_an_open_segment_comes_as_one_delta_and_then_as_it_is_said() -> None:
    told = [("message.delta", 1, "a"), ("message.delta", 1, "b"), ("message.delta", 1, "c"), ("message.delta", 1, "d")]
    found = await read(events_of(told), past=2)
    assert brief(found) == [(2, "message.delta", "ab"), (3, "message.delta", "c"), (4, "message.delta", "d")]


async def test_text_that_never_was_completed_is_kept() -> None:
    told = [("message.delta", 0, "a"), ("message.delta", 0, "b"), ("turn.failed", 0, "")]
    assert brief(await read(events_of(told), past=3)) == [(2, "message.delta", "ab"), (3, "turn.failed", "")]


KINDS = st.tuples(
    st.sampled_from(["message.delta", "message.delta", "message.delta", "message.completed", "notice", "turn.failed"]),
    st.integers(0, 2),
    st.text("xyz", max_size=3),
)


@given(st.lists(KINDS, max_size=30), st.integers(0, 40))
async def test_nothing_else_is_lost_and_the_order_stays(told: list[Told], past: int) -> None:
    events = events_of(told)
    past = min(past, len(events))
    found = await read(events, past)
    numbers = [event.seq for event in found]
    assert numbers == sorted(set(numbers), key=lambda seq: seq or 0)
    assert [event for event in found if event.type != "message.delta"] == [
        event for event in events if event.type != "message.delta"
    ]
    assert [event for event in found if (event.seq or 0) > past] == events[past:]
    if events and past:
        assert past in numbers or events[past - 1].type == "message.delta"
    # Whoever puts texts together, a completed one over its deltas, has the same in the end.
    assert texts(found) == texts(events)


def texts(events: Sequence[JournalEvent]) -> dict[int, str]:
    """The segments' texts, as a reader has them at the end."""
    found: dict[int, str] = {}
    for event in events:
        if event.type == "message.delta":
            found[event.data["segment"]] = found.get(event.data["segment"], "") + event.data["text"]
        elif event.type == "message.completed":
            found[event.data["segment"]] = event.data["text"]
    return found
