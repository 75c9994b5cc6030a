"""A session's conversation as a download."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from aiohttp import web

from qpty.server.downloads import attachment, file_name
from qpty.server.exports import as_json, markdown
from qpty.server.models import sessions as shapes
from qpty.server.routes.files import SANDBOX
from qpty.server.routes.sessions import shape
from qpty.server.routes.turns import message_shape

if TYPE_CHECKING:
    from qpty.server.operations import Call


async def export(call: Call) -> web.StreamResponse:
    """Send the conversation. A client that takes nothing is cut off as at any download (see `connections`)."""
    query = call.query(shapes.ExportQuery)
    info = await call.manager.get(call.session_id, owner=call.owner)
    if query.format == "json":
        pieces, media_type, extension = (
            as_json(call.manager, info, session=shape(info), shape=message_shape),
            "application/json",
            "json",
        )
    else:
        pieces, media_type, extension = markdown(call.manager, info), "text/markdown; charset=utf-8", "md"
    name = file_name(info.title, otherwise=f"session {info.id}", extension=extension)
    headers = {
        "Content-Type": media_type,
        "Content-Disposition": attachment(name),
        "Content-Security-Policy": SANDBOX,
    }
    response = web.StreamResponse(headers=headers)
    async with aclosing(pieces):
        await response.prepare(call.request)
        if call.request.method != "HEAD":
            async for piece in pieces:
                await response.write(piece.encode("utf-8", "replace"))
    await response.write_eof()
    return response
