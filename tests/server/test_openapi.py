"""The document: valid, complete, true to the table of operations, and readable without any other host."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from openapi_pydantic import OpenAPI

from qpty import __version__
from qpty.server.api import OPERATIONS
from qpty.server.models import socket as frames
from qpty.server.openapi import FRAMES, SCHEMES, document
from qpty.server.statuses import status_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import Serve

DOCUMENT: dict[str, Any] = json.loads(document(OPERATIONS, version=__version__).with_keys)
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def references(node: Any) -> Iterator[str]:
    """Every `$ref` in a piece of the document."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_it_is_openapi_3_1_and_every_reference_leads_somewhere() -> None:
    read = OpenAPI.model_validate(DOCUMENT)
    assert read.openapi.startswith("3.1.")
    assert read.info.version == __version__
    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in SCHEMAS, reference
    used = {reference.rpartition("/")[2] for reference in found}
    assert set(SCHEMAS) - used <= {frame.__name__ for frame in FRAMES}, "a schema that nothing uses"


def test_every_operation_is_in_it_with_a_name_of_its_own() -> None:
    rows = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert rows == {(operation.method.lower(), operation.path) for operation in OPERATIONS}
    names = [row["operationId"] for methods in DOCUMENT["paths"].values() for row in methods.values()]
    assert len(set(names)) == len(names) == len(OPERATIONS)
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    assert {tag for methods in DOCUMENT["paths"].values() for row in methods.values() for tag in row["tags"]} == tags


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_an_operation_says_what_it_takes_and_gives(operation: Any) -> None:
    row = DOCUMENT["paths"][operation.path][operation.method.lower()]
    parts = re.findall(r"\{(\w+)\}", operation.path)
    assert [parameter["name"] for parameter in row.get("parameters", []) if parameter["in"] == "path"] == parts
    query = [parameter["name"] for parameter in row.get("parameters", []) if parameter["in"] == "query"]
    assert query == (list(operation.query.model_fields) if operation.query is not None else [])
    assert ("requestBody" in row) == operation.reads
    replies = {str(reply.status) for reply in operation.replies}
    errors = {str(status_of(code)) for code in operation.errors} | {"503"} if operation.family is None else set()
    assert replies | errors | {"403", "429", "500"} <= set(row["responses"])
    assert ("401" in row["responses"]) >= (not operation.public)
    for status, response in row["responses"].items():
        assert response["description"]
        if int(status) >= 400 and status not in replies:
            schema = response["content"]["application/json"]["schema"]
            names = {None: "ErrorAnswer", "openai": "OpenAIError", "anthropic": "AnthropicError"}
            if operation.family == "either":
                assert len(schema["anyOf"]) == 2
            else:
                assert schema == {"$ref": f"#/components/schemas/{names[operation.family]}"}


def test_what_may_be_absent_is_not_required_and_never_null() -> None:
    answer = SCHEMAS["ChatAnswer"]
    assert {"session_id", "turn_id", "text", "exact", "tools", "timings", "timestamp"} <= set(answer["required"])
    assert not {"stop_reason", "question"} & set(answer["required"])
    assert answer["properties"]["stop_reason"]["enum"] == ["end_turn", "interrupted"]
    for name in ("ChatAnswer", "ErrorDetail", "AckFrame", "ErrorFrame", "EventFrame"):
        assert '"null"' not in json.dumps(SCHEMAS[name]), name
    assert SCHEMAS["Run"]["required"] == ["text"]
    assert set(SCHEMAS["Session"]["required"]) == set(SCHEMAS["Session"]["properties"])


def test_every_frame_of_the_socket_has_a_schema() -> None:
    sent = {frame.model_fields["type"].annotation for frame in frames.ClientFrame.__args__}
    assert len(sent) == len(frames.ClientFrame.__args__) == 10
    for frame in (*frames.ClientFrame.__args__, *FRAMES):
        assert frame.__name__ in SCHEMAS
        assert "type" in SCHEMAS[frame.__name__]["required"]
    events = set(SCHEMAS["EventFrame"]["properties"]["type"]["enum"])
    assert {
        "turn.queued",
        "turn.completed",
        "turn.failed",
        "message.delta",
        "session.revived",
        "journal.reset",
    } <= events


def test_keys_are_asked_for_where_they_are() -> None:
    without = json.loads(document(OPERATIONS, version=__version__).without_keys)
    for operation in OPERATIONS:
        row = DOCUMENT["paths"][operation.path][operation.method.lower()]
        assert row["security"] == ([] if operation.public else [{name: []} for name in SCHEMES])
        assert without["paths"][operation.path][operation.method.lower()]["security"] == []
    assert set(DOCUMENT["components"]["securitySchemes"]) == {"bearer", "header", "cookie"}


async def test_it_is_served_in_the_wording_for_its_keys(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        status, found = await served.ask("GET", "/openapi.json")
        assert (status, found["paths"]["/api/v1/chat"]["post"]["security"]) == (200, [])
    async with serve_demo(openai_keys="a-key-of-this-test") as served:
        status, found = await served.ask("GET", "/openapi.json")
        assert (status, found) == (200, DOCUMENT)


async def test_the_page_needs_no_other_host(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        async with served.http.get(f"{served.url}/docs") as response:
            assert (response.status, response.content_type) == (200, "text/html")
            page = await response.text()
            policy = response.headers["Content-Security-Policy"]
        assert "http" not in policy
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
        needed = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert len(needed) >= 3
        assert "<script>" not in page
        for path in needed:
            if path == "data:,":
                continue  # no icon, so that none is asked for
            assert path.startswith("/assets/"), path
            async with served.http.get(served.url + path) as response:
                assert response.status == 200
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                etag, body = response.headers["ETag"], await response.read()
                assert response.content_type == ("text/css" if path.endswith(".css") else "text/javascript")
            assert len(body) > 20
            async with served.http.get(served.url + path, headers={"If-None-Match": f"W/{etag}"}) as response:
                assert (response.status, await response.read()) == (304, b"")
        assert "/openapi.json" in (await served.ask("GET", "/assets/documentation.js"))[1]
