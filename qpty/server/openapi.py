"""The OpenAPI 3.1 document, made from the table of operations and the shapes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from pydantic.json_schema import models_json_schema

from qpty.compat.replies import Problem
from qpty.compat.writing.problems import anthropic_status, openai_status
from qpty.server.access.identity import COOKIE
from qpty.server.models import clients
from qpty.server.models import socket as frames
from qpty.server.models.common import ErrorAnswer, Model
from qpty.server.operations import FORM, JSON
from qpty.server.statuses import status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pydantic import BaseModel

    from qpty.server.operations import Family, Operation, Reply

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """The document as JSON, in two wordings: for a server that asks for keys, and for one that doesn't."""

    with_keys: bytes
    without_keys: bytes


DOCUMENT: Final = web.AppKey("document", Document)

TAGS: Final = {
    "talking": "Messages and answers. A question (a permission, a menu) suspends a turn until it is answered.",
    "sessions": "A session is one conversation in one directory, with one journal.",
    "journal": "A session's numbered events, live. Whoever was cut off goes on after the last number it has.",
    "files": "The files in a session's directory.",
    "terminal": "What a person would see.",
    "sign-in": "Keys for browsers.",
    "clients": "For OpenAI's and Anthropic's clients, in their own shapes: see their documents.",
    "service": "The service itself.",
}

ANYWHERE: Final = ("host_refused", "origin_refused", "rate_limited", "internal_error")
"""Errors that any operation may answer; those that ask for a key may answer two more."""

WITH_KEY: Final = ("key_required", "key_refused")
HTML: Final = "text/html"
WITH_STORAGE: Final = ("storage_busy", "storage_failed", "overloaded")

DESCRIPTION: Final = """The Amazon Q command line, served to programs and browsers as exact, typed, durable events.

Everything is a view of one thing: a session's numbered journal. Errors have one shape; `error.code` is stable."""

TEMPLATE: Final = "#/components/schemas/{model}"

PARTS: Final[Mapping[str, Json]] = {
    "session_id": {"type": "string", "format": "uuid"},
    "turn_id": {"type": "string", "format": "uuid"},
    "request_id": {"type": "string", "minLength": 1, "description": "The question's, as its event has it."},
    "path": {"type": "string", "minLength": 1, "description": "With `/` between names."},
    "view": {"type": "string", "enum": ["files", "terminal"]},
    "token": {"type": "string", "minLength": 1},
    "model_id": {"type": "string", "minLength": 1},
}
"""The schemas of the parts of paths."""

_PART: Final = re.compile(r"\{(\w+)\}")

FRAMES: Final[tuple[type[Model], ...]] = (
    *frames.ClientFrame.__args__,
    frames.HelloFrame,
    frames.AckFrame,
    frames.ErrorFrame,
    frames.EventFrame,
    frames.RenderedFrame,
    frames.ScreenUpdateFrame,
    frames.KeyboardStateFrame,
)
"""What goes over a WebSocket: a part of the interface that OpenAPI has no place for but its schemas."""

FAMILY_ERRORS: Final[Mapping[Family, tuple[type[Model], ...]]] = {
    "openai": (clients.OpenAIError,),
    "anthropic": (clients.AnthropicError,),
    "either": (clients.OpenAIError, clients.AnthropicError),
}
FAMILY_STATUSES: Final[Mapping[Family, tuple[Callable[[Problem], int], ...]]] = {
    "openai": (openai_status,),
    "anthropic": (anthropic_status,),
    "either": (openai_status, anthropic_status),
}

SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "name": "x-api-key", "in": "header"},
    "cookie": {"type": "apiKey", "name": COOKIE, "in": "cookie"},
}


def document(operations: Sequence[Operation], *, version: str) -> Document:
    """Return the document."""
    return Document(
        with_keys=_document(operations, version, keys=True), without_keys=_document(operations, version, keys=False)
    )


def _document(operations: Sequence[Operation], version: str, *, keys: bool) -> bytes:
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, keys=keys)
    return json.dumps(
        {
            "openapi": "3.1.1",
            "info": {"title": "qpty", "version": version, "description": DESCRIPTION},
            "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
            "paths": paths,
            "components": {"schemas": _schemas(operations), "securitySchemes": SCHEMES},
        },
        ensure_ascii=False,
    ).encode()


def _schemas(operations: Sequence[Operation]) -> Json:
    """Return every shape; those of requests as they are read, those of answers as they are written."""
    models: set[type[BaseModel]] = {ErrorAnswer, *FAMILY_ERRORS["either"], *FRAMES}
    for operation in operations:
        models |= {reply.model for reply in operation.replies if reply.model is not None}
        models |= {body for body in (operation.body, operation.form) if body is not None}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, found = models_json_schema([(model, "validation") for model in ordered], ref_template=TEMPLATE)
    schemas: Json = found["$defs"]
    return schemas


