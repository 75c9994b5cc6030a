"""One turn of a session for a client: from its message to the model's last word.

Where the model calls the client's tools, the turn pauses: an answer ends with the calls, and another one begins with
their results. So one run has one answer, or several:

```
 reading ──the model calls──▶ paused ──results──▶ reading ──the turn ends──▶ over
    └──────── the client leaves, or its limits are reached ────▶ stopping ──▶ over
                              paused ──nobody comes back──▶ stopping
```
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from qpty.compat.client_tools.toolbox import Toolbox
    from qpty.compat.requests import Request
    from qpty.sessions.turns import Turn


class Phase(Enum):
    """How far a run is."""

    READING = "reading"
    PAUSED = "paused"
    STOPPING = "stopping"
    OVER = "over"


@dataclass(eq=False, slots=True, kw_only=True)
class Run:
    """One run. `seq` is the number of the last event that was read.

    `request` is the newest one, `start` the digest that its messages go on from, `conversation` the digest of
    everything up to and with its last message, `settings` that of how the session is set up. `allows_tools`: what the
    CLI's own tools ask for is allowed, otherwise refused. `call_ids` are those that the client was told of and that
    wait for results, `pause` ends the waiting.
    """

    session_id: str
    owner: str
    toolbox: Toolbox
    request: Request
    start: str
    conversation: str
    settings: str
    allows_tools: bool
    turn: Turn
    seq: int
    phase: Phase = Phase.READING
    call_ids: tuple[str, ...] = ()
    answered_ids: set[str] = field(default_factory=set)
    pause: asyncio.TimerHandle | None = field(default=None, repr=False)
