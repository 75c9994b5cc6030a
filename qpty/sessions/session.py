"""A session: one conversation, in one directory, with one journal and at most one live agent.

Messages queue; a runner takes them one after the other:

```
 queued ──▶ preparing ──────────────────────────▶ running ─────────────▶ ended
            admitted by the pool; the agent       marked durably, then
            started, the conversation taken up    typed; never again
```

Up to *marked* nothing was typed, and the message may be tried again (a start that fails, a restart of the server).
From there on it is never sent again, whatever happens: the turn ends as the agent's events say, or as `worker_lost`.

A reader of the agent's events (`_pump`) writes them to the journal as they come and waits while too much is unwritten,
which in the end makes the terminal wait. What a turn's end changes is written in one transaction with its event.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from qpty.agent.errors import AgentError, WriteQueueFullError
from qpty.agent.provider import Profile
from qpty.agent.record import RecordError
from qpty.agent.threads import all_ended, report_failure
from qpty.core.events import (
    CommandCompleted,
    Exited,
    MenuRequested,
    MessageDelta,
    PermissionRequested,
    SessionState,
    TurnCompleted,
    TurnFailed,
)
from qpty.core.keys import encode_prompt
from qpty.core.states import NotReadyError, QuestionMismatchError, State
from qpty.sessions import keyboard, turn_records
from qpty.sessions.errors import (
    AgentUnavailableError,
    ClosingError,
    JournalFailedError,
    KeyboardBlockedError,
    NoCapacityError,
    NotLiveError,
    QuestionGoneError,
    QuestionOpenError,
    QueueFullError,
    SessionNotFoundError,
    TurnNotFoundError,
    ValueRefusedError,
)
from qpty.sessions.file_errors import DirectoryError
from qpty.sessions.journal import Journal, timestamp
from qpty.sessions.keyboard import Keyboard, KeyboardHold
from qpty.sessions.launching import FINAL_CODES
from qpty.sessions.limits import check_size, check_title
from qpty.sessions.live_agent import LiveAgent
from qpty.sessions.pool import Worker
from qpty.sessions.turns import Progress, Turn, new_id
from qpty.storage.errors import StorageError, StorageFailedError
from qpty.storage.writes import update_session, update_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

    from qpty.core.events import Answer, Event
    from qpty.core.record import RecordMark
    from qpty.core.terminal import ScreenSnapshot
    from qpty.sessions.checkpoints import Checkpoints
    from qpty.sessions.config import SessionsConfig
    from qpty.sessions.directories import SessionDirectoryManager
    from qpty.sessions.pool import WorkerPool
    from qpty.sessions.revival import Reviver
    from qpty.storage.database import Database
    from qpty.storage.rows import SessionRow, TurnRow

SNAPSHOT_MESSAGES: Final = 100
"""Of the newest messages in the snapshot of a `journal.reset`."""

WAITING_SHOWN: Final = 0.05
"""Seconds that a turn waits for a worker before the session says so."""

ACCEPT_TIMEOUT: Final = 10.0
"""Seconds that the database may take to keep a message before it is refused."""

TYPING_ATTEMPTS: Final = 2
"""Agents that a message is tried with when one turns out not to be ready for it. Nothing was typed then."""


KEYS: Final = 64
"""Messages of a session that are known again by their senders' keys."""

_log: Final = logging.getLogger(__name__)

STOPPED: Final = "The server was stopped in the middle of the turn. The message was not sent again."
LOST: Final = "The process of this session was lost in the middle of the turn. The message was not sent again."


class _InterruptedError(Exception):
    """The current turn was interrupted before anything was typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What every session uses."""

    database: Database
    pool: WorkerPool
    reviver: Reviver
    directories: SessionDirectoryManager
    config: SessionsConfig
    checkpoints: Checkpoints
    clock: Callable[[], float] = time.time


