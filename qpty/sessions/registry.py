"""The sessions by their ids: each is one object while somebody uses it, and otherwise only a row.

The object is found through a weak reference; whoever uses it (its worker, its turns, its readers, the writer of its
events) keeps it. So there is never more than one that writes, and nothing has to decide when one may go.

A session that is being deleted is found by nobody, and neither is one whose files are still being copied.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from qpty.sessions.errors import ClosingError, SessionNotFoundError
from qpty.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpty.sessions.services import Services
    from qpty.storage.rows import SessionRow


class SessionRegistry:
    """Finds sessions, and loads them. `deleting` has the ids that nobody may find."""

    def __init__(self, services: Services) -> None:
        self.deleting: set[str] = set()
        self.closing = False
        self._services = services
        self._database = services.database
        self._sessions: WeakValueDictionary[str, Session] = WeakValueDictionary()
        self._loading: dict[str, asyncio.Task[Session]] = {}

    def refuse(self) -> None:
        """Take nothing new: the server is stopping."""
        self.closing = True
        for session in self.loaded():
            session.refuse()

    def check_open(self) -> None:
        """Raise ClosingError where nothing is taken any more."""
        if self.closing:
            raise ClosingError

    # -- objects

    def get(self, session_id: str) -> Session | None:
        """Return the session's one object; None if nobody uses it."""
        return self._sessions.get(session_id)

    def add(self, session: Session) -> None:
        """Have a session found from now on."""
        self._sessions[session.id] = session

    def forget(self, session_id: str) -> None:
        """Have a deleted session found no more."""
        self._sessions.pop(session_id, None)

    def loaded(self) -> Sequence[Session]:
        """Return the sessions that somebody uses, or lately used."""
        return list(self._sessions.values())

    def in_use(self) -> set[str]:
        """Return the ids of the sessions that have a worker, or a turn. Safe in any thread."""
        return {session_id for session_id, session in list(self._sessions.items()) if session.in_use}

    async def load(self, row: SessionRow) -> Session:
        """Return the session's one object."""
        session = self._sessions.get(row.id)
        if session is not None and not (session.journal.failed and not session.in_use):
            return session
        task = self._loading.get(row.id)
        if task is None:
            task = self._loading[row.id] = asyncio.get_running_loop().create_task(self._load(row))
            task.add_done_callback(lambda _: self._loading.pop(row.id, None))
        return await asyncio.shield(task)

    async def _load(self, row: SessionRow) -> Session:
        bounds = await self._database.journal_bounds(row.id)
        last_turn = await self._database.last_turn(row.id)
        last = await self._database.events(row.id, after=bounds[1] - 1, limit=1)
        session = Session(row, self._services, bounds=bounds, last_turn=last_turn)
        replaced = self._sessions.get(row.id)
        if replaced is not None:
            replaced.live.close()
        self._sessions[row.id] = session
        if last and json.loads(last[0][1]).get("state") != session.state:
            session.say_state()  # whoever was killed could not
        if self.closing:
            session.refuse()
        return session

    # -- looking up, for an owner

    async def row(self, session_id: str, owner: str | None) -> SessionRow:
        """Return a session's row, the newest there is; None as owner is everybody. Raises SessionNotFoundError."""
        session = self._sessions.get(session_id)
        row = session.row if session is not None else await self._database.session(session_id)
        if row is None or (owner is not None and row.owner != owner):
            raise SessionNotFoundError(session_id)
        if row.deleted_at is not None or session_id in self.deleting:
            raise SessionNotFoundError(session_id)
        return row

    async def session(self, session_id: str, owner: str | None) -> Session:
        """Return a session, loaded. Raises SessionNotFoundError, ClosingError."""
        self.check_open()
        session = await self.load(await self.row(session_id, owner))
        if session_id in self.deleting:
            raise SessionNotFoundError(session_id)
        return session
