"""The one writer of a process: everything that is to be written waits here and is committed together.

A commit costs far more than what it commits, so there is never one per event. The writer takes all that waits, commits
it in one transaction, tells whoever gave it, and rests before the next. An idle system answers at once; fifty streaming
sessions share some twenty commits a second.

Order: the writes of one call or one source keep theirs, and calls and sources are carried out as they arrived: a source
at the place of its first wake since it was last taken from, with all that it has by then. (So await a `write()` before
giving a source what depends on it.) Only appends are merged over everybody, and never behind a write that takes away
what they add (`Write.fence`).

Failures: one that time may heal is repeated, with the same writes, until it succeeds; `failing` says why meanwhile. A
commit whose answer was lost is looked up before anything is repeated (`Link.outcome`), so nothing is written twice. One
that will not heal is somebody's fault: the writes are carried out again one call or source at a time, and only those
that fail by themselves are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final, Protocol

from qpty.storage.backend import Fault
from qpty.storage.errors import StorageBusyError, StorageError, StorageFailedError, WriterClosedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpty.storage.backend import Backend
    from qpty.storage.writes import JournalRow, Write

REST: Final = 49
"""How many times as long as a transaction took the writer rests after it: it works a fiftieth of the time.

With nine times as long, fifty sessions that stream 2,000 events a second had up to 200 small commits a second and cost
6 % of a core, most of it for the commits themselves: each writes a page for every session, whether it brings one event
or ten. With this they have twenty, and cost less than half of that (`tests/storage/journal_cost.py`).
"""

REST_LIMIT: Final = 0.05
"""Seconds that the writer rests at most: what is not urgent is durable that soon, on a slow disk too."""

GATHERING: Final = 8
"""Turns of the loop that the writer lets pass before it takes what waits.

