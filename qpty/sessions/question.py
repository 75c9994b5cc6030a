"""The question that a session's agent asked last, and how long it may stay open.

```
 none ──asked──▶ open ──answered, or the turn ends──▶ none
                  │
                  └─ nobody answers within `timeout`: `unanswered` is called, and has the turn interrupted
```
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class OpenQuestion:
    """The open permission or menu of one session. `timeout` is in seconds."""

    def __init__(self, *, timeout: float, unanswered: Callable[[], None]) -> None:
        self.event: dict[str, Any] | None = None
        """The question as the journal has it, with its number; None without one."""
        self._timeout = timeout
        self._unanswered = unanswered
        self._timer: asyncio.TimerHandle | None = None

    @property
    def request_id(self) -> str | None:
        """The id under which the open question is answered."""
        return self.event["request_id"] if self.event is not None else None

    def ask(self, event: dict[str, Any]) -> None:
        """Have a question open from now on."""
        self.event = event
        self._timer = asyncio.get_running_loop().call_later(self._timeout, self._timed_out, event["request_id"])

    def clear(self) -> None:
        """Have no question open, however it ended."""
        self.event = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _timed_out(self, request_id: str) -> None:
        if self.event is not None and self.event["request_id"] == request_id:
            self._unanswered()
