"""Writing to somebody far away: server-sent events, and for every stream the bound on who doesn't read.

Readers pull, so a slow one costs memory for what its connection holds, and nothing else. One that makes no room in its
connection for `stall_timeout` seconds is cut off: it may come back with the number it has.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web
from aiohttp.client_exceptions import ClientConnectionResetError
from aiohttp.http import StreamWriter

from qpty.agent.threads import cancelled
from qpty.server.logs import get_logger
from qpty.server.service import CLIENT, REQUEST_ID, SERVICE
from qpty.server.statuses import fault, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from qpty.server.statuses import Refusal
    from qpty.sessions.journal import JournalEvent

HEARTBEAT: Final = 15.0
"""Seconds between two comments that keep proxies and clients from giving up."""

ERROR: Final = "stream.error"
"""The event that ends a stream which can't go on. (A browser's `EventSource` has an `error` of its own.)"""

RETRY: Final = 1000
"""Milliseconds after which a browser comes back."""

_log: Final = get_logger("qpty.server")


class StalledReaderError(ConnectionError):
    """The client took nothing for too long."""


class Outlet:
    """Tells when a connection has room again for what a stream writes.

    Whoever writes does so at once, and then waits here. So a connection holds the transport's high-water mark (64 KiB)
    and one message of each of its writers, at most.
    """

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._stall_timeout = request.app[SERVICE].settings.stall_timeout
        self._draining: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether the connection holds as much as it may."""
        return self._request.protocol.writing_paused

    async def taken(self) -> None:
        """Wait until the connection has room, or is lost: then the next write says so. Raises StalledReaderError."""
        if not self.full:
            return
        if self._draining is None or self._draining.done():
            self._draining = asyncio.get_running_loop().create_task(self._drain(), name="drain")
        # A task that nobody cancels: all who wait for one connection share aiohttp's future, and a cancelled one stays.
        done, _ = await asyncio.wait([self._draining], timeout=self._stall_timeout)
        if not done:
            raise StalledReaderError

    async def _drain(self) -> None:
        try:
            await self._request.writer.drain()
        except ConnectionError:
            return

    def report_stall(self, *, last_seq: int | None) -> None:
        """Count and log that a reader is cut off."""
        self._request.app[SERVICE].metrics.stalled.inc()
        _log.info("a reader took nothing for too long and is cut off", last_seq=last_seq)

    def abort(self) -> None:
        """End the connection. What it holds is lost; the journal has it."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def leave(self) -> None:
        """Be done with it: who goes while it is full doesn't wait for the client, and nobody else will."""
        if self._draining is not None and not self._draining.done():
            self.abort()  # which ends the task


class ServerSentEvents(ABC):
    """One answer of server-sent events: `async with …Stream(request) as stream: await stream.send(…)`.

    The first bytes, `opening`, go out when it is entered, and a `beat` every while. A client that goes away cancels the
    handler. An error inside is told by what `told` returns, and doesn't leave the context.
    """

    def __init__(self, request: web.Request, *, opening: bytes, headers: Mapping[str, str]) -> None:
        service = request.app[SERVICE]
        self._request = request
        self._metrics = service.metrics
        self._slot: AbstractContextManager[object] = service.streams.hold(request[CLIENT])
        self._outlet = Outlet(request)
        self._opening = opening
        self._beat: asyncio.Task[None] | None = None
        self._last_seq: int | None = None
        self.response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                **headers,
            }
        )

    @abstractmethod
    def beat(self) -> bytes:
        """Return what keeps proxies and clients from giving up. It is sent at once."""

    @abstractmethod
    def told(self, refused: Refusal) -> bytes:
        """Return what ends a stream that can't go on: the answer's status was sent long ago."""

    async def __aenter__(self) -> Self:
        self._slot.__enter__()
        self._metrics.streams.labels("sse").inc()
        try:
            await self.response.prepare(self._request)
            await self._write(self._opening)
            self._beat = asyncio.get_running_loop().create_task(self._keep_alive(), name="heartbeat")
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            await cancelled(self._beat)
            if error is not None and not isinstance(error, Exception):
                return False
            await self._end(error)
            return True
        finally:
            self._leave()

    async def write(self, data: bytes) -> None:
        """Send some bytes; waits while the connection is full."""
        await self._write(data)
        await self._outlet.taken()

    async def _end(self, error: Exception | None) -> None:
        try:
            if isinstance(error, StalledReaderError | ClientConnectionResetError):
                raise error
            if error is not None:
                await self._write(self.told(told_of(self._request, error)))
            await self._outlet.taken()
            await self.response.write_eof()
        except StalledReaderError:
            self._outlet.report_stall(last_seq=self._last_seq)
            self._outlet.abort()
        except ClientConnectionResetError:
            return  # there is nobody to tell

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            try:
                if not self._outlet.full:  # otherwise there is enough to take
                    await self._write(self.beat())
            except ClientConnectionResetError:
                return  # the handler learns of it, too

    async def _write(self, data: bytes) -> None:
        """Write without waiting: see `Outlet`. Raises ClientConnectionResetError."""
        writer = self._request.writer
        assert isinstance(writer, StreamWriter)  # noqa: S101 — what aiohttp's server writes with
        await writer.write(data, drain=False)

    def _leave(self) -> None:
        self._outlet.leave()
        self._metrics.streams.labels("sse").dec()
        self._slot.__exit__(None, None, None)


class EventStream(ServerSentEvents):
    """A stream of a journal's events; one that can't go on ends with `stream.error`."""

    def __init__(self, request: web.Request, **headers: str) -> None:
        super().__init__(request, opening=f": qpty\nretry: {RETRY}\n\n".encode(), headers=headers)

    async def send(self, event: JournalEvent) -> None:
        """Send one event; waits while the connection is full. Its end is that of the connection."""
        head = f"id: {event.seq}\n" if event.seq is not None else ""
        self._last_seq = event.seq if event.seq is not None else self._last_seq
        await self.write(head.encode() + f"event: {event.type}\ndata: ".encode() + json_bytes(event.body) + b"\n\n")

    def beat(self) -> bytes:
        """Return a comment."""
        return b": \n\n"

    def told(self, refused: Refusal) -> bytes:
        """Return the last event."""
        return f"event: {ERROR}\ndata: {refused.answer.model_dump_json()}\n\n".encode()


def json_bytes(text: str) -> bytes:
    r"""Return JSON as UTF-8; a lone surrogate, which has none, as the `\ud800` that JSON spells it with."""
    return text.encode("utf-8", "backslashreplace")


def told_of(request: web.Request, error: Exception) -> Refusal:
    """Return how an error in the middle of a stream is told; one that is a fault of ours is logged."""
    request_id = request[REQUEST_ID]
    told = refusal(error, request_id=request_id)
    if told is None:
        _log.error("a stream failed inside the server", exc_info=error)
        told = fault(request_id=request_id)
    return told