class Session:
    """One session that is in use. All methods are of the event loop's thread. Made by the manager only."""

    def __init__(self, row: SessionRow, services: Services, *, bounds: tuple[int, int], last_turn: int):
        self.row = row
        self.profile = Profile.from_dict(row.profile)
        self._services = services
        self._database = services.database
        self._pool = services.pool
        self.journal = Journal(
            row.id,
            database=services.database,
            first_seq=bounds[0],
            last_seq=bounds[1],
            snapshot=self.snapshot,
            max_events=services.config.journal_events,
            max_bytes=services.config.journal_bytes,
            clock=services.clock,
        )
        self.live = LiveAgent()
        self.keyboard = Keyboard()
        self._turn_position = last_turn
        self._queue: deque[Turn] = deque()
        self._by_key: dict[str, Turn] = {}
        self._unfinished: list[Turn] = []
        self._current: Turn | None = None
        self._worker: Worker | None = None
        self._holds: Worker | None = None  # the worker, while the current turn uses it
        self._runner: asyncio.Task[None] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._state = "hibernated"
        self._question: dict[str, Any] | None = None
        self._question_timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._condemned = False
        self._deleted = False

    # -- what can be known

    @property
    def id(self) -> str:
        """The session's id."""
        return self.row.id

    @property
    def state(self) -> str:
        """A state of `qpty.core.states`, or `hibernated`, or `waiting` (for a worker)."""
        return self._state

    @property
    def question(self) -> dict[str, Any] | None:
        """The open question as the journal has it; None without one."""
        return self._question

    @property
    def current(self) -> Turn | None:
        """The turn that is being prepared, or runs."""
        return self._current

    @property
    def queued(self) -> int:
        """How many messages wait behind the current one."""
        return len(self._queue)

    @property
    def in_use(self) -> bool:
        """Whether it has a worker, or a turn."""
        return self._worker is not None or self._current is not None or bool(self._queue)

    @property
    def screen(self) -> ScreenSnapshot:
        """What a person would see on the live terminal. Raises NotLiveError."""
        return self._live().agent.screen

    @property
    def pid(self) -> int | None:
        """The live agent's process id."""
        return self._worker.agent.pid if self._worker is not None else None

    def describe(self) -> str:
        """Return where things stand, for a log when something waits for too long."""
        worker = self._worker.agent.describe() if self._worker is not None else "no worker"
        turn = f"turn {self._current.id} {self._current.progress.value}" if self._current is not None else "no turn"
        return f"session {self.id}: {self._state}, {turn}, {len(self._queue)} queued, {worker}"

    async def snapshot(self, first_seq: int) -> dict[str, Any]:
        """Return what a reader needs that begins at event `first_seq`: what was said before, and what is open now."""
        await self.journal.durable()
        messages = await self._database.messages_before(self.id, seq=first_seq, limit=SNAPSHOT_MESSAGES)
        return {
            "state": self._state,
            "question": self._question,
            "turn_id": self._current.id if self._current is not None else None,
            "messages": [
                {"turn_id": row.turn_id, "role": row.role, "text": row.text, "exact": row.exact} for row in messages
            ],
        }

    # -- what can be done

    async def send(self, text: str, *, key: str | None = None) -> Turn:
        """Take a message; durable when this returns.

        `key` is the sender's own name for it: a message whose key is that of one of the newest `KEYS` messages is that
        message, and its turn is returned.

        Raises PromptError (it can't be sent), QuestionOpenError, QueueFullError, ClosingError, SessionNotFoundError,
        StorageFailedError (the database doesn't keep it; it will not be sent).
        """
        self._check_open()
        self._database.check_writing()
        encode_prompt(text)
        if key is not None and (same := self._by_key.get(key)) is not None:
            await self._accepted(same)
            return same
        if self._question is not None:
            raise QuestionOpenError(self._question)
        limit = self._services.config.queue_limit
        if len(self._queue) >= limit:
            raise QueueFullError(limit)
        self._turn_position += 1
        turn = Turn(id=new_id(), position=self._turn_position, text=text)
        running = self._current is not None and self._current.progress is not Progress.ENDED
        ahead = len(self._queue) + running
        self._queue.append(turn)
        queued = {"type": "turn.queued", "turn_id": turn.id, "position": ahead, "text": text}
        if key is not None:
            queued["idempotency_key"] = key
            self._remember(key, turn)
        turn.seq = self.journal.append(queued)
        self.row, writes = turn_records.accepted(self.row, turn, now=self._services.clock())
        self.journal.also(*writes)
        self._ensure_runner()
        await self._accepted(turn)
        self._services.checkpoints("turn.accepted", self.id)
        return turn

    def _remember(self, key: str, turn: Turn) -> None:
        self._by_key[key] = turn
        if len(self._by_key) > KEYS:
            del self._by_key[next(iter(self._by_key))]

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
            raise QuestionGoneError(request_id, self._open_request_id()) from error

    async def choose(self, request_id: str, index: int | None) -> None:
        """Choose from the open menu; None leaves it. Raises QuestionGoneError, ChoiceError."""
        agent = self._asking(request_id, MenuRequested)
        try:
            await agent.choose(request_id, index)
        except (QuestionMismatchError, NotReadyError) as error:
            raise QuestionGoneError(request_id, self._open_request_id()) from error

    async def interrupt(self, turn_id: str | None = None) -> bool:
        """Stop the current turn, or the one named; a queued one is taken out. Whether there was anything to stop.

        Raises TurnNotFoundError.
        """
        self._check_open()
        turn = self._current
        if turn_id is not None and (turn is None or turn.id != turn_id):
            turn = next((queued for queued in self._queue if queued.id == turn_id), None)
            if turn is None:
                row = await self._database.turn(turn_id)
                if row is None or row.session_id != self.id:
                    raise TurnNotFoundError(turn_id)
                return False
            self._queue.remove(turn)
            self._end_unsent(turn)
            return True
        if turn is None or turn.progress is Progress.ENDED:
            return False
        turn.cancelled = True
        if self._preparing is not None:
            self._preparing.cancel()
        elif turn.progress is Progress.RUNNING and self._worker is not None:
            await self._worker.agent.interrupt()
        return True

    async def rename(self, title: str | None) -> None:
        """Give the session a title; durable when this returns. Raises ValueRefusedError."""
        self._check_open()
        check_title(title)
        self.row = replace(self.row, title=title)
        self.journal.also(update_session(self.id, title=title))
        await self.journal.durable()

    def resize(self, *, columns: int, lines: int) -> None:
        """Change the terminal's size, now and for later workers. Raises ValueRefusedError."""
        self._check_open()
        check_size(columns=columns, lines=lines)
        if self._worker is not None:
            self._worker.agent.resize(columns=columns, lines=lines)
        self.row = replace(self.row, columns=columns, lines=lines)
        self.journal.also(update_session(self.id, columns=columns, lines=lines))

    def take_keyboard(self) -> KeyboardHold:
        """Let somebody type at the live terminal by hand; no message is begun meanwhile.

        Raises NotLiveError, KeyboardTakenError.
        """
        self._check_open()
        self._typing_worker()
        hold = KeyboardHold(self)
        self.keyboard.take(hold)
        self._notice(keyboard.TAKEN, keyboard.TAKEN_TEXT, turn=self._running())
        return hold

    async def type_keys(self, hold: KeyboardHold, text: str) -> None:
        """Type by hand; see `KeyboardHold.type`."""
        self._check_open()
        self.keyboard.require(hold)
        worker = self._typing_worker()
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise ValueRefusedError("text", "a lone surrogate is no character") from None
        if self._pool.claim(worker):
            self._pool.rest(worker)  # it is in use: others hibernate before it
        self.keyboard.handled = True
        try:
            await worker.agent.type_keys(data)
        except WriteQueueFullError as error:
            raise KeyboardBlockedError from error
        except NotReadyError as error:
            raise NotLiveError(self.id) from error

    def give_keyboard_back(self, hold: KeyboardHold) -> None:
        """End somebody's typing by hand; a worker that was handled, or isn't ready, as soon as no turn uses it."""
        if self.keyboard.holder is not hold:
            return
        self.keyboard.free()
        worker, text = self._worker, keyboard.HANDLED_TEXT if self.keyboard.handled else keyboard.RETURNED_TEXT
        self._notice(keyboard.RETURNED, text, turn=self._running())
        if worker is not None and self._is_unsure_of(worker) and self._pool.claim(worker):
            self._begin_to_drop(worker)

    async def hibernate(self) -> bool:
        """End the idle worker, its conversation is kept; False if there is none, or it is in use."""
        if self._current is not None and self._current.progress is Progress.ENDED:
            await self._current.wait()
        worker = self._worker
        if worker is None or not self._pool.claim(worker):
            return False
        self._services.checkpoints("worker.hibernating", self.id)
        await self._drop(worker)
        return True

    # -- what the manager does

    def adopt(self, worker: Worker) -> None:
        """Take a warm worker that was started in this session's directory."""
        self._take(worker)
        self._publish_state("ready")
        self._pool.rest(worker)

    def restore(self, turns: list[tuple[TurnRow, str]]) -> None:
        """Take up the messages that were queued when the last server ended; nothing of them was typed."""
        for row, text in turns:
            self._queue.append(Turn(id=row.id, position=row.position, text=text, seq=self.journal.last_seq))
        self._ensure_runner()

    def fail_orphan(self, row: TurnRow) -> None:
        """End a turn that was running when the last server was killed."""
        turn = Turn(id=row.id, position=row.position, text="", progress=Progress.RUNNING)
        self._fail(turn, code="worker_lost", message=STOPPED)

    def say_state(self) -> None:
        """Tell readers the state, which the journal's last event leaves open."""
        self.journal.append({"type": "session.state", "state": self._state})

    def refuse(self) -> None:
        """Take nothing new: the server is stopping."""
        self._closing = True

    async def close(self) -> None:
        """Stop: the running turn fails as `worker_lost`, queued ones stay for the next start."""
        self.refuse()
        self.live.close()
        await self._stop("worker_lost", STOPPED)
        for turn in (*self._unfinished, *self._queue):
            turn.abandon(ClosingError())
        self.journal.close()

    def condemn(self) -> None:
        """Take nothing any more: the session is about to be deleted."""
        self._condemned = True

    async def delete(self) -> None:
        """Stop for good: nothing of it will be written any more."""
        self._closing = self._condemned = self._deleted = True
        self.journal.discard()
        self.live.close()
        turns = [turn for turn in (self._current, *self._queue) if turn is not None]
        self._queue.clear()
        await self._stop("worker_lost", "The session was deleted.")
        for turn in turns:
            self._fail(turn, code="worker_lost", message="The session was deleted.", retryable=False)

    async def _stop(self, code: str, message: str) -> None:
        turn, worker, runner = self._current, self._worker, self._runner
        if turn is not None and turn.progress in {Progress.MARKED, Progress.RUNNING}:
            self._fail(turn, code=code, message=message)
        if runner is not None:
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)
        if worker is not None:
            self._pool.claim(worker)
            await self._drop(worker)
        await all_ended(self._tasks)
        self._clear_question()

    # -- the runner

    def _ensure_runner(self) -> None:
        if self._runner is None and not self._closing:
            self._runner = asyncio.get_running_loop().create_task(self._run(), name=f"session {self.id}")
            self._runner.add_done_callback(self._runner_done)

    def _runner_done(self, task: asyncio.Task[None]) -> None:
        self._runner = None
        if task.cancelled() or isinstance(task.exception(), ClosingError):
            return
        self._report(task)
        if self._queue:
            self._ensure_runner()

    async def _run(self) -> None:
        while self._queue:
            turn = self._current = self._queue.popleft()
            turn.progress = Progress.PREPARING
            try:
                await self._run_turn(turn)
                await turn.over.wait()
            except (asyncio.CancelledError, ClosingError):
                self._unfinished.append(turn)  # what wasn't typed stays queued for the next start
                raise
            except BaseException:
                # A fault of ours: it is reported, and nobody waits for ever.
                self._fail(turn, code="unknown", message="An internal error ended the turn; the log has it.")
                raise
            finally:
                self._current = None
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
            self._publish_state("hibernated" if self._worker is None else self._worker.agent.state.value)
            self._end_unsent(turn)
        except NoCapacityError as error:
            self._publish_state("hibernated" if self._worker is None else self._worker.agent.state.value)
            self._fail(turn, code="no_capacity", message=str(error))
        except AgentUnavailableError as error:
            self._publish_state("hibernated")
            self._fail(turn, code=error.code, message=str(error), retryable=error.code not in FINAL_CODES)
        except (JournalFailedError, StorageError) as error:
            self._fail(turn, code="unknown", message=f"The database failed: {error}")
        finally:
            self._let_go(turn)
            if turn.ticket is not None:
                self._pool.finish(turn.ticket, seconds=time.monotonic() - began)

    async def _admitted(self, turn: Turn) -> None:
        """Have a turn admitted, with the keyboard free: nobody else waits for a worker while a person types."""
        while True:
            if self.keyboard.taken:
                self._notice(keyboard.TAKEN, keyboard.WAITS_TEXT, turn=turn)
                await self.keyboard.wait_until_free()
            await self._admit(turn)
            if turn.ticket is None or not self.keyboard.taken:
                return
            ticket, turn.ticket = turn.ticket, None
            self._pool.finish(ticket)

    async def _admit(self, turn: Turn) -> None:
        waits = asyncio.get_running_loop().call_later(WAITING_SHOWN, self._publish_state, "waiting")
        try:
            turn.ticket = await self._pool.admit(self.row.owner)
        finally:
            waits.cancel()

    async def _type(self, turn: Turn) -> bool:
        """Have the message typed by a ready agent; whether it was."""
        for _ in range(TYPING_ATTEMPTS):
            if turn.cancelled:
                raise _InterruptedError
            await self._prepared(self._hold_worker())
            worker = self._holds
            if worker is None:
                raise RuntimeError("no worker is held after one was made ready")
            if turn.progress is Progress.PREPARING:
                await self._mark(turn)
            if turn.cancelled:
                raise _InterruptedError
            if worker.leaving:  # it died while the mark was written
                problem = "the agent ended before the message was typed"
                await self._drop(worker)
                continue
            try:
                await worker.agent.send(turn.text, turn_id=turn.id)
            except NotReadyError as error:
                problem = str(error)  # nothing was typed: a fresh agent may be ready for it
                await self._drop(worker)
                continue
            except AgentError:
                # It died while the message was typed, and nobody knows how much of it was taken. `_pump` ends the turn.
                turn.progress = Progress.RUNNING
                self._spawn(self._drop(worker))
                return True
            turn.progress = Progress.RUNNING
            self._services.checkpoints("turn.typed", self.id)
            await self._catch_up(turn, worker)
            return True
        self._fail(turn, code="unknown", message=problem)
        return False

    async def _catch_up(self, turn: Turn, worker: Worker) -> None:
        """See to what happened while the message was being typed."""
        if worker.leaving:  # nobody reads its events any more
            self._fail(turn, code="worker_lost", message=LOST)
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
        self.journal.also(update_turn(turn.id, state="running", started_at=self._services.clock()))
        await self.journal.durable()
        self._services.checkpoints("turn.marked", self.id)

    # -- the worker

    async def _hold_worker(self) -> None:
        """Hold the session's worker, or a fresh one with the conversation taken up. Raises AgentUnavailableError."""
        worker = self._worker
        if worker is not None:
            if self._pool.claim(worker):
                if worker.agent.exited is None and not self._is_unsure_of(worker):
                    self._holds = worker
                    return
                await self._drop(worker)
            else:
                await worker.gone.wait()
        await self._pool.place()
        try:
            self._services.checkpoints("worker.starting", self.id)
            self._publish_state("starting")
            directory = await self._directory()
            await self.journal.durable()  # the conversation is rebuilt from what is written, if it has to be
            revived = await self._services.reviver.revive(self.row, profile=self.profile, directory=directory)
        except BaseException:
            self._pool.give_up_place()
            raise
        worker = Worker(agent=revived.agent, profile=self.profile, directory=directory)
        self._take(worker)
        self._holds = worker
        if revived.event is not None:
            self.journal.append(revived.event)
        self._publish_state("ready")

    async def _directory(self) -> Path:
        """The session's directory. A session from before directories, or whose directory is gone, gets one."""
        try:
            directory, _ = await asyncio.to_thread(self._services.directories.ensure, self.id)
        except DirectoryError as error:
            raise AgentUnavailableError("unknown", str(error)) from error
        if self.row.directory is None:
            self.row = replace(self.row, directory=self.id)
            self.journal.also(update_session(self.id, directory=self.id))
        return directory

    def _take(self, worker: Worker) -> None:
        worker.hibernate = self._hibernate
        worker.agent.discard_events()
        self._worker = worker
        self.live.set(worker.agent)
        self._spawn(self._pump(worker))

    def _let_go(self, turn: Turn) -> None:
        """After a turn: keep the worker, or end it where it can't be trusted with another one."""
        worker, self._holds = self._holds, None
        if worker is None or worker.leaving:
            return
        unsure = self._is_unsure_of(worker) and not self.keyboard.taken
        if turn.recycle or worker.agent.exited is not None or self._closing or unsure:
            self._spawn(self._drop(worker))
        else:
            self._pool.rest(worker)

    async def _hibernate(self) -> None:
        """Give the place up; the pool has taken the worker out of its idle ones."""
        worker = self._worker
        if worker is not None:
            self._services.checkpoints("worker.hibernating", self.id)
            await self._drop(worker)

    async def _drop(self, worker: Worker) -> None:
        """End a worker and free its place; everybody who asks waits until that is done."""
        self._begin_to_drop(worker)
        await worker.gone.wait()

    def _begin_to_drop(self, worker: Worker) -> None:
        if not worker.leaving:
            worker.leaving = True
            self._pool.leave(worker)
            self._spawn(self._end_worker(worker))

    async def _end_worker(self, worker: Worker) -> None:
        try:
            await worker.agent.close()
            if self.keyboard.handled and self._worker is worker:
                await self._take_over_record(worker)
        finally:
            if self._worker is worker:
                self._worker = None
                self.live.set(None)
                self._keyboard_ended()
            if self._preparing is None:
                self._publish_state("hibernated")
            worker.gone.set()
            self._pool.give_up_place(worker)

    async def _take_over_record(self, worker: Worker) -> None:
        """Have what a person said by hand taken up by the next worker, where no turn's record would be."""
        if self.row.record_mark is not None or self._deleted:
            return  # what comes after the mark is taken up with it
        try:
            mark = await worker.agent.read_mark()
        except RecordError as error:
            _log.warning("what was said by hand in session %s can't be read: %s", self.id, error)
            return
        if mark is not None:
            self.row, writes = turn_records.recorded(self.row, mark)
            self.journal.also(*writes)

    def _keyboard_ended(self) -> None:
        """The worker is gone, and with it whatever was typed at it."""
        self.keyboard.handled = False
        if self.keyboard.taken:
            self.keyboard.free()
            self._notice(keyboard.RETURNED, keyboard.ENDED_TEXT)

    # -- the agent's events

    async def _pump(self, worker: Worker) -> None:
        """Write the agent's events to the journal until its process is gone."""
        try:
            if not self.journal.measured:
                await self.journal.measure()
            async for event in worker.agent.events():
                if event.turn_id is not None and not self._runs(event.turn_id):
                    continue  # its end is written already
                if isinstance(event, MessageDelta):  # nearly all of them are
                    self._services.checkpoints("turn.streaming", self.id)
                    self.journal.append_text("message.delta", event.turn_id, "segment", event.segment, event.text)
                else:
                    self._take_event(worker, event)
                if self.journal.crowded:
                    await self.journal.room()
        finally:
            turn = self._current
            if turn is not None and turn.progress is Progress.RUNNING and self._holds is worker:
                self._fail(turn, code="worker_lost", message=LOST)
            self._pool.claim(worker)  # it may have died while nobody used it
            self._begin_to_drop(worker)

    def _runs(self, turn_id: str) -> bool:
        turn = self._current
        return turn is not None and turn.id == turn_id and turn.progress is not Progress.ENDED

    def _take_event(self, worker: Worker, event: Event) -> None:
        turn = self._current
        match event:
            case CommandCompleted() | Exited():
                return
            case SessionState():
                if event.state not in {State.EXITED.value, State.STARTING.value}:
                    self._publish_state(event.state, event.detail)
            case TurnCompleted() | TurnFailed():
                if turn is not None and event.turn_id == turn.id:
                    self._services.checkpoints("turn.ended", self.id)
                    body = event.to_dict()
                    turn.recycle = body.pop("recycle", False)
                    self._end(turn, body, mark=worker.agent.mark)
            case _:
                body = {"time": timestamp(self._services.clock()), **event.to_dict()}
                seq = self.journal.append(body)
                if turn is not None:
                    self._note_event(turn, body, seq)

    def _note_event(self, turn: Turn, body: dict[str, Any], seq: int) -> None:
        """Keep what the session itself has to know of an event."""
        match body["type"]:
            case "turn.started":
                self.journal.also(update_turn(turn.id, started_seq=seq))
            case "tool.started" | "tool.completed":
                turn.note_tool(body)
            case "permission.requested" | "menu.requested":
                self._question = {**body, "seq": seq}
                self._question_timer = asyncio.get_running_loop().call_later(
                    self._services.config.question_timeout, self._question_unanswered, body["request_id"]
                )
                self._services.checkpoints("turn.asking", self.id)
            case "permission.answered" | "menu.answered":
                self._clear_question()

    def _question_unanswered(self, request_id: str) -> None:
        if self._question is None or self._question["request_id"] != request_id or self._worker is None:
            return
        seconds = self._services.config.question_timeout
        text = f"Nobody answered within {seconds:g} s: the question is refused and the turn interrupted."
        self._notice("question_timeout", text, turn=self._current)
        self._spawn(self._worker.agent.interrupt())

    def _clear_question(self) -> None:
        self._question = None
        if self._question_timer is not None:
            self._question_timer.cancel()
            self._question_timer = None

    # -- the ends of turns

    def _end_unsent(self, turn: Turn) -> None:
        """End a turn that was interrupted before anything was typed."""
        self._end(turn, turn_records.not_sent(turn))

    def _fail(self, turn: Turn, *, code: str, message: str, retryable: bool = True) -> None:
        """End a turn whose agent can't say how it ended."""
        self._end(turn, turn_records.failed(turn, code=code, message=message, retryable=retryable))

    def _end(self, turn: Turn, end: dict[str, Any], *, mark: RecordMark | None = None) -> None:
        """Write a turn's end with everything that it changes, and tell whoever waits once that is durable."""
        if turn.progress is Progress.ENDED:
            return
        turn.progress = Progress.ENDED
        if turn is self._current:
            self._clear_question()
        if self._deleted:
            self._spawn(self._tell(turn, end))
            return
        seq = self.journal.append(end)
        now = self._services.clock()
        self.row, writes = turn_records.ended(self.row, turn, end, mark=mark, seq=seq, now=now)
        self.journal.also(*writes)
        self._spawn(self._tell(turn, {"seq": seq, **end}))

    async def _tell(self, turn: Turn, end: Mapping[str, Any]) -> None:
        try:
            await self.journal.durable()
            self._services.checkpoints("turn.durable", self.id)
        finally:  # also when the database refuses it: nobody may wait for ever
            turn.end = end
            turn.over.set()
            if turn is not self._current:
                turn.settle()

    # -- small things

    def _notice(self, code: str, text: str, *, turn: Turn | None = None) -> None:
        if self._deleted:
            return
        body = {"type": "notice"} if turn is None else {"type": "notice", "turn_id": turn.id}
        self.journal.append({**body, "code": code, "text": text})

    def _running(self) -> Turn | None:
        """The turn whose message was, or is being, typed."""
        turn = self._current
        return turn if turn is not None and turn.progress in {Progress.MARKED, Progress.RUNNING} else None

    def _publish_state(self, state: str, detail: str = "") -> None:
        if state == self._state or self._deleted:
            return
        self._state = state
        body = {"type": "session.state", "state": state}
        self.journal.append({**body, "detail": detail} if detail else body)

    def _asking(self, request_id: str, kind: type[PermissionRequested | MenuRequested]) -> Any:
        self._check_open()
        worker = self._worker
        question = worker.agent.question if worker is not None else None
        if worker is None or not isinstance(question, kind) or question.request_id != request_id:
            raise QuestionGoneError(request_id, self._open_request_id())
        return worker.agent

    def _open_request_id(self) -> str | None:
        return self._question["request_id"] if self._question is not None else None

    def _live(self) -> Worker:
        if self._worker is None:
            raise NotLiveError(self.id)
        return self._worker

    def _is_unsure_of(self, worker: Worker) -> bool:
        """Whether the worker must not be typed at (again)."""
        return worker.agent.state is not State.READY or self.keyboard.handled

    def _typing_worker(self) -> Worker:
        """The worker, where keys reach it. Raises NotLiveError."""
        worker = self._live()
        if worker.leaving or worker.agent.exited is not None:
            raise NotLiveError(self.id)
        return worker

    def _check_open(self) -> None:
        if self._condemned:
            raise SessionNotFoundError(self.id)
        if self._closing:
            raise ClosingError

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._report(task)

    def _report(self, task: asyncio.Task[None]) -> None:
        report_failure(task, f"a task of session {self.id} failed")
