"""What the tables hold, as Python values. Times are seconds since the epoch, UTC; JSON columns are plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

TurnState = Literal["queued", "running", "completed", "failed"]
Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A session. `journal_floor` is the last event that was trimmed, 0 before any; only a trim sets it.

    `deleted_at` is set while the session is being deleted: it is in no list by then, but can still be read by its id.
    `client` names the interface whose client's conversation it is; None for the person's own.
    """

    id: str
    owner: str
    created_at: float
    last_activity: float
    directory: str | None = None
    account: str | None = None
    title: str | None = None
    profile: Mapping[str, Any]
    columns: int
    lines: int
    message_count: int = 0
    parent_id: str | None = None
    record_mark: Mapping[str, Any] | None = None
    journal_floor: int = 0
    deleted_at: float | None = None
    client: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTurnRow:
    """The end of a turn that a client of another interface was answered with.

    `conversation` is a digest of all that was said up to there, as that client has it, `settings` one of how it was
    set up, `reply_id` the answer's own id.
    """

    turn_id: str
    session_id: str
    owner: str
    conversation: str
    settings: str
    reply_id: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCursor:
    """A place in a list of sessions: just after the session with this `last_activity` and `id`."""

    last_activity: float
    id: str

    @classmethod
    def of(cls, row: SessionRow) -> Self:
        """The place just after `row`."""
        return cls(last_activity=row.last_activity, id=row.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRow:
    """A turn of a session; `position` counts from 1."""

    id: str
    session_id: str
    position: int
    state: TurnState
    stop_reason: str | None = None
    code: str | None = None
    detail: str | None = None
    retryable: bool | None = None
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    started_seq: int | None = None
    ended_seq: int | None = None
    record_length: int | None = None
    record_message_id: str | None = None
    usage: Mapping[str, Any] | None = None
    timings: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRow:
    """A message of a session; `position` counts from 1. `tools` is any JSON value."""

    id: str
    session_id: str
    turn_id: str
    position: int
    role: Role
    text: str
    exact: bool
    tools: Any = None
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUseRow:
    """What an account was used for on one `day` (YYYY-MM-DD, UTC)."""

    account: str
    day: str
    turns: int
    failed_turns: int
    model_calls: int
    prompt_characters: int
    answer_characters: int
