"""Responses: events and Responses, as OpenAI's schema, its SDKs' helpers and Codex want them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qpty.compat.replies import Frame
from qpty.compat.requests import JsonFormat, Request, ToolCall, ToolChoice, ToolSpec
from qpty.compat.responses.writing import ResponsesWriter
from tests.compat.answers import ANSWERS, Answer, answers, head_of, objects, problem, request_for
from tests.compat.schemas import check, check_event, require_schema

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
TOOLS = (
    ToolSpec("get_weather", "The weather.", SCHEMA),
    ToolSpec("spawn", "Start.", SCHEMA, namespace="agents"),
    ToolSpec("apply_patch", "Patch.", None, custom=True),
    ToolSpec("note", "Say.", None, custom=True, namespace="agents"),
)
REQUESTS = {
    "least": request_for("responses"),
    "most": request_for(
        "responses",
        system="Be brief.",
        tools=TOOLS,
        tool_choice=ToolChoice("named", "get_weather"),
        parallel_tool_calls=False,
        max_tokens=100,
        json=JsonFormat(SCHEMA, "count"),
        stream=True,
        previous_response_id="resp_before",
    ),
    "custom": request_for("responses", tools=TOOLS, tool_choice=ToolChoice("named", "apply_patch")),
    "required": request_for("responses", tools=TOOLS, tool_choice=ToolChoice("required")),
    "json": request_for("responses", json=JsonFormat()),
    "unnamed": request_for("responses", json=JsonFormat(SCHEMA)),
}

BEYOND_THE_SCHEMA = {"context_length_exceeded", "insufficient_quota", "server_is_overloaded"}
"""Codes of a Response that failed which Codex acts on, and OpenAI sends, though its schema doesn't list them."""


def writer(request: Request = REQUESTS["least"]) -> ResponsesWriter:
    return ResponsesWriter(head_of(request))


class Reader:
    """Puts a Response together from its events as strictly as the SDKs' helpers do.

    Like OpenAI's for JavaScript, it forgets what it has when an event brings a Response.
    """

    def __init__(self) -> None:
        self.response: dict[str, Any] | None = None
        self.number = 0
        self.done: list[Any] = []
        self.last = ""

    def read(self, frames: list[Frame]) -> dict[str, Any]:
        for frame, data in zip(frames, objects(frames), strict=True):
            self.event(frame.event, copy.deepcopy(data))
        assert self.last in {"response.completed", "response.incomplete", "response.failed"}
        assert self.response is not None
        return self.response

    def event(self, name: str | None, data: dict[str, Any]) -> None:
        assert name == data["type"]
        assert data["sequence_number"] == self.number
        assert self.last not in {"response.completed", "response.incomplete", "response.failed"}
        assert (self.number == 0) == (name == "response.created")
        assert (self.number == 1) <= (name == "response.in_progress")
        self.number += 1
        self.last = data["type"]
        if "response" in data:
            if self.response is not None and self.last != "response.failed":
                before, now = self.response["output"], data["response"]["output"]
                assert now == before, "a Response takes back what was said"
            self.response = data["response"]
            return
        assert self.response is not None
        output, index = self.response["output"], data["output_index"]
        kind = self.last.removeprefix("response.")
        if kind == "output_item.added":
            assert index == len(output) == len(self.done), "an item begins in another"
            assert data["item"]["status"] == "in_progress"
            output.append(data["item"])
            return
        item = output[index]
        assert data.get("item_id", item["id"]) == item["id"]
        assert index == len(self.done), "more of an item that is done"
        if kind == "output_item.done":
            assert {**data["item"], "status": None} == {**item, "status": None}, "the parts are not the whole"
            assert data["item"]["status"] in {"completed", "incomplete"}
            output[index] = data["item"]
            self.done.append(data["item"])
        elif kind == "content_part.added":
            assert data["content_index"] == len(item["content"])
            item["content"].append(data["part"])
        elif kind == "content_part.done":
            assert item["content"][data["content_index"]] == data["part"]
        elif kind == "output_text.delta":
            item["content"][data["content_index"]]["text"] += data["delta"]
        elif kind == "output_text.done":
            assert item["content"][data["content_index"]]["text"] == data["text"]
        elif kind == "function_call_arguments.delta":
            item["arguments"] += data["delta"]
        elif kind == "function_call_arguments.done":
            assert (item["arguments"], item["name"]) == (data["arguments"], data["name"])
        elif kind == "custom_tool_call_input.delta":
            item["input"] += data["delta"]
        elif kind == "custom_tool_call_input.done":
            assert item["input"] == data["input"]
        else:
            pytest.fail(f"{self.last} is nothing that was agreed")


