"""Every read and every write, on both databases."""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from qpty.storage import queries, writes
from qpty.storage.database import Database
from qpty.storage.errors import StorageFailedError, StorageOpenError, StorageUrlError, WriterClosedError
from qpty.storage.rows import AccountUseRow, SessionCursor
from tests.storage.rows import message, session, turn

if TYPE_CHECKING:
    from pathlib import Path

    from tests.storage.conftest import Opened
    from tests.storage.server import Server


async def sessions_with_activity(database: Database, *rows: tuple[str, str, float]) -> None:
    await database.writer.write(
        *(writes.insert_session(session(name, owner=owner, last_activity=activity)) for name, owner, activity in rows)
    )


async def test_a_session_comes_back_as_it_was_written(database: Database) -> None:
    full = session()
    bare = session("s2", directory=None, account=None, title=None, parent_id=None, record_mark=None, profile={})
    await database.writer.write(writes.insert_session(full), writes.insert_session(bare))
    assert await database.session("s1") == full
    assert await database.session("s2") == bare
    assert await database.session("s3") is None


async def test_a_session_is_changed_in_the_fields_that_are_given(database: Database) -> None:
    await database.writer.write(writes.insert_session(session()))
    await database.writer.write(writes.update_session("s1", title=None, message_count=4, profile={"model": "other"}))
    assert await database.session("s1") == session(title=None, message_count=4, profile={"model": "other"})


@pytest.mark.parametrize("changes", [{}, {"id": "s2"}, {"nonsense": 1}, {"title": "x", "nonsense": 1}])
def test_a_change_of_no_field_or_an_unknown_one_is_refused_at_once(changes: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="fields of SessionRow"):
        writes.update_session("s1", **changes)


async def test_sessions_are_paged_by_latest_activity(database: Database) -> None:
    await sessions_with_activity(
        database, ("b", "me", 5.0), ("a", "me", 5.0), ("c", "me", 7.0), ("x", "you", 6.0), ("d", "me", 1.0)
    )
    pages, after = [], None
    while page := await database.sessions(owner="me", limit=2, after=after):
        pages.append([row.id for row in page])
        after = SessionCursor.of(page[-1])
    assert pages == [["c", "a"], ["b", "d"]]
    assert [row.id for row in await database.sessions(owner=None, limit=3, after=None)] == ["c", "x", "a"]
    assert (await database.count_sessions(owner="me"), await database.count_sessions(owner=None)) == (4, 5)
    assert await database.count_sessions(owner="nobody") == 0


async def test_a_session_that_is_being_deleted_is_listed_apart(database: Database) -> None:
    await sessions_with_activity(database, ("a", "me", 5.0), ("b", "me", 6.0))
    await database.writer.write(writes.update_session("a", deleted_at=9.0))
    assert [row.id for row in await database.sessions(owner="me", limit=9, after=None)] == ["b"]
    assert [row.id for row in await database.sessions(owner=None, limit=9, after=None, deleted=True)] == ["a"]
    assert await database.count_sessions(owner="me") == 1
    assert await database.session("a") == session("a", owner="me", last_activity=5.0, deleted_at=9.0)


async def test_idle_sessions_are_paged_from_the_oldest(database: Database) -> None:
    await sessions_with_activity(database, ("a", "me", 5.0), ("b", "me", 5.0), ("c", "me", 1.0), ("d", "me", 8.0))
    pages, after = [], None
    while page := await database.idle_sessions(before=8.0, after=after, limit=2):
        pages.append([row.id for row in page])
        after = SessionCursor.of(page[-1])
    assert [name for page in pages for name in page] == ["c", "b", "a"]


