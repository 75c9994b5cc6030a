"""The writer: one transaction for all that waits, in order, nothing lost, nothing twice, everybody answered."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from qpty.storage import sqlite, writer, writes
from qpty.storage.errors import StorageBusyError, StorageFailedError, WriterClosedError
from tests.storage.links import Spy, Waiting, spied, until
from tests.storage.rows import session, turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from qpty.storage.backend import Link, Outcome
    from qpty.storage.database import Database
    from tests.storage.conftest import Opened
    from tests.storage.server import Server

Watched = tuple["Database", Spy]


@pytest_asyncio.fixture
async def watched(empty: str) -> AsyncIterator[Watched]:
    """A database of either kind with session s1, and the watch on its writer."""
    database, spy = await spied(empty)
    await database.writer.write(writes.insert_session(session()))
    spy.commits = 0
    spy.log.clear()
    yield database, spy
    await database.close()


@pytest.fixture
def restful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that rests for minutes unless something is urgent."""
    monkeypatch.setattr(writer, "REST", 1e9)
    monkeypatch.setattr(writer, "REST_LIMIT", 600.0)


def event(seq: int, session_id: str = "s1") -> writes.Write:
    return writes.append_events([(session_id, seq, f"body {seq}")])


def use(turns: int = 1) -> writes.Write:
    return writes.add_account_use("a", "2026-01-01", turns=turns)


async def used(database: Database) -> int:
    return sum(row.turns for row in await database.account_use("a", since_day="2026-01-01"))


async def seqs(database: Database, session_id: str = "s1") -> list[int]:
    return [seq for seq, _ in await database.events(session_id, after=0)]


async def test_all_that_waits_shares_one_commit_and_appends_one_statement(watched: Watched) -> None:
    database, spy = watched
    names = [f"n{number}" for number in range(50)]
    await database.writer.write(*(writes.insert_session(session(name)) for name in names))
    spy.log.clear()
    sources = [Waiting().give(event(1, name), event(2, name)) for name in names]
    for source in sources:
        database.writer.wake(source, urgent=False)
        database.writer.wake(source, urgent=True)
    for source in sources:
        await source.answer()
    assert spy.commits == 2
    assert [len(entry) for entry in spy.log] == [100]
    assert {(source.done, len(source.takes)) for source in sources} == {(1, 1)}
    assert await seqs(database, "n7") == [1, 2]


@pytest.mark.usefixtures("restful")
async def test_the_writer_rests_until_something_is_urgent(watched: Watched) -> None:
    database, spy = watched
    lazy = Waiting().give(event(1))
    database.writer.wake(lazy, urgent=False)
    await database.session("s1")  # many turns of the loop
    assert (lazy.takes, spy.commits) == ([], 0)
    lazy.give(event(2))
    hasty = Waiting().give(event(3))
    database.writer.wake(hasty, urgent=True)
    await lazy.answer()
    assert (spy.commits, hasty.done) == (1, 1)
    database.writer.wake(lazy.give(event(4)), urgent=False)
    await database.writer.write(use())
    assert (spy.commits, lazy.done) == (2, 2)
    assert await seqs(database) == [1, 2, 3, 4]


