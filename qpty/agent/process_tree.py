"""Which processes belong to a worker, and how to end every one of them.

A process belongs to a worker if it descends from the worker's child, if it carries the worker's mark in its environment
(`QPTY_WORKER=TOKEN`, put there by whoever starts the child), or if its session is the child's. The mark finds daemons:
forked twice, in a session of their own, adopted by init. What was found once stays known, so parents may die first.
Not found is a process that left the session, wiped the mark *and* lost its parents before anybody looked: only a
sandbox with a process namespace of its own keeps such a program in.

A pid alone names nobody for long: everything here goes by `ProcessIdentity`, the pid together with the start time, and
a signal is sent through a descriptor of the very process that was checked.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from qpty.agent.errors import ProcessGoneError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

MARK_VARIABLE = "QPTY_WORKER"
"""The environment variable that marks all processes of one worker; its value is a token nobody else uses."""

SURVEY_STEP = 32
"""Processes looked at before other tasks of the loop get their turn: about 1 ms."""

ENVIRON_LIMIT = 8 * 1024 * 1024
"""Bytes of one environment that are searched: more than the kernel lets a program start with."""

FREEZE_ROUNDS = 50
"""How often newcomers are looked for before what was found is killed. Each round halves a fork bomb, or better."""

LISTINGS = 20
"""How often one look lists the pids again, because new ones came up while it looked."""

FIRST_LOOK, LAST_LOOK = 0.004, 0.05
"""Seconds between two looks at processes that were signalled: short at first, since most end at once."""

_PROC = Path("/proc")
_READ = os.O_RDONLY | os.O_CLOEXEC

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ProcessIdentity:
    """One process, never confused with a later one of the same pid. `started` is in clock ticks since boot."""

    pid: int
    started: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """What /proc/PID/stat says. `ended` is a process that only waits to be reaped."""

    identity: ProcessIdentity
    name: str
    ended: bool
    parent: int
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeReport:
    """How an ending went. `survivors` are alive still: not ours to signal, or stuck in the kernel. Time in seconds."""

    ended: frozenset[ProcessIdentity]
    survivors: frozenset[ProcessIdentity]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Graces:
    """How long each step waits, in seconds, before the next and rougher one. `kill` bounds the whole last step."""

    hangup: float = 0.5
    interrupt: float = 0.2
    terminate: float = 0.5
    kill: float = 5.0


def status(pid: int) -> ProcessStatus | None:
    """What can be seen of a process; None if there is none."""
    text = _contents(f"/proc/{pid}/stat")
    if not text:
        return None
    # The name is in parentheses and may hold any character, parentheses included.
    head, _, tail = text.rpartition(b")")
    fields = tail.split()
    # A process whose first thread ended looks like a zombie, but its other threads run on: count them.
    return ProcessStatus(
        identity=ProcessIdentity(pid=pid, started=int(fields[19])),
        name=head.partition(b"(")[2].decode("utf-8", "surrogateescape"),
        ended=fields[0] in b"ZX" and int(fields[17]) <= 1,
        parent=int(fields[1]),
        session=int(fields[3]),
    )


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of the process that has this pid now; None if there is none or only its remains."""
    seen = status(pid)
    return None if seen is None or seen.ended else seen.identity


def is_alive(process: ProcessIdentity) -> bool:
    """Whether this very process runs (or is stopped); a zombie doesn't."""
    return identify(process.pid) == process


def children(pid: int) -> tuple[int, ...]:
    """The direct children of a process, over all its threads, zombies included.

    Raises ProcessGoneError if there is no such process. An empty answer is certain for the moment of the look. A list
    is read again until two readings agree, since the kernel may skip a child whose elder sibling ends meanwhile.
    """
    if not _kernel_lists_children():
        return _children_by_parent(pid)
    before: tuple[int, ...] | None = None
    for _ in range(5):
        now = _listed_children(pid)
        if not now or now == before:
            return now
        before = now
    return before or ()


