"""What no agent would say in a test's time: written into a session's journal as its worker would."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qpty.sessions import turn_records
from qpty.sessions.turns import Turn, new_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qpty.sessions.journal import Journal
    from tests.server.served import Served


@dataclass(slots=True)
class Telling:
    """One turn, told event by event: it is running from the beginning, until `completed` or `failed`."""

    journal: Journal
    asked: str
    id: str = field(default_factory=new_id)
    text: str = ""
    """What was said so far."""

    def __post_init__(self) -> None:
        self.tell("turn.queued", position=0, text=self.asked)
        self.tell("turn.started", text=self.asked, changes=[])

    def tell(self, kind: str, **facts: Any) -> int:
        """Write an event of the turn; its number."""
        return self.journal.append({"type": kind, "turn_id": self.id, **facts})

    def part(self, text: str, segment: int = 0) -> None:
        """Say a part of a segment."""
        self.text += text
        self.tell("message.delta", segment=segment, text=text)

    def message(self, text: str, segment: int = 0) -> None:
        """Say a whole segment, or end one that was said in parts."""
        self.text = text
        self.tell("message.completed", segment=segment, text=text, exact=True)

    def tool(self, tool_id: str, name: str, arguments: dict[str, Any] | None, **facts: Any) -> None:
        """A tool begins to run."""
        self.tell("tool.started", tool_id=tool_id, name=name, arguments=arguments, **{"trusted": True, **facts})

    def completed(self) -> None:
        """The turn ends as it should."""
        self.tell("turn.completed", **self.end)

    @property
    def end(self) -> dict[str, Any]:
        """The facts of its end."""
        facts: dict[str, Any] = {"stop_reason": "end_turn", "evidence": [], "exact": True, "usage": {}, "timings": {}}
        return {**facts, "text": self.text}

    def failed(self, message: str, code: str = "unknown") -> None:
        """The turn fails."""
        self.tell("turn.failed", code=code, message=message, retryable=False, evidence=[])


async def answer(served: Served, session_id: str, asked: str, parts: Iterable[str]) -> str:
    """Write a turn whose answer comes in parts; its id."""
    told = Telling((await served.loaded(session_id)).journal, asked)
    for part in parts:
        told.part(part)
        await told.journal.durable()
    told.message(told.text)
    told.completed()
    await told.journal.durable()
    return told.id


async def exchange(served: Served, session_id: str, exchanges: Iterable[tuple[str, str | None]]) -> None:
    """Write turns, each a message and its answer (None: it failed), into the journal and the list of messages alike.

    Nothing may be sent to the session before it is loaded anew: the session doesn't know of them.
    """
    session = await served.loaded(session_id)
    first = await served.manager.database.last_turn(session_id) + 1
    for position, (asked, answered) in enumerate(exchanges, first):
        told = Telling(session.journal, asked)
        turn = Turn(id=told.id, position=position, text=asked)
        session.row, writes = turn_records.accepted(session.row, turn, now=time.time())
        session.journal.also(*writes)
        if answered is None:
            facts: dict[str, Any] = {
                "type": "turn.failed",
                "code": "unknown",
                "message": "It failed.",
                "retryable": True,
            }
            told.failed(facts["message"])
        else:
            told.message(answered)
            facts = {"type": "turn.completed", **told.end}
            told.completed()
        seq = session.journal.last_seq
        session.row, writes = turn_records.ended(session.row, turn, facts, mark=None, seq=seq, now=time.time())
        session.journal.also(*writes)
    await session.journal.durable()
