"""Whatever JSON a body is, a reader returns a request that keeps its promises, or refuses it with an error to send."""

from __future__ import annotations

import copy
import json
import random
import tracemalloc
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from qpty.compat.chat.reading import ChatRequest, read_chat
from qpty.compat.messages.reading import CountRequest, MessagesRequest, read_count, read_messages
from qpty.compat.reading.fields import MAX_DEPTH, MAX_NAMES
from qpty.compat.reading.images import image_type
from qpty.compat.requests import File, Image, Request, RequestError, Text, ToolCall, ToolResult
from qpty.compat.responses.reading import ResponsesRequest, read_responses
from tests.compat.reading_samples import PDF, PNG, base64_of, data_url, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import BaseModel

    from qpty.compat.requests import Part

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
FUNCTION = {"name": "look", "description": "d", "parameters": SCHEMA}
FORM = {"name": "n", "schema": SCHEMA}
TEXT = {"type": "text", "text": "x"}
DOCUMENT = {"type": "base64", "media_type": "application/pdf", "data": base64_of(PDF)}

CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "be kind"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": data_url(PNG)}},
                {"type": "file", "file": {"file_data": base64_of(PDF), "filename": "a.pdf"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}},
                {"id": "c2", "type": "custom", "custom": {"name": "run", "input": "ls"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "x"}]},
    ],
    "tools": [
        {"type": "function", "function": FUNCTION},
        {"type": "custom", "custom": {"name": "run", "format": {"type": "grammar", "grammar": {"syntax": "lark"}}}},
        {"type": "function", "name": "flat", "input_schema": SCHEMA},
    ],
    "functions": [{**FUNCTION, "name": "old"}],
    "tool_choice": {"type": "function", "function": {"name": "look"}},
    "max_tokens": 5,
    "stop": ["a"],
    "n": 1,
    "response_format": {"type": "json_schema", "json_schema": FORM},
    "stream": True,
    "stream_options": {"include_usage": True},
    "metadata": {"a": "b"},
}
RESPONSES: dict[str, Any] = {
    "model": "m",
    "instructions": "be kind",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "see"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": data_url(PNG)}]},
        {"role": "user", "content": [{"type": "input_file", "file_data": base64_of(PDF)}]},
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a": 1}', "namespace": "my"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "run", "input": "ls"},
        {"type": "function_call_output", "call_id": "c1", "output": "seen"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "x"}]},
    ],
    "tools": [
        {"type": "namespace", "name": "my", "tools": [{"type": "function", **FUNCTION}]},
        {"type": "custom", "name": "run", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {"type": "web_search"},
    ],
    "tool_choice": {"type": "function", "name": "look"},
    "text": {"format": {"type": "json_schema", **FORM}},
    "max_output_tokens": 5,
    "stream": True,
    "store": False,
}
MESSAGES: dict[str, Any] = {
    "model": "m",
    "max_tokens": 5,
    "system": [{"type": "text", "text": "be kind"}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": base64_of(PNG)}},
                {"type": "document", "source": DOCUMENT, "title": "a"},
            ],
        },
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {"a": [1, {}]}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [TEXT]}]},
    ],
    "tools": [{"name": "look", "input_schema": SCHEMA}, {"type": "web_search_1", "name": "web_search"}],
    "tool_choice": {"type": "tool", "name": "look"},
    "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    "metadata": {"user_id": "u"},
    "stop_sequences": ["a"],
    "stream": False,
}  # fmt: skip

READERS = [
    pytest.param(read_chat, CHAT, ChatRequest, id="chat"),
    pytest.param(read_chat, {**RESPONSES, "tools": CHAT["tools"]}, ResponsesRequest, id="chat as responses"),
    pytest.param(read_responses, RESPONSES, ResponsesRequest, id="responses"),
    pytest.param(read_messages, MESSAGES, MessagesRequest, id="messages"),
    pytest.param(read_count, MESSAGES, CountRequest, id="count"),
]

