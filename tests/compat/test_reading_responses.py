"""Responses: what a body means, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from qpty.compat.requests import File, Image, JsonFormat, Message, Text, ToolCall, ToolChoice, ToolResult, ToolSpec
from qpty.compat.responses.reading import ResponsesRequest, read_responses
from tests.compat.reading_samples import PDF, PNG, base64_of, data_url, refused

if TYPE_CHECKING:
    from qpty.compat.requests import Request, RequestError

HELLO = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
CALL = {"type": "function_call", "id": "fc", "call_id": "c1", "name": "look", "arguments": '{"a": 1}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "seen"}


def body(*items: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "input": list(items) or "hello", **fields}


def read(*items: Any, **fields: Any) -> Request:
    return read_responses(body(*items, **fields))


def refusal(*items: Any, **fields: Any) -> RequestError:
    return refused(read_responses, body(*items, **fields))


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def function(name: str = "look", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": {"type": "object"}, **fields}


# Input


def test_a_text() -> None:
    said = read()
    assert said.messages == (Message("user", (Text("hello"),)),)
    assert (said.interface, said.stream, said.ignored, said.previous_response_id) == ("responses", False, (), None)


def test_a_conversation_as_codex_sends_it() -> None:
    said = read(
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "one"}]},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "two"}]},
        HELLO,
        {"type": "reasoning", "summary": [], "encrypted_content": "x"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "let me see", "annotations": []}]},
        CALL,
        {**CALL, "call_id": "c2", "name": "goal", "namespace": "my"},
        OUTPUT,
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "x"}]},
        instructions="zero",
        store=False,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="thread",
        stream=True,
        parallel_tool_calls=False,
        tool_choice="auto",
        background=False,
    )
    assert said.system == "zero\n\none\n\ntwo"
    assert said.messages == (
        Message("user", (Text("hello"),)),
        Message(
            "assistant",
            (Text("let me see"), ToolCall("c1", "look", {"a": 1}), ToolCall("c2", "goal", {"a": 1}, namespace="my")),
        ),
        Message("user", (ToolResult("c1", (Text("seen"),)), ToolResult("c2", (Text("x"),)))),
    )
    assert (said.hint, said.stream, said.parallel_tool_calls, said.ignored) == ("thread", True, False, ("include",))


def test_later_system_messages_are_the_users_text() -> None:
    said = read(HELLO, {"role": "assistant", "content": "a"}, {"role": "system", "content": "b"})
    assert (said.system, said.messages[2]) == ("", Message("user", (Text("b"),)))


def test_custom_calls() -> None:
    said = read(
        HELLO,
        {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** Begin"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": ""},
    )
    assert said.messages[1].parts == (ToolCall("c1", "patch", {"input": "*** Begin"}, custom=True),)
    assert said.messages[2].parts == (ToolResult("c1", ()),)


def test_pictures_and_files() -> None:
    said = read(
        user(
            {"type": "input_image", "image_url": data_url(PNG), "detail": "auto"},
            {"type": "input_file", "file_data": base64_of(PDF), "filename": "a.pdf"},
            {"type": "input_file", "file_url": data_url(b"x", "text/csv")},
        )
    )
    assert said.messages[0].parts == (
        Image("image/png", PNG),
        File("application/pdf", PDF, "a.pdf"),
        File("text/csv", b"x"),
    )


def test_items_of_the_providers_tools_are_passed_over_and_named() -> None:
    said = read(
        HELLO,
        {"type": "web_search_call", "id": "w", "status": "completed"},
        {"type": "local_shell_call_output", "id": "l", "output": "x"},
        {"type": "mcp_list_tools", "id": "t"},
    )
    assert said.messages == (Message("user", (Text("hello"),)),)
    assert said.ignored == ("input.local_shell_call_output", "input.mcp_list_tools", "input.web_search_call")


def test_what_follows_an_earlier_response_may_begin_with_outputs() -> None:
    said = read(OUTPUT, HELLO, previous_response_id="r1")
    assert said.messages == (Message("user", (ToolResult("c1", (Text("seen"),)), Text("hello"))),)
    assert said.previous_response_id == "r1"


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([OUTPUT], "input.0.call_id"),
        ([HELLO, CALL], "input.1.call_id"),
        ([HELLO, CALL, HELLO], "input.1.call_id"),
        ([HELLO, CALL, OUTPUT, OUTPUT], "input.2.call_id"),
        ([HELLO, CALL, CALL, OUTPUT], "input.1.call_id"),
        ([HELLO, {"role": "assistant", "content": "a"}], "input"),
        ([{"role": "developer", "content": "a"}], "input"),
        ([HELLO, {**CALL, "arguments": "x"}, OUTPUT], "input.1.arguments"),
        ([HELLO, {**CALL, "arguments": {}}, OUTPUT], "input.1.arguments"),
        ([{"type": "item_reference", "id": "x"}], "input.0"),
        ([{"id": "x"}], "input.0"),
        ([{"type": "compaction", "encrypted_content": "x"}], "input.0.type"),
        ([{"role": "tool", "content": "x"}], "input.0.role"),
        ([{"content": "x"}], "input.0.role"),
        (["x"], "input.0"),
        ([user({"type": "input_image", "file_id": "f"})], "input.0.content.0.file_id"),
        ([user({"type": "input_image"})], "input.0.content.0.image_url"),
        ([user({"type": "input_image", "image_url": "http://x/a.png"})], "input.0.content.0.image_url"),
        ([user({"type": "input_file", "file_id": "f"})], "input.0.content.0.file_id"),
        ([user({"type": "input_file", "file_url": "https://x/a"})], "input.0.content.0.file_url"),
        ([user({"type": "input_audio"})], "input.0.content.0.type"),
        ([user({"type": "input_text"})], "input.0.content.0.text"),
        ([{**HELLO, "role": "assistant", "content": [{"type": "input_image", "image_url": data_url(PNG)}]}, HELLO],
         "input.0.content"),
    ],
)  # fmt: skip
def test_items_that_are_refused(items: list[Any], param: str) -> None:
    assert refusal(*items).param == param


def test_an_output_without_its_call_is_refused_only_in_the_first_message_after_an_earlier_response() -> None:
    later = [OUTPUT, {"role": "assistant", "content": "a"}, {**OUTPUT, "call_id": "c2"}]
    assert refusal(*later, previous_response_id="r1").param == "input.2.call_id"
    assert refusal(OUTPUT, CALL, previous_response_id="r1").param == "input.1.call_id"


# Tools


def test_tools() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}
    said = read(
        tools=[
            function(description="d", strict=False),
            {"type": "custom", "name": "patch", "description": "Patches.", "format": grammar},
            {"type": "namespace", "name": "my", "description": "n", "tools": [function("look"), function("goal")]},
            {"type": "web_search", "external_web_access": False},
            {"type": "mcp", "server_label": "x"},
        ]
    )
    assert said.tools == (
        ToolSpec("look", "d", {"type": "object"}),
        ToolSpec("patch", "Patches.\n\nThe input follows this grammar (lark):\nstart: /a/", None, custom=True),
        ToolSpec("look", "", {"type": "object"}, namespace="my"),
        ToolSpec("goal", "", {"type": "object"}, namespace="my"),
    )
    assert said.ignored == ("tools.mcp", "tools.web_search")


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([function(), function()], "tools.1.name"),
        ([{"type": "namespace", "name": "n", "tools": [function(), function()]}], "tools.0.tools.1.name"),
        ([{"type": "namespace", "tools": []}], "tools.0.name"),
        ([{"type": "function"}], "tools.0.name"),
        ([function(parameters={"type": "array"})], "tools.0.parameters.type"),
        ([function(parameters="x")], "tools.0.parameters"),
    ],
)
def test_tools_that_are_refused(tools: Any, param: str) -> None:
    assert refusal(tools=tools).param == param


@pytest.mark.parametrize(
    ("given", "choice", "ignored"),
    [
        ("required", ToolChoice("required"), ()),
        ({"type": "function", "name": "look"}, ToolChoice("named", "look"), ()),
        ({"type": "allowed_tools", "mode": "auto", "tools": []}, ToolChoice(), ("tool_choice.allowed_tools",)),
        ({"type": "web_search"}, ToolChoice(), ("tool_choice",)),
    ],
)
def test_tool_choice(given: Any, choice: ToolChoice, ignored: tuple[str, ...]) -> None:
    said = read(tools=[function()], tool_choice=given)
    assert (said.tool_choice, said.ignored) == (choice, ignored)


# Other fields


def test_other_fields() -> None:
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    said = read(max_output_tokens=7, text={"format": form, "verbosity": "low"}, truncation="auto", store=True)
    assert (said.max_tokens, said.json) == (7, JsonFormat({"type": "object"}, "n"))
    assert said.ignored == ("store", "truncation")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"input": 3}, "input"),
        ({"model": 3}, "model"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"tool_choice": {"type": "function", "name": "x"}}, "tool_choice.name"),
        ({"previous_response_id": 3}, "previous_response_id"),
    ],
)
def test_fields_that_are_refused(fields: dict[str, Any], param: str) -> None:
    assert refused(read_responses, {**body(), **fields}).param == param


def test_the_shape_has_a_schema() -> None:
    schema = ResponsesRequest.model_json_schema()
    assert schema["required"] == ["model", "input"]
    assert "ResponsesFunctionCall" in json.dumps(schema)
