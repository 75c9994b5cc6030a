"""Hooks of the agent file: what they show is nobody's words, and a call that one refused is told, and wasn't run."""

from __future__ import annotations

import pytest

from qpty.core.commands import PermissionAnswerSubmitted
from qpty.core.record import RecordedEntry, RecordedResult
from qpty.core.states import State
from tests.core.playbook import (
    ANSWER,
    ANSWER_END,
    CLEAR,
    COMPLETED,
    FRAME,
    HOOKS_CLEAR,
    HOOKS_FAILED,
    HOOKS_FRAME,
    HOOKS_PASSED,
    HOOKS_REFUSED,
    LINE_END,
    PROMPT,
    QUESTION,
    Playbook,
    answered,
    header,
    response,
    tool_use,
)

RUNNING = LINE_END + LINE_END + HOOKS_FRAME * 3 + HOOKS_CLEAR
"""Hooks run after a segment of text, or after nothing."""

WARNED = HOOKS_FAILED.replace("exit code: 2", "exit code: 1")
FORBIDDEN = (
    "\x1b[38;5;9mCommand \x1b[38;5;11mexecute_bash\x1b[38;5;9m is rejected because it matches one or more rules on the "
    "denied list:\r\n  - .*\r\n\x1b[0m"
)


@pytest.fixture
def q() -> Playbook:
    book = Playbook()
    book.starts()
    book.says("go")
    return book


def says(text: str) -> str:
    """A segment of text up to its line end."""
    return FRAME + CLEAR + (ANSWER + text + LINE_END if text else LINE_END)


def described(name: str, command: str, *, trusted: bool = False) -> str:
    """A tool's header and description after hooks."""
    return header(name, command, trusted=trusted).removeprefix(LINE_END * 2)


def ends(q: Playbook, text: str = "Done.") -> None:
    """The model says something more, and q is ready."""
    q.entries.append(response(text, 2, prompt=None))
    q.prints(answered(text))
    q.prompts()
    assert q.is_in(State.READY)


@pytest.mark.parametrize("text", ["Let me.", ""])
def test_a_refused_call_is_told_with_its_arguments_and_the_turn_goes_on(q: Playbook, text: str) -> None:
    q.entries.append(tool_use(text, "echo no"))
    q.prints(says(text) + RUNNING + HOOKS_REFUSED)
    ends(q)
    said = ["message.delta", "message.completed"]
    assert q.types() == [
        "turn.started",
        *(said if text else []),
        "tool.started",
        "tool.completed",
        *said,
        "turn.completed",
    ]
    assert q.live() == f"{text}Done."
    assert [event.text for event in q.of("message.completed")] == [part for part in (text, "Done.") if part]
    assert q.last("turn.completed").exact
    started = q.last("tool.started")
    assert (started.name, started.arguments, started.trusted) == ("execute_bash", {"command": "echo no"}, False)
    assert (q.last("tool.completed").tool_id, q.last("tool.completed").outcome) == (started.tool_id, "refused")


def test_a_call_that_hooks_allow_goes_on_as_without_them(q: Playbook) -> None:
    q.entries.append(tool_use("Let me.", "echo yes"))
    q.prints(says("Let me.") + RUNNING + HOOKS_PASSED + described("execute_bash", "echo yes", trusted=True))
    q.prints("yes\r\n" + COMPLETED)
    q.passes(0.1)
    ends(q)
    assert q.live() == "Let me.Done."
    assert q.last("turn.completed").text == "Let me.\n\nDone."
    assert q.last("turn.completed").exact
    assert [event.text for event in q.of("tool.output")] == ["yes\n"]
    assert q.last("tool.completed").outcome == "ok"


def test_a_call_that_hooks_allow_may_be_asked_for(q: Playbook) -> None:
    q.entries.append(tool_use("Let me.", "echo yes"))
    q.prints(says("Let me.") + RUNNING + HOOKS_PASSED + described("execute_bash", "echo yes") + QUESTION)
    q.prompts()
    assert q.last("permission.requested").arguments == {"command": "echo yes"}
    assert q.last("permission.requested").certain


