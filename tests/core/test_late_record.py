"""A record that is locked, late or of another time: nothing old is published, nothing twice, no argument is a guess."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qpty.core.commands import (
    InterruptSubmitted,
    Kill,
    MessageSubmitted,
    PermissionAnswerSubmitted,
    ProcessExited,
    ReadRecord,
    SendKeys,
)
from qpty.core.record import RecordedEntry, RecordedResult
from qpty.core.states import State
from tests.core.playbook import (
    ACCEPTED,
    ANSWER,
    CLEAR,
    COMPLETED,
    FRAME,
    LINE_END,
    QUESTION,
    Playbook,
    answered,
    header,
    response,
    tool_use,
)

OLD = "An old answer."
HEARD = f"{CLEAR}{ANSWER}part 1 "


@pytest.fixture
def q() -> Playbook:
    book = Playbook()
    book.starts()
    return book


@pytest.fixture
def missed(q: Playbook) -> Playbook:
    """A turn is over whose answer could not be read from the record."""
    q.says("one")
    q.problem = "locked"
    q.entries.append(response(OLD, 1, prompt="one"))
    q.prints(answered(OLD))
    q.prompts()
    q.passes(1)
    assert q.is_in(State.READY)
    assert not q.last("turn.completed").exact
    return q


def types_and_accepts(q: Playbook) -> None:
    q.prints(ACCEPTED, raw_mode=False)


def sends(q: Playbook, text: str) -> int:
    """Send a message; return how many times keys were typed for it so far."""
    before = len(q.sent(SendKeys))
    q.give(MessageSubmitted(turn_id="next", text=text, now=q.now))
    return len(q.sent(SendKeys)) - before


# -- an answer that was missed is never the next turn's


def test_an_answer_that_was_missed_is_not_the_next_turns(missed: Playbook) -> None:
    missed.problem = None
    assert sends(missed, "two") == 1
    types_and_accepts(missed)
    missed.entries.append(response("New.", 2, prompt="two"))
    missed.prints(answered("New."))
    missed.prompts()
    end = missed.last("turn.completed")
    assert (end.text, end.exact, end.usage["model_calls"]) == ("New.", True, 1)
    assert not missed.of("notice")


@pytest.mark.parametrize("repeats", [True, False])
def test_an_interrupted_turn_has_no_older_answer(missed: Playbook, repeats: bool) -> None:
    """The words of the message tell nothing: people repeat themselves."""
    missed.problem = None
    sends(missed, "one" if repeats else "two")
    types_and_accepts(missed)
    missed.prints(HEARD)
    missed.give(InterruptSubmitted(now=missed.now))
    missed.prints("\r\n\r\n")
    missed.prompts()
    end = missed.last("turn.completed")
    assert (end.stop_reason, end.text, end.exact) == ("interrupted", "part 1 ", False)


def test_nothing_is_typed_before_the_record_was_read_anew(missed: Playbook) -> None:
    assert sends(missed, "two") == 0
    assert missed.is_in(State.BUSY)
    missed.problem = None
    missed.passes(0.01)
    assert len(missed.sent(SendKeys)) == 2


def test_a_message_is_typed_in_bounded_time_and_then_nothing_of_the_record_is_its(missed: Playbook) -> None:
    sends(missed, "two")
    missed.passes(1)
    assert len(missed.sent(SendKeys)) == 2
    missed.problem = None
    types_and_accepts(missed)
    missed.entries.append(response("New.", 2, prompt="two"))
    missed.prints(answered("New."))
    missed.prompts()
    end = missed.last("turn.completed")
    assert (end.text, end.exact) == ("New.", False)
    assert "record_unplaced" in end.evidence
    sends(missed, "three")
    types_and_accepts(missed)
    missed.entries.append(response("Newest.", 3, prompt="three"))
    missed.prints(answered("Newest."))
    missed.prompts()
    assert (missed.last("turn.completed").text, missed.last("turn.completed").exact) == ("Newest.", True)


def test_a_turn_without_a_place_in_the_record_asks_without_arguments(missed: Playbook) -> None:
    sends(missed, "go")
    missed.passes(1)
    missed.problem = None
    types_and_accepts(missed)
    missed.entries.append(tool_use("Let me.", "echo hi", number=2))
    missed.prints(FRAME + CLEAR + ANSWER + "Let me." + LINE_END + header("execute_bash", "echo hi") + QUESTION)
    missed.prompts()
    request = missed.last("permission.requested")
    assert (request.name, request.arguments, request.certain) == ("execute_bash", None, False)


def test_a_process_that_ends_before_the_message_was_typed_is_lost_and_nothing_is_typed(missed: Playbook) -> None:
    sends(missed, "two")
    missed.give(ProcessExited(code=None, signal=9, now=missed.now))
    assert missed.is_in(State.EXITED)
    assert len(missed.sent(SendKeys)) == 1
    assert missed.last("turn.failed").code == "worker_lost"


def test_what_came_before_the_message_is_left_out(q: Playbook) -> None:
    q.says("two")
    q.entries += [response(OLD, 1, prompt="one"), response("New.", 2, prompt="two")]
    q.prints(answered("New."))
    q.prompts()
    assert q.last("turn.completed").text == "New."
    assert not q.of("notice")


def test_a_database_that_is_not_there_yet_holds_nothing() -> None:
    book = Playbook()
    book.problem = "missing"
    book.starts()
    book.says("hello")
    book.problem = None
    book.entries.append(response("Hi."))
    book.prints(answered("Hi."))
    book.prompts()
    assert (book.last("turn.completed").text, book.last("turn.completed").exact) == ("Hi.", True)


# -- interrupts


def test_an_interrupted_turns_record_is_read_again_when_it_was_locked(q: Playbook) -> None:
    q.says("hello")
    q.prints(answered("Done."))
    q.give(InterruptSubmitted(now=q.now))
    q.entries.append(response("Done."))
    q.problem = "locked"
    q.prompts()
    assert q.is_in(State.BUSY)
    q.problem = None
    q.passes(0.1)
    end = q.last("turn.completed")
    assert (end.stop_reason, end.text, end.exact) == ("end_turn", "Done.", True)


def test_an_interrupted_turn_whose_record_stays_locked_ends_and_claims_nothing(q: Playbook) -> None:
    q.says("hello")
    q.prints(FRAME)
    q.give(InterruptSubmitted(now=q.now))
    q.problem = "locked"
    q.prints("\r\n\r\n")
    q.prompts()
    q.passes(1)
    end = q.last("turn.completed")
    assert (end.stop_reason, end.text, end.exact) == ("interrupted", "", False)
    assert not q.sent(Kill)


def test_the_clis_note_about_an_interrupted_tool_is_waited_for(q: Playbook) -> None:
    ask(q, "sleep 100")
    answer(q, "allow")
    q.give(InterruptSubmitted(now=q.now))
    q.prints("\r\n\r\n")
    q.prompts()
    assert q.is_in(State.READY)
    assert sends(q, "two") == 0
    note = RecordedEntry(
        message_id=None, prompt="The user interrupted", text="Tool uses were interrupted", made_up=True
    )
    q.entries.append(note)
    q.passes(0.06)
    types_and_accepts(q)
    q.entries.append(response("New.", 2, prompt="two"))
    q.prints(answered("New."))
    q.prompts()
    assert (q.last("turn.completed").text, q.last("turn.completed").exact) == ("New.", True)
    assert not q.of("notice")


# -- a record that is locked in the middle of a turn


def begins_tool(q: Playbook, text: str, *commands: str, number: int = 1, trusted: bool = False) -> None:
    """The model says something and calls tools; the first is described, and asked for unless trusted."""
    entry = tool_use(text, *commands, number=number)
    q.entries.append(entry if number == 1 else replace(entry, prompt=None))
    shown = ANSWER + text + LINE_END if text else ""
    described = header("execute_bash", commands[0], trusted=trusted)
    q.prints(FRAME + CLEAR + shown + (described if text else described.removeprefix(LINE_END * 2)))
    if not trusted:
        q.prints(QUESTION)
        q.prompts()


def ask(q: Playbook, *commands: str) -> None:
    q.says("go")
    begins_tool(q, "Let me.", *commands)


def answer(q: Playbook, what: str) -> None:
    request = q.last("permission.requested").request_id
    q.give(PermissionAnswerSubmitted(request_id=request, answer=what, now=q.now))  # type: ignore[arg-type]
    q.prints("\r\x1b[K\x1b[35m> \x1b[0my\r\x1b[3C\x1b[?2004l\r\n\r\n", raw_mode=False)


def ends(q: Playbook, text: str, number: int) -> None:
    """The model's last words, with the results of the calls before."""
    results = (RecordedResult(tool_id="tool1", ok=True, text="hi"),)
    q.entries.append(RecordedEntry(message_id=f"m{number}", prompt=None, text=text, results=results))
    q.prints(FRAME, answered(text))
    q.prompts()
    q.passes(1)


