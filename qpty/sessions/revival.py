"""Giving a session a live agent that knows the conversation, and saying honestly whether it does.

What a fresh agent may take up, best first:

| source | `context` |
|---|---|
| nothing was said yet | no revival at all |
| the agent's own record of the session's directory, if it continues what this session last saw of it | `kept` |
| the conversation that a fork was made of | `kept` |
| the session's messages as plain exchanges, without tools and what they returned | `lost`, `carried_over` of them |
| nothing, where something was said | `lost`, `carried_over` is 0 |

Kept is never assumed: the record is compared with the mark that was stored when the last turn ended, and the agent is
asked what it holds after it has taken the conversation up (`TerminalAgent.take_up`).
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qpty.agent.driver import AgentGoneError, TakeUpError
from qpty.agent.history import Exchange, HistoryError
from qpty.agent.record import RecordError
from qpty.core.record import RecordMark
from qpty.core.states import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from qpty.agent.provider import Agent, AgentProvider, Profile
    from qpty.sessions.checkpoints import Checkpoints
    from qpty.sessions.config import SessionsConfig
    from qpty.sessions.launching import Launcher
    from qpty.storage.database import Database
    from qpty.storage.rows import SessionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Revived:
    """A started agent. `event` is the `session.revived` to publish, None if there was nothing to take up."""

    agent: Agent
    event: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Something to take up: exchanges, a whole conversation, or (None) the directory's own record."""

    history: Sequence[Exchange] | Mapping[str, Any] | None
    kept: bool = True

    @property
    def event(self) -> dict[str, Any]:
        if self.kept:
            return {"type": "session.revived", "context": "kept"}
        return {"type": "session.revived", "context": "lost", "carried_over": len(self.history or ())}


class Reviver:
    """Starts agents for sessions, with their conversations."""

    def __init__(
        self,
        *,
        provider: AgentProvider,
        launcher: Launcher,
        database: Database,
        config: SessionsConfig,
        checkpoints: Checkpoints,
    ) -> None:
        self._provider = provider
        self._checkpoints = checkpoints
        self._launcher = launcher
        self._database = database
        self._config = config

    async def revive(self, row: SessionRow, *, profile: Profile, directory: Path) -> Revived:
        """Start an agent in the session's directory and have it take up the conversation.

        Raises AgentUnavailableError.
        """
        source, problem = None, None
        chosen = False
        crashes = 0
        while True:
            agent = await self._launcher.launch(
                profile,
                directory,
                columns=row.columns,
                lines=row.lines,
                attempts=self._config.start_attempts,
            )
            try:
                self._checkpoints("worker.started", row.id)
                if not chosen:  # only now: a CLI that was killed while it wrote leaves a record that the next one mends
                    source, problem = await self._best_source(row, directory)
                    chosen = True
                if source is not None:
                    await agent.take_up(source.history)
                    self._checkpoints("worker.taken_up", row.id)
            except (AgentGoneError, NotReadyError) as error:
                await agent.close()
                crashes += 1
                unavailable = self._launcher.crashed(profile, error)
                if crashes >= self._config.start_attempts:
                    raise unavailable from error
            except (TakeUpError, RecordError, HistoryError) as error:
                await agent.close()  # what it holds now isn't known
                problem = str(error)
                source = await self._messages(row) if source is not None and source.kept else None
            except BaseException:
                await agent.close()
                raise
            else:
                break
        if source is None and problem is None:
            return Revived(agent=agent, event=None)
        event = (source or _Source(history=(), kept=False)).event
        return Revived(agent=agent, event=event if problem is None else {**event, "detail": problem})

    async def _best_source(self, row: SessionRow, directory: Path) -> tuple[_Source | None, str | None]:
        """The best that may be taken up, and what is wrong with anything better."""
        if row.record_mark is not None:
            try:
                if await asyncio.to_thread(self._provider.continues, directory, mark_from_dict(row.record_mark)):
                    return _Source(history=None), None
            except RecordError as error:
                return await self._messages(row), str(error)
            return await self._messages(row), "the agent's own record holds another conversation, or none"
        seed = await self._database.seed(row.id)
        if seed is not None:
            return _Source(history=json.loads(seed)), None
        messages = await self._messages(row)
        return messages, None if messages is None else "the agent's own record of this conversation was never read"

    async def _messages(self, row: SessionRow) -> _Source | None:
        """The session's own messages as exchanges; None if nothing was answered yet."""
        messages = await self._database.messages(row.id, limit=2 * self._config.history_limit, newest=True)
        prompts = {message.turn_id: message.text for message in messages if message.role == "user"}
        exchanges = [
            Exchange(prompt=prompts[message.turn_id], answer=message.text)
            for message in messages
            if message.role == "assistant" and message.turn_id in prompts
        ]
        return _Source(history=exchanges[-self._config.history_limit :], kept=False) if exchanges else None


def mark_to_dict(mark: RecordMark) -> dict[str, Any]:
    """Return a mark as JSON values."""
    return {
        "conversation_id": mark.conversation_id,
        "length": mark.length,
        "last_message_id": mark.last_message_id,
        "last_digest": mark.last_digest,
        "recent": list(mark.recent),
    }


def mark_from_dict(body: Mapping[str, Any]) -> RecordMark:
    """Return what `mark_to_dict` gave."""
    return RecordMark(**{**body, "recent": tuple(body["recent"])})
