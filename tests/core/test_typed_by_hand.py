"""A person types at the terminal by hand: turns end truthfully, answers are seen, nothing strange becomes a turn."""

from __future__ import annotations

import pytest

from qpty.core import keys
from qpty.core.commands import KeysTyped, MessageSubmitted, PermissionAnswerSubmitted, SendKeys
from qpty.core.states import NotReadyError, State
from tests.core.playbook import (
    ANSWER,
    ANSWER_END,
    CLEAR,
    COMPLETED,
    FRAME,
    LINE_END,
    PROMPT,
    QUESTION,
    Playbook,
    answered,
    header,
    response,
    tool_use,
)

OPTIONS = "  one\r\n\x1b[32m❯\x1b[0m \x1b[36mtwo | best\x1b[0m\r\n  three\r\n"
MENU = (
    "\r\n\x1b[?25l\x1b[35m?\x1b[0m \x1b[1mSelect a model for this chat session\x1b[0m \x1b[38;5;8m›\x1b[0m\r\n"
) + OPTIONS
MOVED = (
    "\x1b[3A\r\x1b[2K\x1b[1B\r\x1b[2K\x1b[1B\r\x1b[2K\x1b[1B\x1b[3A  one\r\n  two | best\r\n"
    "\x1b[32m❯\x1b[0m \x1b[36mthree\x1b[0m\r\n"
)
CHOSEN = (
    "\x1b[4A\r\x1b[2K\x1b[1B\r\x1b[2K\x1b[1B\x1b[4A\x1b[32m✔\x1b[0m \x1b[1mSelect a model for this chat session\x1b[0m "
    "\x1b[38;5;8m·\x1b[0m \x1b[32mthree\x1b[0m\r\n\x1b[?25h\x1b[38;5;13m\x1b[0m\r\n Using three\r\n\r\n\x1b[0m"
)
ENTERED = "\x1b[?2004l\r\n\r\n"
CTRL_C = (
    "\x1b[?2004l\r\n\r\n(To exit the CLI, press Ctrl+C or Ctrl+D again or type \x1b[38;5;10m/quit\x1b[39m)\r\n\r\n"
    + PROMPT
)


@pytest.fixture
def q() -> Playbook:
    book = Playbook()
    book.starts()
    return book


def asks(q: Playbook) -> None:
    """A turn goes up to its question."""
    q.says("go")
    q.entries.append(tool_use("Run.", "rm a"))
    q.prints(FRAME + CLEAR + ANSWER + "Run." + header("execute_bash", "rm a") + QUESTION)
    q.prompts()
    assert q.is_in(State.PERMISSION)


def by_hand(q: Playbook) -> None:
    q.give(KeysTyped(now=q.now))


@pytest.mark.parametrize(("typed", "answer"), [("y", "allow"), (" Y ", "allow"), ("t", "always")])
def test_a_permission_that_is_allowed_by_hand_is_answered_and_its_tool_runs(
    q: Playbook, typed: str, answer: str
) -> None:
    asks(q)
    by_hand(q)
    q.prints(typed)
    assert q.is_in(State.PERMISSION)
    q.prints(ENTERED + "gone\r\n", raw_mode=False)
    assert q.is_in(State.BUSY)
    assert q.last("permission.answered").answer == answer
    assert q.machine.question is None
    q.prints(COMPLETED)
    q.entries.append(response("Done.", 2, prompt=None))
    q.prints(answered("Done."))
    q.prompts()
    assert [event.text for event in q.of("tool.output")] == ["gone\n"]
    assert q.last("tool.completed").outcome == "ok"
    assert q.last("turn.completed").text == "Run.\n\nDone."
    assert q.is_in(State.READY)


@pytest.mark.parametrize("typed", ["n", "yes please", "what is this?"])
def test_whatever_else_is_entered_refuses_it(q: Playbook, typed: str) -> None:
    asks(q)
    by_hand(q)
    q.prints(f"\r\x1b[K\x1b[35m> \x1b[0m{typed}\r\x1b[{len(typed) + 2}C", ENTERED, raw_mode=False)
    assert q.last("permission.answered").answer == "refuse"
    assert q.last("tool.completed").outcome == "refused"
    q.entries.append(response("Not done.", 2, prompt=typed))
    q.prints(answered("Not done."))
    q.prompts()
    assert len(q.of("turn.completed")) == 1
    assert q.last("turn.completed").text == "Run.\n\nNot done."


