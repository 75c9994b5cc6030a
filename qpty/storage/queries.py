"""The reads, as statements: pure, one statement each, every page read from an index in its order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, and_, case, func, or_, select

from qpty.storage.folding import folded
from qpty.storage.tables import UNFINISHED, account_use, client_turns, journal, messages, seeds, sessions, turns
from qpty.storage.types import Bytes

if TYPE_CHECKING:
    from collections.abc import Collection

    from qpty.storage.rows import SessionCursor

Query = Select[*tuple[Any, ...]]
"""A query for any columns."""

_SIZE: Final = Bytes(journal.c.body)

_SESSION: Final = [column for column in sessions.c if column is not sessions.c.title_folded]
"""What a `SessionRow` has."""


def session(session_id: str) -> Query:
    """One session."""
    return select(*_SESSION).where(sessions.c.id == session_id)


def session_page(
    owner: str | None, limit: int, after: SessionCursor | None, *, deleted: bool, search: str = ""
) -> Query:
    """Sessions by latest activity, after a place in that order; only those whose title has `search` in it."""
    query = _listed(select(*_SESSION), owner, deleted=deleted)
    if wanted := folded(search):
        query = query.where(sessions.c.title_folded.contains(wanted, autoescape=True))
    if after is not None:
        # The first condition alone bounds the index; an OR by itself would scan it from its start.
        query = query.where(
            sessions.c.last_activity <= after.last_activity,
            or_(sessions.c.last_activity < after.last_activity, sessions.c.id > after.id),
        )
    return query.order_by(sessions.c.last_activity.desc(), sessions.c.id).limit(limit)


def session_count(owner: str | None) -> Query:
    """The number of sessions."""
    return _listed(select(func.count()).select_from(sessions), owner, deleted=False)


def turn(turn_id: str) -> Query:
    """One turn."""
    return select(turns).where(turns.c.id == turn_id)


def turns_of(session_id: str, states: Collection[str] | None, after_position: int, limit: int) -> Query:
    """Turns of a session, by position."""
    query = select(turns).where(turns.c.session_id == session_id, turns.c.position > after_position)
    if states is not None:
        query = query.where(turns.c.state.in_(sorted(states)))
    return query.order_by(turns.c.position).limit(limit)


def unfinished_turns() -> Query:
    """Queued and running turns of all sessions."""
    return select(turns).where(UNFINISHED).order_by(turns.c.session_id, turns.c.position)


def messages_of(
    session_id: str, after_position: int, limit: int, *, newest: bool, before_position: int | None = None
) -> Query:
    """Messages of a session between two positions: the first of them in order, or the last in reverse."""
    query = select(messages).where(messages.c.session_id == session_id, messages.c.position > after_position)
    if before_position is not None:
        query = query.where(messages.c.position < before_position)
    return query.order_by(messages.c.position.desc() if newest else messages.c.position).limit(limit)


def message(message_id: str) -> Query:
    """One message."""
    return select(messages).where(messages.c.id == message_id)


def events(session_id: str, after: int, limit: int, max_bytes: int) -> Query:
    """Events of a journal up to the last that fits; the sizes are summed where the bodies are, not here."""
    wanted = and_(journal.c.session_id == session_id, journal.c.seq > after)
    sizes = select(journal.c.seq, _SIZE.label("size")).where(wanted).order_by(journal.c.seq).limit(limit).cte("sizes")
    sums = select(sizes.c.seq, func.sum(sizes.c.size).over(order_by=sizes.c.seq).label("total")).cte("sums")
    last = select(
        func.coalesce(func.max(case((sums.c.total <= max_bytes, sums.c.seq))), func.min(sums.c.seq))
    ).scalar_subquery()
    return select(journal.c.seq, journal.c.body).where(wanted, journal.c.seq <= last).order_by(journal.c.seq)


def journal_bounds(session_id: str) -> Query:
    """A session's floor, and the first and last seq that are there."""
    mine = journal.c.session_id == session_id
    return select(
        sessions.c.journal_floor,
        select(func.min(journal.c.seq)).where(mine).scalar_subquery(),
        select(func.max(journal.c.seq)).where(mine).scalar_subquery(),
    ).where(sessions.c.id == session_id)