CURSOR = SessionCursor(last_activity=5.0, id="a")


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (queries.session_page("me", 50, None, deleted=False), "ix_sessions_owner_activity"),
        (queries.session_page("me", 50, CURSOR, deleted=False), "ix_sessions_owner_activity"),
        (queries.session_page(None, 50, None, deleted=False), "ix_sessions_activity"),
        (queries.session_page(None, 50, CURSOR, deleted=False), "ix_sessions_activity"),
        (queries.session_count("me"), "ix_sessions_owner_activity"),
        (queries.idle_sessions(5.0, None, 50), "ix_sessions_activity"),
        (queries.idle_sessions(5.0, CURSOR, 50), "ix_sessions_activity"),
        (queries.unfinished_turns(), "ix_turns_unfinished"),
        (queries.turns_of("s1", None, 3, 50), "sqlite_autoindex_turns"),
        (queries.last_turn("s1"), "sqlite_autoindex_turns"),
        (queries.messages_of("s1", 3, 50, newest=True), "sqlite_autoindex_messages"),
        (queries.prompt_of("t1"), "ix_messages_turn_id"),
        (queries.journal_bounds("s1"), "journal_1"),
        (queries.account_use_since("a", "2026-01-01"), "sqlite_autoindex_account_use"),
    ],
)
async def test_a_page_is_read_from_an_index_in_its_order(
    tmp_path: Path, opened: Opened, query: queries.Query, index: str
) -> None:
    database = await opened(f"sqlite:///{tmp_path}/qpty.db")
    literal = query.compile(dialect=sqlite_dialect(), compile_kwargs={"literal_binds": True})
    async with database._readers.connect() as connection:
        plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {literal}")).all()
    steps = [str(detail) for *_, detail in plan]
    assert any(index in step for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps
    assert not any(step.startswith("SCAN ") and "INDEX" not in step for step in steps), steps


async def test_known_ids_are_those_with_a_row(database: Database) -> None:
    await sessions_with_activity(database, ("a", "me", 5.0), ("b", "me", 5.0))
    wanted = ["b", *(f"none{number}" for number in range(2000)), "a"]
    assert await database.known_ids(wanted) == {"a", "b"}
    assert await database.known_ids([]) == set()


async def test_turns_come_back_by_position_and_state(database: Database) -> None:
    rows = [
        turn("t1"),
        turn("t2", position=2, state="failed", usage=None, timings=None, retryable=False),
        turn("t3", position=3, state="running", stop_reason=None, retryable=None, ended_at=None),
        turn("t4", position=4, state="queued", started_seq=None, ended_seq=None),
    ]
    await database.writer.write(writes.insert_session(session()), *map(writes.insert_turn, reversed(rows)))
    assert await database.turns("s1") == rows
    assert await database.turns("s1", after_position=1, limit=2) == rows[1:3]
    assert await database.turns("s1", states={"failed", "queued"}) == [rows[1], rows[3]]
    assert await database.turns("s1", states=()) == []
    assert await database.turns("s2") == []
    assert await database.turn("t2") == rows[1]
    assert await database.turn("t5") is None
    assert (await database.last_turn("s1"), await database.last_turn("s2")) == (4, 0)


async def test_a_turn_is_changed_in_the_fields_that_are_given(database: Database) -> None:
    await database.writer.write(writes.insert_session(session()), writes.insert_turn(turn(state="running")))
    await database.writer.write(writes.update_turn("t1", state="failed", retryable=None, usage={"model_calls": 3}))
    assert await database.turn("t1") == turn(state="failed", retryable=None, usage={"model_calls": 3})


async def test_unfinished_turns_are_found_over_all_sessions(database: Database) -> None:
    await sessions_with_activity(database, ("s2", "me", 1.0), ("s1", "you", 2.0))
    await database.writer.write(
        writes.insert_turn(turn("a", "s2", state="queued")),
        writes.insert_turn(turn("b", "s1", state="queued", position=3)),
        writes.insert_turn(turn("c", "s1", state="running", position=2)),
        writes.insert_turn(turn("d", "s1", state="completed", position=1)),
        writes.insert_turn(turn("e", "s1", state="failed", position=4)),
    )
    assert [row.id for row in await database.unfinished_turns()] == ["c", "b", "a"]


async def test_messages_come_back_in_order_from_either_end(database: Database) -> None:
    rows = [message(f"m{n}", position=n, role="user" if n % 2 else "assistant") for n in range(1, 6)]
    rows[2] = replace(rows[2], tools=None, exact=False, text="")
    await database.writer.write(writes.insert_session(session()), *map(writes.insert_message, rows))
    assert await database.messages("s1") == rows
    assert await database.messages("s1", after_position=2, limit=2) == rows[2:4]
    assert await database.messages("s1", newest=True, limit=2) == rows[3:]
    assert await database.messages("s1", newest=True, after_position=4) == rows[4:]
    assert await database.message("m3") == rows[2]
    assert await database.message("m9") is None


async def test_the_messages_before_an_event_are_those_that_its_forerunners_told_of(database: Database) -> None:
    await database.writer.write(
        writes.insert_session(session()),
        writes.insert_turn(turn("t1", position=1, started_seq=1, ended_seq=5)),
        writes.insert_turn(turn("t2", position=2, started_seq=6, ended_seq=9)),
        writes.insert_message(message("ask1", turn_id="t1", position=1)),
        writes.insert_message(message("answer1", turn_id="t1", position=2, role="assistant")),
        writes.insert_message(message("ask2", turn_id="t2", position=3)),
        writes.insert_message(message("answer2", turn_id="t2", position=4, role="assistant")),
    )

    async def before(seq: int, limit: int = 9) -> list[str]:
        return [row.id for row in await database.messages_before("s1", seq=seq, limit=limit)]

    assert await before(1) == []
    assert await before(3) == ["ask1"]
    assert await before(8) == ["ask1", "answer1", "ask2"]
    assert await before(10, limit=2) == ["ask2", "answer2"]
    prompt = await database.prompt_of("t2")
    assert prompt is not None
    assert prompt.id == "ask2"


async def test_a_seed_is_kept_replaced_and_deleted(database: Database) -> None:
    await database.writer.write(writes.insert_session(session()))
    assert await database.seed("s1") is None
    await database.writer.write(writes.put_seed("s1", '{"history": []}'))
    await database.writer.write(writes.put_seed("s1", "{}\x00"))
    assert await database.seed("s1") == "{}\x00"
    await database.writer.write(writes.delete_seed("s1"))
    assert await database.seed("s1") is None


async def test_an_accounts_use_adds_up_by_day(database: Database) -> None:
    add = writes.add_account_use
    await database.writer.write(
        add("a", "2026-01-01", turns=1, model_calls=2, prompt_characters=10, answer_characters=20),
        add("a", "2026-01-02", turns=1),
        add("b", "2026-01-01", turns=7),
    )
    await database.writer.write(add("a", "2026-01-01", turns=1, failed_turns=1, answer_characters=2**33))
    first = AccountUseRow(
        account="a",
        day="2026-01-01",
        turns=2,
        failed_turns=1,
        model_calls=2,
        prompt_characters=10,
        answer_characters=20 + 2**33,
    )
    found = await database.account_use("a", since_day="2026-01-01")
    assert found[0] == first
    assert [row.day for row in found] == ["2026-01-01", "2026-01-02"]
    assert await database.account_use("a", since_day="2026-01-03") == []


async def test_events_are_read_after_a_number_and_within_bounds(database: Database) -> None:
    await database.writer.write(writes.insert_session(session()), writes.insert_session(session("s2")))
    await database.writer.write(
        writes.append_events([("s1", 1, "one"), ("s2", 1, "other"), ("s1", 2, "two"), ("s1", 3, "três"), ("s1", 4, "")])
    )
    everything = [(1, "one"), (2, "two"), (3, "três"), (4, "")]
    assert await database.events("s1", after=0) == everything
    assert await database.events("s1", after=2) == everything[2:]
    assert await database.events("s1", after=4) == []
    assert await database.events("s1", after=0, limit=3) == everything[:3]
    assert await database.events("s1", after=0, max_bytes=6) == everything[:2]
    assert await database.events("s1", after=0, max_bytes=10) == everything[:2]
    assert await database.events("s1", after=0, max_bytes=11) == everything  # bytes, not characters: ê has two
    assert await database.events("s1", after=0, max_bytes=1) == everything[:1]
    assert await database.journal_bytes("s1") == 11
    assert await database.journal_bytes("s3") == 0


async def test_the_last_number_is_known_even_if_all_events_were_trimmed(database: Database) -> None:
    assert await database.journal_bounds("s1") == (1, 0)
    await database.writer.write(writes.insert_session(session()))
    assert await database.journal_bounds("s1") == (1, 0)
    await database.writer.write(writes.append_events(("s1", seq, "body") for seq in range(1, 11)))
    assert await database.journal_bounds("s1") == (1, 10)
    await database.writer.write(writes.trim_journal("s1", 4))
    assert await database.journal_bounds("s1") == (4, 10)
    await database.writer.write(writes.trim_journal("s1", 11))
    assert await database.journal_bounds("s1") == (11, 10)
    await database.writer.write(writes.trim_journal("s1", 3))  # forgets nothing that is gone already
    assert await database.journal_bounds("s1") == (11, 10)
    await database.writer.write(writes.append_events([("s1", 11, "body")]))
    assert await database.journal_bounds("s1") == (11, 11)


async def test_a_journal_is_cut_at_the_end_of_a_turn_where_that_keeps_enough(database: Database) -> None:
    await database.writer.write(
        writes.insert_session(session()),
        writes.insert_turn(turn("t1", position=1, ended_seq=12)),
        writes.insert_turn(turn("t2", position=2, ended_seq=19)),
        writes.append_events(("s1", seq, "12345") for seq in range(1, 21)),
    )
    assert await database.journal_cut("s1", max_events=20, max_bytes=100, last_seq=20) == 0
    assert await database.journal_cut("s1", max_events=10, max_bytes=100, last_seq=20) == 13
    assert await database.journal_cut("s1", max_events=20, max_bytes=50, last_seq=20) == 13
    assert await database.journal_cut("s1", max_events=6, max_bytes=100, last_seq=20) == 15


async def test_a_deleted_session_leaves_nothing_and_takes_nothing_of_others(database: Database) -> None:
    for name in ("s1", "s2"):
        await database.writer.write(
            writes.insert_session(session(name)),
            writes.insert_turn(turn(f"t-{name}", name, state="queued")),
            writes.insert_message(message(f"m-{name}", name)),
            writes.put_seed(name, "seed"),
            writes.append_events([(name, 1, "body")]),
        )
    await database.writer.write(writes.delete_session("s1"))
    assert await database.session("s1") is None
    assert await database.turn("t-s1") is None
    assert await database.message("m-s1") is None
    assert await database.seed("s1") is None
    assert await database.events("s1", after=0) == []
    assert [row.id for row in await database.unfinished_turns()] == ["t-s2"]
    assert await database.events("s2", after=0) == [(1, "body")]


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(writes.insert_turn(turn(session_id="none")), id="a turn of no session"),
        pytest.param(writes.append_events([("none", 1, "body")]), id="an event of no session"),
        pytest.param(writes.append_events([("s1", 1, "secret"), ("s1", 1, "secret")]), id="a number twice"),
        pytest.param(writes.insert_session(session(title="secret")), id="a session twice"),
        pytest.param(writes.insert_session(session("s2", title="secret", owner=None)), id="no owner"),
        pytest.param(writes.insert_session(session("s2", profile={"secret": float("nan")})), id="no JSON"),
        pytest.param(writes.insert_turn(turn("t", started_seq=2**70)), id="a number too big"),
    ],
)
async def test_what_cannot_be_written_is_refused_without_quoting_it(database: Database, write: writes.Write) -> None:
    await database.writer.write(writes.insert_session(session()))
    with pytest.raises(StorageFailedError) as caught:
        await database.writer.write(write)
    assert not caught.value.retryable
    assert caught.value.detail
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert await database.session("s1") == session()


