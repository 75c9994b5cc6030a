"""What can go wrong with an agent's process and its terminal.

```
QptyError
└── AgentError
    ├── StartError
    │   ├── AgentNotFoundError      no such program, or not executable
    │   ├── DirectoryMissingError   the working directory is not there, or cannot be entered
    │   └── SpawnError              the system refused: no descriptors, no processes, arguments too long
    ├── TerminalError
    │   ├── TerminalClosedError     nobody is on the other side any more, or we closed ours
    │   ├── WriteQueueFullError     more was written than the terminal takes
    │   └── WriteTimeoutError       what was written was not taken in time
    ├── ProcessGoneError            a process that was to be looked at has ended
    └── ExitTimeoutError            a process did not end in time
```
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from qpty.core.errors import QptyError

if TYPE_CHECKING:
    from collections.abc import Sequence


class AgentError(QptyError):
    """Anything about the agent's process or its terminal."""


class StartError(AgentError):
    """The agent's process could not be started."""


class AgentNotFoundError(StartError):
    """The program is not there or is not executable; `searched` are the paths that were looked at, in order."""

    def __init__(self, program: str, searched: Sequence[str]) -> None:
        self.program = program
        self.searched = tuple(searched)
        where = ", ".join(self.searched) or "nowhere: PATH holds no absolute directory"
        super().__init__(f"no executable program {program!r} (looked at {where}); install it or give its full path")


class DirectoryMissingError(StartError):
    """The working directory does not exist, is not a directory or may not be entered."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        super().__init__(f"cannot work in {directory!r}: create it, and make it accessible to this user")


class SpawnError(StartError):
    """The system refused a pseudo-terminal or a process; `errno` says why."""

    def __init__(self, errno: int, program: str) -> None:
        self.errno = errno
        self.program = program
        super().__init__(f"cannot start {program!r}: {os.strerror(errno)} (errno {errno})")


class TerminalError(AgentError):
    """Something about reading or writing the terminal."""


class TerminalClosedError(TerminalError):
    """The terminal is closed: the child and all that held it are gone, or this side was closed."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        super().__init__(f"the terminal of process {pid} is closed; start a new one")


class WriteQueueFullError(TerminalError):
    """A write that would exceed the queue's bound; nothing of it was queued. Figures in bytes."""

    def __init__(self, *, queued: int, offered: int, limit: int) -> None:
        self.queued = queued
        self.offered = offered
        self.limit = limit
        super().__init__(
            f"{offered} bytes offered with {queued} of {limit} still waiting for the terminal; drain() first"
        )


class WriteTimeoutError(TerminalError):
    """The terminal did not take all that was written; `queued` bytes still wait and stay queued."""

    def __init__(self, *, queued: int, timeout: float) -> None:
        self.queued = queued
        self.timeout = timeout
        super().__init__(
            f"the terminal left {queued} bytes waiting for {timeout:g} s: read its output meanwhile, or end it"
        )


class ProcessGoneError(AgentError):
    """The process ended, so nothing can be said of it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        super().__init__(f"process {pid} has ended")


class ExitTimeoutError(AgentError):
    """The process was still there after `timeout` seconds."""

    def __init__(self, pid: int, timeout: float) -> None:
        self.pid = pid
        self.timeout = timeout
        super().__init__(f"process {pid} did not end within {timeout:g} s; end its tree")
