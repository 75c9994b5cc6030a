"""Cleaning in the background: sessions that nobody has used for a long time.

Expired (`session_expiry`) means hibernated and, with `auto_cleanup`, removed if its directory is empty. What people or
their agents wrote goes only by an explicit deletion, or after `delete_after`, which nobody has unless they set it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qpty.agent.threads import report_failure
from qpty.sessions.errors import SessionNotFoundError
from qpty.sessions.files.errors import DirectoryError
from qpty.storage.errors import StorageError
from qpty.storage.rows import SessionCursor

if TYPE_CHECKING:
    from qpty.sessions.manager import SessionManager

_log: Final = logging.getLogger(__name__)

BATCH: Final = 200
"""Sessions looked at in one go; the rest come in the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one sweep did."""

    hibernated: int = 0
    deleted: int = 0


class Expiry:
    """The task that cleans up, every `sweep_interval`."""

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager
        self._task: asyncio.Task[None] | None = None
        self._cursor: SessionCursor | None = None
        self._before = 0.0

    def start(self) -> None:
        """Begin."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="expiry")
            self._task.add_done_callback(self._report)

    async def stop(self) -> None:
        """End, and wait for what is under way."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def sweep(self, now: float) -> Swept:
        """Do what is due at `now`: hibernate what is expired, and look at some more of the sessions that sleep."""
        config = self._manager.config
        await self._manager.finish_deletions()
        hibernated = 0
        for session in self._manager.loaded():
            if now - session.row.last_activity >= config.session_expiry and await session.hibernate():
                hibernated += 1
        deleted = 0
        if config.auto_cleanup or config.delete_after is not None:
            deleted = await self._clean(now)
        return Swept(hibernated=hibernated, deleted=deleted)

    async def _clean(self, now: float) -> int:
        """Look at the next `BATCH` sessions that nobody used for long; how many were deleted.

        A pass goes over those that were old when it began, and then another begins.
        """
        manager, config = self._manager, self._manager.config
        if self._cursor is None:
            self._before = now - min(age for age in (config.session_expiry, config.delete_after) if age is not None)
        rows = await manager.database.idle_sessions(before=self._before, after=self._cursor, limit=BATCH)
        self._cursor = SessionCursor.of(rows[-1]) if len(rows) == BATCH else None
        deleted = 0
        for row in rows:
            idle = now - row.last_activity
            old = config.delete_after is not None and idle >= config.delete_after
            expired = config.auto_cleanup and idle >= config.session_expiry
            try:
                if not old and not (expired and await asyncio.to_thread(manager.directories.is_empty, row.id)):
                    continue
                deleted += await manager.clear_away(row, with_files=old)
            except DirectoryError as error:
                _log.warning("the directory of session %s could not be cleaned away: %s", row.id, error)
            except SessionNotFoundError:
                continue  # somebody else was faster
        return deleted

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._manager.config.sweep_interval)
            try:
                await self.sweep(self._manager.now())
            except (StorageError, DirectoryError) as error:
                _log.warning("old sessions could not be cleaned away now: %s", error)

    def _report(self, task: asyncio.Task[None]) -> None:
        report_failure(task, "the cleaning of old sessions failed")
