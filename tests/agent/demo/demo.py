"""Drives the demo agent on a real pseudo-terminal, in plain blocking code: what a person at the keyboard would see."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qpty.agent.demo

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

PROGRAM = Path(qpty.agent.demo.__file__).parent / "__main__.py"
FRAME = re.compile(r"\r[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] Thinking\.\.\.")
PAINTED = "\r\x1b[K\x1b[35m> \x1b[0m"
READY = f"\x1b[?25h\x1b[0m\x1b[0m\x1b[?2004h{PAINTED}\r\x1b[2C"
ASKING = f"\x1b[0m\x1b[0m\x1b[0m\x1b[?2004h{PAINTED}\r\x1b[2C"
PROMPT = re.compile(r"\x1b\[\?2004h(?s:.*)> (?s:.*)\r\x1b\[\d+C")
"""A painted prompt under bracketed paste; text of another thread may stand in it."""
DEADLINE = 20.0
"""Seconds that any wait may take: far more than is ever needed, so that only a fault meets it."""


class Demo:
    """A demo agent in a directory of its own; use it in a `with` block."""

    def __init__(self, home: Path, *options: str, wait: bool = True, **environment: str) -> None:
        self.home, self.directory = home, home / "work"
        self.data = home / ".local" / "share" / "qpty-demo"
        self.directory.mkdir(exist_ok=True)
        self.data.mkdir(parents=True, exist_ok=True)
        if not (self.data / "settings.json").exists():
            (self.data / "settings.json").write_text('{"chat.greeting.enabled": false}')
        self.environment = {
            "HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TERM": "xterm-256color",
            "QPTY_DEMO_PACE": "0", "QPTY_DEMO_RETRY_SECONDS": "0.05", "QPTY_DEMO_INTERLEAVE": "0",
            "QPTY_DEMO_SLOW": "0.05", **environment,
        }  # fmt: skip
        self.options, self._wait = options, wait
        self.seen = ""

    def __enter__(self) -> Demo:
        self.terminal, theirs = os.openpty()
        ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(PROGRAM), "chat", *self.options],
            cwd=self.directory,
            env=self.environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        if self._wait:
            self.seen = self.until_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)

    # keys

    def keys(self, keys: str | bytes) -> None:
        """Press keys."""
        data = keys.encode() if isinstance(keys, str) else keys
        os.write(self.terminal, data)

    def paste(self, text: str) -> None:
        """Paste a message and press Enter, reading along, since both sides block at a few kilobytes."""
        data = memoryview(b"\x1b[200~" + text.encode() + b"\x1b[201~\r")
        os.set_blocking(self.terminal, False)
        while data:
            readable, writable, _ = select.select([self.terminal], [self.terminal], [], DEADLINE)
            assert readable or writable, "the demo neither reads nor writes"
            if readable:
                self._early += self._read()
            if writable:
                data = data[os.write(self.terminal, data[:1024]) :]
        os.set_blocking(self.terminal, True)

    _early = b""

    def say(self, text: str) -> str:
        """Send a message; everything that is printed until the demo is ready again, without the spinner's frames."""
        self.paste(text)
        return self.until_ready()

    def sigint(self) -> None:
        """Send SIGINT to the demo alone."""
        os.kill(self.process.pid, signal.SIGINT)

    # screen

    def is_cooked(self) -> bool:
        """Whether the line discipline echoes and edits: never while the demo reads a message."""
        return bool(termios.tcgetattr(self.terminal)[3] & termios.ICANON)

    def _read(self) -> bytes:
        try:
            return os.read(self.terminal, 65536)
        except OSError:
            return b""

    def until(self, seen: Callable[[str], bool], *, frames: bool = False) -> str:
        """What is printed until the condition holds, without the spinner's frames unless they are asked for."""
        data, self._early = self._early, b""
        end = time.monotonic() + DEADLINE
        while not seen(text := data.decode("utf-8", "replace")):
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"not seen in {DEADLINE} s; the last of it: {text[-400:]!r}"
            more = self._read()
            assert more, f"the demo ended; the last of it: {text[-400:]!r}"
            data += more
        return text if frames else FRAME.sub("", text)

    def expect(self, painted: str) -> None:
        """Assert that exactly this is printed next."""
        assert self.until(lambda text: len(text) >= len(painted)) == painted

    def until_text(self, wanted: str) -> str:
        """What is printed until a text is there."""
        return self.until(lambda text: wanted in text)

    def until_ready(self) -> str:
        """What is printed until a painted prompt stands under bracketed paste, in a raw terminal."""
        return self.until(
            lambda text: PROMPT.search(text.rpartition("\x1b[?2004l")[2]) is not None and not self.is_cooked()
        )

    def until_over(self) -> tuple[str, int]:
        """What is printed until the demo ends, and its exit status."""
        data, self._early = self._early, b""
        while more := self._read():
            data += more
        return FRAME.sub("", data.decode("utf-8", "replace")), self.process.wait(DEADLINE)

    # record

    @property
    def record(self) -> dict[str, Any]:
        """The directory's conversation as it is saved; empty if there is none."""
        path = self.data / "data.sqlite3"
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            row = connection.execute(
                "SELECT value FROM conversations WHERE key = ?", (str(self.directory.resolve()),)
            ).fetchone()
        finally:
            connection.close()
        found: dict[str, Any] = json.loads(row[0]) if row else {}
        return found

    @property
    def history(self) -> list[dict[str, Any]]:
        """The record's exchanges."""
        found: list[dict[str, Any]] = self.record.get("history", [])
        return found

    @property
    def answers(self) -> list[str]:
        """The exact texts of the record's answers."""
        return [next(iter(entry["assistant"].values()))["content"] for entry in self.history]


def accepted(text: str) -> str:
    """What is painted when a short message is pasted and accepted."""
    return f"{PAINTED}{text}\r\x1b[{len(text) + 2}C\x1b[?2004l\r\n"


def answered(text: str) -> str:
    """What is painted of a one-line answer, with the end of the turn."""
    return f"\x1b[2K\x1b[1G\x1b[38;5;10m> \x1b[0m{text}\x1b[0m\x1b[0m\r\n\x1b[0m\x1b[0m\r\n{READY}"


THINKING = "\r\n\x1b[38;5;13m\x1b[0m\x1b[?25l"
"""What is painted between an accepted message and its answer, but for the spinner."""
