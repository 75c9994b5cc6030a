"""The driver: one child in its terminal joined to the core's state machine, as one object.

    agent = TerminalAgent(spec, directory=directory)
    await agent.start()
    await agent.send("hello", turn_id="t1")
    async for event in agent.events(): …
    await agent.close()

Everything that waits is here; every decision is the core's. Between two reads of the terminal there is never more than
`SLICE` bytes of work for the loop, and a reader of `events()` that falls behind stops the reading of the terminal, not
the memory.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import signal
import tempfile
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qpty.agent import process_tree
from qpty.agent.errors import AgentError, ProcessGoneError, TerminalClosedError, WriteQueueFullError
from qpty.agent.history import (
    load_command,
    save_command,
    save_history,
    saved_mark,
    write_document,
    write_history,
)
from qpty.agent.pty_process import ExitStatus, PtyChild
from qpty.agent.record import ConversationRecord, RecordError
from qpty.agent.resizing import Resizing
from qpty.agent.stopping import interrupt_tool
from qpty.agent.threads import all_ended, in_thread, report_failure, to_the_end
from qpty.agent.witness import WitnessStand
from qpty.core.commands import (
    Command,
    CommandSubmitted,
    DataReceived,
    EndTools,
    Input,
    Interrupt,
    InterruptSubmitted,
    KeysTyped,
    Kill,
    Look,
    MenuAnswerSubmitted,
    MessageSubmitted,
    PermissionAnswerSubmitted,
    ProcessExited,
    ReadRecord,
    RecordRead,
    RestoreTerminal,
    SendKeys,
    TimePassed,
    WakeAt,
    Witnessed,
)
from qpty.core.events import CommandCompleted, Event, Exited, FailureCode, SessionState
from qpty.core.machine import Machine
from qpty.core.record import RecordMark, RecordProblem, RecordSlice
from qpty.core.screen import check_size
from qpty.core.states import NotReadyError, QuestionMismatchError, State

if TYPE_CHECKING:
    import re
    from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence

    from qpty.agent.capture import CaptureWriter
    from qpty.agent.history import Exchange
    from qpty.agent.observing import TerminalObserver
    from qpty.agent.spec import AgentSpec
    from qpty.core.deadlines import Deadlines
    from qpty.core.events import Answer, MenuRequested, PermissionRequested
    from qpty.core.terminal import ScreenSnapshot

SLICE: Final = 32 * 1024
"""Bytes read and parsed at most before the loop has its turn again."""

SLICE_TIME: Final = 0.005
"""Seconds after which no more is read in this turn of the loop: hostile output costs more a byte than any other."""

EVENTS_LIMIT: Final = 4096
"""Events that wait for their reader before the terminal isn't read any more."""

EVENTS_RESUME: Final = 1024

KEYS_WAIT: Final = 1.0
"""Seconds that keys typed by hand wait for the CLI to take what qpty typed; if it doesn't, it needs a person."""

KEYS_LIMIT: Final = 64 * 1024
"""Bytes that may wait for the terminal before no more keys typed by hand are taken."""

NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
LOOK_AGAIN: Final = 0.1
"""Seconds after which a look is tried again that the system had no room for."""


class AgentStartError(AgentError):
    """The agent ended, or was given up, before its first prompt. `code` says why, `text` is what it printed."""

    def __init__(self, code: FailureCode | None, text: str, *, exit_code: int | None, exit_signal: int | None) -> None:
        self.code = code
        self.text = text
        self.exit_code = exit_code
        self.exit_signal = exit_signal
        how = f"signal {exit_signal}" if exit_signal is not None else f"exit code {exit_code}"
        super().__init__(f"the agent did not start ({code or 'unknown'}, {how}): {text[-500:] or 'it printed nothing'}")


class TakeUpError(AgentError):
    """The agent did not take up a conversation; `said` is what it printed."""

    def __init__(self, command: str, said: str) -> None:
        self.command = command
        self.said = said
        super().__init__(f"the agent did not confirm {command}: {said[-300:] or 'it printed nothing'}")


