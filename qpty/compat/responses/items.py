"""The items that a Response's output is a row of: a message, calls of tools.

Their ids follow from the Response's own and from their place, so that the same answer has the same ids whenever it is
told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from qpty.compat.writing.tool_text import arguments_text, input_text

if TYPE_CHECKING:
    from qpty.compat.requests import ToolCall

ItemStatus = Literal["in_progress", "completed", "incomplete"]


def item_id(prefix: str, response_id: str, place: int) -> str:
    """Return the id of the item at a place of the output."""
    return f"{prefix}_{response_id.removeprefix('resp_')}_{place}"


def text_part(text: str) -> dict[str, Any]:
    """Return the only part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message_item(identity: str, text: str | None, status: ItemStatus) -> dict[str, Any]:
    """Return a message; without text it has no part yet."""
    content = [] if text is None else [text_part(text)]
    return {"id": identity, "type": "message", "role": "assistant", "status": status, "content": content}


def call_item(response_id: str, place: int, call: ToolCall, *, begun: bool) -> dict[str, Any]:
    """Return a call; one that has only begun has no arguments yet."""
    prefix, kind = ("ctc", "custom_tool_call") if call.custom else ("fc", "function_call")
    item: dict[str, Any] = {
        "id": item_id(prefix, response_id, place),
        "type": kind,
        "status": "in_progress" if begun else "completed",
        "call_id": call.id,
        "name": call.name,
    }
    if call.namespace is not None:
        item["namespace"] = call.namespace
    if call.custom:
        item["input"] = "" if begun else input_text(call)
    else:
        item["arguments"] = "" if begun else arguments_text(call)
    return item
