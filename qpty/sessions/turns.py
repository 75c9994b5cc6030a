"""One turn of a session: a message, and what became of it."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qpty.sessions.pool import Ticket
    from qpty.storage.rows import Role

TOOLS: Final = 500
TOOLS_CHARACTERS: Final = 256 * 1024
"""Of one turn's tools, in its message's summary."""


class Progress(Enum):
    """How far a turn is. It goes down this list, and may end from anywhere."""

    QUEUED = "queued"
    PREPARING = "preparing"
    """It waits for a worker, or its worker is being started: nothing was typed."""
    MARKED = "marked"
    """Durably noted as running, about to be typed."""
    RUNNING = "running"
    """Typed. It is never sent again."""
    ENDED = "ended"


@dataclass(eq=False, slots=True, kw_only=True)
class Turn:
    """A message and its answer. `seq` is the number of its `turn.queued`: its events come after that.

    `over` is set when its `turn.completed` or `turn.failed` is durable, and `end` has it; `ended` when the session
    is done with the turn, too, for everybody else: await it through `wait`. `cancelled` says that it was
    interrupted (before it was typed, this ends it), `recycle` that its worker must not be used again; `ticket` is its
    right to run.
    """

    id: str
    position: int
    text: str
    seq: int = 0
    progress: Progress = Progress.QUEUED
    tools: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: asyncio.Future[Mapping[str, Any]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future(), repr=False
    )
    over: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    end: Mapping[str, Any] | None = field(default=None, repr=False)
    tools_characters: int = 0
    cancelled: bool = False
    recycle: bool = False
    ticket: Ticket | None = field(default=None, repr=False)

    async def wait(self) -> Mapping[str, Any]:
        """Wait for the turn's end; whoever is cancelled here disturbs nobody else.

        Raises ClosingError if the server stops first: a message that wasn't typed is taken up by the next start.
        """
        return await asyncio.shield(self.ended)

    def abandon(self, error: Exception) -> None:
        """Tell everybody who waits that this server will not end the turn."""
        if not self.ended.done():
            self.ended.set_exception(error)
            self.ended.exception()  # it is no fault if nobody waits

    def settle(self) -> None:
        """Tell everybody who waits."""
        if self.end is not None and not self.ended.done():
            self.ended.set_result(self.end)

    def note_tool(self, event: Mapping[str, Any]) -> None:
        """Keep what the message's summary says of its tools: name, arguments, outcome. Not what they printed.

        Beyond `TOOLS_CHARACTERS` of arguments only names and outcomes are kept, beyond `TOOLS` nothing: the journal
        has them all.
        """
        if event["type"] == "tool.started":
            if len(self.tools) < TOOLS:
                arguments = event["arguments"]
                self.tools_characters += len(json.dumps(arguments))
                kept = arguments if self.tools_characters <= TOOLS_CHARACTERS else None
                self.tools[event["tool_id"]] = {"name": event["name"], "arguments": kept, "outcome": None}
        elif event["type"] == "tool.completed" and event["tool_id"] in self.tools:
            self.tools[event["tool_id"]]["outcome"] = event["outcome"]


def message_position(turn_position: int, role: Role) -> int:
    """Return where a message is in its session: every answer right after its question, whatever was queued before."""
    return 2 * turn_position - (role == "user")


def new_id() -> str:
    """Return an id for a session, a turn or a message."""
    return str(uuid.uuid4())
