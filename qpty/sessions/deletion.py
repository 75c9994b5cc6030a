"""Deleting sessions, so that a kill at any moment leaves nothing that the next start doesn't finish.

```
 there ──marked──▶ deleted_at is set ──its worker ends──▶ directory ──▶ recording ──▶ rows: gone
                   nobody finds it                        removed       removed
```
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from qpty.sessions.errors import SessionNotFoundError
from qpty.sessions.files.errors import DirectoryError
from qpty.storage.writes import delete_session, update_session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from qpty.sessions.registry import SessionRegistry
    from qpty.sessions.services import Services
    from qpty.sessions.session import Session
    from qpty.sessions.tasks import Tasks
    from qpty.storage.rows import SessionRow

BATCH: Final = 200
"""Deletions that are finished in one go."""

_log: Final = logging.getLogger(__name__)


class Deletions:
    """Deletes sessions. `forget_recording` removes what was recorded of one that has no worker."""

    def __init__(
        self,
        registry: SessionRegistry,
        services: Services,
        tasks: Tasks,
        *,
        forget_recording: Callable[[str], Awaitable[None]],
    ) -> None:
        self._registry = registry
        self._database = services.database
        self._directories = services.directories
        self._services = services
        self._tasks = tasks
        self._forget_recording = forget_recording

    async def delete(self, session: Session) -> None:
        """Delete a session. Raises SessionNotFoundError if somebody else does."""
        deleting = self._registry.deleting
        if session.id in deleting:
            raise SessionNotFoundError(session.id)
        deleting.add(session.id)
        await self._tasks.carry_out(self._delete(session))

    async def clear_away(self, row: SessionRow, *, with_files: bool) -> bool:
        """Delete a session that nobody used since `row` was read; whether it was.

        Without `with_files` only one whose directory has nothing in it.
        """
        deleting = self._registry.deleting
        session = await self._registry.load(row)
        # No pause between this look and the mark: it takes no message from there on.
        if session.in_use or session.row.last_activity != row.last_activity or session.id in deleting:
            return False
        deleting.add(session.id)
        if not with_files:
            try:
                empty = await asyncio.to_thread(self._directories.remove_if_empty, session.id)
            except BaseException:
                deleting.discard(session.id)
                raise
            if not empty:
                deleting.discard(session.id)
                return False
        await self._tasks.carry_out(self._delete(session))
        return True

    async def _delete(self, session: Session) -> None:
        """Delete a session whose id is in `deleting`, which nobody finds any more."""
        session.condemn()
        try:
            await self._database.writer.write(update_session(session.id, deleted_at=self._services.clock()))
            self._services.checkpoints("session.deleting", session.id)
            await session.delete()
            await self.finish(session.id)
        finally:
            self._registry.deleting.discard(session.id)
            self._registry.forget(session.id)

    async def finish_all(self) -> int:
        """Finish deletions that were begun and not ended, by a kill or an error; how many there were."""
        rows = await self._database.sessions(owner=None, limit=BATCH, after=None, deleted=True)
        left = [row.id for row in rows if row.id not in self._registry.deleting]
        for session_id in left:
            try:
                await self.finish(session_id)
            except DirectoryError as error:
                _log.warning("session %s could not be deleted wholly now: %s", session_id, error)
        return len(left)

    async def finish(self, session_id: str) -> None:
        """Remove what is left of a session that is marked as deleted and has no worker."""
        await asyncio.to_thread(self._directories.remove, session_id)
        self._services.checkpoints("directory.removed", session_id)
        await self._forget_recording(session_id)
        await self._database.writer.write(delete_session(session_id))
