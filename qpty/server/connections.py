"""Connections whose client neither takes nor gives: they are cut off, so that nobody keeps the others out for nothing.

Each look compares what has moved since the one before: bytes of a body that came, bytes of an answer that went. A
connection that something waits for, and where nothing has moved for `stall_timeout` seconds and `HEAD_START`, is
aborted; so is one whose key was revoked, with whatever it still does. (A connection without a request is aiohttp's to
close, after `keepalive_timeout`.)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qpty.server.logs import get_logger
from qpty.server.service import KEY_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from qpty.server.service import Service

PAUSE: Final = 1.0
"""Seconds between two looks: a revoked key must not go on for long."""

HEAD_START: Final = 6.0
"""Seconds for a stream's own writer, which notices a stalled reader, too, and can tell it where to go on."""

GRACE: Final = 2.0
"""Seconds, when the server stops, in which clients may take what is left and send what they have begun."""

_log: Final = get_logger("qpty.server")


@dataclass(slots=True)
class _Seen:
    """What had moved on a connection at a look, and since when nothing did."""

    moved: tuple[int, int]
    since: float


class ConnectionWatch:
    """Looks at every connection of a server, again and again. `server` gives it, None while there is none."""

    def __init__(self, service: Service, server: Callable[[], web.Server | None]) -> None:
        self._service = service
        self._server = server
        self._seen: dict[asyncio.Transport, _Seen] = {}

    async def run(self) -> None:
        """Look for as long as the server runs."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(PAUSE)
            self.look(clock())

    def look(self, now: float) -> None:
        """Cut off what has stalled at `now`, in seconds of the loop's clock, and whose key is no longer known."""
        patience = self._service.settings.stall_timeout + HEAD_START
        seen: dict[asyncio.Transport, _Seen] = {}
        for transport, moved in self._waited_for().items():
            before = self._seen.get(transport)
            if before is None or before.moved != moved:
                seen[transport] = _Seen(moved, now)
            elif now - before.since < patience:
                seen[transport] = before
            else:
                self._cut(transport, "nothing moved for too long")
        self._seen = seen
        for request in self._service.under_way:
            key_id = request.get(KEY_ID)
            if key_id is not None and not self._service.access.is_known(key_id) and request.transport is not None:
                self._cut(request.transport, "its key was revoked")

    async def finish(self) -> None:
        """Let clients take what is left, for a while; then cut off whoever didn't."""
        clock = asyncio.get_running_loop().time
        until = clock() + GRACE
        while self._waited_for() and clock() < until:  # noqa: ASYNC110 — a transport tells nobody of its last byte
            await asyncio.sleep(0.02)
        for transport in self._waited_for():
            self._cut(transport, "the server stops")

    def _waited_for(self) -> dict[asyncio.Transport, tuple[int, int]]:
        """Return the connections that something waits for, with (bytes that came, bytes that are left to go)."""
        server = self._server()
        found: dict[asyncio.Transport, tuple[int, int]] = {}
        for connection in server.connections if server is not None else ():
            transport = connection.transport
            if isinstance(transport, asyncio.Transport) and (left := transport.get_write_buffer_size()):
                found[transport] = (0, left)
        for request in self._service.under_way:
            transport, body = request.transport, request.content
            if isinstance(transport, asyncio.Transport) and not body.is_eof() and transport not in found:
                found[transport] = (body.total_bytes, 0)
        return found

    def _cut(self, transport: asyncio.Transport, reason: str) -> None:
        self._service.metrics.cut_off.inc()
        _log.info("a connection was cut off", reason=reason)
        transport.abort()
