"""Answers that have to be JSON, and schemas of strangers."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.compat import json_answers as module
from qpty.compat.json_answers import JsonAnswerError, check_schema, json_of
from qpty.compat.requests import JsonFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

ANY = JsonFormat()
COLOUR = JsonFormat(
    {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "blue"]}, "pages": {"type": "array", "items": {"type": "integer"}}},
        "required": ["colour"],
        "additionalProperties": False,
    }
)

SLOW = "^(a|a)*$"
"""Takes longer with every character of a text that nearly matches."""

NEARLY = "a" * 60 + "!"

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"


def refused(text: str, wanted: JsonFormat) -> str:
    with pytest.raises(JsonAnswerError) as caught:
        json_of(text, wanted)
    assert str(caught.value) == caught.value.why
    return caught.value.why


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Refuse connections; the list has those that were wanted."""
    wanted: list[object] = []

    def refuse(*arguments: object, **more: object) -> NoReturn:
        wanted.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield wanted
    assert wanted == []


# -- found


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        ' \n{"a": 1}\n',
        '```json\n{"a": 1}\n```',
        '```\n{"a": 1}\n```\n',
        '\n ```JSON5 x\n\n {"a": 1}```  ',
        '~~~json\n{"a": 1}\n~~~',
        '````json\n{"a": 1}\n````',
        '```json\r\n{"a": 1}\r\n```',
    ],
)
def test_the_json_is_found_as_it_was_written(text: str) -> None:
    assert json_of(text, ANY) == '{"a": 1}'


@given(st.dictionaries(st.text(), st.text() | st.integers(), max_size=4), st.sampled_from([None, 2]), st.booleans())
def test_whatever_is_in_it_a_fence_can_be_taken_off(value: dict[str, Any], indent: int | None, escaped: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=escaped)
    assert json_of(text, ANY) == text
    assert json_of(f"```json\n{text}\n```", ANY) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Here it is: {}",
        "{} {}",
        "{'a': 1}",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '```json\n{"a": 1}',
        '{"a": 1}\n```',
        "```",
        "```\n```",
        "[" * 100_000,
        '{"a": ' + "1" * 5_000 + "}",
    ],
)
def test_what_is_no_json_is_said_to_be_none(text: str) -> None:
    assert refused(text, ANY).startswith("it is not JSON (")


@pytest.mark.parametrize("text", ["[]", "1", '"{}"', "null"])
def test_without_a_schema_it_has_to_be_an_object(text: str) -> None:
    assert refused(text, ANY) == "it is not a JSON object"


@pytest.mark.parametrize("text", ["```json\n" + " " * 200_000 + "x", "~" * 200_000, "`" * 200_000, " " * 200_000 + "x"])
def test_a_long_text_is_looked_at_once(text: str) -> None:
    began = time.process_time()
    refused(text, ANY)
    assert time.process_time() - began < 2.0


# -- held against a schema