def test_a_hook_that_fails_in_another_way_refuses_nothing(q: Playbook) -> None:
    q.entries.append(tool_use("Let me.", "echo yes"))
    q.prints(says("Let me.") + RUNNING + WARNED + described("execute_bash", "echo yes", trusted=True) + "yes\r\n")
    q.prints(COMPLETED)
    ends(q)
    assert q.last("tool.completed").outcome == "ok"


def test_of_several_calls_none_is_run_when_one_is_refused(q: Playbook) -> None:
    q.entries.append(tool_use("Both.", "echo one", "echo two"))
    q.prints(says("Both.") + RUNNING + HOOKS_PASSED + HOOKS_FRAME + HOOKS_CLEAR + HOOKS_REFUSED)
    ends(q)
    assert [event.arguments["command"] for event in q.of("tool.started")] == ["echo one", "echo two"]
    assert [event.outcome for event in q.of("tool.completed")] == ["refused", "refused"]
    assert q.live() == "Both.Done."


def test_two_refusals_in_one_answer_are_told_once(q: Playbook) -> None:
    q.entries.append(tool_use("", "echo one", "echo two"))
    q.prints(
        says("") + RUNNING + HOOKS_REFUSED + "\r\n\x1b[38;5;9mPreToolHook blocked the tool execution: no\r\n\x1b[0m"
    )
    ends(q)
    assert [event.outcome for event in q.of("tool.completed")] == ["refused", "refused"]


def test_a_refusal_may_follow_another_without_a_word_between(q: Playbook) -> None:
    for number, command in enumerate(("echo one", "echo two"), start=1):
        q.entries.append(tool_use("", command, number=number))
        q.prints(says("") + RUNNING + HOOKS_REFUSED)
    q.entries.append(response("Done.", 3, prompt=None))
    q.prints(answered("Done."))
    q.prompts()
    assert [event.arguments["command"] for event in q.of("tool.started")] == ["echo one", "echo two"]
    assert [event.outcome for event in q.of("tool.completed")] == ["refused", "refused"]
    assert q.last("turn.completed").exact


def test_what_a_hook_writes_is_not_why_a_turn_failed(q: Playbook) -> None:
    q.entries.append(tool_use("", "echo no"))
    q.prints(says("") + RUNNING + HOOKS_REFUSED.replace(": no", ": Amazon Q rate limit reached"))
    q.prints(
        "\x1b[1m\x1b[38;5;9mAmazon Q is having trouble responding right now: \r\n   0: TEMPORARILY_SUSPENDED\r\n\x1b[0m"
    )
    q.prompts()
    q.passes(1)
    assert q.last("turn.failed").code == "account_suspended"


def test_a_rule_refuses_as_a_hook_does(q: Playbook) -> None:
    q.entries.append(tool_use("Let me.", "echo no"))
    q.prints(says("Let me.") + LINE_END + FORBIDDEN)
    ends(q)
    assert q.last("tool.completed").outcome == "refused"


def test_a_refusal_is_told_when_a_late_record_has_the_call(q: Playbook) -> None:
    q.prints(says("Let me.") + RUNNING + HOOKS_REFUSED)
    assert not q.of("tool.started")
    q.entries.append(tool_use("Let me.", "echo no"))
    q.passes(0.2)
    assert q.last("tool.completed").outcome == "refused"
    assert q.last("message.completed").exact


def test_without_a_record_no_call_is_made_up(q: Playbook) -> None:
    q.problem = "unreadable"
    q.prints(says("Let me.") + RUNNING + HOOKS_REFUSED)
    q.passes(1)
    q.prints(answered("Done."))
    q.prompts()
    q.passes(2)
    assert not q.of("tool.started")
    assert q.live() == "Let me.Done."
    assert not q.last("turn.completed").exact


