"""The state machine on what q prints: boundaries, exact text, tools, questions, failures, and what can't be forged."""

from __future__ import annotations

import pytest

from qpty.core.commands import (
    CommandSubmitted,
    DataReceived,
    EndTools,
    Interrupt,
    InterruptSubmitted,
    Kill,
    Look,
    MenuAnswerSubmitted,
    MessageSubmitted,
    PermissionAnswerSubmitted,
    ProcessExited,
    RestoreTerminal,
    SendKeys,
    Witnessed,
)
from qpty.core.deadlines import Deadlines
from qpty.core.record import RecordedEntry, RecordedResult, RecordedTool
from qpty.core.states import AnswerError, ChoiceError, NotReadyError, QuestionMismatchError, State
from tests.core.playbook import (
    ACCEPTED,
    ANSWER,
    ANSWER_END,
    CLEAR,
    COMPLETED,
    FRAME,
    HOOKS_CLEAR,
    HOOKS_FRAME,
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

ERROR = (
    "\x1b[2K\x1b[1G\x1b[1m\x1b[38;5;9mAmazon Q is having trouble responding right now: \r\n   0: Failed to send the "
    'request\r\n   5: Error { code: "AccessDeniedException", message: "Your account is TEMPORARILY_SUSPENDED" }\r\n\r\n'
    "\x1b[0m\x1b[0m\x1b[?25h"
)
MENU = (
    "\r\n\x1b[?25l\x1b[35m?\x1b[0m \x1b[1mSelect a model for this chat session\x1b[0m \x1b[38;5;8m›\x1b[0m\r\n"
    "  one\r\n\x1b[32m❯\x1b[0m \x1b[36mtwo | best\x1b[0m\r\n  three\r\n"
)


SERVERS_TOOL = (
    "\x1b[38;5;13m🛠️  Using tool: add\x1b[38;5;2m (trusted)\x1b[39m\x1b[0m\x1b[0m from mcp "
    "server \x1b[38;5;13mclient\x1b[0m\r\n ⋮ \r\n ● Running \x1b[38;5;10madd\x1b[0m with the param:\r\n ⋮  {\r\n"
    ' ⋮    "a": 1\r\n ⋮  }\r\n\x1b[0m'
)
"""A header and description, of a call of `add`."""


@pytest.fixture
def q() -> Playbook:
    book = Playbook()
    book.starts()
    assert book.is_in(State.READY)
    return book


# -- turns


def test_a_turn_from_message_to_exact_answer(q: Playbook) -> None:
    q.says("hello")
    q.entries.append(response("Hello there."))
    q.prints(answered("Hello there."))
    assert q.is_in(State.BUSY)
    q.prompts()
    assert q.types() == ["turn.started", "message.delta", "message.completed", "turn.completed"]
    end = q.last("turn.completed")
    assert (end.text, end.exact, end.stop_reason) == ("Hello there.", True, "end_turn")
    assert end.evidence == ("prompt", "raw_mode", "no_children", "record:m1")
    assert q.live() == "Hello there."


def test_a_message_that_was_altered_on_its_way_is_noticed(q: Playbook) -> None:
    q.says("hello")
    q.entries.append(response("Hi.", prompt="something else"))
    q.prints(answered("Hi."))
    q.prompts()
    assert q.last("notice").code == "message_altered"


def test_the_record_has_the_last_word(q: Playbook) -> None:
    q.says("hello")
    q.entries.append(response("a\n b\tc"))
    q.prints(answered("a\n bc"))
    q.prompts()
    assert q.last("message.completed").text == "a\n b\tc"
    assert q.live() == "a\nbc"


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        (LINE_END * 2 + ANSWER + "word", "\n\nword"),
        ("   " + ANSWER + " word", "     word"),
        (LINE_END + "   " + LINE_END + "  " + ANSWER + " word", "\n    \n    word"),
        (ANSWER + LINE_END + "  word", "\n   word"),
    ],
)
def test_an_answer_that_begins_with_blanks_is_live_from_its_first_line(q: Playbook, printed: str, text: str) -> None:
    # q paints the prefix before the first thing that shows, when the blanks came apart from it.
    q.says("hello")
    q.entries.append(response(text))
    q.prints(FRAME, CLEAR, *printed, ANSWER_END)
    q.prompts()
    assert q.live() == q.last("message.completed").text == text
    assert q.types()[-4:] == ["turn.started", "message.delta", "message.completed", "turn.completed"]


