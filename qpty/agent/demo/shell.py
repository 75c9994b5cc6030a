"""Shell commands: q's `execute_bash`, whose output is painted by whole lines, and `!command` at the prompt."""

import os
import signal

from .signals import Signals

MAX_LINES = 1024
"""Only so many last lines of an output are kept for the model."""

MAX_RESULT_BYTES = 133_333
"""A result longer than this is cut, and says so."""

_CUT = " ... truncated"
_CHUNK = 1 << 16


def spawn(arguments: list[str], pipes: tuple[tuple[int, int], ...], extra: dict[str, str] | None = None) -> int:
    """Start a program of our own process group, with `pipes` (ours, the child's number) put in place; its pid.

    It gets its signals back as a shell expects them. Raises OSError.
    """
    actions = [(os.POSIX_SPAWN_DUP2, ours, theirs) for ours, theirs in pipes]
    defaults = [signal.SIGPIPE, signal.SIGINT, signal.SIGXFSZ]
    return os.posix_spawnp(
        arguments[0], arguments, {**os.environ, **(extra or {})}, file_actions=actions, setsigdef=defaults
    )


class _Lines:
    """The lines of one output stream: painted as they end, and the last ones kept."""

    __slots__ = ("_kept", "_left", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._left = b""
        self._kept: list[str] = []

    def feed(self, data: bytes) -> str:
        """The text to paint. A line that is not UTF-8 is lost, as in q."""
        *lines, self._left = (self._left + data).split(b"\n")
        shown = []
        for line in lines:
            try:
                shown.append(line.removesuffix(b"\r").decode())
            except UnicodeDecodeError:
                continue
        self._kept = (self._kept + shown)[-MAX_LINES:]
        return "".join(f"{line}\n" for line in shown)

    def finish(self) -> str:
        """The text to paint of a last line without an end."""
        return self.feed(b"\n") if self._left else ""

    def result(self) -> str:
        """What the model is told."""
        text = "\n".join(self._kept)
        raw = text.encode()
        return text if len(raw) <= MAX_RESULT_BYTES else raw[:MAX_RESULT_BYTES].decode(errors="ignore") + _CUT


def run_bash(command: str, signals: Signals, paint: "Painter") -> dict[str, str]:
    """Run a command with our standard input; what the model is told of it.

    It ends with the command, whatever the command left running. Raises TurnInterruptedError (the command, which got the
    same Ctrl-C, is left to itself) and OSError.
    """
    ends = os.pipe(), os.pipe()
    try:
        pid = spawn(["bash", "-c", command], ((ends[0][1], 1), (ends[1][1], 2)))
    finally:
        for _, writer in ends:
            os.close(writer)
    streams = [_Lines(reader) for reader, _ in ends]
    status: int | None = None
    try:
        status = _follow(pid, streams, signals, paint)
        for stream in streams:
            paint(stream.finish())
    finally:
        for reader, _ in ends:
            os.close(reader)
        if status is None:
            signals.leave_alone(pid)
    code = os.waitstatus_to_exitcode(status)
    return {
        "exit_status": str(max(code, 0)),  # q shows 0 for a command that a signal ended
        "stdout": streams[0].result(),
        "stderr": streams[1].result(),
    }


def _follow(pid: int, streams: list[_Lines], signals: Signals, paint: "Painter") -> int:
    """Paint what comes until the process has ended and nothing more is there to read; its wait status."""
    reading = {stream.fd: stream for stream in streams}
    status: int | None = None
    while True:
        ready = signals.wait(list(reading), 0 if status is not None else 1.0 if reading else 0.05)
        for fd in ready:
            data = os.read(fd, _CHUNK)
            if data:
                paint(reading[fd].feed(data))
            else:
                del reading[fd]
        if status is not None and not ready:
            return status
        if status is None:
            ended, found = os.waitpid(pid, os.WNOHANG)
            status = found if ended else None


def run_at_prompt(command: str) -> int:
    """Run a command with the terminal to itself; its exit code, negative for the signal that ended it."""
    pid = spawn(["bash", "-c", command], ())
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Painter = Callable[[str], None]
