"""The state machine of one terminal: inputs in, events and commands out.

    machine = Machine(dialect, now=clock())
    for output in machine.receive(DataReceived(data=…, now=clock())):
        …                                    # an Event goes to the reader, a Command is carried out

Rules:

- Tokens are read in order and never twice. Where the next one can't be judged without a look at the kernel or at the
  record, reading stops there (`suspended`), the question goes out as a command, and what arrives meanwhile waits.
- A prompt is a candidate only while it is the very last thing that was printed; it is judged by its witnesses when
  nothing more is readable, and again (10 ms, then doubling to 1 s) as long as they disagree.
- A prompt over which something was printed is no candidate. The line editor is asked to paint it anew, a few times, by
  a key that does nothing else.
- Every turn ends once. What proved it is in its evidence.
- What is new in the record since the mark is the running turn's. So nothing is typed at a mark that may be an old one:
  it is read anew first, at *ready*, when the record is at rest. If that can't be done in bounded time, the turn takes
  nothing from the record (`Turn.unplaced`).
- A person may type by hand (`KeysTyped`). In a turn the machine goes on by what it sees: a line entered at an open
  permission answers it, a key at a menu has it read anew. Outside a turn nothing that follows is anybody's, so the
  terminal is `unknown` from there on, and takes no message any more.
- Time comes in as an argument. There is one clock command, `WakeAt`, for the earliest of all deadlines.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from wcwidth import wcswidth

from qpty.core import endings, keys
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
from qpty.core.deadlines import Deadlines, Timers
from qpty.core.events import (
    CommandCompleted,
    Event,
    Exited,
    MenuAnswered,
    MenuRequested,
    Notice,
    PermissionAnswered,
    PermissionRequested,
    SessionState,
    TurnFailed,
    TurnStarted,
)
from qpty.core.reading import TokenReader
from qpty.core.record import NO_RECORD
from qpty.core.states import (
    ANSWERS,
    AnswerError,
    ChoiceError,
    NotReadyError,
    QuestionMismatchError,
    Signal,
    State,
    advance,
)
from qpty.core.terminal import Terminal
from qpty.core.turn import Need, Phase, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from qpty.core.dialect import Dialect
    from qpty.core.lines import Paint
    from qpty.core.record import RecordMark, RecordProblem

Output = Event | Command

LOOK_AGAIN: Final = 0.01
"""Seconds before a candidate is looked at again; doubles up to `LOOK_SLOWEST`."""

LOOK_SLOWEST: Final = 1.0

QUIET_LOOK: Final = 1.0
"""Seconds of silence in a turn after which the witnesses are looked at: does something unknown wait for keys?"""

PAINTED_OVER: Final = 0.05
"""Seconds of silence after which a start's prompt that isn't the last thing printed counts as painted over."""

REPAINT_AGAIN: Final = (0.5, 2.0, 5.0)
"""Seconds after which the line editor is asked again to paint its prompt anew; after the last it is asked no more."""

SERVERS_SETTLE: Final = 2.0
"""Seconds that a painted prompt waits for the CLI to tell what became of its servers (measured, on a busy machine: up
to 2 ms). It is told on another thread, which could tear a turn's sequences apart."""

UNKNOWN_AFTER: Final = 2
"""So many quiet looks in a row must say that something unknown waits for keys."""

RECORD_TRIES: Final = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)
"""Seconds to wait before the record is read again when it does not yet have what the screen tells of (measured: it is
written 1 to 28 ms before the screen shows it, so this is for a stalled disk)."""

PASSING: Final[frozenset[RecordProblem]] = frozenset({"behind", "missing", "locked"})
"""Reasons not to read the record that may be gone in a moment."""

RECORD_RESTS: Final = 0.05
"""Seconds after a prompt in which the CLI may still record that tools were interrupted (measured: up to 10 ms)."""

INTERRUPT_AGAIN: Final = (0.05, 0.1, 0.2, 0.4, 1.0, 2.0, 2.0, 4.0)
"""Seconds after which an interrupt is sent again: one that comes between two of the CLI's states is lost, one too many
does nothing (measured: five at a prompt). After the last the process is ended."""

INTERRUPTS_BEFORE_TOOLS: Final = 4
"""So many interrupts a tool may outlive before it is ended."""