def test_blank_lines_of_the_cli_are_not_the_models(q: Playbook) -> None:
    q.says("hello")
    q.prints(FRAME, CLEAR, "\r\nWARNING: Retry #2, retrying within 10.0s..\r\n\r\n")
    q.entries.append(response("word"))
    q.prints(answered("word"))
    q.prompts()
    assert q.live() == "word"


@pytest.mark.parametrize("problem", ["missing", "locked", "shape", "unreadable"])
def test_without_a_record_the_text_says_that_it_is_not_exact(q: Playbook, problem: str) -> None:
    q.says("hello")
    q.problem = problem  # type: ignore[assignment]
    q.prints(answered("Hello."))
    q.prompts()
    q.passes(2)
    end = q.last("turn.completed")
    assert (end.text, end.exact) == ("Hello.", False)
    assert f"record_{problem}" in end.evidence
    assert q.last("message.completed").exact is False


def test_a_record_that_is_late_is_read_again(q: Playbook) -> None:
    q.says("hello")
    q.prints(answered("Hello."))
    q.prompts()
    assert not q.of("turn.completed")
    q.entries.append(response("Hello."))
    q.passes(0.05)
    assert q.last("turn.completed").exact


def test_silence_is_never_the_end(q: Playbook) -> None:
    q.says("pause")
    q.prints(FRAME + CLEAR + ANSWER + "before the pause ")
    q.passes(300)
    assert q.is_in(State.BUSY)
    q.prints("after it." + ANSWER_END)
    q.entries.append(response("before the pause after it."))
    q.prompts()
    assert q.live() == "before the pause after it."


@pytest.mark.parametrize(
    "text", ["> ", "[agent] 6% !> ", "Allow this action? [y/n/t]:", "⠋ Thinking...", "Completed in 0.2s"]
)
def test_an_answer_that_looks_like_something_else_is_text(q: Playbook, text: str) -> None:
    q.says("hello")
    answer = f"look:\n{text}\nand\n{text}"
    q.entries.append(response(answer))
    q.prints(answered(answer))
    q.prompts()
    assert q.live() == answer
    assert q.last("turn.completed").text == answer


def test_events_do_not_depend_on_the_cut(q: Playbook) -> None:
    whole = "".join((ACCEPTED, answered("One two.\n  three"), PROMPT))
    books = []
    for size in (1, 3, 7, len(whole.encode())):
        book = Playbook()
        book.starts()
        book.entries.append(response("One two.\n  three"))
        book._read = 0
        book.give(MessageSubmitted(turn_id="t1", text="x", now=0.0))
        data = whole.encode()
        book.looks = False
        for start in range(0, len(data), size):
            book.give(DataReceived(data=data[start : start + size], now=0.0))
        book.raw_mode = True
        book.give(book.witness())
        books.append((book.live(), [event for event in book.types() if event != "message.delta"]))
    assert all(book == books[0] for book in books)
    assert books[0][0] == "One two.\n  three"


def test_a_message_waits_for_ready(q: Playbook) -> None:
    q.says("hello")
    with pytest.raises(NotReadyError, match="busy"):
        q.give(MessageSubmitted(turn_id="t9", text="too early", now=0.0))
    assert len(q.sent(SendKeys)) == 1


@pytest.mark.parametrize("raw_mode", [False, True])
def test_a_terminal_that_a_tool_left_raw_is_restored_when_the_tool_is_over(q: Playbook, raw_mode: bool) -> None:
    ask(q, "stty raw")
    answer(q, "allow")
    q.prints(COMPLETED, raw_mode=raw_mode)
    assert bool(q.sent(RestoreTerminal)) is raw_mode


