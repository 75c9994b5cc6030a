from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qpty.agent import process_tree
from qpty.agent.errors import (
    AgentNotFoundError,
    DirectoryMissingError,
    ExitTimeoutError,
    SpawnError,
    TerminalClosedError,
    WriteQueueFullError,
    WriteTimeoutError,
)
from qpty.agent.pty_process import WRITE_LIMIT, ExitStatus, PtyChild

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE = 10.0
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


class Reader:
    """A consumer as the driver is one: reads what there is, and lets others wait for what was read."""

    def __init__(self, child: PtyChild) -> None:
        self.child = child
        self.data = bytearray()
        self.ended = False
        self._news = asyncio.Event()
        child.start_reading(self._read)

    def _read(self) -> None:
        for _ in range(16):  # a bounded amount, so that other terminals get their turn
            data = self.child.read_nowait()
            if not data:
                self.ended = data is None
                break
            self.data += data
        self._news.set()

    async def until(self, condition: Callable[[Reader], bool]) -> bytes:
        async with asyncio.timeout(DEADLINE):
            while not condition(self):
                self._news.clear()
                await self._news.wait()
        return bytes(self.data)

    async def until_shown(self, text: bytes) -> bytes:
        return await self.until(lambda reader: text in reader.data)

    async def to_the_end(self) -> str:
        return (await self.until(lambda reader: reader.ended)).decode()


def start(*argv: str, directory: Path = Path("/"), **more: object) -> tuple[PtyChild, Reader]:
    child = PtyChild.spawn(argv, directory=directory, environment=ENVIRONMENT, **more)  # type: ignore[arg-type]
    return child, Reader(child)


async def output_of(*argv: str, directory: Path = Path("/"), **more: object) -> str:
    child, reader = start(*argv, directory=directory, **more)
    try:
        return await reader.to_the_end()
    finally:
        await child.end()


async def until_readable(child: PtyChild) -> None:
    async with asyncio.timeout(DEADLINE):
        while not child.readable():  # noqa: ASYNC110 (nobody tells a paused reader)
            await asyncio.sleep(0)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def signals_in(text: str, name: str) -> set[int]:
    """The signals of one line of /proc/PID/status, without glibc's own two, which its posix_spawn leaves ignored."""
    (mask,) = (int(line.split()[1], 16) for line in text.splitlines() if line.startswith(name))
    return {number for number in range(1, 65) if mask >> (number - 1) & 1} & set(signal.valid_signals())


# Starting


async def test_the_child_leads_a_session_on_a_terminal_of_its_own() -> None:
    child, reader = start("sh", "-c", "tty; ps -o pid=,sid=,pgid=,tpgid= -p $$; read line")
    try:
        seen = await reader.until(lambda r: r.data.count(b"\n") >= 2)
        terminal, ids = seen.decode().splitlines()[:2]
        assert terminal.startswith("/dev/pts/")
        assert ids.split() == [str(child.pid)] * 4
        assert child.foreground_group() == child.pid
    finally:
        await child.end()


async def test_the_window_has_its_size_before_the_start() -> None:
    assert (await output_of("stty", "size", columns=132, lines=43)).split() == ["43", "132"]


async def test_the_child_works_in_its_directory(tmp_path: Path) -> None:
    odd = tmp_path / "-a b'$(c)"
    odd.mkdir()
    assert (await output_of("pwd", directory=odd)).strip() == str(odd)


async def test_the_environment_is_what_was_given() -> None:
    seen = dict(line.split("=", 1) for line in (await output_of("env")).splitlines())
    assert seen == {**ENVIRONMENT, "PWD": "/"}


async def test_arguments_arrive_as_they_are() -> None:
    arguments = ["", "a b", "$HOME", "-n", "'\"\\", "*", "–你"]
    assert await output_of("printf", "[%s]", *arguments) == "".join(f"[{a}]" for a in arguments)


