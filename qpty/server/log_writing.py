"""Lines of the log, written by a thread: who reads them may be slow, or stop, and no session waits for that."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import TextIO

MOST_LINES: Final = 10_000
"""Lines that may wait; beyond, they are dropped, counted, and the number is logged."""

CLOSE_SECONDS: Final = 2.0
"""How long the end of the program waits for lines to be written."""


class LineHandler(logging.Handler):
    """Renders a record where it is logged, and writes it to `stream` from a thread of its own.

    `logging.shutdown`, which Python calls at its end, closes it.
    """

    def __init__(self, stream: TextIO, *, most_lines: int = MOST_LINES) -> None:
        super().__init__()
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(most_lines)
        self._dropped = 0
        self._idle = threading.Condition()
        self._unwritten = 0
        self._closed = False
        self._thread = threading.Thread(target=self._write, name="qpty-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Render a record and have it written; never waits, never raises."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 — whatever a value's own repr raises
            self.handleError(record)
            return
        if self._dropped and self._put(self.format(_dropped(self._dropped))):
            self._dropped = 0
        if not self._put(line):
            self._dropped += 1

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 — logging's name
        """Say that a record is missing, and where it was made; not what is in it, which nobody has redacted."""
        kind = sys.exc_info()[0]
        reason = "no exception" if kind is None else kind.__name__
        self._put(self.format(_unrendered(f"{record.module}:{record.lineno}", reason)))

    def flush(self) -> None:
        """Wait until what was logged is written, at most `CLOSE_SECONDS`."""
        with self._idle:
            self._idle.wait_for(lambda: self._unwritten == 0, CLOSE_SECONDS)

    def close(self) -> None:
        """Write what waits, at most for `CLOSE_SECONDS`, and stop; safe to call twice."""
        if not self._closed:
            self._closed = True
            self.flush()
            until = time.monotonic() + CLOSE_SECONDS
            while self._thread.is_alive() and time.monotonic() < until:
                try:
                    self._lines.put_nowait(None)
                    break
                except queue.Full:
                    self._thread.join(0.05)
            self._thread.join(max(0.0, until - time.monotonic()))
        super().close()

    def _put(self, line: str) -> bool:
        if self._closed:
            return False
        with self._idle:
            self._unwritten += 1
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._done()
            return False
        return True

    def _done(self) -> None:
        with self._idle:
            self._unwritten -= 1
            if self._unwritten == 0:
                self._idle.notify_all()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(f"{line}\n")
                if self._lines.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                pass  # the reader has gone or the stream is closed: there is nowhere left to say so
            finally:
                self._done()


def _dropped(count: int) -> logging.LogRecord:
    return _record("%s lines of the log were dropped: whoever reads it is too slow", count)


def _unrendered(place: str, reason: str) -> logging.LogRecord:
    return _record("a line logged at %s could not be rendered: %s", place, reason)


def _record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, arguments, None)
