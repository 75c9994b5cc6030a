"""The journal: numbers without gaps, only what is durable is seen, and bounds that never make a silent gap."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import groupby
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qpty.sessions import journal as journal_module
from qpty.sessions.errors import JournalFailedError
from qpty.sessions.journal import (
    JOINED,
    JOINED_CHARACTERS,
    PENDING_BYTES,
    TAIL_BYTES,
    TAIL_EVENTS,
    Journal,
    JournalEvent,
    timestamp,
)
from qpty.storage.database import Database
from qpty.storage.errors import StorageFailedError
from qpty.storage.rows import SessionRow, TurnRow
from qpty.storage.types import decode_text
from qpty.storage.writes import insert_session, insert_turn, update_session, update_turn
from tests.sessions.fake_agent import soon
from tests.sessions.house import COLD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from qpty.storage.writes import Write
    from tests.sessions.house import House

SESSION = "11111111-1111-4111-8111-111111111111"
TIMEOUT = 20.0
NOON = 1_790_000_000.25


def delta(text: str, *, turn: str = "t1", segment: int = 0) -> dict[str, Any]:
    return {"type": "message.delta", "turn_id": turn, "segment": segment, "text": text}


def output(text: str, *, tool: str = "w1", turn: str = "t1") -> dict[str, Any]:
    return {"type": "tool.output", "turn_id": turn, "tool_id": tool, "text": text}


def notice(text: str) -> dict[str, Any]:
    return {"type": "notice", "code": "n", "text": text}


async def told(first_seq: int) -> Mapping[str, Any]:
    return {"before": first_seq}


def make(database: Any, **options: Any) -> Journal:
    given: dict[str, Any] = {
        "first_seq": 1,
        "last_seq": 0,
        "snapshot": told,
        "max_events": 20_000,
        "max_bytes": 32 << 20,
        "clock": lambda: NOON,
    }
    return Journal(SESSION, database=cast("Database", database), **{**given, **options})


async def read(journal: Journal, *, after: int, up_to: int) -> list[JournalEvent]:
    """What a reader gets after a number up to another; no event may be missing, twice or without its number."""
    found: list[JournalEvent] = []
    async with asyncio.timeout(TIMEOUT), aclosing(cast("Any", journal.read(after))) as events:
        async for event in events:
            found.append(event)
            if event.seq is not None and event.seq >= up_to:
                break
    assert_unbroken(found, after=after)
    return found


async def follow(journal: Journal, seen: list[JournalEvent], *, after: int = 0) -> None:
    """Read for as long as the journal lives."""
    async for event in journal.read(after):
        assert event.seq is None or event.seq <= journal.durable_seq, "seen before it was durable"
        seen.append(event)  # one by one: the test looks at it meanwhile


def assert_unbroken(events: Sequence[JournalEvent], *, after: int) -> None:
    expected = after + 1
    for event in events:
        assert event.type == event.data["type"]
        if event.type == "journal.reset":
            expected = event.data["first_seq"]
            assert event.seq is None
            continue
        assert event.seq == event.data["seq"] == expected
        expected += 1


# -- a writer that commits when the test says


@dataclass
class HeldDatabase:
    """What a journal needs of a database, with a writer that commits when it is told to."""

    stored: list[tuple[int, str]] = field(default_factory=list)
    batches: list[list[Write]] = field(default_factory=list)
    woken: list[bool] = field(default_factory=list)
    reads: int = 0
    below: int = 0

    @property
    def writer(self) -> HeldDatabase:
        return self

    def wake(self, source: object, *, urgent: bool) -> None:
        self.woken.append(urgent)

    def take(self, journal: Journal) -> list[Write]:
        self.batches.append(list(journal.take()))
        return self.batches[-1]

    def commit(self, journal: Journal) -> None:
        """Carry out what was taken last."""
        for write in self.batches[-1]:
            self.stored += [(seq, decode_text(body)) for _, seq, body in write.events]
        journal.written()

    def write_all(self, journal: Journal) -> None:
        self.take(journal)
        self.commit(journal)

    async def write(self, *writes: Write) -> None:
        """Carry out a trim."""
        self.stored = [(seq, body) for seq, body in self.stored if seq >= self.below]

    async def events(self, session_id: str, *, after: int, limit: int, max_bytes: int) -> list[tuple[int, str]]:
        self.reads += 1
        await asyncio.sleep(0)
        return [(seq, body) for seq, body in self.stored if seq > after][:limit]

    async def journal_bytes(self, session_id: str) -> int:
        return sum(len(body) for _, body in self.stored)

    async def journal_cut(self, session_id: str, *, max_events: int, max_bytes: int, last_seq: int) -> int:
        self.below = last_seq - max_events + 1
        return self.below


def test_a_time_is_written_in_utc_with_milliseconds() -> None:
    assert timestamp(0.0625) == "1970-01-01T00:00:00.062Z"


async def test_nobody_sees_what_is_not_durable() -> None:
    database = HeldDatabase()
    journal = make(database)
    seen: list[JournalEvent] = []

    reader = asyncio.create_task(follow(journal, seen))
    assert journal.append(notice("one")) == 1
    await _settle()
    assert not seen
    database.take(journal)
    await _settle()
    assert not seen
    assert journal.append(notice("two")) == 2
    database.commit(journal)
    await soon(lambda: bool(seen))
    assert [event.data for event in seen] == [
        {"seq": 1, "type": "notice", "time": "2026-09-21T14:13:20.250Z", "code": "n", "text": "one"}
    ]
    assert (journal.durable_seq, journal.last_seq) == (1, 2)
    reader.cancel()


async def test_durable_waits_for_everything_before_it_and_for_writes_without_an_event() -> None:
    database = HeldDatabase()
    journal = make(database)
    await journal.durable()  # nothing was appended
    journal.also(update_session(SESSION, title="t"))
    waits = asyncio.create_task(journal.durable())
    await _settle()
    assert not waits.done()
    database.take(journal)
    journal.append(notice("later"))
    await _settle()
    assert not waits.done()
    database.commit(journal)
    await soon(waits.done)
    await waits


async def test_writes_go_with_the_event_they_belong_to() -> None:
    database = HeldDatabase()
    journal = make(database)
    journal.append(notice("first"))
    title = update_session(SESSION, title="second")
    journal.append(notice("second"))
    journal.also(title)
    events, also = database.take(journal)
    assert [seq for _, seq, _ in events.events] == [1, 2]
    assert also is title


# -- joined text


def _groups(appended: Sequence[tuple[int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """What is to be stored, if events with one number may only be neighbouring text of one place in one turn."""
    wanted: list[dict[str, Any]] = []
    for seq, group in groupby(appended, key=lambda item: item[0]):
        bodies = [body for _, body in group]
        common = {json_key: bodies[0].get(json_key) for json_key in ("type", "turn_id", "segment", "tool_id")}
        for body in bodies[1:]:
            assert body["type"] in JOINED
            assert {name: body.get(name) for name in common} == common, "joined across what must keep them apart"
        text = {"text": "".join(body["text"] for body in bodies)}
        wanted.append({"seq": seq, "time": timestamp(NOON), **bodies[0], **text})
    assert [body["seq"] for body in wanted] == list(range(1, len(wanted) + 1))
    return wanted


_TEXT = st.text(st.sampled_from('ab \n\x00\x1a"é字\ud83d\ude00'), max_size=6)
_EVENTS = st.one_of(
    st.builds(delta, _TEXT, turn=st.sampled_from(["t1", "t2"]), segment=st.integers(0, 1)),
    st.builds(output, _TEXT, turn=st.sampled_from(["t1", "t2"]), tool=st.sampled_from(["w1", "w2"])),
    st.builds(notice, _TEXT),
)
_STEPS = st.one_of(
    *[st.tuples(st.just("append"), _EVENTS)] * 6,
    st.tuples(st.just("also"), _EVENTS),
    st.tuples(st.just("take"), st.none()),
    st.tuples(st.just("written"), st.none()),
    st.tuples(st.just("read"), st.integers(0, 12)),
    st.tuples(st.just("let run"), st.integers(1, 3)),
    st.tuples(st.just("trim"), st.none()),
)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(_STEPS, min_size=20, max_size=80), tail=st.integers(1, 8))
def test_any_order_of_appending_writing_reading_and_trimming(steps: list[tuple[str, Any]], tail: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_module, "TAIL_EVENTS", tail)
        patch.setattr(journal_module, "PAGE_EVENTS", 3)
        patch.setattr(journal_module, "JOINED_CHARACTERS", 170)
        asyncio.run(_carry_out(steps))


async def _carry_out(steps: Sequence[tuple[str, Any]]) -> None:
    database = HeldDatabase()
    journal = make(database, max_events=6)
    appended: list[tuple[int, dict[str, Any]]] = []
    history: list[tuple[int, str]] = []
    together: list[tuple[int, Write]] = []
    readers: list[tuple[int, list[JournalEvent], asyncio.Task[None]]] = []
    taken = False

    def commit() -> None:
        history.extend((seq, decode_text(body)) for write in database.batches[-1] for _, seq, body in write.events)
        database.commit(journal)

    for step, value in [*steps, ("written", None), ("take", None), ("written", None)]:
        match step:
            case "append":
                appended.append((journal.append(value), value))
            case "also":
                write = update_session(SESSION, title=f"{len(together)}")
                appended.append((journal.append(value), value))
                journal.also(write)
                together.append((appended[-1][0], write))
            case "take" if not taken:
                database.take(journal)
                taken = True
            case "written" if taken:
                commit()
                taken = False
            case "read":
                seen: list[JournalEvent] = []
                readers.append((value, seen, asyncio.create_task(follow(journal, seen, after=value))))
            case "trim" if journal.excess():
                await journal.trim()
            case "let run":
                await _settle(value)
    journal.close()
    await soon(lambda: all(task.done() for _, _, task in readers))

    assert [JournalEvent(seq, "", body).data for seq, body in history] == _groups(appended)
    bodies = dict(history)
    for after, seen, task in readers:
        await task
        assert_unbroken(seen, after=after)
        assert all(bodies[event.seq] == event.body for event in seen if event.seq is not None)
        assert journal.last_seq == 0 or (seen and seen[-1].seq == journal.last_seq) or after == journal.last_seq
    for seq, write in together:
        (batch,) = (batch for batch in database.batches if write in batch)
        assert seq in [number for one in batch for _, number, _ in one.events], "not in the transaction of its event"


async def test_text_that_waits_is_joined_and_what_was_taken_is_not() -> None:
    database = HeldDatabase()
    journal = make(database)
    assert [journal.append(delta("a")), journal.append(delta("b"))] == [1, 1]
    database.take(journal)
    assert [journal.append(delta("c")), journal.append(delta("d")), journal.append(notice("n"))] == [2, 2, 3]
    assert journal.append(delta("e")) == 4
    database.commit(journal)
    database.write_all(journal)
    texts = [event.data["text"] for event in await read(journal, after=0, up_to=4)]
    assert texts == ["ab", "cd", "n", "e"]


async def test_joined_text_has_a_bound() -> None:
    journal = make(HeldDatabase())
    piece = "x" * 1_000
    numbers = [journal.append(delta(piece)) for _ in range(100)]
    longest = max(numbers.count(number) for number in numbers)
    assert 2 <= longest <= JOINED_CHARACTERS // len(piece) + 1


async def test_the_first_text_wakes_the_writer_at_once_and_the_next_does_not() -> None:
    database = HeldDatabase()
    journal = make(database)
    journal.append(delta("a"))
    database.write_all(journal)
    journal.append(delta("b"))
    database.write_all(journal)
    journal.append(delta("c", segment=1))
    database.write_all(journal)
    journal.append(notice("n"))
    assert database.woken == [True, False, True, True]


# -- bounds in memory


async def test_who_appends_too_much_waits_for_room() -> None:
    database = HeldDatabase()
    journal = make(database)
    await journal.room()
    while journal._pending_bytes <= PENDING_BYTES:
        journal.append(notice("x" * 10_000))
    waits = asyncio.create_task(journal.room())
    await _settle()
    assert not waits.done()
    database.take(journal)
    await _settle()
    assert not waits.done(), "what is only taken isn't written"
    database.commit(journal)
    await soon(waits.done)
    await waits


async def test_a_reader_that_stands_still_costs_no_memory() -> None:
    database = HeldDatabase()
    journal = make(database)
    reader = cast("Any", journal.read(0))
    journal.append(notice("first"))
    database.write_all(journal)
    assert (await anext(reader)).seq == 1
    for number in range(3_000):
        journal.append(notice(f"{number}" * 50))
        if number % 10 == 0:
            database.write_all(journal)
    database.write_all(journal)
    assert len(journal._tail) <= TAIL_EVENTS
    assert sum(len(body) for _, body in journal._tail) <= TAIL_BYTES
    assert (await anext(reader)).seq == 2  # from the database
    assert database.reads == 1
    await reader.aclose()


async def test_a_reader_that_keeps_up_needs_no_database() -> None:
    database = HeldDatabase()
    journal = make(database)
    for number in range(3 * TAIL_EVENTS):
        journal.append(notice(f"{number}"))
        database.write_all(journal)
        assert len(await read(journal, after=number, up_to=number + 1)) == 1
    assert database.reads == 0


# -- the end of a journal


async def test_discard_ends_readers_and_whoever_waits_for_durability() -> None:
    database = HeldDatabase()
    journal = make(database)
    journal.append(notice("kept"))
    database.write_all(journal)
    seen: list[JournalEvent] = []

    reader = asyncio.create_task(follow(journal, seen))
    journal.append(notice("never seen"))
    database.take(journal)
    waits = asyncio.create_task(journal.durable())
    await soon(lambda: len(seen) == 1)
    journal.discard()
    await soon(lambda: reader.done() and waits.done())
    database.commit(journal)
    assert journal.append(notice("nowhere")) == journal.last_seq
    journal.also(update_session(SESSION, title="nowhere"))
    assert not journal.take()
    assert len(seen) == 1
    assert [event async for event in journal.read(0)] == []


async def test_discard_lets_go_whoever_waits_for_room() -> None:
    journal = make(HeldDatabase())
    while journal._pending_bytes <= PENDING_BYTES:
        journal.append(notice("x" * 10_000))
    waits = asyncio.create_task(journal.room())
    await _settle()
    journal.discard()
    try:
        await soon(waits.done)
    finally:
        waits.cancel()


@pytest.mark.parametrize("unwritten", [False, True])
async def test_close_ends_readers_once_they_have_everything(unwritten: bool) -> None:
    database = HeldDatabase()
    journal = make(database)
    seen: list[JournalEvent] = []
    journal.append(notice("one"))
    database.write_all(journal)
    reader = asyncio.create_task(follow(journal, seen))
    await soon(lambda: len(seen) == 1)
    journal.append(notice("two"))
    if not unwritten:
        database.write_all(journal)
    journal.close()
    await _settle()
    if unwritten:
        database.write_all(journal)
    await soon(reader.done)
    assert [event.seq for event in seen] == [1, 2]


async def test_a_refused_batch_is_told_to_everybody_who_waits() -> None:
    database = HeldDatabase()
    journal = make(database)
    reader = asyncio.create_task(read(journal, after=0, up_to=1))
    while journal._pending_bytes <= PENDING_BYTES:
        journal.append(notice("x" * 10_000))
    waiting = [asyncio.create_task(journal.durable()), asyncio.create_task(journal.room())]
    await _settle()
    database.take(journal)
    error = StorageFailedError("a constraint", retryable=False)
    journal.refused(error)
    await soon(lambda: reader.done() and all(task.done() for task in waiting))
    for task in (reader, *waiting):
        failure = task.exception()
        assert isinstance(failure, JournalFailedError)
        assert failure.__cause__ is error
    with pytest.raises(JournalFailedError):
        await journal.durable()


async def test_nothing_is_written_after_a_refused_batch() -> None:
    database = HeldDatabase()
    journal = make(database)
    journal.append(notice("kept"))
    database.write_all(journal)
    journal.append(notice("refused"))
    database.take(journal)
    journal.refused(StorageFailedError("a constraint", retryable=False))
    journal.append(notice("after the gap"))
    database.write_all(journal)
    assert [seq for seq, _ in database.stored] == [1]
    assert journal.durable_seq == 1


# -- on a real database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    found = await Database.open(f"sqlite:///{tmp_path / 'qpty.db'}")
    row = SessionRow(id=SESSION, owner="o", created_at=1.0, last_activity=1.0, profile={}, columns=80, lines=24)
    await found.writer.write(insert_session(row))
    yield found
    await found.close()


async def test_the_database_has_what_readers_saw_with_any_characters(database: Database) -> None:
    journal = make(database)
    texts = ["\x00 nul", "\x1a0000 substitute", "lone \ud83d", "\ude00 halves", '"type":"forged"', "字é \u2028", ""]
    for text in texts:
        journal.append(notice(text))
    live = await read(journal, after=0, up_to=len(texts))
    assert [event.data["text"] for event in live] == texts
    assert {event.type for event in live} == {"notice"}
    again = make(database, last_seq=len(texts))  # has nothing in memory
    assert await read(again, after=0, up_to=len(texts)) == live


async def test_many_readers_from_anywhere_see_the_same(database: Database) -> None:
    """Ten readers join at random while 2,000 small events are written by the real writer, in its own time."""
    random = Random(4)  # noqa: S311
    journal = make(database)
    readers: list[tuple[int, asyncio.Task[list[JournalEvent]]]] = []
    last = 3_000  # more than there will be: they follow until the journal is closed
    kinds: Sequence[Callable[[], dict[str, Any]]] = (
        lambda: delta(random.choice("abc")),
        lambda: output(random.choice("abc") + "\n"),
        lambda: notice("n"),
    )
    text = ""
    for number in range(2_000):
        body = random.choice(kinds)()
        journal.append(body)
        text += body["text"]
        if number % 200 == 0:
            after = random.randrange(journal.last_seq + 1) if number else 0
            after = min(after, journal.durable_seq)
            readers.append((after, asyncio.create_task(read(journal, after=after, up_to=last))))
        if number % 7 == 0:
            await asyncio.sleep(0)
    await journal.durable()
    journal.close()
    seen = [(after, await reader) for after, reader in readers]
    everything = seen[0][1]
    assert seen[0][0] == 0
    assert "".join(event.data["text"] for event in everything) == text
    assert len(everything) == journal.last_seq
    for after, events in seen:
        assert events == everything[after:]
    assert await database.journal_bounds(SESSION) == (1, journal.last_seq)


async def test_a_reader_ahead_of_the_last_event_is_told_and_begins_again(database: Database) -> None:
    journal = make(database)
    for _ in range(3):
        journal.append(notice("n"))
    await journal.durable()
    reset, *rest = await read(journal, after=100, up_to=3)
    assert reset.data == {
        "type": "journal.reset",
        "time": timestamp(NOON),
        "first_seq": 1,
        "snapshot": {"before": 1},
    }
    assert [event.seq for event in rest] == [1, 2, 3]


async def _write_turns(journal: Journal, database: Database, *, turns: int, events: int, size: int = 10) -> list[int]:
    """Write turns of so many events with so much text; the numbers of their ends."""
    ends = []
    for position in range(1, turns + 1):
        name = f"turn {position}"
        row = TurnRow(id=name, session_id=SESSION, position=position, state="running", created_at=1.0)
        journal.also(insert_turn(row))
        for _ in range(events - 1):
            journal.append(notice("x" * size))
        ends.append(journal.append({"type": "turn.completed", "turn_id": name}))
        journal.also(update_turn(name, state="completed", ended_seq=ends[-1]))
        await journal.durable()
        await journal.room()
    return ends


async def test_what_is_kept_begins_with_a_whole_turn(database: Database) -> None:
    journal = make(database, max_events=100)
    ends = await _write_turns(journal, database, turns=30, events=9)
    assert journal.first_seq > 1
    assert journal.first_seq - 1 in ends
    kept = journal.last_seq - journal.first_seq + 1
    assert 50 <= kept <= 110
    assert await database.journal_bounds(SESSION) == (journal.first_seq, journal.last_seq)


async def test_a_turn_longer_than_the_bound_is_cut(database: Database) -> None:
    journal = make(database, max_events=50)
    await _write_turns(journal, database, turns=1, events=200)
    assert 45 <= journal.last_seq - journal.first_seq + 1 <= 55


async def test_bytes_are_bounded_too(database: Database) -> None:
    journal = make(database, max_bytes=20_000)
    await journal.measure()
    await _write_turns(journal, database, turns=20, events=5, size=1_000)
    assert 5_000 < await database.journal_bytes(SESSION) <= 22_000 + 5 * 1_200


async def test_the_bound_is_of_bytes_whatever_the_script(database: Database) -> None:
    journal = make(database, max_bytes=20_000)
    await journal.measure()
    for _ in range(40):
        journal.append(notice("字" * 300))
        await journal.durable()
        await journal.room()
        assert await database.journal_bytes(SESSION) <= 22_000 + 1_200


async def test_a_reader_behind_what_is_kept_is_told_where_it_goes_on(database: Database) -> None:
    journal = make(database, max_events=100)
    await _write_turns(journal, database, turns=30, events=9)
    for after in (0, journal.first_seq - 2):
        reset, first, *_ = await read(journal, after=after, up_to=journal.last_seq)
        assert reset.data["first_seq"] == first.seq == journal.first_seq
        assert reset.data["snapshot"] == {"before": journal.first_seq}
    assert (await read(journal, after=journal.first_seq - 1, up_to=journal.last_seq))[0].seq == journal.first_seq


async def test_a_reader_that_is_overtaken_by_a_trim_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands still in the middle of a page while what comes next is trimmed away."""
    monkeypatch.setattr(journal_module, "PAGE_EVENTS", 20)
    journal = make(database, max_events=100)
    for _ in range(300):
        journal.append(notice("n"))
    await journal.durable()
    reader = cast("Any", journal.read(0))
    seen = [await anext(reader) for _ in range(10)]
    await journal.trim()
    async with asyncio.timeout(TIMEOUT):
        while seen[-1].seq != 300:
            seen.append(await anext(reader))
    await reader.aclose()
    assert_unbroken(seen, after=0)
    assert [event.seq for event in seen if event.type != "journal.reset"] == [*range(1, 21), *range(201, 301)]
    assert [event.data["first_seq"] for event in seen if event.type == "journal.reset"] == [201]


