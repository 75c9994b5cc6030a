"""OpenAI's published schema, to hold every object and event against that is sent.

`QPTY_OPENAI_SCHEMA` is its file, by default `../shared/openai-openapi/openapi.json` from the repository's root; `none`
says there is none. Where it is absent these tests are skipped; in CI that is a failure unless `none` says so.
"""

from __future__ import annotations

import functools
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from tests.lab import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX = "#/components/schemas/"


def schema_file() -> Path | None:
    """The schema's file, None where there is none."""
    setting = os.environ.get("QPTY_OPENAI_SCHEMA", "../shared/openai-openapi/openapi.json")
    if setting == "none":
        return None
    path = (ROOT / setting).resolve()
    return path if path.is_file() else None


def require_schema() -> None:
    """Skip where there is no schema."""
    if schema_file() is None:
        if os.environ.get("CI") and os.environ.get("QPTY_OPENAI_SCHEMA") != "none":
            pytest.fail("CI needs OpenAI's schema: set QPTY_OPENAI_SCHEMA to its file, or to 'none'")
        pytest.skip("no OpenAI schema here: set QPTY_OPENAI_SCHEMA to its file (openai/openai-openapi, as JSON)")


def with_nulls(schema: Any) -> Any:
    """Rewrite `nullable: true`, which OpenAPI 3.1 doesn't know any more, to a choice with null."""
    if isinstance(schema, list):
        return [with_nulls(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {name: with_nulls(one) for name, one in schema.items() if name != "nullable"}
    return {"anyOf": [rest, {"type": "null"}]} if schema.get("nullable") is True else rest


@functools.cache
def components() -> dict[str, Any]:
    """All named schemas, rewritten."""
    path = schema_file()
    assert path is not None
    schemas: dict[str, Any] = with_nulls(json.loads(path.read_text(encoding="utf-8"))["components"]["schemas"])
    return schemas


@functools.cache
def validator(name: str) -> Draft202012Validator:
    """What holds an object against a named schema."""
    return Draft202012Validator({"$ref": PREFIX + name, "components": {"schemas": components()}})


@functools.cache
def event_schemas() -> Mapping[str, str]:
    """Type of an event of Responses → the name of its schema."""
    names = [one["$ref"].removeprefix(PREFIX) for one in components()["ResponseStreamEvent"]["anyOf"]]
    return {kind: name for name in names for kind in components()[name]["properties"]["type"]["enum"]}


def check(name: str, instance: Any) -> None:
    """Fail where an object isn't what its schema says, as JSON would carry it."""
    sent = json.loads(json.dumps(instance))
    errors = [f"{error.json_path}: {error.message[:300]}" for error in validator(name).iter_errors(sent)]
    assert not errors, f"not a {name}: {errors}"


def check_event(event: Any) -> None:
    """The same for an event of Responses, by its type."""
    assert event["type"] in event_schemas(), f"{event['type']} is no published event"
    check(event_schemas()[event["type"]], event)
