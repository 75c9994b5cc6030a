"""A turn: the request, the spinner, the answer as it is typed, the tools with their questions, and what goes wrong."""

import os

from . import failures
from .hooks import Hooks, refused
from .menu import choose
from .record import Conversation, Json, ToolUse, UserMessage, result_values, tool_text
from .script import CUT, DEMO, ERROR, SLEEP, TEXT, TOOL, Request, ServiceFailure, answer
from .signals import Signals, TurnInterruptedError
from .spinner import Spinner
from .terminal import GREEN, HIDE_CURSOR, MAGENTA, RESET, SHOW_CURSOR, Terminal
from .tools import QUESTION, Outcome, Toolbox, invalid, rejection
from .typist import LINE_END, Typist

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .script import Step

MODELS = ("demo-sonnet", "demo-haiku")
"""Names to choose from, like q's; what answers is the same script under each."""
MENU_TITLE = "Select a model for this chat session"

PACE_SECONDS = 0.0091
"""Between two writes of an answer, measured on q."""

RETRY_SECONDS = 10.0
_FIRST_BYTE_SECONDS = 0.005
_BETWEEN_TOOLS_SECONDS = 0.002
OPENING = f"\n{MAGENTA}{RESET}{HIDE_CURSOR}"
_FORBIDDEN = "Tool use with {} was rejected because the arguments supplied were forbidden"


class ApprovalNeededError(Exception):
    """A tool needs an answer and there is nobody to ask (`--no-interactive`)."""


class StreamBrokenError(Exception):
    """The pretended stream ended in mid-answer; `told` says that it was told so by an error event."""

    def __init__(self, told: bool) -> None:
        super().__init__("the pretended stream ended in mid-answer")
        self.told = told


