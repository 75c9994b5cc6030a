"""The server as a person starts it: `python run.py` in a process of its own, with an environment of its own."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parent.parent.parent
TIMEOUT = 60.0


class Program:
    """A server that was started; `announced` is what it said of itself, `port` where it listens."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        home = directory / "home"
        home.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "run.py")],
            cwd=directory,
            env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PORT": "0", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._lines: Queue[str | None] = Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip("\n"))
            self._lines.put(line)
        self._lines.put(None)

    def started(self) -> Self:
        """Wait until it listens."""
        self.heard(" is at http://")
        return self

    def heard(self, text: str) -> str:
        """Wait until it says a line with a text in it; the line. What it said before is in `said` by then."""
        while True:
            found = next((line for line in tuple(self.said) if text in line), None)
            if found is not None:
                return found
            try:
                if self._lines.get(timeout=TIMEOUT) is None:
                    raise AssertionError(f"it ended: {self.said}")
            except Empty:
                raise AssertionError(f"it did not say {text!r}: {self.said}") from None

    @property
    def port(self) -> int:
        """Where it listens."""
        found = re.search(r" is at http://[^ ]*:(\d+)", self.heard(" is at http://"))
        assert found is not None
        return int(found.group(1))

    def ask(
        self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Make a request: the status, the JSON or the text, the headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            sent = {"Content-Type": "application/json"} if body is not None else {}
            data = json.dumps(body) if body is not None else None
            connection.request(method, path, data, {**sent, **(headers or {})})
            response = connection.getresponse()
            text = response.read().decode()
            found = json.loads(text) if response.headers.get_content_type() == "application/json" else text
            return response.status, found, dict(response.headers)
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it, and wait; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(TIMEOUT)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self._reader.join()
            if self.process.stderr is not None:
                self.process.stderr.close()
        return status


@contextmanager
def program(directory: Path, **environment: str) -> Iterator[Program]:
    """Start a server, wait until it listens, and end it."""
    running = Program(directory, environment)
    try:
        yield running.started()
    finally:
        running.stop()


def refused(directory: Path, **environment: str) -> tuple[int, list[str]]:
    """Start a server that shall not start; its exit status and what it said."""
    running = Program(directory, environment)
    try:
        status = running.process.wait(TIMEOUT)
    finally:
        running.stop(signal.SIGKILL)
    return status, running.said
