"""The Model Context Protocol's side of the client's tools: what the CLI asks, and what it is answered.

The CLI has one connection for each session, told apart by the unguessable token in its address. Messages are those of
the protocol's version 2025-03-26, one a request, answered as plain JSON; nothing is ever sent unasked.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import mcp_types as mcp
from pydantic import ValidationError

from qpty import __version__
from qpty.compat.requests import File, Image, Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

    from qpty.compat.client_tools.toolbox import Toolbox
    from qpty.compat.requests import ToolResult

VERSIONS: Final = ("2025-03-26", "2025-06-18", "2024-11-05")
"""Of the protocol; the first is answered where another one is asked for."""

EMPTY: Final = "(The tool returned nothing.)"


async def respond(toolbox: Toolbox, message: object) -> Mapping[str, Any] | None:
    """Return the answer to a message of the CLI's, as JSON; None for what has none (a notification)."""
    if not isinstance(message, dict):
        return _error(None, mcp.INVALID_REQUEST, "a message is a JSON object")
    if "id" not in message:
        return None
    try:
        request = mcp.JSONRPCRequest.model_validate(message)
    except ValidationError as error:
        return _error(None, mcp.INVALID_REQUEST, str(error)[:500])
    try:
        result = await _result(toolbox, request.method, request.params or {})
    except ValidationError as error:
        return _error(request.id, mcp.INVALID_PARAMS, str(error)[:500])
    if result is None:
        return _error(request.id, mcp.METHOD_NOT_FOUND, f"{request.method} is not offered here")
    return {"jsonrpc": mcp.JSONRPC_VERSION, "id": request.id, "result": _json(result)}


async def _result(toolbox: Toolbox, method: str, params: Mapping[str, Any]) -> BaseModel | None:
    match method:
        case "initialize":
            return _initialized(mcp.InitializeRequestParams.model_validate(params))
        case "ping":
            return mcp.EmptyResult()
        case "tools/list":
            return mcp.ListToolsResult(tools=_tools(toolbox))
        case "tools/call":
            called = mcp.CallToolRequestParams.model_validate(params)
            return _returned(await toolbox.call(called.name, called.arguments or {}))
        case _:
            return None


def _initialized(asked: mcp.InitializeRequestParams) -> mcp.InitializeResult:
    version = asked.protocol_version if asked.protocol_version in VERSIONS else VERSIONS[0]
    return mcp.InitializeResult(
        protocol_version=version,
        capabilities=mcp.ServerCapabilities(tools=mcp.ToolsCapability()),
        server_info=mcp.Implementation(name="qpty", version=__version__),
    )


def _tools(toolbox: Toolbox) -> list[mcp.Tool]:
    return [
        mcp.Tool(name=tool.name, description=tool.description, input_schema=dict(tool.schema))
        for tool in toolbox.offer.tools.values()
    ]


def _returned(result: ToolResult) -> mcp.CallToolResult:
    content = _content(result.parts) or [mcp.TextContent(type="text", text=EMPTY)]
    return mcp.CallToolResult(content=content, is_error=result.is_error)


def _content(parts: Sequence[Text | Image | File]) -> list[Any]:
    content: list[Any] = []
    for part in parts:
        match part:
            case Text():
                content.append(mcp.TextContent(type="text", text=part.text))
            case Image():
                data = base64.b64encode(part.data).decode()
                content.append(mcp.ImageContent(type="image", data=data, mime_type=part.media_type))
            case File():
                note = f"(A file of type {part.media_type}, {len(part.data)} bytes, which can't be shown here.)"
                content.append(mcp.TextContent(type="text", text=note))
    return content


def _json(result: BaseModel) -> Mapping[str, Any]:
    """What was set, and nothing else: later versions of the protocol have fields that this one doesn't know."""
    return result.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _error(message_id: str | int | None, code: int, text: str) -> Mapping[str, Any]:
    return {"jsonrpc": mcp.JSONRPC_VERSION, "id": message_id, "error": {"code": code, "message": text}}
