"""Warm workers: started ahead, each in the directory of an id that is handed out with it, to a new session.

The pool says when one is started, handed out or ended; here is how.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from qpty.agent.threads import in_thread
from qpty.sessions.files.errors import DirectoryError
from qpty.sessions.pool import Worker
from qpty.sessions.turns import new_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from qpty.agent.provider import Profile
    from qpty.sessions.directories import SessionDirectoryManager
    from qpty.sessions.launching import Launcher

_log: Final = logging.getLogger(__name__)


class WarmWorkers:
    """Makes warm workers of one profile. `ids` are those whose workers live, or are being started or handed out.

    `forget_recording` removes what was recorded of an id; `lost` is called when a warm worker has died.
    """

    def __init__(
        self,
        profile: Profile,
        launcher: Launcher,
        directories: SessionDirectoryManager,
        *,
        forget_recording: Callable[[str], Awaitable[None]],
        lost: Callable[[], None],
    ) -> None:
        self.ids: set[str] = set()
        self._profile = profile
        self._launcher = launcher
        self._directories = directories
        self._forget_recording = forget_recording
        self._lost = lost

    async def start(self) -> Worker:
        """Start a worker in the directory of an id that isn't handed out yet."""
        session_id = new_id()
        self.ids.add(session_id)
        profile = self._profile
        try:
            directory = await asyncio.to_thread(self._directories.create, session_id)
            agent = await self._launcher.launch(profile, directory, columns=80, lines=24, attempts=1)
        except BaseException:
            await asyncio.to_thread(self._directories.remove, session_id)
            await self._forget_recording(session_id)
            self.ids.discard(session_id)
            raise
        worker = Worker(agent=agent, profile=profile, directory=directory)
        worker.watch = asyncio.get_running_loop().create_task(self._watch(worker), name=f"warm worker {session_id}")
        return worker

    async def clear_away(self, worker: Worker) -> None:
        """Remove what a warm worker leaves that no session got; a directory in which something was written stays."""
        session_id = worker.directory.name
        try:
            await in_thread(self._directories.remove_if_empty, session_id)
        except DirectoryError as error:
            _log.warning("the directory of warm worker %s could not be removed: %s", session_id, error)
        await self._forget_recording(session_id)

    async def _watch(self, worker: Worker) -> None:
        """Tell the pool when a warm worker dies; forget its id, whatever ended it."""
        async with aclosing(worker.agent.events()) as events:
            async for _ in events:
                pass
        self.ids.discard(worker.directory.name)
        self._lost()
