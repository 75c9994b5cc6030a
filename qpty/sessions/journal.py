"""One session's journal: events numbered from 1 without gaps, durable before anybody sees them, bounded.

**Why durable first.** If a reader saw event 50, and the server died before it was written, the next server would give
another event the number 50, and a reader that resumes after 50 would miss it without a word. So an event is given to
readers when the transaction that holds it is committed. That costs a millisecond when little is going on; under load
the writer commits less often (`qpty.storage.writer`), and text that waits meanwhile is joined: many small deltas become
one, before they have been seen or written.

**Why pull.** A reader asks for what comes after a number and is served from the tail in memory, or from the database
when it is further behind. There is no queue for each reader: a slow one is only behind, and costs nobody anything.

**Bounds.** The journal keeps a number of events and of bytes; what is older is trimmed, at the end of a turn where
possible. A reader that is behind the kept part, or ahead of the last event, gets one `journal.reset` with a snapshot of
what came before, and goes on with the first event that is kept. Who appends waits (`room`) while too much is unwritten.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from qpty.sessions.errors import JournalFailedError
from qpty.storage.errors import StorageError
from qpty.storage.writes import append_events, trim_journal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

    from qpty.storage.database import Database
    from qpty.storage.writes import Write

TAIL_EVENTS: Final = 256
TAIL_BYTES: Final = 128 * 1024
"""Of a session's newest events, in memory; a reader that is further behind is served from the database."""

PAGE_EVENTS: Final = 500
PAGE_BYTES: Final = 1 << 20
"""Of events, read from the database at once."""

PENDING_BYTES: Final = 1 << 20
"""Unwritten events of one session beyond which who appends has to wait, and the terminal with it."""

JOINED_CHARACTERS: Final = 8 * 1024
"""A text this long is joined by no more."""

JOINED: Final = {"message.delta": "segment", "tool.output": "tool_id"}
"""The types whose texts may be joined while they wait, and what both must have in common."""

TRIM_SLACK: Final = 0.1
"""How much more than its bound a journal may hold before it is trimmed: trimming costs a transaction."""


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """One event as a reader gets it: its number, its type, and its JSON text. A `journal.reset` has no number."""

    seq: int | None
    type: str
    body: str

    @property
    def data(self) -> dict[str, Any]:
        """Return the parsed body."""
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


TRIM_PAUSE: Final = 1_000
"""Events after a failed trim before the next one."""

_log: Final = logging.getLogger(__name__)

_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def timestamp(seconds: float) -> str:
    """Return a time as the journal writes it: RFC 3339 in UTC with milliseconds."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{_second(whole)}.{milliseconds:03}Z"


class _Pending:
    """An event that isn't written yet."""

    __slots__ = ("body", "joins", "length", "parts", "seq")

    def __init__(self, seq: int, body: dict[str, Any], joins: tuple[object, ...] | None) -> None:
        self.seq = seq
        self.body = body
        self.joins = joins
        self.parts: list[str] = [body["text"]] if joins is not None else []
        self.length = sum(len(value) for value in body.values() if isinstance(value, str)) + 120

    def encode(self) -> str:
        if self.joins is not None and len(self.parts) > 1:
            self.body["text"] = "".join(self.parts)
        return _encode(self.body)