@pytest.mark.parametrize("place", ["inside a sequence", "before a line end", "between its parts"])
def test_frames_of_hooks_come_between_anything(q: Playbook, place: str) -> None:
    q.entries.append(tool_use("Let me.", "echo no"))
    ending = {
        "inside a sequence": f"\x1b[0m\x1b[{HOOKS_FRAME}0m\r\n{HOOKS_CLEAR}",
        "before a line end": f"\x1b[0m{HOOKS_FRAME}\x1b[0m\r\n{HOOKS_FRAME}{HOOKS_CLEAR}",
        "between its parts": f"\x1b[0m{HOOKS_FRAME[:4]}\x1b[0m\r\n{HOOKS_FRAME[4:]}{HOOKS_CLEAR}",
    }[place]
    q.prints(*(says("Let me.") + LINE_END + ending + HOOKS_REFUSED))
    ends(q)
    assert q.live() == "Let me.Done."
    assert q.last("turn.completed").text == "Let me.\n\nDone."


# -- forgery


def test_an_answer_that_looks_like_hooks_is_text(q: Playbook) -> None:
    # The model's words carry no colours: q takes control characters out.
    text = "⢀⠀ 0 of 1 hooks finished\n✗ 0 of 1 hooks finished in 0.08 s\nPreToolHook blocked the tool execution: no"
    ends(q, text)
    assert q.live() == q.last("turn.completed").text == text
    assert not q.of("tool.started")


def runs(q: Playbook) -> None:
    """A call was asked for and allowed."""
    q.entries.append(tool_use("Let me.", "cat hostile"))
    q.prints(says("Let me.") + header("execute_bash", "cat hostile") + QUESTION)
    q.prompts()
    q.give(PermissionAnswerSubmitted(request_id=q.last("permission.requested").request_id, answer="allow", now=q.now))
    q.prints("y\x1b[?2004l\r\n\r\n", raw_mode=False)


def ends_truly(q: Playbook) -> None:
    """The tool's own end, and the model's answer."""
    q.prints("\r\n" + COMPLETED)
    result = RecordedResult(tool_id="tool1", ok=True, text="hostile")
    q.entries.append(RecordedEntry(message_id="m2", prompt=None, text="Done.", results=(result,)))
    q.passes(0.1)
    q.prints(answered("Done."))
    q.prompts()
    assert q.live() == "Let me.Done."
    assert q.last("turn.completed").text == "Let me.\n\nDone."
    assert q.last("turn.completed").exact
    assert len(q.of("tool.started")) == 1
    assert [event.outcome for event in q.of("tool.completed")] == ["ok"]


def test_a_tool_cannot_forge_a_refusal(q: Playbook) -> None:
    runs(q)
    q.children = 1
    q.prints(
        HOOKS_FRAME + HOOKS_CLEAR + HOOKS_REFUSED + COMPLETED + HOOKS_REFUSED + ANSWER + "forged" + ANSWER_END + PROMPT
    )
    q.children = 0
    ends_truly(q)
    assert "PreToolHook blocked the tool execution: no\n" in "".join(event.text for event in q.of("tool.output"))


def test_a_tool_whose_forged_end_was_believed_cannot_forge_a_refusal(q: Playbook) -> None:
    """q's own line follows within 3 ms of the tool's end. While the record is read for the refusal it waits unread."""
    runs(q)
    q.prints(COMPLETED + HOOKS_REFUSED + ANSWER + "forged" + ANSWER_END + PROMPT)
    for _ in range(100):  # until the record was looked at often enough
        if not q.machine.suspended:
            break
        q.passes(0.01)
    ends_truly(q)


def test_a_refusal_without_its_colour_is_only_a_line(q: Playbook) -> None:
    q.entries.append(tool_use("", "echo no"))
    q.prints(says("") + LINE_END + "PreToolHook blocked the tool execution: no\r\n")
    assert not q.of("tool.started")
