"""A client's conversation as the history that a session takes up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.compat.client_tools.names import offer_of
from qpty.compat.history import GOES_ON, NOTHING, PICTURED, YOU_BEGIN, history_of, with_texts
from qpty.compat.requests import File, Image, Message, Text, ToolCall, ToolResult, ToolSpec
from qpty.core.record import RecordedImage, RecordedResult, RecordedTool
from tests.compat.reading_samples import JPEG, PDF, PNG

if TYPE_CHECKING:
    from qpty.compat.requests import Part

OFFER = offer_of(
    [
        ToolSpec("look.at", "Looks.", {"type": "object"}),
        ToolSpec("go", "Goes.", {"type": "object"}),
        ToolSpec("go", "Walks.", {"type": "object"}, namespace="feet"),
    ]
)
PICTURE = Image("image/png", PNG)
RECORDED_PICTURE = RecordedImage(format="png", data=PNG)


def user(*parts: Part | str) -> Message:
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Part | str) -> Message:
    return Message("assistant", tuple(Text(part) if isinstance(part, str) else part for part in parts))


CALL = assistant("I look.", ToolCall("c1", "look.at", {"at": "it"}), ToolCall("c2", "go", {}, namespace="feet"))
TOLD = user(ToolResult("c1", (Text("red"),)), ToolResult("c2", (Text("no way"),), is_error=True))


def test_a_first_message_has_no_history() -> None:
    assert history_of([user("hello")], OFFER) == []


def test_each_answer_is_an_entry_with_what_was_asked() -> None:
    entries = history_of([user("one", "two"), assistant("a", "b"), user("three"), assistant("c"), user("four")], OFFER)
    assert [(entry.prompt, entry.text) for entry in entries] == [("one\ntwo", "a\nb"), ("three", "c")]
    assert all(entry.message_id is None and not entry.made_up and not entry.cancelled for entry in entries)
    assert not any(entry.results or entry.tools or entry.images for entry in entries)


def test_calls_and_their_results_belong_together() -> None:
    asked, told = history_of([user("look"), CALL, TOLD, assistant("It is red."), user("thanks")], OFFER)
    assert (asked.prompt, asked.text) == ("look", "I look.")
    assert asked.tools == (
        RecordedTool(tool_id="c1", name="look_at", arguments={"at": "it"}),
        RecordedTool(tool_id="c2", name="feet__go", arguments={}),
    )
    assert (told.prompt, told.text, told.tools) == (None, "It is red.", ())
    assert told.results == (
        RecordedResult(tool_id="c1", ok=True, text="red"),
        RecordedResult(tool_id="c2", ok=False, text="no way"),
    )


def test_results_that_nothing_waits_for_are_history() -> None:
    for last in (TOLD, user(*TOLD.parts, "and now?")):
        *_, entry = history_of([user("look"), CALL, last], OFFER)
        assert (entry.prompt, entry.text) == (None, GOES_ON)
        assert [result.text for result in entry.results] == ["red", "no way"], "the text is typed"


def test_what_was_said_beside_results_is_told_with_the_last() -> None:
    beside = user(*TOLD.parts, "be quick", PICTURE, File("application/pdf", PDF, "a.pdf"))
    *_, entry = history_of([user("look"), CALL, beside, assistant("Yes."), user("thanks")], OFFER)
    assert [result.text for result in entry.results] == ["red", "no way\nbe quick\n(A file: a.pdf)"]
    assert [result.ok for result in entry.results] == [True, False]
    assert entry.images == (RECORDED_PICTURE,)


def test_a_tool_that_is_not_offered_any_more_keeps_its_name() -> None:
    call = assistant(ToolCall("c", "gone", {}))
    entry, _ = history_of([user("look"), call, user(ToolResult("c", ())), assistant("Yes."), user("thanks")], OFFER)
    assert [tool.name for tool in entry.tools] == ["gone"]


def test_pictures_of_a_message_go_with_it() -> None:
    message = user(
        "see", PICTURE, Image("image/jpeg", JPEG), File("application/pdf", PDF), File("text/x", b"", "b.txt")
    )
    (entry,) = history_of([message, assistant("I see."), user("thanks")], OFFER)
    assert entry.images == (RECORDED_PICTURE, RecordedImage(format="jpeg", data=JPEG))
    assert entry.prompt == "see\n(A file: application/pdf)\n(A file: b.txt)"


def test_pictures_of_results_go_with_them() -> None:
    results = user(ToolResult("c1", (PICTURE,)), ToolResult("c2", (Text("two"), PICTURE)))
    *_, entry = history_of([user("look"), CALL, results], OFFER)
    assert [result.text for result in entry.results] == [PICTURED, "two"]
    assert entry.images == (RECORDED_PICTURE, RECORDED_PICTURE)


def test_a_greeting_has_a_message_before_it() -> None:
    entry, _ = history_of([assistant("Welcome!"), user("hello"), assistant("Yes?"), user("nothing")], OFFER)
    assert (entry.prompt, entry.text) == (YOU_BEGIN, "Welcome!")


@pytest.mark.parametrize("asked", [user(PICTURE), user("")])
def test_an_empty_prompt_is_none_the_less_one(asked: Message) -> None:
    (entry,) = history_of([asked, assistant("I see."), user("thanks")], OFFER)
    assert entry.prompt == NOTHING


def test_an_empty_result_is_none_the_less_one() -> None:
    *_, entry = history_of([user("look"), CALL, user(ToolResult("c1", ()), ToolResult("c2", (Text(""),)))], OFFER)
    assert [result.text for result in entry.results] == [NOTHING, NOTHING]


def test_results_with_nothing_beside_them_are_what_they_were() -> None:
    results = [ToolResult("c1", (Text("red"),)), ToolResult("c2", (Text("blue"),), is_error=True)]
    assert with_texts(results, []) == results
    assert with_texts(results, [Text("go")]) == [
        results[0],
        ToolResult("c2", (Text("blue"), Text("go")), is_error=True),
    ]
    assert results[1].parts == (Text("blue"),)


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Draw what the readers let through: sides in turn, the user last, every call answered in the next message."""
    texts = st.lists(st.text(alphabet="ab ", min_size=1, max_size=5).map(Text), min_size=1, max_size=2)
    messages: list[Message] = []
    waiting: list[str] = []
    role = draw(st.sampled_from(["user", "assistant"]))
    for number in range(draw(st.integers(1, 4)) * 2 - (role == "user")):
        if role == "user":
            results = [ToolResult(call, (Text(f"result of {call}"),)) for call in waiting]
            silent = bool(results) and draw(st.booleans())
            messages.append(user(*results, *([] if silent else draw(texts))))
        else:
            waiting = [f"c{number}.{one}" for one in range(draw(st.integers(0, 2)))]
            messages.append(assistant(*draw(texts), *(ToolCall(call, "look.at", {}) for call in waiting)))
        role = "assistant" if role == "user" else "user"
    return messages


@given(conversations())
def test_there_is_an_entry_for_each_answer_and_every_call_has_its_result(messages: list[Message]) -> None:
    entries = history_of(messages, OFFER)
    answers = sum(message.role == "assistant" for message in messages)
    open_results = any(isinstance(part, ToolResult) for part in messages[-1].parts)
    assert len(entries) == answers + open_results
    # Whatever a session goes on with, nothing is left that the model would have to answer for.
    assert entries == [] or not entries[-1].tools
    for before, after in zip([None, *entries], entries, strict=False):
        calls = [tool.tool_id for tool in before.tools] if before is not None else []
        assert [result.tool_id for result in after.results] == calls
        assert (after.prompt is None) == bool(calls)
