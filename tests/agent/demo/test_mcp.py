"""Tools of MCP servers: over HTTP, plain and as an event stream, and as programs."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.agent.demo.demo import Demo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOOLS = [{"name": name, "description": name, "inputSchema": {"type": "object"}} for name in ("weather", "slow", "fail")]
PROGRAM = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    results = {"initialize": {}, "tools/list": {"tools": [{"name": "sum"}]}}
    if "id" in request:
        result = results.get(request["method"], {"content": [{"type": "text", "text": "42"}]})
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)
"""


class Server(ThreadingHTTPServer):
    """An MCP server; `seen` are the requests, `stream` frames answers as server-sent events, chunked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[dict[str, Any]] = []
        self.sessions: list[str | None] = []
        self.stream = False
        self.release = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append(request)
        self.server.sessions.append(self.headers.get("mcp-session-id"))
        if "id" not in request:
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        answer = {"jsonrpc": "2.0", "id": request["id"], **self.answer(request)}
        self.send_response(200)
        self.send_header("mcp-session-id", "s1")
        if self.server.stream:
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            notice = 'data: {"jsonrpc": "2.0", "method": "notifications/progress"}\n\n'
            for text in (notice, f"event: message\ndata: {json.dumps(answer)}\n", "\n"):
                self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
            self.wfile.write(b"0\r\n\r\n")
            return
        body = json.dumps(answer).encode()
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["method"] == "initialize":
            return {"result": {"protocolVersion": "2025-03-26", "capabilities": {"tools": {}}}}
        if request["method"] == "tools/list":
            return {"result": {"tools": TOOLS}}
        name = request["params"]["name"]
        if name == "slow":
            self.server.release.wait(20)
        if name == "fail":
            return {"error": {"code": -32602, "message": "bad city"}}
        return {"result": {"content": [{"type": "text", "text": "It rains"}], "isError": False}}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.release.set()
        running.shutdown()
        thread.join()


def demo_with(tmp_path: Path, server: Server, **more: object) -> Demo:
    directory = tmp_path / "work" / ".amazonq" / "cli-agents"
    directory.mkdir(parents=True)
    url = f"http://127.0.0.1:{server.server_port}/mcp/token"
    program = {"command": sys.executable, "args": ["-c", PROGRAM]}
    servers = {"client": {"type": "http", "url": url, "timeout": 20000}, "local": program}
    agent = {"name": "t", "mcpServers": servers, "tools": ["@client", "@local"], **more}
    (directory / "t.json").write_text(json.dumps(agent))
    return Demo(tmp_path, "--agent", "t")


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_is_greeted_and_its_tool_called(tmp_path: Path, server: Server, stream: bool) -> None:
    server.stream = stream
    with demo_with(tmp_path, server) as demo:
        assert "✓\x1b[0m\x1b[38;5;12m 2\x1b[0m of \x1b[38;5;12m2 \x1b[0mmcp servers initialized." in demo.seen
        assert [request["method"] for request in server.seen] == [
            "initialize", "notifications/initialized", "tools/list",
        ]  # fmt: skip
        assert server.sessions == [None, "s1", "s1"]
        shown = demo.say('mcp weather {"city": "x"}')
        assert (
            "Using tool: weather\x1b[0m\x1b[0m\x1b[0m\x1b[0m from mcp server \x1b[38;5;13mclient\x1b[0m\r\n ⋮ \r\n"
            ' ● Running \x1b[38;5;10mweather\x1b[0m with the param:\r\n ⋮  {\r\n ⋮    "city": "x"\r\n ⋮  }\r\n\x1b[0m'
            "\x1b[?25h\x1b[38;5;8m\r\nAllow this action?" in shown
        )
        shown = demo.say("y")
        assert "● Completed in" in shown
        assert "It rains" not in shown.partition("Completed")[0]
        assert server.seen[-1]["params"] == {"name": "weather", "arguments": {"city": "x"}}
        assert demo.answers[-1].endswith('{"content": [{"type": "text", "text": "It rains"}], "isError": false}')
        assert set(demo.record["tools"]) == {"native___", "client", "local"}


def test_an_error_of_the_server_fails_the_tool(tmp_path: Path, server: Server) -> None:
    with demo_with(tmp_path, server, allowedTools=["@client"]) as demo:
        shown = demo.say("mcp fail {}")
        assert "\x1b[38;5;2m (trusted)\x1b[39m\x1b[0m\x1b[0m from mcp server" in shown
        assert "\r\n\x1b[0m\x1b[38;5;9mMcp error: -32602: bad city\x1b[0m\r\n\r\n" in shown
        assert "An error occurred processing the tool: \\nMcp error: -32602: bad city" in demo.answers[-1]


def test_a_held_call_can_be_interrupted(tmp_path: Path, server: Server) -> None:
    with demo_with(tmp_path, server, allowedTools=["@client/slow"]) as demo:
        demo.paste("mcp slow {}")
        demo.until_text(" ⋮  {}\r\n")
        demo.keys("\x03")
        assert "^C\r\n\r\n" in demo.until_ready()
        demo.say("hello")
        assert demo.answers[-2:] == [
            "Tool uses were interrupted, waiting for the next user prompt", "Hello! How can I help you today?",
        ]  # fmt: skip


def test_a_program_is_a_server_too(tmp_path: Path, server: Server) -> None:
    with demo_with(tmp_path, server, allowedTools=["@local"]) as demo:
        demo.say("mcp sum {}")
        assert '"text": "42"' in demo.answers[-1]


def test_a_server_that_is_not_there_is_said(tmp_path: Path, server: Server) -> None:
    broken = {"client": {"type": "http", "url": "http://127.0.0.1:1/"}, "local": {"command": "/nosuch"}}
    with demo_with(tmp_path, server, mcpServers=broken) as demo:
        assert "client\x1b[0m has failed to load: [Errno 111] Connection refused" in demo.seen
        assert "local\x1b[0m has failed to load" in demo.seen
        demo.say("hello")
