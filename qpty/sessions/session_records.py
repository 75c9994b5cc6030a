"""What is written of a session: its row, its journal, and the state that its readers were told last.

All who work for a session (its worker, its turns) write through this one object. They keep the session itself by it:
the journal's `snapshot` is a method of the session, which the manager finds through a weak reference only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qpty.agent.provider import Profile
from qpty.sessions.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from qpty.sessions.lifecycle import Lifecycle
    from qpty.sessions.services import Services
    from qpty.sessions.turns import Turn
    from qpty.storage.rows import SessionRow


class SessionRecords:
    """The row and the journal of one session. `bounds` are the numbers of the events that the database has.

    `row` is what the database has, or will have when what the journal holds is durable.
    """

    def __init__(
        self,
        row: SessionRow,
        services: Services,
        lifecycle: Lifecycle,
        *,
        bounds: tuple[int, int],
        snapshot: Callable[[int], Awaitable[Mapping[str, Any]]],
    ) -> None:
        self.row = row
        self.profile = Profile.from_dict(row.profile)
        self.state = "hibernated"
        self.journal = Journal(
            row.id,
            database=services.database,
            first_seq=bounds[0],
            last_seq=bounds[1],
            snapshot=snapshot,
            max_events=services.config.journal_events,
            max_bytes=services.config.journal_bytes,
            clock=services.clock,
        )
        self._lifecycle = lifecycle

    @property
    def id(self) -> str:
        """The session's id."""
        return self.row.id

    def publish_state(self, state: str, detail: str = "") -> None:
        """Tell readers a new state; nothing if it is the one they know."""
        if state == self.state or self._lifecycle.deleted:
            return
        self.state = state
        body = {"type": "session.state", "state": state}
        self.journal.append({**body, "detail": detail} if detail else body)

    def say_state(self) -> None:
        """Tell readers the state, which the journal's last event leaves open."""
        self.journal.append({"type": "session.state", "state": self.state})

    def notice(self, code: str, text: str, *, turn: Turn | None = None) -> None:
        """Tell readers something in words; with a turn, as something of that turn."""
        if self._lifecycle.deleted:
            return
        body = {"type": "notice"} if turn is None else {"type": "notice", "turn_id": turn.id}
        self.journal.append({**body, "code": code, "text": text})