async def test_a_page_that_was_trimmed_while_it_was_read_makes_no_gap(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trim falls between the reader's look at the bounds and the database's answer."""
    journal = make(database, max_events=100)
    for _ in range(300):
        journal.append(notice("n"))
    await journal.durable()
    fetch = database.events

    async def fetch_after_a_trim(session_id: str, **options: Any) -> list[tuple[int, str]]:
        await journal.trim()
        return await fetch(session_id, **options)

    monkeypatch.setattr(journal_module, "TAIL_EVENTS", 1)
    journal._tail.clear()
    monkeypatch.setattr(database, "events", fetch_after_a_trim)
    reset, first, *_ = await read(journal, after=0, up_to=300)
    assert reset.data["first_seq"] == first.seq == 201


async def test_a_journal_goes_on_where_the_last_server_ended(database: Database) -> None:
    journal = make(database, max_events=10)
    for _ in range(30):
        journal.append(notice("n"))
    await journal.durable()
    await journal.trim()
    first, last = await database.journal_bounds(SESSION)
    again = make(database, first_seq=first, last_seq=last)
    assert again.append(notice("n")) == 31
    reset, *events = await read(again, after=0, up_to=31)
    assert reset.data["first_seq"] == first == 21
    assert [event.seq for event in events] == list(range(21, 32))


async def test_events_that_the_database_refuses_are_told_as_such(database: Database) -> None:
    """Of a session that isn't in the database (any more); nobody else's writes fail with it."""
    stranger = Journal(
        "22222222-2222-4222-8222-222222222222",
        database=database,
        first_seq=1,
        last_seq=0,
        snapshot=told,
        max_events=10,
        max_bytes=1_000,
    )
    journal = make(database)
    stranger.append(notice("refused"))
    journal.append(notice("kept"))
    with pytest.raises(JournalFailedError) as refused:
        await asyncio.wait_for(stranger.durable(), TIMEOUT)
    assert isinstance(refused.value.__cause__, StorageFailedError)
    await asyncio.wait_for(journal.durable(), TIMEOUT)


async def test_a_sessions_journal_is_bounded_in_bytes(demo_house: Callable[..., House]) -> None:
    bound = 8_000
    async with demo_house(config=replace(COLD, journal_bytes=bound)) as house:
        info = await house.manager.create()
        for _ in range(8):
            await house.say(info.id, "x" * 2_000)
        assert await house.database.journal_bytes(info.id) <= 2 * bound


async def _settle(turns: int = 10) -> None:
    """Let everybody run who can, for some turns of the loop."""
    for _ in range(turns):
        await asyncio.sleep(0)
