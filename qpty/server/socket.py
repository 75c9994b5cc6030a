"""One WebSocket of one session: frames in, acknowledgements, journal events and screens out.

```
 connect ─▶ hello ─▶ open ──▶ receiver: frames are carried out one after the other, each is acknowledged or refused
                      │   ├─▶ follower: the journal's events after a number; without one, only waits for their end
                      │   │     └─▶ renderer: the text in them as HTML blocks, where it is wanted
                      │   ├─▶ watcher: the screen's changes, while they are wanted
                      │   └─▶ lookout: who has the keyboard
                      ▼
                    closed, with a code that says why
```

These are tasks of `Socket.run`. The first that ends says how the socket ends; then the others are cancelled, and
only `run` closes it.

| code | reason |
|---|---|
| 1001 | the server is stopping: come back and follow after the last number |
| 1002, 1007, 1009 | what came is no WebSocket frame, no UTF-8, or too large |
| 1011 | an error inside the server |
| 4004 | the session was deleted |
| 4008 | the reader took nothing for too long; the reason names the number to follow after |
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web
from aiohttp.client_exceptions import ClientConnectionResetError
from pydantic import ValidationError

from qpty.agent.threads import cancelled
from qpty.core.errors import QptyError
from qpty.server.compacting import compacted
from qpty.server.errors import InvalidRequestError, NotAllowedError, RateLimitedError
from qpty.server.logs import get_logger
from qpty.server.middleware import check_rate
from qpty.server.models import socket as frames
from qpty.server.renderings import Renderings
from qpty.server.service import CLIENT, KEY_ID, REQUEST_ID
from qpty.server.statuses import fault, refusal
from qpty.server.streaming import Outlet, StalledReaderError, json_bytes
from qpty.server.turn_events import reached, why_events_ended
from qpty.sessions.errors import ClosingError, KeyboardNotTakenError, SessionNotFoundError
from qpty.sessions.files.errors import printable
from qpty.storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from qpty.server.operations import Call
    from qpty.sessions.info import SessionInfo
    from qpty.sessions.journal import JournalEvent
    from qpty.sessions.keyboard import KeyboardHold

HEARTBEAT: Final = 30.0
"""Seconds without a word of the client before it is pinged; who doesn't answer in half that time is gone."""

CLOSE_TIMEOUT: Final = 5.0
"""Seconds that a client has to take the last frame, and to answer it."""

LINGER: Final = 1.0
"""Seconds that a client has to see why it was refused."""

REASON_BYTES: Final = 123
"""What a close frame can hold."""

LATE_REF_CHARACTERS: Final = 4096
"""Of a frame that came too soon: it is still looked into for its `ref`, unless it is larger."""

DELETED: Final = 4004
TOO_SLOW: Final = 4008

UNREADABLE: Final[dict[int, str]] = {
    WSCloseCode.MESSAGE_TOO_BIG: "a frame was too large: at most {limit:,} bytes are taken",
    WSCloseCode.INVALID_TEXT: "a text frame was not UTF-8",
}

_log: Final = get_logger("qpty.server")


class _GoneError(Exception):
    """The client closed the socket, or went away."""


class _WebSocket(web.WebSocketResponse):
    """A WebSocket that only `Socket` closes: by itself aiohttp gives no reason for what it can't read."""

    async def close(self, **_: Any) -> bool:
        """Do nothing: aiohttp calls this where it would close."""
        return False

    async def finish(self, code: int, reason: str) -> bool:
        """Close it, and wait for the client's word; whether that came."""
        await super().close(code=code, message=reason.encode()[:REASON_BYTES])
        return self.close_code not in {None, WSCloseCode.ABNORMAL_CLOSURE}

    async def refuse(self, code: int, reason: str) -> None:
        """Close it in the middle of what can't be read; the client's own word wouldn't be found any more.

        What still comes is read for a while, and forgotten: closing at once resets the connection, and then the client
        may never see the reason. Ends sooner, by being cancelled, when the client goes.
        """
        await self.send_frame(struct.pack("!H", code) + reason.encode()[:REASON_BYTES], WSMsgType.CLOSE)
        await asyncio.sleep(LINGER)

    async def release(self) -> None:
        """Be done with it, whatever became of it: its timers end, and its connection if that wasn't closed."""
        if not self.closed:
            if self._req is not None and self._req.transport is not None:
                self._req.transport.abort()
            await super().close(drain=False)  # there is nothing left that it could wait for


