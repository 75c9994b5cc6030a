"""The worker pool: a bounded number of live terminals for any number of sessions.

Two bounds that are the same number, and so never wait for each other:

- **turns that run** (`Admission`): at most `max_workers`, in order and fair among owners. A turn that waits for its
  answer, or for somebody to answer its question, runs.
- **live terminals**: at most `max_workers`. Those that aren't used by a running turn are idle, or warm. So whoever may
  run a turn always gets a terminal: its session's own, or the place of an idle or a warm one, which is ended first.

```
          adopt                    claim
 warm ───────────▶ idle ◀───────────────────▶ busy
   │                │  (longest idle first)     │
   └──── retire ────┴──── hibernate ────────────┴──▶ (closing) ──▶ place free
```

A worker's process is ended before its place is given on: there are never more than `max_workers` of them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from qpty.agent.threads import all_ended, report_failure
from qpty.core.errors import QptyError
from qpty.sessions.admission import Admission
from qpty.sessions.errors import ClosingError, NoCapacityError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path

    from qpty.agent.provider import Agent, Profile
    from qpty.sessions.config import SessionsConfig

WAITING_LIMIT: Final = 1_000
"""Turns that may wait for a worker, over all sessions; more are refused at once."""

KEPT_IDLE: Final = 60.0
"""Seconds for which an idle worker is kept rather than a warm one: somebody may be reading its answer."""

FIRST_RETRY: Final = 1.0
LAST_RETRY: Final = 60.0
"""Seconds between attempts to start a warm worker after failures, doubling."""


class Ticket:
    """The right to run one turn; give it back with `WorkerPool.finish`."""

    __slots__ = ("granted", "owner")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()


@dataclass(eq=False, slots=True, kw_only=True)
class Worker:
    """One live agent in its place. `hibernate` is how its session lets go of it when the place is needed.

    `leaving` says that its end has begun, `gone` that its process has ended and its place is free; `watch` notices the
    death of a warm one.
    """

    agent: Agent
    profile: Profile
    directory: Path
    hibernate: Callable[[], Awaitable[None]] | None = None
    idle_since: float = 0.0
    leaving: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    watch: asyncio.Task[None] | None = field(default=None, repr=False)
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)


class WorkerPool:
    """Places for workers, and who gets them. All methods are of the event loop's thread.

    `start_warm` starts a worker for the stock; `clear_away` removes what one leaves that no session got.
    """

    def __init__(
        self,
        config: SessionsConfig,
        *,
        start_warm: Callable[[], Awaitable[Worker]] | None = None,
        clear_away: Callable[[Worker], Awaitable[None]] | None = None,
    ) -> None:
        self._config = config
        self._start_warm = start_warm
        self._clear_away = clear_away
        self._admission: Admission[Ticket] = Admission(config.max_workers)
        self._places = config.max_workers
        self._place_waiters: deque[asyncio.Future[None]] = deque()
        self._leaving: dict[Worker, None] = {}
        self._idle: dict[Worker, None] = {}
        self._warm: deque[Worker] = deque()
        self._warming: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._turn_seconds = 5.0
        self.warm_failure: BaseException | None = None
        self.crowded: Callable[[], None] | None = None
        """Called for each turn that begins to wait: whoever holds one that can be done without may end it."""

    # -- figures

    @property
    def live(self) -> int:
        """How many places are taken."""
        return self._config.max_workers - self._places

    @property
    def idle(self) -> int:
        """How many sessions' workers are idle."""
        return len(self._idle)

    @property
    def warm(self) -> int:
        """How many workers wait for a new session."""
        return len(self._warm)

    @property
    def running(self) -> int:
        """How many turns run."""
        return self._admission.running

    @property
    def waiting(self) -> int:
        """How many turns wait."""
        return self._admission.waiting

    def retry_after(self) -> float:
        """Return a fair guess, in seconds, of when a place will be free: what waits, at the pace of late turns."""
        rounds = math.ceil((self.waiting + 1) / self._config.max_workers)
        return min(max(1.0, math.ceil(rounds * self._turn_seconds)), 60.0)

    # -- turns

    async def admit(self, owner: str) -> Ticket:
        """Wait for the right to run a turn. Raises NoCapacityError after `queue_timeout`, or when too many wait."""
        if self._closing:
            raise ClosingError
        if self._admission.waiting >= WAITING_LIMIT:
            raise NoCapacityError(self.retry_after())
        ticket = Ticket(owner)
        self._admission.request(ticket, owner=owner)
        self._grant()
        if not ticket.granted.done() and self.crowded is not None:
            self.crowded()
        try:
            async with asyncio.timeout(self._config.queue_timeout):
                await ticket.granted
        except TimeoutError:
            self._withdraw(ticket)
            raise NoCapacityError(self.retry_after()) from None
        except BaseException:
            self._withdraw(ticket)
            raise
        return ticket

    def finish(self, ticket: Ticket, *, seconds: float | None = None) -> None:
        """End a turn, which took so long; whoever is next is admitted."""
        if seconds is not None:
            self._turn_seconds += (min(seconds, 60.0) - self._turn_seconds) / 8
        self._admission.give_back(ticket)
        self._grant()

    def _withdraw(self, ticket: Ticket) -> None:
        self._admission.give_back(ticket)
        self._grant()

    def _grant(self) -> None:
        while (ticket := self._admission.grant()) is not None:
            if ticket.granted.done():  # its turn was cancelled in this very moment
                self._admission.give_back(ticket)
            else:
                ticket.granted.set_result(None)

    # -- places

    async def place(self) -> None:
        """Take a place for a new worker, by making room if need be. Only with a ticket: then there is one to get."""
        if self._places and not self._place_waiters:
            self._places -= 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._place_waiters.append(waiter)
        self._make_room()
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self.give_up_place()  # it was handed over in this very moment
            elif waiter in self._place_waiters:
                self._place_waiters.remove(waiter)
            raise

    def leave(self, worker: Worker) -> None:
        """Say that a worker is being ended, and its place will be free."""
        self._leaving[worker] = None

    def give_up_place(self, worker: Worker | None = None) -> None:
        """Free a place: its worker's process has ended, or was never started. It goes to who waits longest for one."""
        if worker is not None:
            self._leaving.pop(worker, None)
        while self._place_waiters:
            waiter = self._place_waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)  # handed over: nobody can come in between
                break
        else:
            self._places += 1
            self._wanted.set()
        self._make_room()

    def _make_room(self) -> None:
        """Have as many places freed as are waited for, of those that no turn uses."""
        while len(self._leaving) < len(self._place_waiters) and (victim := self._victim()) is not None:
            self.leave(victim)
            self._spawn(self._evict(victim))

    def _victim(self) -> Worker | None:
        longest = next(iter(self._idle), None)
        kept = longest is not None and time.monotonic() - longest.idle_since < KEPT_IDLE
        if self._warm and (longest is None or kept):
            return self._warm.popleft()
        if longest is not None:
            self._leave_idle(longest)
        return longest

    async def _evict(self, worker: Worker) -> None:
        if worker.hibernate is not None:
            await worker.hibernate()  # gives the place up itself
        else:
            await self.retire(worker)

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._report)

    def _report(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        report_failure(task, "a task of the worker pool failed")

    # -- idle workers

    def rest(self, worker: Worker) -> None:
        """Have a session's worker wait for its next turn, until `idle_timeout` or until its place is needed."""
        loop = asyncio.get_running_loop()
        worker.idle_since = time.monotonic()
        self._idle[worker] = None
        worker.timer = loop.call_later(self._config.idle_timeout, self._idle_too_long, worker)
        self._make_room()

    def claim(self, worker: Worker) -> bool:
        """Take an idle worker for a turn; False if it is being ended (or was never idle)."""
        if worker not in self._idle:
            return False
        self._leave_idle(worker)
        return True

    def _leave_idle(self, worker: Worker) -> None:
        self._idle.pop(worker, None)
        if worker.timer is not None:
            worker.timer.cancel()
            worker.timer = None

    def _idle_too_long(self, worker: Worker) -> None:
        if self.claim(worker):
            self.leave(worker)
            self._spawn(self._evict(worker))

    # -- warm workers

    def adopt(self, profile: Profile) -> Worker | None:
        """Take a warm worker of this profile, for a new session; None if there is none."""
        for worker in list(self._warm):
            if worker.agent.exited is not None:
                self._wanted.set()  # the stock-keeper clears it away
                continue
            if worker.profile == profile:
                self._warm.remove(worker)
                self._wanted.set()
                return worker
        return None

    def keep_warm(self) -> None:
        """Begin to hold `warm_workers` in stock."""
        if self._config.warm_workers and self._start_warm is not None and self._warming is None:
            self._warming = asyncio.get_running_loop().create_task(self._keep_stock(), name="warm workers")
            self._warming.add_done_callback(self._report)
            self._wanted.set()

    def lost(self) -> None:
        """Have the stock looked through: a warm worker has died."""
        self._wanted.set()

    async def _keep_stock(self) -> None:
        pause = FIRST_RETRY
        while not self._closing:
            await self._wanted.wait()
            self._wanted.clear()
            for worker in [worker for worker in self._warm if worker.agent.exited is not None]:
                if worker in self._warm:  # it may have made room meanwhile
                    self._warm.remove(worker)
                    await self.retire(worker)
            while len(self._warm) < self._config.warm_workers and self._spare_place():
                if await self._warm_one():
                    pause = FIRST_RETRY
                    continue
                await asyncio.sleep(pause)
                pause = min(2 * pause, LAST_RETRY)

    def _spare_place(self) -> bool:
        """Take a place that nobody waits for."""
        if self._places == 0 or self._place_waiters or self._admission.waiting or self._closing:
            return False
        self._places -= 1
        return True

    async def _warm_one(self) -> bool:
        """Start one warm worker; whether it did start."""
        if self._start_warm is None:
            raise RuntimeError("this pool keeps no warm workers")
        try:
            worker = await self._start_warm()
        except (QptyError, OSError) as error:  # sessions meet it, too, and say so
            self.warm_failure = error
            self.give_up_place()
            self._wanted.clear()
            return False
        except BaseException:
            self.give_up_place()
            raise
        self.warm_failure = None
        self._warm.append(worker)
        self._make_room()
        return True

    async def retire(self, worker: Worker) -> None:
        """End a worker that no session has, and free its place."""
        try:
            await worker.agent.close()
            if self._clear_away is not None:
                await self._clear_away(worker)
        finally:
            self.give_up_place(worker)

    # -- the end

    async def close(self) -> None:
        """Admit nobody any more and end what no session has; sessions end their own workers, and who waits in them."""
        self._closing = True
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        for worker in list(self._idle):
            self._leave_idle(worker)
        while self._warm:
            await self.retire(self._warm.popleft())
        await all_ended(self._tasks)