One thing leads to another: a message that is accepted goes to an idle terminal six turns later, which is noted, too. In
one transaction that is a commit less before the first key is typed; the turns themselves take some 0.1 ms.
"""

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0
"""Seconds between the attempts at a transaction that fails: doubled each time, from the first to the longest."""

WAITING_LIMIT: Final = 4096
"""Calls of `write()` that may wait. A database that is down for long must not fill the memory with them."""

CLOSE_TIMEOUT: Final = 10.0
"""Seconds that `close()` goes on trying to write what waits."""

STILL_COMMITTING: Final = Fault(
    detail="the server has not noticed that the connection of a commit is lost, so it may still happen", retryable=True
)

_log: Final = logging.getLogger(__name__)


class Source(Protocol):
    """Something with writes that wait, which bounds how much that is. Nothing here may raise, or take long."""

    def take(self) -> Sequence[Write]:
        """Return all writes that wait now, in order. Called just before a transaction; one take at a time is open."""

    def written(self) -> None:
        """What the last take gave is committed."""

    def refused(self, error: StorageError) -> None:
        """What the last take gave will not be written, for the reason given. All of it: it was rolled back."""


class Writer:
    """A group-commit loop. Made by `Database.open`, on the loop that runs it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._link = backend.link()
        self._waiting: list[_Call | Source] = []
        self._awake: set[int] = set()
        self._calls = 0
        self._open: Sequence[_Call | _Taken] = ()
        self._arrived = asyncio.Event()
        self._urgent = asyncio.Event()
        self._rest_until = 0.0
        self._failing: str | None = None
        self._closing = False
        self._stopped: str | None = None
        self._task = asyncio.create_task(self._run(), name="storage writer")
        self._task.add_done_callback(self._end)

    @property
    def failing(self) -> str | None:
        """Why the last transaction failed, while it is being tried again; None while all is well."""
        return self._failing if self._stopped is None else self._stopped

    def wake(self, source: Source, *, urgent: bool) -> None:
        """Say that `source` has something to write; more than once before it is taken is once.

        An urgent wake ends the writer's rest. Raises WriterClosedError when nothing more is taken.
        """
        if self._stopped is not None:
            raise WriterClosedError(self._stopped)
        if id(source) not in self._awake:
            self._awake.add(id(source))
            self._waiting.append(source)
            self._arrived.set()
        if urgent:
            self._urgent.set()

    async def write(self, *writes: Write) -> None:
        """Write these in one transaction, after everything given earlier; durable when this returns.

        Without writes, it returns when everything given earlier is durable. A call that is cancelled may still be
        carried out, wholly. Raises StorageFailedError if the writes are at fault (none of them was done),
        StorageBusyError if too many calls wait, WriterClosedError.
        """
        if self._stopped is not None or self._closing:
            raise WriterClosedError(self._stopped or "it is being closed")
        if self._calls >= WAITING_LIMIT:
            raise StorageBusyError(waiting=self._calls, limit=WAITING_LIMIT)
        call = _Call(writes)
        self._calls += 1
        call.done.add_done_callback(self._answered)
        self._waiting.append(call)
        self._arrived.set()
        self._urgent.set()
        await call.done

    async def close(self) -> None:
        """Write what waits, then stop. Raises StorageFailedError if the database would not take it in time."""
        self._closing = True
        self._arrived.set()
        self._urgent.set()
        done, _ = await asyncio.wait({self._task}, timeout=CLOSE_TIMEOUT)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._link.close()
        if not done:
            raise StorageFailedError(
                f"what waited was not taken within {CLOSE_TIMEOUT:g} s ({self._failing or 'no answer'})", retryable=True
            )

    def _answered(self, _done: asyncio.Future[None]) -> None:
        self._calls -= 1

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await self._arrived.wait()
            if not self._waiting:  # only close() arrives with nothing
                return
            await self._rest()
            for _ in range(GATHERING):
                await asyncio.sleep(0)
            began = clock()
            self._open = self._take()
            await self._write_out(self._open)
            self._open = ()
            ended = clock()
            self._rest_until = ended + min(REST * (ended - began), REST_LIMIT)

    async def _rest(self) -> None:
        if self._rest_until > asyncio.get_running_loop().time():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._rest_until):
                    await self._urgent.wait()

    def _take(self) -> Sequence[_Call | _Taken]:
        waiting, self._waiting = self._waiting, []
        self._awake.clear()
        self._urgent.clear()
        if not self._closing:
            self._arrived.clear()
        taken: list[_Call | _Taken] = []
        for giver in waiting:
            if isinstance(giver, _Call):
                taken.append(giver)
            elif (writes := self._take_from(giver)) is not None:
                taken.append(_Taken(giver, writes))
        return taken

    def _take_from(self, source: Source) -> Sequence[Write] | None:
        try:
            return source.take() or None
        except Exception as error:  # noqa: BLE001 - one source's mistake must not stop everybody's writing
            self._report(f"a source of the storage's writer failed in take(): {source!r}", error)
            return None

    async def _write_out(self, givers: Sequence[_Call | _Taken]) -> None:
        """Commit what the givers gave, together if that can be, and answer them."""
        refusal = await self._transact(givers)
        if refusal is None:
            for giver in givers:
                self._answer(giver, None)
        elif len(givers) == 1:
            self._answer(givers[0], refusal)
        else:
            for giver in givers:
                self._answer(giver, await self._transact((giver,)))

    def _answer(self, giver: _Call | _Taken, refusal: StorageError | None) -> None:
        giver.answered = True
        try:
            if refusal is None:
                giver.written()
            else:
                giver.refused(refusal)
        except Exception as error:  # noqa: BLE001 - as in _take_from
            self._report(f"the storage's writer could not answer {giver!r}", error)

    async def _transact(self, givers: Sequence[_Call | _Taken]) -> StorageFailedError | None:
        """Commit all in one transaction, however many attempts it takes; return why it can never be."""
        pause = FIRST_PAUSE
        doubtful: str | None = None
        while True:
            to_blame = False
            try:
                if doubtful is not None:
                    outcome = await self._link.outcome(doubtful)
                    if outcome == "committed":
                        break
                    if outcome == "aborted":
                        doubtful = None
                if doubtful is None:
                    await self._link.begin()
                    to_blame = True  # from here on, it is about what is written
                    await self._carry_out(givers)
                    doubtful = await self._link.witness()
                    await self._link.commit()
                    break
                fault = STILL_COMMITTING
            except Exception as error:  # noqa: BLE001 - whatever values give rise to is the fault of who gave them
                await self._link.rollback()
                fault = self._backend.fault(error)
                if to_blame and not fault.retryable:
                    return StorageFailedError(fault.detail, retryable=False)
            self._tell_failing(fault)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        if self._failing is not None:
            _log.warning("the database takes writes again")
            self._failing = None
        return None

    async def _carry_out(self, givers: Sequence[_Call | _Taken]) -> None:
        events: list[JournalRow] = []
        for giver in givers:
            for write in giver.writes:
                if write.events:
                    events.extend(write.events)
                    continue
                if write.fence and events:
                    await self._link.append(events)
                    events = []
                for statement in write.statements:
                    await self._link.execute(statement)
        if events:
            await self._link.append(events)

    def _tell_failing(self, fault: Fault) -> None:
        if self._failing is None:
            _log.warning("the database takes no writes, which are kept and tried again: %s", fault.detail)
        self._failing = fault.detail

    def _end(self, task: asyncio.Task[None]) -> None:
        """Answer everybody, however the loop ended: nobody waits for a writer that is gone."""
        if task.cancelled():
            self._stopped = "it was stopped before all was written"
        elif (error := task.exception()) is not None:
            self._stopped = f"it failed with {type(error).__name__}"
            self._report("the storage's writer failed", error)
        else:
            self._stopped = "it was closed"
        refusal = WriterClosedError(self._stopped)
        waiting, self._waiting = self._waiting, []
        for giver in [*self._open, *(each if isinstance(each, _Call) else _Taken(each, ()) for each in waiting)]:
            if not giver.answered:
                self._answer(giver, refusal)

    def _report(self, message: str, error: BaseException) -> None:
        # Without the task: since Python 3.12 a handler is run in its context, which can't be entered from inside it.
        self._task.get_loop().call_exception_handler({"message": message, "exception": error})


class _Call:
    """One `write()` that waits."""

    def __init__(self, writes: Sequence[Write]) -> None:
        self.writes = writes
        self.answered = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def written(self) -> None:
        if not self.done.done():  # it is, once the caller was cancelled
            self.done.set_result(None)

    def refused(self, error: StorageError) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class _Taken:
    """What one source gave."""

    def __init__(self, source: Source, writes: Sequence[Write]) -> None:
        self.writes = writes
        self.answered = False
        self.written = source.written
        self.refused = source.refused
