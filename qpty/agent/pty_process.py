"""One child process in one pseudo-terminal, for asyncio.

The child is started by `posix_spawn`, which is safe beside threads (nothing of Python runs between fork and exec), and
then handed to a `ptyprocess.PtyProcess`, which waits for the pid and sets the window size.

All of this belongs to one event loop and is used from its thread only. Reading is by callback: the loop calls as soon
as something is readable, and the consumer calls `read_nowait()` until it says that there is nothing now, looks at its
witnesses, and asks `readable()` whether that was still all. A callback costs no task, no future and no copy, which is
what fifty terminals with a hundred small reads a second each want.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import signal
import termios
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ptyprocess import PtyProcess, PtyProcessError

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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qpty.agent.process_tree import Graces, ProcessIdentity, TreeReport

READ_LIMIT = 65536
"""Bytes of one read. A Linux terminal hands out at most 4,095 at a time anyway."""

WRITE_LIMIT = 2 * 1024 * 1024
"""Bytes that may wait for the terminal: the largest paste is 1 MiB, its closers and an interrupt fit beside it."""

WRITE_SLICE = 16 * 1024
"""Bytes written in one turn of the loop, so that a large paste doesn't hold up other sessions."""

REST_LIMIT = 256 * 1024
"""Bytes read after the child's end. A terminal holds 64 KiB, so all that the child itself wrote is among them."""

REST_TIMEOUT = 0.05
"""Seconds that reading after the child's end may take: a grandchild may go on writing for ever."""

EXIT_POLL = 0.02
"""Seconds between two looks whether the child ended, where the kernel has no pidfd."""

# `cd` needs a shell, since posix_spawn cannot change the directory. A shell announces its directories in the
# environment: PWD (right, so it may stay) and OLDPWD (ours, nobody's business).
_ENTER_AND_RUN = 'cd -- "$1" && shift && unset OLDPWD && exec "$@"'
_IGNORING_INTERRUPTS = "trap '' INT; " + _ENTER_AND_RUN

