"""A session's past without the live text that its complete text repeats: for readers that want it as it is now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from qpty.sessions.journal import JournalEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

_DELTA: Final = "message.delta"
_COMPLETED: Final = "message.completed"


async def compacted(events: AsyncIterable[JournalEvent], *, past: int) -> AsyncGenerator[JournalEvent, None]:
    """Yield the events; of those up to number `past`, deltas whose segment was completed are left out.

    Other deltas of the past are joined with their neighbours, under the number of the last: they are the text of a
    segment that is still open, or that never was completed.
    """
    held: list[JournalEvent] = []
    async for event in events:
        if event.type == _DELTA and event.seq is not None and event.seq <= past:
            if held and _segment(held[-1]) != _segment(event):
                yield _joined(held)
                held.clear()
            held.append(event)
        else:
            if held and not (event.type == _COMPLETED and _segment(held[-1]) == _segment(event)):
                yield _joined(held)
            held.clear()
            yield event
        if held and event.seq == past:
            yield _joined(held)
            held.clear()


def _segment(event: JournalEvent) -> tuple[str | None, int]:
    body = event.data
    return body.get("turn_id"), body["segment"]


def _joined(deltas: list[JournalEvent]) -> JournalEvent:
    body = deltas[-1].data
    if len(deltas) == 1:
        return deltas[0]
    text = "".join(delta.data["text"] for delta in deltas)
    return JournalEvent(deltas[-1].seq, _DELTA, json.dumps({**body, "text": text}, ensure_ascii=False))
