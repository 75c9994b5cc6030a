"""SQLite: one file, in WAL mode, so that readers and the writer never wait for each other.

`synchronous=NORMAL`: a commit is handed to the kernel and not forced to the disk. A process that dies, however it dies,
loses nothing that was committed. A power cut or a dying kernel may lose the last commits (those since the last
checkpoint, at most `CHECKPOINT_PAGES` of them), in order from the end, and never damages the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from qpty.storage import migrations
from qpty.storage.backend import READERS, EngineLink, Fault, driver_error
from qpty.storage.errors import StorageOpenError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import aiosqlite
    from alembic.script import ScriptDirectory
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from qpty.storage.backend import Outcome
    from qpty.storage.writes import JournalRow

BUSY_TIMEOUT: Final = 0.5
"""Seconds that a connection waits for another program's lock before the attempt counts as failed (and is repeated)."""

MIGRATION_TIMEOUT: Final = 30.0
"""Seconds to wait at most while another process migrates."""

CHECKPOINT_PAGES: Final = 4096
"""Pages (4 KiB) in the WAL before they are copied into the database: 16 MiB.

Fifty journals that grow rewrite the same fifty pages with each commit. SQLite's own 1,000 would copy and sync them each
second; four times as many cost a quarter of that, and a reader's search through the WAL stays short.
"""

_APPEND: Final = "INSERT INTO journal (session_id, seq, body) VALUES (?, ?, ?)"

_RETRYABLE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)


WAL_PAUSE: Final = 0.02
"""Seconds between attempts to change to WAL while another process opens the same new file."""


class SqliteBackend:
    """A database in a file."""

    errors: tuple[type[Exception], ...] = (SQLAlchemyError, sqlite3.Error, OSError)

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.url = f"sqlite:///{self.path}"

    async def prepare(self, scripts: ScriptDirectory) -> None:
        """Create the file, readable by its owner only, and migrate it."""
        await asyncio.to_thread(self._create)
        engine = self._engine(timeout=MIGRATION_TIMEOUT, isolation_level="AUTOCOMMIT")
        try:
            async with engine.connect() as connection:
                mode = await self._use_wal(connection)
                if mode != "wal":
                    raise StorageOpenError(
                        self.url, f"its file system cannot do WAL (it stayed {mode!r}): use a local one"
                    )
                # sqlite3 starts no transaction for DDL, and foreign keys stay off here: a migration that rebuilds a
                # table drops the old one, which would delete all that refers to it.
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
                await connection.run_sync(migrations.upgrade, scripts)
                await connection.exec_driver_sql("COMMIT")
        finally:
            await engine.dispose()

    async def _use_wal(self, connection: AsyncConnection) -> str | None:
        """Change to WAL; the mode after that. This alone doesn't wait for a lock by itself."""
        deadline = asyncio.get_running_loop().time() + MIGRATION_TIMEOUT
        while True:
            try:
                mode = (await connection.exec_driver_sql("PRAGMA journal_mode=WAL")).scalar()
                return None if mode is None else str(mode)
            except self.errors as error:
                if not self.fault(error).retryable or asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(WAL_PAUSE)

    def link(self) -> SqliteLink:
        """Return the writer's connection."""
        engine = self._engine(timeout=BUSY_TIMEOUT)
        event.listen(engine.sync_engine, "connect", _tune)
        return SqliteLink(engine)

    def readers(self) -> AsyncEngine:
        """Return connections that can only read."""
        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=f"{self.path.as_uri()}?mode=ro", query={"uri": "true"}),
            connect_args={"timeout": BUSY_TIMEOUT},
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_size=READERS,
            max_overflow=0,
            hide_parameters=True,
        )
        event.listen(engine.sync_engine, "connect", _tune)
        return engine

    def fault(self, error: Exception) -> Fault:
        """Return what an error means; SQLite's messages name columns and never quote values."""
        cause = driver_error(error)
        if isinstance(cause, sqlite3.Error):
            code = getattr(cause, "sqlite_errorcode", None)
            name = getattr(cause, "sqlite_errorname", type(cause).__name__)
            return Fault(detail=f"{name}: {cause}", retryable=code is not None and code & 0xFF in _RETRYABLE)
        if isinstance(cause, OSError):
            return Fault(detail=str(cause), retryable=True)
        return Fault(detail=type(cause).__name__, retryable=False)

    def _engine(self, *, timeout: float, **options: Any) -> AsyncEngine:
        return create_async_engine(
            URL.create("sqlite+aiosqlite", database=f"{self.path.as_uri()}?mode=rw", query={"uri": "true"}),
            connect_args={"timeout": timeout, "isolation_level": "IMMEDIATE"},
            poolclass=NullPool,
            hide_parameters=True,
            **options,
        )

    def _create(self) -> None:
        if not self.path.parent.is_dir():
            raise StorageOpenError(self.url, f"there is no directory {str(self.path.parent)!r}: create it first")
        # Never opened where it is there already: closing it would drop the locks that this process holds on it.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


class SqliteLink(EngineLink):
    """The writer's connection; sqlite3 begins the transaction (IMMEDIATE) with its first statement."""

    async def append(self, events: Sequence[JournalRow]) -> None:
        """Append events, by the driver itself: one visit to its thread, no handling of parameters on the way there."""
        raw = await self.connection.get_raw_connection()
        driver: aiosqlite.Connection = raw.driver_connection  # type: ignore[assignment]
        await driver.executemany(_APPEND, events)

    async def witness(self) -> None:
        """Nothing: there is no connection to lose, a commit always answers."""

    async def outcome(self, witness: str) -> Outcome:  # noqa: ARG002
        """Return that it didn't happen: what fails here is rolled back."""
        return "aborted"


def _tune(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("foreign_keys=ON", "synchronous=NORMAL", f"wal_autocheckpoint={CHECKPOINT_PAGES}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
