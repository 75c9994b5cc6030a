"""MCP servers of an agent file: over HTTP (POST, answers plain or framed as server-sent events) and as programs.

The HTTP client is this small because its waits must end at Ctrl-C, and because it must not cost what the library's
costs.
"""

import json
import os

from .shell import spawn
from .signals import Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

PROTOCOL = "2025-03-26"
DEFAULT_TIMEOUT_MS = 120_000
MAX_ANSWER = 64 << 20

Json = dict[str, object]


class McpError(Exception):
    """A server gave an error, or no answer; the text is what q shows."""


class McpServer:
    """One server: `start` it, see its `tools`, `call` them. `name` is its name in the agent file."""

    __slots__ = ("_address", "_channel", "_next_id", "_signals", "_timeout", "name", "tools")

    def __init__(self, name: str, definition: Json, signals: Signals) -> None:
        self.name, self._signals, self._next_id = name, signals, 0
        self._address = definition
        timeout = definition.get("timeout")
        self._timeout = (timeout if isinstance(timeout, int | float) else DEFAULT_TIMEOUT_MS) / 1000
        self._channel: _Http | _Program | None = None
        self.tools: dict[str, Json] = {}

    def start(self) -> None:
        """Say hello and learn the tools. Raises McpError, TurnInterruptedError and OSError."""
        url = self._address.get("url")
        self._channel = (
            _Http(str(url), self._address.get("headers"), self._signals)
            if url
            else _Program(self._address, self._signals)
        )
        client = {"name": "qpty-demo", "version": "1"}
        self._request("initialize", {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client})
        self._channel.exchange({"jsonrpc": "2.0", "method": "notifications/initialized"}, self._timeout, answered=False)
        found = self._request("tools/list", {}).get("tools")
        for tool in found if isinstance(found, list) else ():
            self.tools[str(tool.get("name"))] = tool

    def call(self, tool: str, arguments: Json) -> Json:
        """A tool's result as the server gave it. Raises McpError, TurnInterruptedError and OSError."""
        return self._request("tools/call", {"name": tool, "arguments": arguments})

    def _request(self, method: str, parameters: Json) -> Json:
        if self._channel is None:
            raise McpError("not connected")
        message = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": parameters}
        self._next_id += 1
        answer = self._channel.exchange(message, self._timeout, answered=True)
        error = answer.get("error")
        if isinstance(error, dict):
            raise McpError(f"Mcp error: {error.get('code')}: {error.get('message')}")
        result = answer.get("result")
        return result if isinstance(result, dict) else {}


