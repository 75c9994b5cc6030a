"""Chat Completions: what a body means, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from qpty.compat.chat.reading import ChatRequest, read_chat
from qpty.compat.reading.images import MAX_IMAGE_BYTES
from qpty.compat.requests import File, Image, JsonFormat, Message, Text, ToolCall, ToolChoice, ToolResult, ToolSpec
from tests.compat.reading_samples import GIF, JPEG, PDF, PNG, WEBP, base64_of, data_url, refused

if TYPE_CHECKING:
    from qpty.compat.requests import Request, RequestError

HELLO = {"role": "user", "content": "hello"}


def body(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages) or [HELLO], **fields}


def read(*messages: Any, **fields: Any) -> Request:
    return read_chat(body(*messages, **fields))


def refusal(*messages: Any, **fields: Any) -> RequestError:
    return refused(read_chat, body(*messages, **fields))


def call(name: str = "look", id: str = "c1", arguments: str = "{}") -> dict[str, Any]:  # noqa: A002 — the wire's word
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **fields}


def answer(id: str = "c1", content: Any = "seen") -> dict[str, Any]:  # noqa: A002 — the wire's word
    return {"role": "tool", "tool_call_id": id, "content": content}


def tool(name: str = "look", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **fields}}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


# Messages


def test_a_conversation_of_texts() -> None:
    said = read(HELLO, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "bye"})
    assert said.messages == (
        Message("user", (Text("hello"),)),
        Message("assistant", (Text("hi"),)),
        Message("user", (Text("bye"),)),
    )
    assert (said.interface, said.model, said.system, said.tools, said.ignored) == ("chat", "m", "", (), ())


def test_leading_system_and_developer_messages_are_the_system_later_ones_the_users_text() -> None:
    said = read(
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "two"}, {"type": "text", "text": ""}]},
        HELLO,
        {"role": "system", "content": " three "},
    )
    assert said.system == "one\n\ntwo"
    assert said.messages == (Message("user", (Text("hello"), Text(" three "))),)


def test_messages_of_one_role_are_one_and_empty_ones_none() -> None:
    said = read(
        HELLO,
        {"role": "user", "content": ""},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}]},
        {"role": "user", "content": "again"},
    )
    assert said.messages == (Message("user", (Text("hello"), Text("again"))),)


def test_a_greeting_stays_the_assistants() -> None:
    said = read({"role": "assistant", "content": "welcome"}, HELLO)
    assert [message.role for message in said.messages] == ["assistant", "user"]


def test_an_assistants_refusal_is_its_text() -> None:
    refusing = {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "refusal": "never"}
    assert read(HELLO, refusing, HELLO).messages[1].parts == (Text("no"), Text("never"))


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "be kind"}],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": []}],
        [{"role": "user", "content": " \n"}],
    ],
)
def test_nothing_to_answer_is_refused(messages: list[Any]) -> None:
    assert refusal(*messages).param == "messages"


def test_a_prefilled_answer_is_refused() -> None:
    error = refusal(HELLO, {"role": "assistant", "content": "I"})
    assert (error.param, "prefill" in str(error)) == ("messages", True)


# Pictures and files


@pytest.mark.parametrize(
    ("data", "media_type"), [(PNG, "image/png"), (JPEG, "image/jpeg"), (GIF, "image/gif"), (WEBP, "image/webp")]
)
def test_a_picture_is_what_its_bytes_say(data: bytes, media_type: str) -> None:
    part = {"type": "image_url", "image_url": {"url": data_url(data, "image/bmp"), "detail": "high"}}
    assert read(user(part)).messages[0].parts == (Image(media_type, data),)


def test_a_picture_may_be_a_plain_text_with_line_ends_and_escapes() -> None:
    text = base64_of(PNG)
    broken = f"DATA:image/png;charset=x;BASE64,{text[:8]}\r\n{text[8:]}"
    escaped = f"data:image/png;base64,{text.replace('=', '%3D').replace('+', '%2B')}"
    parts = [{"type": "image_url", "image_url": url} for url in (broken, escaped)]
    assert read(user(*parts)).messages[0].parts == (Image("image/png", PNG), Image("image/png", PNG))


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("https://example.com/a.png", "fetches nothing"),
        ("data:image/png;base64", "comma"),
        ("data:image/png;base64,!!!!", "isn't base64"),
        ("data:image/png;base64,iVBORw0KGgo", "isn't base64"),
        ("data:image/png;base64,ÄÄÄÄ", "isn't base64"),
        (data_url(b"BM" + bytes(20)), "PNG, JPEG, GIF or WebP"),
        ("data:image/png;base64,", "PNG, JPEG, GIF or WebP"),
        (data_url(PNG + bytes(MAX_IMAGE_BYTES)), "larger than 20 MiB"),
    ],
)
def test_other_pictures_are_refused(url: str, word: str) -> None:
    error = refusal(HELLO, user({"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": url}}))
    assert error.param == "messages.1.content.1.image_url.url"
    assert word in str(error)


def test_a_picture_of_just_the_largest_size_is_taken() -> None:
    data = PNG + bytes(MAX_IMAGE_BYTES - len(PNG))
    assert read(user({"type": "image_url", "image_url": {"url": data_url(data)}})).messages[0].parts == (
        Image("image/png", data),
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (data_url(PDF, "application/pdf"), File("application/pdf", PDF, "a.x")),
        (base64_of(PDF), File("application/pdf", PDF, "a.x")),
        (base64_of(b"one\n"), File("text/plain", b"one\n", "a.x")),
        (base64_of(b"\xff\x00"), File("application/octet-stream", b"\xff\x00", "a.x")),
        ("data:,a%20b", File("text/plain", b"a b", "a.x")),
        ("data:text/html,%3Cp%3E", File("text/html", b"<p>", "a.x")),
        (data_url(PNG, "application/pdf"), Image("image/png", PNG)),
    ],
)
def test_a_file(data: str, expected: File | Image) -> None:
    part = {"type": "file", "file": {"file_data": data, "filename": "a.x"}}
    assert read(user(part)).messages[0].parts == (expected,)


def test_an_uploaded_file_is_refused() -> None:
    error = refusal(user({"type": "file", "file": {"file_id": "f1"}}))
    assert error.param == "messages.0.content.0.file.file_id"


def test_audio_and_unknown_parts_are_refused() -> None:
    error = refusal(user({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}))
    assert error.param == "messages.0.content.0.type"
    assert (
        refusal(HELLO, {"role": "assistant", "content": "a", "audio": {"id": "x"}}, HELLO).param == "messages.1.audio"
    )


def test_an_assistants_picture_is_refused() -> None:
    shown = {"role": "assistant", "content": [{"type": "image_url", "image_url": data_url(PNG)}]}
    assert refusal(HELLO, shown, HELLO).param == "messages.1.content"


# Calls and results


def test_calls_and_results() -> None:
    said = read(
        HELLO,
        calling(call(arguments='{"a": [1]}'), call(id="c2", arguments=""), content="let me see"),
        answer("c2", [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": data_url(PNG)}]),
        answer("c1"),
        {"role": "user", "content": "and?"},
    )
    assert said.messages[1].parts == (
        Text("let me see"),
        ToolCall("c1", "look", {"a": [1]}),
        ToolCall("c2", "look", {}),
    )
    assert said.messages[2].parts == (
        ToolResult("c2", (Text("x"), Image("image/png", PNG))),
        ToolResult("c1", (Text("seen"),)),
        Text("and?"),
    )


def test_a_result_may_be_empty_and_the_last() -> None:
    assert read(HELLO, calling(call()), answer(content="")).messages[2].parts == (ToolResult("c1", ()),)


def test_a_call_of_a_custom_tool() -> None:
    said = read(HELLO, calling({"id": "c1", "type": "custom", "custom": {"name": "run", "input": "ls"}}), answer())
    assert said.messages[1].parts == (ToolCall("c1", "run", {"input": "ls"}, custom=True),)


def test_calls_in_the_older_form() -> None:
    asking = {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}}
    said = read(
        HELLO,
        asking,
        {"role": "function", "name": "look", "content": "seen"},
        functions=[{"name": "look", "parameters": {"type": "object"}}],
        function_call={"name": "look"},
    )
    assert said.messages[1].parts == (ToolCall("look", "look", {}),)
    assert said.messages[2].parts == (ToolResult("look", (Text("seen"),)),)
    assert said.tools == (ToolSpec("look", "", {"type": "object"}),)
    assert said.tool_choice == ToolChoice("named", "look")


def test_the_same_id_may_be_used_again_later() -> None:
    assert len(read(HELLO, calling(call()), answer(), calling(call()), answer()).messages) == 5


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([HELLO, calling(call())], "messages.1.tool_calls.0.id"),
        ([HELLO, calling(call(), call(id="c2")), answer("c2")], "messages.1.tool_calls.0.id"),
        ([HELLO, calling(call()), HELLO], "messages.1.tool_calls.0.id"),
        ([HELLO, answer()], "messages.1.tool_call_id"),
        ([HELLO, calling(call()), answer(), answer("c9")], "messages.3.tool_call_id"),
        ([HELLO, calling(call()), answer(), answer()], "messages.2.tool_call_id"),
        ([HELLO, calling(call(), call()), answer()], "messages.1.tool_calls.0.id"),
        (
            [HELLO, calling(call()), answer(), {"role": "assistant", "content": "a"}, answer()],
            "messages.4.tool_call_id",
        ),
        ([HELLO, calling(call(arguments="[]")), answer()], "messages.1.tool_calls.0.function.arguments"),
        ([HELLO, calling(call(arguments="{")), answer()], "messages.1.tool_calls.0.function.arguments"),
        ([HELLO, calling(call(arguments="[" * 9999)), answer()], "messages.1.tool_calls.0.function.arguments"),
        ([HELLO, calling(call(arguments='{"a": NaN}')), answer()], "messages.1.tool_calls.0.function.arguments.a"),
        (
            [HELLO, calling(call(arguments='{"a": "\\ud800"}')), answer()],
            "messages.1.tool_calls.0.function.arguments.a",
        ),
        ([HELLO, calling({"id": "c1", "type": "function"}), answer()], "messages.1.tool_calls.0.function"),
    ],
)
def test_calls_and_results_that_do_not_fit(messages: list[Any], param: str) -> None:
    assert refusal(*messages).param == param


# Tools


def test_tools() -> None:
    schema = {"type": "object", "properties": {"a": {}}}
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}}
    said = read(
        tools=[
            tool("one", description="first", parameters=schema, strict=True),
            tool("two"),
            {"type": "function", "name": "flat", "description": "d", "parameters": schema},
            {"name": "untyped", "input_schema": schema},
            {"type": "custom", "name": "anthropic", "input_schema": schema},
            {"type": "custom", "custom": {"name": "free", "description": "Runs.", "format": grammar}},
            {"type": "custom", "name": "flat_free"},
            {"type": "web_search"},
        ]
    )
    anything = {"type": "object", "properties": {}}
    assert said.tools == (
        ToolSpec("one", "first", schema),
        ToolSpec("two", "", anything),
        ToolSpec("flat", "d", schema),
        ToolSpec("untyped", "", schema),
        ToolSpec("anthropic", "", schema),
        ToolSpec("free", "Runs.\n\nThe input follows this grammar (lark):\nstart: /a/", None, custom=True),
        ToolSpec("flat_free", "", None, custom=True),
    )
    assert said.ignored == ("tools.web_search",)


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([tool(), tool()], "tools.1.function.name"),
        ([tool(parameters=[])], "tools.0.function.parameters"),
        ([tool(parameters={"type": "string"})], "tools.0.function.parameters.type"),
        ([{"type": "function"}], "tools.0.function"),
        ([tool("")], "tools.0.function.name"),
        ([3], "tools.0"),
        ("look", "tools"),
    ],
)
def test_tools_that_are_refused(tools: Any, param: str) -> None:
    assert refusal(tools=tools).param == param


@pytest.mark.parametrize(
    ("given", "choice", "ignored"),
    [
        ("auto", ToolChoice(), ()),
        ("none", ToolChoice("none"), ()),
        ("required", ToolChoice("required"), ()),
        ({"type": "function", "function": {"name": "look"}}, ToolChoice("named", "look"), ()),
        ({"type": "function", "name": "look"}, ToolChoice("named", "look"), ()),
        ({"type": "custom", "custom": {"name": "look"}}, ToolChoice("named", "look"), ()),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}},
            ToolChoice("required"),
            ("tool_choice.allowed_tools",),
        ),
        ({"type": "web_search"}, ToolChoice(), ("tool_choice",)),
    ],
)
def test_tool_choice(given: Any, choice: ToolChoice, ignored: tuple[str, ...]) -> None:
    said = read(tools=[tool()], tool_choice=given)
    assert (said.tool_choice, said.ignored) == (choice, ignored)


@pytest.mark.parametrize(
    "given", ["maybe", {"type": "function", "function": {"name": "other"}}, {"type": "function"}, 3, {}]
)
def test_a_tool_choice_that_is_refused(given: Any) -> None:
    assert (refusal(tools=[tool()], tool_choice=given).param or "").startswith("tool_choice")


def test_a_call_can_not_be_required_without_tools() -> None:
    assert refusal(tool_choice="required").param == "tool_choice"


# Other fields


def test_fields_that_are_heeded() -> None:
    said = read(
        max_tokens=3,
        max_completion_tokens=5.0,
        stop=["a", "", "b", "a"],
        stream=True,
        stream_options={"include_usage": True, "other": 1},
        parallel_tool_calls=False,
        prompt_cache_key="k",
        n=1,
        logprobs=False,
        top_logprobs=0,
        modalities=["text"],
    )
    assert (said.max_tokens, said.stop, said.stream, said.include_usage) == (5, ("a", "b"), True, True)
    assert (said.parallel_tool_calls, said.hint, said.ignored) == (False, "k", ())
    assert read(max_tokens=3, stop="x").max_tokens == 3
    assert read(stop="x").stop == ("x",)
    assert read().max_tokens is None


def test_fields_without_effect_are_named() -> None:
    said = read(user="u", temperature=0, seed=None, store=False, metadata={}, zzz=[1], **{"a\r\nb": 1, "ü": 1})
    assert said.ignored == ("?", "metadata", "temperature", "user", "zzz")
    assert read(store=True).ignored == ("store",)


@pytest.mark.parametrize(
    ("asked", "form"),
    [
        ({"type": "text"}, None),
        (None, None),
        ({"type": "json_object"}, JsonFormat()),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}},
            JsonFormat({"type": "object"}, "n"),
        ),
    ],
)
def test_response_format(asked: Any, form: JsonFormat | None) -> None:
    assert read(response_format=asked).json == form


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"n": 0}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"stream": "true"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stop": [1]}, "stop.0"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages.0.content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_call_id"),
    ],
)
def test_fields_that_are_refused(fields: dict[str, Any], param: str) -> None:
    assert refused(read_chat, {**body(), **fields}).param == param


def test_a_body_in_the_shape_of_responses() -> None:
    said = read_chat(
        {
            "model": "m",
            "messages": None,
            "instructions": "be kind",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "hello"}]},
                {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "seen"},
            ],
            "tools": [{"type": "function", "name": "look", "description": "d", "input_schema": {"type": "object"}}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_output_tokens": 9,
            "text": {"format": {"type": "json_object"}},
            "reasoning": {"effort": "low"},
        }
    )
    assert (said.interface, said.system, said.max_tokens, said.include_usage) == ("chat", "be kind", 9, True)
    assert [type(part) for message in said.messages for part in message.parts] == [Text, ToolCall, ToolResult]
    assert said.tools == (ToolSpec("look", "d", {"type": "object"}),)
    assert (said.json, said.ignored) == (JsonFormat(), ("reasoning",))


def test_such_a_body_can_not_go_on_after_a_response() -> None:
    error = refused(read_chat, {"model": "m", "input": "x", "previous_response_id": "r"})
    assert error.param == "previous_response_id"


def test_the_shape_has_a_schema() -> None:
    schema = ChatRequest.model_json_schema()
    assert schema["required"] == ["model", "messages"]
    assert schema["additionalProperties"] is True
    assert "ChatUserMessage" in json.dumps(schema)