LineDiscipline = list[Any]
"""A terminal's settings, as `termios.tcgetattr` gives them: to be handed back, not to be looked into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitStatus:
    """How the child ended: by itself with `code`, or by `signal`.

    Both are None if something else in this process (SIGCHLD ignored, a stray `wait`) took the status away.
    """

    code: int | None = None
    signal: int | None = None


class PtyChild:
    """A child in its pseudo-terminal. Made by `spawn`, inside a running event loop.

    `pid` is also the id of its session and of its process group. `identity` tells it from a later process of that pid.
    `mark` is the token that its environment carries, if any (see `process_tree`).
    """

    def __init__(self, identity: ProcessIdentity, descriptor: int, *, mark: str | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = PtyProcess(identity.pid, descriptor)
        self._descriptor = descriptor
        self.identity = identity
        self.pid = identity.pid
        self.mark = mark
        self.exit_status: ExitStatus | None = None
        """How it ended; None as long as it lives."""
        self._exited: asyncio.Future[ExitStatus] = self._loop.create_future()
        self._exit_callbacks: list[Callable[[ExitStatus], None]] = []
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._on_readable: Callable[[], None] | None = None
        self._reading = False
        self._output_ended = False
        self._queue: deque[memoryview] = deque()
        self._queued = 0
        self._writing = False
        self._hung_up = False
        self._lost_input = False
        self._drained: asyncio.Future[None] | None = None
        self._saved: LineDiscipline | None = None
        self._pidfd: int | None = None
        self._watch_for_the_end()

    @classmethod
    def spawn(
        cls,
        argv: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        columns: int = 80,
        lines: int = 24,
        ignore_interrupts: bool = False,
    ) -> Self:
        """Start a program in a pseudo-terminal of its own.

        It leads a session whose controlling terminal is the new one, works in `directory`, and has `environment` (and
        PWD) and nothing of ours: default signal dispositions, no signal blocked, no descriptor but the terminal; the
        umask stays. `ignore_interrupts` starts it with SIGINT ignored, for a sandbox in front of the agent: what it
        starts may set its own handler.

        A program without a slash is looked for in the absolute directories of the environment's PATH: a relative one
        would mean the working directory, where a tool may have put anything.

        Raises AgentNotFoundError, DirectoryMissingError, SpawnError. What only shows in the child (an interpreter of
        a script that is missing) is an exit with 126 or 127 and a message on the terminal.
        """
        folder = _checked_directory(directory)
        program = _find_program(argv[0], folder=folder, path=environment.get("PATH", os.defpath))
        script = _IGNORING_INTERRUPTS if ignore_interrupts else _ENTER_AND_RUN
        command = ["sh", "-c", script, "sh", folder, program, *argv[1:]]
        try:
            master, slave = os.openpty()
        except OSError as error:
            raise SpawnError(error.errno or errno.EIO, program) from error
        try:
            os.set_blocking(master, False)
            termios.tcsetwinsize(slave, (lines, columns))
            pid = os.posix_spawn(
                "/bin/sh",
                command,
                dict(environment),
                setsid=True,
                setsigmask=(),
                setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
                file_actions=[
                    # The first terminal that a session leader opens becomes its controlling one.
                    (os.POSIX_SPAWN_OPEN, 0, os.ttyname(slave), os.O_RDWR, 0),
                    (os.POSIX_SPAWN_DUP2, 0, 1),
                    (os.POSIX_SPAWN_DUP2, 0, 2),
                    # Python's own descriptors close by themselves; some may have been handed to us, or made to stay.
                    *((os.POSIX_SPAWN_CLOSE, number) for number in _inheritable_descriptors()),
                ],
            )
        except OSError as error:
            os.close(master)
            raise SpawnError(error.errno or errno.EIO, program) from error
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        # Nobody but the PtyChild reaps it, so its entry in /proc is there even if it has ended already.
        if (seen := process_tree.status(pid)) is None:
            os.close(master)
            raise SpawnError(errno.ECHILD, program)
        return cls(seen.identity, master, mark=environment.get(process_tree.MARK_VARIABLE))

    # Reading

    def start_reading(self, on_readable: Callable[[], None]) -> None:
        """Have the loop call `on_readable` whenever there is something to read, or the end of the output is reached.

        The callback reads with `read_nowait`. What it leaves unread brings it back in the next turn of the loop, so a
        consumer that takes a bounded amount at a time shares the loop fairly.
        """
        self._on_readable = on_readable
        self.resume_reading()

    def pause_reading(self) -> None:
        """Stop calling back. The child goes on until the terminal is full (about 64 KiB), and then waits."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    def resume_reading(self) -> None:
        """Call back again. Does nothing after the end of the output."""
        if self._on_readable is None:
            raise RuntimeError("start_reading() comes before resume_reading()")
        if not self._reading and not self._output_ended:
            self._reading = True
            self._loop.add_reader(self._descriptor, self._on_readable)

    def read_nowait(self, limit: int = READ_LIMIT) -> bytes | None:
        """What the terminal has now, up to `limit` bytes: empty if nothing, None if there will never be more.

        The end comes when nobody holds the terminal any longer: a grandchild may hold it beyond the child's end (see
        `read_rest`). After the end, and after `close`, reading is off and every answer is None.
        """
        if self._output_ended:
            return None
        try:
            data = os.read(self._descriptor, limit)
        except BlockingIOError:
            return b""
        except OSError:  # EIO: nobody holds the other side, and all that was written there was read
            data = b""
        if not data:
            self._end_output()
            # The kernel would go on taking what is written, for nobody.
            self._hang_up()
            return None
        return data

    def readable(self) -> bool:
        """Whether `read_nowait` would have something to say this instant: bytes, or the end.

        The kernel moves what programs wrote on the other side before it answers, so False is certain for this instant
        (but for the echo of what was just typed, which the terminal makes in its own time).
        """
        return not self._output_ended and bool(self._poll.poll(0))

    def read_rest(self, *, limit: int = REST_LIMIT, rest_timeout: float = REST_TIMEOUT) -> bytes:
        """What is left to read once the child has ended; reading is off afterwards.

        Everything that the child wrote is there by now, so nothing is waited for; the bounds (bytes and seconds) are
        for descendants that hold the terminal and go on writing.
        """
        parts: list[bytes] = []
        size = 0
        deadline = time.monotonic() + rest_timeout
        while size < limit and (data := self.read_nowait(limit - size)):
            parts.append(data)
            size += len(data)
            if time.monotonic() >= deadline:
                break
        self._end_output()
        return b"".join(parts)

    def _end_output(self) -> None:
        self.pause_reading()
        self._output_ended = True

    # Writing

    @property
    def queued(self) -> int:
        """Bytes that were written and not yet taken by the terminal."""
        return self._queued

    def write(self, data: bytes) -> None:
        """Type these bytes: at once as far as the terminal takes them, the rest as it does.

        Keep reading meanwhile: a terminal with echo stops taking input when its output isn't read. Raises
        WriteQueueFullError (nothing is queued then) and TerminalClosedError.
        """
        if self._hung_up:
            raise TerminalClosedError(self.pid)
        if self._queued + len(data) > WRITE_LIMIT:
            raise WriteQueueFullError(queued=self._queued, offered=len(data), limit=WRITE_LIMIT)
        if not data:
            return
        self._queue.append(memoryview(bytes(data)))
        self._queued += len(data)
        if not self._writing:
            self._write_some()
            if self._hung_up:
                raise TerminalClosedError(self.pid)

    async def drain(self, *, write_timeout: float) -> None:
        """Wait until the terminal has taken everything.

        Raises WriteTimeoutError after `write_timeout` seconds (what waits stays queued), TerminalClosedError if
        some of it never will be taken. Taken by the terminal is not yet read by the program.
        """
        if self._lost_input:
            raise TerminalClosedError(self.pid)
        if not self._queued:
            return
        if self._drained is None:
            self._drained = self._loop.create_future()
        try:
            async with asyncio.timeout(write_timeout):
                await asyncio.shield(self._drained)
        except TimeoutError:
            raise WriteTimeoutError(queued=self._queued, timeout=write_timeout) from None

    def discard_writes(self) -> int:
        """Forget what the terminal hasn't taken yet, as before an interrupt; how many bytes that were."""
        dropped = self._queued
        self._stop_writing()
        return dropped

    def _write_some(self) -> None:
        """Write one slice, and be called again for the next one."""
        budget = WRITE_SLICE
        while self._queue and budget > 0:
            head = self._queue[0]
            try:
                written = os.write(self._descriptor, head[:budget])
            except BlockingIOError:
                break
            except OSError:  # EIO: nobody holds the other side
                self._hang_up()
                return
            budget -= written
            self._queued -= written
            if written == len(head):
                self._queue.popleft()
            else:
                self._queue[0] = head[written:]
        if not self._queue:
            self._stop_writing()
        elif not self._writing:
            self._writing = True
            self._loop.add_writer(self._descriptor, self._write_some)

    def _stop_writing(self, error: TerminalClosedError | None = None) -> None:
        """Forget the queue, and let go who waits for it: with the error if there is one."""
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._descriptor)
        self._queue.clear()
        self._queued = 0
        drained, self._drained = self._drained, None
        if drained is None or drained.done():
            return
        if error is None:
            drained.set_result(None)
        else:
            drained.set_exception(error)
            drained.exception()  # who waits still gets it; without a waiter it isn't worth a message at exit

    def _hang_up(self) -> None:
        self._hung_up = True
        self._lost_input = self._lost_input or self._queued > 0
        self._stop_writing(TerminalClosedError(self.pid))

    # The terminal

    def resize(self, *, columns: int, lines: int) -> None:
        """Change the window's size; the foreground programs get SIGWINCH. Raises TerminalClosedError."""
        self._require_open()
        self._process.setwinsize(lines, columns)

    def raw_mode(self) -> bool:
        """Whether input goes to the program key by key (ICANON off), as while a line editor or a menu reads.

        This is the state of now; what was read may be older. Raises TerminalClosedError.
        """
        return not self._settings()[3] & termios.ICANON

    def foreground_group(self) -> int:
        """The process group that the terminal's keys would signal; 0 if it has none. Raises TerminalClosedError."""
        self._require_open()
        try:
            return os.tcgetpgrp(self._descriptor)
        except OSError:  # the session lost its terminal: its leader ended
            return 0

    def save_line_discipline(self) -> None:
        """Remember the terminal's settings, to restore them after a program left others behind."""
        self._saved = self._settings()

    def restore_line_discipline(self) -> bool:
        """Give the terminal the remembered settings; whether they differed.

        Never while the agent reads a line, or is about to: its line editor sets its own settings for that time, and
        would not get another key without them. Raises TerminalClosedError.
        """
        if self._saved is None:
            raise RuntimeError("save_line_discipline() comes before restore_line_discipline()")
        if self._settings() == self._saved:
            return False
        try:
            termios.tcsetattr(self._descriptor, termios.TCSANOW, self._saved)
        except termios.error as error:
            raise TerminalClosedError(self.pid) from error
        return True

    def _settings(self) -> LineDiscipline:
        self._require_open()
        try:
            return termios.tcgetattr(self._descriptor)
        except termios.error as error:
            raise TerminalClosedError(self.pid) from error

    def _require_open(self) -> None:
        if self._descriptor < 0:
            raise TerminalClosedError(self.pid)

    # The process

    def interrupt(self) -> bool:
        """Send SIGINT to the child's own process group; False if the child has ended.

        The key for it, 0x03, is only data when a program turned the terminal's signals off and left them off
        (`stty raw`): it would wait there for the next line editor. And it goes to whatever group a program put in the
        foreground. This reaches the agent either way, but not a line editor or a menu, which wait for the key.
        """
        # As long as it isn't reaped its pid, and so the id of its group, belongs to nobody else.
        if self.exit_status is not None:
            return False
        try:
            os.killpg(self.pid, signal.SIGINT)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def on_exit(self, callback: Callable[[ExitStatus], None]) -> None:
        """Have `callback` called once when the child has ended (in the loop's next turn if it has already).

        Its last output may still be unread then: `read_rest`.
        """
        if self.exit_status is None:
            self._exit_callbacks.append(callback)
        else:
            self._loop.call_soon(callback, self.exit_status)

    async def wait(self, *, exit_timeout: float | None = None) -> ExitStatus:
        """Wait for the child's end. Raises ExitTimeoutError after `exit_timeout` seconds, if given."""
        try:
            async with asyncio.timeout(exit_timeout):
                return await asyncio.shield(self._exited)
        except TimeoutError:
            raise ExitTimeoutError(self.pid, exit_timeout or 0.0) from None

    async def end(self, *, graces: Graces | None = None) -> TreeReport:
        """End the child and everything that belongs to it, reap it and close the terminal."""
        try:
            report = await process_tree.end_tree(self.identity, mark=self.mark, graces=graces)
            if self.identity not in report.survivors:
                await self.wait(exit_timeout=1.0)
            return report
        finally:
            self.close()

    def close(self) -> None:
        """Close the terminal: the session gets SIGHUP from the kernel. The child is still reaped when it ends.

        May be called again.
        """
        if self._descriptor < 0:
            return
        self._end_output()
        self._hang_up()
        self._process.fileobj.close()
        # ptyprocess's own close() sleeps, and its destructor calls it unless told that this is done.
        self._process.closed = True
        self._process.fd = self._descriptor = -1

    def _watch_for_the_end(self) -> None:
        self._pidfd = process_tree.open_pidfd(self.pid)
        if self._pidfd is None:
            self._loop.call_later(EXIT_POLL, self._poll_for_the_end)
        else:
            self._loop.add_reader(self._pidfd, self._look_for_the_end)

    def _poll_for_the_end(self) -> None:
        self._look_for_the_end()
        if self.exit_status is None:
            self._loop.call_later(EXIT_POLL, self._poll_for_the_end)

    def _look_for_the_end(self) -> None:
        try:
            if self._process.isalive():
                return
        except PtyProcessError:  # somebody else reaped it: it has ended, and how is lost
            self.exit_status = ExitStatus()
        else:
            self.exit_status = ExitStatus(code=self._process.exitstatus, signal=self._process.signalstatus)
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        self._exited.set_result(self.exit_status)
        callbacks, self._exit_callbacks = self._exit_callbacks, []
        for callback in callbacks:
            self._loop.call_soon(callback, self.exit_status)


def _checked_directory(directory: Path) -> str:
    """The directory's absolute path, if it can be worked in."""
    folder = str(directory.absolute())
    if not directory.is_dir() or not os.access(folder, os.X_OK):
        raise DirectoryMissingError(folder)
    return folder


def _find_program(name: str, *, folder: str, path: str) -> str:
    """The absolute path of a program; a name with a slash counts from the working directory."""
    if "/" in name:
        candidates = [Path(folder, name)]
    else:
        candidates = [Path(entry, name) for entry in path.split(os.pathsep) if entry.startswith("/")]
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    raise AgentNotFoundError(name, [str(candidate) for candidate in candidates])


def _inheritable_descriptors() -> list[int]:
    """Our descriptors, beyond the standard three, that a child would inherit."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 (names are all that is wanted)
        # The descriptor of this very listing is closed by now.
        with suppress(OSError):
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
    return found