WORDS = [
    "", " ", "\0", "\ud800", "é\udfff", "user", "assistant", "system", "tool", "text", "function", "custom", "image",
    "document", "base64", "url", "tool_use", "tool_result", "function_call_output", "item_reference", "namespace",
    "c1", "t1", "look", "auto", "any", "{", "[[[", "data:,", "data:image/png;base64,", "a\r\nb", "x" * 300,
]  # fmt: skip
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 1.0, 1.5, 10**400, -0.0, 1e300, float("nan"), float("inf")),
    *WORDS,
    *([], [None], [[]], [{}], ["text"], [1, "x"], [{"type": "text", "text": "x"}], [{"type": "text"}], [{"type": 3}]),
    *({}, {"type": None}, {"type": []}, {"type": "text", "text": 3}, {"\ud800": 1}, {"x": {"y": ["\0"]}}, {"url": ""}),
]
ANYTHING = st.sampled_from(VALUES)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every object or list with a key or index of it, all the way down."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places(inner)


def changed(body: Any, seed: int) -> Any:
    """A copy of a body in which one to three things were replaced, dropped, repeated or added."""
    choices = random.Random(seed)  # noqa: S311 — the same seed makes the same body
    body = copy.deepcopy(body)
    for _ in range(choices.randint(1, 3)):
        holder, key = choices.choice(list(places(body)))
        value = copy.deepcopy(choices.choice(VALUES))
        match choices.choice(["set", "set", "drop", "repeat"]):
            case "set":
                holder[key] = value
            case "drop":
                del holder[key]
            case _ if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case _:
                holder["x"] = value
    return body


