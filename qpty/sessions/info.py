"""What is told of a session: its row, and where it stands now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from qpty.agent.provider import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """One session. Times are seconds since the epoch.

    `last_seq` is the number of the newest event that readers may have; None in a list, where nobody uses the session
    now: ask for that one. `client` names the interface whose client's conversation it is. `state` is `hibernated`,
    `waiting` (for a worker) or a state of the terminal; `turn_id` is the turn that is prepared or runs; `queued` how
    many messages wait behind it; `question` the open question as the journal has it.
    """

    id: str
    owner: str
    created_at: float
    last_activity: float
    state: str
    directory: Path
    title: str | None
    profile: Profile
    account: str | None
    parent_id: str | None
    client: str | None
    columns: int
    lines: int
    message_count: int
    last_seq: int | None = None
    turn_id: str | None = None
    queued: int = 0
    question: Mapping[str, Any] | None = None
    expired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPage:
    """Some sessions, newest activity first; `next` is the cursor of the next page, None on the last one."""

    sessions: Sequence[SessionInfo]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolInfo:
    """The pool's figures: places in all and taken, idle and warm workers, turns that run and that wait."""

    max_workers: int
    live: int
    idle: int
    warm: int
    running: int
    waiting: int
    warm_failure: str | None