def text_of(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


def names(frames: list[Frame]) -> list[str]:
    return [(frame.event or "").removeprefix("response.") for frame in frames]


@pytest.fixture
def schema() -> None:
    require_schema()


@pytest.mark.usefixtures("schema")
@pytest.mark.parametrize("name", ANSWERS)
def test_every_event_is_one_by_the_schema(name: str) -> None:
    for data in objects(ANSWERS[name].stream(writer(REQUESTS["most"]))):
        check_event(data)


@pytest.mark.usefixtures("schema")
@pytest.mark.parametrize("name", ANSWERS)
def test_every_whole_answer_is_one_by_the_schema(name: str) -> None:
    check("Response", ANSWERS[name].whole(writer(REQUESTS["most"])))


@pytest.mark.usefixtures("schema")
@pytest.mark.parametrize("name", REQUESTS)
def test_whatever_was_asked_the_answer_is_one_by_the_schema(name: str) -> None:
    check("Response", ANSWERS["text"].whole(writer(REQUESTS[name])))


def test_a_text_event_by_event() -> None:
    frames = ANSWERS["text"].stream(writer())
    data = objects(frames)
    part = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    begun = {"id": "msg_7f3a_0", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    item = {**begun, "status": "completed", "content": [part]}
    place = {"item_id": "msg_7f3a_0", "output_index": 0, "content_index": 0}
    assert [(one["type"], one["response"]["status"], one["response"]["output"]) for one in data[:2]] == [
        ("response.created", "in_progress", []),
        ("response.in_progress", "in_progress", []),
    ]
    assert [{name: value for name, value in one.items() if name != "sequence_number"} for one in data[2:-1]] == [
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **place, "delta": "Hel", "logprobs": []},
        {"type": "response.output_text.delta", **place, "delta": "lo", "logprobs": []},
        {"type": "response.output_text.done", **place, "text": "Hello", "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    ]
    assert data[-1]["type"] == "response.completed"
    assert data[-1]["response"]["output"] == [item]


def test_a_call_event_by_event() -> None:
    frames = Answer(calls=(ANSWERS["held"].calls), reason="tools").stream(writer())
    data = objects(frames)
    begun = {
        "id": "fc_7f3a_0",
        "type": "function_call",
        "status": "in_progress",
        "call_id": "call_5",
        "name": "spawn",
        "namespace": "agents",
        "arguments": "",
    }
    item = {**begun, "status": "completed", "arguments": '{"n":1}'}
    place = {"item_id": "fc_7f3a_0", "output_index": 0}
    assert [{name: value for name, value in one.items() if name != "sequence_number"} for one in data[2:-1]] == [
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        {"type": "response.function_call_arguments.delta", **place, "delta": '{"n":1}'},
        {"type": "response.function_call_arguments.done", **place, "name": "spawn", "arguments": '{"n":1}'},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    ]


def test_custom_calls_after_a_text() -> None:
    frames = ANSWERS["custom"].stream(writer())
    assert names(frames)[6:] == [
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.done",
        "output_item.done",
        "completed",
    ]
    assert ANSWERS["custom"].whole(writer())["output"][1:] == [
        {
            "id": "ctc_7f3a_1",
            "type": "custom_tool_call",
            "status": "completed",
            "call_id": "call_3",
            "name": "apply_patch",
            "input": "*** Begin\n+ü\n",
        },
        {
            "id": "ctc_7f3a_2",
            "type": "custom_tool_call",
            "status": "completed",
            "call_id": "call_4",
            "name": "apply_patch",
            "input": "",
        },
    ]


def test_a_whole_response() -> None:
    response = ANSWERS["both"].whole(writer(REQUESTS["most"]))
    held = [
        {"type": "function", "name": "spawn", "description": "Start.", "parameters": SCHEMA, "strict": False},
        {"type": "custom", "name": "note", "description": "Say.", "format": {"type": "text"}},
    ]
    assert {name: value for name, value in response.items() if name != "output"} == {
        "id": "resp_7f3a",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "completed",
        "model": "claude-sonnet-4",
        "error": None,
        "incomplete_details": None,
        "background": False,
        "instructions": "Be brief.",
        "max_output_tokens": 100,
        "max_tool_calls": None,
        "metadata": {},
        "parallel_tool_calls": False,
        "previous_response_id": "resp_before",
        "reasoning": {"effort": None, "summary": None},
        "temperature": None,
        "text": {"format": {"type": "json_schema", "name": "count", "schema": SCHEMA}},
        "tool_choice": {"type": "function", "name": "get_weather"},
        "tools": [
            {
                "type": "function",
                "name": "get_weather",
                "description": "The weather.",
                "parameters": SCHEMA,
                "strict": False,
            },
            {"type": "namespace", "name": "agents", "description": "", "tools": held},
            {"type": "custom", "name": "apply_patch", "description": "Patch.", "format": {"type": "text"}},
        ],
        "top_p": None,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 123,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 45,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 168,
        },
    }
    assert [(item["type"], item["id"]) for item in response["output"]] == [
        ("message", "msg_7f3a_0"),
        ("function_call", "fc_7f3a_1"),
    ]


@pytest.mark.parametrize(
    ("name", "choice", "form"),
    [
        ("least", "auto", {"type": "text"}),
        ("custom", {"type": "custom", "name": "apply_patch"}, {"type": "text"}),
        ("required", "required", {"type": "text"}),
        ("json", "auto", {"type": "json_object"}),
        ("unnamed", "auto", {"type": "json_schema", "name": "answer", "schema": SCHEMA}),
    ],
)
def test_what_was_asked_is_repeated(name: str, choice: Any, form: Any) -> None:
    response = ANSWERS["text"].whole(writer(REQUESTS[name]))
    assert (response["tool_choice"], response["text"]["format"]) == (choice, form)


def test_one_that_was_cut_is_incomplete() -> None:
    frames = ANSWERS["length"].stream(writer())
    response = Reader().read(frames)
    assert names(frames)[-1] == "incomplete"
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert response["output"][0]["status"] == "incomplete"
    assert response == ANSWERS["length"].whole(writer())


@pytest.mark.parametrize("name", ["text", "stop", "empty", "calls"])
def test_any_other_is_complete(name: str) -> None:
    response = Reader().read(ANSWERS[name].stream(writer()))
    assert (response["status"], response["incomplete_details"]) == ("completed", None)


def test_an_empty_answer_is_an_empty_message() -> None:
    (item,) = ANSWERS["empty"].whole(writer())["output"]
    assert [part["text"] for part in item["content"]] == [""]
    assert text_of(Reader().read(ANSWERS["empty"].stream(writer()))) == ""


def test_calls_alone_have_no_message() -> None:
    assert [item["type"] for item in ANSWERS["calls"].whole(writer())["output"]] == ["function_call", "function_call"]


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("context_overflow", 413, "context_length_exceeded"),
        ("monthly_limit", 429, "insufficient_quota"),
        ("rate_limited", 429, "rate_limit_exceeded"),
        ("model_overloaded", 503, "server_is_overloaded"),
        ("not_signed_in", 503, "invalid_prompt"),
        ("agent_crashed", 502, "server_error"),
    ],
)
def test_a_failure_keeps_what_was_said(code: str, status: int, told: str) -> None:
    out = writer()
    frames = [*out.opening(), *out.text("Hel"), *out.text("lo"), *out.failure(problem(code, status))]
    response = Reader().read(frames)
    assert names(frames)[-1] == "failed"
    assert (response["status"], response["error"]) == ("failed", {"code": told, "message": "the model failed"})
    (item,) = response["output"]
    assert (text_of(response), item["status"]) == ("Hello", "incomplete")