async def test_nothing_of_ours_is_inherited(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGINT})
    try:
        seen = await output_of("sh", "-c", "umask; ls -l /proc/$$/fd; exec grep -E 'SigBlk|SigIgn' /proc/self/status")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGHUP, before)
        os.close(read_end)
        os.close(write_end)
    links = [line.partition(" -> ")[2] for line in seen.splitlines() if " -> " in line]
    assert len([link for link in links if link.startswith("/dev/pts/")]) == 3
    assert len(links) == 3
    assert signals_in(seen, "SigBlk") == set()
    assert signals_in(seen, "SigIgn") == set()
    mask = os.umask(0)
    os.umask(mask)
    assert int(seen.splitlines()[0], 8) == mask


async def test_interrupts_can_be_ignored_from_the_start() -> None:
    seen = await output_of("grep", "SigIgn", "/proc/self/status", ignore_interrupts=True)
    assert signals_in(seen, "SigIgn") == {signal.SIGINT}


async def test_a_missing_program_is_said_with_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "planted").write_text("#!/bin/sh\n")
    (tmp_path / "planted").chmod(0o755)
    with pytest.raises(AgentNotFoundError) as caught:
        PtyChild.spawn(["planted"], directory=tmp_path, environment={"PATH": "/usr/bin:.::bin:/bin"})
    assert caught.value.searched == ("/usr/bin/planted", "/bin/planted")
    assert "/usr/bin/planted" in str(caught.value)


async def test_a_file_that_is_not_executable_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(AgentNotFoundError):
        PtyChild.spawn([str(tmp_path / "data")], directory=tmp_path, environment=ENVIRONMENT)


