"""Sessions of clients that speak another interface: found by what was said, and made from what a client says was said.

Such a client sends the whole conversation each time. Where it ended in an answer of ours, that turn's end is
remembered, with a digest of the conversation: the session that still stands there can simply go on, and one that has
gone on since is continued from there by another session. What no session has becomes a history that a new one takes
up without a model call.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from qpty.agent.provider import Profile
from qpty.agent.record import RecordError
from qpty.sessions.errors import ForkError, SessionNotFoundError
from qpty.sessions.forking import fork_of
from qpty.sessions.titles import title_of
from qpty.sessions.turns import message_position, new_id
from qpty.storage.rows import ClientTurnRow, MessageRow, SessionRow, TurnRow
from qpty.storage.writes import insert_client_turn, insert_message, insert_session, insert_turn, put_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpty.agent.provider import AgentProvider
    from qpty.core.record import RecordedEntry, RecordedTool
    from qpty.sessions.registry import SessionRegistry
    from qpty.sessions.services import Services
    from qpty.sessions.tasks import Tasks
    from qpty.storage.rows import Role
    from qpty.storage.writes import Write

__all__ = ["ClientSessions", "ClientTurnRow", "Continuation", "NewClientSession", "Profile"]

COLUMNS: Final = 120
LINES: Final = 40
"""Of the terminals: nobody looks at most of them."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """A turn's end to go on from; `entries` says how many of the history's entries it stands for.

    `required`: what was said before it isn't in the history, so there is no going on without it.
    """

    session_id: str
    turn_id: str
    entries: int
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClientSession:
    """A session to be made. `history` is all that was said before, `title` what it is to be called.

    With `after`, the agent's own record of that session is taken over for the entries that it stands for.
    """

    owner: str
    client: str
    profile: Profile
    history: Sequence[RecordedEntry] = ()
    after: Continuation | None = None
    title: str | None = None


class ClientSessions:
    """What the manager does for the clients of other interfaces."""

    def __init__(self, registry: SessionRegistry, services: Services, tasks: Tasks, *, provider: AgentProvider) -> None:
        self._registry = registry
        self._services = services
        self._database = services.database
        self._tasks = tasks
        self._provider = provider

    async def find(self, owner: str, conversations: Sequence[str]) -> Sequence[ClientTurnRow]:
        """Return remembered turns' ends with one of these conversations, the newest first."""
        return await self._database.client_turns(owner, conversations)

    async def find_reply(self, owner: str, reply_id: str) -> ClientTurnRow | None:
        """Return the turn's end that was answered under this id."""
        return await self._database.client_turn_of_reply(owner, reply_id)

    async def remember(self, turn: ClientTurnRow) -> None:
        """Remember a turn's end."""
        await self._database.writer.write(insert_client_turn(turn))

    async def stands_at(self, session_id: str, turn_id: str, *, owner: str) -> bool:
        """Whether the session's conversation ends with this turn, and nobody is about to change that.

        False for a session that is gone.
        """
        try:
            session = await self._registry.session(session_id, owner)
        except SessionNotFoundError:
            return False
        await session.journal.durable()
        turn = await self._database.turn(turn_id)
        mark = session.row.record_mark
        if turn is None or mark is None or session.current is not None or session.queued or session.keyboard.taken:
            return False
        return (turn.record_length, turn.record_message_id) == (mark["length"], mark["last_message_id"])

    async def last_calls(self, session_id: str) -> Sequence[RecordedTool]:
        """Return the calls that the model's newest answer ended with; none if they are answered, or can't be read."""
        directory = self._services.directories.path(session_id)
        try:
            return await asyncio.to_thread(self._provider.last_calls, directory)
        except RecordError as error:
            _log.warning("the calls that session %s waits for can't be read: %s", session_id, error)
            return ()

    async def create(self, new: NewClientSession) -> str:
        """Make a session, and return its id; durable when this returns.

        Raises HistoryError; ForkError and SessionNotFoundError if what it goes on from is required, and gone.
        """
        self._registry.check_open()
        self._database.check_writing()
        session_id = new_id()
        row, writes = await self._made(new, session_id)
        await self._tasks.carry_out(self._insert(row, writes))
        return session_id

    async def _insert(self, row: SessionRow, writes: Sequence[Write]) -> None:
        await asyncio.to_thread(self._services.directories.create, row.id)
        await self._database.writer.write(insert_session(row), *writes)
        self._services.checkpoints("session.inserted", row.id)

    async def _made(self, new: NewClientSession, session_id: str) -> tuple[SessionRow, Sequence[Write]]:
        now = self._services.clock()
        row = SessionRow(
            id=session_id,
            owner=new.owner,
            client=new.client,
            created_at=now,
            last_activity=now,
            directory=session_id,
            title=title_of(new.title or ""),
            profile=new.profile.to_dict(),
            columns=COLUMNS,
            lines=LINES,
        )
        if new.after is not None:
            try:
                return await self._continued(new, new.after, row)
            except (ForkError, SessionNotFoundError):
                if new.after.required:
                    raise
                # otherwise what the client sent has to do
        turns, count = _told(new.history, row, first=1)
        writes = [*turns, *await self._seed(new.history, row, base=None)]
        return replace(row, message_count=count), writes

    async def _continued(
        self, new: NewClientSession, after: Continuation, row: SessionRow
    ) -> tuple[SessionRow, Sequence[Write]]:
        """Go on from another session's turn. Raises ForkError, SessionNotFoundError."""
        source = await self._registry.session(after.session_id, new.owner)
        fork = await fork_of(
            source.row,
            after.turn_id,
            database=self._database,
            provider=self._provider,
            directory=self._services.directories.path(after.session_id),
            now=row.created_at,
            fork_id=row.id,
        )
        if fork.seed is None and after.required:
            raise ForkError(after.turn_id, "the agent's record of it is gone")
        rest = new.history[after.entries :]
        history = rest if fork.seed is not None else new.history
        turns, count = _told(rest, row, first=fork.turns + 1)
        row = replace(
            row,
            title=fork.row.title or row.title,
            parent_id=fork.row.parent_id,
            message_count=fork.row.message_count + count,
        )
        return row, [*fork.copies, *turns, *await self._seed(history, row, base=fork.seed)]

    async def _seed(self, history: Sequence[RecordedEntry], row: SessionRow, *, base: str | None) -> list[Write]:
        if not history and base is None:
            return []
        directory = self._services.directories.path(row.id)
        document = await asyncio.to_thread(self._provider.imported, history, directory=directory, base=base)
        return [put_seed(row.id, document)]