def descendants(pid: int) -> tuple[int, ...]:
    """Everything below a process, nearest first, zombies included. Empty if the process is gone."""
    found: dict[int, None] = {}
    waiting = [pid]
    for parent in waiting:
        with suppress(ProcessGoneError):
            fresh = [child for child in children(parent) if child not in found and child != pid]
            found.update(dict.fromkeys(fresh))
            waiting.extend(fresh)
    return tuple(found)


def marked(token: str, *, variable: str = MARK_VARIABLE) -> frozenset[ProcessIdentity]:
    """Every running process of this user that carries the mark, wherever it hangs in the tree."""
    found = set()
    for pid in _pids():
        if _carries(pid, token, variable) and (process := identify(pid)) is not None:
            found.add(process)
    return frozenset(found)


def open_pidfd(pid: int) -> int | None:
    """A descriptor of the process that has this pid now, readable once it ended.

    None if there is no such process, the kernel or this Python has no pidfd, a sandbox forbids it, or no descriptor is
    left: callers then look now and then.
    """
    opener: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
    if opener is None:
        return None
    try:
        return opener(pid)
    except OSError:
        return None


def send_signal(process: ProcessIdentity, number: signal.Signals) -> bool:
    """Signal this very process. False if it has ended or is not ours to signal."""
    descriptor = open_pidfd(process.pid)
    try:
        # Checked after opening: the descriptor holds on to one process, whatever becomes of its pid.
        if not is_alive(process):
            return False
        if descriptor is None:
            os.kill(process.pid, number)
        else:
            signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, PermissionError):
        return False
    else:
        return True
    finally:
        if descriptor is not None:
            os.close(descriptor)


async def end_tree(root: ProcessIdentity, *, mark: str | None = None, graces: Graces | None = None) -> TreeReport:
    """End a worker: the process it was started as and everything that belongs to it, in whatever session.

    HUP, CONT (a stopped process only acts on a signal when it goes on), INT, TERM, each with its grace, as long as
    anything is left; then everything is stopped, so that nothing can fork while the rest is searched, and killed,
    again and again until nothing is found or `graces.kill` seconds are over. Returns as soon as nothing is left.

    Whoever started `root` reaps it; remains that this process inherited (as pid 1 or as a subreaper) are reaped here.
    If cancelled, everything found so far is killed at once.
    """
    graces = graces or Graces()
    return await _Ending(root=root, mark=mark, seeds=(root,)).run(
        [
            ((signal.SIGHUP, signal.SIGCONT), graces.hangup),
            ((signal.SIGINT,), graces.interrupt),
            ((signal.SIGTERM,), graces.terminate),
        ],
        kill_timeout=graces.kill,
    )


async def end_processes(
    processes: Iterable[ProcessIdentity],
    *,
    hangup_grace: float = 0.3,
    terminate_grace: float = 0.5,
    kill_timeout: float = 5.0,
) -> TreeReport:
    """End these processes and what descends from them, and nothing else. All times in seconds.

    For what a tool left behind while the agent itself lives on. HUP and CONT come first: an interactive shell ignores
    TERM, and only when hung up does it give the terminal's foreground back, without which the agent cannot read again.
    Then TERM, then KILL.
    """
    return await _Ending(root=None, mark=None, seeds=tuple(processes)).run(
        [((signal.SIGHUP, signal.SIGCONT), hangup_grace), ((signal.SIGTERM,), terminate_grace)],
        kill_timeout=kill_timeout,
    )


