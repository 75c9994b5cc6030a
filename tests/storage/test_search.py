"""Searching for sessions: in any script, on both databases, with nothing that means anything but itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from qpty.storage import migrations, writes
from qpty.storage.rows import SessionCursor
from tests.storage.rows import session

if TYPE_CHECKING:
    from tests.storage.conftest import Opened


@pytest.mark.parametrize(
    ("title", "search"),
    [
        ("Fix the PARSER", "the parser"),
        ("École à Zürich", "éCOLE À zür"),
        ("Ещё Один ТЕСТ", "ещё один"),
        ("数据库迁移 Ｄａｔａ", "迁移 data"),
        ("straße", "STRASSE"),
        ("100% sure_thing", "0% sure_"),
        ("a\\b/c", "\\b/"),
        ("two\n  lines", "two lines"),
        ("e\u0301t\u00e9", "\u00c9TE\u0301"),
        ("nul \0 and \ud800 half", "\0 AND \ud800"),
    ],
)
async def test_a_title_is_found(empty: str, opened: Opened, title: str, search: str) -> None:
    database = await opened(empty)
    others = ("Fix the lexer", "100 sure things", "a-b-c", "ab", "10_ sureXthing", None)
    rows = [session(f"other{number}", title=other) for number, other in enumerate(others)]
    await database.writer.write(*(writes.insert_session(row) for row in [*rows, session("s", title=title)]))
    found = await database.sessions(owner=None, limit=10, after=None, search=search)
    assert [row.title for row in found] == [title]


async def test_a_search_is_true_to_the_newest_title(empty: str, opened: Opened) -> None:
    database = await opened(empty)
    await database.writer.write(writes.insert_session(session("s", title="First")))
    await database.writer.write(writes.update_session("s", title="Second"))
    await database.writer.write(writes.update_session("s", message_count=9))
    assert await database.sessions(owner=None, limit=10, after=None, search="first") == []
    (found,) = await database.sessions(owner=None, limit=10, after=None, search="SECOND")
    assert found.message_count == 9
    await database.writer.write(writes.update_session("s", title=None))
    assert await database.sessions(owner=None, limit=10, after=None, search="second") == []
    assert len(await database.sessions(owner=None, limit=10, after=None, search=" \n")) == 1


async def test_pages_of_a_search_have_each_one_once(empty: str, opened: Opened) -> None:
    database = await opened(empty)
    rows = [
        session(f"s{number}", title=f"{'Heron' if number % 3 else 'stork'} {number}", last_activity=float(number // 2))
        for number in range(20)
    ]
    await database.writer.write(*map(writes.insert_session, rows))
    found: list[str] = []
    after = None
    while page := await database.sessions(owner="local", limit=3, after=after, search="heron"):
        found += [row.id for row in page]
        after = SessionCursor.of(page[-1])
    wanted = sorted((row for row in rows if "Heron" in (row.title or "")), key=lambda row: (-row.last_activity, row.id))
    assert found == [row.id for row in wanted]


async def test_titles_from_before_are_found(blank: str, opened: Opened) -> None:
    url = blank.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(migrations.upgrade, migrations.load_versions(), to="m001")
        await connection.execute(
            text(
                "INSERT INTO sessions (id, owner, created_at, last_activity, profile, columns, lines, message_count, "
                "journal_floor, title) VALUES ('s1', 'me', 1, 2, '{}', 80, 24, 0, 0, :title), "
                "('s2', 'me', 1, 2, '{}', 80, 24, 0, 0, NULL)"
            ),
            {"title": "ÉCOLE"},
        )
    await engine.dispose()
    database = await opened(blank)
    (found,) = await database.sessions(owner="me", limit=10, after=None, search="école")
    assert (found.id, found.title) == ("s1", "ÉCOLE")