class Socket:
    """One open WebSocket. `run` is its whole life."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._manager = call.manager
        self._session_id = call.session_id
        self._owner = call.owner
        self._limit_bytes = call.service.settings.max_body_bytes
        self._socket = _WebSocket(
            heartbeat=HEARTBEAT,
            timeout=CLOSE_TIMEOUT,
            max_msg_size=self._limit_bytes + 1,  # aiohttp refuses what has as many
            autoping=False,
            writer_limit=sys.maxsize,  # `Outlet` waits, not the writer
            compress=False,  # a compressor is a quarter of a MiB for each reader, and a pass over every event
        )
        self._outlet = Outlet(call.request)
        self._receiver: asyncio.Task[None] | None = None
        self._follower: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._lookout: asyncio.Task[None] | None = None
        self._hold: KeyboardHold | None = None
        self._follows = False
        self._last_seq = 0
        self._end: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    async def run(self, *, after: int | None) -> web.WebSocketResponse:
        """Serve it until either side ends. Raises SessionNotFoundError and others before it is open."""
        info = await self._manager.get(self._session_id, owner=self._owner)
        service = self._call.service
        with service.streams.hold(self._call.request[CLIENT]):
            await self._socket.prepare(self._call.request)
            service.metrics.streams.labels("websocket").inc()
            try:
                await self._close(await self._until_it_ends(info, after))
            finally:
                self._outlet.leave()
                await self._socket.release()
                service.metrics.streams.labels("websocket").dec()
        return self._socket

    async def _until_it_ends(self, info: SessionInfo, after: int | None) -> Exception:
        """Run the tasks; return what ended the first that did."""
        try:
            self._receiver = self._spawn(self._receive(info), "receiver")
            if after is None:
                self._follower = self._spawn(self._wait_for_the_end(info.last_seq or 0), "follower")
            else:
                self._follow(frames.FollowFrame(type="follow", after=after))
            return await self._end
        finally:
            await cancelled(self._receiver, self._follower, self._watcher, self._lookout)
            if self._hold is not None:
                self._hold.give_back()

    def _spawn(self, coroutine: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(self._guarded(coroutine), name=name)

    async def _guarded(self, coroutine: Coroutine[None, None, None]) -> None:
        """Carry out one of the tasks; the first error decides how the socket ends, whatever it is."""
        try:
            await coroutine
        except Exception as error:  # noqa: BLE001 — `_close` tells them apart
            if not self._end.done():
                self._end.set_result(error)

    # -- in

    async def _receive(self, info: SessionInfo) -> None:
        taken = self._manager.keyboard_taken(self._session_id)
        hello = frames.HelloFrame(
            session_id=info.id,
            state=info.state,
            last_seq=info.last_seq or 0,
            turn_id=info.turn_id,
            question=dict(info.question) if info.question is not None else None,
            keyboard=frames.Keyboard(taken=taken, allowed=self._may_type),
        )
        await self._send(hello.model_dump_json())
        self._lookout = self._spawn(self._watch_keyboard(taken=taken), "lookout")
        while True:
            message = await self._socket.receive()
            match message.type:
                case WSMsgType.TEXT:
                    await self._take(message.data)
                case WSMsgType.BINARY:
                    await self._refuse(None, InvalidRequestError("send text frames: one JSON object each"))
                case WSMsgType.PING:
                    await self._socket.pong(message.data)
                    await self._outlet.taken()
                case WSMsgType.PONG:
                    pass
                case WSMsgType.ERROR if isinstance(message.data, WebSocketError):
                    raise message.data
                case WSMsgType.ERROR if isinstance(message.data, TimeoutError):  # a ping was not answered
                    raise StalledReaderError
                case _:
                    raise _GoneError
            await asyncio.sleep(0)  # what waits in the buffer comes without a pause: everybody else wants to go on, too

    async def _take(self, text: str) -> None:
        """Carry out one frame, and say so."""
        ref: str | int | None = None
        try:
            check_rate(self._call.service, self._call.request[CLIENT])
            given = _parsed(text)
            ref = _ref(given)
            try:
                frame = frames.CLIENT_FRAME.validate_python(given)
            except ValidationError as error:
                raise InvalidRequestError(_problem(error)) from error
            await self._carry_out(frame)
        except RateLimitedError as error:
            await self._refuse(_late_ref(text), error)
        except (QptyError, StorageError) as error:
            await self._refuse(ref, error)

    async def _carry_out(self, frame: frames.ClientFrame) -> None:
        manager, session_id, owner = self._manager, self._session_id, self._owner
        facts: dict[str, Any] = {}
        following: frames.FollowFrame | None = None
        match frame:
            case frames.MessageFrame():
                turn = await manager.send(session_id, frame.text, key=frame.idempotency_key, owner=owner)
                facts = {"turn_id": turn.id, "seq": turn.seq}
                if not self._follows:
                    following = frames.FollowFrame(type="follow", after=turn.seq - 1)
            case frames.AnswerFrame():
                await manager.answer(session_id, frame.request_id, frame.answer, owner=owner)
            case frames.ChooseFrame():
                await manager.choose(session_id, frame.request_id, frame.index, owner=owner)
            case frames.InterruptFrame():
                facts = {"interrupted": await manager.interrupt(session_id, turn_id=frame.turn_id, owner=owner)}
            case frames.ResizeFrame():
                await manager.resize(session_id, columns=frame.columns, lines=frame.lines, owner=owner)
            case frames.FollowFrame():
                following = frame
            case frames.PingFrame():
                pass  # it is acknowledged
            case frames.ScreenFrame():
                await cancelled(self._watcher)
                self._watcher = None
            case frames.KeyboardFrame():
                await self._take_keyboard(take=frame.take)
            case frames.KeysFrame():
                if self._hold is None:
                    raise KeyboardNotTakenError
                await self._hold.type(frame.text)
        if following is not None:
            await cancelled(self._follower)  # before the acknowledgement: nothing of an earlier `follow` comes after it
        await self._send(frames.AckFrame(ref=frame.ref, of=frame.type, **facts).model_dump_json())
        if following is not None:
            self._follow(following)
        if isinstance(frame, frames.ScreenFrame) and frame.watch:
            mine = self._hold is not None and self._hold.is_held()
            await self._send_keyboard(manager.keyboard_taken(session_id), mine)
            self._watcher = self._spawn(self._send_screens(), "watcher")

    @property
    def _may_type(self) -> bool:
        service = self._call.service
        return service.settings.keyboard and service.access.administers(self._call.request.get(KEY_ID))

    async def _take_keyboard(self, *, take: bool) -> None:
        """Take the keyboard over, or give it back. Raises NotAllowedError, KeyboardTakenError and others."""
        if take and not self._may_type:
            if not self._call.service.settings.keyboard:
                raise NotAllowedError("this server lets nobody type by hand: QPTY_KEYBOARD is off")
            raise NotAllowedError("this key does not administer: use one made with `qpty keys create NAME --admin`")
        if take and self._hold is not None and self._hold.is_held():
            return
        if take:
            self._hold = await self._manager.take_keyboard(self._session_id, owner=self._owner)
        elif self._hold is None or not self._hold.is_held():
            raise KeyboardNotTakenError
        else:
            self._hold.give_back()

    async def _refuse(self, ref: str | int | None, error: Exception) -> None:
        await self._send(self._error_frame(ref, error))

    def _error_frame(self, ref: str | int | None, error: Exception) -> str:
        request_id = self._call.request[REQUEST_ID]
        told = refusal(error, request_id=request_id) or fault(request_id=request_id)
        return frames.ErrorFrame(ref=ref, error=told.answer.error).model_dump_json()

    # -- out

    def _follow(self, frame: frames.FollowFrame) -> None:
        self._follows, self._last_seq = True, frame.after
        self._follower = self._spawn(self._send_followed(frame), "follower")

    async def _send_followed(self, frame: frames.FollowFrame) -> None:
        """Send the events after a number, as they are asked for; ends by raising why there are no more."""
        renderings: Renderings | None = None
        renderer: asyncio.Task[None] | None = None
        if frame.rendered:
            renderings = Renderings(self._call.service.renderer, self._send, client=f"session {self._session_id}")
            renderer = self._spawn(renderings.run(), "renderer")
        try:
            events = self._manager.events(self._session_id, after=frame.after, owner=self._owner)
            if frame.compact:
                info = await self._manager.get(self._session_id, owner=self._owner)
                events = compacted(events, past=info.last_seq or 0)
            async with aclosing(events):
                await self._send_events(events, renderings)
        finally:
            await cancelled(renderer)
        raise await why_events_ended(self._manager, self._session_id, owner=self._owner)

    async def _send_events(self, events: AsyncGenerator[JournalEvent, None], renderings: Renderings | None) -> None:
        async for event in events:
            self._last_seq = reached(event)
            await self._send(event.body)
            if renderings is not None:
                renderings.take(event)
                await renderings.room()

    async def _wait_for_the_end(self, after: int) -> None:
        """Read and forget: a socket that follows nothing closes, too, when the session or the server ends."""
        async with aclosing(self._manager.events(self._session_id, after=after, owner=self._owner)) as events:
            async for _ in events:
                pass
        raise await why_events_ended(self._manager, self._session_id, owner=self._owner)

    async def _send_screens(self) -> None:
        """Send the screen as it changes; when there is no more of it, the follower says why."""
        async with aclosing(self._manager.screen_updates(self._session_id, owner=self._owner)) as screens:
            async for update in screens:
                await self._send(json.dumps({"type": "screen", **update.to_dict()}, ensure_ascii=False))

    async def _send_keyboard(self, taken: bool, mine: bool) -> None:
        frame = frames.KeyboardStateFrame(taken=taken, mine=mine, allowed=self._may_type)
        await self._send(frame.model_dump_json())

    async def _watch_keyboard(self, *, taken: bool) -> None:
        """Say who has the keyboard whenever that changes; `taken` is what was said before."""
        told = (taken, False)
        async with aclosing(self._manager.keyboard_holders(self._session_id, owner=self._owner)) as holders:
            async for holder in holders:
                state = (holder is not None, holder is not None and holder is self._hold)
                if state != told:
                    told = state
                    await self._send_keyboard(*state)

    async def _send(self, text: str) -> None:
        await self._write(text)
        await self._outlet.taken()

    async def _write(self, text: str) -> None:
        """Write without waiting: see `Outlet`. Raises ClientConnectionResetError."""
        await self._socket.send_frame(json_bytes(text), WSMsgType.TEXT)

    # -- the end

    async def _close(self, error: Exception) -> None:
        """Close the socket with a code that says why; a client that doesn't answer is cut off."""
        code, reason = self._told(error)
        if isinstance(error, StalledReaderError):
            self._outlet.report_stall(last_seq=self._last_seq)
        answered = False
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                if code == WSCloseCode.INTERNAL_ERROR:
                    await self._write(self._error_frame(None, error))
                if isinstance(error, WebSocketError):
                    await self._socket.refuse(code, reason)
                else:
                    answered = await self._socket.finish(code, reason)
        except (TimeoutError, ClientConnectionResetError):
            pass
        if not answered:
            self._outlet.abort()

    def _told(self, error: Exception) -> tuple[int, str]:
        match error:
            case _GoneError() | ClientConnectionResetError():
                return WSCloseCode.OK, ""
            case StalledReaderError():
                return TOO_SLOW, f"too slow: follow after {self._last_seq}" if self._follows else "too slow"
            case WebSocketError():
                return error.code, UNREADABLE.get(error.code, "a frame was malformed").format(limit=self._limit_bytes)
            case SessionNotFoundError():
                return DELETED, "the session was deleted"
            case ClosingError():
                return WSCloseCode.GOING_AWAY, "the server is stopping"
            case QptyError() | StorageError():
                return WSCloseCode.INTERNAL_ERROR, "the journal can't be read now: come back"
            case _:
                _log.error("a socket failed inside the server", exc_info=error)
                return WSCloseCode.INTERNAL_ERROR, "an error inside the server; its log has it"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"the frame is not JSON: {str(error)[:200]}") from error


def _ref(given: Any) -> str | int | None:
    """Return a frame's `ref`, also of one that can't be taken."""
    ref = given.get("ref") if isinstance(given, dict) else None
    fits = (isinstance(ref, str) and len(ref) <= 200 and printable(ref) == ref) or type(ref) is int
    return ref if fits else None


def _late_ref(text: str) -> str | int | None:
    """Return the `ref` of a frame that came too soon, as far as it is little work."""
    try:
        return _ref(_parsed(text)) if len(text) <= LATE_REF_CHARACTERS else None
    except InvalidRequestError:
        return None


def _problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"the frame can't be taken: {place or 'it'}: {first['msg']}"[:500]
