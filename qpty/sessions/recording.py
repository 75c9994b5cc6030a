"""What sessions' terminals showed, kept as asciicasts: one file for each session, over all its workers.

    recordings = await Recordings.open(data / "recordings", limit=4 << 20)
    observer = await recordings.recorder(session_id, columns=80, lines=24)   # for one worker
    async for chunk in recordings.read(session_id): …
    await recordings.close()

The event loop only makes lines of what the terminal prints. One task has them written in a thread, a second after the
first or when many wait, so a disk that is slow or full is no turn's concern: while it is slow the oldest lines are
dropped, with a marker that says so, and after an error that session isn't recorded until its next worker. Nothing is
kept in memory of a session whose worker is gone, and no file stays open.
"""

from __future__ import annotations

import asyncio
import codecs
import logging
import os
import re
import time
from collections import deque
from contextlib import suppress
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qpty.agent.threads import in_thread, report_failure
from qpty.sessions import recording_file
from qpty.sessions.errors import NoRecordingError
from qpty.sessions.recording_file import RESET, RecordingReader, event_line, header_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence

FLUSH_PAUSE: Final = 1.0
"""Seconds for which lines wait to be written together with others."""

FLUSH_BYTES: Final = 64 * 1024
"""Of one session's lines, that are written without a further pause."""

PENDING_BYTES: Final = 512 * 1024
"""Of one session's lines in memory; beyond it the oldest are dropped."""

PIECE: Final = 1024
"""Characters of output in one line, which are 12 bytes each at most."""

_RECORDING: Final = re.compile(r"(?P<id>[0-9a-f-]{36})\.cast")
_TEMPORARY: Final = re.compile(r"\.[0-9a-f-]{36}\.cast\..+")

_log: Final = logging.getLogger(__name__)


class _Tape:
    """Lines of one session that aren't written yet. Lines wait with the number of bytes of output in them."""

    __slots__ = ("columns", "dropped", "header", "lines", "path", "pending", "recorders", "rows", "stopped")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header = ""
        self.lines: deque[tuple[str, int]] = deque()
        self.pending = 0
        self.dropped = 0
        self.columns = self.rows = 0
        self.recorders = 0
        self.stopped = False

    def drop_oldest(self) -> None:
        while self.pending > PENDING_BYTES:
            line, size = self.lines.popleft()
            self.pending -= len(line)
            self.dropped += size

    def take(self) -> bytes:
        """Hand over what waits."""
        lines, self.lines, self.pending = self.lines, deque(), 0
        header, self.header = self.header, ""
        text = "".join([line for line, _ in lines])
        if self.dropped and text:
            at = float(text[1 : text.index(",")])
            lost = f"{self.dropped} bytes were not recorded: the disk was too slow"
            size = f"{self.columns}x{self.rows}"
            text = event_line(at, "o", RESET) + event_line(at, "r", size) + event_line(at, "m", lost) + text
            self.dropped = 0
        return (header + text).encode("ascii")


