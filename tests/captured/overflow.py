"""The stand-in behind a door that can find a message too long, once: what makes q summarise its history."""

from __future__ import annotations

from typing import Self

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer


class OverflowOnce:
    """Passes every request on to `upstream`; when `armed`, the next message is answered with an overflow instead."""

    def __init__(self, upstream: str) -> None:
        self.armed = False
        self._upstream = upstream
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._server = TestServer(app)
        self._client: ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._client = ClientSession()
        await self._server.start_server()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.close()
        if self._client is not None:
            await self._client.close()

    @property
    def url(self) -> str:
        """The address for q."""
        return str(self._server.make_url("")).rstrip("/")

    async def _handle(self, request: web.Request) -> web.Response:
        assert self._client is not None
        body = await request.read()
        if self.armed and request.headers.get("x-amz-target", "").endswith((".SendMessage", "AssistantResponse")):
            self.armed = False
            return web.json_response(
                {"__type": "ValidationException", "message": "Input is too long."},
                status=400,
                headers={"x-amzn-errortype": "ValidationException"},
                content_type="application/x-amz-json-1.0",
            )
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        url = self._upstream + request.path_qs
        async with self._client.request(request.method, url, data=body, headers=headers) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower().startswith("x-amzn")}
            return web.Response(
                body=await answer.read(), status=answer.status, headers=kept, content_type=answer.content_type
            )
