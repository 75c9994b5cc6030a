from __future__ import annotations

import asyncio
import ctypes
import os
import secrets
import signal
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qpty.agent import process_tree
from qpty.agent.errors import ProcessGoneError
from qpty.agent.process_tree import MARK_VARIABLE, Graces, ProcessIdentity
from qpty.agent.pty_process import ExitStatus, PtyChild

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 10.0
SHORT = Graces(hangup=0.05, interrupt=0.05, terminate=0.05, kill=5.0)

DEAF = "for s in (1,2,15,3): signal.signal(s, signal.SIG_IGN)\n"
DAEMON = (
    "import os,signal,sys,time\n"
    "if os.fork() == 0:\n"
    "  os.setsid()\n"
    "  if os.fork() == 0:\n"
    f"    {DEAF}"
    "    print('daemon', os.getpid(), flush=True); time.sleep(300)\n"
    "  os._exit(0)\n"
    "os.wait()\n"
)


class Tree:
    """A child in a terminal, with a mark, and the pids that its programs announce as `WORD PID` lines."""

    def __init__(self, *argv: str) -> None:
        self.mark = secrets.token_hex(8)
        environment = {"PATH": "/usr/bin:/bin", MARK_VARIABLE: self.mark}
        self.child = PtyChild.spawn(argv, directory=Path("/"), environment=environment)
        self._text = bytearray()
        self._news = asyncio.Event()
        self.child.start_reading(self._read)

    def _read(self) -> None:
        self._text += self.child.read_nowait() or b""
        self._news.set()

    async def announced(self, *words: str) -> dict[str, int]:
        async with asyncio.timeout(DEADLINE):
            while True:
                lines = bytes(self._text).decode().split("\r\n")[:-1]
                found = {word: int(pid) for word, _, pid in (line.partition(" ") for line in lines) if pid.isdecimal()}
                if set(words) <= set(found):
                    return found
                self._news.clear()
                await self._news.wait()


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-E", "-c", "import os,signal,sys,time\n" + textwrap.dedent(code))


def gone(pid: int) -> bool:
    return process_tree.identify(pid) is None


@pytest.fixture
def subreaper() -> Iterator[None]:
    """Orphans fall to this process, as in a container where it is pid 1."""
    libc = ctypes.CDLL(None)
    libc.prctl(36, 1, 0, 0, 0)
    yield
    libc.prctl(36, 0, 0, 0, 0)


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    before = set(process_tree.children(os.getpid()))
    yield
    assert set(process_tree.children(os.getpid())) <= before


# Looking


async def test_children_and_descendants() -> None:
    tree = Tree("sh", "-c", "(echo below $(sh -c 'echo $PPID'); sleep 300; :) & sleep 301 & echo beside $!; wait")
    seen = await tree.announced("below", "beside")
    try:
        assert set(process_tree.children(tree.child.pid)) == {seen["below"], seen["beside"]}
        async with asyncio.timeout(DEADLINE):
            while len(process_tree.descendants(tree.child.pid)) < 3:  # noqa: ASYNC110 (the inner sleep starts)
                await asyncio.sleep(0)
        assert set(process_tree.descendants(tree.child.pid)) > {seen["below"], seen["beside"]}
    finally:
        await tree.child.end()


async def test_children_of_every_thread_are_seen() -> None:
    tree = Tree(
        *python("""
            import subprocess, threading
            stop = threading.Event()
            def run():
                child = subprocess.Popen(["sleep", "300"])
                print("child", child.pid, flush=True)
                stop.wait()
            threading.Thread(target=run).start()
        """)
    )
    seen = await tree.announced("child")
    try:
        assert process_tree.children(tree.child.pid) == (seen["child"],)
    finally:
        await tree.child.end()


async def test_a_kernel_that_lists_no_children_is_asked_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_tree, "_kernel_lists_children", lambda: False)
    tree = Tree("sh", "-c", "sleep 300 & echo beside $!; wait")
    seen = await tree.announced("beside")
    try:
        assert process_tree.children(tree.child.pid) == (seen["beside"],)
    finally:
        await tree.child.end()
    with pytest.raises(ProcessGoneError):
        process_tree.children(tree.child.pid)