class _Http:
    """One POST for each message, each on a connection of its own; the session id that the server gave is sent back."""

    __slots__ = ("_headers", "_host", "_path", "_port", "_session", "_signals", "_tls")

    def __init__(self, url: str, headers: object, signals: Signals) -> None:
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        host, _, port = authority.rpartition("@")[2].rpartition(":")
        self._tls = scheme == "https"
        self._host, number = (host, port) if host and port.isdigit() else (authority, "443" if self._tls else "80")
        self._port, self._path = int(number), slash + path or "/"
        self._headers = {str(k): str(v) for k, v in headers.items()} if isinstance(headers, dict) else {}
        self._session, self._signals = "", signals

    def exchange(self, message: Json, timeout: float, *, answered: bool) -> Json:
        import socket  # a megabyte for those who use a server

        body = json.dumps(message).encode()
        head = {
            "host": f"{self._host}:{self._port}",
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "content-length": str(len(body)),
            "connection": "close",
            **self._headers,
        }
        if self._session:
            head["mcp-session-id"] = self._session
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        with socket.create_connection((self._host.strip("[]"), self._port), timeout) as plain:
            connection = self._secured(plain) if self._tls else plain
            connection.sendall(f"POST {self._path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
            return self._answer(connection, message.get("id") if answered else None, timeout)

    def _secured(self, plain: "socket.socket") -> "socket.socket":
        import ssl  # seldom

        return ssl.create_default_context().wrap_socket(plain, server_hostname=self._host)

    def _answer(self, connection: "socket.socket", wanted: object, timeout: float) -> Json:
        """Read until the answer to our request is there; a server may keep its event stream open after it."""
        data = b""
        while len(data) <= MAX_ANSWER:
            if not getattr(connection, "pending", int)() and not self._signals.readable(connection.fileno(), timeout):
                raise McpError(f"no answer within {timeout:g} s")
            chunk = connection.recv(1 << 16)
            data += chunk
            head, complete, body = data.partition(b"\r\n\r\n")
            if complete:
                status, fields = _parsed_head(head)
                if status >= 400:
                    raise McpError(f"HTTP status {status}")
                self._session = fields.get("mcp-session-id", self._session)
                ended = not chunk or _ended(body, fields)
                if wanted is None and (ended or status in (202, 204)):
                    return {}
                found = _find_answer(body, fields, wanted, ended)
                if found is not None:
                    return found
            if not chunk:
                break
        raise McpError("the connection closed before the answer")


def _parsed_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    status = first.split(" ")[1:2]
    fields = (line.partition(":") for line in lines)
    return (int(status[0]) if status and status[0].isdigit() else 0), {k.lower(): v.strip() for k, _, v in fields}


def _ended(body: bytes, fields: dict[str, str]) -> bool:
    if "chunked" in fields.get("transfer-encoding", ""):
        return body.endswith(b"0\r\n\r\n")
    length = fields.get("content-length", "")
    return length.isdigit() and len(body) >= int(length)


def _find_answer(body: bytes, fields: dict[str, str], wanted: object, ended: bool) -> Json | None:
    """The JSON-RPC answer with our id, if it is there already."""
    if "chunked" in fields.get("transfer-encoding", ""):
        body = _unchunked(body)
    if "text/event-stream" not in fields.get("content-type", ""):
        return _json_object(body) if ended else None
    for event in body.replace(b"\r\n", b"\n").split(b"\n\n")[:-1]:
        lines = (line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:"))
        found = _json_object(b"\n".join(lines))
        if found is not None and found.get("id") == wanted:
            return found
    return None


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while True:
        size, complete, rest = body.partition(b"\r\n")
        if not complete or not size.strip():
            return whole
        length = int(size.split(b";")[0], 16)
        if not length:
            return whole
        whole, body = whole + rest[:length], rest[length + 2 :]


def _json_object(data: bytes) -> Json | None:
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class _Program:
    """A program that speaks JSON-RPC, a line each, on its standard streams."""

    __slots__ = ("_left", "_reader", "_signals", "_writer")

    def __init__(self, definition: Json, signals: Signals) -> None:
        given, environment = definition.get("args"), definition.get("env")
        arguments = [str(one) for one in given] if isinstance(given, list) else []
        extra = {str(k): str(v) for k, v in environment.items()} if isinstance(environment, dict) else {}
        child_in, self._writer = os.pipe()
        self._reader, child_out = os.pipe()
        quiet = os.open(os.devnull, os.O_WRONLY)
        try:
            pipes = ((child_in, 0), (child_out, 1), (quiet, 2))
            signals.leave_alone(spawn([str(definition.get("command")), *arguments], pipes, extra))
        finally:
            for fd in (child_in, child_out, quiet):
                os.close(fd)
        self._signals, self._left = signals, b""

    def exchange(self, message: Json, timeout: float, *, answered: bool) -> Json:
        left = memoryview(json.dumps(message).encode() + b"\n")
        while left:
            left = left[os.write(self._writer, left) :]
        while answered:
            while b"\n" in self._left:
                line, _, self._left = self._left.partition(b"\n")
                found = _json_object(line)
                if found is not None and found.get("id") == message["id"]:
                    return found
            if not self._signals.readable(self._reader, timeout):
                raise McpError(f"no answer within {timeout:g} s")
            data = os.read(self._reader, 1 << 16)
            if not data or len(self._left) > MAX_ANSWER:
                raise McpError("the server ended")
            self._left += data
        return {}