MENU_SETTLES: Final = 0.05
"""Seconds without output after which a menu counts as painted."""


class Machine:
    """One terminal's state machine. `events` go to whoever reads the session, commands to the driver."""

    def __init__(
        self, dialect: Dialect, *, now: float, columns: int = 80, lines: int = 24, deadlines: Deadlines | None = None
    ) -> None:
        self.dialect = dialect
        self.state = State.STARTING
        self.terminal = Terminal(
            columns=columns, lines=lines, frames=dialect.spinner_frames, words=dialect.spinner_words
        )
        self.question: PermissionRequested | MenuRequested | None = None
        self.mark: RecordMark | None = None
        self._mark_is_new = False
        self._record_rests = now
        self._from_anywhere = False
        self._deadlines = deadlines or Deadlines()
        self._reader = TokenReader(dialect, on_accepted=self._accepted, on_entered=self._entered)
        self._out: list[Output] = []
        self._backlog: deque[list[str]] = deque()
        self._after_record: Callable[[RecordRead], None] | None = None
        self._after_look: Callable[[Witnessed], None] | None = None
        self._record_tries = 0
        self._requests = 0
        self._interrupts = 0
        self._overdue: endings.Overdue | None = None
        self._timers = Timers()
        self._timers.set("start", now + self._deadlines.start)
        self._look_delay = LOOK_AGAIN
        self._quiet_looks = 0
        self._server_tools = 0
        self._repaints = 0
        self._servers_settle_by: float | None = None
        self._cleared = False
        self._by_hand = False  # in this turn
        self._question_handled = False
        self._strayed = False
        self._exited: ProcessExited | None = None
        self._now = now

    # -- inputs

    @property
    def _turn(self) -> Turn | None:
        return self._reader.turn

    @property
    def suspended(self) -> bool:
        """Whether an answer to `ReadRecord` or to an urgent `Look` is needed before anything more is read."""
        return self._after_record is not None or self._after_look is not None

    def receive(self, given: Input) -> list[Output]:
        """Take one input in; return the events and commands that follow from it, in order."""
        self._now = given.now
        match given:
            case DataReceived():  # first: a hundred a second of these, and few of the others
                self._data(given)
            case Witnessed():
                self._witnessed(given)
            case RecordRead():
                self._record_read(given)
            case TimePassed():
                self._time_passed()
            case MessageSubmitted():
                self._message(given)
            case CommandSubmitted():
                self._command(given)
            case PermissionAnswerSubmitted():
                self._permission_answer(given)
            case MenuAnswerSubmitted():
                self._menu_answer(given)
            case InterruptSubmitted():
                self._interrupt()
            case KeysTyped():
                self._typed_by_hand()
            case ProcessExited():
                self._exited = given
                if "record" in self._timers:
                    self._timers.set("record", given.now)  # no use in waiting
                    self._time_passed()
            case _:
                raise TypeError(f"not an input: {given!r}")
        self._read_on()
        if self._turn is not None:
            self._out += self._turn.take()
            self._note_server_tools(self._turn)
        self._arm()
        out, self._out = self._out, []
        return out

    def _note_server_tools(self, turn: Turn) -> None:
        """Begin a turn's time anew whenever a server's tool begins or ends: what it takes isn't the turn's."""
        if turn.server_tools != self._server_tools:
            self._server_tools = turn.server_tools
            if "turn" in self._timers:
                self._timers.set("turn", self._now + self._deadlines.turn)

    def describe(self) -> str:
        """Return where things stand, for a log when something waits for too long."""
        phase = self._turn.phase.value if self._turn is not None else "none"
        waits = "record" if self._after_record is not None else "look" if self._after_look is not None else "nothing"
        return f"{self.state.value}, phase {phase}, waits for {waits}, timers {self._timers}, paint {self._prompt()}"

    @property
    def edits_line(self) -> bool:
        """Whether the CLI's line editor waits for keys: at a prompt that is not known, too, as in a tiny terminal."""
        if self.state is State.UNKNOWN:
            return self._reader.lines.paste
        return self.state is State.READY or self.state is State.PERMISSION

    @property
    def echoes(self) -> bool:
        """Whether something was typed for a turn that the CLI hasn't taken yet."""
        return self._turn is not None and self._turn.phase is Phase.ECHO

    @property
    def shows_menu(self) -> bool:
        """Whether a menu is open, or being painted."""
        return self.state is State.MENU or (self._turn is not None and self._turn.menu is not None)

    def taken_up(self, mark: RecordMark) -> None:
        """The CLI holds another conversation now, and has been asked what: the record will go on from `mark`."""
        self.mark = mark
        self._mark_is_new = True

    def resize(self, *, columns: int, lines: int) -> None:
        """The terminal has a new size."""
        self.terminal.resize(columns=columns, lines=lines)

    # -- reading

    def _data(self, given: DataReceived) -> None:
        tokens = self.terminal.feed(given.data)
        if tokens:
            self._backlog.append(tokens)
        if "silence" in self._timers:
            self._timers.set("silence", given.now + self._deadlines.silence)
        self._quiet_looks = 0

    def _read_on(self) -> None:
        """Read what waits, until it is used up or something has to be known first."""
        while self._backlog and not self.suspended:
            tokens = self._backlog.popleft()
            read = self._reader.read(tokens, self._now)
            if self._turn is not None and self._turn.need is not None:
                self._ask(self._turn)
            if read < len(tokens):
                self._backlog.appendleft(tokens[read:])
            elif not self._backlog and not self.suspended:
                self._at_end_of_output()
        if self._exited is not None and not self._backlog and not self.suspended:
            self._process_exited(self._exited)

    def _accepted(self, turn: Turn) -> None:
        turn.accepted(self._now)
        self._timers.cancel("submit")
        self._timers.set("silence", self._now + self._deadlines.silence)
        if self._interrupts:
            self._timers.set("interrupt", self._now)  # it was wanted before the CLI could have heard it

    def _ask(self, turn: Turn) -> None:
        """Stop reading until the record, or the children, are known."""
        self._out += turn.take()
        if turn.need is Need.RECORD and turn.unplaced:
            turn.record_read((), readable=False)
        elif turn.need is Need.RECORD:
            self._read_record(self._turn_record)
        elif turn.need is Need.CHILDREN:
            self._after_look = self._children_seen
            self._out.append(Look(urgent=True))

    def _children_seen(self, seen: Witnessed) -> None:
        if self._turn is not None:
            if seen.raw_mode and not seen.children and not self._text_waits():
                # A tool left the terminal raw. The CLI goes on to the model now, and says something before it reads the
                # next line: taking its raw mode away while it reads would leave it deaf.
                self._out.append(RestoreTerminal())
            self._turn.children_seen(seen.children)
            self._hold(self._turn, seen.now)

    def _hold(self, turn: Turn, now: float) -> None:
        turn.hold(now)
        if turn.segments.hold_until is not None:
            self._timers.set("hold", turn.segments.hold_until)

    def _text_waits(self) -> bool:
        """Whether something visible was printed after what has been read."""
        return any(token[0] > " " for tokens in self._backlog for token in tokens)

    # -- the record

    def _read_record(self, then: Callable[[RecordRead], None], *, from_anywhere: bool = False) -> None:
        """Ask for what is new since the mark, or only where the record stands; `then` takes the answer."""
        self._after_record = then
        self._record_tries = 0
        self._from_anywhere = from_anywhere
        self._ask_record()

    def _ask_record(self) -> None:
        self._out.append(ReadRecord(mark=None if self._from_anywhere else self.mark))

    def _record_read(self, given: RecordRead) -> None:
        then, self._after_record = self._after_record, None
        self._mark_is_new = given.result is not None
        if given.result is not None:
            self.mark = given.result.mark
        if then is not None:
            then(given)

    def _try_record_again(self, then: Callable[[RecordRead], None]) -> bool:
        """Ask for the record once more, after a little while; False when it was asked often enough."""
        if self._record_tries >= len(RECORD_TRIES) or self._exited is not None:
            return False
        self._timers.set("record", self._now + RECORD_TRIES[self._record_tries])
        self._record_tries += 1
        self._after_record = then
        return True

    def _turn_record(self, given: RecordRead) -> None:
        """The record was read in the middle of a turn, for a header."""
        turn = self._turn
        if turn is None:
            return
        entries = given.result.entries if given.result is not None else ()
        turn.take_entries(entries)
        late = (not entries or turn.behind) and given.problem in {None, *PASSING}
        if late and self._try_record_again(self._turn_record):
            return
        turn.record_read((), readable=given.result is not None and not turn.outrun)
        if turn.segments.hold_until is not None:
            self._hold(turn, self._now)  # what was printed meanwhile hasn't been read: it may still unmask a forgery

    # -- prompts and questions

    def _at_end_of_output(self) -> None:
        """All that was printed has been read: see whether its last thing waits for keys."""
        state = self.state
        if state is not State.BUSY and state is not State.STARTING and (state is not State.UNKNOWN or self._strayed):
            return
        self._look_delay = LOOK_AGAIN
        if not self._waits_for_keys():
            quiet = PAINTED_OVER if self._turn is None and self._painted_over() else QUIET_LOOK
            self._timers.set("look", self._now + quiet)
        elif self._reader.lines.paste:
            self._timers.cancel("look")
            self._out.append(Look())
        else:
            self._timers.set("look", self._now + MENU_SETTLES)

    def _waits_for_keys(self) -> bool:
        """Whether the last thing on the screen is a painted prompt, or a menu."""
        turn = self._turn
        if turn is not None and turn.phase is Phase.ECHO:
            return False
        return (self._reader.lines.watching and self._prompt() is not None) or self._menu_painted()

    def _prompt(self) -> bool | None:
        """None without a painted prompt; True for one with nothing typed at it, False for one with leftover keys."""
        return self._is_empty(self._reader.lines.painted())

    def _is_empty(self, paint: Paint | None) -> bool | None:
        """What `_prompt` says of the last one, of any paint."""
        if paint is None:
            return None
        last = paint.text.rpartition("\n")[2]
        match = self.dialect.prompt.match(last)
        if match is None:
            return None
        return match.end() == len(last) and wcswidth(last) == paint.column

    def _painted_over(self) -> bool:
        """Whether the line editor has painted a prompt over which something was printed, and may be asked for another.

        At a start no tool has run yet: bracketed paste is only on if the editor has switched it on.
        """
        lines, turn = self._reader.lines, self._turn
        if not lines.paste or self._repaints >= len(REPAINT_AGAIN) or self._strayed:
            return False
        if turn is None:
            return True
        return turn.phase is not Phase.ECHO and self._is_empty(lines.first_painted()) is True

    def _servers_unsettled(self) -> bool:
        """Whether the CLI still has to tell, at a start, what became of its servers. Not for long, at a prompt."""
        if not self._reader.loading:
            return False
        if self._servers_settle_by is None:
            self._servers_settle_by = self._now + SERVERS_SETTLE
        return self._now < self._servers_settle_by

    def _menu_painted(self) -> bool:
        turn = self._turn
        return turn is not None and turn.phase is Phase.WAITING and turn.menu is not None and bool(turn.menu.options)

    def _witnessed(self, seen: Witnessed) -> None:
        then, self._after_look = self._after_look, None
        if then is not None:
            then(seen)
            return
        if self._backlog or self.suspended or self.state not in {State.STARTING, State.BUSY, State.UNKNOWN}:
            return
        reads_keys = seen.raw_mode and seen.foreground and not seen.children
        prompt = self._prompt() if self._reader.lines.paste else None
        if prompt is not None:
            self._judge_prompt(seen, reads_keys=reads_keys, empty=prompt)
        elif self._menu_painted() and reads_keys:
            self._menu_proved()
        else:
            self._judge_silence(reads_keys=reads_keys)

    def _judge_prompt(self, seen: Witnessed, *, reads_keys: bool, empty: bool) -> None:
        if self._turn is not None and self._turn.phase is Phase.ECHO:
            return
        if reads_keys and empty:
            if self._servers_unsettled():
                self._look_again()
                return
            self._cleared = False
            self._repaints = 0
            turn = self._turn
            self._read_record(self._prompt_proved, from_anywhere=turn is not None and turn.unplaced)
            return
        if reads_keys and not self._cleared:
            self._cleared = True
            self._out.append(SendKeys(data=keys.CLEAR_LINE))
        if seen.children and self._interrupts:
            self._out.append(EndTools())
        self._look_again()

    def _look_again(self) -> None:
        self._timers.set("look", self._now + self._look_delay)
        self._look_delay = min(self._look_delay * 2, LOOK_SLOWEST)

    def _judge_silence(self, *, reads_keys: bool) -> None:
        """Nothing known waits for keys. If something does, it is unknown; silence by itself says nothing."""
        if reads_keys and self._painted_over():
            self._repaint()
            return
        self._quiet_looks = self._quiet_looks + 1 if reads_keys else 0
        if self._quiet_looks >= UNKNOWN_AFTER and self.state is not State.UNKNOWN:
            self._go(Signal.UNRECOGNISED, "the terminal reads keys at a screen that is not known")
            self._notice("unrecognised_screen", "The command line waits for keys at a screen that qpty doesn't know.")
        self._timers.set("look", self._now + QUIET_LOOK)

    def _repaint(self) -> None:
        if self._servers_unsettled():
            self._look_again()
            return
        self._timers.set("look", self._now + REPAINT_AGAIN[self._repaints])
        self._repaints += 1
        self._out.append(SendKeys(data=self.dialect.repaint))

    def _prompt_proved(self, given: RecordRead) -> None:
        """The prompt is painted and the witnesses agree; the record was read to say what ended."""
        turn = self._turn
        if turn is None:
            if self.state is not State.READY:
                self._timers.cancel()
                self._go(Signal.PROMPT_PROVED)
                if not self.dialect.verified:
                    text = f"The dialect {self.dialect.name} was never held against the real program: trust it less."
                    self._notice("unverified_dialect", text)
            return
        readable = given.result is not None and not turn.unplaced
        turn.record_read(given.result.entries if given.result is not None and readable else (), readable=readable)
        asks = turn.question_open and (turn.unanswered or not readable)
        if self._undecided(turn, given, asks=asks) and self._try_record_again(self._prompt_proved):
            self._timers.cancel("interrupt")  # the CLI has stopped: it waits for keys
        elif asks:
            self._permission_proved(turn, given, readable=readable)
        else:
            self._conclude(turn, given)

    def _undecided(self, turn: Turn, given: RecordRead, *, asks: bool) -> bool:
        """Whether another look at the record may say more about what waits at the prompt."""
        if turn.turn_id is None or turn.unplaced or turn.finished is not None or given.problem == "shape":
            return False
        if given.result is None:
            return True
        if asks:
            return turn.behind
        return not self._interrupts and turn.failure is None

    def _permission_proved(self, turn: Turn, given: RecordRead, *, readable: bool) -> None:
        self._requests += 1
        request = turn.permission(f"{turn.turn_id}.{self._requests}", readable=readable)
        if request is None:
            self._conclude(turn, given, strange=True)
            return
        self._out += turn.take()
        if self._interrupts:
            self._answer_keys(turn, request, "refuse")
            return
        self._pause_timers()
        self.question = request
        self._question_handled = False
        self._go(Signal.QUESTION_PROVED)
        self._out.append(request)

    def _menu_proved(self) -> None:
        turn = self._turn
        if turn is None or turn.menu is None:
            return
        self._out += turn.take()
        self._pause_timers()
        self._requests += 1
        self.question = MenuRequested(
            turn_id=turn.turn_id,
            request_id=f"{turn.turn_id}.{self._requests}",
            title=turn.menu.title,
            options=tuple(turn.menu.options),
            selected=turn.menu.selected,
        )
        self._go(Signal.MENU_PROVED)
        self._out.append(self.question)
        if self._interrupts:
            self._menu_keys(None)

    # -- the end of a turn

    def _conclude(self, turn: Turn, record: RecordRead, *, strange: bool = False) -> None:
        """The prompt is back: say how the turn ended. `strange` is a question at it that no known call belongs to."""
        interrupted = bool(self._interrupts) and self._overdue is None
        turn.finish()
        self._out += turn.take()
        overdue, open_call = self._overdue, strange or (turn.unanswered and not self._interrupts)
        if self._interrupts and turn.unanswered:
            # The CLI's note that it gave the calls up is still to come.
            self._mark_is_new = False
            self._record_rests = self._now + RECORD_RESTS
        self._end_turn()
        if turn.turn_id is None:
            self._go(Signal.PROMPT_PROVED)
            self._out.append(CommandCompleted(text=turn.remarks))
            return
        ending = endings.at_prompt(
            turn,
            turn_id=turn.turn_id,
            now=self._now,
            record=record,
            interrupted=interrupted,
            overdue=overdue,
            by_hand=self._by_hand,
            strange=strange,
        )
        self._out.append(ending)
        if open_call and isinstance(ending, TurnFailed) and ending.code == "unknown":
            self._give_up("a tool call is open behind a plain prompt: nothing may be typed there")
        else:
            self._go(Signal.PROMPT_PROVED)

    def _end_turn(self) -> None:
        self._reader.turn = None
        self.question = None
        self._overdue = None
        self._interrupts = 0
        self._timers.cancel()

    def _process_exited(self, exited: ProcessExited) -> None:
        """The process ended and all it printed was read; the record may still hold the answer of the running turn."""
        if self.state is State.EXITED:
            return
        if self._turn is not None and self._turn.turn_id is not None and not self._turn.unplaced:
            self._read_record(lambda record: self._finish_exit(exited, record))
        else:
            self._finish_exit(exited, None)

    def _finish_exit(self, exited: ProcessExited, record: RecordRead | None) -> None:
        turn = self._turn
        said = self._reader.said()
        if turn is not None:
            entries = record.result.entries if record is not None and record.result is not None else ()
            turn.record_read(entries, readable=record is not None and record.result is not None)
            turn.finish()
            self._out += turn.take()
            said = f"{said}\n{turn.remarks}".strip()
            overdue = self._overdue
            self._end_turn()
            if turn.turn_id is not None:
                self._out.append(
                    endings.at_exit(
                        turn,
                        self.dialect,
                        turn_id=turn.turn_id,
                        now=self._now,
                        exited=exited,
                        said=said,
                        overdue=overdue,
                    )
                )
        self._timers.cancel()
        self._go(Signal.EXITED)
        failure = endings.failure_in(said, self.dialect)
        self._out.append(
            Exited(code=exited.code, signal=exited.signal, text=said, failure=failure.code if failure else None)
        )

    # -- what a person wants

    def _message(self, given: MessageSubmitted) -> None:
        self._require_ready()
        encoded = keys.encode_prompt(given.text)
        turn = Turn(self.dialect, turn_id=given.turn_id, started=given.now, sent=encoded.sent)
        self._begin(turn)
        self._out.append(TurnStarted(turn_id=given.turn_id, text=encoded.sent, changes=encoded.changes))
        if self._mark_is_new:
            self._out.append(SendKeys(data=encoded.keys))
            return
        then = partial(self._place_found, turn, encoded.keys)
        if self._now >= self._record_rests:
            self._read_record(then, from_anywhere=True)
            return
        self._after_record, self._record_tries, self._from_anywhere = then, 0, True
        self._timers.set("record", self._record_rests)

    def _place_found(self, turn: Turn, data: bytes, given: RecordRead) -> None:
        """The record was read before a message is typed: what comes after that is the message's."""
        if given.problem == "missing" and self.mark is None:
            self.mark, self._mark_is_new = NO_RECORD, True  # a database that isn't there holds no conversation
        elif given.result is None:
            if given.problem in PASSING and self._try_record_again(partial(self._place_found, turn, data)):
                return
            turn.unplaced = True
        if self._exited is None:
            self._timers.set("submit", self._now + self._deadlines.submit)
            self._out.append(SendKeys(data=data))

    def _command(self, given: CommandSubmitted) -> None:
        self._require_ready()
        data = keys.encode_command(given.line)
        self._begin(Turn(self.dialect, turn_id=None, started=given.now))
        self._out.append(SendKeys(data=data))

    def _begin(self, turn: Turn) -> None:
        self._reader.turn = turn
        self._by_hand = False
        self._interrupts = 0
        self._overdue = None
        self._quiet_looks = 0
        self._server_tools = 0
        self._timers.cancel()
        self._timers.set("submit", self._now + self._deadlines.submit)
        self._timers.set("turn", self._now + self._deadlines.turn)
        self._go(Signal.KEYS_SENT)

    def _require_ready(self) -> None:
        if self.state is not State.READY:
            raise NotReadyError(self.state.value, self.question)

    def _open_question(self) -> PermissionRequested | MenuRequested | None:
        """Return the question that can be answered: none when the process that asked it is gone."""
        return self.question if self._exited is None else None

    def _permission_answer(self, given: PermissionAnswerSubmitted) -> None:
        question = self._open_question()
        if not isinstance(question, PermissionRequested) or question.request_id != given.request_id:
            raise QuestionMismatchError(given.request_id, question.request_id if question else None)
        if given.answer not in ANSWERS:
            raise AnswerError(given.answer)
        if self._turn is not None:
            self._answer_keys(self._turn, question, given.answer)

    def _answer_keys(self, turn: Turn, request: PermissionRequested, answer: keys.Answer) -> None:
        data = keys.encode_answer(answer, self.dialect.answers)
        was_open, self.question = self.question is not None, None
        turn.answered(allow=answer != "refuse")
        self._timers.set("submit", self._now + self._deadlines.submit)
        self._timers.set("turn", self._now + self._deadlines.turn)
        if was_open:
            self._out.append(PermissionAnswered(turn_id=turn.turn_id, request_id=request.request_id, answer=answer))
            self._out += turn.take()
            self._go(Signal.ANSWERED)
        if self._question_handled:
            data = keys.CLEAR_LINE + data  # somebody may have begun to type an answer by hand
        self._out.append(SendKeys(data=data))

    def _menu_answer(self, given: MenuAnswerSubmitted) -> None:
        question = self._open_question()
        if not isinstance(question, MenuRequested) or question.request_id != given.request_id:
            raise QuestionMismatchError(given.request_id, question.request_id if question else None)
        if given.index is not None and not _is_choice(given.index, question):
            raise ChoiceError(given.index, len(question.options))
        self._menu_keys(given.index)

    def _menu_keys(self, index: int | None) -> None:
        question, turn = self.question, self._turn
        if not isinstance(question, MenuRequested) or turn is None:
            return
        self.question = None
        turn.menu_answered()
        self._reader.lines.restart()
        self._timers.set("silence", self._now + self._deadlines.silence)
        self._timers.set("turn", self._now + self._deadlines.turn)
        data = keys.MENU_CANCEL if index is None else keys.encode_menu(index - question.selected)
        self._out.append(MenuAnswered(turn_id=turn.turn_id, request_id=question.request_id, index=index))
        self._go(Signal.ANSWERED)
        self._out.append(SendKeys(data=data))

    def _typed_by_hand(self) -> None:
        """A person types. What that does is seen on the screen; here is only noted what isn't certain any more."""
        turn = self._turn
        if turn is None:
            if self.state is State.READY:
                self._strayed = True
                self._timers.cancel()
                self._go(Signal.TYPED_BY_HAND, "somebody typed at the terminal by hand")
            return
        self._by_hand = self._question_handled = True
        if isinstance(self.question, MenuRequested):
            question, self.question = self.question, None
            turn.menu_handled()
            self._reader.lines.restart()
            self._timers.set("silence", self._now + self._deadlines.silence)
            self._timers.set("turn", self._now + self._deadlines.turn)
            self._timers.set("look", self._now + QUIET_LOOK)
            self._out.append(MenuAnswered(turn_id=turn.turn_id, request_id=question.request_id, index=None))
            self._go(Signal.TYPED_BY_HAND)

    def _entered(self, turn: Turn, line: str) -> None:
        """The line editor gave a line away that qpty didn't type: by hand, at an open permission, that is an answer.

        An empty line, or Ctrl-C, leaves it pending (measured); anything but the CLI's letters refuses it.
        """
        question, prompt = self.question, self.dialect.prompt.match(line)
        if not self._question_handled or not isinstance(question, PermissionRequested) or prompt is None:
            return
        self._reader.lines.restart()
        typed = line[prompt.end() :].strip().casefold()
        if not typed:
            return
        answers = {self.dialect.answers[answer]: answer for answer in ANSWERS}
        answer = answers.get(typed, "refuse")
        self.question = None
        turn.answered(allow=answer != "refuse")
        self._accepted(turn)
        self._timers.set("turn", self._now + self._deadlines.turn)
        self._out.append(PermissionAnswered(turn_id=turn.turn_id, request_id=question.request_id, answer=answer))
        self._out += turn.take()
        self._go(Signal.ANSWERED)

    def _interrupt(self) -> None:
        """Stop the running turn; at a question that means: refuse it first, so that none is left pending."""
        turn = self._turn
        if turn is None or self._exited is not None or self.state in {State.READY, State.EXITED, State.FAILED}:
            return
        first = not self._interrupts
        self._interrupts = max(1, self._interrupts)
        if isinstance(self.question, PermissionRequested):
            self._answer_keys(turn, self.question, "refuse")
        elif isinstance(self.question, MenuRequested):
            self._menu_keys(None)
        elif turn.phase is not Phase.ECHO and first:
            self._send_interrupt()

    def _send_interrupt(self) -> None:
        if self._interrupts > len(INTERRUPT_AGAIN):
            self._give_up("the command line did not stop when it was interrupted")
            return
        if self._turn is not None:
            self._turn.interrupted = True
        self._timers.set("interrupt", self._now + INTERRUPT_AGAIN[self._interrupts - 1])
        self._interrupts += 1
        self._out.append(Interrupt())
        if self._interrupts > INTERRUPTS_BEFORE_TOOLS:
            self._out.append(EndTools())

    # -- time

    def _time_passed(self) -> None:
        for name in self._timers.due(self._now):
            self._due(name)

    def _due(self, name: str) -> None:
        match name:
            case "look":
                if not self._backlog and not self.suspended:
                    self._out.append(Look())
            case "hold":
                if self._turn is not None and self._turn.need is None:  # else what unmasks it may not be read yet
                    self._turn.segments.release(self._now)
            case "record":
                if self._after_record is not None:
                    self._ask_record()
            case "interrupt":
                if self._turn is not None and self._turn.phase is not Phase.ECHO:
                    self._send_interrupt()
            case "start":
                self._give_up("no prompt in the time for a start")
            case "submit":
                self._too_long("The message was typed, but nothing came back in time.")
            case "silence":
                if self._turn is not None and self._turn.tool_open:
                    self._timers.set("silence", self._now + self._deadlines.silence)
                else:
                    self._too_long("Nothing was printed for too long.")
            case "turn":
                if self._turn is not None and self._turn.server_tool_open:
                    self._timers.set("turn", self._now + self._deadlines.turn)
                else:
                    self._too_long("The turn took too long.")

    def _too_long(self, text: str) -> None:
        """A deadline of the turn passed: interrupt it; it fails as `timeout` when the prompt is back."""
        if self._turn is None:
            return
        self._overdue = endings.Overdue(text=text)
        if self._turn.phase is Phase.ECHO:
            self._give_up("keys were not accepted")
        elif not self._interrupts:
            self._interrupts = 1
            self._send_interrupt()

    def _give_up(self, reason: str) -> None:
        if self.state in {State.FAILED, State.EXITED}:
            return
        if self._overdue is None:
            self._overdue = endings.Overdue(text=f"It was given up: {reason}.")
        self._timers.cancel()
        self._go(Signal.GIVEN_UP, reason)
        self._out.append(Kill(reason=reason))

    def _pause_timers(self) -> None:
        """A question is open: people take their time."""
        self._timers.cancel("silence", "turn", "submit", "look")

    def _arm(self) -> None:
        time = self._timers.wake()
        if time is not None:
            self._out.append(WakeAt(time=time))

    # -- saying so

    def _go(self, signal: Signal, detail: str = "") -> None:
        before, self.state = self.state, advance(self.state, signal)
        if before is not self.state:
            turn_id = self._turn.turn_id if self._turn is not None else None
            self._out.append(SessionState(turn_id=turn_id, state=self.state.value, detail=detail))

    def _notice(self, code: str, text: str) -> None:
        self._out.append(Notice(turn_id=self._turn.turn_id if self._turn else None, code=code, text=text))


def _is_choice(index: object, menu: MenuRequested) -> bool:
    """Whether an index, of whatever type it came in, is that of an option that keys can reach."""
    if not isinstance(index, int) or isinstance(index, bool):
        return False
    return 0 <= index < len(menu.options) and abs(index - menu.selected) <= keys.MAX_MENU_MOVES
