"""What Schemathesis can't know of us: what exists, and which streams would never end.

Loaded by the `schemathesis` program, which `test_schemathesis` runs.
"""

from __future__ import annotations

import json
import os
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation

if TYPE_CHECKING:
    from schemathesis import Case, HookContext

EXISTING = json.loads(os.environ["QPTY_TEST_EXISTING"])
"""`url`, `headers`, and what exists: `session_id`, `turn_id`, `request_id`."""

SHARE = 4
"""One of so many well-formed requests keeps the id that was made up; the others go to what exists."""

LINE_BYTES = 7000
"""Of what stands in a URL: aiohttp refuses a request line of more than 8,190 before anything of ours sees it."""


@schemathesis.hook
def filter_query(context: HookContext, query: dict[str, Any] | None) -> bool:
    """Keep what fits into a request line."""
    return sum(len(quote(str(value))) for value in (query or {}).values()) < LINE_BYTES


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Lead requests to something that exists, unless a made-up path is the point of this one."""
    meta = case.meta
    mode = meta.generation.mode if meta is not None else None
    if meta is None or not meta.is_negative_at(ParameterLocation.PATH):
        _lead_to_what_exists(case)
    if case.operation.definition.raw["operationId"] == "events" and case.query.get("follow") in (None, True, "true"):
        case.query["follow"] = "false"  # the answer would last for ever
    if meta is not None and mode is not None and case.meta is not None:
        case.meta.generation.mode = mode  # what was a wrong request is one still


def _lead_to_what_exists(case: Case[Any]) -> None:
    parts = case.path_parameters
    deletes = case.operation.definition.raw["operationId"] == "delete_session"
    if deletes and _is_id(parts["session_id"]):
        parts["session_id"] = _new_session()  # always: what another request made and looks for must stay
    elif "session_id" in parts and _is_id(parts["session_id"]) and _often(parts["session_id"]):
        parts["session_id"] = EXISTING["session_id"]
        for name in ("turn_id", "request_id"):
            if name in parts and _often(str(parts[name])):
                parts[name] = EXISTING[name]
    if isinstance(case.body, dict) and isinstance(case.body.get("session_id"), str):
        case.body["session_id"] = EXISTING["session_id"]


def _is_id(text: object) -> bool:
    try:
        return isinstance(text, str) and str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _often(text: str) -> bool:
    return sum(text.encode()) % SHARE != 0


def _new_session() -> str:
    made = requests.post(EXISTING["url"] + "/api/v1/sessions", headers=EXISTING["headers"], timeout=30)
    return str(made.json()["session_id"])
