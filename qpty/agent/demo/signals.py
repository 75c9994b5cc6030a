"""Signals as something to wait for: every wait of a turn ends early when the user interrupts or a child ends."""

import os
import select
import signal
import time


class TurnInterruptedError(Exception):
    """The user pressed Ctrl-C, or someone sent SIGINT; the turn is over."""


class Signals:
    """SIGINT and SIGCHLD, caught into a flag and a pipe, so that no wait can miss them.

    Nothing is ever raised from a handler: an interrupt shows at the next wait, where the program is in a known state.
    """

    __slots__ = ("_left_alone", "_pipe", "interrupted")

    def __init__(self) -> None:
        self.interrupted = False
        self._left_alone: set[int] = set()
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        self._pipe = reader
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGCHLD, self._reap)

    def _interrupt(self, *_: object) -> None:
        self.interrupted = True

    def leave_alone(self, pid: int) -> None:
        """Nobody waits for this child any more: collect it when it ends, whatever goes on then."""
        self._left_alone.add(pid)
        self._reap()

    def _reap(self, *_: object) -> None:
        for pid in tuple(self._left_alone):
            try:
                ended = os.waitpid(pid, os.WNOHANG)[0]
            except ChildProcessError:  # this ran as the handler, too, in the middle of itself, and has collected it
                ended = pid
            if ended:
                self._left_alone.discard(pid)

    def forget(self) -> None:
        """Ignore whatever was pressed before now: q does, at its prompt."""
        self.interrupted = False

    def check(self) -> None:
        """Raise TurnInterruptedError if the user has interrupted since the turn began."""
        if self.interrupted:
            raise TurnInterruptedError

    def wait(self, fds: list[int], seconds: float | None) -> list[int]:
        """Wait until one of the descriptors is readable, a child ends or the time is over; the readable ones.

        Raises TurnInterruptedError. `seconds` None waits without an end.
        """
        self.check()
        ready, _, _ = select.select([*fds, self._pipe], [], [], seconds)
        if self._pipe in ready:
            os.read(self._pipe, 4096)
            self.check()
        return [fd for fd in fds if fd in ready]

    def readable(self, fd: int, seconds: float) -> bool:
        """Wait until a descriptor is readable; False when the time is over. Raises TurnInterruptedError."""
        end = time.monotonic() + seconds
        while not self.wait([fd], max(0.0, end - time.monotonic())):
            if time.monotonic() >= end:
                return False
        return True

    def sleep(self, seconds: float) -> None:
        """Let time pass; raises TurnInterruptedError as soon as the user interrupts."""
        end = time.monotonic() + seconds
        while True:
            self.check()
            left = end - time.monotonic()
            if left <= 0:
                return
            self.wait([], left)
