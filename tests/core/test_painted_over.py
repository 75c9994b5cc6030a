"""A prompt over which something was printed: asked for anew, never guessed at, never asked for without end.

The first lines are what the real q prints at a start with an MCP server; on a busy machine their last part comes after
the prompt (see the captures `painted-over` and `servers-in-sequence`).
"""

from __future__ import annotations

import pytest

from qpty.core.commands import KeysTyped, Kill, MessageSubmitted, SendKeys
from qpty.core.states import State
from tests.core.playbook import (
    ANSWER,
    CLEAR,
    FRAME,
    GREETING,
    LINE_END,
    PROMPT,
    QUESTION,
    Playbook,
    answered,
    header,
    response,
    tool_use,
)

LOADING = (
    "⠋\x1b[38;5;12m 0\x1b[0m of \x1b[38;5;12m1 \x1b[0mmcp servers initialized.\x1b[38;5;12m ctrl-c \x1b[0mto start "
    "chatting now\r\n\x1b7\x1b[1G\x1b[1A⠙\x1b8"
)
LOADED = "\x1b[1G\x1b[1A\x1b[2K\x1b[38;5;10m✓ \x1b[38;5;12mclient\x1b[0m loaded in \x1b[38;5;11m0.04 s\r\n\x1b[0m"
COUNTED = "\x1b[38;5;10m✓\x1b[0m\x1b[38;5;12m 1\x1b[0m of \x1b[38;5;12m1 \x1b[0mmcp servers initialized.\r\n"
STILL = (
    "\x1b[1G\x1b[1A\x1b[2K\x1b[38;5;11m⚠\x1b[38;5;12m 0\x1b[0m of \x1b[38;5;12m1 \x1b[0mmcp servers "
    "initialized.\x1b[0m Servers still loading:\r\n - client\x1b[0m\r\n"
)
LAST = "\x1b[1G\x1b[1A\x1b[2K\r\n"
REPAINTED = "\x1b[H\x1b[J\r\x1b[K\x1b[35m> \x1b[0m\r\x1b[2C"
WORD = "Dynamic registration failed: not supported\r\n"
"""Something else that q's other threads print at any time."""

CTRL_L = b"\x0c"


def typed(q: Playbook) -> list[bytes]:
    """The keys that were typed so far."""
    return [command.data for command in q.sent(SendKeys)]


@pytest.fixture
def q() -> Playbook:
    book = Playbook()
    book.starts()
    assert book.is_in(State.READY)
    return book


# -- a start


@pytest.mark.parametrize(
    "printed",
    [
        LOADING + GREETING + PROMPT + LOADED + COUNTED + LAST,
        LOADING + LOADED + COUNTED + GREETING + PROMPT + LAST,
        LOADING + GREETING + PROMPT + STILL,
        LOADING + LOADED + COUNTED + GREETING + PROMPT.replace("\r", LAST + "\r", 1),
        LOADING + "\x1b[38;5;14\x1b[m🤖 You are chatting" + PROMPT + (LOADED + COUNTED + LAST).removeprefix("\x1b["),
        GREETING + PROMPT + WORD,
    ],
    ids=["after it", "the last line", "still loading", "before its paint", "torn sequences", "something else"],
)
def test_a_start_whose_prompt_was_painted_over_asks_for_it_anew(printed: str) -> None:
    q = Playbook()
    q.prints(printed, raw_mode=True)
    q.passes(0.2)
    assert q.is_in(State.STARTING)
    assert typed(q) == [CTRL_L]
    q.prints(REPAINTED)
    assert q.is_in(State.READY)
    q.says("hello")
    q.entries.append(response("Hello."))
    q.prints(answered("Hello."))
    q.prompts()
    assert (q.last("turn.completed").text, q.live()) == ("Hello.", "Hello.")


def test_a_prompt_that_comes_last_is_asked_for_by_nobody() -> None:
    q = Playbook()
    q.prints(LOADING + LOADED + COUNTED + LAST + GREETING + PROMPT, raw_mode=True)
    assert q.is_in(State.READY)
    q.passes(60)
    assert typed(q) == []


@pytest.mark.parametrize("rest", [LOADED + COUNTED + LAST, STILL])
def test_a_prompt_waits_for_what_is_still_to_be_told_of_the_servers(rest: str) -> None:
    q = Playbook()
    q.prints(LOADING + GREETING + PROMPT, raw_mode=True)
    q.passes(0.5)
    assert q.is_in(State.STARTING)
    assert typed(q) == []
    q.prints(rest)
    q.passes(0.1)
    assert typed(q) == [CTRL_L]
    q.prints(REPAINTED)
    assert q.is_in(State.READY)


def test_a_prompt_does_not_wait_for_ever_for_it() -> None:
    q = Playbook()
    q.prints(LOADING + GREETING + PROMPT, raw_mode=True)
    q.passes(4)
    assert q.is_in(State.READY)
    assert typed(q) == []


def test_nothing_is_typed_in_the_middle_of_what_is_told_of_the_servers() -> None:
    q = Playbook()
    q.prints(LOADING + GREETING + PROMPT + LOADED, raw_mode=True)
    q.passes(1)
    assert typed(q) == []
    q.passes(3)
    assert typed(q)[:1] == [CTRL_L]  # it never came


