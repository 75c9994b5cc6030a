"""The senders' own names for their messages: one that is sent again is known again, and not taken twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from qpty.sessions.turns import Turn

KEYS: Final = 64
"""Messages of a session that are known again by their senders' keys."""


class MessageKeys:
    """The turns of the newest `KEYS` messages that came with a key, by their keys."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}

    def get(self, key: str) -> Turn | None:
        """Return the turn of the message with this key; None if it isn't (or no longer) known."""
        return self._turns.get(key)

    def remember(self, key: str, turn: Turn) -> None:
        """Know a message again from now on; the oldest is forgotten where there are too many."""
        self._turns[key] = turn
        if len(self._turns) > KEYS:
            del self._turns[next(iter(self._turns))]