async def test_a_process_that_ended_has_no_children_to_tell() -> None:
    tree = Tree("true")
    await tree.child.wait(exit_timeout=DEADLINE)
    with pytest.raises(ProcessGoneError) as caught:
        process_tree.children(tree.child.pid)
    assert caught.value.pid == tree.child.pid
    assert process_tree.descendants(tree.child.pid) == ()
    await tree.child.end()


async def test_a_name_with_parentheses_and_spaces_is_read_right(tmp_path: Path) -> None:
    odd = tmp_path / "a) S 1 (b"
    odd.symlink_to("/bin/sleep")
    tree = Tree(str(odd), "300")
    try:
        async with asyncio.timeout(DEADLINE):
            while (seen := process_tree.status(tree.child.pid)) and seen.name != odd.name:  # noqa: ASYNC110 (sh becomes it)
                await asyncio.sleep(0)
        assert seen is not None
        assert (seen.parent, seen.session, seen.ended) == (os.getpid(), tree.child.pid, False)
    finally:
        await tree.child.end()


async def test_a_recycled_pid_is_never_signalled() -> None:
    tree = Tree("sleep", "300")
    try:
        impostor = ProcessIdentity(pid=tree.child.pid, started=tree.child.identity.started - 1)
        assert not process_tree.is_alive(impostor)
        assert not process_tree.send_signal(impostor, signal.SIGKILL)
        report = await process_tree.end_tree(impostor, graces=SHORT)
        assert report.ended == {impostor}
        assert process_tree.is_alive(tree.child.identity)
    finally:
        await tree.child.end()


async def test_marks_are_found_whole_and_anywhere() -> None:
    tree = Tree("env", "A=" + "x" * 100_000, "B=" + "y" * 100_000, "sh", "-c", "echo ready $$; exec sleep 300")
    other = Tree("sleep", "300")
    try:
        await tree.announced("ready")
        assert process_tree.marked(tree.mark) == {tree.child.identity}
        assert process_tree.marked(tree.mark[:-1]) == frozenset()
    finally:
        await tree.child.end()
        await other.child.end()
    assert process_tree.marked(tree.mark) == frozenset()


# Ending


async def test_who_listens_ends_at_the_first_step() -> None:
    # The shell may be told after its child was, and then doesn't wait any more.
    tree = Tree("sh", "-c", "sleep 300 & echo sleeper $!; wait; exec sleep 300")
    seen = await tree.announced("sleeper")
    report = await tree.child.end()
    assert {process.pid for process in report.ended} == {tree.child.pid, seen["sleeper"]}
    assert report.survivors == frozenset()
    assert report.seconds < 0.5
    assert tree.child.exit_status == ExitStatus(signal=signal.SIGHUP)


@pytest.mark.parametrize(
    ("deaf_to", "ended_by"),
    [
        ("SIGHUP", signal.SIGINT),
        ("SIGHUP SIGINT", signal.SIGTERM),
        ("SIGHUP SIGINT SIGTERM", signal.SIGKILL),
    ],
)
async def test_each_step_is_rougher(deaf_to: str, ended_by: signal.Signals) -> None:
    tree = Tree(
        *python(f"""
            for name in {deaf_to!r}.split(): signal.signal(getattr(signal, name), signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN if "INT" in {deaf_to!r} else signal.SIG_DFL)
            print("ready", os.getpid(), flush=True); time.sleep(300)
        """)
    )
    await tree.announced("ready")
    await tree.child.end(graces=SHORT)
    assert tree.child.exit_status == ExitStatus(signal=ended_by)


async def test_a_stopped_child_ends() -> None:
    tree = Tree("sh", "-c", "echo ready $$; kill -STOP $$; sleep 300")
    await tree.announced("ready")
    report = await tree.child.end()
    assert report.survivors == frozenset()
    assert tree.child.exit_status == ExitStatus(signal=signal.SIGHUP)


@pytest.mark.parametrize("adopted_by_us", [False, True], ids=["by init", "by us"])
async def test_a_deaf_daemon_whose_parents_died_ends(adopted_by_us: bool, request: pytest.FixtureRequest) -> None:
    if adopted_by_us:
        request.getfixturevalue("subreaper")
    tree = Tree(*python(DAEMON + "print('parent', os.getpid(), flush=True); time.sleep(300)"))
    seen = await tree.announced("daemon", "parent")
    assert seen["daemon"] not in process_tree.descendants(tree.child.pid)
    report = await tree.child.end(graces=SHORT)
    assert seen["daemon"] in {process.pid for process in report.ended}
    assert report.survivors == frozenset()
    assert gone(seen["daemon"])


