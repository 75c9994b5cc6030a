"""A small HTTP MCP server for tests: one tool that a test can hold, answer, and see the calls of."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer


class McpServer:
    """Serves the tool `add`; `calls` has the arguments of each call, `gate` holds the answers while it is clear."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.called = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        app = web.Application()
        app.router.add_post("/mcp", self._handle)
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.gate.set()
        await self._server.close()

    @property
    def url(self) -> str:
        """The address for an agent's configuration."""
        return str(self._server.make_url("/mcp"))

    def agent(self) -> dict[str, Any]:
        """An agent file that has this server."""
        return {
            "name": "tester",
            "prompt": "You test.",
            "mcpServers": {"client": {"type": "http", "url": self.url, "timeout": 60000}},
            "tools": ["*", "@client"],
            "allowedTools": ["@client"],
            "resources": [],
        }

    async def _handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        if not raw:
            return web.Response(status=400)
        message = await request.json()
        if "id" not in message:
            return web.Response(status=202)
        result: dict[str, Any] = {}
        if message["method"] == "initialize":
            result = {
                "protocolVersion": "2025-03-26",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "tests", "version": "1"},
            }
        elif message["method"] == "tools/list":
            schema = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}
            result = {"tools": [{"name": "add", "description": "Adds two numbers.", "inputSchema": schema}]}
        elif message["method"] == "tools/call":
            arguments = message["params"].get("arguments") or {}
            self.calls.append(arguments)
            self.called.set()
            await self.gate.wait()
            total = arguments.get("a", 0) + arguments.get("b", 0)
            result = {"content": [{"type": "text", "text": f"the sum is {total}"}]}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result})