@pytest.mark.parametrize("text", ['{"colour": "red"}', '```json\n{"colour": "blue", "pages": [1, 2]}\n```'])
def test_what_fits_is_taken(text: str) -> None:
    assert json.loads(json_of(text, COLOUR))["colour"] in {"red", "blue"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{}", "the whole: 'colour' is a required property"),
        ('{"colour": "green"}', "colour: 'green' is not one of ['red', 'blue']"),
        ('{"colour": "red", "pages": [1, "x"]}', "pages/1: 'x' is not of type 'integer'"),
        ('{"colour": "red", "more": 1}', "the whole: Additional properties are not allowed ('more' was unexpected)"),
        ("[]", "the whole: [] is not of type 'object'"),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(text: str, why: str) -> None:
    assert refused(text, COLOUR) == why


def test_references_within_the_schema_are_followed() -> None:
    tree = {
        "$id": "https://example.com/tree",
        "$schema": DRAFT_2020,
        "$defs": {
            "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}}}
        },
        "$ref": "#/$defs/node",
    }
    assert json_of('{"next": {"next": {"n": 1}}}', JsonFormat(tree))
    assert refused('{"next": {"next": {"n": "x"}}}', JsonFormat(tree)).startswith("next/next/n: ")


def test_an_anchor_is_followed() -> None:
    schema = {"$defs": {"n": {"$anchor": "number", "type": "integer"}}, "properties": {"n": {"$ref": "#number"}}}
    assert json_of('{"n": 1}', JsonFormat(schema))
    assert refused('{"n": "x"}', JsonFormat(schema)).startswith("n: ")


def test_any_text_matches_a_pattern() -> None:
    schema = JsonFormat({"properties": {"a": {"type": "string", "pattern": "^x$"}}})
    assert json_of('{"a": "y"}', schema)
    assert refused('{"a": 1}', schema).startswith("a: ")


def test_any_other_property_is_one_of_the_patterns() -> None:
    schema = JsonFormat({"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False})
    assert json_of('{"y": "z"}', schema)


def test_a_pattern_need_not_be_one_of_pythons() -> None:
    check_schema({"pattern": r"^\p{L}+$"})
    assert json_of('{"a": 1}', JsonFormat({"type": "object", "properties": {"b": {"pattern": r"^\p{L}+$"}}}))


# -- strangers


@pytest.mark.parametrize("name", ["$ref", "$dynamicRef"])
@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/schema", "https://example.com/x#/a", "file:///etc/passwd", "other.json", DRAFT_2020]
)
@pytest.mark.usefixtures("no_network")
def test_nothing_outside_the_schema_is_read(name: str, address: str) -> None:
    base = address.partition("#")[0]
    for schema in ({name: address}, {"$id": base, "properties": {"a": {"$id": base, name: address}}}):
        assert "refers to" in refused('{"a": 1}', JsonFormat(schema))


@pytest.mark.usefixtures("no_network")
def test_another_schemas_name_makes_it_no_other_schema() -> None:
    schema = {
        "$schema": "https://example.com/mine",
        "$id": "https://example.com/x",
        "type": "object",
        "$ref": "#/$defs/a",
    }
    assert json_of("{}", JsonFormat({**schema, "$defs": {"a": {"$id": "https://example.com/y"}}})) == "{}"


def test_no_part_of_a_schema_is_the_standards_own() -> None:
    # By that name `#` would be the schema of schemas, which leads back to `meta` by rules that try patterns.
    schema = {"$dynamicAnchor": "meta", "properties": {"a": {"pattern": SLOW}}}
    why = refused(json.dumps({"a": NEARLY}), JsonFormat({**schema, "allOf": [{"$id": DRAFT_2020, "$ref": "#"}]}))
    assert why.startswith("the schema can't be applied")


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": SLOW},
        {"properties": {"a": {"pattern": SLOW}}},
        {"propertyNames": {"pattern": SLOW}},
        {"patternProperties": {SLOW: {"type": "integer"}}},
        {"patternProperties": {SLOW: {}}, "additionalProperties": False},
        {"unevaluatedProperties": False, "allOf": [{"patternProperties": {SLOW: {}}}]},
        {"properties": {"a": {"$schema": DRAFT_7, "pattern": SLOW}}},
        {"properties": {"a": {"$schema": DRAFT_2020, "pattern": SLOW}}},
        {"not": {"$schema": DRAFT_7, "pattern": SLOW, "type": "integer"}},
        {"$schema": DRAFT_7, "properties": {"a": {"not": {"not": {"pattern": SLOW}}}}},
        {"$ref": "#/x", "x": {"$schema": DRAFT_7, "properties": {"a": {"pattern": SLOW}}}},
        {"$ref": "#/examples/0", "examples": [{"$schema": DRAFT_7, "properties": {"a": {"pattern": SLOW}}}]},
        {"$id": DRAFT_2020, "$dynamicAnchor": "meta", "properties": {"a": {"pattern": SLOW}}},
        {"properties": {"a": {"pattern": "((((((((((a*)*)*)*)*)*)*)*)*)*!!"}}},
    ],
)
def test_no_pattern_is_tried(schema: dict[str, Any]) -> None:
    text = json.dumps({"a": NEARLY, NEARLY: NEARLY})
    assert json_of(text, JsonFormat(schema)) == text


