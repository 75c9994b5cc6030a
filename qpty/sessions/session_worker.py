"""A session's side of its worker: one at most, started when a turn needs it, ended when its place is needed.

```
 none ──hold, adopt──▶ there ──drop, its death──▶ leaving ──▶ none
                        │  ▲                      (its process is being ended;
                   hold │  │ let_go               whoever asks waits for that)
                        ▼  │
                        held by the turn that runs
```

Between turns the worker rests in the pool, which may ask for its place back at any time. Who takes it from there
(`WorkerPool.claim`) is the only one who may use or end it.

A reader of the agent's events (`_pump`) hands them on as they come and waits while too much is unwritten, which in the
end makes the terminal wait.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from qpty.agent.record import RecordError
from qpty.core.events import MessageDelta
from qpty.core.states import State
from qpty.sessions import keyboard, turn_records
from qpty.sessions.errors import AgentUnavailableError, NotLiveError
from qpty.sessions.files.errors import DirectoryError
from qpty.sessions.live_agent import LiveAgent
from qpty.sessions.pool import Worker
from qpty.storage.writes import update_session

if TYPE_CHECKING:
    from pathlib import Path

    from qpty.agent.provider import Agent
    from qpty.core.events import Event
    from qpty.sessions.keyboard import Keyboard
    from qpty.sessions.lifecycle import Lifecycle
    from qpty.sessions.services import Services
    from qpty.sessions.session_records import SessionRecords
    from qpty.sessions.tasks import Tasks

_log: Final = logging.getLogger(__name__)


class WorkerUser(Protocol):
    """Who uses a session's worker, and is told what comes of it."""

    def is_preparing(self) -> bool:
        """Whether a turn is being prepared, and so a worker awaited."""

    def runs(self, turn_id: str) -> bool:
        """Whether this turn is the current one, and its end isn't written."""

    def take_event(self, worker: Worker, event: Event) -> None:
        """Take an event of the agent; text comes by the journal alone."""

    def worker_lost(self) -> None:
        """Hear that the worker that the current turn holds has ended."""


