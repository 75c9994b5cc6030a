"""What was begun is finished before anybody goes on, whoever is cancelled."""

from __future__ import annotations

import asyncio
import threading

import pytest

from qpty.agent.threads import in_thread, to_the_end


async def test_a_step_gives_its_result_or_its_error() -> None:
    assert await in_thread(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 7, 0)


@pytest.mark.parametrize("times", [1, 3])
async def test_a_cancelled_step_is_waited_for(times: int) -> None:
    begun, go, done = threading.Event(), threading.Event(), threading.Event()

    def step() -> None:
        begun.set()
        assert go.wait(30)
        done.set()
        raise OSError("nobody asks any more")

    task = asyncio.ensure_future(in_thread(step))
    assert await asyncio.to_thread(begun.wait, 30)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()


async def test_work_goes_to_its_end_and_then_the_cancellation_comes() -> None:
    go, done = asyncio.Event(), []

    async def work() -> None:
        await go.wait()
        done.append(True)

    task = asyncio.ensure_future(to_the_end(work()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]
