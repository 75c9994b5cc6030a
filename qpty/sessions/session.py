"""A session: one conversation, in one directory, with one journal and at most one live agent.

It is made of parts, each with one concern; here is what others may know and ask of it, and how it takes a message:

```
 Session ──▶ TurnRunner ──▶ SessionWorker ──▶ the pool, the reviver
    │            │                │
    └────────────┴────────────────┴──▶ SessionRecords ──▶ the journal
```

`lifecycle` says whether it takes anything, `question` what is asked, `keyboard` and `hand_typing` who types by hand.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from qpty.core.events import MenuRequested, PermissionRequested
from qpty.core.keys import encode_prompt
from qpty.core.states import NotReadyError, QuestionMismatchError
from qpty.sessions import turn_records
from qpty.sessions.errors import MessageKeyError, QuestionGoneError, QuestionOpenError, QueueFullError
from qpty.sessions.hand_typing import HandTyping
from qpty.sessions.keyboard import Keyboard, KeyboardHold
from qpty.sessions.lifecycle import Lifecycle
from qpty.sessions.limits import check_size, check_title
from qpty.sessions.message_keys import MessageKeys
from qpty.sessions.session_records import SessionRecords
from qpty.sessions.tasks import Tasks
from qpty.sessions.turn_runner import TurnRunner
from qpty.sessions.turns import Progress, Turn, new_id
from qpty.storage.errors import StorageFailedError
from qpty.storage.writes import update_session

if TYPE_CHECKING:
    from qpty.agent.provider import Agent, Profile
    from qpty.core.events import Answer
    from qpty.core.terminal import ScreenSnapshot
    from qpty.sessions.journal import Journal
    from qpty.sessions.live_agent import LiveAgent
    from qpty.sessions.pool import Worker
    from qpty.sessions.services import Services
    from qpty.storage.rows import SessionRow, TurnRow

SNAPSHOT_MESSAGES: Final = 100
"""Of the newest messages in the snapshot of a `journal.reset`."""

ACCEPT_TIMEOUT: Final = 10.0
"""Seconds that the database may take to keep a message before it is refused."""

STOPPED: Final = "The server was stopped in the middle of the turn. The message was not sent again."
DELETED: Final = "The session was deleted."


class Session:
    """One session that is in use. All methods are of the event loop's thread. Made by the manager only."""

    def __init__(self, row: SessionRow, services: Services, *, bounds: tuple[int, int], last_turn: int):
        self.keyboard = Keyboard()
        self._services = services
        self._database = services.database
        self._lifecycle = Lifecycle(row.id)
        self._records = SessionRecords(row, services, self._lifecycle, bounds=bounds, snapshot=self.snapshot)
        self._turns = TurnRunner(self._records, services, self._lifecycle, Tasks(f"session {row.id}"), self.keyboard)
        self._worker = self._turns.worker
        self._typing = HandTyping(self.keyboard, self._records, self._worker, services.pool)
        self._turn_position = last_turn
        self._keys = MessageKeys()

    # -- what can be known

    @property
    def id(self) -> str:
        """The session's id."""
        return self._records.id

    @property
    def row(self) -> SessionRow:
        """What the database has of it, or will have when what the journal holds is durable."""
        return self._records.row

    @row.setter
    def row(self, row: SessionRow) -> None:
        self._records.row = row

    @property
    def profile(self) -> Profile:
        """How its agents are started."""
        return self._records.profile

    @property
    def journal(self) -> Journal:
        """Its events."""
        return self._records.journal

    @property
    def live(self) -> LiveAgent:
        """Its live agent, for those who look on."""
        return self._worker.live

    @property
    def state(self) -> str:
        """A state of `qpty.core.states`, or `hibernated`, or `waiting` (for a worker)."""
        return self._records.state

    @property
    def question(self) -> dict[str, Any] | None:
        """The open question as the journal has it; None without one."""
        return self._turns.question.event

    @property
    def current(self) -> Turn | None:
        """The turn that is being prepared, or runs."""
        return self._turns.current

    @property
    def queued(self) -> int:
        """How many messages wait behind the current one."""
        return len(self._turns.queue)

    @property
    def in_use(self) -> bool:
        """Whether it has a worker, or a turn."""
        return self._worker.agent is not None or self.current is not None or self.queued > 0

    @property
    def screen(self) -> ScreenSnapshot:
        """What a person would see on the live terminal. Raises NotLiveError."""
        return self._worker.live_agent().screen

    @property
    def pid(self) -> int | None:
        """The live agent's process id."""
        return self._worker.agent.pid if self._worker.agent is not None else None

    def describe(self) -> str:
        """Return where things stand, for a log when something waits for too long."""
        worker = self._worker.agent.describe() if self._worker.agent is not None else "no worker"
        turn = f"turn {self.current.id} {self.current.progress.value}" if self.current is not None else "no turn"
        return f"session {self.id}: {self.state}, {turn}, {self.queued} queued, {worker}"

    async def snapshot(self, first_seq: int) -> dict[str, Any]:
        """Return what a reader needs that begins at event `first_seq`: what was said before, and what is open now."""
        await self.journal.durable()
        messages = await self._database.messages_before(self.id, seq=first_seq, limit=SNAPSHOT_MESSAGES)
        return {
            "state": self.state,
            "question": self.question,
            "turn_id": self.current.id if self.current is not None else None,
            "messages": [
                {"turn_id": row.turn_id, "role": row.role, "text": row.text, "exact": row.exact} for row in messages
            ],
        }

    # -- what can be done

    async def send(self, text: str, *, key: str | None = None) -> Turn:
        """Take a message; durable when this returns.

        `key` is the sender's own name for it: a message whose key is that of one of the newest messages (as many as
        `message_keys` knows) is that message, and its turn is returned.

        Raises PromptError (it can't be sent), MessageKeyError (the key is another message's), QuestionOpenError,
        QueueFullError, ClosingError, SessionNotFoundError, StorageFailedError (the database doesn't keep it; it will
        not be sent).
        """
        self._lifecycle.check_open()
        self._database.check_writing()
        encode_prompt(text)
        if key is not None and (same := self._keys.get(key)) is not None:
            if same.text != text:
                raise MessageKeyError(same.id)
            await self._accepted(same)
            return same
        if self.question is not None:
            raise QuestionOpenError(self.question)
        limit = self._services.config.queue_limit
        if self.queued >= limit:
            raise QueueFullError(limit)
        self._turn_position += 1
        turn = Turn(id=new_id(), position=self._turn_position, text=text)
        ahead = self.queued + (self._turns.unended() is not None)
        self._turns.queue.append(turn)
        queued = {"type": "turn.queued", "turn_id": turn.id, "position": ahead, "text": text}
        if key is not None:
            queued["idempotency_key"] = key
            self._keys.remember(key, turn)
        turn.seq = self.journal.append(queued)
        self.row, writes = turn_records.accepted(self.row, turn, now=self._services.clock())
        self.journal.also(*writes)
        self._turns.ensure_running()
        await self._accepted(turn)
        self._services.checkpoints("turn.accepted", self.id)
        return turn

    async def _accepted(self, turn: Turn) -> None:
        """Wait until a message is durable. One that can't be soon is taken back: who sent it may well send it again."""
        try:
            async with asyncio.timeout(ACCEPT_TIMEOUT):
                await self.journal.durable()
        except TimeoutError:
            if turn.progress is not Progress.RUNNING:
                await self.interrupt(turn.id)
                raise StorageFailedError(
                    f"a message was not written within {ACCEPT_TIMEOUT:g} s", retryable=True
                ) from None

    async def answer(self, request_id: str, answer: Answer) -> None:
        """Answer the open permission. Raises QuestionGoneError, AnswerError."""
        agent = self._asking(request_id, PermissionRequested)
        try:
            await agent.answer(request_id, answer)
        except (QuestionMismatchError, NotReadyError) as error:
            raise QuestionGoneError(request_id, self._turns.question.request_id) from error

    async def choose(self, request_id: str, index: int | None) -> None:
        """Choose from the open menu; None leaves it. Raises QuestionGoneError, ChoiceError."""
        agent = self._asking(request_id, MenuRequested)
        try:
            await agent.choose(request_id, index)
        except (QuestionMismatchError, NotReadyError) as error:
            raise QuestionGoneError(request_id, self._turns.question.request_id) from error

    def _asking(self, request_id: str, kind: type[PermissionRequested | MenuRequested]) -> Agent:
        """The agent that asks this. Raises QuestionGoneError."""
        self._lifecycle.check_open()
        agent = self._worker.agent
        question = agent.question if agent is not None else None
        if agent is None or not isinstance(question, kind) or question.request_id != request_id:
            raise QuestionGoneError(request_id, self._turns.question.request_id)
        return agent

    async def interrupt(self, turn_id: str | None = None) -> bool:
        """Stop the current turn, or the one named; a queued one is taken out. Whether there was anything to stop.

        Raises TurnNotFoundError.
        """
        self._lifecycle.check_open()
        return await self._turns.interrupt(turn_id)

    async def rename(self, title: str | None) -> None:
        """Give the session a title; durable when this returns. Raises ValueRefusedError."""
        self._lifecycle.check_open()
        check_title(title)
        self.row = replace(self.row, title=title)
        self.journal.also(update_session(self.id, title=title))
        await self.journal.durable()

    def resize(self, *, columns: int, lines: int) -> None:
        """Change the terminal's size, now and for later workers. Raises ValueRefusedError."""
        self._lifecycle.check_open()
        check_size(columns=columns, lines=lines)
        if self._worker.agent is not None:
            self._worker.agent.resize(columns=columns, lines=lines)
        self.row = replace(self.row, columns=columns, lines=lines)
        self.journal.also(update_session(self.id, columns=columns, lines=lines))

    def take_keyboard(self) -> KeyboardHold:
        """Let somebody type at the live terminal by hand; no message is begun meanwhile.

        Raises NotLiveError, KeyboardTakenError.
        """
        self._lifecycle.check_open()
        hold = KeyboardHold(self)
        self._typing.take(hold, turn=self._turns.typed())
        return hold

    async def type_keys(self, hold: KeyboardHold, text: str) -> None:
        """Type by hand; see `KeyboardHold.type`."""
        self._lifecycle.check_open()
        await self._typing.type(hold, text)

    def give_keyboard_back(self, hold: KeyboardHold) -> None:
        """End somebody's typing by hand; a worker that was handled, or isn't ready, as soon as no turn uses it."""
        self._typing.give_back(hold, turn=self._turns.typed())

    async def hibernate(self) -> bool:
        """End the idle worker, its conversation is kept; False if there is none, or it is in use."""
        if self.current is not None and self.current.progress is Progress.ENDED:
            await self.current.wait()
        return await self._worker.hibernate()

    # -- what the manager does

    def adopt(self, worker: Worker) -> None:
        """Take a warm worker that was started in this session's directory."""
        self._worker.adopt(worker)

    def restore(self, turns: list[tuple[TurnRow, str]]) -> None:
        """Take up the messages that were queued when the last server ended; nothing of them was typed."""
        for row, text in turns:
            self._turns.queue.append(Turn(id=row.id, position=row.position, text=text, seq=self.journal.last_seq))
        self._turns.ensure_running()

    def fail_orphan(self, row: TurnRow) -> None:
        """End a turn that was running when the last server was killed."""
        turn = Turn(id=row.id, position=row.position, text="", progress=Progress.RUNNING)
        self._turns.fail(turn, code="worker_lost", message=STOPPED)

    def say_state(self) -> None:
        """Tell readers the state, which the journal's last event leaves open."""
        self._records.say_state()

    def refuse(self) -> None:
        """Take nothing new: the server is stopping."""
        self._lifecycle.refuse()

    async def close(self) -> None:
        """Stop: the running turn fails as `worker_lost`, queued ones stay for the next start."""
        self.refuse()
        self.live.close()
        await self._turns.close(STOPPED)
        self.journal.close()

    def condemn(self) -> None:
        """Take nothing any more: the session is about to be deleted."""
        self._lifecycle.condemn()

    async def delete(self) -> None:
        """Stop for good: nothing of it will be written any more."""
        self._lifecycle.delete()
        self.journal.discard()
        self.live.close()
        await self._turns.discard(DELETED)
