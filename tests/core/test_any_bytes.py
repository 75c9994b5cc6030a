"""Any bytes, in any state, with anything happening in any order: no exception, and no broken promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from qpty.core.commands import (
    CommandSubmitted,
    DataReceived,
    Input,
    InterruptSubmitted,
    Look,
    MenuAnswerSubmitted,
    MessageSubmitted,
    PermissionAnswerSubmitted,
    ProcessExited,
    ReadRecord,
    RecordRead,
    SendKeys,
    TimePassed,
    WakeAt,
    Witnessed,
)
from qpty.core.deadlines import Deadlines
from qpty.core.events import (
    Event,
    MenuRequested,
    PermissionRequested,
    SessionState,
    TurnCompleted,
    TurnFailed,
    TurnStarted,
)
from qpty.core.machine import Machine
from qpty.core.record import NO_RECORD, RecordedEntry, RecordedResult, RecordMark, RecordSlice
from qpty.core.states import TRANSITIONS, NotReadyError, QuestionMismatchError, State
from tests.core.playbook import (
    ACCEPTED,
    ANSWER,
    ANSWER_END,
    CLEAR,
    COMPLETED,
    DIALECT,
    FRAME,
    GREETING,
    LINE_END,
    PROMPT,
    QUESTION,
    answered,
    header,
    response,
    tool_use,
)

if TYPE_CHECKING:
    from qpty.core.record import RecordProblem

MENU = (
    "\r\n\x1b[?25l\x1b[35m?\x1b[0m \x1b[1mSelect a model\x1b[0m \x1b[38;5;8m›\x1b[0m\r\n"
    "  one\r\n\x1b[32m❯\x1b[0m \x1b[36mtwo\x1b[0m\r\n"
)
PIECES = (
    PROMPT, ACCEPTED, FRAME, CLEAR, LINE_END, ANSWER, ANSWER_END, QUESTION, COMPLETED, MENU, "\x1b[?2004h",
    "\x1b[?2004l", "\x1b[?25h", "\x1b[0m", "\x1b[38;5;10m", "\x1b[1m", "\r", "\n", "\b", "\x1b", "\x1b[", "\x1b]0;",
    "\x1bP", "\x07", "\x9d", "\x1bc", "> ", "text", "  ", "你好", "❤️", "\x1b[200C", "\x1b[9999D", "\x1b[K", "\x1b[1K",
    "\x1b[2J", "\x1b[?1049h", "⠋", " Thinking...", "y", header("execute_bash", "echo one"),
    header("execute_bash", "echo", trusted=True), "\x1b[1mTool validation failed: \x1b[0m\r\n",
    "Monthly request limit reached\r\n", answered("Hello."), "WARNING: Retry #2, retrying within 10.0s..\r\n",
    "The application panicked (crashed).\r\n",
)  # fmt: skip

any_bytes = st.one_of(
    st.binary(max_size=64),
    st.lists(st.sampled_from(PIECES), max_size=6).map(lambda parts: "".join(parts).encode("utf-8", "surrogateescape")),
    st.lists(st.sampled_from(PIECES), max_size=3).flatmap(
        lambda parts: st.integers(0, 40).map(lambda end: "".join(parts).encode()[:end])
    ),
)
problems: st.SearchStrategy[RecordProblem] = st.sampled_from(["missing", "locked", "behind", "shape", "unreadable"])
DEADLINES = Deadlines(start=30, submit=30, silence=60, turn=300)
ROUNDS = 400
"""Answers of the outside world within which everything must have come to rest: the longest wait is that of a turn."""


class World:
    """A machine with everything that was promised of it checked on the way."""

    def __init__(self) -> None:
        self.now = 0.0
        self.machine = Machine(DIALECT, now=0.0, deadlines=DEADLINES)
        self.state = State.STARTING
        self.turns = 0
        self.open_turn: str | None = None
        self.records_asked = 0
        self.looks_asked = 0
        self.urgent = False
        self.wake: float | None = None
        self.children = 0
        self.raw_mode = False
        self.entries: list[RecordedEntry] = []
        self.read = 0
        self.exited = False

    def give(self, given: Input) -> None:
        """Give one input and check all that comes out."""
        if isinstance(given, RecordRead):
            self.records_asked = 0
        elif isinstance(given, Witnessed):
            self.looks_asked, self.urgent = 0, False
        elif isinstance(given, TimePassed):
            self.wake = None
        for output in self.machine.receive(given):
            if isinstance(output, Event):
                self._check_event(output)
            elif isinstance(output, SendKeys):
                self._check_keys(given)
            elif isinstance(output, ReadRecord):
                self.records_asked += 1
            elif isinstance(output, Look):
                self.looks_asked += 1
                self.urgent = self.urgent or output.urgent
            elif isinstance(output, WakeAt):
                self.wake = output.time
        assert self.machine.state is self.state
        if self.machine.suspended:
            assert self.records_asked or self.urgent or self.wake is not None, "suspended with nothing to wait for"
        assert self.records_asked <= 1

    def _check_event(self, event: Event) -> None:
        event.to_dict()
        if isinstance(event, SessionState):
            after = State(event.state)
            assert after in TRANSITIONS[self.state].values(), f"{self.state} to {after}"
            self.state = after
        elif isinstance(event, TurnStarted):
            assert self.open_turn is None
            self.open_turn = event.turn_id
        elif isinstance(event, TurnCompleted | TurnFailed):
            assert self.open_turn == event.turn_id is not None
            self.open_turn = None
        elif event.type.startswith(("message.", "permission.", "menu.")) or (
            event.type.startswith("tool.") and event.turn_id is not None
        ):
            assert event.turn_id == self.open_turn, f"{event} while {self.open_turn} runs"
        if isinstance(event, PermissionRequested | MenuRequested):
            assert self.machine.question is event or self.machine.question is None

    def _check_keys(self, given: Input) -> None:
        """Keys may go out when a person wants them to, or when the last look saw nobody else who could read them."""
        asked = (MessageSubmitted, CommandSubmitted, PermissionAnswerSubmitted, MenuAnswerSubmitted, InterruptSubmitted)
        if isinstance(given, Witnessed):
            assert given.children == 0
            assert given.raw_mode
            assert given.foreground
        elif not isinstance(given, asked):
            assert isinstance(given, RecordRead), f"keys after {given}"
            assert self.children == 0
        assert not self.exited

    # -- the outside world answers

    def witness(self, **more: Any) -> Witnessed:
        seen = {"raw_mode": self.raw_mode, "foreground": True, "children": self.children, **more}
        self.children = seen["children"]
        return Witnessed(now=self.now, **seen)

    def record(self) -> RecordRead:
        new, self.read = tuple(self.entries[self.read :]), len(self.entries)
        last = self.entries[-1].message_id if self.entries else None
        mark = RecordMark(conversation_id="c", length=self.read, last_message_id=last, last_digest=last)
        return RecordRead(result=RecordSlice(entries=new, mark=mark if self.entries else NO_RECORD), now=self.now)

    def answer(self, rounds: int = 20) -> None:
        """Answer what is asked, truthfully, until nothing is or the rounds are over."""
        for _ in range(rounds):
            if self.records_asked:
                self.give(self.record())
            elif self.looks_asked:
                self.give(self.witness())
            else:
                return

    def ends(self) -> None:
        """The process ends; whatever had been going on, everything comes to an end."""
        if not self.exited:
            self.exited = True
            self.give(ProcessExited(code=0, signal=None, now=self.now))
        for _ in range(ROUNDS):
            if self.records_asked:
                self.give(self.record())
            elif self.looks_asked:
                self.give(self.witness())
            elif self.wake is not None and self.state is not State.EXITED:
                self.now = max(self.now, self.wake)
                self.give(TimePassed(now=self.now))
            else:
                break
        assert self.state is State.EXITED
        assert self.open_turn is None
        assert not self.machine.suspended


class Anything(RuleBasedStateMachine):
    """Whatever a terminal, a kernel, a record, a clock and a person can do, in any order."""

    @initialize(started=st.booleans())
    def begins(self, started: bool) -> None:
        self.world = World()
        if started:
            self.prints(GREETING)
            self.prompts()

    def prints(self, text: str) -> None:
        self.world.give(DataReceived(data=text.encode(), now=self.world.now))

    # -- the terminal

    @rule(data=any_bytes)
    def bytes_arrive(self, data: bytes) -> None:
        self.world.give(DataReceived(data=data, now=self.world.now))

    @rule()
    def prompts(self) -> None:
        self.world.raw_mode, self.world.children = True, 0
        self.prints(PROMPT)
        self.world.answer()

    @rule(answer=st.booleans())
    def accepts(self, answer: bool) -> None:
        self.world.raw_mode = False
        self.prints(ACCEPTED)
        if answer:
            self.world.answer()

    @rule(commands=st.lists(st.sampled_from(["echo one", "echo two", "x\x1b[2K", ""]), min_size=1, max_size=3))
    def calls_a_tool(self, commands: list[str]) -> None:
        self.world.entries.append(tool_use("Let me.", *commands, number=len(self.world.entries)))
        self.prints(FRAME + CLEAR + ANSWER + "Let me." + header("execute_bash", commands[0]) + QUESTION)
        self.world.answer()

    @rule(children=st.integers(0, 1))
    def a_tool_completes(self, children: int) -> None:
        self.world.children = children
        self.prints("output\r\n" + COMPLETED)
        self.world.answer()

    @rule(results=st.booleans())
    def answers(self, results: bool) -> None:
        given = (RecordedResult(tool_id="tool1", ok=True, text=""),) if results else ()
        self.world.entries.append(response("Hello.", len(self.world.entries), results=given))
        self.prints(answered("Hello."))
        self.world.answer()

    @rule()
    def shows_a_menu(self) -> None:
        self.world.raw_mode, self.world.children = True, 0
        self.prints(MENU)
        self.world.answer()
        self.time_comes()
        self.world.answer()

    # -- whole stories, as starting points

    @precondition(lambda self: self.world.state is State.READY)
    @rule(commands=st.lists(st.sampled_from(["echo one", "echo two", "x\x1b[2K"]), min_size=1, max_size=2))
    def a_turn_up_to_its_question(self, commands: list[str]) -> None:
        self.a_message("hello", echoed=True)
        self.calls_a_tool(commands)
        self.prompts()

    @precondition(lambda self: self.world.state is State.PERMISSION)
    @rule(children=st.integers(0, 1))
    def a_tool_runs(self, children: int) -> None:
        self.an_answer("allow", right=True)
        self.world.children = children
        self.accepts(answer=True)

    @precondition(lambda self: self.world.state is State.READY)
    @rule()
    def a_turn_up_to_its_menu(self) -> None:
        self.a_message("hello", echoed=True)
        self.shows_a_menu()

    # -- the kernel, the record, the clock

    @rule(raw_mode=st.booleans(), foreground=st.booleans(), children=st.integers(0, 2))
    def a_look(self, raw_mode: bool, foreground: bool, children: int) -> None:
        self.world.raw_mode = raw_mode
        self.world.give(self.world.witness(raw_mode=raw_mode, foreground=foreground, children=children))

    @precondition(lambda self: self.world.records_asked)
    @rule()
    def the_record_is_read(self) -> None:
        self.world.give(self.world.record())

    @precondition(lambda self: self.world.records_asked)
    @rule(problem=problems)
    def the_record_can_not_be_read(self, problem: RecordProblem) -> None:
        self.world.give(RecordRead(result=None, problem=problem, now=self.world.now))

    @rule(tools=st.lists(st.sampled_from(["echo", "rm"]), max_size=2), made_up=st.booleans())
    def the_record_grows(self, tools: list[str], made_up: bool) -> None:
        number = len(self.world.entries)
        if made_up:
            self.world.entries.append(RecordedEntry(message_id=None, prompt="x", text="interrupted", made_up=True))
        elif tools:
            self.world.entries.append(tool_use("", *tools, number=number))
        else:
            self.world.entries.append(response("", number))

    @rule()
    def time_comes(self) -> None:
        if self.world.wake is not None:
            self.world.now = max(self.world.now, self.world.wake)
            self.world.give(TimePassed(now=self.world.now))

    @rule(seconds=st.sampled_from([0.0, 0.002, 0.004, 0.02, 0.06, 0.1, 0.6, 1.1, 2.5, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.give(TimePassed(now=self.world.now))

    # -- a person

    @rule(text=st.sampled_from(["hello", "y", "/quit", "a\nb"]), echoed=st.booleans())
    def a_message(self, text: str, echoed: bool) -> None:
        self.world.turns += 1
        message = MessageSubmitted(turn_id=f"t{self.world.turns}", text=text, now=self.world.now)
        if self.world.state is not State.READY:
            with pytest.raises(NotReadyError):
                self.world.give(message)
            return
        self.world.give(message)
        if echoed:
            self.accepts(answer=True)

    @rule()
    def a_command(self) -> None:
        command = CommandSubmitted(line="/load x", now=self.world.now)
        if self.world.state is not State.READY:
            with pytest.raises(NotReadyError):
                self.world.give(command)
            return
        self.world.give(command)

    @rule(answer=st.sampled_from(["allow", "refuse", "always"]), right=st.booleans())
    def an_answer(self, answer: Any, right: bool) -> None:
        question = self.world.machine.question
        right = right and isinstance(question, PermissionRequested) and not self.world.exited
        request_id = question.request_id if right and isinstance(question, PermissionRequested) else "t0.0"
        given = PermissionAnswerSubmitted(request_id=request_id, answer=answer, now=self.world.now)
        if right:
            self.world.give(given)
            return
        with pytest.raises(QuestionMismatchError):
            self.world.give(given)

    @rule(index=st.sampled_from([None, 0, 1]))
    def a_choice(self, index: int | None) -> None:
        question = self.world.machine.question
        right = isinstance(question, MenuRequested) and not self.world.exited
        request_id = question.request_id if isinstance(question, MenuRequested) else "t0.0"
        if right and index is not None and isinstance(question, MenuRequested) and index >= len(question.options):
            return
        given = MenuAnswerSubmitted(request_id=request_id, index=index, now=self.world.now)
        if right:
            self.world.give(given)
            return
        with pytest.raises(QuestionMismatchError):
            self.world.give(given)

    @rule()
    def an_interrupt(self) -> None:
        self.world.give(InterruptSubmitted(now=self.world.now))

    @rule(dice=st.integers(0, 19))
    def the_process_ends(self, dice: int) -> None:
        if dice == 19:
            self.world.exited = True
            self.world.give(ProcessExited(code=None, signal=9, now=self.world.now))

    # -- always

    @invariant()
    def a_question_is_open_exactly_in_its_state(self) -> None:
        if not hasattr(self, "world"):
            return
        question = self.world.machine.question
        assert isinstance(question, PermissionRequested) == (self.world.state is State.PERMISSION)
        assert isinstance(question, MenuRequested) == (self.world.state is State.MENU)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.ends()


Anything.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
test_anything_in_any_order = Anything.TestCase


# -- the states one by one


def starting() -> World:
    return World()


def ready() -> World:
    world = World()
    world.raw_mode = True
    world.give(DataReceived(data=(GREETING + PROMPT).encode(), now=0.0))
    world.answer()
    assert world.state is State.READY
    return world


def says(*texts: str) -> World:
    world = ready()
    world.give(MessageSubmitted(turn_id="t1", text="hello", now=0.0))
    world.raw_mode = False
    for text in (ACCEPTED, FRAME + CLEAR, *texts):
        world.give(DataReceived(data=text.encode(), now=0.0))
        world.answer()
    return world


def permission() -> World:
    world = says(ANSWER + "Let me.")
    world.entries.append(tool_use("Let me.", "echo one"))
    world.raw_mode = True
    world.give(DataReceived(data=(header("execute_bash", "echo one") + QUESTION + PROMPT).encode(), now=0.0))
    world.answer()
    assert world.state is State.PERMISSION
    return world


def running() -> World:
    world = permission()
    question = world.machine.question
    assert isinstance(question, PermissionRequested)
    world.give(PermissionAnswerSubmitted(request_id=question.request_id, answer="allow", now=0.0))
    world.raw_mode, world.children = False, 1
    world.give(DataReceived(data=b"y\x1b[?2004l\r\n\r\noutput\r\n", now=0.0))
    return world


def menu() -> World:
    world = says()
    world.raw_mode = True
    world.give(DataReceived(data=MENU.encode(), now=0.0))
    while world.state is not State.MENU:
        assert world.wake is not None
        world.now = world.wake
        world.give(TimePassed(now=world.now))
        world.answer()
    return world


STATES = {
    "starting": starting,
    "ready": ready,
    "waiting": says,
    "answer": lambda: says(ANSWER + "Hello"),
    "permission": permission,
    "running": running,
    "menu": menu,
}


@pytest.mark.parametrize("name", STATES)
@settings(max_examples=100, deadline=None)
@given(pieces=st.lists(any_bytes, max_size=8))
def test_any_bytes_in_any_state(name: str, pieces: list[bytes]) -> None:
    world = STATES[name]()
    for piece in pieces:
        world.give(DataReceived(data=piece, now=world.now))
        world.answer()
    world.ends()


@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(any_bytes, max_size=8), raw_mode=st.booleans())
def test_a_tool_that_prints_anything_ends_no_turn_and_gets_no_key(pieces: list[bytes], raw_mode: bool) -> None:
    world = running()
    world.raw_mode = raw_mode
    for piece in pieces:
        world.give(DataReceived(data=piece, now=world.now))
        world.answer()
        world.now += 1.5
        world.give(TimePassed(now=world.now))
        world.answer()
        assert world.state is State.BUSY
        assert world.open_turn == "t1"