def test_a_question_whose_record_is_locked_is_not_certain(q: Playbook) -> None:
    q.problem = "locked"
    ask(q, "echo hi")
    q.passes(2)
    request = q.last("permission.requested")
    assert (request.name, request.arguments, request.certain) == ("execute_bash", None, False)


def test_a_question_waits_for_a_record_that_was_locked_at_its_header(q: Playbook) -> None:
    q.problem = "locked"
    q.says("go")
    q.entries.append(tool_use("Let me.", "echo hi"))
    q.prints(FRAME + CLEAR + ANSWER + "Let me." + LINE_END + header("execute_bash", "echo hi") + QUESTION)
    q.passes(1)
    assert q.last("tool.started").arguments is None
    q.prompts()
    assert not q.of("permission.requested")
    q.problem = None
    q.passes(1)
    request = q.last("permission.requested")
    assert (request.arguments, request.certain) == ({"command": "echo hi"}, True)
    assert [event.tool_id for event in q.of("tool.started")] == [request.tool_id]
    assert not q.of("tool.completed")


def test_text_that_was_published_without_its_record_is_not_published_again(q: Playbook) -> None:
    q.problem = "locked"
    ask(q, "echo hi")
    q.passes(2)
    answer(q, "allow")
    q.prints("hi\r\n" + COMPLETED)
    q.passes(0.1)
    q.problem = None
    ends(q, "It said hi.", 2)
    assert [(event.segment, event.text, event.exact) for event in q.of("message.completed")] == [
        (0, "Let me.", False),
        (1, "It said hi.", True),
    ]
    end = q.last("turn.completed")
    assert (end.text, end.exact) == ("Let me.\n\nIt said hi.", True)
    assert [event.outcome for event in q.of("tool.completed")] == ["ok"]