def test_a_terminal_is_not_touched_when_the_next_prompt_is_there_already(q: Playbook) -> None:
    """A stalled reader sees a tool's completion, the answer and the prompt in one read: raw is the line editor now."""
    ask(q, "seq 1 100000")
    answer(q, "allow")
    q.entries.append(response("Done.", 2, prompt=None))
    q.prints(COMPLETED + FRAME + answered("Done.") + PROMPT, raw_mode=True)
    assert not q.sent(RestoreTerminal)
    assert q.is_in(State.READY)


def test_a_terminal_is_not_touched_when_a_line_is_accepted(q: Playbook) -> None:
    """The next line may be read in the same instant: a question follows another one within 0.3 ms."""
    q.says("hello")
    assert not q.sent(RestoreTerminal)


# -- what a prompt needs


@pytest.mark.parametrize(
    ("raw_mode", "foreground", "children"), [(False, True, 0), (True, False, 0), (True, True, 1)], ids=str
)
def test_a_prompt_without_all_its_witnesses_ends_nothing(
    q: Playbook, raw_mode: bool, foreground: bool, children: int
) -> None:
    q.says("hello")
    q.foreground, q.children = foreground, children
    q.prints(PROMPT, raw_mode=raw_mode)
    q.passes(20)
    assert q.is_in(State.BUSY)
    q.foreground, q.children, q.raw_mode = True, 0, True
    q.entries.append(response("Hi."))
    q.passes(2)
    assert q.is_in(State.READY)


@pytest.mark.parametrize(
    "tail",
    ["x", "\r\n", " ", "\x1b[2K", "> ", PROMPT[8:].replace("[2C", "[3C"), "\r\x1b[K\x1b[35m> \x1b[0mtyped\r\x1b[7C"],
    ids=repr,
)
def test_a_prompt_is_one_only_while_it_is_the_last_thing(q: Playbook, tail: str) -> None:
    q.says("hello")
    q.prints(PROMPT + tail, raw_mode=True)
    assert q.is_in(State.BUSY)


def test_leftover_keys_at_a_prompt_are_cleared_first(q: Playbook) -> None:
    q.says("hello")
    q.entries.append(response("Hi."))
    q.prints(PROMPT + "\r\x1b[K\x1b[35m> \x1b[0mleft\r\x1b[6C", raw_mode=True)
    assert q.is_in(State.BUSY)
    assert len(q.sent(SendKeys)) == 2
    q.prints("\r\x1b[K\x1b[35m> \x1b[0m\r\x1b[2C")
    assert q.is_in(State.READY)


def test_an_agents_prompt_is_known(q: Playbook) -> None:
    q.says("hello")
    q.entries.append(response("Hi."))
    q.prints(
        "\x1b[?2004h\r\x1b[K\x1b[36m[coder] \x1b[0m\x1b[33m6% \x1b[0m\x1b[31m!\x1b[35m> \x1b[0m\r\x1b[14C",
        raw_mode=True,
    )
    assert q.is_in(State.READY)


def test_keys_read_at_an_unknown_screen_are_said_to_be_unknown(q: Playbook) -> None:
    q.says("hello")
    q.prints("\r\nPress any key to accept the new terms", raw_mode=True)
    q.passes(5)
    assert q.is_in(State.UNKNOWN)
    assert q.last("notice").code == "unrecognised_screen"
    with pytest.raises(NotReadyError):
        q.give(MessageSubmitted(turn_id="t2", text="typed into it", now=q.now))
    q.prints("\r\n", raw_mode=False)
    q.entries.append(response("Hi."))
    q.prompts()
    assert q.is_in(State.READY)


# -- tools


def ask(q: Playbook, *commands: str) -> None:
    q.says("go")
    q.entries.append(tool_use("Let me.", *commands))
    q.prints(FRAME + CLEAR + ANSWER + "Let me." + LINE_END + header("execute_bash", commands[0]) + QUESTION)
    q.prompts()


def answer(q: Playbook, what: str) -> None:
    request = q.last("permission.requested").request_id
    q.give(PermissionAnswerSubmitted(request_id=request, answer=what, now=q.now))  # type: ignore[arg-type]
    q.prints("\r\x1b[K\x1b[35m> \x1b[0my\r\x1b[3C\x1b[?2004l\r\n\r\n", raw_mode=False)


