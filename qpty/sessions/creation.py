"""New sessions: blank ones, with a warm worker where there is one, and forks, with or without their originals' files.

A session's directory is there before its row: a kill leaves at most an empty directory of an id that nobody knows. Of a
fork with files the row comes first, marked as deleted. The next start takes either back.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from qpty.agent.threads import in_thread
from qpty.sessions.errors import SessionNotFoundError
from qpty.sessions.files.copying import Copied, CopyLimits, copying_steps, measure
from qpty.sessions.forking import fork_of
from qpty.sessions.session import Session
from qpty.sessions.turns import new_id
from qpty.storage.rows import SessionRow
from qpty.storage.writes import insert_session, update_session

if TYPE_CHECKING:
    from pathlib import Path

    from qpty.agent.provider import AgentProvider, Profile
    from qpty.sessions.deletion import Deletions
    from qpty.sessions.forking import Fork
    from qpty.sessions.registry import SessionRegistry
    from qpty.sessions.services import Services
    from qpty.sessions.tasks import Tasks
    from qpty.sessions.warm_workers import WarmWorkers

COPY_LIMITS: Final = CopyLimits()
"""Of the files that a fork takes with it."""


class SessionCreation:
    """Makes sessions; each is durable, and found, when a method returns."""

    def __init__(
        self,
        registry: SessionRegistry,
        services: Services,
        tasks: Tasks,
        *,
        provider: AgentProvider,
        warm: WarmWorkers,
        deletions: Deletions,
    ) -> None:
        self._registry = registry
        self._services = services
        self._tasks = tasks
        self._provider = provider
        self._warm = warm
        self._deletions = deletions
        self._pool = services.pool
        self._writer = services.database.writer
        self._directories = services.directories

    async def create(
        self, owner: str, profile: Profile, *, title: str | None, account: str | None, columns: int, lines: int
    ) -> Session:
        """Create a blank session. It has a warm worker if there is one of its profile and size."""
        return await self._tasks.carry_out(self._create(owner, profile, title, account, columns, lines))

    async def _create(
        self, owner: str, profile: Profile, title: str | None, account: str | None, columns: int, lines: int
    ) -> Session:
        default_size = (columns, lines) == (80, 24)
        worker = self._pool.adopt(profile) if default_size and account is None else None
        session_id = worker.directory.name if worker is not None else new_id()
        if worker is not None and worker.watch is not None:
            worker.watch.cancel()
        now = self._services.clock()
        row = SessionRow(
            id=session_id,
            owner=owner,
            created_at=now,
            last_activity=now,
            directory=session_id,
            account=account,
            title=title,
            profile=profile.to_dict(),
            columns=columns,
            lines=lines,
            message_count=0,
        )
        try:
            if worker is None:
                await asyncio.to_thread(self._directories.create, session_id)
            await self._writer.write(insert_session(row))
        except BaseException:
            if worker is not None:
                await self._pool.retire(worker)
            self._warm.ids.discard(session_id)
            raise
        self._services.checkpoints("session.inserted", session_id)
        session = Session(row, self._services, bounds=(1, 0), last_turn=0)
        self._registry.add(session)
        self._warm.ids.discard(session_id)
        if worker is not None and self._registry.closing:
            await self._pool.retire(worker)
        elif worker is not None:
            session.adopt(worker)
        return session

    # -- forks

    async def fork(
        self, session_id: str, *, turn_id: str | None, before_turn_id: str | None, owner: str | None
    ) -> SessionRow:
        """Create a session that goes on from a turn's end; see `SessionManager.fork`."""
        fork = await self._fork_of(session_id, turn_id, before_turn_id, owner)
        await self._tasks.carry_out(self._insert(fork))
        return fork.row

    async def fork_with_files(
        self, session_id: str, *, turn_id: str | None, before_turn_id: str | None, owner: str | None, limits: CopyLimits
    ) -> tuple[SessionRow, Copied]:
        """As `fork`, with copies of the files; see `SessionManager.fork_with_files`."""
        fork = await self._fork_of(session_id, turn_id, before_turn_id, owner)
        source = self._directories.path(session_id)
        await in_thread(measure, source, limits)
        copied = await self._tasks.carry_out(self._insert_with_files(fork, source, limits))
        return fork.row, copied

    async def _fork_of(
        self, session_id: str, turn_id: str | None, before_turn_id: str | None, owner: str | None
    ) -> Fork:
        session = await self._registry.session(session_id, owner)
        await session.journal.durable()
        return await fork_of(
            session.row,
            turn_id,
            before_turn_id=before_turn_id,
            database=self._services.database,
            provider=self._provider,
            directory=self._directories.path(session_id),
            now=self._services.clock(),
        )

    async def _insert_with_files(self, fork: Fork, source: Path, limits: CopyLimits) -> Copied:
        """Write a fork as one that is being deleted, until its files are there: so no kill leaves half of them."""
        fork_id, deleting = fork.row.id, self._registry.deleting
        deleting.add(fork_id)
        try:
            await self._writer.write(insert_session(replace(fork.row, deleted_at=self._services.clock())))
            try:
                target = await asyncio.to_thread(self._directories.create, fork_id)
                copied = await _copied(source, target, limits)
                await self._check_there(fork.row.parent_id or "")
                await self._writer.write(*fork.rest, update_session(fork_id, deleted_at=None))
            except BaseException:
                await self._deletions.finish(fork_id)
                raise
        finally:
            deleting.discard(fork_id)
        self._services.checkpoints("session.inserted", fork_id)
        return copied

    async def _check_there(self, session_id: str) -> None:
        """Raise SessionNotFoundError for a session that was deleted meanwhile: what was copied of it isn't all."""
        row = await self._services.database.session(session_id)
        if row is None or row.deleted_at is not None or session_id in self._registry.deleting:
            raise SessionNotFoundError(session_id)

    async def _insert(self, fork: Fork) -> None:
        await asyncio.to_thread(self._directories.create, fork.row.id)
        await self._writer.write(insert_session(fork.row), *fork.rest)
        self._services.checkpoints("session.inserted", fork.row.id)


async def _copied(source: Path, target: Path, limits: CopyLimits) -> Copied:
    """Copy a session's files, step by step: a thread of the pool isn't kept for as long as all of them take."""
    steps = copying_steps(source, target, limits)
    try:
        while (copied := await in_thread(next, steps)) is None:
            pass
    finally:
        await in_thread(steps.close)
    return copied
