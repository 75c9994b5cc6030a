"""Reading one turn: styled lines and text in, events out, with the record as the judge of what is real.

Where a turn is (`Phase`) decides who may be speaking:

| phase | who speaks | what ends it |
|---|---|---|
| echo | the line editor, echoing what was typed | bracketed paste goes off |
| waiting | the CLI: headers, questions, warnings, errors, what became of hooks | the answer's prefix, a tool's header |
| answer | the model, in plain text; any colour is the CLI again | a colour, or the prompt |
| header | the CLI, describing a call with the model's (untrusted) arguments | a question, the first line of output |
| run | the tool: bytes of anybody | as many completions as the record has tools |

The model's text can't forge anything: the CLI removes control characters from it, so it has no colours. A tool's
output can, so nothing in `run` is believed but a completion, and that only while the CLI has no child; a header is
believed when the record has the call; a permission takes the record and the prompt's witnesses besides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from qpty.core.events import (
    Event,
    Notice,
    PermissionRequested,
    ToolCompleted,
    ToolOutcome,
    ToolOutput,
    ToolStarted,
)
from qpty.core.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qpty.core.dialect import Dialect, Failure
    from qpty.core.lines import Line
    from qpty.core.record import RecordedEntry, RecordedTool

REMARK_LIMIT: Final = 64
"""Lines of the CLI's own words kept in a turn; its longest error is about twenty."""

REMARK_WIDTH: Final = 2000
"""Characters kept of one such line."""

OUTPUT_LIMIT: Final = 64 * 1024
"""Characters of a tool's output in one event; longer lines are split."""

UNBELIEVED_LIMIT: Final = 100
"""Forged completions in a run after which none is looked into (0.1 ms each) any more: the record ends the run."""

WITHHELD_LIMIT: Final = 1000
"""Blank lines, of a tool's output or before an answer's first word, that wait for what follows them."""


class Phase(Enum):
    """Where a turn is: who may be speaking."""

    ECHO = "echo"
    WAITING = "waiting"
    ANSWER = "answer"
    HEADER = "header"
    RUN = "run"


class Need(Enum):
    """What has to be known before the next token can be read."""

    RECORD = "record"
    CHILDREN = "children"


@dataclass(slots=True)
class _Call:
    """One tool call: what the record has of it (None where it can't be read) and how far it is."""

    tool_id: str
    name: str
    recorded: RecordedTool | None
    of_server: bool = False
    started: bool = False
    ended: bool = False


@dataclass(slots=True)
class Menu:
    """A menu as far as it was painted."""

    title: str
    options: list[str]
    selected: int


@dataclass(frozen=True, slots=True)
class _Rejection:
    """A line that says that the CLI ran none of the answer's calls, until the record says which these are."""

    outcome: ToolOutcome


@dataclass(frozen=True, slots=True)
class _Completion:
    """A line that looks like a tool's completion, until it is known whether it is one."""

    line: Line
    outcome: ToolOutcome
    seconds: float | None