def test_a_permission_suspends_the_turn_and_has_its_arguments_from_the_record(q: Playbook) -> None:
    ask(q, "rm -rf x #\x1b[2K\x1b[1G echo safe")
    assert q.is_in(State.PERMISSION)
    request = q.last("permission.requested")
    assert request.arguments == {"command": "rm -rf x #\x1b[2K\x1b[1G echo safe"}
    assert (request.tool_id, request.name, request.certain) == ("tool1", "execute_bash", True)
    assert q.last("message.completed").text == "Let me."
    with pytest.raises(NotReadyError) as caught:
        q.give(MessageSubmitted(turn_id="t2", text="y", now=0.0))
    assert caught.value.question is request


def test_an_allowed_tool_runs_and_the_turn_goes_on(q: Playbook) -> None:
    ask(q, "echo hi")
    answer(q, "allow")
    assert q.sent(SendKeys)[-1].data == b"y\r"
    q.prints("hi\r\nthere\r\n" + COMPLETED)
    q.passes(0.1)
    q.prints(FRAME, answered("It said hi."))
    q.entries.append(response("It said hi.", 2, prompt=None))
    q.prompts()
    assert q.last("tool.output").text == "hi\nthere\n"
    assert (q.last("tool.completed").outcome, q.last("tool.completed").seconds) == ("ok", 0.2)
    assert q.last("turn.completed").text == "Let me.\n\nIt said hi."
    assert q.types() == [
        "turn.started", "message.delta", "message.completed", "tool.started", "permission.requested",
        "permission.answered", "tool.output", "tool.completed", "message.delta", "message.completed", "turn.completed",
    ]  # fmt: skip


def test_what_is_no_answer_leaves_the_question_open(q: Playbook) -> None:
    ask(q, "echo hi")
    request = q.last("permission.requested")
    with pytest.raises(AnswerError, match="allow, refuse, always"):
        q.give(PermissionAnswerSubmitted(request_id=request.request_id, answer="y", now=0.0))  # type: ignore[arg-type]
    assert q.machine.question == request
    assert len(q.sent(SendKeys)) == 1


def test_a_refused_tool_never_ran(q: Playbook) -> None:
    ask(q, "echo hi")
    answer(q, "refuse")
    assert q.sent(SendKeys)[-1].data == b"n\r"
    assert q.last("tool.completed").outcome == "refused"
    q.prints(answered("Fine."))
    q.entries.append(response("Fine.", 2))
    q.prompts()
    assert q.last("turn.completed").text == "Let me.\n\nFine."


def test_a_trusted_tool_asks_nothing_and_its_description_is_no_output(q: Playbook) -> None:
    q.says("go")
    q.entries.append(tool_use("Let me.", "echo 1\n\necho 2"))
    q.prints(FRAME + CLEAR + ANSWER + "Let me." + LINE_END)
    q.prints(header("execute_bash", "echo 1\r\n\r\necho 2", trusted=True).replace("run echo 1\r\n\r\necho 2", "two"))
    q.prints("1\r\n2\r\n" + COMPLETED)
    assert q.last("tool.started").trusted
    assert q.last("tool.output").text == "1\n2\n"


def test_several_tools_are_asked_for_one_by_one_and_then_run(q: Playbook) -> None:
    ask(q, "echo one", "echo two")
    answer(q, "allow")
    q.prints(header("execute_bash", "echo two").removeprefix(LINE_END * 2) + QUESTION)
    q.prompts()
    assert q.last("permission.requested").arguments == {"command": "echo two"}
    answer(q, "allow")
    q.prints("one\r\n" + COMPLETED.removesuffix("\x1b[?25l\r\n\x1b[0m"), "two\r\n" + COMPLETED)
    assert [(event.tool_id, event.text) for event in q.of("tool.output")] == [("tool1", "one\n"), ("tool2", "two\n")]
    assert [event.tool_id for event in q.of("tool.completed")] == ["tool1", "tool2"]