class Recorder:
    """The recording of one worker, as its terminal's observer. Once its session isn't recorded any more, it rests."""

    __slots__ = ("_decode", "_header", "_offset", "_recordings", "_session_id", "_tape")

    def __init__(self, recordings: Recordings, session_id: str, *, offset: float, header: str | None) -> None:
        self._recordings = recordings
        self._session_id = session_id
        self._offset = offset  # from the loop's time to seconds since the recording's start
        self._header = header  # where there is no recording yet
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._tape = _NOWHERE

    def started(self, *, columns: int, lines: int, now: float) -> None:
        """Begin the worker's part: on a terminal that has forgotten what was before."""
        tape = self._tape = self._recordings.tape(self._session_id)
        tape.recorders += 1
        if self._header is not None:
            tape.header = self._header
        else:
            self._add(now, "o", RESET)
        self.resized(columns=columns, lines=lines, now=now)
        self._add(now, "m", "worker started")

    def output(self, data: bytes, now: float) -> None:
        """Record what was printed; the rest of a character that is cut comes with the next."""
        tape = self._tape
        text = self._decode(data)
        if not text or tape.stopped:
            return
        if len(text) > PIECE:
            for start in range(0, len(text), PIECE):
                self._add(now, "o", text[start : start + PIECE])
            return
        line = f'[{now + self._offset:.6f}, "o", {encode_basestring_ascii(text)}]\n'
        tape.lines.append((line, len(data)))
        tape.pending += len(line)
        if len(tape.lines) == 1 or tape.pending > FLUSH_BYTES:
            self._recordings.wake(tape)

    def resized(self, *, columns: int, lines: int, now: float) -> None:
        """Record the new size."""
        self._tape.columns, self._tape.rows = columns, lines
        self._add(now, "r", f"{columns}x{lines}")

    def ended(self, now: float) -> None:
        """End the worker's part, and have it written."""
        rest = self._decode(b"", final=True)
        if rest:
            self._add(now, "o", rest)
        self._add(now, "m", "worker ended")
        self._tape.recorders -= 1
        self._recordings.wake(self._tape, urgent=True)

    def _add(self, now: float, kind: str, data: str) -> None:
        tape = self._tape
        if tape.stopped:
            return
        line = event_line(now + self._offset, kind, data)
        tape.lines.append((line, len(data.encode()) if kind == "o" else 0))
        tape.pending += len(line)
        self._recordings.wake(tape)


_NOWHERE: Final = _Tape(Path(os.devnull))
_NOWHERE.stopped = True


