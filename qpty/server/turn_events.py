"""The events of one turn, out of its session's journal; and why a journal's events ended."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from qpty.sessions.errors import ClosingError, SessionNotFoundError
from qpty.sessions.journal import JournalEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from qpty.sessions.manager import SessionManager
    from qpty.sessions.turns import Turn

ENDS: Final = frozenset({"turn.completed", "turn.failed"})
QUESTIONS: Final = frozenset({"permission.requested", "menu.requested"})


async def turn_events(
    manager: SessionManager, session_id: str, turn: Turn, *, owner: str
) -> AsyncGenerator[JournalEvent, None]:
    """Yield a turn's events and those of the session meanwhile, up to the turn's end or a question.

    A question of an earlier turn ends it, too: this turn waits behind that. Raises ClosingError if the server stops
    first, SessionNotFoundError if the session is deleted.
    """
    async with aclosing(manager.events(session_id, after=turn.seq - 1, owner=owner)) as events:
        async for event in events:
            if event.seq is None and turn.end is not None:  # so far behind that the end may be trimmed
                yield event
                end = dict(turn.end)
                yield JournalEvent(end.get("seq"), end["type"], json.dumps(end, ensure_ascii=False))
                return
            turn_id = _turn_of(event)
            asks = event.type in QUESTIONS
            if turn_id in {None, turn.id} or asks:
                yield event
            if asks or (event.type in ENDS and turn_id == turn.id):
                return
    await turn.wait()  # raises ClosingError, unless the session was deleted in the middle of it
    raise SessionNotFoundError(session_id)


async def why_events_ended(
    manager: SessionManager, session_id: str, *, owner: str
) -> ClosingError | SessionNotFoundError:
    """Return why there will be no more events of a session, once they have ended."""
    try:
        await manager.get(session_id, owner=owner)
    except SessionNotFoundError as error:
        return error
    return ClosingError()


def reached(event: JournalEvent) -> int:
    """Return the number that a reader has come to with an event; a reset has none, and begins after one."""
    if event.seq is not None:
        return event.seq
    first_seq: int = event.data["first_seq"]
    return first_seq - 1


def _turn_of(event: JournalEvent) -> str | None:
    turn_id: str | None = event.data.get("turn_id")
    return turn_id