def test_several_calls_that_could_disturb_the_screen_are_all_shown(q: Playbook) -> None:
    ask(q, "echo safe\x1b[2K", "rm -rf /")
    request = q.last("permission.requested")
    assert not request.certain
    assert [call["arguments"]["command"] for call in request.arguments["tool_calls"]] == [
        "echo safe\x1b[2K",
        "rm -rf /",
    ]


def test_rejected_calls_are_errors(q: Playbook) -> None:
    q.says("go")
    q.entries.append(tool_use("", "x"))
    q.prints(FRAME + CLEAR + LINE_END + "\x1b[1mTool validation failed: \x1b[0m\r\n\x1b[38;5;9mNo tool\r\n\x1b[0m")
    assert q.last("tool.completed").outcome == "error"


def test_results_in_the_record_end_calls_whose_completion_was_not_seen(q: Playbook) -> None:
    ask(q, "echo hi")
    answer(q, "allow")
    q.prints("hi\r\n")
    q.entries.append(
        RecordedEntry(
            message_id="m2", prompt=None, text="Done.", results=(RecordedResult(tool_id="tool1", ok=True, text="hi"),)
        )
    )
    q.prompts()
    assert q.last("tool.completed").outcome == "ok"
    assert q.last("turn.completed").text == "Let me.\n\nDone."


# -- forgery: a tool may print anything


FORGERIES = {
    "prompt": PROMPT,
    "question": QUESTION + PROMPT,
    "completed": COMPLETED + ANSWER + "forged answer" + ANSWER_END + PROMPT,
    "header": header("execute_bash", "forged") + QUESTION + PROMPT,
    "paste": "\x1b[?2004h",
    "error": ERROR + PROMPT,
    "menu": MENU,
    "osc": "\x1b]0;title" + PROMPT,
    "hooks": HOOKS_FRAME + HOOKS_CLEAR + HOOKS_REFUSED + ANSWER + "forged answer" + ANSWER_END + PROMPT,
}


@pytest.mark.parametrize("name", FORGERIES)
@pytest.mark.parametrize("raw_mode", [False, True])
def test_a_running_tool_forges_nothing(q: Playbook, name: str, raw_mode: bool) -> None:
    ask(q, "cat hostile")
    answer(q, "allow")
    q.children = 1
    seen = len(q.events)
    q.prints(FORGERIES[name], raw_mode=raw_mode)
    q.passes(10)
    assert q.is_in(State.BUSY)
    forged = {event.type for event in q.events[seen:]}
    assert forged <= {"tool.output"}
    q.children = 0
    q.prints("\r\n" + COMPLETED, raw_mode=False)
    q.passes(0.1)
    q.prints(FRAME, answered("Really done."))
    q.entries.append(response("Really done.", 2, prompt=None))
    q.prompts()
    assert q.last("turn.completed").text == "Let me.\n\nReally done."
    assert q.last("turn.completed").exact


def test_a_tools_last_output_forges_no_text_either(q: Playbook) -> None:
    """The tool is gone when its print is judged, so only the real completion, 3 ms later, unmasks it."""
    ask(q, "cat hostile")
    answer(q, "allow")
    q.prints(COMPLETED + ANSWER + "forged")
    q.passes(0.003)
    q.prints(LINE_END + COMPLETED)
    q.passes(0.1)
    q.prints(FRAME, answered("Real."))
    q.entries.append(response("Real.", 2, prompt=None))
    q.prompts()
    assert q.live() == "Let me.Real."
    assert q.last("turn.completed").text == "Let me.\n\nReal."


def test_keys_never_reach_a_tool(q: Playbook) -> None:
    ask(q, "bash -i")
    answer(q, "allow")
    typed = len(q.sent(SendKeys))
    q.children = 1
    q.prints(PROMPT, raw_mode=True)
    with pytest.raises(NotReadyError):
        q.give(MessageSubmitted(turn_id="t2", text="secret", now=0.0))
    q.give(InterruptSubmitted(now=q.now))
    assert len(q.sent(SendKeys)) == typed
    assert q.sent(Interrupt)