async def test_a_relative_program_counts_from_the_directory(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("#!/bin/sh\necho found\n")
    (tmp_path / "here").chmod(0o755)
    assert (await output_of("./here", directory=tmp_path)).strip() == "found"


@pytest.mark.parametrize("kind", ["absent", "file"])
async def test_a_missing_directory_is_said(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DirectoryMissingError) as caught:
        PtyChild.spawn(["true"], directory=tmp_path / kind, environment=ENVIRONMENT)
    assert caught.value.directory == str(tmp_path / kind)


async def test_what_the_system_refuses_is_said_and_leaves_no_descriptor() -> None:
    before = descriptors()
    with pytest.raises(SpawnError) as caught:
        PtyChild.spawn(["true", "x" * 3_000_000], directory=Path("/"), environment=ENVIRONMENT)
    assert caught.value.errno == 7  # E2BIG
    assert descriptors() == before


def test_a_start_is_silent_beside_busy_threads() -> None:
    """Warnings are errors here: a fork beside threads would raise."""
    stop = threading.Event()
    threads = [threading.Thread(target=lambda: stop.wait(DEADLINE)) for _ in range(30)]
    for thread in threads:
        thread.start()
    try:
        assert asyncio.run(output_of("echo", "fine")) == "fine\r\n"
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# Reading


async def test_the_end_of_the_output_comes_after_all_of_it() -> None:
    assert len(await output_of("sh", "-c", "head -c 200000 /dev/zero | tr '\\0' x")) == 200_000


async def test_readable_is_certain_for_its_instant() -> None:
    child, reader = start("cat")
    try:
        child.write(b"one\n")
        await reader.until_shown(b"one\r\none\r\n")
        assert not child.readable()
        assert child.read_nowait() == b""
        child.pause_reading()
        child.write(b"two\n")
        await until_readable(child)
        assert child.read_nowait()
    finally:
        await child.end()


async def test_a_pause_holds_and_loses_nothing() -> None:
    child, reader = start("sh", "-c", "read line; seq 20000; read line")
    try:
        child.pause_reading()
        child.write(b"\n")
        await until_readable(child)
        assert reader.data == b""
        child.resume_reading()
        seen = await reader.until_shown(b"\n20000\r\n")
        assert seen.split() == [str(n).encode() for n in range(1, 20001)]
    finally:
        await child.end()


async def test_after_the_end_a_grandchild_that_goes_on_writing_does_not_hold_us() -> None:
    child, _ = start("sh", "-c", "echo last words; (trap '' HUP; exec yes) & exec true")
    child.pause_reading()
    try:
        assert await child.wait(exit_timeout=DEADLINE) == ExitStatus(code=0)
        began = time.monotonic()
        rest = child.read_rest(limit=100_000)
        assert rest.startswith(b"last words\r\n")
        assert len(rest) <= 100_000
        assert time.monotonic() - began < 1
        assert child.read_nowait() is None
        assert not child.readable()
    finally:
        report = await child.end()
    assert len(report.ended) >= 1
    assert not report.survivors


# Writing


async def test_a_large_paste_with_echo_arrives_while_another_terminal_stays_responsive() -> None:
    size = 1024 * 1024
    # Echo by the program, as a line editor does: both directions fill up.
    echoing = (
        "import os,sys,tty; tty.setraw(0); os.write(1,b'ready'); n=0\n"
        "while n<int(sys.argv[1]):\n b=os.read(0,65536); n+=len(b)\n while b: b=b[os.write(1,b):]\n"
        "print(f'[{n}]',end='',flush=True)"
    )
    big, big_reader = start(sys.executable, "-c", echoing, str(size))
    small, small_reader = start("cat")
    try:
        await big_reader.until_shown(b"ready")
        began = time.monotonic()
        big.write(b"0123456789abcdef" * (size // 16))
        slowest = 0.0
        answers = 0
        while big.queued:
            asked = time.monotonic()
            answers += 1
            small.write(b"%d\n" % answers)
            await small_reader.until_shown(b"%d\r\n%d\r\n" % (answers, answers))
            slowest = max(slowest, time.monotonic() - asked)
        await big.drain(write_timeout=5)
        seen = await big_reader.until_shown(b"[%d]" % size)
        assert time.monotonic() - began < 5
        assert seen.removeprefix(b"ready") == b"0123456789abcdef" * (size // 16) + b"[%d]" % size
        assert answers > 10
        assert slowest < 0.25
    finally:
        await big.end()
        await small.end()


async def test_a_write_beyond_the_bound_is_refused_whole() -> None:
    child, reader = start("sh", "-c", "stty raw -echo; echo ready; exec sleep 60")
    try:
        await reader.until_shown(b"ready")
        child.write(b"x" * (WRITE_LIMIT - 10))
        queued = child.queued
        assert queued > 0
        with pytest.raises(WriteQueueFullError) as caught:
            child.write(b"y" * WRITE_LIMIT)
        assert (caught.value.queued, caught.value.offered, caught.value.limit) == (queued, WRITE_LIMIT, WRITE_LIMIT)
        assert child.queued == queued
        with pytest.raises(WriteTimeoutError) as late:
            await child.drain(write_timeout=0.05)
        assert late.value.queued == child.queued > 0
        assert child.discard_writes() > 0
        await child.drain(write_timeout=0.05)
    finally:
        await child.end()


async def test_writing_to_a_terminal_that_nobody_holds_is_an_error() -> None:
    child, reader = start("true")
    await child.wait(exit_timeout=DEADLINE)
    await reader.to_the_end()
    with pytest.raises(TerminalClosedError):
        child.write(b"anybody?")
    await child.drain(write_timeout=1)  # nothing was taken in, so nothing was lost
    await child.end()


async def test_who_drains_is_told_when_the_terminal_closes() -> None:
    child, reader = start("sh", "-c", "stty raw -echo; echo ready; exec sleep 60")
    await reader.until_shown(b"ready")
    child.write(b"x" * WRITE_LIMIT)
    draining = asyncio.ensure_future(child.drain(write_timeout=DEADLINE))
    await asyncio.sleep(0)
    await child.end()
    with pytest.raises(TerminalClosedError):
        await draining


# The terminal


async def test_a_new_size_is_announced() -> None:
    child, reader = start("sh", "-c", "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.02; done")
    try:
        await reader.until_shown(b"ready")
        child.resize(columns=101, lines=33)
        assert b"33 101" in await reader.until_shown(b"33 101")
    finally:
        await child.end()


async def test_settings_that_a_program_left_behind_are_cured() -> None:
    child, reader = start("sh", "-c", "read a; stty raw -echo; echo spoilt; exec cat")
    try:
        child.save_line_discipline()
        assert not child.raw_mode()
        assert not child.restore_line_discipline()
        child.write(b"\n")
        await reader.until_shown(b"spoilt")
        assert child.raw_mode()
        assert child.restore_line_discipline()
        assert not child.raw_mode()
        child.write(b"cured\n")
        await reader.until_shown(b"cured\r\ncured\r\n")  # by the echo, and by cat
        child.write(b"\x03")
        assert await child.wait(exit_timeout=DEADLINE) == ExitStatus(signal=signal.SIGINT)
    finally:
        await child.end()


@pytest.mark.parametrize("how", ["key", "signal"])
async def test_an_interrupt_reaches_the_child(how: str) -> None:
    child, reader = start("cat")
    try:
        child.write(b"x\n")
        await reader.until_shown(b"x\r\nx\r\n")
        if how == "key":
            child.write(b"\x03")
        else:
            assert child.interrupt()
        assert await child.wait(exit_timeout=DEADLINE) == ExitStatus(signal=signal.SIGINT)
        assert not child.interrupt()
    finally:
        await child.end()


async def test_the_signal_works_where_the_key_is_only_data() -> None:
    child, reader = start("sh", "-c", "stty raw -echo; echo ready; exec cat")
    try:
        await reader.until_shown(b"ready")
        child.write(b"\x03.")
        await reader.until_shown(b"\x03.")
        assert child.exit_status is None
        child.interrupt()
        assert await child.wait(exit_timeout=DEADLINE) == ExitStatus(signal=signal.SIGINT)
    finally:
        await child.end()


# The end


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", ExitStatus(code=0)), ("exit 101", ExitStatus(code=101)), ("kill -9 $$", ExitStatus(signal=9))],
)
async def test_the_exit_status_is_told_once_to_everybody(script: str, status: ExitStatus) -> None:
    child, _ = start("sh", "-c", script)
    told: asyncio.Queue[ExitStatus] = asyncio.Queue()
    child.on_exit(told.put_nowait)
    assert await child.wait(exit_timeout=DEADLINE) == status
    async with asyncio.timeout(DEADLINE):
        assert await told.get() == status
        child.on_exit(told.put_nowait)  # late, and told all the same
        assert await told.get() == status
    assert told.empty()
    assert child.exit_status == status
    await child.end()


async def test_waiting_for_an_end_has_a_deadline() -> None:
    child, _ = start("sleep", "60")
    with pytest.raises(ExitTimeoutError):
        await child.wait(exit_timeout=0.01)
    await child.end()
    assert child.exit_status == ExitStatus(signal=signal.SIGHUP)


async def test_the_end_is_noticed_without_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    child, _ = start("sh", "-c", "exit 3")
    assert await child.wait(exit_timeout=DEADLINE) == ExitStatus(code=3)
    other, _ = start("sleep", "60")
    await other.end()
    assert other.exit_status == ExitStatus(signal=signal.SIGHUP)


async def test_a_closed_terminal_says_so_and_the_child_is_still_reaped() -> None:
    child, _ = start("sleep", "60")
    child.close()
    child.close()
    assert await child.wait(exit_timeout=DEADLINE) == ExitStatus(signal=signal.SIGHUP)
    calls: list[Callable[[], object]] = [
        lambda: child.write(b"x"),
        child.raw_mode,
        child.foreground_group,
        lambda: child.resize(columns=80, lines=24),
    ]
    for call in calls:
        with pytest.raises(TerminalClosedError):
            call()
    assert child.read_nowait() is None
    assert not child.readable()


async def test_two_hundred_starts_leave_no_descriptor_and_no_zombie() -> None:
    async def one() -> int:
        child, reader = start("sh", "-c", "echo hi; exec cat")
        await reader.until_shown(b"hi")
        await child.end()
        return child.pid

    await one()
    before = descriptors()
    pids = [pid for _ in range(20) for pid in await asyncio.gather(*(one() for _ in range(10)))]
    assert len(pids) == 200
    assert descriptors() <= before
    assert [pid for pid in process_tree.children(os.getpid()) if pid in pids] == []


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    mine = os.getpid()
    before = set(process_tree.children(mine))
    yield
    assert set(process_tree.children(mine)) <= before