async def test_a_single_event_of_an_idle_system_waits_for_nothing(
    empty: str, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await opened(empty)
    monkeypatch.setattr(writer, "REST_LIMIT", 600.0)
    lazy = Waiting().give(use())
    database.writer.wake(lazy, urgent=False)
    await lazy.answer()
    assert lazy.done == 1


@pytest.mark.usefixtures("restful")
async def test_writes_are_carried_out_in_order_of_arrival(watched: Watched) -> None:
    database, _ = watched
    first, second = Waiting(), Waiting()

    def title(text: str) -> writes.Write:
        return writes.update_session("s1", title=text)

    database.writer.wake(first.give(title("1"), event(1), title("2")), urgent=False)
    call = asyncio.create_task(database.writer.write(title("3"), title("4")))
    await asyncio.sleep(0)
    database.writer.wake(second.give(title("5")), urgent=False)
    last = asyncio.create_task(database.writer.write(event(2), title("6")))
    await asyncio.gather(call, last)
    log = [entry for entry in watched[1].log if not isinstance(entry, tuple)]
    assert [entry.executable.compile().params["title"] for entry in log] == ["1", "2", "3", "4", "5", "6"]
    row = await database.session("s1")
    assert row is not None
    assert row.title == "6"


@pytest.mark.usefixtures("restful")
async def test_appends_are_merged_but_not_behind_what_takes_them_away(watched: Watched) -> None:
    database, spy = watched
    await database.writer.write(writes.insert_session(session("s2")))
    sources = [
        Waiting().give(event(1), event(2), event(1, "s2"), use()),
        Waiting().give(event(3), writes.trim_journal("s1", 3), event(4)),
        Waiting().give(use(), event(2, "s2"), writes.delete_session("s2")),
        Waiting().give(event(5)),
    ]
    spy.log.clear()
    for source in sources:
        database.writer.wake(source, urgent=False)
    await database.writer.write()
    assert [source.done for source in sources] == [1] * 4
    assert spy.commits == 2
    assert [[row[1] for row in entry] for entry in spy.log if isinstance(entry, tuple)] == [[1, 2, 1, 3], [4, 2], [5]]
    assert await seqs(database) == [3, 4, 5]
    assert await seqs(database, "s2") == []


async def test_a_call_is_done_wholly_or_not_at_all(watched: Watched) -> None:
    database, _ = watched
    with pytest.raises(StorageFailedError):
        await database.writer.write(use(), event(1), writes.insert_turn(turn(session_id="none")))
    assert (await used(database), await seqs(database)) == (0, [])


@pytest.mark.usefixtures("restful")
async def test_what_cannot_be_written_hits_its_author_only(watched: Watched) -> None:
    database, _ = watched
    good, bad, also_good = (
        Waiting().give(event(1), use()),
        Waiting().give(use(100), event(1, "none")),
        Waiting().give(use()),
    )
    for source in (good, bad, also_good):
        database.writer.wake(source, urgent=False)
    answers = await asyncio.gather(
        database.writer.write(use()),
        database.writer.write(use(100), event(1)),
        database.writer.write(use(), event(2)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [type(None), StorageFailedError, type(None)]
    assert (good.done, bad.done, also_good.done) == (1, 0, 1)
    assert [type(error) for error in bad.refusals] == [StorageFailedError]
    assert good.refusals == also_good.refusals == []
    assert (await used(database), await seqs(database)) == (4, [1, 2])
    assert database.writer.failing is None


async def test_a_locked_database_is_waited_for(tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.01)
    database = await opened(f"sqlite:///{tmp_path}/qpty.db")
    await database.writer.write(writes.insert_session(session()))
    other = sqlite3.connect(tmp_path / "qpty.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = Waiting().give(event(1), use())
    database.writer.wake(waiting, urgent=False)
    call = asyncio.create_task(database.writer.write(event(2), use()))
    await until(lambda: database.writer.failing is not None)
    assert "SQLITE_BUSY" in (database.writer.failing or "")
    assert not call.done()
    assert await database.session("s1") == session()  # readers don't mind
    other.execute("ROLLBACK")
    other.close()
    await call
    assert database.writer.failing is None
    assert (waiting.done, await used(database), await seqs(database)) == (1, 2, [1, 2])


async def disk_full(_link: Link) -> None:
    raise OSError(28, "No space left on device")


async def test_a_commit_that_failed_is_repeated(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    database, spy = watched
    spy.instead.extend([disk_full, disk_full])
    await database.writer.write(event(1), use())
    assert (await used(database), await seqs(database), spy.commits) == (1, [1], 1)
    said = [record.message for record in caplog.records if record.name == "qpty.storage.writer"]
    assert len(said) == 2
    assert "No space left" in said[0]
    assert "again" in said[1]


async def lost_answer(link: Link) -> None:
    await link.commit()
    raise ConnectionResetError(104, "Connection reset by peer")


async def test_a_commit_whose_answer_was_lost_is_not_repeated(postgres: Server, request: pytest.FixtureRequest) -> None:
    url = await postgres.create()
    database, spy = await spied(url)
    await database.writer.write(writes.insert_session(session()))
    spy.instead.extend([lost_answer, None, lost_answer])
    for seq in (1, 2, 3):
        await database.writer.write(event(seq), use())
    assert (await used(database), await seqs(database)) == (3, [1, 2, 3])
    await database.close()


async def test_a_server_that_ends_the_writers_connection_loses_and_doubles_nothing(postgres: Server) -> None:
    url = await postgres.create()
    database, spy = await spied(url)
    await database.writer.write(writes.insert_session(session()))

    async def ended_before(link: Link) -> None:
        await postgres.end_connections(url)
        await link.commit()

    await postgres.end_connections(url)
    await database.writer.write(event(1), use())
    spy.instead.append(ended_before)
    await database.writer.write(event(2), use())
    assert (await used(database), await seqs(database)) == (2, [1, 2])
    await database.close()


async def test_a_commit_that_may_still_happen_is_waited_for(postgres: Server) -> None:
    url = await postgres.create()
    database, spy = await spied(url)
    await database.writer.write(writes.insert_session(session()))
    assert spy.spied is not None
    asked: list[str] = []

    def first_in_progress(witness: str) -> Outcome | None:
        asked.append(witness)
        return "in progress" if len(asked) == 1 else None

    spy.spied.on_outcome = first_in_progress
    spy.instead.append(lost_answer)
    await database.writer.write(event(1), use())
    assert len(asked) == 2
    assert (await used(database), await seqs(database)) == (1, [1])
    assert await spy.spied.real.outcome("999999999999") == "aborted"  # never given out
    await database.close()


async def test_a_cancelled_call_is_carried_out_wholly(watched: Watched) -> None:
    database, _ = watched
    call = asyncio.create_task(database.writer.write(event(1), use()))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await database.writer.write()
    assert (await used(database), await seqs(database)) == (1, [1])


async def test_only_so_many_calls_may_wait(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    database, spy = watched
    monkeypatch.setattr(writer, "WAITING_LIMIT", 2)
    go_on = asyncio.Event()

    async def held(link: Link) -> None:
        await go_on.wait()
        await link.commit()

    spy.instead.append(held)
    calls = [asyncio.create_task(database.writer.write(use())) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(StorageBusyError, match="limit 2"):
        await database.writer.write(use())
    go_on.set()
    await asyncio.gather(*calls)
    await database.writer.write(use())
    assert await used(database) == 3


class Broken(Waiting):
    def take(self) -> list[writes.Write]:
        raise ZeroDivisionError


async def test_a_source_that_raises_stops_nobody_else(watched: Watched) -> None:
    database, _ = watched
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
    database.writer.wake(Broken(), urgent=False)
    good = Waiting().give(event(1))
    database.writer.wake(good, urgent=True)
    await good.answer()
    assert good.done == 1
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


async def test_a_writer_that_stops_tells_everybody(watched: Watched) -> None:
    database, spy = watched
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
    assert spy.spied is not None

    source = Waiting().give(use())

    def broken() -> None:
        database.writer.wake(source, urgent=False)
        raise ZeroDivisionError

    spy.spied.on_rollback = broken
    spy.instead.append(disk_full)
    with pytest.raises(WriterClosedError, match="ZeroDivisionError"):
        await database.writer.write(event(1))
    await source.answer()
    assert [type(error) for error in source.refusals] == [WriterClosedError]
    with pytest.raises(WriterClosedError):
        database.writer.wake(source, urgent=False)
    with pytest.raises(WriterClosedError):
        await database.writer.write(event(1))
    assert "ZeroDivisionError" in (database.writer.failing or "")
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


@pytest.mark.usefixtures("restful")
async def test_closing_writes_what_waits(empty: str, opened: Opened) -> None:
    database, _ = await spied(empty)
    await database.writer.write(writes.insert_session(session()))
    source = Waiting().give(event(1))
    database.writer.wake(source, urgent=False)
    call = asyncio.create_task(database.writer.write(event(2)))
    await asyncio.sleep(0)
    await database.close()
    await call
    await database.close()
    assert source.done == 1
    with pytest.raises(WriterClosedError):
        database.writer.wake(source, urgent=True)
    assert await seqs(await opened(empty)) == [1, 2]


async def test_closing_a_database_that_takes_nothing_ends_and_tells_everybody(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, spy = watched
    monkeypatch.setattr(writer, "CLOSE_TIMEOUT", 0.2)
    spy.instead.extend([disk_full] * 100)
    call = asyncio.create_task(database.writer.write(event(1)))
    source = Waiting().give(event(2))
    await until(lambda: database.writer.failing is not None)
    database.writer.wake(source, urgent=False)
    with pytest.raises(StorageFailedError, match="No space left"):
        await database.close()
    with pytest.raises(WriterClosedError):
        await call
    assert [type(error) for error in source.refusals] == [WriterClosedError]


APPENDING = """
import asyncio, sys
from qpty.storage import writes
from qpty.storage.database import Database

async def main(url):
    database = await Database.open(url)
    for seq in range(1, 1_000_000):
        await database.writer.write(
            writes.append_events([("s1", seq, "body")]), writes.add_account_use("a", "2026-01-01", turns=1)
        )
        print(seq, flush=True)

asyncio.run(main(sys.argv[1]))
"""


async def test_what_was_acknowledged_is_there_after_kill_9(empty: str, opened: Opened) -> None:
    database = await opened(empty)
    await database.writer.write(writes.insert_session(session()))
    process = subprocess.Popen(  # noqa: ASYNC220 - read in step with its lines
        [sys.executable, "-c", APPENDING, empty], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(40)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    process.wait()
    process.stdout.close()
    found = await seqs(database)
    assert found[: len(acknowledged)] == acknowledged
    assert await used(database) == len(found) <= len(acknowledged) + 1