def _told(history: Sequence[RecordedEntry], row: SessionRow, *, first: int) -> tuple[list[Write], int]:
    """Return a history as turns and messages, for people, and how many messages those are.

    A message of the user begins a turn, and what is said up to the next one answers it.
    """
    writes: list[Write] = []
    count = 0
    position = first - 1
    answer: list[str] = []
    turn_id = ""

    def end() -> None:
        nonlocal count
        if turn_id and answer:
            count += 1
            writes.append(insert_message(_message(row, turn_id, position, "assistant", "\n\n".join(answer))))
            answer.clear()

    for entry in history:
        if entry.prompt is not None or not turn_id:
            end()
            position += 1
            turn_id = new_id()
            count += 1
            writes.append(insert_turn(_turn(row, turn_id, position)))
            writes.append(insert_message(_message(row, turn_id, position, "user", entry.prompt or "")))
        if entry.text:
            answer.append(entry.text)
    end()
    return writes, count


def _turn(row: SessionRow, turn_id: str, position: int) -> TurnRow:
    """A turn that was over before the session's first event."""
    return TurnRow(
        id=turn_id,
        session_id=row.id,
        position=position,
        state="completed",
        stop_reason="end_turn",
        created_at=row.created_at,
        started_seq=0,
        ended_seq=0,
    )


def _message(row: SessionRow, turn_id: str, turn_position: int, role: Role, text: str) -> MessageRow:
    return MessageRow(
        id=new_id(),
        session_id=row.id,
        turn_id=turn_id,
        position=message_position(turn_position, role),
        role=role,
        text=text,
        exact=True,
        created_at=row.created_at,
    )
