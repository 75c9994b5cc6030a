"""A session's WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qpty.server.errors import InvalidRequestError
from qpty.server.models.turns import SocketQuery
from qpty.server.socket import Socket

if TYPE_CHECKING:
    from aiohttp import web

    from qpty.server.operations import Call


async def connect(call: Call) -> web.StreamResponse:
    """Open a session's WebSocket."""
    query = call.query(SocketQuery)
    if call.request.headers.get("Upgrade", "").lower() != "websocket":
        raise InvalidRequestError("this is a WebSocket: connect with a WebSocket client")
    return await Socket(call).run(after=query.after)
