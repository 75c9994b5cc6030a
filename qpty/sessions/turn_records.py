"""What is written of a turn: pure functions from a turn and its end to events and writes.

Everything that one end changes is one list, written in one transaction with the end's event: the turn, the answer, the
session's row with its mark of the agent's record, and the account's use. So after a kill they all agree.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from qpty.sessions.revival import mark_to_dict
from qpty.sessions.titles import title_of
from qpty.sessions.turns import Progress, message_position, new_id
from qpty.storage.rows import MessageRow, TurnRow
from qpty.storage.writes import (
    add_account_use,
    delete_seed,
    insert_message,
    insert_turn,
    update_session,
    update_turn,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qpty.core.record import RecordMark
    from qpty.sessions.turns import Turn
    from qpty.storage.rows import Role, SessionRow
    from qpty.storage.writes import Write

DEFAULT_ACCOUNT: Final = "default"
"""Under which the use of a session without an account is counted."""


def not_sent(turn: Turn) -> dict[str, Any]:
    """Return the end of a turn that was interrupted before anything was typed."""
    return {
        "type": "turn.completed",
        "turn_id": turn.id,
        "stop_reason": "interrupted",
        "evidence": ["not_sent"],
        "text": "",
        "exact": True,
        "usage": {},
        "timings": {},
    }


def failed(turn: Turn, *, code: str, message: str, retryable: bool) -> dict[str, Any]:
    """Return the end of a turn whose agent can't say how it ended."""
    return {
        "type": "turn.failed",
        "turn_id": turn.id,
        "code": code,
        "message": message,
        "retryable": retryable,
        "evidence": ["worker_gone"] if turn.progress is Progress.RUNNING else ["not_sent"],
    }


def accepted(row: SessionRow, turn: Turn, *, now: float) -> tuple[SessionRow, list[Write]]:
    """Return the session's new row, and what is written when a message was taken.

    The first message gives a session without a title one.
    """
    queued = TurnRow(id=turn.id, session_id=row.id, position=turn.position, state="queued", created_at=now)
    message = _message(row, turn, "user", turn.text, exact=True, now=now)
    writes = [insert_turn(queued), insert_message(message)]
    if row.message_count == 0 and row.title is None and (title := title_of(turn.text)) is not None:
        row = replace(row, title=title)
        writes.append(update_session(row.id, title=title))
    row = replace(row, last_activity=now, message_count=row.message_count + 1)
    return row, [*writes, _touched(row)]


def ended(
    row: SessionRow, turn: Turn, end: Mapping[str, Any], *, mark: RecordMark | None, seq: int, now: float
) -> tuple[SessionRow, list[Write]]:
    """Return the session's new row, and what is written with a turn's end, which has number `seq`.

    `mark` is where the agent's record stands, None if no agent was asked.
    """
    row = replace(row, last_activity=now)
    writes: list[Write] = []
    if end["type"] == "turn.completed":
        if mark is not None and mark.length:
            row, writes = recorded(row, mark)
        writes.append(_completed(turn, end, mark, seq=seq, now=now))
        if end["text"] or turn.tools:
            tools = list(turn.tools.values()) or None
            message = _message(row, turn, "assistant", end["text"], exact=end["exact"], now=now, tools=tools)
            row = replace(row, message_count=row.message_count + 1)
            writes.append(insert_message(message))
    else:
        failure = {"code": end["code"], "detail": end["message"], "retryable": end["retryable"]}
        writes.append(update_turn(turn.id, state="failed", ended_at=now, ended_seq=seq, **failure))
    return row, [*writes, _use(row, end, now=now), _touched(row)]


def recorded(row: SessionRow, mark: RecordMark) -> tuple[SessionRow, list[Write]]:
    """Return the session's new row, and what is written when the agent's record turned out to hold a conversation."""
    row = replace(row, record_mark=mark_to_dict(mark))
    return row, [update_session(row.id, record_mark=row.record_mark), delete_seed(row.id)]


def _completed(turn: Turn, end: Mapping[str, Any], mark: RecordMark | None, *, seq: int, now: float) -> Write:
    # After an interrupt the record may still be behind: it can't tell where this turn ends.
    known = mark if mark is not None and end["stop_reason"] == "end_turn" and end["exact"] else None
    return update_turn(
        turn.id,
        state="completed",
        stop_reason=end["stop_reason"],
        ended_at=now,
        ended_seq=seq,
        record_length=known.length if known is not None else None,
        record_message_id=known.last_message_id if known is not None else None,
        usage=dict(end["usage"]),
        timings=dict(end["timings"]),
    )


def _message(
    row: SessionRow,
    turn: Turn,
    role: Role,
    text: str,
    *,
    exact: bool,
    now: float,
    tools: list[dict[str, Any]] | None = None,
) -> MessageRow:
    return MessageRow(
        id=new_id(),
        session_id=row.id,
        turn_id=turn.id,
        position=message_position(turn.position, role),
        role=role,
        text=text,
        exact=exact,
        tools=tools,
        created_at=now,
    )


def _touched(row: SessionRow) -> Write:
    return update_session(row.id, last_activity=row.last_activity, message_count=row.message_count)


def _use(row: SessionRow, end: Mapping[str, Any], *, now: float) -> Write:
    usage = end.get("usage", {})
    return add_account_use(
        row.account or DEFAULT_ACCOUNT,
        datetime.fromtimestamp(now, UTC).date().isoformat(),
        turns=int(end["type"] == "turn.completed"),
        failed_turns=int(end["type"] == "turn.failed"),
        model_calls=usage.get("model_calls", 0),
        prompt_characters=usage.get("prompt_characters", 0),
        answer_characters=usage.get("answer_characters", 0),
    )