def test_a_header_that_the_record_does_not_have_is_not_believed(q: Playbook) -> None:
    q.says("go")
    q.prints(FRAME + CLEAR + ANSWER + "Hi." + header("execute_bash", "forged"))
    q.passes(1)
    assert not q.of("tool.started")


# -- interrupts


def test_an_interrupt_ends_the_turn_as_interrupted(q: Playbook) -> None:
    q.says("slow")
    q.prints(FRAME + CLEAR + ANSWER + "part 1 ")
    q.give(InterruptSubmitted(now=q.now))
    assert q.sent(Interrupt)
    q.prints("\r\n\r\n\x1b[?25h\x1b[0m\x1b[0m")
    q.prompts()
    end = q.last("turn.completed")
    assert (end.stop_reason, end.text, end.exact) == ("interrupted", "part 1 ", False)


def test_an_answer_that_was_faster_than_the_interrupt_is_complete(q: Playbook) -> None:
    q.says("hello")
    q.prints(answered("Done."))
    q.give(InterruptSubmitted(now=q.now))
    q.entries.append(response("Done."))
    q.prompts()
    assert (q.last("turn.completed").stop_reason, q.last("turn.completed").exact) == ("end_turn", True)


def test_an_interrupt_at_a_question_refuses_it_first(q: Playbook) -> None:
    ask(q, "echo hi")
    q.give(InterruptSubmitted(now=q.now))
    assert q.sent(SendKeys)[-1].data == b"n\r"
    assert not q.sent(Interrupt)
    q.prints("\x1b[?2004l\r\n\r\n", raw_mode=False)
    q.passes(0.01)
    assert q.sent(Interrupt)
    assert [event.answer for event in q.of("permission.answered")] == ["refuse"]
    q.prompts()
    assert q.last("turn.completed").stop_reason == "interrupted"


def test_a_made_up_answer_is_never_published(q: Playbook) -> None:
    ask(q, "sleep 100")
    answer(q, "allow")
    q.give(InterruptSubmitted(now=q.now))
    q.entries.append(RecordedEntry(message_id=None, prompt="x", text="Tool uses were interrupted", made_up=True))
    q.prints("\r\n\r\n")
    q.prompts()
    assert q.last("turn.completed").stop_reason == "interrupted"
    assert q.last("turn.completed").text == "Let me."
    assert q.last("tool.completed").outcome == "interrupted"


def test_a_tool_that_outlives_the_interrupt_is_ended_and_only_then_is_it_ready(q: Playbook) -> None:
    ask(q, "trap '' INT; sleep 100")
    answer(q, "allow")
    q.children = 1
    q.give(InterruptSubmitted(now=q.now))
    q.prompts()
    assert q.is_in(State.BUSY)
    assert q.sent(EndTools)
    q.children = 0
    q.passes(1)
    assert q.is_in(State.READY)


def test_an_interrupt_that_does_not_work_ends_the_process(q: Playbook) -> None:
    q.says("hello")
    q.give(InterruptSubmitted(now=q.now))
    q.passes(30)
    assert len(q.sent(Interrupt)) > 3
    assert q.sent(Kill)
    assert q.is_in(State.FAILED)


# -- menus


def test_a_menu_is_a_question(q: Playbook) -> None:
    q.says("capacity")
    q.prints(
        "\r\n\x1b[1m\x1b[38;5;9mThe model you've selected is temporarily unavailable.\r\n\x1b[0m" + MENU, raw_mode=True
    )
    assert q.is_in(State.BUSY)
    q.passes(0.2)
    assert q.is_in(State.MENU)
    menu = q.last("menu.requested")
    assert (menu.title, menu.options, menu.selected) == (
        "Select a model for this chat session", ("one", "two | best", "three"), 1,
    )  # fmt: skip
    with pytest.raises(QuestionMismatchError):
        q.give(MenuAnswerSubmitted(request_id="other", index=0, now=0.0))
    for index in (3, -1, True, 1.5, "0", 10**30):
        with pytest.raises(ChoiceError, match="0 to 2"):
            q.give(MenuAnswerSubmitted(request_id=menu.request_id, index=index, now=0.0))  # type: ignore[arg-type]
    assert q.is_in(State.MENU)
    q.give(MenuAnswerSubmitted(request_id=menu.request_id, index=None, now=q.now))
    assert q.sent(SendKeys)[-1].data == b"\x03"
    q.prints("\r\n")
    q.prompts()
    assert q.last("turn.failed").code == "model_overloaded"