class _Ending:
    """One ending under way: who is known to belong to it, and who is still there."""

    def __init__(self, *, root: ProcessIdentity | None, mark: str | None, seeds: tuple[ProcessIdentity, ...]) -> None:
        self.root = root
        self.mark = mark
        self.known: dict[int, ProcessIdentity] = {seed.pid: seed for seed in seeds}
        self.everybody: set[ProcessIdentity] = set()

    async def run(self, steps: list[tuple[tuple[signal.Signals, ...], float]], *, kill_timeout: float) -> TreeReport:
        began = time.monotonic()
        try:
            for signals, grace in steps:
                if not await self.find():
                    break
                await self.send(*signals)
                await self.wait_until_gone(grace)
            await self.kill_all(time.monotonic() + kill_timeout)
        except asyncio.CancelledError:
            for process in self.known.values():
                send_signal(process, signal.SIGKILL)
            raise
        self.reap_inherited()
        survivors = frozenset(await self.alive())
        return TreeReport(
            ended=frozenset(self.everybody) - survivors, survivors=survivors, seconds=time.monotonic() - began
        )

    async def kill_all(self, deadline: float) -> None:
        """Stop everything until nobody new is found, kill it, look again: until nothing is left or time is over.

        Only a second look in a row that finds nobody is believed: a process shows no environment while it is just
        becoming another program.
        """
        empty_looks = 0
        while empty_looks < 2 and time.monotonic() < deadline:
            if not await self.find(stop=True):
                empty_looks += 1
                continue
            empty_looks = 0
            for _ in range(FREEZE_ROUNDS):
                known = len(self.everybody)
                await self.find(stop=True)
                if len(self.everybody) == known or time.monotonic() >= deadline:
                    break
            await self.send(signal.SIGKILL)
            if not await self.wait_until_gone(min(1.0, max(0.0, deadline - time.monotonic()))):
                # Not ours to signal, or stuck in the kernel: looking again won't help before some time has passed.
                await asyncio.sleep(LAST_LOOK)

    async def find(self, *, stop: bool = False) -> bool:
        """Look over all processes for members; whether any is alive. With `stop`, those alive are stopped on sight.

        No list of pids is true for long: what was listed may have forked and ended before it was looked at. So the
        list is taken again until it brings nobody who wasn't looked at.
        """
        seen: dict[int, ProcessStatus] = {}
        examined = {os.getpid(), 1}
        for _ in range(LISTINGS):
            fresh = [pid for pid in _pids() if pid not in examined]
            if not fresh:
                break
            examined.update(fresh)
            newly_seen = {pid: entry async for pid in _in_turns(fresh) if (entry := status(pid)) is not None}
            seen.update(newly_seen)
            await self.claim(seen, newly_seen, stop=stop)
        for pid, process in list(self.known.items()):
            if pid not in seen or seen[pid].identity != process:
                self.everybody.add(process)
                del self.known[pid]
        return any(not seen[pid].ended for pid in self.known)

    async def claim(self, seen: dict[int, ProcessStatus], fresh: dict[int, ProcessStatus], *, stop: bool) -> None:
        """Take in who belongs to this ending among the freshly seen, and all that descends from members."""
        for pid in fresh.keys() & self.known.keys():
            if stop and fresh[pid].identity == self.known[pid] and not fresh[pid].ended:
                send_signal(self.known[pid], signal.SIGSTOP)
        # Nobody in the tree is older than its root, which spares reading most environments.
        oldest = self.root.started if self.root is not None else 0
        strangers = [
            entry
            for pid, entry in fresh.items()
            if pid not in self.known and not entry.ended and entry.identity.started >= oldest
        ]
        async for entry in _in_turns(strangers):
            if self.is_member(entry, seen):
                self.take_in(entry.identity, stop=stop)
        below: dict[int, list[int]] = {}
        for pid, entry in seen.items():
            below.setdefault(entry.parent, []).append(pid)
        waiting = list(self.known)
        for parent in waiting:
            for pid in below.get(parent, ()):
                if pid not in self.known and not seen[pid].ended:
                    self.take_in(seen[pid].identity, stop=stop)
                    waiting.append(pid)
        self.everybody.update(self.known.values())

    def take_in(self, process: ProcessIdentity, *, stop: bool) -> None:
        self.known[process.pid] = process
        if stop:
            send_signal(process, signal.SIGSTOP)

    def is_member(self, entry: ProcessStatus, seen: dict[int, ProcessStatus]) -> bool:
        """Whether a process is in the root's session or carries the mark."""
        if self.root is None:
            return False
        # While anybody is in a session its id isn't given out again; a leader that isn't ours means that it was.
        leader = seen.get(self.root.pid)
        if entry.session == self.root.pid and (leader is None or leader.identity == self.root):
            return True
        pid = entry.identity.pid
        return self.mark is not None and _carries(pid, self.mark) and is_alive(entry.identity)

    async def alive(self) -> list[ProcessIdentity]:
        return [process async for process in _in_turns(self.known.values()) if is_alive(process)]

    async def send(self, *signals: signal.Signals) -> None:
        """Signal everybody known, children before their parents get to react to their ends."""
        async for process in _in_turns(reversed(self.known.values())):
            for number in signals:
                send_signal(process, number)

    async def wait_until_gone(self, grace: float) -> bool:
        """Wait until nobody known is alive; False if `grace` seconds were not enough."""
        deadline = time.monotonic() + grace
        pause = FIRST_LOOK
        while await self.alive():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, LAST_LOOK)
        return True

    def reap_inherited(self) -> None:
        """Reap the remains that fell to this process because their own parents ended."""
        for process in self.everybody:
            if process == self.root:
                continue
            entry = status(process.pid)
            if entry is not None and entry.identity == process and entry.ended and entry.parent == os.getpid():
                with suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)


