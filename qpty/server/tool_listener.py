"""Where the agents of this server find the tools of clients: an HTTP server of its own, on the loopback interface.

It is not the one that clients call: whatever address that is at, behind whatever proxy, nobody but a program of this
machine that knows a session's token comes here. Nothing that it is sent is logged.
"""

from __future__ import annotations

import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from qpty.compat.gateway import Gateway

LOOPBACK: Final = "127.0.0.1"
PATH: Final = "/mcp"
BODY_BYTES: Final = 64 << 20
"""Of one message: a call's arguments, as the model wrote them."""

SHUTDOWN_TIMEOUT: Final = 1.0

JSON: Final = "application/json"


class ToolListener:
    """The listener. `url` is what a session's token is put behind; `gateway` is set before any agent starts."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.bind((LOOPBACK, 0))
        self._socket.setblocking(False)
        app = web.Application(client_max_size=BODY_BYTES)
        app.router.add_post(f"{PATH}/{{token}}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_TIMEOUT)

    @property
    def url(self) -> str:
        """The address, without a token."""
        return f"http://{LOOPBACK}:{self._socket.getsockname()[1]}{PATH}"

    async def start(self) -> None:
        """Begin to listen."""
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    async def close(self) -> None:
        """End, with every call that is open."""
        await self._runner.cleanup()
        self._socket.close()

    async def _handle(self, request: web.Request) -> web.Response:
        """Answer one message. An empty one, which the CLI sends after an interrupt, is a mistake and not a fault."""
        try:
            message = json.loads(await request.read())
        except (ValueError, RecursionError):
            return web.Response(status=400, text="the body is not JSON")
        if self.gateway is None:
            return web.Response(status=503, text="the server is starting")
        answer = await self.gateway.respond(request.match_info["token"], message)
        if answer is None:
            return web.Response(status=202)
        return web.Response(body=json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace"), content_type=JSON)


@asynccontextmanager
async def tool_listener() -> AsyncIterator[ToolListener]:
    """Listen for as long as the context lasts."""
    listener = ToolListener()
    try:
        await listener.start()
        yield listener
    finally:
        await listener.close()
