"""Rendering beside the server: one helper process, asked by many, one text at a time, each client in its turn.

A text costs milliseconds to seconds of pure computing. In the server's process, in a thread too, that would hold the
loop, which reads terminals within a millisecond. A text that isn't rendered in time, or that ends the process twice,
is shown plain; who asks gets blocks in any case, and `on_plain` and the log say what happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from qpty.rendering.errors import RendererClosedError, WorkerProtocolError
from qpty.rendering.limits import MAX_SOURCE
from qpty.rendering.plain import plain_blocks
from qpty.rendering.process import COMMAND, WorkerGoneError, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from qpty.rendering.block import Block

RENDER_TIMEOUT: Final = 5.0
"""Seconds for one text, the start of the process included; 1 MB of an ordinary answer takes less than one."""

_ATTEMPTS: Final = 2

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RenderedPlainly:
    """A text of so many code points was shown as it is written, and why."""

    reason: Literal["too_large", "timeout", "worker_crashed"]
    characters: int


@dataclass(slots=True, eq=False)
class _Job:
    source: str
    blocks: asyncio.Future[tuple[Block, ...]]


class Renderer:
    """Renders texts in a process of its own, which is started with the first one.

    `render_timeout` is in seconds, for each text. `on_plain` is told of each text that was shown plain. What waits is
    bounded by who asks: each waits for its answer.
    """

    def __init__(
        self,
        *,
        render_timeout: float = RENDER_TIMEOUT,
        on_plain: Callable[[RenderedPlainly], None] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._timeout = render_timeout
        self._on_plain = on_plain
        self._command = command
        self._jobs: dict[str, deque[_Job]] = {}
        self._wanted = asyncio.Event()
        self._worker: WorkerProcess | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def worker_pid(self) -> int | None:
        """The helper process's number; None while there is none."""
        return None if self._worker is None else self._worker.pid

    async def render(self, source: str, *, client: str = "") -> tuple[Block, ...]:
        """Return the blocks of a text, as `blocks.render_blocks` does, or plain ones.

        Clients take turns, whatever each of them waits for: so one with many texts, or large ones, holds another up by
        one text only.

        A cancelled caller leaves the process as it is: a text that waits is skipped, one that is being rendered is
        finished for nobody. Raises RendererClosedError.
        """
        if self._closed:
            raise RendererClosedError
        if not source:
            return ()
        if len(source) > MAX_SOURCE:
            return await self._plain(source, "too_large")
        job = _Job(source, asyncio.get_running_loop().create_future())
        self._jobs.setdefault(client, deque()).append(job)
        self._wanted.set()
        if self._task is None:
            # With a context of its own: the log shall not name whoever happened to be the first.
            self._task = asyncio.create_task(self._run(), name="rendering", context=Context())
        return await job.blocks

    async def close(self) -> None:
        """End the process and wait for it; who still waits for blocks gets RendererClosedError."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()  # it ended by itself, which it never should: say why

    async def _run(self) -> None:
        """Serve one job after the other until cancelled."""
        job: _Job | None = None
        try:
            while True:
                job = await self._next()
                if not job.blocks.done():
                    blocks = await self._blocks(job.source)
                    if not job.blocks.done():
                        job.blocks.set_result(blocks)
                job = None
        finally:
            self._closed = True
            self._refuse(job)
            for jobs in self._jobs.values():
                for waiting in jobs:
                    self._refuse(waiting)
            self._jobs.clear()
            await self._end_worker()

    async def _next(self) -> _Job:
        """The next job, of the client who waits for its turn longest."""
        while not self._jobs:
            self._wanted.clear()
            await self._wanted.wait()
        client = next(iter(self._jobs))
        jobs = self._jobs.pop(client)
        job = jobs.popleft()
        if jobs:
            self._jobs[client] = jobs  # behind all others
        return job

    def _refuse(self, job: _Job | None) -> None:
        if job is not None and not job.blocks.done():
            job.blocks.set_exception(RendererClosedError())

    async def _blocks(self, source: str) -> tuple[Block, ...]:
        try:
            async with asyncio.timeout(self._timeout):
                for _ in range(_ATTEMPTS):
                    with suppress(WorkerGoneError, WorkerProtocolError):
                        return await self._asked(source)
        except TimeoutError:
            return await self._plain(source, "timeout")
        return await self._plain(source, "worker_crashed")

    async def _asked(self, source: str) -> tuple[Block, ...]:
        """Ask the process, starting it if there is none; however that fails, it is gone afterwards."""
        answered = False
        try:
            if self._worker is None:
                self._worker = await WorkerProcess.start(self._command)
            blocks = await self._worker.blocks(source)
            answered = True
            return blocks
        finally:
            if not answered:
                await self._end_worker()

    async def _end_worker(self) -> None:
        if self._worker is not None:
            await self._worker.kill()
            self._worker = None  # not before: who is cancelled here leaves it to `_run`

    async def _plain(self, source: str, reason: Literal["too_large", "timeout", "worker_crashed"]) -> tuple[Block, ...]:
        _log.warning("a text of %d characters is shown plain: %s", len(source), reason)
        if self._on_plain is not None:
            self._on_plain(RenderedPlainly(reason, len(source)))
        return await asyncio.to_thread(plain_blocks, source)