@pytest.mark.usefixtures("schema")
@pytest.mark.parametrize("code", ["context_overflow", "monthly_limit", "overloaded", "rate_limited", "timeout"])
def test_a_failure_is_one_by_the_schema(code: str) -> None:
    out = writer()
    data = copy.deepcopy(objects([*out.opening(), *out.tool_calls(ANSWERS["both"].calls), *out.failure(problem(code))]))
    assert [item["status"] for item in data[-1]["response"]["output"]] == ["completed"]
    if data[-1]["response"]["error"]["code"] in BEYOND_THE_SCHEMA:
        data[-1]["response"]["error"]["code"] = "server_error"
    check_event(data[-1])


def kept_alive(out: ResponsesWriter) -> Frame:
    """What keeps a stream open, as the frame that its bytes are."""
    event, data, *rest = out.keep_alive().decode().split("\n")
    assert rest == ["", ""]
    return Frame(json.loads(data.removeprefix("data: ")), event=event.removeprefix("event: "))


def test_a_keep_alive_is_a_comment_before_the_first_event() -> None:
    out = writer()
    assert out.keep_alive() == b": ping\n\n"
    assert objects(list(out.opening()))[0]["sequence_number"] == 0


@pytest.mark.usefixtures("schema")
def test_a_keep_alive_is_a_published_event() -> None:
    out = writer()
    out.opening()
    check_event(kept_alive(out).data)
    out.text("a")
    check_event(kept_alive(out).data)


@given(answer=answers(custom=True), silences=st.lists(st.integers(0, 9)))
@settings(deadline=None)
def test_a_stream_and_a_whole_response_say_the_same(answer: Answer, silences: list[int]) -> None:
    """However the stream is cut, and wherever it has to be kept open."""
    out = writer()
    frames = list(out.opening())
    steps: list[Any] = [*answer.pieces, *([answer.calls] if answer.calls else [])]
    for number, step in enumerate([*steps, None]):
        frames += [kept_alive(out) for silent in silences if silent == number]
        if step is not None:
            frames += out.text(step) if isinstance(step, str) else out.tool_calls(step)
    frames += out.closing(answer.ending)
    reader = Reader()
    response = reader.read(frames)
    assert response == answer.whole(writer())
    assert response["output"] == reader.done
    assert text_of(response) == answer.text
    given_to = [item for item in response["output"] if item["type"] != "message"]
    assert [
        (item["call_id"], item["name"], json.loads(item["arguments"]) if "arguments" in item else item["input"])
        for item in given_to
    ] == [(call.id, call.name, call.arguments["input"] if call.custom else call.arguments) for call in answer.calls]


def test_events_told_before_stay_as_they_were() -> None:
    out = writer()
    frames = list(out.opening())
    before = copy.deepcopy(objects(frames))
    frames += [*out.text("a"), *out.tool_calls((ToolCall("call_1", "now", {}),)), *out.closing(ANSWERS["calls"].ending)]
    assert objects(frames)[:2] == before