@pytest.mark.parametrize(("raw_mode", "foreground", "children"), [(False, True, 0), (True, False, 0), (True, True, 1)])
def test_nothing_is_typed_as_long_as_a_witness_speaks_against_it(
    raw_mode: bool, foreground: bool, children: int
) -> None:
    q = Playbook()
    q.foreground, q.children = foreground, children
    q.prints(LOADING + GREETING + PROMPT + LOADED + COUNTED + LAST, raw_mode=raw_mode)
    q.passes(20)
    assert typed(q) == []
    assert q.is_in(State.STARTING)


def test_nothing_is_typed_before_the_line_editor_has_begun() -> None:
    q = Playbook()
    q.prints(LOADING + LOADED + COUNTED + LAST + GREETING, raw_mode=True)
    q.passes(20)
    assert typed(q) == []


def test_a_prompt_that_does_not_come_back_is_asked_for_three_times() -> None:
    q = Playbook()
    q.prints(GREETING + PROMPT + LAST, raw_mode=True)
    q.passes(25)
    assert typed(q) == [CTRL_L] * 3
    assert q.is_in(State.UNKNOWN)
    assert [event.code for event in q.of("notice")] == ["unrecognised_screen"]
    q.prints(REPAINTED)
    assert q.is_in(State.READY)


def test_a_prompt_that_never_comes_back_fails_the_start() -> None:
    q = Playbook()
    q.prints(GREETING + PROMPT + LAST, raw_mode=True)
    q.passes(31)
    assert q.sent(Kill)
    assert q.is_in(State.FAILED)


def test_a_prompt_may_be_painted_over_again() -> None:
    q = Playbook()
    q.prints(LOADING + GREETING + PROMPT + LOADED + COUNTED, raw_mode=True)
    q.passes(0.2)
    q.prints(REPAINTED + LAST)
    q.passes(0.2)
    assert typed(q) == [CTRL_L] * 2
    q.prints(REPAINTED)
    assert q.is_in(State.READY)


# -- a ready prompt


def test_a_ready_prompt_stays_ready_and_takes_a_message(q: Playbook) -> None:
    q.prints(WORD + STILL)
    q.passes(60)
    assert q.is_in(State.READY)
    assert typed(q) == []
    q.says("hello")
    q.entries.append(response("Hello."))
    q.prints(answered("Hello."))
    q.prompts()
    assert (q.last("turn.completed").text, q.live()) == ("Hello.", "Hello.")


def test_a_terminal_that_was_typed_at_by_hand_is_left_alone(q: Playbook) -> None:
    q.give(KeysTyped(now=q.now))
    q.prints(WORD)
    q.give(q.witness())  # one that was asked for before
    q.passes(60)
    assert typed(q) == []
    assert q.is_in(State.UNKNOWN)


# -- a turn


def test_a_turns_prompt_that_was_painted_over_ends_the_turn_all_the_same(q: Playbook) -> None:
    q.says("hello")
    q.entries.append(response("Hello."))
    q.prints(answered("Hello."))
    q.prints(PROMPT + WORD, raw_mode=True)
    q.passes(1.2)
    assert q.is_in(State.BUSY)
    assert typed(q)[1:] == [CTRL_L]
    q.prints(REPAINTED)
    assert q.is_in(State.READY)
    assert (q.last("turn.completed").text, q.live()) == ("Hello.", "Hello.")


def test_a_question_whose_prompt_was_painted_over_is_never_taken_for_a_plain_prompt(q: Playbook) -> None:
    """What was printed stands where the question must: it fits nothing, and a message typed there would answer it."""
    q.says("go")
    q.entries.append(tool_use("Let me.", "echo hi"))
    q.prints(FRAME + CLEAR + ANSWER + "Let me." + LINE_END + header("execute_bash", "echo hi") + QUESTION)
    q.prints(PROMPT + WORD, raw_mode=True)
    q.passes(1.2)
    q.prints(REPAINTED)
    q.passes(1)
    assert not q.of("permission.requested")
    assert q.last("turn.failed").code == "unknown"
    assert q.sent(Kill)
    assert q.is_in(State.FAILED)


@pytest.mark.parametrize("printed", ["\x1b[?2004hanything", "\x1b[?2004h\r\x1b[K? Overwrite [y/N] \r\x1b[18Cmore"])
def test_nothing_is_typed_where_the_line_editor_has_painted_no_prompt_of_its_own(q: Playbook, printed: str) -> None:
    """In a turn a tool may have switched bracketed paste on."""
    q.says("go")
    q.prints(FRAME + CLEAR + printed, raw_mode=True)
    q.passes(20)
    assert len(typed(q)) == 1
    assert q.is_in(State.UNKNOWN)


def test_nothing_is_typed_between_a_message_and_its_acceptance(q: Playbook) -> None:
    q.says("hello")
    q.entries.append(response("Hello."))
    q.prints(answered("Hello.") + PROMPT, raw_mode=True)
    assert q.is_in(State.READY)
    before = len(typed(q))
    q.give(MessageSubmitted(turn_id="t2", text="hello", now=q.now))
    q.prints("\r\x1b[K\x1b[35m> \x1b[0mhel")
    q.passes(20)
    assert len(typed(q)) == before + 1


def test_each_turn_may_ask_anew(q: Playbook) -> None:
    for number in range(1, 6):
        q.says("hello")
        q.entries.append(response(f"Hello {number}.", number))
        q.prints(answered(f"Hello {number}."))
        q.prints(PROMPT + WORD, raw_mode=True)
        q.passes(1.2)
        q.prints(REPAINTED)
        assert q.is_in(State.READY)
    assert typed(q).count(CTRL_L) == 5