class AgentGoneError(AgentError):
    """The agent's process has ended: start another one."""

    def __init__(self) -> None:
        super().__init__("the agent's process has ended; start another one")


class TerminalAgent:
    """One command-line agent in one pseudo-terminal, inside one directory."""

    def __init__(
        self,
        spec: AgentSpec,
        *,
        directory: Path,
        options: tuple[str, ...] = (),
        columns: int = 80,
        lines: int = 24,
        deadlines: Deadlines | None = None,
        capture: CaptureWriter | None = None,
        observer: TerminalObserver | None = None,
    ) -> None:
        self.spec = spec
        self.directory = directory.resolve()
        self._options = options
        self._columns = columns
        self._lines = lines
        self._deadlines = deadlines
        self._capture = capture
        self._observer = observer
        self._screen_waiters: list[asyncio.Future[None]] = []
        self._record = ConversationRecord(spec.database, self.directory)
        self._machine: Machine | None = None
        self._child: PtyChild | None = None
        self._stand: WitnessStand | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._events: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._over = False
        self._look: Look | None = None
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._command: asyncio.Future[str] | None = None
        self._exit: ExitStatus | None = None
        self._ending: asyncio.Task[None] | None = None
        self._throttled = False
        self._stopping: asyncio.Task[None] | None = None
        self._resizing: Resizing | None = None
        self._taken_up: RecordMark | None = None
        self._closing = False
        self.exited: Exited | None = None

    # -- what a session uses

    @property
    def state(self) -> State:
        """The state of the terminal; `starting` before `start`, `exited` after `close`."""
        if self._over:
            return State.EXITED
        return self._machine.state if self._machine is not None else State.STARTING

    @property
    def question(self) -> PermissionRequested | MenuRequested | None:
        """The question that is open."""
        return self._machine.question if self._machine is not None else None

    @property
    def pid(self) -> int | None:
        """The process id of the child; None before `start`."""
        return self._child.pid if self._child is not None else None

    @property
    def mark(self) -> RecordMark | None:
        """Where the recorded conversation stood when it was last read; None before that."""
        return self._require_machine().mark

    @property
    def screen(self) -> ScreenSnapshot:
        """What a person would see now."""
        return self._require_machine().terminal.snapshot()

    @property
    def screen_version(self) -> int:
        """A number that is another one whenever something was drawn or the size changed."""
        return self._require_machine().terminal.version

    async def wait_for_screen(self, version: int) -> int:
        """Wait until `screen_version` is another number than `version`, and return it.

        Who looks at every change should pause in between: text that is typed changes the screen a thousand times a
        second. Raises AgentGoneError once the process has ended, and `version` is its last screen's.
        """
        while (current := self.screen_version) == version:
            if self._over:
                raise AgentGoneError
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._screen_waiters.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._screen_waiters:  # a viewer that left must not be kept until something changes
                    self._screen_waiters.remove(waiter)
        return current

    def describe(self) -> str:
        """Return where things stand, for a log when something waits for too long."""
        machine, child = self._machine, self._child
        if machine is None or child is None:
            return "not started"
        return f"{machine.describe()}, look {self._look}, {child.queued} bytes to write, screen {self._last_lines()!r}"

    def _last_lines(self) -> str:
        rows = ("".join(run.text for run in row).rstrip() for row in self.screen.rows)
        return "\n".join(row for row in rows if row)[-500:]

    async def start(self) -> None:
        """Start the process and wait for its first prompt.

        Raises the errors of `PtyChild.spawn`, and AgentStartError when no prompt came.
        """
        token = secrets.token_hex(16)
        self._machine = Machine(
            self.spec.dialect,
            now=self._loop.time(),
            columns=self._columns,
            lines=self._lines,
            deadlines=self._deadlines,
        )
        self._child = PtyChild.spawn(
            self.spec.command(*self._options),
            directory=self.directory,
            environment={**self.spec.environment, process_tree.MARK_VARIABLE: token},
            columns=self._columns,
            lines=self._lines,
        )
        self._stand = WitnessStand(self._child, self.spec.dialect.process_names)
        self._resizing = Resizing(
            _Window(self._machine, self._child, self._stand, self._resized),
            columns=self._columns,
            lines=self._lines,
            call_later=self._loop.call_later,
        )
        if self._observer is not None:
            self._observer.started(columns=self._columns, lines=self._lines, now=self._loop.time())
        self._child.save_line_discipline()
        self._child.on_exit(self._child_exited)
        self._child.start_reading(self._readable)
        self._perform(self._machine.receive(TimePassed(now=self._loop.time())))
        try:
            await self._started
        except BaseException:
            await to_the_end(self.close())
            raise

    async def send(self, text: str, *, turn_id: str) -> None:
        """Type a message, or have it typed as soon as the record was read, where that has to be done first.

        Raises NotReadyError in any state but `ready` and from `close` on, PromptError for what can't be sent. Nothing
        was typed then.
        """
        self._require_open()
        self._receive(MessageSubmitted(turn_id=turn_id, text=text, now=self._loop.time()))

    async def answer(self, request_id: str, answer: Answer) -> None:
        """Answer the open permission.

        Raises QuestionMismatchError if it isn't open (none is from `close` on), AnswerError for what is no answer.
        """
        self._require_question(request_id)
        self._receive(PermissionAnswerSubmitted(request_id=request_id, answer=answer, now=self._loop.time()))

    async def choose(self, request_id: str, index: int | None) -> None:
        """Choose from the open menu, by index from 0; None leaves it.

        Raises QuestionMismatchError if it isn't open (none is from `close` on), ChoiceError for what is no option.
        """
        self._require_question(request_id)
        self._receive(MenuAnswerSubmitted(request_id=request_id, index=index, now=self._loop.time()))

    async def interrupt(self) -> None:
        """Stop the running turn, if there is one; an open question is refused, none is left pending."""
        if not self._closing:
            self._receive(InterruptSubmitted(now=self._loop.time()))

    async def type_keys(self, data: bytes) -> None:
        """Type what a person types by hand: raw bytes, as a terminal sends them. They are kept nowhere.

        In a turn the turn goes on, and ends by what is seen. Outside one the state is `unknown` from here on, and no
        message is taken any more. Raises NotReadyError once the process has ended, WriteQueueFullError (nothing was
        typed) when the CLI doesn't take what was typed before.
        """
        self._require_open()
        with suppress(TimeoutError, AgentGoneError):
            async with asyncio.timeout(KEYS_WAIT):
                while self._require_machine().echoes:
                    await self.wait_for_screen(self.screen_version)
        self._require_open()
        child = self._require_child()
        if child.queued + len(data) > KEYS_LIMIT:
            raise WriteQueueFullError(queued=child.queued, offered=len(data), limit=KEYS_LIMIT)
        self._receive(KeysTyped(now=self._loop.time()))
        self._type(child, data)

    async def read_mark(self) -> RecordMark | None:
        """Read where the recorded conversation stands now; None if that isn't this process's, or there is none.

        To be asked after `close`, too. Raises RecordError.
        """
        mark = (await in_thread(self._read_since, None)).mark
        return mark if mark.length and mark is not self._taken_up else None

    async def take_up(self, history: Sequence[Exchange] | Mapping[str, Any] | None = None) -> RecordMark:
        """Take up a conversation without a model call, and give the mark of what the agent holds then.

        `history` is a list of exchanges, a whole conversation (see `cut_document`), or None for the directory's own
        recorded one. Only in state `ready`, before the first message: otherwise NotReadyError, and nothing was done.
        The agent is asked what it holds afterwards. Raises TakeUpError when that is not what it was given,
        AgentGoneError, and the errors of `qpty.agent.history` and `qpty.agent.record`.

        After any of these, and when it was cancelled, what the agent holds isn't known: its process has been ended as
        by `close`, and it can't be used any more.
        """
        machine = self._require_open()
        if machine.state is not State.READY:
            raise NotReadyError(machine.state.value, machine.question)
        with tempfile.TemporaryDirectory(prefix="take-up-", dir=self.spec.scratch) as private:
            try:
                mark = await self._take_up(Path(private), history)
            except BaseException:
                await to_the_end(self.close())  # before its directory goes: the process may be writing there
                raise
        # The record is not rewritten before the next answer, and then has these entries before it.
        self._taken_up = mark
        machine.taken_up(mark)
        return mark

    async def _take_up(self, private: Path, history: Sequence[Exchange] | Mapping[str, Any] | None) -> RecordMark:
        state, file = private / "state.json", private / "history.json"
        state.touch(mode=0o600)
        await self._command_confirmed(save_command(state), self.spec.dialect.saved)
        mark = await in_thread(self._write_history, file, history, state)
        await self._command_confirmed(load_command(file), self.spec.dialect.loaded)
        await self._command_confirmed(save_command(state), self.spec.dialect.saved)
        held = await in_thread(saved_mark, state)
        if (held.conversation_id, held.length, held.recent) != (mark.conversation_id, mark.length, mark.recent):
            raise TakeUpError("/load", f"it holds {held.length} entries of {mark.length}, or others")
        if self._closing:
            raise AgentGoneError
        return mark

    def _write_history(
        self, file: Path, history: Sequence[Exchange] | Mapping[str, Any] | None, state: Path
    ) -> RecordMark:
        if history is None:
            return save_history(self._record, file, state=state)
        if isinstance(history, Mapping):
            return write_document(file, history, state=state)
        return write_history(file, history, directory=self.directory, state=state)

    async def _command_confirmed(self, line: str, confirmation: re.Pattern[str]) -> None:
        if self._closing:
            raise AgentGoneError
        self._command = self._loop.create_future()
        try:
            self._receive(CommandSubmitted(line=line, now=self._loop.time()))
            said = await self._command
        finally:
            self._command = None
        if not confirmation.search(said):
            raise TakeUpError(line.split()[0], said)

    def resize(self, *, columns: int, lines: int) -> None:
        """Change the terminal's size: now, or as soon as that is safe (see `qpty.agent.resizing`); the newest counts.

        Before `start` it is the size to start with; from `close`, or the process's end, on it changes nothing. Raises
        ValueError for an absurd size (see `Screen`).
        """
        check_size(columns, lines)
        if self._resizing is None:
            self._columns, self._lines = columns, lines
        else:
            self._resizing.want(columns, lines)

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield the events in order, to one reader; ends after the process has ended and everything was yielded."""
        while True:
            while self._events:
                event = self._events.popleft()
                if self._throttled and len(self._events) <= EVENTS_RESUME:
                    self._throttled = False
                    self._resume()
                yield event
            if self._over:
                return
            self._arrived.clear()
            await self._arrived.wait()

    def discard_events(self) -> None:
        """Forget the events that nobody has read: those of the start, and of taking a conversation up."""
        self._events.clear()
        if self._throttled:
            self._throttled = False
            self._resume()

    async def close(self) -> None:
        """End the process and everything that belongs to it; safe to call twice. Ends `events()`."""
        self._closing = True
        if self._resizing is not None:
            self._resizing.close()
        if self._timer is not None:
            self._timer.cancel()
        child = self._child
        if child is not None:
            await child.end()
        await all_ended(self._tasks)
        self._finish()

    # -- reading

    def _readable(self) -> None:
        """There is something to read: read a slice, and look where the core wants to."""
        machine, child = self._require_machine(), self._require_child()
        read = 0
        began = self._loop.time()
        while read < SLICE and self._loop.time() - began < SLICE_TIME:
            data = child.read_nowait(SLICE - read)
            if not data:
                break
            read += len(data)
            self._print(data)
            if machine.suspended or self._throttled:
                child.pause_reading()
                return
            if self._look is not None or child.readable():
                continue
            return
        if self._look is not None and read < SLICE:
            self._try_to_look()

    def _resume(self) -> None:
        machine, child = self._require_machine(), self._require_child()
        if not machine.suspended and not self._throttled and self._exit is None:
            child.resume_reading()

    def _try_to_look(self) -> None:
        """Look at the witnesses if nothing is readable before or after: they are of now, so must the bytes be."""
        look, child, stand = self._look, self._child, self._stand
        if look is None or child is None or stand is None:
            return
        if not look.urgent and child.readable():
            return  # the look comes after what is readable
        try:
            if self.state is State.STARTING:
                stand.set_baseline()
            seen = stand.look()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            self._loop.call_later(LOOK_AGAIN, self._try_to_look)  # a descriptor is missing: not for ever
            return
        except (ProcessGoneError, TerminalClosedError):
            self._look = None
            if look.urgent:
                self._receive(Witnessed(raw_mode=False, foreground=False, children=0, now=self._loop.time()))
            return  # otherwise the end is on its way
        if not look.urgent and child.readable():
            return
        self._look = None
        self._receive(
            Witnessed(
                raw_mode=seen.raw_mode,
                foreground=seen.foreground,
                children=len(seen.children),
                now=self._loop.time(),
            )
        )
        self._resume()

    def _child_exited(self, status: ExitStatus) -> None:
        """The process ended: read what is left, then say so."""
        child = self._require_child()
        self._exit = status
        rest = child.read_rest()
        if rest:
            self._print(rest)
        self._receive(ProcessExited(code=status.code, signal=status.signal, now=self._loop.time()))

    def _resized(self, columns: int, lines: int) -> None:
        if self._observer is not None:
            self._observer.resized(columns=columns, lines=lines, now=self._loop.time())
        self._screen_changed()

    def _screen_changed(self) -> None:
        """Have everybody look who waits for the screen to change."""
        waiters, self._screen_waiters = self._screen_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # -- the core

    def _print(self, data: bytes) -> None:
        """The terminal printed something."""
        now = self._loop.time()
        if self._observer is not None:
            self._observer.output(data, now)
        self._receive(DataReceived(data=data, now=now))
        if self._screen_waiters:
            self._screen_changed()

    def _receive(self, given: Input) -> None:
        outputs = self._require_machine().receive(given)
        if self._capture is not None:
            self._capture.write(given)  # not before: an input that was refused changed nothing
        self._perform(outputs)

    def _perform(self, outputs: list[Event | Command]) -> None:
        for output in outputs:
            if isinstance(output, Event):
                self._publish(output)
            else:
                self._carry_out(output)

    def _publish(self, event: Event) -> None:
        self._events.append(event)
        self._arrived.set()
        if len(self._events) >= EVENTS_LIMIT and not self._throttled:
            self._throttled = True
            if self._child is not None:
                self._child.pause_reading()
        if isinstance(event, SessionState) and event.state == State.READY.value and not self._started.done():
            self._started.set_result(None)
        if isinstance(event, SessionState) and self._resizing is not None:
            self._resizing.state_changed()
        elif isinstance(event, CommandCompleted) and self._command is not None and not self._command.done():
            self._command.set_result(event.text)
        elif isinstance(event, Exited):
            self._process_over(event)

    def _process_over(self, event: Exited) -> None:
        self.exited = event
        if self._resizing is not None:
            self._resizing.close()
        if not self._started.done():
            code = event.failure or ("timeout" if self._ending is not None else None)
            self._started.set_exception(
                AgentStartError(code, event.text, exit_code=event.code, exit_signal=event.signal)
            )
        if self._command is not None and not self._command.done():
            self._command.set_exception(AgentGoneError())
        self._finish()

    def _finish(self) -> None:
        if not self._over and self._observer is not None and self._child is not None:
            self._observer.ended(self._loop.time())
        self._over = True
        self._arrived.set()
        self._screen_changed()
        if not self._started.done():
            self._started.cancel()

    def _carry_out(self, command: Command) -> None:
        child = self._require_child()
        match command:
            case SendKeys():
                self._type(child, command.data)
            case WakeAt():
                self._wake_at(command.time)
            case Look():
                self._look = command
                self._loop.call_soon(self._try_to_look)
            case ReadRecord():
                child.pause_reading()
                self._spawn(self._read_record(command.mark))
            case Interrupt():
                self._interrupt()
            case EndTools():
                self._spawn(self._end_tools())
            case RestoreTerminal():
                if self._exit is None and not child.readable():
                    child.restore_line_discipline()
            case Kill():
                if self._ending is None:
                    self._ending = self._spawn(self._kill())
            case _:
                raise TypeError(f"not a command: {command!r}")

    def _type(self, child: PtyChild, data: bytes) -> None:
        if self._exit is None:
            # Otherwise the end is on its way.
            with suppress(TerminalClosedError):
                child.write(data)

    def _wake_at(self, time: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(time, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._receive(TimePassed(now=self._loop.time()))
        if self._machine is not None and not self._machine.suspended:
            self._resume()

    async def _read_record(self, mark: RecordMark | None) -> None:
        result: RecordSlice | None = None
        problem: RecordProblem | None = None
        try:
            result = await asyncio.to_thread(self._read_since, mark)
        except RecordError as error:
            problem = error.problem
        self._receive(RecordRead(result=result, problem=problem, now=self._loop.time()))
        self._resume()

    def _read_since(self, mark: RecordMark | None) -> RecordSlice:
        """Read the record, in a thread. Where it holds another conversation than the one taken up, nothing is new."""
        new = RecordSlice(entries=(), mark=self._record.mark()) if mark is None else self._record.since(mark)
        taken_up = self._taken_up
        if taken_up is not None and new.mark.conversation_id != taken_up.conversation_id:
            return RecordSlice(entries=(), mark=taken_up)
        self._taken_up = None  # from here on the record is of this conversation
        return new

    def _interrupt(self) -> None:
        """Send SIGINT to the CLI; if a tool is running, see that it ends too. One such ending at a time."""
        child, stand = self._require_child(), self._stand
        child.discard_writes()
        try:
            if stand is None:
                return
            if not stand.tool_processes():
                stand.interrupt()
            elif self._stopping is None or self._stopping.done():
                self._stopping = self._spawn(self._interrupt_tool(child, stand))
        except (ProcessGoneError, TerminalClosedError):
            return  # the end is on its way

    async def _interrupt_tool(self, child: PtyChild, stand: WitnessStand) -> None:
        try:
            await interrupt_tool(child, stand)
        except (ProcessGoneError, TerminalClosedError):
            return  # the end is on its way

    async def _end_tools(self) -> None:
        if self._stand is None:
            return
        try:
            leftovers = self._stand.tool_processes()
        except ProcessGoneError:
            return
        if leftovers:
            await process_tree.end_processes(leftovers)

    async def _kill(self) -> None:
        await self._require_child().end()

    # -- owned tasks

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        report_failure(task, "a task of the terminal's driver failed")

    def _require_open(self) -> Machine:
        """Return the machine of an agent that was started, and isn't being ended."""
        machine = self._require_machine()
        if self._closing or self._over:
            raise NotReadyError(State.EXITED.value, None)
        return machine

    def _require_question(self, request_id: str) -> None:
        if self._closing:
            raise QuestionMismatchError(request_id, None)

    def _require_child(self) -> PtyChild:
        if self._child is None:
            raise AgentGoneError
        return self._child

    def _require_machine(self) -> Machine:
        if self._machine is None:
            raise AgentGoneError
        return self._machine


class _Window:
    """What `Resizing` needs of the terminal: the child and the screen get each size together."""

    def __init__(
        self, machine: Machine, child: PtyChild, stand: WitnessStand, resized: Callable[[int, int], None]
    ) -> None:
        self._machine = machine
        self._child = child
        self._stand = stand
        self._resized = resized

    @property
    def listens(self) -> bool:
        return self._machine.edits_line

    @property
    def deaf(self) -> bool:
        return self._machine.shows_menu

    def apply(self, columns: int, lines: int) -> None:
        with suppress(TerminalClosedError):  # the end is on its way, and its last screen stays as it was
            self._child.resize(columns=columns, lines=lines)
            self._machine.resize(columns=columns, lines=lines)
            self._resized(columns, lines)

    def remind(self) -> None:
        process_tree.send_signal(self._stand.main, signal.SIGWINCH)