def test_a_schema_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.05)
    steps = {f"s{n}": {"allOf": [{"$ref": f"#/$defs/s{n + 1}"}] * 2} for n in range(60)}
    schema = {"$defs": {**steps, "s60": {}}, "$ref": "#/$defs/s0"}
    assert refused("{}", JsonFormat(schema)) == "it takes too long to hold it against the schema"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$dynamicRef": "#a", "$dynamicAnchor": "a"},
        {"$ref": "#/$defs/nothing"},
        {"$ref": "#nothing"},
        {"$ref": "#/title", "title": "x"},
        {"$ref": "#/enum/x", "enum": ["x"]},
        {"$ref": "#/enum/5", "enum": [{}]},
        {"$ref": "#/enum/0", "enum": [{"type": "nothing"}]},
        {"$ref": "#/enum/0", "enum": [{"minProperties": "x"}]},
        {"$ref": "#/enum/0", "enum": [{"$ref": 1}]},
        {"$ref": "#/properties", "properties": {"$schema": {"type": "object"}, "required": {"a": 1}}},
        {"properties": {"a": {"multipleOf": 1e-300}}},
    ],
)
def test_a_schema_that_can_not_be_applied(schema: dict[str, Any]) -> None:
    text = '{"a": 1' + "0" * 400 + "}"
    assert refused(text, JsonFormat(schema)).startswith(("the schema ", "the whole: "))


@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"minLength": -1}, {"properties": []}, {"$ref": 1}])
def test_what_is_no_schema_is_said_to_be_none(schema: dict[str, Any]) -> None:
    with pytest.raises(JsonAnswerError, match="the schema is not a JSON schema: "):
        check_schema(schema)
    assert refused("{}", JsonFormat(schema)).startswith("the schema is not a JSON schema: ")


def test_a_schema_without_end_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(5_000):
        schema = {"not": schema}
    with pytest.raises(JsonAnswerError):
        check_schema(schema)


KEYWORDS = [
    "type",
    "$ref",
    "properties",
    "a",
    "$defs",
    "allOf",
    "not",
    "enum",
    "items",
    "pattern",
    "$dynamicRef",
    "$anchor",
    "required",
    "minimum",
    "contains",
    "if",
    "$schema",
    "patternProperties",
    "unevaluatedItems",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from(["a", "#", "#/a", "#/$defs/a", "string", "object"]),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYWORDS),
            inside,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(VALUES.filter(lambda value: isinstance(value, dict)), VALUES)
def test_whatever_the_schema_is_the_answer_is_taken_or_refused(schema: dict[str, Any], value: object) -> None:
    text = json.dumps(value)
    with suppress(JsonAnswerError):
        assert json_of(text, JsonFormat(schema)) == text


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"type": "number"}] * 3_000},
        {"anyOf": [False] * 6_000},
        {"enum": list(range(6_000))},
        {"description": "x" * 200_000},
        {"properties": {"x" * 70_000: {}, "y" * 70_000: {}}},
    ],
)
def test_a_schema_that_is_too_large_is_refused_before_it_is_tried(schema: dict[str, Any]) -> None:
    with pytest.raises(JsonAnswerError, match="too large"):
        check_schema(schema)


def test_a_long_answer_to_a_large_schema_is_refused_before_it_is_tried() -> None:
    schema = {"type": "object", "properties": {"a": {"anyOf": [{"type": "number"}] * 2_000}}}
    with pytest.raises(JsonAnswerError, match="too long"):
        json_of(json.dumps({"a": "x" * 20_000}), JsonFormat(schema))


def test_unique_items_are_looked_for_in_one_pass() -> None:
    wanted = JsonFormat({"type": "array", "uniqueItems": True})
    many = json.dumps([{"a": at} for at in range(20_000)])
    assert json_of(many, wanted) == many
    with pytest.raises(JsonAnswerError, match="twice"):
        json_of('[{"a": 1, "b": 2}, {"b": 2, "a": 1}]', wanted)
