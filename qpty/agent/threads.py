"""Work that has to be finished once it was begun, whoever is cancelled meanwhile."""

from __future__ import annotations

import asyncio
import contextvars
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run one bounded, blocking step in a thread, and be done only when it is done.

    As `asyncio.to_thread`, but a cancellation is kept back until the step has ended: what a step opened can then be
    closed, and nothing is cleaned up under a step that still runs.
    """
    call = partial(contextvars.copy_context().run, partial(step, *args, **kwargs))
    return await _finished(asyncio.get_running_loop().run_in_executor(None, call))


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await bounded work that must not stop half-way; a cancellation is kept back until it is done."""
    return await _finished(asyncio.ensure_future(work))


async def _finished(running: asyncio.Future[T]) -> T:
    """Return what `running` gives; raises CancelledError only after it is done."""
    cancelled: asyncio.CancelledError | None = None
    while True:
        try:
            await asyncio.wait([running])  # unlike awaiting it, this leaves it alone when we are cancelled
        except asyncio.CancelledError as error:
            cancelled = error
        else:
            break
    if cancelled is not None:
        if not running.cancelled():
            running.exception()  # looked at: what else went wrong matters to nobody any more
        raise cancelled
    return running.result()


async def all_ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Wait until a set of tasks is empty, whose members take themselves out (by a done callback) and may add others."""
    while tasks:
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(
            0
        )  # for those callbacks: from Python 3.12 on, gathering what has ended lets nobody else run


async def cancelled(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks and wait until they have ended, however they do; None stands for none."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def report_failure(task: asyncio.Task[Any], message: str) -> None:
    """Tell the loop's exception handler how an ended task failed that nobody awaits; nothing if it didn't."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": message, "exception": error, "task": task})
