"""Anthropic's Messages: what a body means, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from qpty.compat.chat.reading import ChatRequest
from qpty.compat.messages.reading import CountRequest, MessagesRequest, read_count, read_messages
from qpty.compat.requests import File, Image, JsonFormat, Message, Text, ToolCall, ToolChoice, ToolResult, ToolSpec
from qpty.compat.responses.reading import ResponsesRequest
from tests.compat.reading_samples import GIF, PDF, PNG, base64_of, data_url, refused

if TYPE_CHECKING:
    from qpty.compat.requests import Request, RequestError

HELLO = {"role": "user", "content": "hello"}
LOOK = {"name": "look", "description": "d", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}


def body(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": list(messages) or [HELLO], **fields}


def read(*messages: Any, **fields: Any) -> Request:
    return read_messages(body(*messages, **fields))


def refusal(*messages: Any, **fields: Any) -> RequestError:
    return refused(read_messages, body(*messages, **fields))


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words, "cache_control": {"type": "ephemeral"}}


def use(id: str = "t1", **fields: Any) -> dict[str, Any]:  # noqa: A002 — the wire's word
    return {"type": "tool_use", "id": id, "name": "look", "input": {"a": 1}, **fields}


def result(id: str = "t1", content: Any = "seen", **fields: Any) -> dict[str, Any]:  # noqa: A002 — the wire's word
    return {"type": "tool_result", "tool_use_id": id, "content": content, **fields}


def source(data: bytes, media_type: str, **fields: Any) -> dict[str, Any]:
    return {"type": "base64", "media_type": media_type, "data": base64_of(data), **fields}


# Messages


def test_a_body_as_claude_code_sends_it() -> None:
    said = read(
        user(text("<reminder>"), text("change it")),
        assistant({"type": "thinking", "thinking": "hm", "signature": "s"}, text("let me see"), use()),
        user(result(content=[text("one")])),
        system=[text("x-anthropic-billing-header: cc_version=2"), text("You are"), text("careful")],
        tools=[{**LOOK, "strict": True, "defer_loading": False}, SEARCH],
        metadata={"user_id": '{"session_id":"s"}'},
        thinking={"type": "adaptive"},
        output_config={"effort": "high"},
        context_management={"edits": []},
        stream=True,
    )
    assert said.system == "You are\n\ncareful"
    assert said.messages == (
        Message("user", (Text("<reminder>"), Text("change it"))),
        Message("assistant", (Text("let me see"), ToolCall("t1", "look", {"a": 1}))),
        Message("user", (ToolResult("t1", (Text("one"),)),)),
    )
    assert said.tools == (ToolSpec("look", "d", {"type": "object"}),)
    assert (said.interface, said.max_tokens, said.stream, said.hint) == ("messages", 9, True, '{"session_id":"s"}')
    assert said.ignored == ("context_management", "output_config", "thinking", "tools.web_search")


def test_system_messages() -> None:
    leading = {"role": "system", "content": "two"}
    said = read(leading, HELLO, assistant(text("a")), {"role": "system", "content": [text("b")]}, system="one")
    assert said.system == "one\n\ntwo"
    assert said.messages[2] == Message("user", (Text("b"),))


def test_only_the_first_system_block_can_be_a_billing_header() -> None:
    header = "x-anthropic-billing-header: a"
    assert read(system=[text("one"), text(header)]).system == f"one\n\n{header}"


def test_blocks_of_the_providers_tools_are_passed_over() -> None:
    said = read(
        HELLO,
        assistant(
            {"type": "redacted_thinking", "data": "x"},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
            text("found"),
        ),
        HELLO,
    )
    assert said.messages[1].parts == (Text("found"),)


def test_pictures_and_documents() -> None:
    said = read(
        user(
            {"type": "image", "source": source(GIF, "image/png")},
            {"type": "image", "source": {"type": "url", "url": data_url(PNG)}},
            {"type": "document", "source": source(PDF, "application/pdf"), "title": "a", "context": "read it"},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "ü"}},
            {"type": "document", "source": {"type": "content", "content": [text("inner")]}},
            {"type": "search_result", "title": "t", "source": "s", "content": [text("found")]},
        )
    )
    assert said.messages[0].parts == (
        Image("image/gif", GIF),
        Image("image/png", PNG),
        Text("read it"),
        File("application/pdf", PDF, "a"),
        File("text/plain", "ü".encode()),
        Text("inner"),
        Text("t\ns\nfound"),
    )


def test_results() -> None:
    said = read(
        HELLO,
        assistant(use(), use("t2"), use("t3")),
        user(
            result("t3", [{"type": "image", "source": source(PNG, "image/png")}, text("")]),
            result("t2", None, is_error=True),
            result("t1", [{"type": "tool_reference", "tool_name": "Other"}]),
            text("go on"),
        ),
    )
    assert said.messages[2].parts == (
        ToolResult("t3", (Image("image/png", PNG),)),
        ToolResult("t2", (), is_error=True),
        ToolResult("t1", (Text("Other"),)),
        Text("go on"),
    )


def test_results_in_several_messages_are_one() -> None:
    said = read(HELLO, assistant(use(), use("t2")), user(result()), user(result("t2")))
    assert len(said.messages) == 3


@pytest.mark.parametrize(
    ("messages", "param", "word"),
    [
        ([HELLO, assistant(use())], "messages.1.content.0", "`tool_use` ids were found without `tool_result` blocks"),
        ([HELLO, assistant(use(), use("t2")), user(result())], "messages.1.content.1", "immediately after: 't2'"),
        ([HELLO, assistant(use()), HELLO], "messages.1.content.0", "in the next message"),
        ([user(text("a"), result())], "messages.0.content.1", "unexpected `tool_use_id` found"),
        ([HELLO, assistant(text("a")), user(result())], "messages.2.content.0", "in the previous message"),
        ([HELLO, assistant(use()), user(result(), result())], "messages.2.content.0", "two results"),
        ([HELLO, assistant(use(), use()), user(result())], "messages.1.content.0", "two calls"),
        ([user(use())], "messages.0.content.0", "`assistant` messages"),
        ([HELLO, assistant(result()), HELLO], "messages.1.content.0", "`user` messages"),
        ([HELLO, assistant(text("a"))], "messages", "prefill"),
        ([user(text(""))], "messages", "nothing to answer"),
        ([assistant({"type": "image", "source": source(PNG, "x")}), HELLO], "messages.0.content.0", "user's"),
        ([user({"type": "container_upload", "file_id": "x"})], "messages.0.content.0.type", "container_upload"),
        ([user({"type": "image", "source": {"type": "url", "url": "https://x/a.png"}})],
         "messages.0.content.0.source.url", "fetches nothing"),
        ([user({"type": "image", "source": {"type": "file", "file_id": "f"}})],
         "messages.0.content.0.source.type", "base64"),
        ([user({"type": "image", "source": {"type": "base64"}})], "messages.0.content.0.source.data", "add"),
        ([user({"type": "image", "source": source(PDF, "image/png")})], "messages.0.content.0.source.data", "PNG"),
        ([user({"type": "document", "source": {"type": "file"}})], "messages.0.content.0.source.type", "text"),
        ([HELLO, assistant(use(input="x")), user(result())], "messages.1.content.0.input", "object"),
        ([user(result(content=[{"type": "image", "source": {}}]))],
         "messages.0.content.0.content.0.source.type", "add this field"),
    ],
)  # fmt: skip
def test_messages_that_are_refused(messages: list[Any], param: str, word: str) -> None:
    error = refusal(*messages)
    assert error.param == param
    assert word in str(error)


# Tools


@pytest.mark.parametrize(
    ("given", "choice", "ignored"),
    [
        ({"type": "auto"}, ToolChoice(), ()),
        ({"type": "any"}, ToolChoice("required"), ()),
        ({"type": "none"}, ToolChoice("none"), ()),
        ({"type": "tool", "name": "look"}, ToolChoice("named", "look"), ()),
        ({"type": "tool", "name": "web_search"}, ToolChoice(), ("tool_choice",)),
    ],
)
def test_tool_choice(given: Any, choice: ToolChoice, ignored: tuple[str, ...]) -> None:
    said = read(tools=[{**LOOK, "type": "custom"}, SEARCH], tool_choice=given)
    assert (said.tool_choice, said.ignored, said.parallel_tool_calls) == (choice, (*ignored, "tools.web_search"), True)
    assert not read(tools=[LOOK], tool_choice={"type": "auto", "disable_parallel_tool_use": True}).parallel_tool_calls


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [LOOK, LOOK]}, "tools.1.name"),
        ({"tools": [{"name": "look"}]}, "tools.0.input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
        ({"tools": [{"name": "look", "input_schema": "x"}]}, "tools.0.input_schema"),
        ({"tools": [{"name": "look", "input_schema": {"type": "null"}}]}, "tools.0.input_schema.type"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tool_choice": {"type": "tool"}, "tools": [LOOK]}, "tool_choice.name"),
        ({"tool_choice": {"type": "tool", "name": "x"}, "tools": [LOOK]}, "tool_choice.name"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"stream": 1}, "stream"),
        ({"stop_sequences": ["x"] * 17}, "stop_sequences"),
        ({"output_format": {"type": "xml"}}, "output_format.type"),
        ({"system": [{"type": "image"}]}, "system.0.type"),
        ({"messages": {}}, "messages"),
    ],
)
def test_fields_that_are_refused(fields: dict[str, Any], param: str) -> None:
    assert refusal(**fields).param == param


def test_max_tokens_is_required() -> None:
    error = refused(read_messages, {"model": "m", "messages": [HELLO]})
    assert (error.param, error.code) == ("max_tokens", "missing_required_parameter")


# Other fields


def test_the_form_of_the_answer() -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    assert read(output_config={"format": form}).json == JsonFormat({"type": "object"})
    assert read(output_format=form, stop_sequences=["a", ""]).json == JsonFormat({"type": "object"})
    assert read(stop_sequences=["a", ""]).stop == ("a",)
    assert read(output_config={"format": form}).ignored == ()


def test_fields_without_effect_are_named() -> None:
    assert read(top_k=1, metadata={"user_id": None}, temperature=None).ignored == ("metadata", "top_k")


# Counting


def test_what_is_counted_needs_no_end() -> None:
    given = body(HELLO, assistant(text("a"), use()), system="s", tools=[LOOK])
    del given["max_tokens"]
    said = read_count(given)
    assert (len(said.messages), said.system, said.max_tokens, len(said.tools)) == (2, "s", None, 1)
    assert refused(read_count, {"model": "m", "messages": []}).param == "messages"


def test_the_shapes_have_schemas_and_names_of_their_own() -> None:
    assert MessagesRequest.model_json_schema()["required"] == ["model", "messages", "max_tokens"]
    assert CountRequest.model_json_schema()["required"] == ["model", "messages"]
    names = [set(shape.model_json_schema()["$defs"]) for shape in (ChatRequest, ResponsesRequest, MessagesRequest)]
    assert sum(len(found) for found in names) == len(set().union(*names))
