"""Messages: events and whole messages, in the order that Anthropic's clients rely on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from qpty.compat.messages.writing import MessagesWriter
from tests.compat.answers import ANSWERS, Answer, Said, answers, head_of, objects, problem, request_for

if TYPE_CHECKING:
    from qpty.compat.replies import Frame


def writer() -> MessagesWriter:
    return MessagesWriter(head_of(request_for("messages")))


class Reader:
    """Reads a stream as the SDKs do, and complains about what they would stumble over or drop.

    `message_start (block_start block_delta* block_stop)* message_delta message_stop`, an `error` at any place instead
    of the rest; blocks are numbered from 0.
    """

    def __init__(self) -> None:
        self.message: dict[str, Any] | None = None
        self.blocks: list[dict[str, Any]] = []
        self.open = False
        self.json = ""
        self.delta: dict[str, Any] | None = None
        self.ended = False

    def read(self, frames: list[Frame]) -> Said:
        for frame, data in zip(frames, objects(frames), strict=True):
            assert not self.ended, "something comes after the end"
            assert frame.event == data["type"], "the SDKs go by the name of an event"
            getattr(self, f"on_{data['type']}")(**{name: value for name, value in data.items() if name != "type"})
        assert self.ended, "a stream that is cut looks like a whole one"
        text = "".join(block["text"] for block in self.blocks if block["type"] == "text")
        return Said(text, [block for block in self.blocks if block["type"] == "tool_use"])

    def on_message_start(self, message: dict[str, Any]) -> None:
        assert self.message is None
        assert message["content"] == []
        assert message["stop_reason"] is None
        assert message["stop_sequence"] is None
        self.message = message

    def on_content_block_start(self, index: int, content_block: dict[str, Any]) -> None:
        assert self.message is not None
        assert self.delta is None
        assert not self.open, "a block begins in another"
        assert index == len(self.blocks)
        assert content_block == ({"type": "text", "text": ""} if content_block["type"] == "text" else content_block)
        assert content_block.get("input", {}) == {}
        self.blocks.append(dict(content_block))
        self.open, self.json = True, ""

    def on_content_block_delta(self, index: int, delta: dict[str, Any]) -> None:
        assert self.open
        assert index == len(self.blocks) - 1
        block = self.blocks[index]
        if block["type"] == "text":
            assert delta == {"type": "text_delta", "text": delta["text"]}
            assert delta["text"]
            block["text"] += delta["text"]
        else:
            assert delta == {"type": "input_json_delta", "partial_json": delta["partial_json"]}
            self.json += delta["partial_json"]

    def on_content_block_stop(self, index: int) -> None:
        assert self.open
        assert index == len(self.blocks) - 1
        if self.blocks[index]["type"] == "tool_use":
            self.blocks[index]["input"] = json.loads(self.json)
        self.open = False

    def on_message_delta(self, delta: dict[str, Any], usage: dict[str, Any]) -> None:
        assert not self.open
        assert self.delta is None
        assert set(usage) == {"input_tokens", "output_tokens"}
        self.delta = {**delta, "usage": usage}

    def on_message_stop(self) -> None:
        assert self.delta is not None
        self.ended = True

    def on_error(self, error: dict[str, Any], request_id: str) -> None:
        assert set(error) == {"type", "message"}
        assert request_id
        self.ended = True


def test_a_text_and_a_call_event_by_event() -> None:
    frames = Answer(("Let me ", "look."), ANSWERS["both"].calls, "tools").stream(writer())
    assert [frame.event for frame in frames] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    data = objects(frames)
    assert data[0] == {
        "type": "message_start",
        "message": {
            "id": "msg_7f3a",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 99, "output_tokens": 1},
        },
    }
    assert data[5:8] == [
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {}},
        },
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": '{"city":"Zürich","days":2}'},
        },
        {"type": "content_block_stop", "index": 1},
    ]
    assert data[8:] == [
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"input_tokens": 123, "output_tokens": 45},
        },
        {"type": "message_stop"},
    ]


def test_a_whole_message() -> None:
    assert ANSWERS["both"].whole(writer()) == {
        "id": "msg_7f3a",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4",
        "content": [
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Zürich", "days": 2}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 123, "output_tokens": 45},
    }


@pytest.mark.parametrize(
    ("name", "reason", "sequence"),
    [
        ("text", "end_turn", None),
        ("calls", "tool_use", None),
        ("length", "max_tokens", None),
        ("stop", "stop_sequence", "END"),
    ],
)
def test_why_it_ended(name: str, reason: str, sequence: str | None) -> None:
    reader = Reader()
    reader.read(ANSWERS[name].stream(writer()))
    assert reader.delta is not None
    assert (reader.delta["stop_reason"], reader.delta["stop_sequence"]) == (reason, sequence)
    whole = ANSWERS[name].whole(writer())
    assert (whole["stop_reason"], whole["stop_sequence"]) == (reason, sequence)


def test_an_empty_answer_has_an_empty_text() -> None:
    reader = Reader()
    reader.read(ANSWERS["empty"].stream(writer()))
    assert reader.blocks == [{"type": "text", "text": ""}]
    assert ANSWERS["empty"].whole(writer())["content"] == [{"type": "text", "text": ""}]


def test_calls_alone_have_no_text() -> None:
    assert [block["type"] for block in ANSWERS["calls"].whole(writer())["content"]] == ["tool_use", "tool_use"]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_is_in_order(name: str) -> None:
    assert Reader().read(ANSWERS[name].stream(writer())).text == ANSWERS[name].text


@pytest.mark.parametrize("pieces", [(), ("begun",)])
def test_a_failure_is_the_end(pieces: tuple[str, ...]) -> None:
    out = writer()
    frames = [*out.opening(), *(frame for piece in pieces for frame in out.text(piece))]
    frames += out.failure(problem("model_overloaded", 503))
    Reader().read(frames)
    assert objects(frames)[-1] == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "the model failed"},
        "request_id": "req_1",
    }


def test_a_keep_alive_is_a_ping() -> None:
    assert writer().keep_alive() == b'event: ping\ndata: {"type": "ping"}\n\n'


@given(answer=answers())
def test_a_stream_and_a_whole_message_say_the_same(answer: Answer) -> None:
    reader = Reader()
    said = reader.read(answer.stream(writer()))
    whole = answer.whole(writer())
    assert said.text == answer.text
    assert [(call["id"], call["name"], call["input"]) for call in said.calls] == [
        (call.id, call.name, call.arguments) for call in answer.calls
    ]
    assert reader.blocks == whole["content"]
    assert reader.message is not None
    assert {**reader.message, **(reader.delta or {}), "content": reader.blocks} == whole