def _described(operation: Operation, *, keys: bool) -> Json:
    described: Json = {
        "tags": [operation.tag],
        "summary": operation.summary,
        "operationId": operation.id,
        "responses": {**_replies(operation.replies), **_errors(operation)},
        "security": [{name: []} for name in SCHEMES] if keys and not operation.public else [],
    }
    if parameters := [*_path(operation), *_query(operation), *_headers(operation)]:
        described["parameters"] = parameters
    if operation.upload:
        described["requestBody"] = {"required": False, "content": {"application/octet-stream": {"schema": {}}}}
    elif operation.form is not None:
        described["requestBody"] = {"required": True, "content": _json_of(operation.form, FORM)}
    elif operation.body is not None:
        described["requestBody"] = {"required": not operation.body_optional, "content": _json_of(operation.body)}
    return described


def _path(operation: Operation) -> Iterable[Json]:
    for name in _PART.findall(operation.path):
        yield {"name": name, "in": "path", "required": True, "schema": PARTS[name]}


def _query(operation: Operation) -> Iterable[Json]:
    if operation.query is None:
        return
    for name, schema in operation.query.model_json_schema()["properties"].items():
        description = schema.pop("description", "")
        yield {"name": name, "in": "query", "description": description, "schema": _without_null(schema)}


def _without_null(schema: Mapping[str, Any]) -> Json:
    """Return a query parameter's schema: one that may be left out can't be null."""
    found = dict(schema)
    choices = [choice for choice in found.pop("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        found.update(choices[0])
    if found.get("default", ...) is None:
        del found["default"]
    return found


def _headers(operation: Operation) -> Iterable[Json]:
    for header in operation.headers:
        schema = {"type": "string"} | ({"pattern": header.pattern} if header.pattern is not None else {})
        yield {"name": header.name, "in": "header", "description": header.meaning, "schema": schema}


def _replies(replies: Iterable[Reply]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for reply in replies:
        response = found.setdefault(str(reply.status), {"description": reply.description or "It was done."})
        if reply.model is not None:
            response.setdefault("content", {}).update(_json_of(reply.model))
        elif reply.media_type:
            response.setdefault("content", {})[reply.media_type] = {}
    return found


def _errors(operation: Operation) -> dict[str, Json]:
    codes = {*operation.errors, *ANYWHERE, *WITH_STORAGE}
    if operation.query is not None or operation.reads:
        codes.add("invalid_request")
    if operation.reads:
        codes.add("unsupported_encoding")
    if operation.body is not None or operation.form is not None:
        codes |= {"unsupported_media_type", "body_too_large"}
    if not operation.public:
        codes |= {*WITH_KEY}
    if operation.family is not None:
        return _family_errors(operation.family, codes)
    by_status: dict[int, list[str]] = {}
    for code in sorted(codes):
        by_status.setdefault(status_of(code), []).append(code)
    taken = {reply.status for reply in operation.replies}
    pages: dict[int, Json] = {401: {HTML: {}}} if operation.method == "GET" else {}  # for browsers, to sign in
    if any(reply.media_type == HTML for reply in operation.replies):
        pages[404] = {HTML: {}}
    return {
        str(status): {
            "description": "One of these codes: " + ", ".join(f"`{code}`" for code in found),
            "content": {**_json_of(ErrorAnswer), **pages.get(status, {})},
        }
        for status, found in sorted(by_status.items())
        if status not in taken
    }


def _family_errors(family: Family, codes: Iterable[str]) -> dict[str, Json]:
    """Return the errors that a family's clients get: in its own shape, with its own statuses."""
    statuses: set[int] = set()
    for code in codes:
        problem = Problem(status=status_of(code), code=code, message="", request_id="")
        statuses |= {told(problem) for told in FAMILY_STATUSES[family]}
    shapes = [{"$ref": TEMPLATE.format(model=model.__name__)} for model in FAMILY_ERRORS[family]]
    schema = shapes[0] if len(shapes) == 1 else {"anyOf": shapes}
    return {
        str(status): {"description": "As its clients know it.", "content": {JSON: {"schema": schema}}}
        for status in sorted(statuses)
    }


def _json_of(model: type[BaseModel], media_type: str = JSON) -> Json:
    return {media_type: {"schema": {"$ref": TEMPLATE.format(model=model.__name__)}}}
