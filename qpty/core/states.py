"""The states of one terminal, and the only ways between them.

    starting ─ ready ⇄ busy ⇄ permission
                        ⇅  ⇄ menu
                      unknown            failed ─ exited

- `ready` is the only state in which a message may be typed. It takes the prompt *and* its witnesses; silence never is.
- A question (`permission`, `menu`) suspends a turn; it doesn't end it.
- `unknown` says that the terminal reads keys at something that isn't known: nothing is typed, a person may look. A
  person who types at a ready prompt by hand leaves it so for good: what became of the conversation isn't known.
- `failed` is a start, or a turn, that was given up: the process is being ended.

Every pair that is absent here is rejected.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, get_args

from qpty.core.errors import QptyError
from qpty.core.events import Answer

if TYPE_CHECKING:
    from qpty.core.events import Event


ANSWERS: Final[tuple[Answer, ...]] = get_args(Answer)
"""What a permission may be answered."""


class State(Enum):
    """What the terminal is doing; the value is the name in `session.state`."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    PERMISSION = "permission"
    MENU = "menu"
    UNKNOWN = "unknown"
    FAILED = "failed"
    EXITED = "exited"


class Signal(Enum):
    """What happened, as far as the state is concerned."""

    PROMPT_PROVED = "the prompt is painted and every witness agrees"
    QUESTION_PROVED = "a permission is asked, the record agrees"
    MENU_PROVED = "a menu is shown, the witnesses agree"
    KEYS_SENT = "a message or a command was typed"
    ANSWERED = "a question was answered"
    UNRECOGNISED = "something reads keys and isn't known"
    TYPED_BY_HAND = "a person typed where only qpty does"
    GIVEN_UP = "a deadline passed and the process is being ended"
    EXITED = "the process ended"


TRANSITIONS: Final[dict[State, dict[Signal, State]]] = {
    State.STARTING: {
        Signal.PROMPT_PROVED: State.READY,
        Signal.UNRECOGNISED: State.UNKNOWN,
        Signal.GIVEN_UP: State.FAILED,
        Signal.EXITED: State.EXITED,
    },
    State.READY: {
        Signal.KEYS_SENT: State.BUSY,
        Signal.TYPED_BY_HAND: State.UNKNOWN,
        Signal.GIVEN_UP: State.FAILED,
        Signal.EXITED: State.EXITED,
    },
    State.BUSY: {
        Signal.PROMPT_PROVED: State.READY,
        Signal.QUESTION_PROVED: State.PERMISSION,
        Signal.MENU_PROVED: State.MENU,
        Signal.UNRECOGNISED: State.UNKNOWN,
        Signal.GIVEN_UP: State.FAILED,
        Signal.EXITED: State.EXITED,
    },
    State.PERMISSION: {
        Signal.ANSWERED: State.BUSY,
        Signal.GIVEN_UP: State.FAILED,
        Signal.EXITED: State.EXITED,
    },
    State.MENU: {
        Signal.ANSWERED: State.BUSY,
        Signal.TYPED_BY_HAND: State.BUSY,
        Signal.GIVEN_UP: State.FAILED,
        Signal.EXITED: State.EXITED,
    },
    State.UNKNOWN: {
        Signal.PROMPT_PROVED: State.READY,
        Signal.QUESTION_PROVED: State.PERMISSION,
        Signal.MENU_PROVED: State.MENU,
        Signal.GIVEN_UP: State.FAILED,
        Signal.EXITED: State.EXITED,
    },
    State.FAILED: {Signal.EXITED: State.EXITED},
    State.EXITED: {},
}


class NotReadyError(QptyError):
    """A message came while the terminal can't take one. `question` is the one that is open, None without one."""

    def __init__(self, state: str, question: Event | None) -> None:
        self.state = state
        self.question = question
        what = "wait until it is ready"
        if question is not None:
            what = "answer its open question first"
        elif state in {State.FAILED.value, State.EXITED.value}:
            what = "start another one"
        super().__init__(f"the terminal is {state}: {what}")


class QuestionMismatchError(QptyError):
    """An answer came for a question that is not open. `open_request_id` is the one that is, None without one."""

    def __init__(self, request_id: str, open_request_id: str | None) -> None:
        self.request_id = request_id
        self.open_request_id = open_request_id
        what = f"answer {open_request_id}" if open_request_id is not None else "no question is open"
        super().__init__(f"question {request_id} is not open: {what}")


class AnswerError(QptyError, ValueError):
    """A permission can't be answered so; nothing was typed, and it is still open."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        super().__init__(f"{str(answer)[:40]!r} is no answer: give one of {', '.join(ANSWERS)}")


class ChoiceError(QptyError, ValueError):
    """A menu has no such option, or it is too far away; nothing was typed, and it is still open."""

    def __init__(self, index: object, options: int) -> None:
        self.index = index
        self.options = options
        super().__init__(f"option {str(index)[:40]}: choose one of 0 to {options - 1}, or null to leave")


class TransitionError(RuntimeError):
    """A signal that the state has no way for: a fault of the core, never of the person or of the data."""

    def __init__(self, state: State, signal: Signal) -> None:
        self.state = state
        self.signal = signal
        super().__init__(f"no way from {state.value}: {signal.value}")


def advance(state: State, signal: Signal) -> State:
    """Return the state after `signal`, or raise `TransitionError` where the table has none."""
    try:
        return TRANSITIONS[state][signal]
    except KeyError:
        raise TransitionError(state, signal) from None
