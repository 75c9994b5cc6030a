"""A real q on a bare pseudo-terminal, for what stands below the driver: keys in, bytes and the model's requests out.

Every wait is for readability and has a deadline.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

PASTE_ON, PASTE_OFF = b"\x1b[?2004h", b"\x1b[?2004l"
USER_MESSAGE = re.compile(r"--- USER MESSAGE BEGIN ---\n(.*)--- USER MESSAGE END ---", re.DOTALL)
SETTINGS = {
    "chat.disableMarkdownRendering": True,
    "chat.greeting.enabled": False,
    "telemetry.enabled": False,
    "mcp.loadedBefore": True,
}


class HungError(Exception):
    """q did not do in time what it was to do; the text ends with what it printed last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What came of typing: q's `echo` up to the acceptance, its `output` after it, and what the model was `sent`."""

    echo: bytes
    output: bytes
    sent: tuple[str, ...]
    accepted_after: float


class RequestLog:
    """The stand-in's log, read on from where it was read last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = path.stat().st_size

    def new_messages(self) -> tuple[str, ...]:
        """Return the exact user messages that the model was sent since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            whole = file.read()
        whole = whole[: whole.rfind(b"\n") + 1]
        self._read += len(whole)
        found = []
        for line in whole.splitlines():
            if b'"body": null' in line[-20:]:
                continue
            message = json.loads(line)["body"]["conversationState"]["currentMessage"]["userInputMessage"]["content"]
            wrapped = USER_MESSAGE.search(message)
            found.append(wrapped[1] if wrapped else message)
        return tuple(found)


class Terminal:
    """One `q chat` in `directory`, ready for keys. Ended with its process group on exit."""

    def __init__(self, *, q: Path, home: Path, log: Path, directory: Path) -> None:
        settings = home / ".local/share/amazon-q/settings.json"
        settings.write_text(json.dumps(SETTINGS))
        self.log = RequestLog(log)
        self.printed = b""
        self._master, slave = pty.openpty()
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.set_blocking(self._master, False)
        # setsid --ctty makes the slave the controlling terminal: no code of ours runs between fork and exec
        command = ["setsid", "--ctty", str(q), "chat", "--wrap", "never"]
        environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        self._process = subprocess.Popen(
            command, cwd=directory, env=environment, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)

    def __enter__(self) -> Self:
        try:
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._master)

    @property
    def raw(self) -> bool:
        """Whether something reads single keys: q's line editor or a menu."""
        return not termios.tcgetattr(self._master)[3] & termios.ICANON

    @property
    def ready(self) -> bool:
        """Whether q's line editor reads: bracketed paste on, and the line discipline raw."""
        return self.raw and self.printed.rfind(PASTE_ON) > self.printed.rfind(PASTE_OFF)

    def wait_ready(self, *, timeout: float = 30.0) -> None:
        """Read until q is ready and has nothing more to print."""
        deadline = time.monotonic() + timeout
        while self._read(0.01) or not self.ready:
            self._check(deadline, "ready")

    def write(self, keys: bytes, *, timeout: float = 30.0) -> None:
        """Write keys and read meanwhile: each side stops when the other one's buffer is full."""
        deadline = time.monotonic() + timeout
        while keys:
            self._check(deadline, "reading keys")
            readable, writable, _ = select.select([self._master], [self._master], [], 1.0)
            if readable:
                self._read(0)
            if writable:
                with suppress(BlockingIOError):
                    keys = keys[os.write(self._master, keys[:4096]) :]

    def type(self, keys: bytes, *, timeout: float = 30.0, cut_answer_after: float | None = None) -> Typed:
        """Write keys at the prompt, see them accepted and wait for the next prompt.

        An answer that takes longer than `cut_answer_after` is interrupted. All times in seconds.
        """
        self.printed = b""
        self.log.new_messages()
        began = time.monotonic()
        self.write(keys, timeout=timeout)
        while PASTE_OFF not in self.printed:
            self._check(began + timeout, "done with the keys: not accepted")
            self._read(0.01)
        accepted_after = time.monotonic() - began
        if cut_answer_after is not None:
            try:
                self.wait_ready(timeout=cut_answer_after)
            except HungError:
                self.write(b"\x03")
        self.wait_ready(timeout=timeout)
        echo, _, output = self.printed.partition(PASTE_OFF)
        return Typed(echo=echo, output=output, sent=self.log.new_messages(), accepted_after=accepted_after)

    def type_until(self, keys: bytes, printed: str, *, timeout: float = 30.0) -> bytes:
        """Write keys, wait until q has printed something and reads keys; return all that it printed since."""
        deadline = time.monotonic() + timeout
        self.printed = b""
        self.write(keys, timeout=timeout)
        while printed.encode() not in self.printed or not self.raw:
            self._check(deadline, f"printing {printed!r}")
            self._read(0.01)
        return self.printed

    def _read(self, timeout: float) -> bytes:
        readable, _, _ = select.select([self._master], [], [], timeout)
        if not readable:
            return b""
        try:
            data = os.read(self._master, 1 << 16)
        except OSError as error:  # EIO: nobody holds the other side any more
            raise HungError(f"q ended; it printed {self.printed[-300:]!r}") from error
        self.printed += data
        return data

    def _check(self, deadline: float, what: str) -> None:
        if time.monotonic() > deadline:
            raise HungError(f"q is not {what}; it printed {self.printed[-300:]!r}")