async def test_everything_is_there_after_closing_and_opening_again(empty: str, opened: Opened) -> None:
    first = await Database.open(empty)
    await first.writer.write(writes.insert_session(session()), writes.append_events([("s1", 1, "body")]))
    await first.close()
    with pytest.raises(WriterClosedError):
        await first.writer.write(writes.delete_session("s1"))
    second = await opened(empty)
    assert await second.session("s1") == session()
    assert await second.events("s1", after=0) == [(1, "body")]


async def test_two_may_open_a_blank_database_at_once(blank: str, opened: Opened) -> None:
    one, other = await asyncio.gather(opened(blank), opened(blank))
    await one.writer.write(writes.insert_session(session()))
    assert await other.session("s1") == session()


async def test_reads_go_on_while_one_is_cancelled(database: Database) -> None:
    await sessions_with_activity(database, *((f"s{n}", "me", float(n)) for n in range(50)))
    for _ in range(20):
        reading = asyncio.create_task(database.sessions(owner="me", limit=50, after=None))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    pages = await asyncio.gather(*(database.sessions(owner="me", limit=50, after=None) for _ in range(20)))
    assert {len(page) for page in pages} == {50}


async def test_a_sqlite_file_is_its_owners_only(tmp_path: Path, opened: Opened) -> None:
    database = await opened(f"sqlite+aiosqlite:///{tmp_path}/a %#ü.db")
    await database.writer.write(writes.insert_session(session()))
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in os.scandir(tmp_path)}
    assert modes == dict.fromkeys(["a %#ü.db", "a %#ü.db-wal", "a %#ü.db-shm"], 0o600)


