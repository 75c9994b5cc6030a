"""The manager: every session by its id, whether it lives now or sleeps in the database.

    manager = await SessionManager.open(provider, database, base=Path("sessions"))
    info = await manager.create(owner="local")
    turn = await manager.send(info.id, "hello")
    async for event in manager.events(info.id, after=turn.seq): …
    await manager.close()

A session that is in use is one object, kept by whoever uses it (its worker, its turns, its readers, the writer of its
events) and found here through a weak reference; one that nobody uses is only a row. `owner` is an opaque string; a
session of another owner isn't found. None stands for every owner.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import math
import time
from contextlib import aclosing
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakValueDictionary

from qpty.agent.offers import Offers
from qpty.agent.provider import Profile, TerminalProvider
from qpty.agent.threads import all_ended, in_thread
from qpty.sessions.checkpoints import Checkpoints
from qpty.sessions.config import SessionsConfig
from qpty.sessions.directories import SessionDirectoryManager
from qpty.sessions.errors import ClosingError, CursorError, NoRecordingError, SessionNotFoundError
from qpty.sessions.expiry import Expiry, Swept
from qpty.sessions.file_copy import Copied, CopyLimits, copying_steps, measure
from qpty.sessions.file_errors import DirectoryError
from qpty.sessions.files import ConfinedDirectory, FileLimits
from qpty.sessions.forking import fork_of
from qpty.sessions.info import PoolInfo, SessionInfo, SessionPage
from qpty.sessions.launching import Launcher
from qpty.sessions.limits import check_owner, check_size, check_title
from qpty.sessions.playback import played
from qpty.sessions.pool import Worker, WorkerPool
from qpty.sessions.recording import Recordings
from qpty.sessions.recovery import Recovery, recover
from qpty.sessions.revival import Reviver
from qpty.sessions.screen_feed import MAX_RATE, screen_updates
from qpty.sessions.session import Services, Session
from qpty.sessions.turns import new_id
from qpty.storage.rows import SessionCursor, SessionRow
from qpty.storage.writes import delete_session, insert_session, update_session

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
    from pathlib import Path

    from qpty.agent.provider import AgentProvider
    from qpty.core.events import Answer
    from qpty.core.terminal import ScreenSnapshot
    from qpty.sessions.forking import Fork
    from qpty.sessions.journal import JournalEvent
    from qpty.sessions.keyboard import KeyboardHold
    from qpty.sessions.screen_feed import ScreenUpdate
    from qpty.sessions.turns import Turn
    from qpty.storage.database import Database
    from qpty.storage.rows import MessageRow, TurnRow

LOCAL: Final = "local"
"""The owner where there are no keys."""

PAGE_LIMIT: Final = 200
MESSAGES_LIMIT: Final = 1_000
"""Sessions, and messages, in one page."""

POSITION_LIMIT: Final = 2**31 - 1

COPY_LIMITS: Final = CopyLimits()
"""Of the files that a fork takes with it."""

_log: Final = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesBefore:
    """Messages before a place, in order; and whether there are others before these, and after that place."""

    messages: Sequence[MessageRow]
    more_before: bool
    more_after: bool


class SessionManager:
    """Sessions, their pool and their cleaning. All methods are of the event loop's thread.

    `base` is where the sessions' directories are, `recordings` where it is kept what their terminals showed (None:
    nowhere). `default_profile` is the profile of sessions that are created without one, and of warm workers.
    """

    def __init__(
        self,
        provider: AgentProvider,
        database: Database,
        *,
        base: Path,
        recordings: Path | None = None,
        default_profile: Profile | None = None,
        config: SessionsConfig | None = None,
        checkpoints: Checkpoints | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config or SessionsConfig()
        self.database = database
        self.default_profile: Final = default_profile or Profile()
        self.directories = SessionDirectoryManager(base, in_use=self._live_ids, own_files=provider.own_files)
        self._provider = provider
        self._checkpoints = checkpoints or Checkpoints()
        self._clock = clock
        self._recordings = (
            None if recordings is None else Recordings(recordings, limit=self.config.recording_bytes, clock=clock)
        )
        self.offers = Offers(provider.spec) if isinstance(provider, TerminalProvider) else None
        self._launcher = Launcher(provider, self._recordings)
        self._pool = WorkerPool(self.config, start_warm=self._start_warm, clear_away=self._clear_warm)
        self._services = Services(
            database=database,
            pool=self._pool,
            reviver=Reviver(
                provider=provider,
                launcher=self._launcher,
                database=database,
                config=self.config,
                checkpoints=self._checkpoints,
            ),
            directories=self.directories,
            config=self.config,
            checkpoints=self._checkpoints,
            clock=clock,
        )
        self._sessions: WeakValueDictionary[str, Session] = WeakValueDictionary()
        self._loading: dict[str, asyncio.Task[Session]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._deleting: set[str] = set()
        self._warm_ids: set[str] = set()
        self._replaying = asyncio.Lock()
        self._expiry = Expiry(self)
        self._closing = False

    @classmethod
    async def open(
        cls,
        provider: AgentProvider,
        database: Database,
        *,
        base: Path,
        recordings: Path | None = None,
        default_profile: Profile | None = None,
        config: SessionsConfig | None = None,
        checkpoints: Checkpoints | None = None,
        clock: Callable[[], float] = time.time,
    ) -> SessionManager:
        """Make a manager, mend what an earlier server left, and begin to work.

        Raises OSError if there is no place for recordings.
        """
        manager = cls(
            provider,
            database,
            base=base,
            recordings=recordings,
            default_profile=default_profile,
            config=config,
            checkpoints=checkpoints,
            clock=clock,
        )
        try:
            await manager.start()
        except BaseException:
            await manager.close()
            raise
        return manager

    async def start(self) -> Recovery:
        """Mend what an earlier server left, then start warm workers and the cleaning.

        Raises OSError if there is no place for recordings.
        """
        if self._recordings is not None:
            await self._recordings.start()
        recovery = await recover(self, self._provider)
        level = logging.INFO if any(astuple(recovery)) else logging.DEBUG
        _log.log(level, "what an earlier server left was mended: %s", recovery)
        self._pool.keep_warm()
        self._expiry.start()
        return recovery

    async def close(self) -> None:
        """Stop everything: running turns fail as `worker_lost`, whatever was accepted is durable."""
        self._closing = True
        for session in self.loaded():
            session.refuse()
        await self._expiry.stop()
        if self.offers is not None:
            await self.offers.close()
        await all_ended(self._tasks)
        await asyncio.gather(*(session.close() for session in self.loaded()))
        await self._pool.close()
        if self._recordings is not None:
            await self._recordings.close()

    # -- sessions

    async def create(
        self,
        *,
        owner: str = LOCAL,
        profile: Profile | None = None,
        title: str | None = None,
        account: str | None = None,
        columns: int = 80,
        lines: int = 24,
    ) -> SessionInfo:
        """Create a session; durable when this returns. It has a warm worker if there is one of its profile and size.

        Without a profile it has `default_profile`.
        """
        if self._closing:
            raise ClosingError
        self.database.check_writing()
        check_owner("owner", owner)
        check_title(title)
        check_size(columns=columns, lines=lines)
        if account is not None:
            check_owner("account", account)
        return await self._owned(self._create(owner, profile or self.default_profile, title, account, columns, lines))

    async def _create(
        self, owner: str, profile: Profile, title: str | None, account: str | None, columns: int, lines: int
    ) -> SessionInfo:
        default_size = (columns, lines) == (80, 24)
        worker = self._pool.adopt(profile) if default_size and account is None else None
        session_id = worker.directory.name if worker is not None else new_id()
        if worker is not None and worker.watch is not None:
            worker.watch.cancel()
        now = self._clock()
        row = SessionRow(
            id=session_id,
            owner=owner,
            created_at=now,
            last_activity=now,
            directory=session_id,
            account=account,
            title=title,
            profile=profile.to_dict(),
            columns=columns,
            lines=lines,
            message_count=0,
        )
        try:
            if worker is None:
                await asyncio.to_thread(self.directories.create, session_id)
            await self.database.writer.write(insert_session(row))
        except BaseException:
            if worker is not None:
                await self._pool.retire(worker)
            self._warm_ids.discard(session_id)
            raise
        self._checkpoints("session.inserted", session_id)
        session = Session(row, self._services, bounds=(1, 0), last_turn=0)
        self._sessions[session_id] = session
        self._warm_ids.discard(session_id)
        if worker is not None and self._closing:
            await self._pool.retire(worker)
        elif worker is not None:
            session.adopt(worker)
        return self._info(row)

    async def get(self, session_id: str, *, owner: str | None = None) -> SessionInfo:
        """Return one session. Raises SessionNotFoundError."""
        row = await self._row(session_id, owner)
        if session_id in self._sessions:
            return self._info(row)
        _, last_seq = await self.database.journal_bounds(session_id)
        return self._info(row, last_seq=last_seq)

    async def list_sessions(
        self, *, owner: str | None = None, limit: int = 50, cursor: str | None = None, search: str = ""
    ) -> SessionPage:
        """Return a page of sessions, newest activity first. Raises CursorError.

        `search` leaves those whose title has that text in it, whatever its case (see `qpty.storage.folding`).
        """
        limit = max(1, min(limit, PAGE_LIMIT))
        after = None if cursor is None else _decode_cursor(cursor)
        rows = await self.database.sessions(owner=owner, limit=limit + 1, after=after, search=search)
        page = rows[:limit]
        last = _encode_cursor(page[-1]) if len(rows) > limit else None
        return SessionPage(sessions=[self._info(row) for row in page if row.deleted_at is None], next=last)

    async def models_used(self, *, owner: str | None = None) -> Sequence[str]:
        """Return the models that the newest sessions were given, each once, the latest first."""
        rows = await self.database.sessions(owner=owner, limit=PAGE_LIMIT, after=None)
        return list(dict.fromkeys(row.profile["model"] for row in rows if row.profile.get("model")))

    async def rename(self, session_id: str, title: str | None, *, owner: str | None = None) -> SessionInfo:
        """Give a session a title, or none; with none before its first message, that gives it one.

        Raises SessionNotFoundError.
        """
        session = await self._session(session_id, owner)
        await session.rename(title)
        return self._info(session.row)

    async def delete(self, session_id: str, *, owner: str | None = None) -> None:
        """Delete a session with its directory, its journal and its rows. Raises SessionNotFoundError.

        Safe to be killed in: the next start finishes what was begun.
        """
        session = await self._session(session_id, owner)
        if session_id in self._deleting:
            raise SessionNotFoundError(session_id)
        self._deleting.add(session_id)
        await self._owned(self._delete(session))

    async def clear_away(self, row: SessionRow, *, with_files: bool) -> bool:
        """Delete a session that nobody used since `row` was read; whether it was. For the cleaning in the background.

        Without `with_files` only one whose directory has nothing in it.
        """
        session = await self.load(row)
        # No pause between this look and the mark: it takes no message from there on.
        if session.in_use or session.row.last_activity != row.last_activity or session.id in self._deleting:
            return False
        self._deleting.add(session.id)
        if not with_files:
            try:
                empty = await asyncio.to_thread(self.directories.remove_if_empty, session.id)
            except BaseException:
                self._deleting.discard(session.id)
                raise
            if not empty:
                self._deleting.discard(session.id)
                return False
        await self._owned(self._delete(session))
        return True

    async def _delete(self, session: Session) -> None:
        """Delete a session whose id is in `_deleting`, which nobody finds any more."""
        session.condemn()
        try:
            await self.database.writer.write(update_session(session.id, deleted_at=self._clock()))
            self._checkpoints("session.deleting", session.id)
            await session.delete()
            await self._finish_deletion(session.id)
        finally:
            self._deleting.discard(session.id)
            self._sessions.pop(session.id, None)

    async def finish_deletions(self) -> int:
        """Finish deletions that were begun and not ended, by a kill or an error; how many there were."""
        rows = await self.database.sessions(owner=None, limit=PAGE_LIMIT, after=None, deleted=True)
        left = [row.id for row in rows if row.id not in self._deleting]
        for session_id in left:
            try:
                await self._finish_deletion(session_id)
            except DirectoryError as error:
                _log.warning("session %s could not be deleted wholly now: %s", session_id, error)
        return len(left)

    async def _finish_deletion(self, session_id: str) -> None:
        """Remove what is left of a session that is marked as deleted and has no worker."""
        await asyncio.to_thread(self.directories.remove, session_id)
        self._checkpoints("directory.removed", session_id)
        await self.forget_recording(session_id)
        await self.database.writer.write(delete_session(session_id))

    async def forget_recording(self, session_id: str) -> None:
        """Remove what was recorded of a session that has no worker."""
        if self._recordings is not None:
            await self._recordings.remove(session_id)

    async def clean_recordings(self) -> None:
        """Remove the recordings that belong to no session. Only before any worker is started."""
        if self._recordings is not None:
            await self._recordings.clean(self.database.known_ids)

    async def fork(
        self,
        session_id: str,
        *,
        turn_id: str | None = None,
        before_turn_id: str | None = None,
        owner: str | None = None,
    ) -> SessionInfo:
        """Create a session that goes on from the end of a completed turn; the newest one, if none is named.

        With `before_turn_id` it is the last completed turn before that one, which may be any; if there is none, the new
        session is like this one with nothing said. It has the messages up to there, and takes the agent's own record of
        them up with its first message. Its files are its own: none are copied. Raises SessionNotFoundError, ForkError.
        """
        fork = await self._fork_of(session_id, turn_id, before_turn_id, owner)
        await self._owned(self._insert(fork))
        return self._info(fork.row)

    async def fork_with_files(
        self,
        session_id: str,
        *,
        turn_id: str | None = None,
        before_turn_id: str | None = None,
        owner: str | None = None,
        limits: CopyLimits = COPY_LIMITS,
    ) -> tuple[SessionInfo, Copied]:
        """As `fork`, and the new session has copies of this one's files, as they are now; what was copied.

        Safe to be killed in: the next start takes back what was begun. Raises TreeTooLargeError, FileError, too.
        """
        fork = await self._fork_of(session_id, turn_id, before_turn_id, owner)
        source = self.directories.path(session_id)
        await in_thread(measure, source, limits)
        copied = await self._owned(self._insert_with_files(fork, source, limits))
        return self._info(fork.row), copied

    async def _fork_of(
        self, session_id: str, turn_id: str | None, before_turn_id: str | None, owner: str | None
    ) -> Fork:
        session = await self._session(session_id, owner)
        await session.journal.durable()
        return await fork_of(
            session.row,
            turn_id,
            before_turn_id=before_turn_id,
            database=self.database,
            provider=self._provider,
            directory=self.directories.path(session_id),
            now=self._clock(),
        )

    async def _insert_with_files(self, fork: Fork, source: Path, limits: CopyLimits) -> Copied:
        """Write a fork as one that is being deleted, until its files are there: so no kill leaves half of them."""
        fork_id = fork.row.id
        self._deleting.add(fork_id)
        try:
            await self.database.writer.write(insert_session(replace(fork.row, deleted_at=self._clock())))
            try:
                target = await asyncio.to_thread(self.directories.create, fork_id)
                copied = await _copied(source, target, limits)
                await self.database.writer.write(*fork.writes[1:], update_session(fork_id, deleted_at=None))
            except BaseException:
                await self._finish_deletion(fork_id)
                raise
        finally:
            self._deleting.discard(fork_id)
        self._checkpoints("session.inserted", fork_id)
        return copied

    async def _insert(self, fork: Fork) -> None:
        await asyncio.to_thread(self.directories.create, fork.row.id)
        await self.database.writer.write(*fork.writes)
        self._checkpoints("session.inserted", fork.row.id)

    # -- one session

    async def send(self, session_id: str, text: str, *, key: str | None = None, owner: str | None = None) -> Turn:
        """Send a message; see `Session.send`."""
        return await (await self._session(session_id, owner)).send(text, key=key)

    async def answer(self, session_id: str, request_id: str, answer: Answer, *, owner: str | None = None) -> None:
        """Answer the open permission. Raises QuestionGoneError, AnswerError."""
        await (await self._session(session_id, owner)).answer(request_id, answer)

    async def choose(self, session_id: str, request_id: str, index: int | None, *, owner: str | None = None) -> None:
        """Choose from the open menu. Raises QuestionGoneError, ChoiceError."""
        await (await self._session(session_id, owner)).choose(request_id, index)

    async def interrupt(self, session_id: str, *, turn_id: str | None = None, owner: str | None = None) -> bool:
        """Stop the running turn, or the one named; whether there was anything to stop."""
        return await (await self._session(session_id, owner)).interrupt(turn_id)

    async def resize(self, session_id: str, *, columns: int, lines: int, owner: str | None = None) -> None:
        """Change the terminal's size, soon. Raises ValueRefusedError."""
        (await self._session(session_id, owner)).resize(columns=columns, lines=lines)

    async def hibernate(self, session_id: str, *, owner: str | None = None) -> bool:
        """End the session's idle worker; its conversation is kept. Whether there was one to end."""
        return await (await self._session(session_id, owner)).hibernate()

    async def screen(self, session_id: str, *, owner: str | None = None) -> ScreenSnapshot:
        """Return what a person would see on the live terminal. Raises NotLiveError."""
        return (await self._session(session_id, owner)).screen

    async def take_keyboard(self, session_id: str, *, owner: str | None = None) -> KeyboardHold:
        """Let somebody type at the live terminal by hand. Raises NotLiveError, KeyboardTakenError."""
        return (await self._session(session_id, owner)).take_keyboard()

    def keyboard_taken(self, session_id: str) -> bool:
        """Whether somebody types at the session's terminal by hand."""
        session = self._sessions.get(session_id)
        return session is not None and session.keyboard.taken

    async def keyboard_holders(
        self, session_id: str, *, owner: str | None = None
    ) -> AsyncGenerator[KeyboardHold | None, None]:
        """Yield who has the session's keyboard (None: nobody), and who has it from then on. Never ends."""
        session = await self._session(session_id, owner)
        async with aclosing(session.keyboard.holders()) as holders:
            async for holder in holders:
                yield holder

    async def screen_updates(
        self, session_id: str, *, owner: str | None = None, max_rate: float = MAX_RATE
    ) -> AsyncGenerator[ScreenUpdate, None]:
        """Yield the screen, then what changes in it, at most `max_rate` times a second; see `screen_feed`.

        Ends when the session is deleted, or the server stops. Raises SessionNotFoundError.
        """
        session = await self._session(session_id, owner)
        async with aclosing(screen_updates(session, max_rate=max_rate)) as updates:
            async for update in updates:
                yield update

    async def recording(self, session_id: str, *, owner: str | None = None) -> AsyncGenerator[bytes, None]:
        """Yield what was recorded of the session's terminal up to now, as one asciicast, at most 64 KiB at a time.

        Raises SessionNotFoundError and NoRecordingError before the first.
        """
        await self._row(session_id, owner)
        if self._recordings is None:
            raise NoRecordingError(session_id, "this server records nothing")
        async with aclosing(self._recordings.read(session_id)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def recorded_screens(self, session_id: str, *, owner: str | None = None) -> AsyncGenerator[bytes, None]:
        """Yield what was recorded of the session's terminal as screens, in lines of JSON; see `playback`.

        Raises SessionNotFoundError and NoRecordingError before the first.
        """
        recording = self.recording(session_id, owner=owner)
        async with aclosing(
            played(session_id, recording, terminal=self._provider.terminal, turn=self._replaying)
        ) as screens:
            async for lines in screens:
                yield lines

    async def events(
        self, session_id: str, *, after: int = 0, owner: str | None = None
    ) -> AsyncGenerator[JournalEvent, None]:
        """Yield the events after number `after` and go on with what comes, until the session or the server ends."""
        session = await self._session(session_id, owner)
        async with aclosing(session.journal.read(after)) as events:
            async for event in events:
                yield event

    async def messages(
        self, session_id: str, *, after_position: int = 0, limit: int = 100, owner: str | None = None
    ) -> Sequence[MessageRow]:
        """Return what was said, in order. Raises SessionNotFoundError."""
        await self._row(session_id, owner)
        limit = max(1, min(limit, MESSAGES_LIMIT))
        after_position = max(0, min(after_position, POSITION_LIMIT))
        return await self.database.messages(session_id, after_position=after_position, limit=limit)

    async def messages_before(
        self, session_id: str, *, position: int, limit: int = 100, owner: str | None = None
    ) -> MessagesBefore:
        """Return the last messages before a position, in order; one beyond the end gives the newest.

        Raises SessionNotFoundError.
        """
        await self._row(session_id, owner)
        limit = max(1, min(limit, MESSAGES_LIMIT))
        position = max(0, min(position, POSITION_LIMIT))
        found = await self.database.messages(session_id, before_position=position, limit=limit + 1, newest=True)
        later = await self.database.messages(session_id, after_position=position - 1, limit=1)
        return MessagesBefore(messages=found[-limit:], more_before=len(found) > limit, more_after=bool(later))

    async def turns(
        self, session_id: str, *, after_position: int = 0, limit: int = 100, owner: str | None = None
    ) -> Sequence[TurnRow]:
        """Return the session's turns, in order. Raises SessionNotFoundError."""
        await self._row(session_id, owner)
        limit = max(1, min(limit, MESSAGES_LIMIT))
        return await self.database.turns(session_id, after_position=after_position, limit=limit)

    async def turn(self, session_id: str, turn_id: str, *, owner: str | None = None) -> TurnRow | None:
        """Return one turn; None if the session has no such turn. Raises SessionNotFoundError."""
        await self._row(session_id, owner)
        row = await self.database.turn(turn_id)
        return row if row is not None and row.session_id == session_id else None

    async def files(
        self, session_id: str, *, owner: str | None = None, limits: FileLimits | None = None
    ) -> ConfinedDirectory:
        """Return the session's files. A session from before directories gets one now. Raises SessionNotFoundError."""
        row = await self._row(session_id, owner)
        path, made = await asyncio.to_thread(self.directories.ensure, session_id)
        if made and (session_id in self._deleting or await self.database.session(session_id) is None):
            await asyncio.to_thread(self.directories.remove_if_empty, session_id)
            raise SessionNotFoundError(session_id)
        if row.directory is None:
            await self.database.writer.write(update_session(session_id, directory=session_id))
        return ConfinedDirectory(path, limits=limits or FileLimits())

    async def describe(self, session_id: str) -> str:
        """Return where things stand, for a log when something waits for too long."""
        return (await self._session(session_id, None)).describe()

    # -- the whole

    @property
    def pool(self) -> PoolInfo:
        """The pool's figures."""
        failure = self._pool.warm_failure
        return PoolInfo(
            max_workers=self.config.max_workers,
            live=self._pool.live,
            idle=self._pool.idle,
            warm=self._pool.warm,
            running=self._pool.running,
            waiting=self._pool.waiting,
            warm_failure=None if failure is None else str(failure),
        )

    @property
    def agent_kind(self) -> str:
        """Which agent runs: `q`, `kiro-cli` or `demo`."""
        return self._provider.kind

    async def sweep(self, now: float) -> Swept:
        """Clean up what is due at `now`, as the background does every `sweep_interval`."""
        return await self._expiry.sweep(now)

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self._clock()

    def loaded(self) -> Sequence[Session]:
        """Return the sessions that somebody uses, or lately used."""
        return list(self._sessions.values())

    async def load(self, row: SessionRow) -> Session:
        """Return the session's one object."""
        session = self._sessions.get(row.id)
        if session is not None and not (session.journal.failed and not session.in_use):
            return session
        task = self._loading.get(row.id)
        if task is None:
            task = self._loading[row.id] = asyncio.get_running_loop().create_task(self._load(row))
            task.add_done_callback(lambda _: self._loading.pop(row.id, None))
        return await asyncio.shield(task)

    async def _load(self, row: SessionRow) -> Session:
        bounds = await self.database.journal_bounds(row.id)
        last_turn = await self.database.last_turn(row.id)
        last = await self.database.events(row.id, after=bounds[1] - 1, limit=1)
        session = Session(row, self._services, bounds=bounds, last_turn=last_turn)
        replaced = self._sessions.get(row.id)
        if replaced is not None:
            replaced.live.close()
        self._sessions[row.id] = session
        if last and json.loads(last[0][1]).get("state") != session.state:
            session.say_state()  # whoever was killed could not
        if self._closing:
            session.refuse()
        return session

    # -- inside

    async def _owned(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Carry something out wholly, also if whoever asked for it is cancelled; `close` waits for it."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("a task of the manager failed, and told who asked for it: %s", error)

    async def _row(self, session_id: str, owner: str | None) -> SessionRow:
        session = self._sessions.get(session_id)
        row = session.row if session is not None else await self.database.session(session_id)
        if row is None or (owner is not None and row.owner != owner):
            raise SessionNotFoundError(session_id)
        if row.deleted_at is not None or session_id in self._deleting:
            raise SessionNotFoundError(session_id)
        return row

    async def _session(self, session_id: str, owner: str | None) -> Session:
        if self._closing:
            raise ClosingError
        session = await self.load(await self._row(session_id, owner))
        if session_id in self._deleting:
            raise SessionNotFoundError(session_id)
        return session

    def _info(self, row: SessionRow, *, last_seq: int | None = None) -> SessionInfo:
        session = self._sessions.get(row.id)
        row = session.row if session is not None else row
        turn = session.current if session is not None else None
        in_use = session is not None and session.in_use
        return SessionInfo(
            id=row.id,
            owner=row.owner,
            created_at=row.created_at,
            last_activity=row.last_activity,
            state=session.state if session is not None else "hibernated",
            directory=self.directories.path(row.id),
            title=row.title,
            profile=Profile.from_dict(row.profile),
            account=row.account,
            parent_id=row.parent_id,
            columns=row.columns,
            lines=row.lines,
            message_count=row.message_count,
            last_seq=session.journal.durable_seq if session is not None else last_seq,
            turn_id=turn.id if turn is not None else None,
            queued=session.queued if session is not None else 0,
            question=session.question if session is not None else None,
            expired=not in_use and self._clock() - row.last_activity > self.config.session_expiry,
        )

    def _live_ids(self) -> set[str]:
        """Ids whose directories nobody may clean away now."""
        live = {session_id for session_id, session in list(self._sessions.items()) if session.in_use}
        return live | self._warm_ids

    async def _start_warm(self) -> Worker:
        """Start a worker in the directory of an id that isn't handed out yet."""
        session_id = new_id()
        self._warm_ids.add(session_id)
        profile = self.default_profile
        try:
            directory = await asyncio.to_thread(self.directories.create, session_id)
            agent = await self._launcher.launch(profile, directory, columns=80, lines=24, attempts=1)
        except BaseException:
            await asyncio.to_thread(self.directories.remove, session_id)
            await self.forget_recording(session_id)
            self._warm_ids.discard(session_id)
            raise
        worker = Worker(agent=agent, profile=profile, directory=directory)
        worker.watch = asyncio.get_running_loop().create_task(self._watch(worker), name=f"warm worker {session_id}")
        return worker

    async def _clear_warm(self, worker: Worker) -> None:
        """Remove what a warm worker leaves that no session got; a directory in which something was written stays."""
        session_id = worker.directory.name
        try:
            await in_thread(self.directories.remove_if_empty, session_id)
        except DirectoryError as error:
            _log.warning("the directory of warm worker %s could not be removed: %s", session_id, error)
        await self.forget_recording(session_id)

    async def _watch(self, worker: Worker) -> None:
        """Tell the pool when a warm worker dies; forget its id, whatever ended it."""
        async with aclosing(worker.agent.events()) as events:
            async for _ in events:
                pass
        self._warm_ids.discard(worker.directory.name)
        self._pool.lost()


async def _copied(source: Path, target: Path, limits: CopyLimits) -> Copied:
    """Copy a session's files, step by step: a thread of the pool isn't kept for as long as all of them take."""
    steps = copying_steps(source, target, limits)
    try:
        while (copied := await in_thread(next, steps)) is None:
            pass
    finally:
        await in_thread(steps.close)
    return copied


def _encode_cursor(row: SessionRow) -> str:
    return base64.urlsafe_b64encode(json.dumps([row.last_activity, row.id]).encode()).decode()


def _decode_cursor(text: str) -> SessionCursor:
    try:
        last_activity, session_id = json.loads(base64.urlsafe_b64decode(text.encode()))
        if not (isinstance(last_activity, float) and math.isfinite(last_activity) and isinstance(session_id, str)):
            raise CursorError(text)
    except (ValueError, TypeError, RecursionError):
        raise CursorError(text) from None
    return SessionCursor(last_activity=last_activity, id=session_id)
