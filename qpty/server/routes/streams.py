"""A session's journal as server-sent events."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from qpty.server.errors import InvalidRequestError
from qpty.server.models.turns import EventsQuery
from qpty.server.streaming import EventStream
from qpty.server.turn_events import reached, why_events_ended

if TYPE_CHECKING:
    from aiohttp import web

    from qpty.server.operations import Call

LAST_EVENT_ID: Final = "Last-Event-ID"


async def events(call: Call) -> web.StreamResponse:
    """Send the events after a number, and those that come."""
    query = call.query(EventsQuery)
    after = _last_event_id(call.request.headers.get(LAST_EVENT_ID))
    if after is None:
        after = query.after or 0
    info = await call.manager.get(call.session_id, owner=call.owner)
    last = None if query.follow else info.last_seq or 0
    async with EventStream(call.request) as stream:
        if after == last:
            return stream.response
        async with aclosing(call.manager.events(call.session_id, after=after, owner=call.owner)) as found:
            async for event in found:
                await stream.send(event)
                if last is not None and reached(event) >= last:
                    return stream.response
        raise await why_events_ended(call.manager, call.session_id, owner=call.owner)
    return stream.response


def _last_event_id(text: str | None) -> int | None:
    if text is None or not text.strip():
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 16):
        raise InvalidRequestError(f"Last-Event-ID is {text[:40]!r}: give the number of an event")
    return int(text)
