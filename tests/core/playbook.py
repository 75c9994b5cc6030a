"""A terminal to play on a state machine: inputs in, and what came out as short lines that a test can compare.

The bytes are those that the real q 1.19.7 prints (see tests/captured for whole ones).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qpty.agent import dialects
from qpty.core.commands import (
    Command,
    DataReceived,
    Input,
    Look,
    MessageSubmitted,
    ReadRecord,
    RecordRead,
    TimePassed,
    WakeAt,
    Witnessed,
)
from qpty.core.events import Event
from qpty.core.machine import Machine
from qpty.core.record import NO_RECORD, RecordedEntry, RecordedTool, RecordMark, RecordSlice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qpty.core.deadlines import Deadlines
    from qpty.core.record import RecordProblem
    from qpty.core.states import State

DIALECT = dialects.load("q")

PROMPT = "\x1b[?2004h\r\x1b[K\x1b[35m> \x1b[0m\r\x1b[2C"
GREETING = "\x1b[38;5;14m🤖 You are chatting with claude-sonnet-4.5\r\n\x1b[0m\r\n\x1b[?25h\x1b[0m\x1b[0m"
ACCEPTED = "\x1b[?2004l\r\n\r\n\x1b[38;5;13m\x1b[0m\x1b[?25l"
FRAME = "\r⠋ Thinking..."
CLEAR = "\x1b[2K\x1b[1G"
LINE_END = "\x1b[0m\x1b[0m\r\n"
ANSWER = "\x1b[38;5;10m> \x1b[0m"
ANSWER_END = LINE_END + LINE_END + "\x1b[?25h\x1b[0m\x1b[0m"
QUESTION = (
    "\x1b[?25h\x1b[38;5;8m\r\nAllow this action? Use '\x1b[38;5;10mt\x1b[38;5;8m' to trust (always allow) this tool "
    "for the session. [\x1b[38;5;10my\x1b[38;5;8m/\x1b[38;5;10mn\x1b[38;5;8m/\x1b[38;5;10mt\x1b[38;5;8m]:\r\n\r\n"
    "\x1b[0m\x1b[0m\x1b[0m"
)
COMPLETED = " ⋮ \r\n\x1b[38;5;10m\x1b[1m ● Completed in 0.2s\x1b[0m\r\n\r\n\x1b[?25l\r\n\x1b[0m"
HOOKS_FRAME = "\r⢀⠀ \x1b[38;5;12m0\x1b[39m of \x1b[38;5;12m1\x1b[39m hooks finished"
HOOKS_CLEAR = "\x1b[1G\x1b[2K\x1b[?25l"
HOOKS_PASSED = (
    "\x1b[38;5;12m\x1b[38;5;10m✓\x1b[39m \x1b[38;5;12m1\x1b[39m of \x1b[38;5;12m1\x1b[39m hooks finished in "
    "\x1b[38;5;11m0.08 s\r\n\x1b[0m"
)
HOOKS_FAILED = (
    '\x1b[38;5;9m✗ \x1b[0mpreToolUse "echo no >&2; exit 2"\x1b[38;5;9m failed with exit code: 2, stderr: no)\r\n\x1b[0m'
    "\x1b[38;5;12m\x1b[38;5;9m✗\x1b[39m \x1b[38;5;12m0\x1b[39m of \x1b[38;5;12m1\x1b[39m hooks finished in "
    "\x1b[38;5;11m0.08 s\r\n\x1b[0m"
)
HOOKS_REFUSED = HOOKS_FAILED + "\r\n\x1b[38;5;9mPreToolHook blocked the tool execution: no\r\n\r\n\x1b[0m"


def header(name: str, command: str, *, trusted: bool = False) -> str:
    """A tool's header and description, as q paints them after a segment of text."""
    mark = "\x1b[38;5;2m (trusted)\x1b[39m\x1b[0m" if trusted else "\x1b[0m\x1b[0m\x1b[0m"
    return (
        f"{LINE_END}{LINE_END}\x1b[38;5;13m🛠️  Using tool: {name}{mark}\r\n ⋮ \r\n ● I will run the following shell "
        f"command: \x1b[38;5;10m{command}\r\n\x1b[0m ⋮ \r\n ↳ \x1b[38;5;12mPurpose: \x1b[0mrun {command}\r\n\r\n"
    )


def answered(text: str) -> str:
    """A whole answer, as q types it, up to the prompt."""
    body = LINE_END.join(line.removeprefix(" ") for line in text.split("\n"))
    return FRAME + CLEAR + ANSWER + body + ANSWER_END


def response(text: str, number: int = 1, *, prompt: str | None = "hello", **more: Any) -> RecordedEntry:
    """A final answer in the record."""
    return RecordedEntry(message_id=f"m{number}", prompt=prompt, text=text, **more)


