"""A session's messages and turns as the database has them, page by page and within bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpty.storage.database import Database
    from qpty.storage.rows import MessageRow, TurnRow

MESSAGES_LIMIT: Final = 1_000
"""Messages, or turns, in one page."""

POSITION_LIMIT: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesBefore:
    """Messages before a place, in order; and whether there are others before these, and after that place."""

    messages: Sequence[MessageRow]
    more_before: bool
    more_after: bool


async def messages_after(
    database: Database, session_id: str, *, after_position: int, limit: int
) -> Sequence[MessageRow]:
    """Return the messages after a position, in order; 0 begins with the first."""
    limit = max(1, min(limit, MESSAGES_LIMIT))
    after_position = max(0, min(after_position, POSITION_LIMIT))
    return await database.messages(session_id, after_position=after_position, limit=limit)


async def messages_before(database: Database, session_id: str, *, position: int, limit: int) -> MessagesBefore:
    """Return the last messages before a position, in order; one beyond the end gives the newest."""
    limit = max(1, min(limit, MESSAGES_LIMIT))
    position = max(0, min(position, POSITION_LIMIT))
    found = await database.messages(session_id, before_position=position, limit=limit + 1, newest=True)
    later = await database.messages(session_id, after_position=position - 1, limit=1)
    return MessagesBefore(messages=found[-limit:], more_before=len(found) > limit, more_after=bool(later))


async def turns_after(database: Database, session_id: str, *, after_position: int, limit: int) -> Sequence[TurnRow]:
    """Return the turns after a position, in order; 0 begins with the first."""
    limit = max(1, min(limit, MESSAGES_LIMIT))
    return await database.turns(session_id, after_position=after_position, limit=limit)