class SessionWorker:
    """The worker of one session. `user` is told of its events."""

    def __init__(
        self,
        records: SessionRecords,
        services: Services,
        lifecycle: Lifecycle,
        tasks: Tasks,
        keyboard: Keyboard,
        user: WorkerUser,
    ) -> None:
        self.current: Worker | None = None
        self.held: Worker | None = None
        """The worker, while the current turn uses it."""
        self.live = LiveAgent()
        self._records = records
        self._services = services
        self._pool = services.pool
        self._lifecycle = lifecycle
        self._tasks = tasks
        self._keyboard = keyboard
        self._user = user

    # -- what can be known

    @property
    def agent(self) -> Agent | None:
        """The live agent."""
        return self.current.agent if self.current is not None else None

    @property
    def state(self) -> str:
        """The live agent's state; `hibernated` without one."""
        return "hibernated" if self.current is None else self.current.agent.state.value

    def live_agent(self) -> Agent:
        """Return the live agent. Raises NotLiveError."""
        if self.current is None:
            raise NotLiveError(self._records.id)
        return self.current.agent

    def typable(self) -> Worker:
        """Return the worker, where keys reach it. Raises NotLiveError."""
        worker = self.current
        if worker is None or worker.leaving or worker.agent.exited is not None:
            raise NotLiveError(self._records.id)
        return worker

    def is_unsure_of(self, worker: Worker) -> bool:
        """Whether the worker must not be typed at (again)."""
        return worker.agent.state is not State.READY or self._keyboard.handled

    # -- having one

    def adopt(self, worker: Worker) -> None:
        """Take a warm worker that was started in this session's directory."""
        self._take(worker)
        self._records.publish_state("ready")
        self._pool.rest(worker)

    async def hold(self) -> None:
        """Hold the session's worker, or a fresh one with the conversation taken up. Raises AgentUnavailableError."""
        worker = self.current
        if worker is not None:
            if self._pool.claim(worker):
                if worker.agent.exited is None and not self.is_unsure_of(worker):
                    self.held = worker
                    return
                await self.drop(worker)
            else:
                await worker.gone.wait()
        await self._pool.place()
        records = self._records
        try:
            self._services.checkpoints("worker.starting", records.id)
            records.publish_state("starting")
            directory = await self._directory()
            await records.journal.durable()  # the conversation is rebuilt from what is written, if it has to be
            revived = await self._services.reviver.revive(records.row, profile=records.profile, directory=directory)
        except BaseException:
            self._pool.give_up_place()
            raise
        worker = Worker(agent=revived.agent, profile=records.profile, directory=directory)
        self._take(worker)
        self.held = worker
        if revived.event is not None:
            records.journal.append(revived.event)
        records.publish_state("ready")

    async def _directory(self) -> Path:
        """The session's directory. A session from before directories, or whose directory is gone, gets one."""
        records = self._records
        try:
            directory, _ = await asyncio.to_thread(self._services.directories.ensure, records.id)
        except DirectoryError as error:
            raise AgentUnavailableError("unknown", str(error)) from error
        if records.row.directory is None:
            records.row = replace(records.row, directory=records.id)
            records.journal.also(update_session(records.id, directory=records.id))
        return directory

    def _take(self, worker: Worker) -> None:
        worker.hibernate = self._make_room
        worker.agent.discard_events()
        self.current = worker
        self.live.set(worker.agent)
        self._tasks.spawn(self._pump(worker))

    # -- letting it go

    def let_go(self, *, recycle: bool) -> None:
        """After a turn: keep the worker, or end it where it can't be trusted with another one."""
        worker, self.held = self.held, None
        if worker is None or worker.leaving:
            return
        unsure = self.is_unsure_of(worker) and not self._keyboard.taken
        if recycle or worker.agent.exited is not None or self._lifecycle.closing or unsure:
            self._tasks.spawn(self.drop(worker))
        else:
            self._pool.rest(worker)

    async def hibernate(self) -> bool:
        """End the idle worker; False if there is none, or it is in use."""
        worker = self.current
        if worker is None or not self._pool.claim(worker):
            return False
        self._services.checkpoints("worker.hibernating", self._records.id)
        await self.drop(worker)
        return True

    async def _make_room(self) -> None:
        """Give the place up; the pool has taken the worker out of its idle ones."""
        worker = self.current
        if worker is not None:
            self._services.checkpoints("worker.hibernating", self._records.id)
            await self.drop(worker)

    async def drop(self, worker: Worker) -> None:
        """End a worker and free its place; everybody who asks waits until that is done."""
        self.begin_to_drop(worker)
        await worker.gone.wait()

    def begin_to_drop(self, worker: Worker) -> None:
        """End a worker and free its place, soon."""
        if not worker.leaving:
            worker.leaving = True
            self._pool.leave(worker)
            self._tasks.spawn(self._end(worker))

    async def _end(self, worker: Worker) -> None:
        try:
            await worker.agent.close()
            if self._keyboard.handled and self.current is worker:
                await self._take_over_record(worker)
        finally:
            if self.current is worker:
                self.current = None
                self.live.set(None)
                self._keyboard_ended()
            if not self._user.is_preparing():
                self._records.publish_state("hibernated")
            worker.gone.set()
            self._pool.give_up_place(worker)

    async def _take_over_record(self, worker: Worker) -> None:
        """Have what a person said by hand taken up by the next worker, where no turn's record would be."""
        records = self._records
        if records.row.record_mark is not None or self._lifecycle.deleted:
            return  # what comes after the mark is taken up with it
        try:
            mark = await worker.agent.read_mark()
        except RecordError as error:
            _log.warning("what was said by hand in session %s can't be read: %s", records.id, error)
            return
        if mark is not None:
            records.row, writes = turn_records.recorded(records.row, mark)
            records.journal.also(*writes)

    def _keyboard_ended(self) -> None:
        """The worker is gone, and with it whatever was typed at it."""
        self._keyboard.handled = False
        if self._keyboard.taken:
            self._keyboard.free()
            self._records.notice(keyboard.RETURNED, keyboard.ENDED_TEXT)

    # -- the agent's events

    async def _pump(self, worker: Worker) -> None:
        """Write the agent's events to the journal until its process is gone."""
        journal, user = self._records.journal, self._user
        try:
            if not journal.measured:
                await journal.measure()
            async for event in worker.agent.events():
                if event.turn_id is not None and not user.runs(event.turn_id):
                    continue  # its end is written already
                if isinstance(event, MessageDelta):  # nearly all of them are
                    self._services.checkpoints("turn.streaming", self._records.id)
                    journal.append_text("message.delta", event.turn_id, "segment", event.segment, event.text)
                else:
                    user.take_event(worker, event)
                if journal.crowded:
                    await journal.room()
        finally:
            if self.held is worker:
                user.worker_lost()
            self._pool.claim(worker)  # it may have died while nobody used it
            self.begin_to_drop(worker)
