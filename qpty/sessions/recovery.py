"""After a server ended, in whatever way: what the next one does before it takes anything new.

1. End every process that the earlier one left behind: two agents in one directory would overwrite each other's record.
2. Finish deletions that were begun; recordings of no session go.
3. A turn that was running ends as `worker_lost`: nobody knows what became of it, and it is never sent again.
4. A message that waited in a queue waits again: nothing of it was typed.
5. Directories of ids that were never handed out (warm workers) go, if they are empty.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qpty.sessions.files.errors import DirectoryError

if TYPE_CHECKING:
    from qpty.agent.provider import AgentProvider
    from qpty.sessions.manager import SessionManager
    from qpty.storage.rows import TurnRow


_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What was mended: processes ended, turns marked as lost, messages taken up again, deletions finished."""

    orphans: int
    lost_turns: int
    queued_turns: int
    deletions: int


async def recover(manager: SessionManager, provider: AgentProvider) -> Recovery:
    """Mend what an earlier server left. Only the holder of the data directory's lock may do this."""
    orphans = await provider.end_orphans()
    try:
        await asyncio.to_thread(manager.directories.empty_trash)
    except DirectoryError as error:  # one directory must not keep every session from its owner
        _log.warning("what earlier removals left could not all be removed: %s", error)
    deletions = await manager.finish_deletions()
    await manager.clean_recordings()
    lost = queued = 0
    by_session: dict[str, list[TurnRow]] = {}
    for turn in await manager.database.unfinished_turns():
        by_session.setdefault(turn.session_id, []).append(turn)
    for session_id, turns in by_session.items():
        found = await manager.database.session(session_id)
        if found is None:
            continue
        session = await manager.load(found)
        waiting = []
        for turn in turns:
            if turn.state == "running":
                session.fail_orphan(turn)
                lost += 1
                continue
            message = await manager.database.prompt_of(turn.id)
            if message is not None:
                waiting.append((turn, message.text))
        await session.journal.durable()
        session.restore(waiting)
        queued += len(waiting)
    await _clear_unused(manager)
    return Recovery(orphans=orphans, lost_turns=lost, queued_turns=queued, deletions=deletions)


async def _clear_unused(manager: SessionManager) -> None:
    """Remove the empty directories that belong to no session."""
    ids = await asyncio.to_thread(manager.directories.session_ids)
    known = await manager.database.known_ids(ids)
    for session_id in ids:
        if session_id not in known:
            await asyncio.to_thread(manager.directories.remove_if_empty, session_id)