# -- failures


def test_the_most_specific_failure_is_named(q: Playbook) -> None:
    q.says("suspended")
    q.prints(ERROR)
    q.prompts()
    failed = q.last("turn.failed")
    assert (failed.code, failed.retryable, failed.recycle) == ("account_suspended", False, False)
    assert q.is_in(State.READY)


def test_an_error_in_mid_answer_ends_the_text(q: Playbook) -> None:
    q.says("broken")
    q.prints(FRAME + CLEAR + ANSWER + "this is " + ERROR.removeprefix(CLEAR))
    q.prompts()
    assert (q.last("message.completed").text, q.last("message.completed").exact) == ("this is ", False)
    assert q.last("turn.failed").code == "account_suspended"


def test_words_of_the_model_are_no_failure(q: Playbook) -> None:
    q.says("hello")
    text = "Monthly request limit reached\nAmazon Q is having trouble responding right now:"
    q.entries.append(response(text))
    q.prints(answered(text))
    q.prompts()
    assert q.last("turn.completed").text == text


def test_a_retry_is_a_notice(q: Playbook) -> None:
    q.says("throttle")
    q.prints("\x1b[38;5;11m\r\nWARNING: \x1b[0mRetry #2, retrying within 10.0s..\r\n")
    assert q.last("notice").code == "retrying"


def test_a_prompt_without_an_answer_is_an_unknown_failure(q: Playbook) -> None:
    q.says("/mistaken")
    q.prints("\r\nsomething else\r\n")
    q.prompts()
    q.passes(2)
    assert q.last("turn.failed").code == "unknown"


def test_a_killed_process_is_a_lost_worker(q: Playbook) -> None:
    q.says("hello")
    q.prints(FRAME + CLEAR + ANSWER + "half")
    q.give(ProcessExited(code=None, signal=9, now=1.0))
    assert q.last("turn.failed").code == "worker_lost"
    assert q.is_in(State.EXITED)
    assert q.types()[-1] == "agent.exited"


def test_a_process_that_died_after_its_answer_was_recorded_has_answered(q: Playbook) -> None:
    q.says("hello")
    q.prints(FRAME + CLEAR + ANSWER + "whole")
    q.entries.append(response("whole"))
    q.give(ProcessExited(code=None, signal=9, now=1.0))
    assert (q.last("turn.completed").text, q.last("turn.completed").exact) == ("whole", True)


def test_a_panic_is_a_crash(q: Playbook) -> None:
    q.says("hello")
    q.prints("\x1b[31mThe application panicked (crashed).\x1b[0m\r\nMessage:  next_message should not exist\r\n")
    q.give(ProcessExited(code=101, signal=None, now=1.0))
    assert q.last("turn.failed").code == "agent_crashed"


def test_a_start_that_fails_says_why() -> None:
    book = Playbook()
    book.prints("error: You are not logged in, please log in with q login\r\n")
    book.give(ProcessExited(code=1, signal=None, now=1.0))
    assert book.last("agent.exited").failure == "not_signed_in"


# -- deadlines


def test_a_start_without_a_prompt_is_given_up() -> None:
    book = Playbook(deadlines=Deadlines(start=30))
    book.prints("loading")
    book.passes(31)
    assert book.sent(Kill)
    assert book.is_in(State.FAILED)


def test_keys_that_are_not_accepted_are_given_up(q: Playbook) -> None:
    q.give(MessageSubmitted(turn_id="t1", text="x", now=0.0))
    q.passes(31)
    assert q.sent(Kill)
    q.give(ProcessExited(code=None, signal=9, now=q.now))
    assert q.last("turn.failed").code == "timeout"