async def test_a_daemon_is_found_after_the_child_ended_by_itself() -> None:
    tree = Tree(*python(DAEMON))
    seen = await tree.announced("daemon")
    assert await tree.child.wait(exit_timeout=DEADLINE) == ExitStatus(code=0)
    assert not gone(seen["daemon"])
    await tree.child.end(graces=SHORT)
    assert gone(seen["daemon"])


async def test_who_wiped_the_mark_is_found_by_its_session() -> None:
    tree = Tree(
        *python("""
            if os.fork() == 0:
                if os.fork() == 0:
                    signal.signal(signal.SIGHUP, signal.SIG_IGN)
                    os.execve("/bin/sh", ["sh", "-c", "echo wiped $$; exec sleep 300"], {"PATH": "/bin"})
                os._exit(0)
            os.wait()
            print("parent", os.getpid(), flush=True); time.sleep(300)
        """)
    )
    seen = await tree.announced("wiped", "parent")
    assert seen["wiped"] not in process_tree.descendants(tree.child.pid)
    await tree.child.end(graces=SHORT)
    assert gone(seen["wiped"])


async def test_processes_that_keep_forking_end(tmp_path: Path) -> None:
    """A chain in which each process forks the next one and ends: no list of pids is true for long."""
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    held = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    tree = Tree(
        *python(f"""
            for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)
            os.set_inheritable(os.open({str(fifo)!r}, os.O_WRONLY), True)
            until = time.monotonic() + 20  # whatever this test finds out, nothing runs on for ever
            print("ready", os.getpid(), flush=True)
            for _ in range(2):
                if os.fork() == 0:
                    while time.monotonic() < until:
                        if os.fork(): os._exit(0)
                        os.setsid()
                        time.sleep(0.004)
                    os._exit(0)
            time.sleep(300)
        """)
    )
    try:
        await tree.announced("ready")
        report = await tree.child.end(graces=SHORT)
        assert report.survivors == frozenset()
        assert os.read(held, 1) == b""  # nobody holds the other side
    finally:
        os.close(held)


async def test_an_ending_does_not_hold_the_loop() -> None:
    trees = [
        Tree("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 300 & done; echo ready $$; wait") for _ in range(5)
    ]
    for tree in trees:
        await tree.announced("ready")
    longest = 0.0
    running = True

    async def watch() -> None:
        nonlocal longest
        while running:
            before = time.monotonic()
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - before)

    watching = asyncio.ensure_future(watch())
    reports = await asyncio.gather(*(tree.child.end() for tree in trees))
    running = False
    await watching
    assert all(len(report.ended) == 11 for report in reports)
    assert longest < 0.1


async def test_a_cancelled_ending_kills_at_once() -> None:
    tree = Tree(*python("signal.signal(1, signal.SIG_IGN); print('ready', os.getpid(), flush=True); time.sleep(300)"))
    await tree.announced("ready")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await tree.child.end(graces=Graces(hangup=60))
    assert await tree.child.wait(exit_timeout=DEADLINE) == ExitStatus(signal=signal.SIGKILL)


async def test_only_a_tools_processes_end() -> None:
    tree = Tree(
        *python("""
            import subprocess
            server = subprocess.Popen(["sleep", "300"])
            code = "trap '' HUP TERM; sleep 301 & echo below $!; echo tool $$; while :; do wait; done"
            tool = subprocess.Popen(["sh", "-c", code])
            print("server", server.pid, flush=True)
            tool.wait()
            print("reaped", tool.pid, flush=True); time.sleep(300)
        """)
    )
    seen = await tree.announced("tool", "below", "server")
    tool = process_tree.identify(seen["tool"])
    assert tool is not None
    report = await process_tree.end_processes([tool], hangup_grace=0.05, terminate_grace=0.05)
    assert {process.pid for process in report.ended} == {seen["tool"], seen["below"]}
    assert gone(seen["below"])
    await tree.announced("reaped")
    assert not gone(seen["server"])
    assert tree.child.exit_status is None
    await tree.child.end()