class Recordings:
    """The recordings of all sessions, in a directory of their own. All methods are of the event loop's thread.

    `limit` is the bytes of one recording at most; with 0 nothing is recorded, and what an earlier server recorded goes
    with its session. `clock` gives seconds since the epoch.
    """

    def __init__(self, directory: Path, *, limit: int, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._limit = limit
        self._clock = clock
        self._tapes: dict[str, _Tape] = {}
        self._stopped: set[str] = set()
        self._lock = asyncio.Lock()  # whoever touches the files
        self._waiting = asyncio.Event()
        self._urgent = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, directory: Path, *, limit: int, clock: Callable[[], float] = time.time) -> Recordings:
        """Make the directory (mode 0700) if it is missing, and begin to write. Raises OSError."""
        recordings = cls(directory, limit=limit, clock=clock)
        await recordings.start()
        return recordings

    async def start(self) -> None:
        """As `open`, for what was made already."""
        await in_thread(self._directory.mkdir, mode=0o700, parents=True, exist_ok=True)
        if self._limit and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="recordings")
            self._task.add_done_callback(self._report)

    async def close(self) -> None:
        """Write what waits, and end; nothing is recorded any more."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with self._lock:
            await self._write(self._tapes)
        for tape in self._tapes.values():
            tape.stopped = True

    # -- recording

    async def recorder(self, session_id: str, *, columns: int, lines: int) -> Recorder | None:
        """Return the observer of a worker that is about to be started; None if it isn't recorded. Never raises OSError.

        The size is the terminal's.
        """
        if self._task is None:
            return None
        self._stopped.discard(session_id)  # what was in the way may be gone
        path = self._path(session_id)
        async with self._lock:
            await self._write([session_id])
            try:
                found = await in_thread(recording_file.begin, path)
            except OSError as error:
                self._stop(session_id, error)
                return None
        now = self._clock()
        loop_now = asyncio.get_running_loop().time()
        if found is None:
            started = int(now)
            header = header_line(columns=columns, lines=lines, started=started)
            return Recorder(self, session_id, offset=now - started - loop_now, header=header)
        return Recorder(self, session_id, offset=max(now - found.started, found.last) - loop_now, header=None)

    def tape(self, session_id: str) -> _Tape:
        """Return where a worker's lines wait. For its recorder."""
        if self._task is None or session_id in self._stopped:
            return _NOWHERE
        return self._tapes.setdefault(session_id, _Tape(self._path(session_id)))

    def wake(self, tape: _Tape, *, urgent: bool = False) -> None:
        """Have lines written soon, or at once."""
        self._waiting.set()
        if urgent or tape.pending > FLUSH_BYTES:
            self._urgent.set()
        if tape.pending > PENDING_BYTES:
            tape.drop_oldest()

    async def _run(self) -> None:
        while True:
            await self._waiting.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_PAUSE):
                    await self._urgent.wait()
            self._waiting.clear()
            self._urgent.clear()
            async with self._lock:
                await self._write(self._tapes)

    async def _write(self, session_ids: Collection[str]) -> None:
        """Write what waits of these sessions. With the lock."""
        batches = []
        for session_id in list(session_ids):
            tape = self._tapes.get(session_id)
            if tape is not None and tape.lines and not tape.stopped:
                batches.append((session_id, tape.path, tape.take()))
        if batches:
            for session_id, error in await in_thread(self._append, batches):
                self._stop(session_id, error)
        for session_id in list(session_ids):
            tape = self._tapes.get(session_id)
            if tape is not None and not tape.recorders and not tape.lines:
                del self._tapes[session_id]

    def _append(self, batches: Sequence[tuple[str, Path, bytes]]) -> list[tuple[str, Exception]]:
        """Write batches, in a thread; those that could not be written, and why."""
        failed: list[tuple[str, Exception]] = []
        for session_id, path, data in batches:
            try:
                recording_file.append(path, data, limit=self._limit)
            except (OSError, ValueError) as error:
                failed.append((session_id, error))
        return failed

    def _stop(self, session_id: str, error: Exception) -> None:
        """Record this session no more, until its next worker."""
        _log.warning("session %s is not recorded until its next worker: %s", session_id, error)
        self._stopped.add(session_id)
        self._forget(session_id)

    def _forget(self, session_id: str) -> None:
        tape = self._tapes.pop(session_id, None)
        if tape is not None:
            tape.stopped = True
            tape.lines.clear()
            tape.pending = 0

    def _report(self, task: asyncio.Task[None]) -> None:
        report_failure(task, "the writing of recordings failed")

    # -- what was recorded

    async def read(self, session_id: str) -> AsyncGenerator[bytes, None]:
        """Yield a session's recording as it is now, at most 64 KiB at a time. Raises NoRecordingError before the first.

        What comes after is one whole asciicast, whatever happens to the session meanwhile.
        """
        if not self._limit:
            raise NoRecordingError(session_id, "this server records nothing")
        reader = RecordingReader(self._path(session_id))
        try:
            await self._open(session_id, reader)
            position = 0
            while position < reader.size:
                data = await in_thread(reader.read, position)
                position += len(data)
                yield data
        finally:
            await in_thread(reader.close)

    async def _open(self, session_id: str, reader: RecordingReader) -> None:
        """Open a recording with all that was recorded up to now. Raises NoRecordingError."""
        try:
            async with self._lock:
                await self._write([session_id])
                await in_thread(reader.open)
        except FileNotFoundError:
            failed = session_id in self._stopped
            why = "it could not be written; the log says why" if failed else "a message starts a worker"
            raise NoRecordingError(session_id, f"nothing was recorded yet: {why}") from None
        except OSError as error:
            raise NoRecordingError(session_id, f"it can't be read ({error.strerror})") from error

    async def remove(self, session_id: str) -> None:
        """Forget a session's recording, and record it no more; its worker must have ended."""
        self._forget(session_id)
        async with self._lock:
            try:
                await in_thread(self._path(session_id).unlink, missing_ok=True)
            except OSError as error:  # the next start finds it, and its session isn't there
                _log.warning("the recording of session %s could not be removed now: %s", session_id, error)
        self._stopped.discard(session_id)

    async def clean(self, known: Callable[[Sequence[str]], Awaitable[Collection[str]]]) -> int:
        """Remove the recordings of sessions that aren't `known`, and what a kill left half written; how many."""
        names = await in_thread(_names, self._directory)
        ids = [found["id"] for name in names if (found := _RECORDING.fullmatch(name))]
        sessions = await known(ids)
        gone = [f"{session_id}.cast" for session_id in ids if session_id not in sessions]
        gone += [name for name in names if _TEMPORARY.fullmatch(name)]
        for name in gone:
            await in_thread((self._directory / name).unlink, missing_ok=True)
        return len(gone)

    def _path(self, session_id: str) -> Path:
        return self._directory / f"{session_id}.cast"


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())
