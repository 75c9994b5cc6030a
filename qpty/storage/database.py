"""The storage as one object: reads as methods, writes through its `writer`."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from qpty.storage import migrations, queries
from qpty.storage.backend import READERS
from qpty.storage.errors import StorageBusyError, StorageFailedError, StorageOpenError, StorageUrlError
from qpty.storage.postgresql import PostgresqlBackend
from qpty.storage.rows import AccountUseRow, ClientTurnRow, MessageRow, SessionRow, TurnRow
from qpty.storage.sqlite import SqliteBackend
from qpty.storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Row

    from qpty.storage.backend import Backend
    from qpty.storage.queries import Query
    from qpty.storage.rows import SessionCursor

_T = TypeVar("_T", SessionRow, TurnRow, MessageRow, AccountUseRow, ClientTurnRow)

_IDS: Final = 500
"""Ids in one statement."""

_POSTGRESQL_OPTIONS: Final = frozenset({"host", "port", "ssl", "sslmode"})


class Database:
    """Sessions, turns, messages, journals and the accounts' use. Open it with `open`, close it with `close`.

    Every read is one statement, so it sees one moment. It raises StorageFailedError, or StorageBusyError when no
    connection came free.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._readers = backend.readers()
        self.writer: Final = Writer(backend)
        """The one way to write."""

    def check_writing(self) -> None:
        """Raise StorageFailedError while the database refuses what is written: nobody should wait for that to end."""
        if self.writer.failing is not None:
            raise StorageFailedError(self.writer.failing, retryable=True)

    @classmethod
    async def open(cls, url: str) -> Database:
        """Open the database at `url`, migrated to the newest schema.

        `sqlite:////full/path.db`: the file is created (0600) if it isn't there; its directory must be. In WAL mode with
        `synchronous=NORMAL`: a process that is killed loses nothing, a power cut may lose the last commits, in order
        from the end (see `sqlite`). `postgresql://user@host/name` (options: host, port, ssl, sslmode): a database that
        is there, in UTF-8, on a server of version 13 or newer.

        Raises StorageUrlError, StorageOpenError, SchemaTooNewError.
        """
        backend = _backend(url)
        try:
            await backend.prepare(await asyncio.to_thread(migrations.load_versions))
        except backend.errors as error:
            raise StorageOpenError(backend.url, backend.fault(error).detail) from None  # the driver's may quote values
        return cls(backend)

    async def close(self) -> None:
        """Write what waits, then let the database go. Raises StorageFailedError if it would not take it in time."""
        try:
            await self.writer.close()
        finally:
            await self._readers.dispose()

    async def session(self, session_id: str) -> SessionRow | None:
        """Return a session, also while it is being deleted."""
        return await self._one(SessionRow, queries.session(session_id))

    async def sessions(
        self,
        *,
        owner: str | None,
        limit: int,
        after: SessionCursor | None,
        deleted: bool = False,
        search: str = "",
    ) -> list[SessionRow]:
        """Return at most `limit` sessions after a place, latest activity first, of one owner or all (None).

        `deleted` lists those being deleted (`deleted_at` is set) instead of the others, `search` only those whose title
        has that text in it, compared as `folding` says.
        """
        return await self._all(SessionRow, queries.session_page(owner, limit, after, deleted=deleted, search=search))

    async def count_sessions(self, *, owner: str | None) -> int:
        """Return how many sessions one owner or all (None) have; those being deleted don't count."""
        return int((await self._fetch(queries.session_count(owner)))[0][0])

    async def turn(self, turn_id: str) -> TurnRow | None:
        """Return a turn."""
        return await self._one(TurnRow, queries.turn(turn_id))

    async def turns(
        self, session_id: str, *, states: Collection[str] | None = None, after_position: int = 0, limit: int = 100
    ) -> list[TurnRow]:
        """Return at most `limit` turns of a session after a position, in order; only those in `states`, if given."""
        return await self._all(TurnRow, queries.turns_of(session_id, states, after_position, limit))

    async def unfinished_turns(self) -> list[TurnRow]:
        """Return the turns of all sessions that are queued or running, by session and position."""
        return await self._all(TurnRow, queries.unfinished_turns())

    async def messages(
        self,
        session_id: str,
        *,
        after_position: int = 0,
        before_position: int | None = None,
        limit: int = 100,
        newest: bool = False,
    ) -> list[MessageRow]:
        """Return at most `limit` messages of a session between two positions, in order: the first, or the `newest`."""
        query = queries.messages_of(session_id, after_position, limit, newest=newest, before_position=before_position)
        found = await self._all(MessageRow, query)
        return found[::-1] if newest else found

    async def message(self, message_id: str) -> MessageRow | None:
        """Return a message."""
        return await self._one(MessageRow, queries.message(message_id))

    async def events(
        self, session_id: str, *, after: int, limit: int = 500, max_bytes: int = 1 << 20
    ) -> list[tuple[int, str]]:
        """Return events of a journal after a seq, ascending, as seq and body.

        At most `limit`, and at most `max_bytes` bytes of bodies; but one at least, if there is any.
        """
        return [(seq, body) for seq, body in await self._fetch(queries.events(session_id, after, limit, max_bytes))]

    async def journal_bounds(self, session_id: str) -> tuple[int, int]:
        """Return the first seq that is kept and the last that was ever used.

        (1, 0) for a journal that was never written, (n + 1, n) where all up to n was trimmed.
        """
        found = await self._fetch(queries.journal_bounds(session_id))
        if not found:
            return 1, 0
        floor, first, last = found[0]
        return (floor + 1, floor) if last is None else (first, last)

    async def journal_bytes(self, session_id: str) -> int:
        """Return how many bytes the bodies of a journal's events have together."""
        return int((await self._fetch(queries.journal_bytes(session_id)))[0][0])

    async def journal_cut(self, session_id: str, *, max_events: int, max_bytes: int, last_seq: int) -> int:
        """Return the seq below which a journal is to be trimmed to keep these bounds, 0 if it keeps them.

        After the end of a turn where that keeps at least half of what may be kept.
        """
        start = (await self._fetch(queries.journal_start(session_id, max_bytes)))[0][0]
        below = max(last_seq - max_events + 1, last_seq if start is None else start)
        if below <= (await self.journal_bounds(session_id))[0]:
            return 0
        end = (await self._fetch(queries.turn_end(session_id, below - 1)))[0][0]
        return end + 1 if end is not None and end - below < (last_seq - below) // 2 else below

    async def messages_before(self, session_id: str, *, seq: int, limit: int) -> list[MessageRow]:
        """Return the last messages that the events before a seq told of, in order: answers, and what was asked."""
        return (await self._all(MessageRow, queries.messages_before(session_id, seq, limit)))[::-1]

    async def last_turn(self, session_id: str) -> int:
        """Return the position of a session's last turn, 0 without any."""
        return int((await self._fetch(queries.last_turn(session_id)))[0][0])

    async def prompt_of(self, turn_id: str) -> MessageRow | None:
        """Return the message that a turn was begun with."""
        return await self._one(MessageRow, queries.prompt_of(turn_id))

    async def known_ids(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are sessions, also those being deleted."""
        known: set[str] = set()
        for begin in range(0, len(ids), _IDS):
            known.update(row[0] for row in await self._fetch(queries.known_ids(ids[begin : begin + _IDS])))
        return known

    async def idle_sessions(self, *, before: float, after: SessionCursor | None, limit: int) -> list[SessionRow]:
        """Return at most `limit` sessions whose last activity is before a time, the oldest first, after a place."""
        return await self._all(SessionRow, queries.idle_sessions(before, after, limit))

    async def seed(self, session_id: str) -> str | None:
        """Return the conversation that the session takes up at its first start."""
        found = await self._fetch(queries.seed(session_id))
        return found[0][0] if found else None

    async def client_turns(self, owner: str, conversations: Sequence[str], *, limit: int = 100) -> list[ClientTurnRow]:
        """Return an owner's turns' ends that have one of these conversations, the newest first.

        Asks for the conversations some hundreds at a time, in the order given, and stops where some were found.
        """
        for begin in range(0, len(conversations), _IDS):
            query = queries.client_turns_of(owner, conversations[begin : begin + _IDS], limit)
            if found := await self._all(ClientTurnRow, query):
                return found
        return []

    async def client_turn_of_reply(self, owner: str, reply_id: str) -> ClientTurnRow | None:
        """Return the turn's end that was answered to an owner under this id."""
        return await self._one(ClientTurnRow, queries.client_turn_of_reply(owner, reply_id))

    async def account_use(self, account: str, *, since_day: str) -> list[AccountUseRow]:
        """Return what an account was used for, by day from `since_day` (YYYY-MM-DD) on."""
        return await self._all(AccountUseRow, queries.account_use_since(account, since_day))

    async def _one(self, kind: type[_T], query: Query) -> _T | None:
        found = await self._all(kind, query)
        return found[0] if found else None

    async def _all(self, kind: type[_T], query: Query) -> list[_T]:
        return [kind(**row._mapping) for row in await self._fetch(query)]

    async def _fetch(self, query: Query) -> Sequence[Row[*tuple[Any, ...]]]:
        """Carry a query out; once more, on another connection, if the one it was given turned out to be dead."""
        again = True
        while True:
            try:
                async with self._readers.connect() as connection:
                    return (await connection.execute(query)).all()
            except PoolTimeoutError:
                raise StorageBusyError(waiting=READERS, limit=READERS) from None
            except self._backend.errors as error:
                fault = self._backend.fault(error)
                if not (fault.disconnected and again):
                    raise StorageFailedError(fault.detail, retryable=fault.retryable) from None
                again = False


def _backend(given: str) -> Backend:
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        masked = re.sub(r"(//[^/@:]*):[^@]*@", r"\1:***@", given)
        raise StorageUrlError(masked, "it is no URL") from None
    shown = url.render_as_string(hide_password=True)
    kind, _, driver = url.drivername.partition("+")
    if kind == "sqlite" and driver in {"", "aiosqlite"}:
        if url.database in {None, "", ":memory:"} or str(url.database).startswith("file:"):
            raise StorageUrlError(shown, "the writer and the readers need a file that they share")
        if url.query or url.host:
            raise StorageUrlError(shown, "SQLite takes a path and no options (three slashes, then the path)")
        return SqliteBackend(Path(str(url.database)))
    if kind in {"postgresql", "postgres"} and driver in {"", "asyncpg"}:
        if unknown := ", ".join(sorted(set(url.query) - _POSTGRESQL_OPTIONS)):
            raise StorageUrlError(shown, f"unknown options {unknown} (known: {', '.join(sorted(_POSTGRESQL_OPTIONS))})")
        return PostgresqlBackend(url)
    raise StorageUrlError(shown, f"{url.drivername!r} is neither SQLite nor PostgreSQL")
