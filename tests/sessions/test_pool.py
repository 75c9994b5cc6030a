"""The worker pool with fake agents: places are never exceeded and never lost, and whoever may run a turn gets one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from qpty.agent.provider import Profile
from qpty.sessions import pool as pool_module
from qpty.sessions.config import SessionsConfig
from qpty.sessions.errors import AgentUnavailableError, ClosingError, NoCapacityError
from qpty.sessions.pool import KEPT_IDLE, Worker, WorkerPool
from tests.sessions.fake_agent import FakeAgent, Processes, at_once, soon

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TIMEOUT = 20.0
NOWHERE = Path("/nonexistent")
MINUTE_AGO = KEPT_IDLE + 1


@dataclass
class Tenant:
    """A session as the pool sees one: it takes its worker or a place, rests the worker or ends it."""

    pool: WorkerPool
    processes: Processes
    owner: str = "ada"
    closing: Callable[[], Awaitable[object]] = at_once
    starting: Callable[[], Awaitable[object]] = at_once
    worker: Worker | None = None
    evicted: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def turn(self, work: Callable[[], Awaitable[object]] = at_once) -> None:
        ticket = await self.pool.admit(self.owner)
        try:
            worker = await self.hold()
            try:
                await work()
            finally:
                if worker.agent.exited is None:
                    self.pool.rest(worker)
                else:
                    self.drop(worker)
        finally:
            self.pool.finish(ticket)

    async def hold(self) -> Worker:
        worker = self.worker
        if worker is not None:
            if self.pool.claim(worker):
                return worker
            await worker.gone.wait()
        await self.pool.place()
        agent = FakeAgent(self.processes, starting=self.starting, closing=self.closing)
        try:
            await agent.start()
        except BaseException:
            self.pool.give_up_place()
            raise
        self.worker = Worker(agent=agent, profile=Profile(), directory=NOWHERE, hibernate=self.hibernate)
        return self.worker

    async def hibernate(self) -> None:
        worker = self.worker
        if worker is not None:
            self.evicted += 1
            self.drop(worker)
            await worker.gone.wait()

    def drop(self, worker: Worker) -> None:
        if not worker.leaving:
            worker.leaving = True
            self.pool.leave(worker)
            task = asyncio.get_running_loop().create_task(self._end(worker))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _end(self, worker: Worker) -> None:
        try:
            await worker.agent.close()
        finally:
            if self.worker is worker:
                self.worker = None
            worker.gone.set()
            self.pool.give_up_place(worker)


class Street:
    """A pool and its tenants."""

    def __init__(self, **config: Any) -> None:
        self.processes = Processes()
        self.warm_profile = Profile()
        self.warm_closing: Callable[[], Awaitable[object]] = at_once
        self.warm_failures: list[Exception] = []
        self.warm_starts = 0
        self.warm_started = asyncio.Event()
        self.warm_directory = NOWHERE
        self.config = SessionsConfig(**{"warm_workers": 0, "queue_timeout": TIMEOUT, **config})
        self.cleared: list[Worker] = []
        self.pool = WorkerPool(self.config, start_warm=self.start_warm, clear_away=self.clear_away)

    def tenant(self, owner: str = "ada", **options: Any) -> Tenant:
        return Tenant(self.pool, self.processes, owner, **options)

    async def start_warm(self) -> Worker:
        self.warm_starts += 1
        if self.warm_failures:
            raise self.warm_failures.pop()
        agent = FakeAgent(self.processes, closing=self.warm_closing)
        await agent.start()
        self.warm_started.set()
        return Worker(agent=agent, profile=self.warm_profile, directory=self.warm_directory)

    async def clear_away(self, worker: Worker) -> None:
        assert worker.agent not in self.processes.alive
        self.cleared.append(worker)

    async def stocked(self, number: int) -> None:
        await soon(lambda: self.pool.warm == number)

    def warm_agents(self) -> list[FakeAgent]:
        return [worker.agent for worker in self.pool._warm if isinstance(worker.agent, FakeAgent)]


async def finished(*tasks: asyncio.Task[None]) -> None:
    """Wait until all have ended well; where nothing moves any more, that is a failure at once."""
    await soon(lambda: all(task.done() for task in tasks))
    await asyncio.gather(*tasks)


def begin(coroutine: Any) -> asyncio.Task[None]:
    task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)
    return task


# -- places


async def test_a_tenant_keeps_its_worker_from_turn_to_turn() -> None:
    street = Street(max_workers=2)
    tenant = street.tenant()
    await tenant.turn()
    first = tenant.worker
    await tenant.turn()
    assert first is tenant.worker is not None
    assert (street.pool.live, street.pool.idle, street.pool.running) == (1, 1, 0)


async def test_the_longest_idle_is_ended_first() -> None:
    street = Street(max_workers=3)
    tenants = [street.tenant() for _ in range(4)]
    for tenant in tenants[:3]:
        await tenant.turn()
    await tenants[0].turn()  # the second one is idle for longest now
    await tenants[3].turn()
    assert [tenant.evicted for tenant in tenants] == [0, 1, 0, 0]
    assert street.processes.most == 3


async def test_the_place_is_given_on_only_when_the_process_has_ended() -> None:
    street = Street(max_workers=1)
    may_end = asyncio.Event()
    leaving, coming = street.tenant(closing=may_end.wait), street.tenant()
    await leaving.turn()
    turn = begin(coming.turn())
    await soon(lambda: leaving.evicted == 1)
    assert coming.worker is None
    assert street.pool.live == 1
    may_end.set()
    await finished(turn)
    assert street.processes.most == 1


async def test_a_worker_that_is_being_ended_cannot_be_claimed() -> None:
    """The session whose worker leaves just as its next message comes waits for the end, then starts a fresh one."""
    street = Street(max_workers=1)
    may_end = asyncio.Event()
    first, second = street.tenant("ada", closing=may_end.wait), street.tenant("bob")
    await first.turn()
    old = first.worker
    assert old is not None
    taken = begin(second.turn())
    await soon(lambda: first.evicted == 1)
    back = begin(first.turn())
    await soon(lambda: street.pool.waiting == 1)
    assert not street.pool.claim(old)
    may_end.set()
    await finished(taken, back)
    assert first.worker is not old
    assert (first.evicted, second.evicted, street.processes.most) == (1, 1, 1)


async def test_no_turn_is_ended_to_make_room() -> None:
    street = Street(max_workers=1)
    done = asyncio.Event()
    working, waiting = street.tenant("ada"), street.tenant("bob")
    first = begin(working.turn(done.wait))
    await soon(lambda: working.worker is not None)
    second = begin(waiting.turn())
    await soon(lambda: street.pool.waiting == 1)
    assert working.evicted == 0
    done.set()
    await finished(first, second)
    assert (working.evicted, street.processes.most) == (1, 1)


async def test_two_who_need_room_at_once_have_two_places_freed() -> None:
    street = Street(max_workers=2)
    may_end = asyncio.Event()
    idle = [street.tenant(closing=may_end.wait) for _ in range(2)]
    coming = [street.tenant() for _ in range(2)]
    for tenant in idle:
        await tenant.turn()
    turns = [begin(tenant.turn()) for tenant in coming]
    await soon(lambda: sum(tenant.evicted for tenant in idle) == 2)
    may_end.set()
    await finished(*turns)
    assert street.processes.most == 2


async def test_nobody_is_ended_for_a_place_that_is_being_freed_already() -> None:
    street = Street(max_workers=2)
    may_end, done = asyncio.Event(), asyncio.Event()
    leaving, working, coming = street.tenant(closing=may_end.wait), street.tenant(), street.tenant()
    await leaving.turn()
    running = begin(working.turn(done.wait))
    await soon(lambda: working.worker is not None)
    turn = begin(coming.turn())
    await soon(lambda: leaving.evicted == 1)
    done.set()
    await finished(running)
    may_end.set()
    await finished(turn)
    assert working.evicted == 0


async def test_who_is_overtaken_at_the_moment_an_eviction_ends_gets_the_next_place() -> None:
    street = Street(max_workers=2)
    overtaker, slow = street.tenant("bob"), street.tenant("cem")
    taken: list[asyncio.Task[None]] = []

    async def overtake() -> None:
        taken.append(begin(overtaker.turn()))  # runs before whoever is woken by the place

    first, second = street.tenant(closing=overtake), street.tenant()
    await first.turn()
    await second.turn()
    waiting = begin(slow.turn())
    await finished(waiting)
    await finished(*taken)
    assert street.processes.most == 2


async def test_a_cancelled_waiter_loses_no_place() -> None:
    """Cancelled while it waits, and in the very moment in which it was woken."""
    for moment in ("waiting", "woken"):
        street = Street(max_workers=1)
        may_end = asyncio.Event()
        leaving, coming, next_one = street.tenant(closing=may_end.wait), street.tenant(), street.tenant()
        await leaving.turn()
        turn = begin(coming.turn())
        await soon(lambda leaving=leaving: leaving.evicted == 1)  # type: ignore[misc]
        if moment == "waiting":
            turn.cancel()
        else:
            assert leaving.worker is not None
            gone = leaving.worker.gone
            may_end.set()
            await soon(gone.is_set)
            turn.cancel()
        may_end.set()
        await asyncio.gather(turn, return_exceptions=True)
        await soon(lambda street=street: street.pool.live == 0)  # type: ignore[misc]
        assert turn.cancelled()
        assert (street.pool.running, street.pool.waiting) == (0, 0)
        await finished(begin(next_one.turn()))
        assert street.processes.most == 1


async def test_a_cancelled_waiter_hands_its_place_to_the_next_one() -> None:
    street = Street(max_workers=2)
    await street.pool.place()
    await street.pool.place()
    first, second = begin(street.pool.place()), begin(street.pool.place())
    await asyncio.sleep(0)
    street.pool.give_up_place()  # wakes the first
    first.cancel()
    await soon(second.done)
    assert first.cancelled()
    assert street.pool.live == 2


async def test_an_agent_that_does_not_start_frees_its_place() -> None:
    async def fail() -> None:
        raise OSError("no more processes")

    street = Street(max_workers=1)
    with pytest.raises(OSError, match="no more processes"):
        await street.tenant(starting=fail).turn()
    assert (street.pool.live, street.pool.running) == (0, 0)
    await finished(begin(street.tenant().turn()))


async def test_an_idle_worker_hibernates_after_idle_timeout() -> None:
    street = Street(max_workers=2, idle_timeout=0.02)
    tenant = street.tenant()
    await tenant.turn()
    worker = tenant.worker
    assert worker is not None
    await asyncio.wait_for(worker.gone.wait(), TIMEOUT)
    assert (tenant.evicted, street.pool.live, street.pool.idle) == (1, 0, 0)


async def test_a_turn_stops_the_clock_of_idle_timeout() -> None:
    street = Street(max_workers=2, idle_timeout=0.02)
    tenant, other = street.tenant("ada"), street.tenant("bob")
    await tenant.turn()
    assert tenant.worker is not None
    clock = tenant.worker.timer
    assert clock is not None
    assert street.pool.claim(tenant.worker)
    assert clock.cancelled(), "it would end a later rest too early"
    await other.turn()  # its clock is started later than the first one's was
    assert other.worker is not None
    await asyncio.wait_for(other.worker.gone.wait(), TIMEOUT)
    assert tenant.evicted == 0
    assert not street.pool.claim(tenant.worker), "claimed twice"


def test_turns_deaths_and_cancels_in_any_order_exceed_nothing_and_lose_nothing() -> None:
    """A thousand short lives of a street, each decided by its seed alone: no clock takes part."""
    for seed in range(1_000):
        random = Random(seed)  # noqa: S311
        try:
            asyncio.run(_street_life(random, places=random.randint(1, 3), tenants=random.randint(1, 6)))
        except BaseException as error:
            error.add_note(f"with seed {seed}")
            raise


async def _street_life(random: Random, *, places: int, tenants: int) -> None:
    street = Street(max_workers=places, warm_workers=random.randint(0, places))

    async def a_while() -> None:
        for _ in range(random.randrange(6)):
            await asyncio.sleep(0)

    houses = [
        street.tenant(random.choice(("ada", "bob", "cem")), starting=a_while, closing=a_while) for _ in range(tenants)
    ]
    street.warm_closing = a_while
    street.pool.keep_warm()
    done = 0

    async def live(tenant: Tenant) -> None:
        nonlocal done
        for _ in range(4):
            turn = begin(tenant.turn(a_while))
            await a_while()
            match random.randrange(6):
                case 0:
                    turn.cancel()
                case 1 if tenant.worker is not None and isinstance(tenant.worker.agent, FakeAgent):
                    tenant.worker.agent.die()
                case 2 if tenant.worker is not None and street.pool.claim(tenant.worker):
                    await tenant.hibernate()
                case _:
                    pass
            await asyncio.gather(turn, return_exceptions=True)
            if not turn.cancelled():
                turn.result()
            done += 1

    lives = [begin(live(tenant)) for tenant in houses]
    await soon(lambda: all(life.done() for life in lives), turns=5_000)
    await asyncio.gather(*lives)
    assert done == 4 * tenants
    assert street.processes.most <= places
    assert (street.pool.running, street.pool.waiting) == (0, 0)
    await street.pool.close()
    for tenant in houses:
        if tenant.worker is not None:
            tenant.drop(tenant.worker)
    await soon(lambda: street.pool.live == 0)
    assert not street.processes.alive


# -- admission


async def test_who_waits_too_long_is_told_when_to_come_again() -> None:
    street = Street(max_workers=1, queue_timeout=0.02)
    done = asyncio.Event()
    running = begin(street.tenant().turn(done.wait))
    await soon(lambda: street.pool.running == 1)
    with pytest.raises(NoCapacityError) as refused:
        await asyncio.wait_for(street.tenant().turn(), TIMEOUT)
    assert 1.0 <= refused.value.retry_after <= 60.0
    assert (street.pool.waiting, street.pool.running) == (0, 1)
    done.set()
    await finished(running)
    await finished(begin(street.tenant().turn()))
    assert street.pool.running == 0


async def test_more_than_may_wait_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "WAITING_LIMIT", 2)
    street = Street(max_workers=1)
    done = asyncio.Event()
    turns = [begin(street.tenant().turn(done.wait)) for _ in range(3)]
    await soon(lambda: street.pool.waiting == 2)
    with pytest.raises(NoCapacityError):
        await street.pool.admit("ada")
    done.set()
    await finished(*turns)


async def test_a_turn_cancelled_in_the_moment_of_its_admission_keeps_no_slot() -> None:
    street = Street(max_workers=1)
    ticket = await street.pool.admit("ada")
    granted, behind = begin(street.pool.admit("ada")), begin(street.pool.admit("ada"))
    await soon(lambda: street.pool.waiting == 2)
    street.pool.finish(ticket)  # the next one is granted, and cancelled before it can know
    granted.cancel()
    await soon(behind.done)
    assert granted.cancelled()
    assert (street.pool.running, street.pool.waiting) == (1, 0)


async def test_a_turn_cancelled_before_its_admission_is_passed_over() -> None:
    street = Street(max_workers=1)
    ticket = await street.pool.admit("ada")
    cancelled, behind = begin(street.pool.admit("ada")), begin(street.pool.admit("ada"))
    await soon(lambda: street.pool.waiting == 2)
    cancelled.cancel()
    street.pool.finish(ticket)  # the cancelled one is still in the line
    await soon(behind.done)
    assert cancelled.cancelled()
    assert (street.pool.running, street.pool.waiting) == (1, 0)


async def test_the_time_to_come_again_follows_what_waits_and_how_long_turns_take() -> None:
    street = Street(max_workers=1)
    quick = street.pool.retry_after()
    ticket = await street.pool.admit("ada")
    waiting = [begin(street.pool.admit("ada")) for _ in range(3)]
    await soon(lambda: street.pool.waiting == 3)
    assert quick < street.pool.retry_after()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert street.pool.retry_after() == quick
    street.pool.finish(ticket, seconds=1_000.0)
    assert quick < street.pool.retry_after() <= 60.0


# -- warm workers


async def test_the_stock_is_kept_and_used() -> None:
    street = Street(max_workers=4, warm_workers=2)
    street.pool.keep_warm()
    await street.stocked(2)
    first = street.warm_agents()[0]
    worker = street.pool.adopt(Profile())
    assert worker is not None
    assert worker.agent is first
    await street.stocked(2)
    assert (street.warm_starts, street.pool.live, street.processes.most) == (3, 3, 3)
    await street.pool.close()


async def test_a_worker_of_another_profile_is_not_given() -> None:
    street = Street(max_workers=2, warm_workers=1)
    street.pool.keep_warm()
    await street.stocked(1)
    assert street.pool.adopt(Profile(model="other")) is None
    assert street.pool.warm == 1
    await street.pool.close()


async def test_the_stock_gives_way_to_a_turn_and_comes_back() -> None:
    street = Street(max_workers=1, warm_workers=1)
    street.pool.keep_warm()
    await street.stocked(1)
    tenant = street.tenant()
    await finished(begin(tenant.turn()))
    assert (street.pool.warm, street.processes.most) == (0, 1)
    assert tenant.worker is not None
    assert street.pool.claim(tenant.worker)
    await tenant.hibernate()
    await street.stocked(1)
    await street.pool.close()


async def test_a_warm_worker_goes_before_one_that_was_just_used_and_after_one_that_was_not() -> None:
    for idle_for, evicted, warm in ((0.0, 0, 0), (MINUTE_AGO, 1, 1)):
        street = Street(max_workers=2, warm_workers=1)
        resting = street.tenant()
        await resting.turn()
        street.pool.keep_warm()
        await street.stocked(1)
        assert resting.worker is not None
        resting.worker.idle_since -= idle_for
        await finished(begin(street.tenant().turn()))
        assert (resting.evicted, street.pool.warm) == (evicted, warm)
        await street.pool.close()


async def test_the_stock_takes_no_place_that_somebody_waits_for() -> None:
    street = Street(max_workers=1, warm_workers=1)
    may_end = asyncio.Event()
    leaving, coming = street.tenant(closing=may_end.wait), street.tenant()
    await leaving.turn()
    turn = begin(coming.turn())
    await soon(lambda: leaving.evicted == 1)
    street.pool.keep_warm()
    may_end.set()
    await finished(turn)
    assert (coming.evicted, street.warm_starts) == (0, 0)
    await street.pool.close()


async def test_a_dead_warm_worker_is_replaced_and_never_given() -> None:
    street = Street(max_workers=2, warm_workers=1)
    street.pool.keep_warm()
    await street.stocked(1)
    (dead,) = street.warm_agents()
    dead.die()
    assert street.pool.adopt(Profile()) is None
    street.pool.lost()
    await soon(lambda: dead.closed and street.pool.warm == 1)
    assert street.pool.adopt(Profile()) is not None
    assert street.processes.most <= 2
    await street.pool.close()


async def test_a_session_that_finds_a_dead_warm_worker_has_it_replaced() -> None:
    street = Street(max_workers=2, warm_workers=1)
    street.pool.keep_warm()
    await street.stocked(1)
    (dead,) = street.warm_agents()
    dead.die()
    assert street.pool.adopt(Profile()) is None
    try:
        await soon(lambda: dead.closed and street.pool.warm == 1)
    finally:
        await street.pool.close()


async def test_a_dead_warm_worker_that_makes_room_meanwhile_does_not_end_the_stock_keeping() -> None:
    street = Street(max_workers=2, warm_workers=2)
    may_end = asyncio.Event()
    street.warm_closing = may_end.wait
    street.pool.keep_warm()
    await street.stocked(2)
    for agent in street.warm_agents():
        agent.die()
    street.pool.lost()
    await soon(lambda: street.pool.warm == 1)  # the first is being ended
    tenant = street.tenant()
    turn = begin(tenant.turn())  # makes the second one leave
    await soon(lambda: street.pool.warm == 0)
    reports = _reports()
    may_end.set()
    await finished(turn)
    try:
        await street.stocked(1)
        assert not reports
    finally:
        await street.pool.close()


async def test_a_warm_worker_that_does_not_start_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "FIRST_RETRY", 0.001)
    street = Street(max_workers=2, warm_workers=1)
    trouble = AgentUnavailableError("not_signed_in", "log in first")
    street.warm_failures = [trouble, trouble]
    street.pool.keep_warm()
    await soon(lambda: street.pool.warm_failure is trouble)
    assert street.pool.live == 0
    await asyncio.wait_for(street.warm_started.wait(), TIMEOUT)
    await street.stocked(1)
    assert (street.warm_starts, street.pool.warm_failure, street.pool.live) == (3, None, 1)
    await street.pool.close()


async def test_a_warm_worker_without_a_directory_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "FIRST_RETRY", 0.001)
    street = Street(max_workers=2, warm_workers=1)
    street.warm_failures = [OSError(28, "No space left on device")]
    reports = _reports()
    street.pool.keep_warm()
    await soon(lambda: bool(reports) or street.pool.warm_failure is not None)
    try:
        assert not reports
        await asyncio.wait_for(street.warm_started.wait(), TIMEOUT)
        await street.stocked(1)
    finally:
        await street.pool.close()


async def test_what_a_warm_worker_leaves_is_cleared_away_once_its_process_has_ended() -> None:
    street = Street(max_workers=1, warm_workers=1)
    street.pool.keep_warm()
    await street.stocked(1)
    warm = street.warm_agents()
    assert street.cleared == []
    await street.pool.close()
    assert [worker.agent for worker in street.cleared] == warm


# -- the end


async def test_close_ends_the_stock_and_what_was_leaving_and_takes_nothing_new() -> None:
    street = Street(max_workers=3, warm_workers=1)
    may_end = asyncio.Event()
    resting, leaving = street.tenant(), street.tenant(closing=may_end.wait)
    await resting.turn()
    await leaving.turn()
    street.pool.keep_warm()
    await street.stocked(1)
    assert leaving.worker is not None
    street.pool._idle_too_long(leaving.worker)
    closing = begin(street.pool.close())
    await soon(lambda: street.pool.warm == 0 and leaving.evicted == 1)
    assert not closing.done()
    may_end.set()
    await finished(closing)
    assert (street.pool.live, street.pool.idle, resting.evicted) == (1, 0, 0)  # sessions end their own workers
    with pytest.raises(ClosingError):
        await street.pool.admit("ada")
    await street.pool.close()


async def test_close_in_the_middle_of_a_warm_start_leaves_nothing() -> None:
    street = Street(max_workers=1, warm_workers=1)
    never = asyncio.Event()
    begun: list[FakeAgent] = []

    async def start_for_ever() -> Worker:
        agent = FakeAgent(street.processes, starting=never.wait)
        begun.append(agent)
        await agent.start()
        raise AssertionError("it was to be cancelled")

    pool = WorkerPool(street.config, start_warm=start_for_ever)
    pool.keep_warm()
    await soon(lambda: bool(begun))
    await pool.close()
    assert pool.live == 0
    assert not street.processes.alive


def _reports() -> list[dict[str, Any]]:
    """What the loop's exception handler is told from now on."""
    found: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    return found