def journal_bytes(session_id: str) -> Query:
    """The bytes of a journal's bodies."""
    return select(func.coalesce(func.sum(_SIZE), 0)).where(journal.c.session_id == session_id)


def journal_start(session_id: str, max_bytes: int) -> Query:
    """The first seq of the newest events that have at most so many bytes together."""
    total = func.sum(_SIZE).over(order_by=journal.c.seq.desc()).label("total")
    sums = select(journal.c.seq, total).where(journal.c.session_id == session_id).cte("sums")
    return select(func.min(sums.c.seq)).where(sums.c.total <= max_bytes)


def turn_end(session_id: str, from_seq: int) -> Query:
    """The seq of the first turn's end from a seq on."""
    return select(func.min(turns.c.ended_seq)).where(turns.c.session_id == session_id, turns.c.ended_seq >= from_seq)


def messages_before(session_id: str, seq: int, limit: int) -> Query:
    """The last messages, in reverse, that the events before a seq told of: answers, and what was asked."""
    told = or_(turns.c.ended_seq < seq, and_(messages.c.role == "user", turns.c.started_seq < seq))
    return (
        select(messages)
        .join(turns, turns.c.id == messages.c.turn_id)
        .where(messages.c.session_id == session_id, told)
        .order_by(messages.c.position.desc())
        .limit(limit)
    )


def last_turn(session_id: str) -> Query:
    """The last position of a session's turns."""
    return select(func.coalesce(func.max(turns.c.position), 0)).where(turns.c.session_id == session_id)


def prompt_of(turn_id: str) -> Query:
    """The message that a turn was begun with."""
    return select(messages).where(messages.c.turn_id == turn_id, messages.c.role == "user")


def known_ids(ids: Collection[str]) -> Query:
    """Those of the ids that are sessions."""
    return select(sessions.c.id).where(sessions.c.id.in_(sorted(ids)))


def idle_sessions(before: float, after: SessionCursor | None, limit: int) -> Query:
    """Sessions whose last activity is before a time, the oldest first, after a place in that order."""
    query = select(*_SESSION).where(sessions.c.last_activity < before, sessions.c.deleted_at.is_(None))
    if after is not None:
        query = query.where(
            sessions.c.last_activity >= after.last_activity,
            or_(sessions.c.last_activity > after.last_activity, sessions.c.id < after.id),
        )
    return query.order_by(sessions.c.last_activity, sessions.c.id.desc()).limit(limit)


def seed(session_id: str) -> Query:
    """A session's seed."""
    return select(seeds.c.document).where(seeds.c.session_id == session_id)


def client_turns_of(owner: str, conversations: Collection[str], limit: int) -> Query:
    """Turns' ends with one of these conversations, the newest first."""
    return _client_turns(owner).where(client_turns.c.conversation.in_(sorted(conversations))).limit(limit)


def client_turn_of_reply(owner: str, reply_id: str) -> Query:
    """The turn's end that was answered under this id."""
    return _client_turns(owner).where(client_turns.c.reply_id == reply_id).limit(1)


def _client_turns(owner: str) -> Query:
    """An owner's, of sessions that aren't being deleted, the newest first."""
    return (
        select(client_turns)
        .join(sessions, sessions.c.id == client_turns.c.session_id)
        .where(client_turns.c.owner == owner, sessions.c.deleted_at.is_(None))
        .order_by(client_turns.c.created_at.desc())
    )


def account_use_since(account: str, since_day: str) -> Query:
    """An account's use, by day."""
    return (
        select(account_use)
        .where(account_use.c.account == account, account_use.c.day >= since_day)
        .order_by(account_use.c.day)
    )


def _listed(query: Query, owner: str | None, *, deleted: bool) -> Query:
    query = query.where(sessions.c.deleted_at.is_not(None) if deleted else sessions.c.deleted_at.is_(None))
    return query if owner is None else query.where(sessions.c.owner == owner)
