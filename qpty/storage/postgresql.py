"""PostgreSQL 13 or newer, over asyncpg, for several machines or where there is one anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import asyncpg
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from qpty.storage import migrations
from qpty.storage.backend import READERS, EngineLink, Fault, driver_error
from qpty.storage.errors import StorageOpenError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.script import ScriptDirectory
    from sqlalchemy.ext.asyncio import AsyncEngine

    from qpty.storage.backend import Outcome
    from qpty.storage.writes import JournalRow

CONNECT_TIMEOUT: Final = 10.0
COMMAND_TIMEOUT: Final = 60.0
"""Seconds for one statement of ours: all are short, so the server, or the way to it, is gone by then."""

MIGRATION_TIMEOUT: Final = 600.0
"""Seconds for one statement of a migration, among them the wait for another process that migrates."""

OLDEST: Final = 130000
"""The oldest server: pg_xact_status() over 64-bit transaction ids came with 13."""

_MIGRATION_LOCK: Final = 0x71707479
"""The advisory lock that keeps other migrators out: "qpty"."""

# One statement and one message for any number of events, whose parsing and planning does not grow with them.
_APPEND: Final = (
    "INSERT INTO journal (session_id, seq, body) SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[])"
)

_RETRYABLE: Final = (
    "08",  # the connection
    "40",  # serialisation, deadlocks
    "53",  # disk full, out of memory, too many connections
    "55P03",  # lock not available
    "57",  # shutting down, starting up, cancelled
    "58",  # the system's errors
    "25006",  # read-only: a standby that has not taken over yet
)

_FROM_THE_FUTURE: Final = "22023"
"""invalid_parameter_value: what pg_xact_status() says to an id that was not given out yet."""

_SAFE: Final = (*_RETRYABLE, "28", "3D")
"""Errors whose messages speak of servers, users and files, never of the values of a statement."""


class PostgresqlBackend:
    """A database on a server."""

    errors: tuple[type[Exception], ...] = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

    def __init__(self, url: URL) -> None:
        self.url = url.set(drivername="postgresql").render_as_string(hide_password=True)
        query = dict(url.query)
        if "sslmode" in query:  # libpq's word, which is what providers write into their URLs; asyncpg says ssl
            query["ssl"] = query.pop("sslmode")
        self._url = url.set(drivername="postgresql+asyncpg", query=query)

    async def prepare(self, scripts: ScriptDirectory) -> None:
        """Check that the server will do, and migrate."""
        engine = self._engine(command_timeout=MIGRATION_TIMEOUT, poolclass=NullPool)
        try:
            async with engine.begin() as connection:
                version, encoding = (
                    await connection.execute(
                        text("SELECT current_setting('server_version_num')::int, current_setting('server_encoding')")
                    )
                ).one()
                if version < OLDEST:
                    raise StorageOpenError(self.url, f"PostgreSQL {version // 10000} is too old: use 13 or newer")
                if encoding != "UTF8":
                    raise StorageOpenError(self.url, f"its encoding is {encoding}: create it with ENCODING 'UTF8'")
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
                await connection.run_sync(migrations.upgrade, scripts)
        finally:
            await engine.dispose()

    def link(self) -> PostgresqlLink:
        """Return the writer's connection."""
        return PostgresqlLink(self._engine(poolclass=NullPool))

    def readers(self) -> AsyncEngine:
        """Return connections that can only read."""
        return self._engine(
            settings={"default_transaction_read_only": "on"},
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_size=READERS,
            max_overflow=0,
        )

    def fault(self, error: Exception) -> Fault:
        """Return what an error means. The server's messages quote rows, so most are left at their code and place."""
        cause = driver_error(error)
        disconnected = isinstance(error, DBAPIError) and error.connection_invalidated
        if isinstance(cause, asyncpg.PostgresError):
            code = cause.sqlstate or ""
            place = next((name for name in (cause.constraint_name, cause.column_name, cause.table_name) if name), None)
            said = cause.args[0] if code.startswith(_SAFE) else place
            return Fault(
                detail=f"{type(cause).__name__} ({code})" + (f": {said}" if said else ""),
                retryable=code.startswith(_RETRYABLE),
                disconnected=disconnected or code.startswith(("08", "57P")),
            )
        if isinstance(cause, asyncpg.InterfaceError) and not isinstance(cause, ValueError):
            return Fault(detail=str(cause), retryable=True, disconnected=True)
        if isinstance(cause, OSError):
            return Fault(detail=str(cause) or "no answer in time", retryable=True, disconnected=True)
        return Fault(detail=type(cause).__name__, retryable=disconnected, disconnected=disconnected)

    def _engine(
        self, *, command_timeout: float = COMMAND_TIMEOUT, settings: dict[str, str] | None = None, **options: Any
    ) -> AsyncEngine:
        return create_async_engine(
            self._url,
            connect_args={
                "timeout": CONNECT_TIMEOUT,
                "command_timeout": command_timeout,
                "server_settings": {"application_name": "qpty", **(settings or {})},
            },
            hide_parameters=True,
            **options,
        )


class PostgresqlLink(EngineLink):
    """The writer's connection."""

    async def append(self, events: Sequence[JournalRow]) -> None:
        """Append events in one statement."""
        await self.connection.exec_driver_sql(_APPEND, tuple([list(column) for column in zip(*events, strict=True)]))

    async def witness(self) -> str:
        """Return the transaction's id, by which the server remembers for long what became of it."""
        return cast("str", (await self.connection.exec_driver_sql("SELECT pg_current_xact_id()::text")).scalar_one())

    async def outcome(self, witness: str) -> Outcome:
        """Ask the server what became of a transaction whose commit lost its answer.

        An id that the server has not given out is that of a transaction it never had: a standby took over that had not
        heard of it. One that it has forgotten is hundreds of millions of transactions old: keys refuse a second copy.
        """
        await self.begin()
        try:
            said = (
                await self.connection.exec_driver_sql("SELECT pg_xact_status($1::text::xid8)", (witness,))
            ).scalar_one()
        except DBAPIError as error:
            cause = error.driver_exception
            if not isinstance(cause, asyncpg.PostgresError) or cause.sqlstate != _FROM_THE_FUTURE:
                raise
            said = None
        finally:
            await self.rollback()
        return cast("Outcome", said or "aborted")
