"""The manager: every session by its id, whether it lives now or sleeps in the database.

    manager = await SessionManager.open(provider, database, base=Path("sessions"))
    info = await manager.create(owner="local")
    turn = await manager.send(info.id, "hello")
    async for event in manager.events(info.id, after=turn.seq): …
    await manager.close()

It puts the parts together and passes on what is asked: `registry` finds sessions, `creation` makes them, `deletion`
removes them, `session` has what one of them does. `owner` is an opaque string; a session of another owner isn't found.
None stands for every owner.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from dataclasses import astuple
from typing import TYPE_CHECKING, Final

from qpty.agent.offers import Offers
from qpty.agent.provider import Profile, TerminalProvider
from qpty.sessions.checkpoints import Checkpoints
from qpty.sessions.client_sessions import ClientSessions
from qpty.sessions.config import SessionsConfig
from qpty.sessions.creation import COPY_LIMITS, SessionCreation
from qpty.sessions.deletion import Deletions
from qpty.sessions.directories import SessionDirectoryManager
from qpty.sessions.errors import NoRecordingError, SessionNotFoundError
from qpty.sessions.expiry import Expiry, Swept
from qpty.sessions.files.confined import ConfinedDirectory, FileLimits
from qpty.sessions.info import PoolInfo, SessionInfo, SessionPage
from qpty.sessions.launching import Launcher
from qpty.sessions.limits import check_owner, check_size, check_title
from qpty.sessions.message_pages import MessagesBefore, messages_after, messages_before, turns_after
from qpty.sessions.playback import played
from qpty.sessions.pool import WorkerPool
from qpty.sessions.recording import Recordings
from qpty.sessions.recovery import Recovery, recover
from qpty.sessions.registry import SessionRegistry
from qpty.sessions.revival import Reviver
from qpty.sessions.screen_feed import MAX_RATE, screen_updates
from qpty.sessions.services import Services
from qpty.sessions.session_cursor import decode_cursor, encode_cursor
from qpty.sessions.tasks import Tasks
from qpty.sessions.warm_workers import WarmWorkers
from qpty.storage.writes import update_session

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from qpty.agent.provider import AgentProvider
    from qpty.core.events import Answer
    from qpty.core.terminal import ScreenSnapshot
    from qpty.sessions.files.copying import Copied, CopyLimits
    from qpty.sessions.journal import JournalEvent
    from qpty.sessions.keyboard import KeyboardHold
    from qpty.sessions.screen_feed import ScreenUpdate
    from qpty.sessions.session import Session
    from qpty.sessions.turns import Turn
    from qpty.storage.database import Database
    from qpty.storage.rows import MessageRow, SessionRow, TurnRow

LOCAL: Final = "local"
"""The owner where there are no keys."""

PAGE_LIMIT: Final = 200
"""Sessions in one page."""

_log: Final = logging.getLogger(__name__)


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
        self._clock = clock
        self._recordings = (
            None if recordings is None else Recordings(recordings, limit=self.config.recording_bytes, clock=clock)
        )
        self.offers = Offers(provider.spec) if isinstance(provider, TerminalProvider) else None
        checkpoints = checkpoints or Checkpoints()
        launcher = Launcher(provider, self._recordings)
        self._warm = WarmWorkers(
            self.default_profile,
            launcher,
            self.directories,
            forget_recording=self.forget_recording,
            lost=lambda: self._pool.lost(),
        )
        self._pool = WorkerPool(self.config, start_warm=self._warm.start, clear_away=self._warm.clear_away)
        services = Services(
            database=database,
            pool=self._pool,
            reviver=Reviver(
                provider=provider,
                launcher=launcher,
                database=database,
                config=self.config,
                checkpoints=checkpoints,
            ),
            directories=self.directories,
            config=self.config,
            checkpoints=checkpoints,
            clock=clock,
        )
        self._tasks = Tasks("the manager")
        self._registry = SessionRegistry(services)
        self._deletions = Deletions(self._registry, services, self._tasks, forget_recording=self.forget_recording)
        self._creation = SessionCreation(
            self._registry,
            services,
            self._tasks,
            provider=provider,
            warm=self._warm,
            deletions=self._deletions,
        )
        self.clients = ClientSessions(self._registry, services, self._tasks, provider=provider)
        self._replaying = asyncio.Lock()
        self._expiry = Expiry(self)

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
        self._registry.refuse()
        await self._expiry.stop()
        if self.offers is not None:
            await self.offers.close()
        await self._tasks.ended()
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
        self._registry.check_open()
        self.database.check_writing()
        check_owner("owner", owner)
        check_title(title)
        check_size(columns=columns, lines=lines)
        if account is not None:
            check_owner("account", account)
        session = await self._creation.create(
            owner, profile or self.default_profile, title=title, account=account, columns=columns, lines=lines
        )
        return self._info(session.row)

    async def get(self, session_id: str, *, owner: str | None = None) -> SessionInfo:
        """Return one session. Raises SessionNotFoundError."""
        row = await self._row(session_id, owner)
        if self._registry.get(session_id) is not None:
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
        after = None if cursor is None else decode_cursor(cursor)
        rows = await self.database.sessions(owner=owner, limit=limit + 1, after=after, search=search)
        page = rows[:limit]
        last = encode_cursor(page[-1]) if len(rows) > limit else None
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
        await self._deletions.delete(await self._registry.session(session_id, owner))

    async def clear_away(self, row: SessionRow, *, with_files: bool) -> bool:
        """Delete a session that nobody used since `row` was read; whether it was. For the cleaning in the background.

        Without `with_files` only one whose directory has nothing in it.
        """
        return await self._deletions.clear_away(row, with_files=with_files)

    async def finish_deletions(self) -> int:
        """Finish deletions that were begun and not ended, by a kill or an error; how many there were."""
        return await self._deletions.finish_all()

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
        row = await self._creation.fork(session_id, turn_id=turn_id, before_turn_id=before_turn_id, owner=owner)
        return self._info(row)

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
        row, copied = await self._creation.fork_with_files(
            session_id, turn_id=turn_id, before_turn_id=before_turn_id, owner=owner, limits=limits
        )
        return self._info(row), copied

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
        session = self._registry.get(session_id)
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
        return await messages_after(self.database, session_id, after_position=after_position, limit=limit)

    async def messages_before(
        self, session_id: str, *, position: int, limit: int = 100, owner: str | None = None
    ) -> MessagesBefore:
        """Return the last messages before a position, in order; one beyond the end gives the newest.

        Raises SessionNotFoundError.
        """
        await self._row(session_id, owner)
        return await messages_before(self.database, session_id, position=position, limit=limit)

    async def turns(
        self, session_id: str, *, after_position: int = 0, limit: int = 100, owner: str | None = None
    ) -> Sequence[TurnRow]:
        """Return the session's turns, in order. Raises SessionNotFoundError."""
        await self._row(session_id, owner)
        return await turns_after(self.database, session_id, after_position=after_position, limit=limit)

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
        if made and (session_id in self._registry.deleting or await self.database.session(session_id) is None):
            await asyncio.to_thread(self.directories.remove_if_empty, session_id)
            raise SessionNotFoundError(session_id)
        if row.directory is None:
            await self.database.writer.write(update_session(session_id, directory=session_id))
        return ConfinedDirectory(path, limits=limits or FileLimits())

    async def describe(self, session_id: str) -> str:
        """Return where things stand, for a log when something waits for too long."""
        return (await self._session(session_id, None)).describe()

    # -- the whole

    def when_crowded(self, relieve: Callable[[], None] | None) -> None:
        """Have `relieve` called for each turn that has to wait for a worker; None has nobody called any more."""
        self._pool.crowded = relieve

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
        return self._registry.loaded()

    async def load(self, row: SessionRow) -> Session:
        """Return the session's one object."""
        return await self._registry.load(row)

    # -- inside

    async def _row(self, session_id: str, owner: str | None) -> SessionRow:
        return await self._registry.row(session_id, owner)

    async def _session(self, session_id: str, owner: str | None) -> Session:
        return await self._registry.session(session_id, owner)

    def _info(self, row: SessionRow, *, last_seq: int | None = None) -> SessionInfo:
        session = self._registry.get(row.id)
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
            client=row.client,
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
        return self._registry.in_use() | self._warm.ids