class Turns:
    """Takes messages and carries out what follows, until the agent is ready again.

    `pending` are tools that wait for the user's answer, and the number of the one that is asked for. `doomed` is q's
    state after a monthly limit or an overflow: it panics at the next message.
    """

    __slots__ = (
        "_interactive", "_pace", "_penalty", "_retry", "_running_tools", "_signals", "_spinner", "_terminal",
        "conversation", "doomed", "pending", "toolbox",
    )  # fmt: skip

    def __init__(
        self, terminal: Terminal, signals: Signals, conversation: Conversation, toolbox: Toolbox, interactive: bool
    ) -> None:
        self._terminal, self._signals, self._spinner = terminal, signals, Spinner(terminal)
        self.conversation, self.toolbox, self._interactive = conversation, toolbox, interactive
        self._pace = float(os.environ.get("QPTY_DEMO_PACE") or PACE_SECONDS)
        self._retry = float(os.environ.get("QPTY_DEMO_RETRY_SECONDS") or RETRY_SECONDS)
        self._penalty = 0.0
        self._running_tools = self.doomed = False
        self.pending: tuple[list[ToolUse], int] | None = None

    def send(self, prompt: str) -> None:
        """Send a message; it refuses the tools that wait for an answer, if any."""
        self.pending = None
        self._guarded(self.conversation.message(prompt), OPENING)

    def approve(self, always: bool) -> None:
        """Allow the tool that is asked for, and go on to the next question or to running them all."""
        if self.pending is None:
            return
        tools, index = self.pending
        self.pending = None
        if always:
            self.toolbox.trust(tools[index].orig_name)
        self._terminal.note("\n")
        self._guarded(None, "", tools, index + 1)

    def _guarded(
        self, message: UserMessage | None, opening: str, tools: list[ToolUse] | None = None, index: int = 0
    ) -> None:
        """Carry the turn through; an interrupt or a failure ends it here."""
        self._signals.forget()
        self._running_tools = False
        try:
            if tools:
                message, opening = self._use(tools, index)
            while message is not None:
                message, opening = self._exchange(message, opening)
        except TurnInterruptedError:
            self._spinner.stop()
            self._terminal.note("\n\n")
            if self._running_tools:
                self.conversation.keep_interruption()
        except StreamBrokenError as error:
            self._spinner.stop()
            self._terminal.note(failures.cut_short(error.told))

    def _exchange(self, message: UserMessage, opening: str) -> tuple[UserMessage | None, str]:
        """One request and its answer: the next message, if tools gave one, and what is painted before it."""
        if opening:
            self._spinner.start(opening)
        self._signals.sleep(_FIRST_BYTE_SECONDS + self._penalty)
        self._penalty = 0.0
        request = Request(self.conversation.said(message), result_values(message.results), self.toolbox.offered)
        try:
            steps = answer(request)
        except ServiceFailure as failure:
            again = self._fail(failure.kind)
            return (message, OPENING) if again else (None, "")
        text, tools = self._type(steps)
        self.conversation.keep(message, text, tools)
        self._beat(LINE_END)
        problems = [(use, self.toolbox.problem(use)) for use in tools]
        wrong = [(use, problem) for use, problem in problems if problem is not None]
        if not wrong:
            hooks = Hooks(self._terminal, self._spinner)
            wrong = [(use, said) for use in tools if (said := hooks.refusal(*self.toolbox.hooks(use))) is not None]
            for _, said in wrong:
                self._terminal.note(refused(said))
        else:
            for _, problem in wrong:
                self._terminal.note(invalid(problem))
        if not wrong:
            return self._use(tools, 0) if tools else (None, "")
        results = [tool_text(problem, False, use.tool_id) for use, problem in wrong]
        return UserMessage("ToolUseResults", None, results), ""

    # the answer

    def _type(self, steps: "list[Step]") -> tuple[str, list[ToolUse]]:
        """Paint an answer as it arrives: its exact text and its tool calls."""
        typist, text, tools, begun = Typist(), "", [], False
        for kind, value in self._arriving(steps):
            self._spinner.stop()
            if kind == TOOL and isinstance(value, tuple):
                self._beats(typist.feed("\n"))
                self._spinner.start(HIDE_CURSOR)
                self._spinner.stop()
                name, arguments = value
                tools.append(ToolUse(name, arguments, self.toolbox.offered))
            elif kind == TEXT:
                text += str(value)
                mark = "" if begun or not str(value).strip() else f"{GREEN}> {RESET}"
                begun = begun or bool(mark)
                self._beats(typist.feed(str(value)), mark)
        self._spinner.stop()
        self._beats(typist.feed("\n"))
        return text, tools

    def _arriving(self, steps: "list[Step]") -> "Iterator[Step]":
        """The steps at the moment at which q shows them: each when the next has arrived."""
        held: Step | None = None
        for step in steps:
            kind, value = step
            if kind == SLEEP:
                if held is None:
                    yield (SLEEP, 0)  # the stream has begun: the spinner ends
                self._signals.sleep(float(str(value)))
                continue
            if kind in (CUT, ERROR):
                raise StreamBrokenError(kind == ERROR)
            if held is not None:
                yield held
            held = step
        if held is not None:
            yield held

    def _beats(self, writes: list[str], mark: str = "") -> None:
        for write in writes:
            self._beat(mark + write)
            mark = ""
        if mark:
            self._terminal.write(mark)

    def _beat(self, text: str) -> None:
        if text:
            self._terminal.write(text)
        if self._pace > 0:
            self._signals.sleep(self._pace)
        else:
            self._signals.check()

    # tools

    def _use(self, tools: list[ToolUse], index: int) -> tuple[UserMessage | None, str]:
        """Announce the tools from an index on; ask for the first that is not trusted, or run them all."""
        for number in range(index, len(tools)):
            use = tools[number]
            rules = self.toolbox.denied(use)
            if rules:
                self._terminal.note(rejection(use, rules))
                return self.conversation.message(_FORBIDDEN.format(use.orig_name)), OPENING
            trusted = self.toolbox.trusted(use)
            self._terminal.note(self.toolbox.header(use, trusted))
            if not trusted:
                if not self._interactive:
                    raise ApprovalNeededError
                self.pending = (tools, number)
                self._terminal.note(SHOW_CURSOR + QUESTION)
                return None, ""
        return self._run(tools)

    def _run(self, tools: list[ToolUse]) -> tuple[UserMessage, str]:
        self._running_tools = True
        results: list[Json] = []
        images: list[Json] = []
        outcome: Outcome | None = None
        for use in tools:
            if outcome is not None:
                self._terminal.note(outcome.ending)
                self._signals.sleep(_BETWEEN_TOOLS_SECONDS)
            outcome = self.toolbox.run(use, self._signals, self._terminal.write)
            results.append(outcome.result)
            images += outcome.images
        self._running_tools = False
        ending = outcome.ending if outcome is not None else ""
        pictures = f"{RESET}{RESET}\n" if images else ""
        message = UserMessage("ToolUseResults", None, results, images)
        return message, f"{ending}{pictures}{HIDE_CURSOR}\n{RESET}"

    # failures

    def _fail(self, kind: str) -> bool:
        """Show that the service failed; whether to send the request again."""
        if kind in ("throttle", "capacity"):
            for attempt in (2, 3):
                self._signals.sleep(self._retry)
                self._terminal.note(failures.retrying(attempt))
            self._penalty = 2 * self._retry
        elif kind == "boom":
            self._signals.sleep(0.145 * self._retry)
        self._spinner.stop()
        if kind == "capacity":
            self._terminal.note(failures.OVERLOADED)
            return self.choose_model()
        if kind == "throttle":
            self._terminal.note(failures.RATE_LIMIT)
        elif kind == "monthly":
            self._terminal.note(failures.monthly_limit())
            self.doomed = True
        elif kind == "overflow":
            self._overflow()
        else:
            self._terminal.note(failures.refused(kind))
        return False

    def _overflow(self) -> None:
        """The history is summarised, if there is any; the request overflows again without it."""
        self._terminal.note(failures.OVERFLOW)
        if len(self.conversation.history) > 1:
            self._spinner.start("", "Creating summary...")
            try:
                self._signals.sleep(_FIRST_BYTE_SECONDS)
            finally:
                self._spinner.stop()
            self.conversation.compact(f"{DEMO} {len(self.conversation.history)} exchanges were here.")
            self._terminal.note(failures.COMPACTED + failures.OVERFLOW)
        self._terminal.note(failures.TOO_SHORT)
        self.doomed = True

    def choose_model(self) -> bool:
        """Ask for a model; False if the user left the menu by Ctrl-C (TurnInterruptedError never leaves here)."""
        model = self.conversation.model
        items = [f"{name}{' (active)' if name == model else ''} | A demo without a model" for name in MODELS]
        try:
            chosen = choose(self._terminal, self._signals, MENU_TITLE, items)
        except TurnInterruptedError:
            return False
        self._terminal.note(f"{MAGENTA}{RESET}")
        if chosen is not None:
            self.conversation.model = MODELS[chosen]
            self._terminal.note(f"\n Using {MODELS[chosen]}\n\n{RESET * 3}")
        self._terminal.note(f"{RESET}\n")
        return True
