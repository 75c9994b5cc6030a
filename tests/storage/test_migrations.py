"""Migrations: from blank and from the first schema to what the code has, and never past it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from qpty.storage import migrations, writes
from qpty.storage.database import Database
from qpty.storage.errors import SchemaTooNewError
from qpty.storage.tables import metadata
from tests.storage.rows import message, session, turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.storage.conftest import Opened

FIRST = "m001"


@pytest_asyncio.fixture
async def engine(blank: str) -> AsyncIterator[AsyncEngine]:
    """Direct access to a database without a schema."""
    url = blank.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(url)
    yield engine
    await engine.dispose()


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


async def assert_as_in_the_code(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_blank_database_gets_the_schema_of_the_code(blank: str, engine: AsyncEngine) -> None:
    await (await Database.open(blank)).close()
    await assert_as_in_the_code(engine)


async def test_the_migrated_indexes_are_those_of_the_code(blank: str, engine: AsyncEngine, kind: str) -> None:
    await (await Database.open(blank)).close()
    async with engine.begin() as connection:
        migrated = await connection.run_sync(_definitions, kind)
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
        assert await connection.run_sync(_definitions, kind) == migrated


def _definitions(connection: Connection, kind: str) -> dict[str, str]:
    query = {
        "sqlite": "SELECT name, replace(sql, '\"', '') FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    }[kind]
    found = {str(name): str(sql) for name, sql in connection.execute(text(query))}
    found.pop("alembic_version_pkc", None)
    return found


async def test_the_first_schema_becomes_that_of_the_code_and_keeps_its_rows(
    blank: str, engine: AsyncEngine, opened: Opened
) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(migrations.upgrade, migrations.load_versions(), to=FIRST)
        await connection.execute(
            text(
                "INSERT INTO sessions (id, owner, created_at, last_activity, profile, columns, lines, message_count, "
                "journal_floor) VALUES ('s1', 'me', 1, 2, '{\"a\": 1}', 80, 24, 0, 0)"
            )
        )
        await connection.execute(text("INSERT INTO journal (session_id, seq, body) VALUES ('s1', 1, 'body')"))
    await engine.dispose()
    database = await opened(blank)
    await assert_as_in_the_code(engine)
    row = await database.session("s1")
    assert row is not None
    assert (row.owner, row.last_activity, row.profile) == ("me", 2.0, {"a": 1})
    assert await database.events("s1", after=0) == [(1, "body")]
    await database.writer.write(writes.insert_turn(turn()), writes.insert_message(message()))


async def test_opening_again_changes_nothing(blank: str, opened: Opened) -> None:
    database = await opened(blank)
    await database.writer.write(writes.insert_session(session()))
    assert await (await opened(blank)).session("s1") == session()


async def test_a_schema_of_a_newer_qpty_is_refused_and_left_alone(blank: str, engine: AsyncEngine) -> None:
    await (await Database.open(blank)).close()
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'm999'"))
    with pytest.raises(SchemaTooNewError, match="newer qpty") as caught:
        await Database.open(blank)
    assert (caught.value.found, caught.value.newest) == ("m999", migrations.load_versions().get_current_head())
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all() == ["m999"]


async def test_a_migration_that_fails_leaves_the_schema_as_it_was(
    blank: str, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = migrations.load_versions()
    module = scripts.get_revision(FIRST).module
    upgrade = module.upgrade

    def fails_late(op: Any) -> None:
        upgrade(op=op)
        raise ZeroDivisionError

    monkeypatch.setattr(module, "upgrade", fails_late)
    monkeypatch.setattr(migrations, "load_versions", lambda: scripts)
    with pytest.raises(ZeroDivisionError):
        await Database.open(blank)
    async with engine.connect() as connection:
        assert await connection.run_sync(lambda c: inspect(c).get_table_names()) == []


def test_the_migrations_are_one_line_from_the_first_to_the_newest() -> None:
    scripts = migrations.load_versions()
    line = [script.revision for script in scripts.walk_revisions()][::-1]
    assert line == [f"m{number:03}" for number in range(1, len(line) + 1)]
    assert len(scripts.get_heads()) == 1