def tool_use(text: str, *commands: str, number: int = 1) -> RecordedEntry:
    """An answer in the record that calls execute_bash once for each command."""
    tools = tuple(
        RecordedTool(tool_id=f"tool{index}", name="execute_bash", arguments={"command": command})
        for index, command in enumerate(commands, start=1)
    )
    return RecordedEntry(message_id=f"m{number}", prompt="go", text=text, tools=tools)


class Playbook:
    """A machine, a clock, and everything that came out.

    The record is a list that the test appends to; the machine's readings of it are answered at once. Looks are answered
    by the witnesses that the test set, after each piece of output, as the driver does.
    """

    def __init__(self, *, deadlines: Deadlines | None = None) -> None:
        self.now = 0.0
        self.machine = Machine(DIALECT, now=0.0, deadlines=deadlines)
        self.entries: list[RecordedEntry] = []
        self.problem: RecordProblem | None = None
        self.raw_mode = False
        self.foreground = True
        self.children = 0
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self.looks = True
        self._read = 0
        self._turns = 0

    def give(self, given: Input) -> None:
        """Give one input, and answer what the machine asks."""
        waiting = [given]
        while waiting:
            for output in self.machine.receive(waiting.pop(0)):
                if isinstance(output, Event):
                    self.events.append(output)
                    continue
                self.commands.append(output)
                if isinstance(output, ReadRecord):
                    waiting.append(self._record(output))
                elif isinstance(output, Look) and self.looks:
                    waiting.append(self.witness())

    def witness(self) -> Witnessed:
        """What a look sees now."""
        return Witnessed(raw_mode=self.raw_mode, foreground=self.foreground, children=self.children, now=self.now)

    def _record(self, asked: ReadRecord) -> RecordRead:
        if self.problem is not None:
            return RecordRead(result=None, problem=self.problem, now=self.now)
        new = tuple(self.entries[self._read :]) if asked.mark is not None else ()
        self._read = len(self.entries)
        last = self.entries[-1].message_id if self.entries else None
        mark = (
            RecordMark(conversation_id="c", length=len(self.entries), last_message_id=last, last_digest=last)
            if self.entries
            else NO_RECORD
        )
        return RecordRead(result=RecordSlice(entries=new, mark=mark), now=self.now)

    def prints(self, *texts: str, raw_mode: bool | None = None) -> None:
        """The terminal prints; `raw_mode` is how the line discipline stands from now on."""
        if raw_mode is not None:
            self.raw_mode = raw_mode
        for text in texts:
            self.give(DataReceived(data=text.encode("utf-8", "surrogateescape"), now=self.now))

    def passes(self, seconds: float) -> None:
        """Time passes; the machine is woken when it asked for it."""
        end = self.now + seconds
        while True:
            wakes = [command.time for command in self.commands if isinstance(command, WakeAt)]
            due = wakes[-1] if wakes else None
            self.commands = [command for command in self.commands if not isinstance(command, WakeAt)]
            if due is None or due > end:
                if due is not None:
                    self.commands.append(WakeAt(time=due))
                break
            self.now = max(self.now, due)
            self.give(TimePassed(now=self.now))
        self.now = end

    def starts(self) -> None:
        """q starts and paints its first prompt."""
        self.prints(GREETING + PROMPT, raw_mode=True)

    def says(self, text: str) -> str:
        """A person sends a message, q accepts it; returns the turn's id."""
        self._turns += 1
        turn_id = f"t{self._turns}"
        self.give(MessageSubmitted(turn_id=turn_id, text=text, now=self.now))
        self.prints(f"\r\x1b[K\x1b[35m> \x1b[0m{text}\r\x1b[{len(text) + 2}C", ACCEPTED, raw_mode=False)
        return turn_id

    def prompts(self) -> None:
        """q paints its prompt and reads keys."""
        self.prints(PROMPT, raw_mode=True)

    def is_in(self, state: State) -> bool:
        """Whether the machine is in a state now."""
        return self.machine.state is state

    def of(self, kind: str) -> list[Any]:
        """The events of one type."""
        return [event for event in self.events if event.type == kind]

    def last(self, kind: str) -> Any:
        """The last event of one type."""
        return self.of(kind)[-1]

    def live(self) -> str:
        """All live text."""
        return "".join(event.text for event in self.of("message.delta"))

    def sent(self, kind: type[Command]) -> list[Any]:
        """The commands of one type."""
        return [command for command in self.commands if isinstance(command, kind)]

    def types(self) -> list[str]:
        """The types of all events in order, runs of deltas as one."""
        found: Iterable[str] = (event.type for event in self.events if event.type != "session.state")
        merged: list[str] = []
        for kind in found:
            if not merged or merged[-1] != kind:
                merged.append(kind)
        return merged