def values_of(schema: dict[str, Any], definitions: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that a JSON schema allows, and now and then one that it doesn't."""
    if "$ref" in schema:
        return values_of(definitions[schema["$ref"].rpartition("/")[2]], definitions, depth)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return st.one_of([values_of(choice, definitions, depth + 1) for choice in choices])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    match schema.get("type"):
        case "object" if "properties" in schema:
            if depth > 9:
                return st.just({})
            fields = {name: values_of(field, definitions, depth + 1) for name, field in schema["properties"].items()}
            needed = {name: fields.pop(name) for name in schema.get("required", ())}
            return st.fixed_dictionaries(needed, optional=fields)
        case "array":
            if depth > 9:
                return st.just([])
            return st.lists(values_of(schema["items"], definitions, depth + 1), max_size=3)
        case "string":
            return st.sampled_from([word for word in WORDS if word.isprintable()])
        case "integer":
            return st.integers(-1, 3)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return ANYTHING


def shaped(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    schema = model.model_json_schema()
    return values_of(schema, schema.get("$defs", {}))


def check(read: Callable[[object], Request], body: Any) -> str:
    """Read a body; say how it went."""
    try:
        request = read(body)
    except RequestError as error:
        check_error(error)
        return "refused"
    check_request(request, open_end=read is read_count)
    return "taken"


def check_error(error: RequestError) -> None:
    assert error.status == 400
    assert 0 < len(str(error)) < 2000
    f"{error}{error.param}{error.code}".encode()


def check_request(request: Request, *, open_end: bool) -> None:
    """Hold a request against what `qpty.compat.requests` promises."""
    assert isinstance(request, Request)
    assert request.messages
    assert open_end or request.messages[-1].role == "user"
    assert all(one.role != other.role for one, other in pairwise(request.messages))
    for message in request.messages:
        assert message.parts
        for part in message.parts:
            check_part(part)
            assert isinstance(
                part, {"user": (Text, Image, File, ToolResult), "assistant": (Text, ToolCall)}[message.role]
            )
    assert len({(tool.namespace, tool.name) for tool in request.tools}) == len(request.tools)
    for tool in request.tools:
        json.dumps([tool.name, tool.description, tool.schema], ensure_ascii=False, allow_nan=False).encode()
        assert tool.custom == (tool.schema is None)
    if request.tool_choice.mode == "named":
        assert request.tool_choice.name in {tool.name for tool in request.tools}
    assert request.max_tokens is None or request.max_tokens > 0
    assert all(request.stop)
    assert list(request.ignored) == sorted(set(request.ignored))
    assert len(request.ignored) <= MAX_NAMES
    assert all(name.isascii() and name.isprintable() for name in request.ignored)
    assert {type(request.stream), type(request.include_usage), type(request.parallel_tool_calls)} == {bool}
    f"{request.system}{request.model}{request.hint}{request.previous_response_id}{request.stop}".encode()


def check_part(part: Part) -> None:
    match part:
        case Text(text=text):
            assert text.encode()
            assert "\0" not in text
        case Image():
            assert image_type(part.data) == part.media_type
        case ToolCall():
            assert isinstance(part.arguments, dict)
            json.dumps([part.id, part.name, part.arguments], ensure_ascii=False, allow_nan=False).encode()
        case ToolResult():
            for inner in part.parts:
                check_part(inner)


@pytest.mark.parametrize(("read", "body", "model"), READERS)
def test_changed_bodies(read: Callable[[object], Request], body: Any, model: type[BaseModel]) -> None:
    outcomes = Counter(check(read, changed(body, seed)) for seed in range(1000))
    assert min(outcomes["taken"], outcomes["refused"]) > 100


@pytest.mark.parametrize(("read", "body", "model"), READERS)
def test_bodies_of_the_right_shape(read: Callable[[object], Request], body: Any, model: type[BaseModel]) -> None:
    @settings(max_examples=100, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(shaped(model))
    def run(made: Any) -> None:
        check(read, made)

    run()


@pytest.mark.parametrize(("read", "body", "model"), READERS)
def test_the_body_that_is_changed_is_taken(
    read: Callable[[object], Request], body: Any, model: type[BaseModel]
) -> None:
    model.model_validate(body)
    assert check(read, body) == "taken"


@pytest.mark.parametrize("body", [None, 3, "x", [], True, [{}], {}, {"\ud800": 1}, {"a\0": 1}])
@pytest.mark.parametrize("read", [read_chat, read_responses, read_messages, read_count])
def test_bodies_that_are_not_objects_or_have_no_fields(read: Callable[[object], Request], body: Any) -> None:
    refused(read, body)


def nested(depth: int, *, lists: bool = False) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = [value] if lists else {"a": value}
    return value


@pytest.mark.parametrize("lists", [False, True])
def test_deep_values_are_refused_where_they_matter(lists: bool) -> None:
    for depth in (MAX_DEPTH, 100_000):
        deep = nested(depth, lists=lists)
        user = {"role": "user", "content": "x"}
        assert refused(read_chat, {"model": "m", "messages": deep}).param == "messages"
        assert refused(read_responses, {"model": "m", "input": [deep]}).param == "input"
        tools = [{"name": "look", "input_schema": {"type": "object", "properties": deep}}]
        error = refused(read_messages, {"model": "m", "max_tokens": 1, "messages": [user], "tools": tools})
        assert error.param == "tools"
        assert read_chat({"model": "m", "messages": [user], "metadata": deep}).ignored == ("metadata",)
        while deep:  # else freeing it recurses
            deep = deep.pop() if isinstance(deep, list) else deep.pop("a")


@pytest.mark.parametrize(
    ("text", "word"), [("a\0b", "character 1 is NUL"), ("ab\ud83d", "character 2 is the lone surrogate U+D83D")]
)
def test_texts_that_can_not_be_sent(text: str, word: str) -> None:
    for message in ({"role": "user", "content": text}, {"role": "user", "content": "x", "name": [{"y": text}]}):
        error = refused(read_chat, {"model": "m", "messages": [message]})
        assert word in str(error)
        assert error.param in {"messages.0.content", "messages.0.name.0.y"}
    tools = [{"name": "look", "input_schema": {"properties": {text: {}}}}]
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}], "tools": tools}
    assert refused(read_messages, body).param == "tools.0.input_schema.properties"
    assert read_chat({"model": "m", "messages": [{"role": "user", "content": "x"}], "user": text}).ignored == ("user",)


def test_what_an_error_repeats_is_short() -> None:
    call = {"type": "function_call", "call_id": "c" * 100_000, "name": "look", "arguments": "{}"}
    assert len(str(refused(read_responses, {"model": "m", "input": [{"role": "user", "content": "x"}, call]}))) < 400
    key = "k" * 100_000
    error = refused(read_chat, {"model": "m", "messages": [{key: "\0"}]})
    assert len(error.param or "") < 100


def test_many_ignored_names_are_cut() -> None:
    names = {f"field_{number:04}": 1 for number in range(500)}
    assert len(read_responses({"model": "m", "input": "x", **names}).ignored) == MAX_NAMES


def test_the_first_wrong_item_ends_the_check() -> None:
    parts = [3] * 200_000
    body = {"model": "m", "messages": [{"role": "user", "content": parts}], "stop": parts, "tools": parts}
    problems = 0
    try:
        ChatRequest.model_validate(body)
    except ValidationError as error:
        problems = error.error_count()
    assert problems == 3


def test_a_large_picture_is_not_copied_often() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}
    url = data_url(PNG + bytes(8 << 20))
    body["messages"][0]["content"][0]["image_url"] = url  # type: ignore[index]
    tracemalloc.start()
    try:
        read_chat(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(url)
