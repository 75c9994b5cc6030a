"""What a fork is made of: a session's turns and messages up to one of its answers, and the agent's own record of them.

A message that is to be said in other words is forked *before* its turn: from the last answer there was then, or with
nothing said if it was the first one.

The rows are copied, so that either session can go without the other. The record up to there becomes the fork's seed,
which its first agent takes up; where the record doesn't have that answer any more (the CLI summarised the conversation,
or it is another one), there is no seed and the messages have to do: `session.revived` will say so.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from qpty.agent.history import HistoryError, cut_document
from qpty.agent.record import RecordError
from qpty.sessions.errors import ForkError
from qpty.sessions.titles import title_of
from qpty.sessions.turns import message_position, new_id
from qpty.storage.writes import insert_message, insert_turn, put_seed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from qpty.agent.provider import AgentProvider
    from qpty.storage.database import Database
    from qpty.storage.rows import MessageRow, SessionRow, TurnRow
    from qpty.storage.writes import Write

PAGE: Final = 500
"""Rows read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """The new session's row, copies of what was said (`turns` of them), and what its first agent takes up."""

    row: SessionRow
    turns: int
    copies: Sequence[Write]
    seed: str | None

    @property
    def rest(self) -> Sequence[Write]:
        """Everything that is written but the row."""
        return self.copies if self.seed is None else [*self.copies, put_seed(self.row.id, self.seed)]


async def fork_of(
    row: SessionRow,
    turn_id: str | None,
    *,
    before_turn_id: str | None = None,
    database: Database,
    provider: AgentProvider,
    directory: Path,
    now: float,
    fork_id: str | None = None,
) -> Fork:
    """Make a fork of a session from the end of a completed turn; of the newest one, if none is named.

    `before_turn_id` names any turn instead, and the last completed one before that counts; without one the fork has
    the session's profile and no messages. `directory` is the session's own. A fork is nobody's client's: no client's
    tools are behind it. Nothing is written. Raises ForkError.
    """
    if before_turn_id is None:
        turns = await _completed_turns(database, row.id, turn_id)
    else:
        turns = await _turns_before(database, row.id, before_turn_id)
    messages: dict[str, list[MessageRow]] = {turn.id: [] for turn in turns}
    async for message in _all_messages(database, row.id):
        if message.turn_id in messages:
            messages[message.turn_id].append(message)
    seed = None
    if turns:
        seed = await _cut(row, turns[-1], database=database, provider=provider, directory=directory)
    fork_id = fork_id or new_id()
    fork = replace(
        row,
        id=fork_id,
        client=None,
        profile={name: value for name, value in row.profile.items() if name != "client_tools"},
        created_at=now,
        last_activity=now,
        directory=fork_id,
        title=row.title if turns else await _given_title(database, row),
        message_count=sum(map(len, messages.values())),
        parent_id=row.id,
        record_mark=None,
        journal_floor=0,
    )
    writes: list[Write] = []
    for number, turn in enumerate(turns, 1):
        # The journal of the original is not the fork's: its turns ended before the fork's first event.
        copied = replace(turn, id=new_id(), session_id=fork_id, position=number, started_seq=0, ended_seq=0)
        writes.append(insert_turn(copied))
        for message in messages[turn.id]:
            position = message_position(number, message.role)
            copy = replace(message, id=new_id(), session_id=fork_id, turn_id=copied.id, position=position)
            writes.append(insert_message(copy))
    return Fork(row=fork, turns=len(turns), copies=writes, seed=seed)


async def _turns_before(database: Database, session_id: str, turn_id: str) -> Sequence[TurnRow]:
    """The turns that were answered to their ends before the one named. Raises ForkError."""
    named = await database.turn(turn_id)
    if named is None or named.session_id != session_id:
        raise ForkError(turn_id, "it is not a turn of this session")
    return [turn for turn in await _all_completed(database, session_id) if turn.position < named.position]


async def _given_title(database: Database, row: SessionRow) -> str | None:
    """The session's title, unless it was made from its first message, which is about to be another one."""
    first = await database.messages(row.id, limit=1)
    return None if first and title_of(first[0].text) == row.title else row.title


async def _all_completed(database: Database, session_id: str) -> list[TurnRow]:
    turns: list[TurnRow] = []
    position = 0
    while page := await database.turns(session_id, after_position=position, limit=PAGE):
        position = page[-1].position
        turns += [turn for turn in page if turn.state == "completed" and turn.stop_reason == "end_turn"]
    return turns


async def _completed_turns(database: Database, session_id: str, turn_id: str | None) -> Sequence[TurnRow]:
    """The turns that were answered to their ends, up to the one named. Raises ForkError."""
    turns = await _all_completed(database, session_id)
    if turn_id is not None:
        at = next((index for index, turn in enumerate(turns) if turn.id == turn_id), None)
        if at is None:
            raise ForkError(turn_id, "it is not a turn of this session that was answered to its end")
        turns = turns[: at + 1]
    if not turns:
        raise ForkError(None, "nothing was answered yet; create a new session")
    return turns


async def _all_messages(database: Database, session_id: str) -> AsyncIterator[MessageRow]:
    position = 0
    while page := await database.messages(session_id, after_position=position, limit=PAGE):
        position = page[-1].position
        for message in page:
            yield message


async def _cut(
    row: SessionRow, turn: TurnRow, *, database: Database, provider: AgentProvider, directory: Path
) -> str | None:
    """The recorded conversation up to a turn's end; None where it can't be had."""
    length, message_id = turn.record_length, turn.record_message_id
    if length is None:
        return None
    try:
        own_seed = await database.seed(row.id)
        if own_seed is not None:  # a fork that has said nothing itself yet
            return json.dumps(cut_document(json.loads(own_seed), length=length, message_id=message_id))
        return await asyncio.to_thread(provider.cut, directory, length=length, message_id=message_id)
    except (RecordError, HistoryError):
        return None
