"""What a Response repeats of its request.

Null is what the client can't set here: q has no say over temperature and the like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qpty.compat.requests import JsonFormat, Request, ToolSpec

SCHEMA_NAME: Final = "answer"
"""Of a JSON schema that the client gave no name; the Response has to name it."""


def echo(request: Request) -> Mapping[str, Any]:
    """Return the fields of a Response that its request decides."""
    return {
        "background": False,
        "instructions": request.system or None,
        "max_output_tokens": request.max_tokens,
        "max_tool_calls": None,
        "metadata": {},
        "parallel_tool_calls": request.parallel_tool_calls,
        "previous_response_id": request.previous_response_id,
        "reasoning": {"effort": None, "summary": None},
        "temperature": None,
        "text": {"format": _format(request.json)},
        "tool_choice": _tool_choice(request),
        "tools": _tools(request.tools),
        "top_p": None,
        "truncation": "disabled",
    }


def _format(wanted: JsonFormat | None) -> Mapping[str, Any]:
    if wanted is None:
        return {"type": "text"}
    if wanted.schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "name": wanted.name or SCHEMA_NAME, "schema": wanted.schema}


def _tool_choice(request: Request) -> str | Mapping[str, Any]:
    choice = request.tool_choice
    if choice.mode != "named":
        return choice.mode
    custom = any(tool.custom for tool in request.tools if tool.name == choice.name)
    return {"type": "custom" if custom else "function", "name": choice.name}


def _tools(tools: Sequence[ToolSpec]) -> Sequence[Mapping[str, Any]]:
    """Tools as they were given; those of a namespace in it, at the place of its first."""
    told: list[Mapping[str, Any]] = []
    namespaces: dict[str, list[Mapping[str, Any]]] = {}
    for tool in tools:
        if tool.namespace is None:
            told.append(_tool(tool))
        elif tool.namespace in namespaces:
            namespaces[tool.namespace].append(_tool(tool))
        else:
            held = namespaces[tool.namespace] = [_tool(tool)]
            told.append({"type": "namespace", "name": tool.namespace, "description": "", "tools": held})
    return told


def _tool(tool: ToolSpec) -> Mapping[str, Any]:
    if tool.custom:
        return {"type": "custom", "name": tool.name, "description": tool.description, "format": {"type": "text"}}
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.schema,
        "strict": False,  # nothing holds q's model to a schema
    }