async def _in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Go through many items, letting the loop's other tasks have their turn now and then."""
    for count, item in enumerate(list(items), 1):
        yield item
        if count % SURVEY_STEP == 0:
            await asyncio.sleep(0)


def _contents(path: str) -> bytes:
    """A small file of /proc, read at once; empty if it is gone or not for us."""
    try:
        descriptor = os.open(path, _READ)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
    try:
        return os.read(descriptor, 65536)
    except (ProcessLookupError, PermissionError):
        return b""
    finally:
        os.close(descriptor)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 (half the time of iterdir)


@cache
def _kernel_lists_children() -> bool:
    """Whether the kernel was built to list a thread's children (CONFIG_PROC_CHILDREN)."""
    return (_PROC / "thread-self" / "children").exists()


def _listed_children(pid: int) -> tuple[int, ...]:
    """The children as the kernel lists them, thread by thread."""
    tasks = f"/proc/{pid}/task"
    for _ in range(5):
        found: list[int] = []
        try:
            threads = os.listdir(tasks)  # noqa: PTH208 (this is looked at between reads: every microsecond counts)
        except (FileNotFoundError, ProcessLookupError):
            raise ProcessGoneError(pid) from None
        try:
            for thread in threads:
                descriptor = os.open(f"{tasks}/{thread}/children", _READ)
                try:
                    while block := os.read(descriptor, 65536):
                        found.extend(map(int, block.split()))
                finally:
                    os.close(descriptor)
        except (FileNotFoundError, ProcessLookupError):
            # A thread ended, and its children went to another one that may have been read already: once more.
            continue
        return tuple(sorted(found))
    return _children_by_parent(pid)


def _children_by_parent(pid: int) -> tuple[int, ...]:
    """The children as their own entries name them: slower, and needs no option of the kernel."""
    if status(pid) is None:
        raise ProcessGoneError(pid)
    found = [entry.identity.pid for other in _pids() if (entry := status(other)) is not None and entry.parent == pid]
    return tuple(sorted(found))


def _carries(pid: int, token: str, variable: str = MARK_VARIABLE) -> bool:
    """Whether a process of this user was started with the mark."""
    wanted = b"\0" + f"{variable}={token}".encode() + b"\0"
    try:
        descriptor = os.open(f"/proc/{pid}/environ", _READ)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            return False
        seen, total = b"\0", 0
        while total < ENVIRON_LIMIT and (block := os.read(descriptor, 65536)):
            seen += block
            if wanted in seen:
                return True
            total += len(block)
            seen = seen[-len(wanted) :]
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(descriptor)
    return False
