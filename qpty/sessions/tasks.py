"""Tasks with an owner: it keeps them until they end, and waits for them when it stops."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, TypeVar

from qpty.agent.threads import all_ended, report_failure

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)


class Tasks:
    """The tasks of one owner, whose name is in the reports of those that fail."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Have something done that nobody waits for; a failure is reported."""
        self._begin(coroutine).add_done_callback(self.report)

    async def carry_out(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Carry something out wholly, also if whoever asked for it is cancelled; who asked is told of a failure."""
        task = self._begin(coroutine)
        task.add_done_callback(self._note)
        return await asyncio.shield(task)

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Have a task that somebody else began, and is told how it ended, end before this owner does."""
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(self._note)

    async def ended(self) -> None:
        """Wait until all of them have ended, and those that they began."""
        await all_ended(self._running)

    def report(self, task: asyncio.Task[Any]) -> None:
        """Report how an ended task failed; nothing if it didn't."""
        report_failure(task, f"a task of {self._owner} failed")

    def _begin(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _note(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("a task of %s failed, and told who asked for it: %s", self._owner, error)
