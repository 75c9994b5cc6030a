"""The numbers of sessions and the pool, with the defaults of the design. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SMALLEST_RECORDING: Final = 64 * 1024
"""Bytes; half of it must hold a few of the longest events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsConfig:
    """Bounds and times; the server fills them from its settings.

    `max_workers`: live terminals. `warm_workers`: started ahead, in free places only. `idle_timeout`: until an idle
    worker hibernates. `queue_timeout`: how long a turn waits for a worker. `queue_limit`: messages that wait in one
    session. `question_timeout`: until a question that nobody answers is refused and its turn interrupted.
    `start_attempts`: of one turn, when the agent dies at start. `history_limit`: past exchanges that are carried over
    when a conversation has to be rebuilt from its messages. `journal_events`, `journal_bytes`: kept of each session.
    `recording_bytes`: of each session's recorded terminal, the newest; 0 records nothing.
    `session_expiry`: idle time until a session is expired. `auto_cleanup`: remove expired sessions whose directory is
    empty. `delete_after`: idle time until a session is deleted with its files; None is never. `sweep_interval`: between
    two looks for expired ones.
    """

    max_workers: int = 8
    warm_workers: int = 1
    idle_timeout: float = 900.0
    queue_timeout: float = 30.0
    queue_limit: int = 16
    question_timeout: float = 3600.0
    start_attempts: int = 3
    history_limit: int = 200
    journal_events: int = 20_000
    journal_bytes: int = 32 << 20
    recording_bytes: int = 4 << 20
    session_expiry: float = 3600.0
    auto_cleanup: bool = False
    delete_after: float | None = None
    sweep_interval: float = 30.0

    def __post_init__(self) -> None:
        """Refuse numbers that can't work. Raises ValueError with the name."""
        for name in ("max_workers", "queue_limit", "start_attempts", "journal_events", "journal_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be at least 1")
        for name in ("idle_timeout", "queue_timeout", "question_timeout", "session_expiry", "sweep_interval"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be more than 0 seconds")
        if not 0 <= self.warm_workers <= self.max_workers:
            raise ValueError(f"warm_workers is {self.warm_workers}: it must be from 0 to max_workers")
        if self.recording_bytes != 0 and self.recording_bytes < SMALLEST_RECORDING:
            raise ValueError(
                f"recording_bytes is {self.recording_bytes}: it must be at least {SMALLEST_RECORDING}, or 0 for none"
            )
        if self.delete_after is not None and not self.delete_after > 0:
            raise ValueError(f"delete_after is {self.delete_after}: give more than 0 seconds, or nothing for never")
