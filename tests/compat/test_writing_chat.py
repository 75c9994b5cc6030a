"""Chat Completions: chunks and whole answers, as OpenAI's schema and clients want them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given

from qpty.compat.chat.writing import ChatWriter
from qpty.compat.replies import Frame
from qpty.compat.requests import ToolCall
from tests.compat.answers import ANSWERS, Answer, Said, answers, head_of, objects, problem, request_for
from tests.compat.schemas import check, require_schema

CHUNK = "CreateChatCompletionStreamResponse"


def writer(*, include_usage: bool = False) -> ChatWriter:
    return ChatWriter(head_of(request_for("chat", include_usage=include_usage)))


def chunks(answer: Answer, *, include_usage: bool = False) -> list[Any]:
    """The chunks of a stream, without the `[DONE]` that has to be last."""
    frames = answer.stream(writer(include_usage=include_usage))
    assert frames[-1] == Frame("[DONE]")
    assert [frame.event for frame in frames] == [None] * len(frames), "openai-python fails at named events"
    return objects(frames[:-1])


def read(stream: list[Any]) -> Said:
    """Put chunks together as clients do: texts are appended, and calls found by their index."""
    said = Said()
    for chunk in stream:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            said.text += delta.get("content") or ""
            for part in delta.get("tool_calls", ()):
                if "id" in part:
                    assert part["index"] == len(said.calls), "a call begins out of its turn"
                    said.calls.append(copy.deepcopy(part))
                    continue
                call = said.calls[part["index"]]
                for name, more in part[call["type"]].items():
                    call[call["type"]][name] += more
    return said


@pytest.fixture
def schema() -> None:
    require_schema()


@pytest.mark.usefixtures("schema")
@pytest.mark.parametrize("include_usage", [False, True])
@pytest.mark.parametrize("name", ANSWERS)
def test_every_chunk_is_one_by_the_schema(name: str, include_usage: bool) -> None:
    for chunk in chunks(ANSWERS[name], include_usage=include_usage):
        known = copy.deepcopy(chunk)
        for choice in known["choices"]:
            for part in choice["delta"].get("tool_calls", ()):
                if part.get("type") == "custom":
                    # the published chunk has only functions, though a whole answer may have custom tools
                    part["type"] = "function"
        check(CHUNK, known)


@pytest.mark.usefixtures("schema")
@pytest.mark.parametrize("name", ANSWERS)
def test_every_whole_answer_is_one_by_the_schema(name: str) -> None:
    check("CreateChatCompletionResponse", ANSWERS[name].whole(writer()))


def test_a_text_in_chunks() -> None:
    first, *texts, last = chunks(ANSWERS["text"])
    common = {
        "id": "chatcmpl-7f3a",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "claude-sonnet-4",
    }
    delta = {"role": "assistant", "content": ""}
    assert first == {**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    assert [chunk["choices"][0]["delta"] for chunk in texts] == [{"content": "Hel"}, {"content": "lo"}]
    assert last == {**common, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def test_a_call_is_named_first_and_then_given_its_arguments() -> None:
    stream = chunks(ANSWERS["calls"])
    parts = [chunk["choices"][0]["delta"]["tool_calls"] for chunk in stream[1:-1]]
    assert parts == [
        [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"city":"Zürich","days":2}'}}],
        [{"index": 1, "id": "call_2", "type": "function", "function": {"name": "now", "arguments": ""}}],
        [{"index": 1, "function": {"arguments": "{}"}}],
    ]
    assert stream[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_custom_call_carries_its_text() -> None:
    stream = chunks(ANSWERS["custom"])
    parts = [chunk["choices"][0]["delta"]["tool_calls"] for chunk in stream[2:-1]]
    assert parts[:2] == [
        [{"index": 0, "id": "call_3", "type": "custom", "custom": {"name": "apply_patch", "input": ""}}],
        [{"index": 0, "custom": {"input": "*** Begin\n+ü\n"}}],
    ]
    message = ANSWERS["custom"].whole(writer())["choices"][0]["message"]
    assert message["tool_calls"][0] == {
        "id": "call_3",
        "type": "custom",
        "custom": {"name": "apply_patch", "input": "*** Begin\n+ü\n"},
    }


def test_a_whole_answer() -> None:
    assert ANSWERS["both"].whole(writer()) == {
        "id": "chatcmpl-7f3a",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "claude-sonnet-4",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Let me look.",
                    "refusal": None,
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "get_weather", "arguments": '{"city":"Zürich","days":2}'},
                        }
                    ],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 123, "completion_tokens": 45, "total_tokens": 168},
    }


def test_content_is_null_only_beside_calls() -> None:
    assert ANSWERS["calls"].whole(writer())["choices"][0]["message"]["content"] is None
    empty = ANSWERS["empty"].whole(writer())["choices"][0]["message"]
    assert empty == {"role": "assistant", "content": "", "refusal": None}


@pytest.mark.parametrize(
    ("name", "reason"), [("text", "stop"), ("stop", "stop"), ("length", "length"), ("calls", "tool_calls")]
)
def test_why_it_ended(name: str, reason: str) -> None:
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks(ANSWERS[name])]
    assert reasons == [None] * (len(reasons) - 1) + [reason]
    assert ANSWERS[name].whole(writer())["choices"][0]["finish_reason"] == reason


def test_usage_comes_last_and_only_for_who_asked() -> None:
    *stream, last = chunks(ANSWERS["text"], include_usage=True)
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 123, "completion_tokens": 45, "total_tokens": 168}
    assert [chunk["usage"] for chunk in stream] == [None] * len(stream)
    assert not [chunk for chunk in chunks(ANSWERS["text"]) if "usage" in chunk]


@pytest.mark.usefixtures("schema")
def test_a_failure_ends_the_stream_without_done() -> None:
    (frame,) = writer().failure(problem("context_overflow", 413))
    assert frame.event is None
    (body,) = objects([frame])
    check("ErrorResponse", body)
    assert body["error"]["code"] == "context_length_exceeded"


def test_a_keep_alive_is_a_comment() -> None:
    assert writer().keep_alive() == b": ping\n\n"


def test_half_of_a_surrogate_pair_in_arguments_can_be_sent() -> None:
    call = ToolCall(id="call_1", name="show", arguments={"text": "a\ud83d ü"})
    arguments = Answer(calls=(call,)).whole(writer())["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert arguments.encode() == b'{"text":"a\\ud83d \xc3\xbc"}'
    assert json.loads(arguments) == {"text": "a\ud83d ü"}


@given(answer=answers(custom=True))
def test_a_stream_and_a_whole_answer_say_the_same(answer: Answer) -> None:
    stream = chunks(answer, include_usage=True)
    said = read(stream)
    whole = answer.whole(writer())
    message = whole["choices"][0]["message"]
    assert said.text == answer.text == (message["content"] or "")
    assert [{**call, "index": None} for call in said.calls] == [
        {**call, "index": None} for call in message.get("tool_calls", [])
    ]
    assert [
        json.loads(call["function"]["arguments"]) if call["type"] == "function" else {"input": call["custom"]["input"]}
        for call in said.calls
    ] == [call.arguments for call in answer.calls]
    assert stream[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert stream[-1]["usage"] == whole["usage"]
    assert {chunk["id"] for chunk in stream} == {whole["id"]}
