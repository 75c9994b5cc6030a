"""Everything that sessions need, put together in the right order, and taken apart in the reverse one."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from qpty.agent.provider import TerminalProvider
from qpty.sessions.data_lock import DataLock
from qpty.sessions.manager import SessionManager
from qpty.storage.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from qpty.agent.profile import Profile
    from qpty.agent.spec import AgentSpec
    from qpty.core.deadlines import Deadlines
    from qpty.sessions.checkpoints import Checkpoints
    from qpty.sessions.config import SessionsConfig


def settle_memory() -> None:
    """Take what was loaded up to now out of the garbage collector's sight.

    A full collection goes over some 100,000 objects of libraries that never change, and stops every session for that
    long (20 to 130 ms were seen).
    """
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def running_sessions(
    spec: AgentSpec,
    *,
    data_directory: Path,
    base: Path,
    database_url: str | None = None,
    config: SessionsConfig | None = None,
    deadlines: Deadlines | None = None,
    checkpoints: Checkpoints | None = None,
    default_profile: Profile | None = None,
    tools_url: str | None = None,
) -> AsyncIterator[SessionManager]:
    """Run the sessions of one data directory, which nobody else may use meanwhile.

    `base` is where the session directories are; recordings are in the data directory, and so is the database, as
    `qpty.db`, unless `database_url` names another. `default_profile` is that of sessions created without one,
    `tools_url` where the tools of clients are served to agents. Raises DataDirectoryInUseError, the errors of
    `Database.open` and of `SessionDirectoryManager`, and OSError.
    """
    lock = await asyncio.to_thread(DataLock, data_directory)
    try:
        database = await Database.open(database_url or f"sqlite:///{(data_directory / 'qpty.db').absolute()}")
        try:
            provider = TerminalProvider(spec, server_id=lock.server_id, deadlines=deadlines)
            provider.tools_url = tools_url
            manager = await SessionManager.open(
                provider,
                database,
                base=base,
                recordings=data_directory / "recordings",
                default_profile=default_profile,
                config=config,
                checkpoints=checkpoints,
            )
            settle_memory()
            try:
                yield manager
            finally:
                await manager.close()
        finally:
            await database.close()
    finally:
        lock.release()
