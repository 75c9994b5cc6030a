"""What the storage asks of a database, whichever it is: `sqlite` and `postgresql` each answer it in one file."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from sqlalchemy.exc import DBAPIError, StatementError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.script import ScriptDirectory
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from qpty.storage.writes import JournalRow, Statement

READERS: Final = 4
"""Connections that read. A read takes well under a millisecond, and on SQLite each connection is a thread."""

Outcome = Literal["committed", "aborted", "in progress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What an error of the driver means. `detail` quotes no value; `disconnected`: another connection may do."""

    detail: str
    retryable: bool
    disconnected: bool = False


class Link(Protocol):
    """The writer's connection, one transaction at a time: `begin`, statements and events, `commit` or `rollback`."""

    async def begin(self) -> None:
        """Start a transaction, on a new connection where there is none."""

    async def execute(self, statement: Statement) -> None:
        """Carry one statement out."""

    async def append(self, events: Sequence[JournalRow]) -> None:
        """Append events to journals."""

    async def witness(self) -> str | None:
        """Return what `outcome` can be asked about if `commit` gives no answer; None where it always does."""

    async def commit(self) -> None:
        """Make it durable."""

    async def outcome(self, witness: str) -> Outcome:
        """Return what became of the transaction whose commit gave no answer; asked outside a transaction."""

    async def rollback(self) -> None:
        """Undo what isn't committed, or let the connection go where even that fails. Never raises."""

    async def close(self) -> None:
        """Let the connection go. Never raises."""


class Backend(Protocol):
    """One database."""

    url: str
    """For people: without its password."""
    errors: tuple[type[Exception], ...]
    """All that the driver raises when the database is in trouble."""

    async def prepare(self, scripts: ScriptDirectory) -> None:
        """Create what must be there before a connection, and migrate to the newest schema."""

    def link(self) -> Link:
        """Return the writer's connection, not connected yet."""

    def readers(self) -> AsyncEngine:
        """Return a small pool of connections that can only read, each statement a transaction of its own."""

    def fault(self, error: Exception) -> Fault:
        """Return what an error means, whether one of `errors` or another that a statement's values gave rise to."""


class EngineLink:
    """The part of a `Link` that is the same on all databases."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None

    @property
    def connection(self) -> AsyncConnection:
        """The connection, after `begin`."""
        if self._connection is None:
            raise RuntimeError("no transaction has begun")
        return self._connection

    async def begin(self) -> None:
        """Start a transaction, on a new connection where there is none."""
        if self._connection is None:
            self._connection = await self._engine.connect()
        await self._connection.begin()

    async def execute(self, statement: Statement) -> None:
        """Carry one statement out."""
        await self.connection.execute(statement.executable, statement.parameters)

    async def commit(self) -> None:
        """Make it durable."""
        await self.connection.commit()

    async def rollback(self) -> None:
        """Undo what isn't committed, or let the connection go where even that fails. Never raises."""
        if self._connection is not None:
            try:
                await self._connection.rollback()
            except Exception:  # noqa: BLE001 - whatever it is, this connection is of no more use
                await self._drop()

    async def close(self) -> None:
        """Let the connection go. Never raises."""
        await self._drop()
        await self._engine.dispose()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.close()
        except Exception:  # noqa: BLE001 - it is being thrown away because it is broken
            with contextlib.suppress(Exception):
                await connection.invalidate()


def driver_error(error: Exception) -> BaseException:
    """Return what the driver raised inside SQLAlchemy's wrapping, or the error itself."""
    if isinstance(error, DBAPIError):
        return error.driver_exception
    if isinstance(error, StatementError) and error.orig is not None:
        return error.orig
    return error