class Turn:
    """One turn: a message, or a command of qpty's own (`turn_id` None).

    The owner feeds it text and lines, carries out what `need` asks before it feeds more, and takes the events.
    `unplaced` is set by the owner where it isn't known which entries of the record were there before: then none is
    taken for this turn's, and nothing of it is exact.
    """

    def __init__(self, dialect: Dialect, *, turn_id: str | None, started: float, sent: str | None = None) -> None:
        self.turn_id = turn_id
        self.started = started
        self._sent = sent
        self.phase = Phase.ECHO
        self.need: Need | None = None
        self.question_open = False
        self.finished: RecordedEntry | None = None
        self.entries: list[RecordedEntry] = []
        self.server_tools = 0
        """How often a server's tool began or ended."""
        self.accepted_at: float | None = None
        self.menu: Menu | None = None
        self.interrupted = False
        self.unplaced = False
        self._dialect = dialect
        self._events: list[Event] = []
        self.segments = Segments(dialect, turn_id=turn_id, events=self._events)
        self._remarks: list[str] = []
        self._after_echo = Phase.WAITING
        self._opening: list[str] | None = None
        self._rejections_told = False  # the calls of which the lines that come next say that they weren't run
        self._calls: list[_Call] = []
        self._headers = 0
        self._astray = False
        self._rounds = 0
        self._recorded_rounds = 0
        self._rounds_over = 0
        self._may_run = False
        self._unbelieved = 0
        self._running = 0
        self._blanks_to_skip = 0
        self._describing: Counter[str] | None = None
        self._withheld: list[str] = []
        self._output: list[str] = []
        self._output_size = 0
        self._pending: re.Match[str] | _Rejection | _Completion | None = None

    # -- what the owner asks

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        self._flush_output()
        events = self._events.copy()
        self._events.clear()
        return events

    @property
    def remarks(self) -> str:
        """What the CLI itself said in this turn, one line each."""
        return "\n".join(self._remarks)

    @property
    def tool_open(self) -> bool:
        """Whether a tool is described, asked for or running: silence means nothing then."""
        return self.phase in {Phase.HEADER, Phase.RUN}

    @property
    def server_tool_open(self) -> bool:
        """Whether a tool of a server is described or running: it may be waiting for somebody elsewhere."""
        return any(call.of_server and call.started and not call.ended for call in self._calls)

    @property
    def failure(self) -> Failure | None:
        """The dialect's most specific failure in what the CLI said; None when it said none."""
        said = self.remarks
        return next((failure for failure in self._dialect.failures if failure.pattern.search(said)), None)

    @property
    def unanswered(self) -> bool:
        """Whether the record ends with tool calls: a question may be open, or their results were never sent."""
        return bool(self.entries) and bool(self.entries[-1].tools)

    @property
    def behind(self) -> bool:
        """Whether the record, as far as it was read, lacks the calls that the screen is at: its last ones are over."""
        return self._recorded_rounds <= self._rounds_over or self.outrun

    @property
    def outrun(self) -> bool:
        """Whether the record, as far as it was read, lacks calls that were shown while it couldn't be read."""
        return self._recorded_rounds < self._rounds

    # -- the life of a turn

    def accepted(self, now: float) -> None:
        """The line editor gave the typed line away."""
        if self.phase is not Phase.ECHO:
            return
        self.phase = self._after_echo
        self._blanks_to_skip = 2  # the editor's own line end, and the one the CLI prints first
        if self.accepted_at is None:
            self.accepted_at = now

    def line_erased(self) -> None:
        """The CLI wiped its spinner away, since the answer comes: blanks from here on are the model's.

        The answer's prefix is only painted before the first thing that shows, on whatever line that is (measured).
        """
        if self.phase is Phase.WAITING:
            self._opening = []
            self._rejections_told = False

    def begin_answer(self, now: float, *, before: str = "") -> None:
        """The answer's prefix was painted, after the blanks `before` it: what follows in plain text is the model's."""
        self._rejections_told = False
        self.segments.open(now)
        self.phase = Phase.ANSWER
        opening, self._opening = self._opening, None
        if opening is None:
            return
        for blanks in opening:
            if blanks:
                self.segments.draw(blanks, now)
            self.segments.end_line()
        if before:
            self.segments.draw(before, now)

    def end_answer(self) -> None:
        """The CLI speaks again: the segment is over; its exact text comes with the record."""
        if self.phase is Phase.ANSWER:
            self.phase = Phase.WAITING

    def line(self, line: Line, now: float) -> None:
        """A whole line, in any phase but echo and answer."""
        if line.text.strip():
            # A question is the last thing that is said before the prompt, whatever was made of the lines before it.
            dialect = self._dialect
            asks = line.colour == dialect.permission_colour and dialect.permission.fullmatch(line.text) is not None
            self.question_open = asks
        if self.phase is Phase.WAITING:
            self._waiting_line(line)
        elif self.phase is Phase.HEADER:
            self._header_line(line)
        elif self.phase is Phase.RUN:
            self._run_line(line)
        if self.need is None:
            self.segments.release(now)

    def answered(self, *, allow: bool) -> None:
        """The open permission was answered; what is typed for it is echoed next."""
        self.question_open = False
        self.phase = Phase.ECHO
        if allow:
            more = 0 < self._headers < len(self._calls) and not self._astray
            self._after_echo = Phase.HEADER if more else Phase.RUN
            self._describing = None
            return
        self._after_echo = Phase.WAITING
        self._round_over()
        self._end_calls("refused")

    def menu_answered(self) -> None:
        """The open menu was answered."""
        self.menu = None
        self.phase = Phase.WAITING

    def menu_handled(self) -> None:
        """A person moves in the open menu by hand: it paints its options anew (not its title), or goes."""
        self.phase = Phase.WAITING
        if self.menu is not None:
            self.menu = Menu(title=self.menu.title, options=[], selected=0)

    def permission(self, request_id: str, *, readable: bool) -> PermissionRequested | None:
        """Return the question that is open, None where no call waits for one.

        `readable` says whether the record could be read now, at the question.
        """
        known = readable and not self.behind
        if known and self.unanswered and not self._calls_are(self.entries[-1].tools):
            # The screen was led astray: by the record, all of these are still open.
            self._end_calls("error")
            self._calls = [_Call(tool.tool_id, tool.name, tool) for tool in self.entries[-1].tools]
            self._astray = True
        if not self.question_open or not self._calls:
            return None
        for one in self._calls if self._astray else ():
            if not one.started:
                self._start_call(one, trusted=False)
        call = self._calls[0 if self._astray else max(0, self._headers - 1)]
        if call.recorded is None or not (known or self.phase is Phase.HEADER):
            # A header whose call was in the record still says what is asked under it; nothing else does.
            return PermissionRequested(
                turn_id=self.turn_id,
                request_id=request_id,
                tool_id=call.tool_id,
                name=call.name,
                arguments=None,
                certain=False,
            )
        if len(self._calls) > 1 and (
            self._astray or not self._headers or any(self._disturbing(one) for one in self._calls)
        ):
            waiting = [
                {"name": one.name, "arguments": dict(one.recorded.arguments) if one.recorded else None}
                for one in self._calls
            ]
            return PermissionRequested(
                turn_id=self.turn_id,
                request_id=request_id,
                tool_id=call.tool_id,
                name=", ".join(dict.fromkeys(one.name for one in self._calls)),
                arguments={"tool_calls": waiting},
                certain=False,
            )
        return PermissionRequested(
            turn_id=self.turn_id,
            request_id=request_id,
            tool_id=call.tool_id,
            name=call.name,
            arguments=dict(call.recorded.arguments),
        )

    def _calls_are(self, tools: Sequence[RecordedTool]) -> bool:
        """Whether the calls that are followed on the screen are these."""
        return [call.recorded for call in self._calls] == list(tools)

    # -- answers to `need`

    def take_entries(self, entries: Sequence[RecordedEntry]) -> None:
        """The record was read: `entries` are new since the last reading. What `need` asks is still open."""
        if not self.entries:
            entries = self._since_the_message(entries)
        for place, entry in enumerate(entries, start=1):
            self._take_entry(entry, more=place < len(entries))

    def record_read(self, entries: Sequence[RecordedEntry], *, readable: bool) -> None:
        """The record was read, and that is all there will be now: `entries` are new since the last reading."""
        self.take_entries(entries)
        self.need = None
        pending, self._pending = self._pending, None
        if isinstance(pending, re.Match):
            self._header(pending, readable=readable)
        elif isinstance(pending, _Rejection):
            self._rejected(pending.outcome, readable=readable)

    def children_seen(self, children: int) -> None:
        """The children were counted: with one alive, a completion is only something that a tool printed."""
        self.need = None
        pending, self._pending = self._pending, None
        if not isinstance(pending, _Completion):
            return
        if children:
            self._unbelieved += 1
            self._print(pending.line.text)
            return
        self._completed(pending)
        self._round_over()
        self._forget_calls()
        self.phase = Phase.WAITING

    def hold(self, now: float) -> None:
        """Hold the text back that follows now: the tool whose end was just seen may have printed it."""
        if self.phase is Phase.WAITING:
            self.segments.hold(now)

    def finish(self) -> None:
        """The turn is over: complete what is still open."""
        self.segments.finish()
        self._end_calls("error")

    # -- lines

    def _waiting_line(self, line: Line) -> None:
        text = line.text
        if not text.strip():
            self._blank_line(text)
            return
        self._opening = None
        dialect = self._dialect
        if line.colour == dialect.tool_header_colour and (match := dialect.tool_header.fullmatch(text)):
            self._seek_header(match)
        elif self.segments.hold_until is not None and self._completion(line) is not None:
            # The completion that was believed was the tool's own print; so was any answer since.
            self.segments.discard()
        elif line.colour in dialect.hooks_colours and dialect.hooks_line.fullmatch(text):
            pass  # they run before the calls are described: neither the model's words nor the CLI's about the turn
        elif line.colour == dialect.tool_forbidden_colour and dialect.tool_forbidden.fullmatch(text):
            self._reject("refused")  # not kept: a hook's own words follow on the line
        elif dialect.tool_invalid.fullmatch(text):
            self._remark(text)
            self._reject("error")
        elif match := dialect.menu_title.fullmatch(text):
            self.menu = Menu(title=match["title"], options=[], selected=0)
        elif self.menu is not None and (match := dialect.menu_selected.fullmatch(text)):
            self.menu.selected = len(self.menu.options)
            self.menu.options.append(match["option"].rstrip())
        elif self.menu is not None and (match := dialect.menu_option.fullmatch(text)):
            self.menu.options.append(match["option"].rstrip())
        else:
            if self.menu is not None and not self.menu.options:
                self.menu = None
            self._remark(text)

    def _blank_line(self, text: str) -> None:
        """Keep a blank line for the answer that it may be the beginning of; too many can't be given back."""
        if self._opening is None:
            return
        if len(self._opening) < WITHHELD_LIMIT and len(text) <= REMARK_WIDTH:
            self._opening.append(text)
        else:
            self._opening = None

    def _header_line(self, line: Line) -> None:
        dialect = self._dialect
        text = line.text
        if self._may_run and self._completion(line) is not None:
            self._run_line(line)
        elif line.colour == dialect.tool_header_colour and (match := dialect.tool_header.fullmatch(text)):
            if self._headers < len(self._calls) and not self._astray:
                self._header(match, readable=True)
        elif not text:
            if self._describing is not None and not +self._describing:
                self._describing = None  # the blank line after a description
        elif not self.question_open and not self._describes(text) and self._may_run:
            self.phase = Phase.RUN
            self._run_line(line)

    def _run_line(self, line: Line) -> None:
        if self._blanks_to_skip and not line.text:
            self._blanks_to_skip -= 1
            return
        self._blanks_to_skip = 0
        completion = self._completion(line)
        if completion is None or self._running >= len(self._calls) or self._unbelieved >= UNBELIEVED_LIMIT:
            self._print(line.text)
        elif self._running + 1 < len(self._calls):
            self._completed(completion)  # the next tool may be a child by now; only the last completion ends the run
        else:
            self._pending, self.need = completion, Need.CHILDREN

    def _completed(self, completion: _Completion) -> None:
        """The tool that was running has completed; the next one's output follows a blank line."""
        self._withheld.clear()
        self._blanks_to_skip = 1
        self._end_call(self._calls[self._running], completion.outcome, completion.seconds)
        self._running += 1

    def _completion(self, line: Line) -> _Completion | None:
        dialect = self._dialect
        if not line.bold:
            return None
        if line.colour == dialect.tool_completed_colour and (match := dialect.tool_completed.fullmatch(line.text)):
            return _Completion(line, "ok", float(match["seconds"]))
        if line.colour == dialect.tool_failed_colour and (match := dialect.tool_failed.fullmatch(line.text)):
            return _Completion(line, "error", float(match["seconds"]))
        return None

    def _describes(self, text: str) -> bool:
        """Whether a line under a header still describes the call: the CLI's bullets, or the call's own arguments."""
        if self._describing is None:
            return False
        stripped = text.strip()
        if self._dialect.tool_description.fullmatch(text):
            self._describing.subtract([_last_words(text)])
            return True
        if self._describing[stripped] > 0:
            self._describing[stripped] -= 1
            return True
        return False

    def _remark(self, text: str) -> None:
        stripped = text.strip()
        for notice in self._dialect.notices:
            if notice.pattern.search(stripped):
                self._events.append(Notice(turn_id=self.turn_id, code=notice.code, text=stripped[:REMARK_WIDTH]))
                break
        if len(self._remarks) < REMARK_LIMIT:
            self._remarks.append(stripped[:REMARK_WIDTH])

    # -- tools

    def _seek_header(self, match: re.Match[str]) -> None:
        if self._headers < len(self._calls):
            self._header(match, readable=True)
        else:
            self._pending, self.need = match, Need.RECORD

    def _header(self, match: re.Match[str], *, readable: bool) -> None:
        if self._headers >= len(self._calls):
            if readable:
                self._remark(match.string)  # the record has no such call: not the CLI's own header
                return
            self.segments.abandon(tools=1)
            self._calls.append(_Call(tool_id=f"unrecorded-{len(self._calls) + 1}", name=match["name"], recorded=None))
        call = self._calls[self._headers]
        self._rounds += not self._headers
        self._headers += 1
        # Nothing runs before every call was described, and those that need it were asked for.
        self._may_run = match["trusted"] is not None and self._headers == len(self._calls)
        self._start_call(call, trusted=match["trusted"] is not None, server=match["server"])
        self.phase = Phase.HEADER
        self._describing = self._argument_lines(call)
        self._blanks_to_skip = 0

    def _start_call(self, call: _Call, *, trusted: bool, server: str | None = None) -> None:
        call.started = True
        call.of_server = server is not None
        self.server_tools += call.of_server
        arguments = dict(call.recorded.arguments) if call.recorded else None
        purpose = arguments.get(self._dialect.tool_purpose_argument) if arguments else None
        self._events.append(
            ToolStarted(
                turn_id=self.turn_id,
                tool_id=call.tool_id,
                name=call.name,
                arguments=arguments,
                trusted=trusted,
                server=server,
                purpose=purpose if isinstance(purpose, str) else None,
            )
        )

    def _reject(self, outcome: ToolOutcome) -> None:
        if not self._rejections_told:  # several calls of one answer have a line each
            self._pending, self.need = _Rejection(outcome), Need.RECORD

    def _rejected(self, outcome: ToolOutcome, *, readable: bool) -> None:
        """The CLI ran none of the calls, and asked nobody.

        `error`: their arguments were wrong. `refused`: a rule or a hook of the agent file doesn't allow one of them,
        and with one refused none is run, as when a person refuses.
        """
        if not readable and not self._calls:
            self.segments.abandon(tools=1)
        self._rounds += not self._headers and (bool(self._calls) or not readable)
        self._round_over()
        for call in self._calls:
            if not call.started:
                self._start_call(call, trusted=False)
        self._rejections_told = bool(self._calls)
        self._end_calls(outcome)

    def _argument_lines(self, call: _Call) -> Counter[str]:
        lines: Counter[str] = Counter()
        for name in self._dialect.tool_description_arguments:
            value = call.recorded.arguments.get(name) if call.recorded else None
            if isinstance(value, str):
                lines.update(part.strip() for part in value.splitlines())
        return lines

    def _disturbing(self, call: _Call) -> bool:
        """Whether a call's arguments, which the CLI prints raw, could make its description look like other calls."""
        if call.recorded is None:
            return True
        return any(
            _UNSAFE.search(text) or self._dialect.tool_header.search(text) for text in _strings(call.recorded.arguments)
        )

    def _end_calls(self, outcome: ToolOutcome) -> None:
        for call in self._calls:
            if call.started and not call.ended:
                self._end_call(call, outcome, None)
        self._forget_calls()

    def _end_call(self, call: _Call, outcome: ToolOutcome, seconds: float | None) -> None:
        self._flush_output()
        call.ended = True
        self.server_tools += call.of_server
        if self.interrupted and outcome != "refused":
            outcome = "interrupted"  # whatever the CLI makes of a tool that was ended under it
        self._events.append(ToolCompleted(turn_id=self.turn_id, tool_id=call.tool_id, outcome=outcome, seconds=seconds))

    def _round_over(self) -> None:
        """The calls that were described are over: a question that comes now is about others."""
        self._rounds_over = max(self._rounds, self._recorded_rounds)

    def _forget_calls(self) -> None:
        self._flush_output()
        self._calls = []
        self._astray = False
        self._headers = self._running = 0
        self._describing = None
        self._withheld.clear()
        self._unbelieved = 0

    def _print(self, text: str) -> None:
        """Keep one line of a tool's output.

        Blank lines and a lone continuation mark wait for what follows: before a completion they are the CLI's own.
        """
        if (not text or text == self._dialect.tool_continuation) and len(self._withheld) < WITHHELD_LIMIT:
            self._withheld.append(text)
            return
        for line in self._withheld:
            self._keep(line)
        self._withheld.clear()
        self._keep(text)

    def _keep(self, text: str) -> None:
        self._output.append(text)
        self._output_size += len(text) + 1
        if self._output_size > OUTPUT_LIMIT:
            self._flush_output()

    def _flush_output(self) -> None:
        if not self._output:
            return
        text = "\n".join(self._output) + "\n"
        self._output.clear()
        self._output_size = 0
        if self._running < len(self._calls):
            tool_id = self._calls[self._running].tool_id
            for start in range(0, len(text), OUTPUT_LIMIT):
                self._events.append(
                    ToolOutput(turn_id=self.turn_id, tool_id=tool_id, text=text[start : start + OUTPUT_LIMIT])
                )

    # -- segments

    def _since_the_message(self, entries: Sequence[RecordedEntry]) -> Sequence[RecordedEntry]:
        """Leave out what came before this turn's message, where one of these is it: a turn has only one message."""
        own = (place for place, entry in enumerate(entries) if entry.prompt == self._sent)
        return entries[max(own, default=0) :] if self._sent is not None else entries

    def _take_entry(self, entry: RecordedEntry, *, more: bool) -> None:
        first = all(known.made_up for known in self.entries)
        self.entries.append(entry)
        if entry.made_up:
            self._end_calls("interrupted")  # the CLI's own note that it gave the calls up
            return
        if first and self._sent is not None and entry.prompt is not None and entry.prompt != self._sent:
            text = "The command line did not send the model this message as it was typed."
            self._events.append(Notice(turn_id=self.turn_id, code="message_altered", text=text))
        self._flush_output()
        self.segments.complete(entry.text, tools=len(entry.tools), more=more)
        if entry.tools:
            self.finished = None
            self._take_calls(entry)
        else:
            self._end_by_results(entry)
            self.finished = entry

    def _take_calls(self, entry: RecordedEntry) -> None:
        """Follow the calls of an entry. Where the record was late, the screen has shown some, or is past them."""
        self._recorded_rounds += 1
        calls = [_Call(tool.tool_id, tool.name, tool) for tool in entry.tools]
        if self._recorded_rounds > self._rounds:
            self._end_by_results(entry)
            self._calls = calls
            self._astray = False
        elif self._recorded_rounds == self._rounds and self._calls and self._calls[0].recorded is None:
            self._calls[0].recorded = entry.tools[0]
            if len(calls) > 1:
                # Only one header was looked for: if that was answered or asks nothing, another is described by now.
                self._calls[1:] = calls[1:]
                self._astray = self.phase is not Phase.HEADER or self._may_run

    def _end_by_results(self, entry: RecordedEntry) -> None:
        """The model has had the results of the calls before this entry: whatever the screen showed, they are over."""
        results = {result.tool_id: result.ok for result in entry.results}
        for call in self._calls:
            if call.started and not call.ended:
                tool_id = call.recorded.tool_id if call.recorded is not None else call.tool_id
                self._end_call(call, "ok" if results.get(tool_id, False) else "error", None)
        self._forget_calls()


_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _strings(value: object) -> Iterator[str]:
    """Yield every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)


def _last_words(text: str) -> str:
    """Return what follows a description's bullet and label: the first line of an argument may stand there."""
    return text.rpartition(": ")[2].strip()