def test_a_call_without_words_gives_no_empty_text_when_its_record_comes_late(q: Playbook) -> None:
    q.problem = "locked"
    q.says("go")
    begins_tool(q, "", "echo hi", trusted=True)
    q.passes(2)
    q.prints("hi\r\n" + COMPLETED)
    q.passes(0.1)
    q.problem = None
    ends(q, "It said hi.", 2)
    assert [event.text for event in q.of("message.completed")] == ["It said hi."]
    assert (q.last("turn.completed").text, q.last("turn.completed").exact) == ("It said hi.", True)


def test_a_call_that_was_missed_is_not_taken_for_the_next_one(q: Playbook) -> None:
    q.problem = "locked"
    ask(q, "echo safe")
    q.passes(2)
    answer(q, "allow")
    q.prints("safe\r\n" + COMPLETED)
    q.passes(0.1)
    q.problem = None
    begins_tool(q, "And now.", "rm -rf /", number=2)
    q.passes(2)
    request = q.last("permission.requested")
    assert (request.arguments, request.certain) == ({"command": "rm -rf /"}, True)
    assert [event.arguments for event in q.of("tool.started")] == [None, {"command": "rm -rf /"}]


@pytest.mark.parametrize("locked", [True, False])
def test_an_old_call_never_says_what_is_asked_now(q: Playbook, locked: bool) -> None:
    q.problem = "locked" if locked else None
    ask(q, "echo safe")
    q.passes(2)
    answer(q, "allow")
    q.prints("safe\r\n" + COMPLETED)
    q.passes(0.1)
    q.problem = None
    q.prints(FRAME + CLEAR + ANSWER + "And now." + LINE_END + header("execute_bash", "rm -rf /") + QUESTION)
    q.passes(2)  # the CLI could not save this call
    q.prompts()
    q.passes(2)
    assert len(q.of("permission.requested")) == 1
    assert q.last("turn.failed").code == "unknown"
    assert q.sent(Kill)


def test_of_several_calls_whose_record_was_locked_all_are_shown(q: Playbook) -> None:
    q.problem = "locked"
    ask(q, "echo one", "rm -rf /")
    q.passes(2)
    answer(q, "allow")
    q.problem = None
    q.prints(header("execute_bash", "rm -rf /").removeprefix(LINE_END * 2) + QUESTION)
    q.prompts()
    q.passes(2)
    request = q.last("permission.requested")
    assert not request.certain
    assert [call["arguments"]["command"] for call in request.arguments["tool_calls"]] == ["echo one", "rm -rf /"]
    assert len(q.of("tool.started")) == 2
    answer(q, "refuse")
    assert [event.outcome for event in q.of("tool.completed")] == ["refused", "refused"]


def test_a_question_that_no_call_belongs_to_is_never_typed_at(q: Playbook) -> None:
    q.says("go")
    q.prints(FRAME + CLEAR + ANSWER + "Hi." + LINE_END * 2 + QUESTION)
    q.problem = "locked"
    q.prompts()
    q.passes(2)
    assert q.last("turn.failed").code == "unknown"
    assert q.sent(Kill)


def test_an_end_does_not_wait_for_a_record_that_is_tried_again(q: Playbook) -> None:
    q.says("hello")
    q.problem = "locked"
    q.prints(answered("Hi."))
    q.prompts()
    reads = len(q.sent(ReadRecord))
    q.give(ProcessExited(code=0, signal=None, now=q.now))
    assert len(q.sent(ReadRecord)) > reads
    assert q.is_in(State.EXITED)