@pytest.mark.parametrize("printed", [CTRL_C, "\x1b[?2004l\r\n" + PROMPT])
def test_ctrl_c_and_an_empty_line_leave_it_open_and_it_can_still_be_answered(q: Playbook, printed: str) -> None:
    asks(q)
    by_hand(q)
    q.prints(printed)
    q.passes(5)
    assert q.is_in(State.PERMISSION)
    assert not q.of("permission.answered")
    question = q.machine.question
    assert question is not None
    q.give(PermissionAnswerSubmitted(request_id=question.request_id, answer="refuse", now=q.now))
    assert q.sent(SendKeys)[-1].data == keys.CLEAR_LINE + b"n\r", "somebody may have typed half an answer"


def test_a_line_that_nobody_typed_answers_nothing(q: Playbook) -> None:
    asks(q)
    q.prints("y" + ENTERED)
    assert q.is_in(State.PERMISSION)
    assert not q.of("permission.answered")


def test_keys_typed_at_an_earlier_question_are_not_counted_for_the_next(q: Playbook) -> None:
    asks(q)
    by_hand(q)
    q.prints("y" + ENTERED, raw_mode=False)
    q.prints(COMPLETED)
    q.entries.append(tool_use("Again.", "rm b", number=2))
    q.prints(FRAME + CLEAR + ANSWER + "Again." + header("execute_bash", "rm b") + QUESTION)
    q.prompts()
    assert q.is_in(State.PERMISSION)
    q.prints("y" + ENTERED)
    assert q.is_in(State.PERMISSION)


def test_a_move_in_a_menu_by_hand_asks_anew_from_where_it_stands(q: Playbook) -> None:
    q.says("go")
    q.prints(MENU, raw_mode=True)
    q.passes(0.1)
    assert q.last("menu.requested").selected == 1
    by_hand(q)
    assert q.last("menu.answered").index is None
    assert q.is_in(State.BUSY)
    q.prints(MOVED)
    q.passes(0.1)
    asked = q.last("menu.requested")
    assert (asked.options, asked.selected) == (("one", "two | best", "three"), 2)
    assert asked.title == "Select a model for this chat session"
    assert len({event.request_id for event in q.of("menu.requested")}) == 2


def test_a_choice_in_a_menu_by_hand_lets_the_turn_go_on(q: Playbook) -> None:
    q.says("go")
    q.prints(MENU, raw_mode=True)
    q.passes(0.1)
    by_hand(q)
    q.prints(CHOSEN, raw_mode=False)
    q.prints("  an indented line\r\n", raw_mode=True)
    q.passes(0.1)
    assert len(q.of("menu.requested")) == 1, "what comes after the menu is none of it"
    q.prints(FRAME, raw_mode=False)
    q.entries.append(response("Hi.", prompt="go"))
    q.prints(answered("Hi."))
    q.prompts()
    assert q.last("turn.completed").text == "Hi."


def test_a_turn_that_was_stopped_by_hand_is_interrupted(q: Playbook) -> None:
    q.says("go")
    q.prints(FRAME + CLEAR + ANSWER + "one two")
    by_hand(q)
    q.prints("^C\r\n\r\n\x1b[?25h\x1b[0m\x1b[0m")
    q.prompts()
    q.passes(1)
    end = q.last("turn.completed")
    assert end.stop_reason == "interrupted"
    assert "typed_by_hand" in end.evidence
    assert not end.exact
    assert q.is_in(State.READY)


def test_keys_of_an_earlier_turn_explain_nothing(q: Playbook) -> None:
    q.says("go")
    by_hand(q)
    q.entries.append(response("Hi.", prompt="go"))
    q.prints(answered("Hi."))
    q.prompts()
    q.says("again")
    q.prints(FRAME + CLEAR + ANSWER + "one" + LINE_END + ANSWER_END)
    q.prompts()
    q.passes(1)
    assert q.last("turn.failed").code == "unknown"


def test_who_types_at_a_ready_prompt_has_the_terminal_for_good(q: Playbook) -> None:
    by_hand(q)
    assert q.is_in(State.UNKNOWN)
    before = len(q.events)
    q.prints("hello" + ENTERED, raw_mode=False)
    q.entries.append(response("Hi.", prompt="hello"))
    q.prints(answered("Hi."))
    q.prompts()
    q.passes(10)
    assert q.events[before:] == []
    assert q.is_in(State.UNKNOWN)
    with pytest.raises(NotReadyError):
        q.give(MessageSubmitted(turn_id="t9", text="hello", now=q.now))
