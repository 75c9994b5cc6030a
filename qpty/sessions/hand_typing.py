"""Typing at a session's live terminal by hand: what that does to the session's worker, and what its readers are told.

`keyboard` has who holds the keyboard, and what that means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qpty.agent.errors import WriteQueueFullError
from qpty.core.states import NotReadyError
from qpty.sessions import keyboard
from qpty.sessions.errors import KeyboardBlockedError, NotLiveError, ValueRefusedError

if TYPE_CHECKING:
    from qpty.sessions.keyboard import Keyboard, KeyboardHold
    from qpty.sessions.pool import WorkerPool
    from qpty.sessions.session_records import SessionRecords
    from qpty.sessions.session_worker import SessionWorker
    from qpty.sessions.turns import Turn


class HandTyping:
    """What whoever has the keyboard does at one session's terminal. `turn` is always the one that runs, if any."""

    def __init__(self, keyboard: Keyboard, records: SessionRecords, worker: SessionWorker, pool: WorkerPool) -> None:
        self._keyboard = keyboard
        self._records = records
        self._worker = worker
        self._pool = pool

    def take(self, hold: KeyboardHold, *, turn: Turn | None) -> None:
        """Have somebody take the keyboard. Raises NotLiveError, KeyboardTakenError."""
        self._worker.typable()
        self._keyboard.take(hold)
        self._records.notice(keyboard.TAKEN, keyboard.TAKEN_TEXT, turn=turn)

    async def type(self, hold: KeyboardHold, text: str) -> None:
        """Type by hand; see `KeyboardHold.type`."""
        self._keyboard.require(hold)
        worker = self._worker.typable()
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise ValueRefusedError("text", "a lone surrogate is no character") from None
        if self._pool.claim(worker):
            self._pool.rest(worker)  # it is in use: others hibernate before it
        self._keyboard.handled = True
        try:
            await worker.agent.type_keys(data)
        except WriteQueueFullError as error:
            raise KeyboardBlockedError from error
        except NotReadyError as error:
            raise NotLiveError(self._records.id) from error

    def give_back(self, hold: KeyboardHold, *, turn: Turn | None) -> None:
        """End somebody's typing by hand; a worker that was handled, or isn't ready, as soon as no turn uses it."""
        if self._keyboard.holder is not hold:
            return
        self._keyboard.free()
        worker = self._worker.current
        text = keyboard.HANDLED_TEXT if self._keyboard.handled else keyboard.RETURNED_TEXT
        self._records.notice(keyboard.RETURNED, text, turn=turn)
        if worker is not None and self._worker.is_unsure_of(worker) and self._pool.claim(worker):
            self._worker.begin_to_drop(worker)
