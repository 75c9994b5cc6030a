"""What the core asks of the driver, and what the driver tells the core. All frozen; nothing here acts.

The driver carries a command out and answers it with an input: `Look` with `Witnessed`, `ReadRecord` with `RecordRead`,
`WakeAt` with `TimePassed`. While a `ReadRecord` (or a `Look` that the core waits for) is open, the core keeps what
arrives in the order in which it arrived; the driver should stop reading then.

`now` is a monotonic time in seconds; only differences count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qpty.core.events import Answer
    from qpty.core.record import RecordMark, RecordProblem, RecordSlice


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The base of all commands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendKeys(Command):
    """Write these bytes to the terminal."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeAt(Command):
    """Send `TimePassed` at this time; replaces the wake asked for before."""

    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look(Command):
    """Look at the line discipline and the children, once nothing more is readable, and send `Witnessed`.

    `urgent` says that the core waits for the answer: look at once, readable or not.
    """

    urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRecord(Command):
    """Read what is new in the record since `mark` (None: just where it stands) and send `RecordRead`."""

    mark: RecordMark | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt(Command):
    """Send SIGINT to the CLI: what Ctrl-C does to it, whatever a tool did to the terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndTools(Command):
    """End the children of the CLI that were not there at its first prompt: leftovers of an interrupted tool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTerminal(Command):
    """Put the line discipline back to what it was before the CLI started: a tool left it raw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill(Command):
    """End the process and its tree; `reason` goes to the log."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """The base of all inputs."""

    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReceived(Input):
    """Bytes that the terminal gave."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed(Input):
    """What the kernel says, which data can't forge.

    `raw_mode`: a line editor or a menu reads (canonical mode is off). `foreground`: the terminal's foreground process
    group is the CLI's. `children`: how many children the CLI has beyond those of its first prompt.
    """

    raw_mode: bool
    foreground: bool
    children: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRead(Input):
    """What the record said, or why it could not be read."""

    result: RecordSlice | None
    problem: RecordProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed(Input):
    """The time asked for by `WakeAt` has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessExited(Input):
    """The process ended and all that it wrote was received."""

    code: int | None
    signal: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSubmitted(Input):
    """A person's message, to be typed now. Only in state `ready`."""

    turn_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSubmitted(Input):
    """A command of qpty's own, such as `/load …`. Only in state `ready`."""

    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionAnswerSubmitted(Input):
    """The answer to the open permission."""

    request_id: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuAnswerSubmitted(Input):
    """The answer to the open menu: an option's index from 0, or None to leave it."""

    request_id: str
    index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysTyped(Input):
    """A person is about to type at the terminal by hand. Which keys is nobody's business here: they may be a password.

    Tell the core before the keys reach the terminal, so that it knows of them when their effect is read.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptSubmitted(Input):
    """The person wants the running turn to stop."""