class Journal:
    """The journal of one session. All methods are of the event loop's thread.

    `first_seq` and `last_seq` are the bounds that the database has; `snapshot(first_seq)` tells a reader what came
    before an event.
    """

    def __init__(
        self,
        session_id: str,
        *,
        database: Database,
        first_seq: int,
        last_seq: int,
        snapshot: Callable[[int], Awaitable[Mapping[str, Any]]],
        max_events: int,
        max_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.session_id = session_id
        self.first_seq = first_seq
        self.last_seq = last_seq
        self.durable_seq = last_seq
        self._database = database
        self._snapshot = snapshot
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._clock = clock
        self._pending: list[_Pending] = []
        self._also: list[Write] = []
        self._pending_bytes = 0
        self._last_joins: tuple[object, ...] | None = None
        self._taken: list[tuple[int, str]] = []
        self._taken_writes: Sequence[Write] = ()
        self._tail: deque[tuple[int, str]] = deque()
        self._tail_bytes = 0
        self._kept_bytes: int | None = None
        self._trim_from = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._failure: BaseException | None = None
        self._closed = self._discarded = False

    @property
    def failed(self) -> bool:
        """Whether the database refused its events: it can't go on, and has to be loaded anew."""
        return self._failure is not None

    # -- appending

    def append(self, event: Mapping[str, Any]) -> int:
        """Number an event (`type` and its fields) and have it written; return its number."""
        kind = event["type"]
        if kind in JOINED:
            of = JOINED[kind]
            return self.append_text(kind, event.get("turn_id"), of, event[of], event["text"])
        return self._append(event, None)

    def append_text(self, kind: str, turn_id: str | None, of: str, which: object, text: str) -> int:
        """Append live text: an event of this `kind` that says by its field `of` what it is of.

        It joins live text of the same that still waits, and then shares its number.
        """
        joins = (kind, turn_id, which)
        last = self._pending[-1] if self._pending else None
        if last is not None and last.joins == joins and last.length < JOINED_CHARACTERS:
            last.parts.append(text)
            last.length += len(text)
            self._pending_bytes += len(text)
            return last.seq
        return self._append({"type": kind, "turn_id": turn_id, of: which, "text": text}, joins)

    def _append(self, event: Mapping[str, Any], joins: tuple[object, ...] | None) -> int:
        if self._discarded or self._failure is not None:
            return self.last_seq  # nothing is written any more
        self.last_seq += 1
        body = {"seq": self.last_seq, "type": event["type"], "time": timestamp(self._clock()), **event}
        fresh = _Pending(self.last_seq, body, joins)
        self._pending.append(fresh)
        self._pending_bytes += fresh.length
        # The first text of its kind is urgent, too: somebody waits to see it.
        self._database.writer.wake(self, urgent=joins is None or joins != self._last_joins)
        self._last_joins = joins
        return fresh.seq

    def also(self, *writes: Write) -> None:
        """Have these written in the same transaction as the event appended last."""
        if self._discarded or self._failure is not None:
            return
        self._also.extend(writes)
        self._database.writer.wake(self, urgent=True)

    @property
    def crowded(self) -> bool:
        """Whether `room` has something to wait for, or to trim."""
        return self._pending_bytes > PENDING_BYTES or self._failure is not None or self.excess()

    async def room(self) -> None:
        """Wait while too much is unwritten, and trim what is too old. Raises JournalFailedError."""
        if self._failure is not None:
            raise self._failed()
        while self._pending_bytes > PENDING_BYTES:
            await self._change()
        if self.excess():
            try:
                await self.trim()
            except StorageError as error:  # housekeeping: it decides no turn
                self._trim_from = self.durable_seq + TRIM_PAUSE
                _log.warning("the journal of session %s could not be trimmed now: %s", self.session_id, error)

    async def durable(self) -> None:
        """Wait until everything appended so far is written. Raises JournalFailedError."""
        wanted = self.last_seq
        while not self._discarded and (self.durable_seq < wanted or self._also or self._taken_writes):
            await self._change()

    # -- as a source of the writer

    def take(self) -> Sequence[Write]:
        """Hand over what waits, for one transaction."""
        self._taken = [(entry.seq, entry.encode()) for entry in self._pending]
        self._pending.clear()
        writes, self._also = self._also, []
        self._taken_writes = writes
        if not self._taken:
            return writes
        return [append_events([(self.session_id, seq, body) for seq, body in self._taken]), *writes]

    def written(self) -> None:
        """What was taken is durable: readers may have it."""
        if self._discarded:
            self._taken, self._taken_writes = [], ()
            return
        for seq, body in self._taken:
            self._tail.append((seq, body))
            self._tail_bytes += len(body)
            if self._kept_bytes is not None:
                self._kept_bytes += len(body) if body.isascii() else len(body.encode("utf-8", "surrogatepass"))
            self.durable_seq = seq
        while self._tail and (len(self._tail) > TAIL_EVENTS or self._tail_bytes > TAIL_BYTES):
            _, body = self._tail.popleft()
            self._tail_bytes -= len(body)
        self._taken = []
        self._taken_writes = ()
        self._pending_bytes = sum(entry.length for entry in self._pending)
        self._changed()

    def refused(self, error: BaseException) -> None:
        """The database refused what was taken, for good."""
        self._failure = error
        self._pending.clear()  # what comes after it would leave a gap
        self._also.clear()
        self._pending_bytes = 0
        self._changed()

    # -- reading

    async def read(self, after: int) -> AsyncGenerator[JournalEvent, None]:
        """Yield every event after number `after`, for as long as the journal lives.

        A reader whose next event isn't kept (or doesn't exist) first gets a `journal.reset {first_seq, snapshot}`.
        """
        while not self._discarded:
            if after > self.durable_seq or after + 1 < self.first_seq:
                first = self.first_seq
                yield await self._reset(first)
                after = first - 1
            if after == self.durable_seq:
                if self._closed and self.durable_seq == self.last_seq:
                    return
                await self._change()
                continue
            if self._tail and self._tail[0][0] <= after + 1:
                skip = after + 1 - self._tail[0][0]
                page = [self._tail[index] for index in range(skip, len(self._tail))]
            else:
                page = await self._database.events(
                    self.session_id, after=after, limit=PAGE_EVENTS, max_bytes=PAGE_BYTES
                )
                if not page or page[0][0] != after + 1:  # trimmed meanwhile
                    self.first_seq = max(self.first_seq, page[0][0] if page else self.durable_seq + 1)
            for seq, body in page:
                if seq != after + 1:
                    break  # the next round says so to the reader
                after = seq
                yield JournalEvent(seq, _type_of(body), body)

    async def _reset(self, first: int) -> JournalEvent:
        snapshot = await self._snapshot(first)
        body = {
            "type": "journal.reset",
            "time": timestamp(self._clock()),
            "first_seq": first,
            "snapshot": snapshot,
        }
        return JournalEvent(None, "journal.reset", _encode(body))

    # -- bounds

    def excess(self) -> bool:
        """Whether the journal holds more than it should, and may be trimmed now."""
        if self.durable_seq < self._trim_from:
            return False
        over = 1 + TRIM_SLACK
        count = self.durable_seq - self.first_seq + 1
        return count > self._max_events * over or (self._kept_bytes or 0) > self._max_bytes * over

    async def measure(self) -> None:
        """Learn how many bytes the database keeps; reads them all. Until then only the number of events is bounded."""
        try:
            self._kept_bytes = await self._database.journal_bytes(self.session_id)
        except StorageError as error:
            _log.warning("the journal of session %s could not be measured now: %s", self.session_id, error)

    @property
    def measured(self) -> bool:
        """Whether the number of bytes is known."""
        return self._kept_bytes is not None

    async def trim(self) -> None:
        """Forget the oldest events beyond the bounds, whole turns where that is possible."""
        below = await self._database.journal_cut(
            self.session_id,
            max_events=self._max_events,
            max_bytes=self._max_bytes,
            last_seq=self.durable_seq,
        )
        if below <= self.first_seq:
            return
        self.first_seq = below
        while self._tail and self._tail[0][0] < below:
            _, body = self._tail.popleft()
            self._tail_bytes -= len(body)
        await self._database.writer.write(trim_journal(self.session_id, below))
        await self.measure()

    def discard(self) -> None:
        """Write nothing any more, and end every reader: the session is deleted."""
        self._discarded = self._closed = True
        self._pending.clear()
        self._also.clear()
        self._pending_bytes = 0
        self.durable_seq = self.last_seq
        self.first_seq = self.last_seq + 1
        self._tail.clear()
        self._changed()

    def close(self) -> None:
        """End every reader once it has everything."""
        self._closed = True
        self._changed()

    # -- waiting

    async def _change(self) -> None:
        if self._failure is not None:
            raise self._failed()
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        if self._failure is not None:
            raise self._failed()

    def _failed(self) -> JournalFailedError:
        error = JournalFailedError(self.session_id)
        error.__cause__ = self._failure
        return error

    def _changed(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def _type_of(body: str) -> str:
    """The type of an encoded event: the second field of what `Journal` wrote, and no field before it has quotes."""
    start = body.index('"type":"') + 8
    return body[start : body.index('"', start)]