async def test_a_reader_of_sqlite_cannot_write(tmp_path: Path, opened: Opened) -> None:
    database = await opened(f"sqlite:///{tmp_path}/qpty.db")
    async with database._readers.connect() as connection:
        with pytest.raises(database._backend.errors, match="readonly"):
            await connection.exec_driver_sql("DELETE FROM sessions")


async def test_reads_survive_a_server_that_dropped_their_connections(postgres: Server, opened: Opened) -> None:
    url = await postgres.create()
    database = await opened(url)
    await database.writer.write(writes.insert_session(session()))
    assert await database.session("s1") == session()
    await postgres.end_connections(url)
    assert await database.session("s1") == session()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "qpty.db",
        "/var/lib/qpty.db",
        "mysql://user:pa55word@host/name",
        "postgresql+psycopg://user:pa55word@host/name",
        "postgresql://user:pa55word@host:port/name",
        "postgresql://user:pa55word@host/name?nonsense=1",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:name?mode=memory",
        "sqlite:////tmp/qpty.db?cache=shared",
        "sqlite://host/qpty.db",
    ],
)
async def test_a_url_that_cannot_be_used_is_named_without_its_password(url: str) -> None:
    with pytest.raises(StorageUrlError) as caught:
        await Database.open(url)
    assert "pa55word" not in str(caught.value)
    assert "pa55word" not in caught.value.url


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageOpenError, match="no directory"):
        await Database.open(f"sqlite:///{tmp_path}/missing/qpty.db")


async def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "qpty.db"
    file.write_text("A letter to a friend, by no means a database. " * 40)
    with pytest.raises(StorageOpenError, match="SQLITE_NOTADB"):
        await Database.open(f"sqlite:///{file}")
    assert file.read_text().startswith("A letter")


async def test_an_unreachable_server_is_named_without_the_password() -> None:
    with pytest.raises(StorageOpenError, match="Connect call failed") as caught:
        await Database.open("postgresql://user:pa55word@127.0.0.1:1/name")
    assert "pa55word" not in str(caught.value)