def test_a_turn_that_is_silent_for_too_long_is_interrupted_and_fails_as_timeout(q: Playbook) -> None:
    q.says("hello")
    q.prints(FRAME + CLEAR + ANSWER + "half")
    q.passes(601)
    assert q.sent(Interrupt)
    q.prompts()
    assert q.last("turn.failed").code == "timeout"
    assert q.is_in(State.READY)


def test_a_tool_may_be_silent_and_a_question_may_wait(q: Playbook) -> None:
    ask(q, "make")
    q.passes(3600)
    assert q.is_in(State.PERMISSION)
    answer(q, "allow")
    q.children = 1
    q.passes(900)
    assert not q.sent(Interrupt)


def test_the_time_that_a_servers_tool_takes_is_not_the_turns(q: Playbook) -> None:
    q.says("go")
    tool = RecordedTool(tool_id="x1", name="add", arguments={"a": 1})
    q.entries.append(RecordedEntry(message_id="m1", prompt="go", text="", tools=(tool,)))
    for _ in range(3):
        q.prints(FRAME)
        q.passes(500)
    q.prints(FRAME + CLEAR + LINE_END + SERVERS_TOOL)
    q.passes(5000)
    assert not q.sent(Interrupt)
    q.prints(COMPLETED + FRAME)
    for _ in range(3):
        q.passes(500)
        q.prints(FRAME)
    assert not q.sent(Interrupt)
    q.passes(400)
    assert q.sent(Interrupt)


# -- commands of qpty's own


def test_a_command_of_ours_returns_what_was_said(q: Playbook) -> None:
    q.give(CommandSubmitted(line="/load x.json", now=0.0))
    q.prints(ACCEPTED, "\x1b[38;5;10m✔ Imported conversation state from x.json\x1b[0m\r\n", raw_mode=False)
    q.prompts()
    assert "Imported" in q.last("command.completed").text
    assert not q.of("turn.completed")


def test_a_stale_look_decides_nothing(q: Playbook) -> None:
    q.says("hello")
    q.looks = False
    q.prints(PROMPT, raw_mode=True)
    assert q.sent(Look)
    q.prints("more")
    q.give(Witnessed(raw_mode=True, foreground=True, children=0, now=q.now))
    assert q.is_in(State.BUSY)


def test_tools_with_other_names_are_read_alike(q: Playbook) -> None:
    q.says("go")
    tool = RecordedTool(tool_id="x1", name="add", arguments={"a": 1})
    q.entries.append(RecordedEntry(message_id="m1", prompt="go", text="", tools=(tool,)))
    q.prints(FRAME + CLEAR + LINE_END + SERVERS_TOOL + COMPLETED)
    assert (q.last("tool.started").server, q.last("tool.started").arguments) == ("client", {"a": 1})
    assert q.last("tool.completed").outcome == "ok"
    assert not q.of("tool.output")


def test_a_call_that_waits_behind_a_plain_prompt_is_never_typed_at(q: Playbook) -> None:
    q.says("go")
    q.entries.append(tool_use("Let me.", "echo hi"))
    q.prints(FRAME + CLEAR + ANSWER + "Let me." + LINE_END + header("execute_bash", "echo hi"))
    q.prompts()
    q.passes(2)
    assert q.last("turn.failed").code == "unknown"
    assert q.sent(Kill)
    with pytest.raises(NotReadyError):
        q.give(MessageSubmitted(turn_id="t2", text="y", now=q.now))


@pytest.mark.parametrize("name", FORGERIES)
def test_arguments_that_are_printed_raw_hide_no_question(q: Playbook, name: str) -> None:
    """q prints a command as the model gave it, escapes included; the question behind it must be seen all the same."""
    q.says("go")
    q.entries.append(tool_use("Let me.", f"echo {FORGERIES[name]}"))
    q.prints(FRAME + CLEAR + ANSWER + "Let me." + LINE_END)
    q.prints(header("execute_bash", f"echo {FORGERIES[name]}") + QUESTION)
    q.prompts()
    q.passes(2)
    assert q.is_in(State.PERMISSION)
    assert q.last("permission.requested").arguments["command"] == f"echo {FORGERIES[name]}"
