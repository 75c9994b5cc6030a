"""The turns of a session: messages queue, and are run one after the other.

```
 queued ──▶ preparing ──────────────────────────▶ running ─────────────▶ ended
            admitted by the pool; the agent       marked durably, then
            started, the conversation taken up    typed; never again
```

Up to *marked* nothing was typed, and the message may be tried again (a start that fails, a restart of the server).
From there on it is never sent again, whatever happens: the turn ends as the agent's events say, or as `worker_lost`.

What a turn's end changes is written in one transaction with its event.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from qpty.agent.errors import AgentError
from qpty.core.events import CommandCompleted, Exited, SessionState, TurnCompleted, TurnFailed
from qpty.core.states import NotReadyError, State
from qpty.sessions import keyboard, turn_records
from qpty.sessions.errors import (
    AgentUnavailableError,
    ClosingError,
    JournalFailedError,
    NoCapacityError,
    TurnNotFoundError,
)
from qpty.sessions.journal import timestamp
from qpty.sessions.launching import FINAL_CODES
from qpty.sessions.question import OpenQuestion
from qpty.sessions.session_worker import SessionWorker
from qpty.sessions.turns import Progress, Turn
from qpty.storage.errors import StorageError
from qpty.storage.writes import update_turn

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from qpty.core.events import Event
    from qpty.core.record import RecordMark
    from qpty.sessions.keyboard import Keyboard
    from qpty.sessions.lifecycle import Lifecycle
    from qpty.sessions.pool import Worker
    from qpty.sessions.services import Services
    from qpty.sessions.session_records import SessionRecords
    from qpty.sessions.tasks import Tasks

WAITING_SHOWN: Final = 0.05
"""Seconds that a turn waits for a worker before the session says so."""

TYPING_ATTEMPTS: Final = 2
"""Agents that a message is tried with when one turns out not to be ready for it. Nothing was typed then."""

LOST: Final = "The process of this session was lost in the middle of the turn. The message was not sent again."


class _InterruptedError(Exception):
    """The current turn was interrupted before anything was typed."""


class TurnRunner:
    """The queue of one session's messages, the turn that runs, and the worker that it runs on."""

    def __init__(
        self, records: SessionRecords, services: Services, lifecycle: Lifecycle, tasks: Tasks, keyboard: Keyboard
    ) -> None:
        self.queue: deque[Turn] = deque()
        self.current: Turn | None = None
        """The turn that is being prepared, or runs, or has just ended."""
        self.question = OpenQuestion(timeout=services.config.question_timeout, unanswered=self._question_unanswered)
        self.worker = SessionWorker(records, services, lifecycle, tasks, keyboard, user=self)
        self._records = records
        self._services = services
        self._pool = services.pool
        self._lifecycle = lifecycle
        self._tasks = tasks
        self._keyboard = keyboard
        self._unfinished: list[Turn] = []
        self._runner: asyncio.Task[None] | None = None
        self._preparing: asyncio.Task[None] | None = None

    # -- what can be known, and done

    def unended(self) -> Turn | None:
        """Return the current turn if its end isn't written."""
        turn = self.current
        return turn if turn is not None and turn.progress is not Progress.ENDED else None

    def typed(self) -> Turn | None:
        """Return the turn whose message was, or is being, typed."""
        turn = self.current
        return turn if turn is not None and turn.progress in {Progress.MARKED, Progress.RUNNING} else None

    async def interrupt(self, turn_id: str | None = None) -> bool:
        """Stop the current turn, or the one named; a queued one is taken out. Whether there was anything to stop.

        Raises TurnNotFoundError.
        """
        turn = self.current
        if turn_id is not None and (turn is None or turn.id != turn_id):
            turn = next((queued for queued in self.queue if queued.id == turn_id), None)
            if turn is None:
                row = await self._services.database.turn(turn_id)
                if row is None or row.session_id != self._records.id:
                    raise TurnNotFoundError(turn_id)
                return False
            self.queue.remove(turn)
            self._end_unsent(turn)
            return True
        if turn is None or turn.progress is Progress.ENDED:
            return False
        turn.cancelled = True
        if self._preparing is not None:
            self._preparing.cancel()
        elif turn.progress is Progress.RUNNING and self.worker.agent is not None:
            await self.worker.agent.interrupt()
        return True

    async def close(self, message: str) -> None:
        """Stop: the running turn fails as `worker_lost`, with this message; queued ones stay for the next start."""
        await self._stop(message)
        for turn in (*self._unfinished, *self.queue):
            turn.abandon(ClosingError())

    async def discard(self, message: str) -> None:
        """Stop for good: every turn that isn't over fails as `worker_lost`, with this message."""
        turns = [turn for turn in (self.current, *self.queue) if turn is not None]
        self.queue.clear()
        await self._stop(message)
        for turn in turns:
            self.fail(turn, code="worker_lost", message=message, retryable=False)

    async def _stop(self, message: str) -> None:
        turn, worker, runner = self.typed(), self.worker.current, self._runner
        if turn is not None:
            self.fail(turn, code="worker_lost", message=message)
        if runner is not None:
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)
        if worker is not None:
            self._pool.claim(worker)
            await self.worker.drop(worker)
        await self._tasks.ended()
        self.question.clear()

    # -- one turn after the other

    def ensure_running(self) -> None:
        """Have the queue worked off."""
        if self._runner is None and not self._lifecycle.closing:
            self._runner = asyncio.get_running_loop().create_task(self._run(), name=f"session {self._records.id}")
            self._runner.add_done_callback(self._runner_done)

    def _runner_done(self, task: asyncio.Task[None]) -> None:
        self._runner = None
        if task.cancelled() or isinstance(task.exception(), ClosingError):
            return
        self._tasks.report(task)
        if self.queue:
            self.ensure_running()

    async def _run(self) -> None:
        while self.queue:
            turn = self.current = self.queue.popleft()
            turn.progress = Progress.PREPARING
            try:
                await self._run_turn(turn)
                await turn.over.wait()
            except (asyncio.CancelledError, ClosingError):
                self._unfinished.append(turn)  # what wasn't typed stays queued for the next start
                raise
            except BaseException:
                # A fault of ours: it is reported, and nobody waits for ever.
                self.fail(turn, code="unknown", message="An internal error ended the turn; the log has it.")
                raise
            finally:
                self.current = None
                if turn.over.is_set():
                    turn.settle()

    async def _run_turn(self, turn: Turn) -> None:
        """See a turn to its end."""
        began = time.monotonic()
        try:
            await self._prepared(self._admitted(turn))
            began = time.monotonic()
            if await self._type(turn):
                await turn.over.wait()
        except _InterruptedError:
            self._records.publish_state(self.worker.state)
            self._end_unsent(turn)
        except NoCapacityError as error:
            self._records.publish_state(self.worker.state)
            self.fail(turn, code="no_capacity", message=str(error))
        except AgentUnavailableError as error:
            self._records.publish_state("hibernated")
            self.fail(turn, code=error.code, message=str(error), retryable=error.code not in FINAL_CODES)
        except (JournalFailedError, StorageError) as error:
            self.fail(turn, code="unknown", message=f"The database failed: {error}")
        finally:
            self.worker.let_go(recycle=turn.recycle)
            if turn.ticket is not None:
                self._pool.finish(turn.ticket, seconds=time.monotonic() - began)

    async def _admitted(self, turn: Turn) -> None:
        """Have a turn admitted, with the keyboard free: nobody else waits for a worker while a person types."""
        while True:
            if self._keyboard.taken:
                self._records.notice(keyboard.TAKEN, keyboard.WAITS_TEXT, turn=turn)
                await self._keyboard.wait_until_free()
            await self._admit(turn)
            if turn.ticket is None or not self._keyboard.taken:
                return
            ticket, turn.ticket = turn.ticket, None
            self._pool.finish(ticket)

    async def _admit(self, turn: Turn) -> None:
        waits = asyncio.get_running_loop().call_later(WAITING_SHOWN, self._records.publish_state, "waiting")
        try:
            turn.ticket = await self._pool.admit(self._records.row.owner)
        finally:
            waits.cancel()

    async def _type(self, turn: Turn) -> bool:
        """Have the message typed by a ready agent; whether it was."""
        for _ in range(TYPING_ATTEMPTS):
            if turn.cancelled:
                raise _InterruptedError
            await self._prepared(self.worker.hold())
            worker = self.worker.held
            if worker is None:
                raise RuntimeError("no worker is held after one was made ready")
            if turn.progress is Progress.PREPARING:
                await self._mark(turn)
            if turn.cancelled:
                raise _InterruptedError
            if worker.leaving:  # it died while the mark was written
                problem = "the agent ended before the message was typed"
                await self.worker.drop(worker)
                continue
            try:
                await worker.agent.send(turn.text, turn_id=turn.id)
            except NotReadyError as error:
                problem = str(error)  # nothing was typed: a fresh agent may be ready for it
                await self.worker.drop(worker)
                continue
            except AgentError:
                # It died while the message was typed, and nobody knows how much of it was taken. `worker_lost` ends
                # the turn.
                turn.progress = Progress.RUNNING
                self._tasks.spawn(self.worker.drop(worker))
                return True
            turn.progress = Progress.RUNNING
            self._services.checkpoints("turn.typed", self._records.id)
            await self._catch_up(turn, worker)
            return True
        self.fail(turn, code="unknown", message=problem)
        return False

    async def _catch_up(self, turn: Turn, worker: Worker) -> None:
        """See to what happened while the message was being typed."""
        if worker.leaving:  # nobody reads its events any more
            self.fail(turn, code="worker_lost", message=LOST)
        elif turn.cancelled:
            await worker.agent.interrupt()

    async def _prepared(self, coroutine: Coroutine[None, None, None]) -> None:
        """Await something that an interrupt may cancel. Raises _InterruptedError if one did."""
        task = self._preparing = asyncio.get_running_loop().create_task(coroutine)
        try:
            await asyncio.wait([task])
        finally:
            self._preparing = None
            if not task.done():  # the runner itself is being stopped
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if task.cancelled():
            raise _InterruptedError
        task.result()

    async def _mark(self, turn: Turn) -> None:
        """Note durably that the message is about to be typed: from here on it is never sent again."""
        turn.progress = Progress.MARKED
        self._records.journal.also(update_turn(turn.id, state="running", started_at=self._services.clock()))
        await self._records.journal.durable()
        self._services.checkpoints("turn.marked", self._records.id)

    # -- what the worker tells (`WorkerUser`)

    def is_preparing(self) -> bool:
        """Whether a turn is being prepared, and so a worker awaited."""
        return self._preparing is not None

    def runs(self, turn_id: str) -> bool:
        """Whether this turn is the current one, and its end isn't written."""
        turn = self.current
        return turn is not None and turn.id == turn_id and turn.progress is not Progress.ENDED

    def take_event(self, worker: Worker, event: Event) -> None:
        """Write an event of the agent, and do what it means for the turn."""
        turn = self.current
        match event:
            case CommandCompleted() | Exited():
                return
            case SessionState():
                if event.state not in {State.EXITED.value, State.STARTING.value}:
                    self._records.publish_state(event.state, event.detail)
            case TurnCompleted() | TurnFailed():
                if turn is not None and event.turn_id == turn.id:
                    self._services.checkpoints("turn.ended", self._records.id)
                    body = event.to_dict()
                    turn.recycle = body.pop("recycle", False)
                    self._end(turn, body, mark=worker.agent.mark)
            case _:
                body = {"time": timestamp(self._services.clock()), **event.to_dict()}
                seq = self._records.journal.append(body)
                if turn is not None:
                    self._note_event(turn, body, seq)

    def worker_lost(self) -> None:
        """End the turn that was typed at the worker that is gone."""
        turn = self.current
        if turn is not None and turn.progress is Progress.RUNNING:
            self.fail(turn, code="worker_lost", message=LOST)

    def _note_event(self, turn: Turn, body: dict[str, Any], seq: int) -> None:
        """Keep what the session itself has to know of an event."""
        match body["type"]:
            case "turn.started":
                self._records.journal.also(update_turn(turn.id, started_seq=seq))
            case "tool.started" | "tool.completed":
                turn.note_tool(body)
            case "permission.requested" | "menu.requested":
                self.question.ask({**body, "seq": seq})
                self._services.checkpoints("turn.asking", self._records.id)
            case "permission.answered" | "menu.answered":
                self.question.clear()

    def _question_unanswered(self) -> None:
        if self.worker.agent is None:
            return
        seconds = self._services.config.question_timeout
        text = f"Nobody answered within {seconds:g} s: the question is refused and the turn interrupted."
        self._records.notice("question_timeout", text, turn=self.current)
        self._tasks.spawn(self.worker.agent.interrupt())

    # -- the ends of turns

    def _end_unsent(self, turn: Turn) -> None:
        """End a turn that was interrupted before anything was typed."""
        self._end(turn, turn_records.not_sent(turn))

    def fail(self, turn: Turn, *, code: str, message: str, retryable: bool = True) -> None:
        """End a turn whose agent can't say how it ended."""
        self._end(turn, turn_records.failed(turn, code=code, message=message, retryable=retryable))

    def _end(self, turn: Turn, end: dict[str, Any], *, mark: RecordMark | None = None) -> None:
        """Write a turn's end with everything that it changes, and tell whoever waits once that is durable."""
        if turn.progress is Progress.ENDED:
            return
        turn.progress = Progress.ENDED
        if turn is self.current:
            self.question.clear()
        if self._lifecycle.deleted:
            self._tasks.spawn(self._tell(turn, end))
            return
        records = self._records
        seq = records.journal.append(end)
        now = self._services.clock()
        records.row, writes = turn_records.ended(records.row, turn, end, mark=mark, seq=seq, now=now)
        records.journal.also(*writes)
        self._tasks.spawn(self._tell(turn, {"seq": seq, **end}))

    async def _tell(self, turn: Turn, end: Mapping[str, Any]) -> None:
        try:
            await self._records.journal.durable()
            self._services.checkpoints("turn.durable", self._records.id)
        finally:  # also when the database refuses it: nobody may wait for ever
            turn.end = end
            turn.over.set()
            if turn is not self.current:
                turn.settle()
