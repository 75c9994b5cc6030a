"""The real q, offline: the lab build with its stand-in for the cloud, found through QPTY_LAB.

`QPTY_LAB` is the lab's directory, by default `../shared/q-cli` from the repository's root; `none` says there is none.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parent.parent
SCRIPTED_MODEL = ROOT / "tests" / "clients" / "scripted_model.py"
"""The stand-in as it is, with a few more sentences that it answers."""

START_TIMEOUT = 20.0


def lab_directory() -> Path | None:
    """The lab's directory, None where there is none."""
    setting = os.environ.get("QPTY_LAB", "../shared/q-cli")
    if setting == "none":
        return None
    directory = (ROOT / setting).resolve()
    return directory if (directory / "q-lab").exists() else None


@dataclass
class Lab:
    """A running stand-in, a launcher that talks to it, and a signed-in HOME. `log` has every request's body."""

    work: Path
    docs: Path | None = None
    q: Path = field(init=False)
    home: Path = field(init=False)
    log: Path = field(init=False)
    url: str = field(init=False)
    _backend: subprocess.Popen[bytes] | None = field(init=False, default=None)

    def __enter__(self) -> Self:
        directory = lab_directory()
        if directory is None:
            raise RuntimeError("no lab: set QPTY_LAB to its directory")
        self.work.mkdir(parents=True, exist_ok=True)
        self.log, self.home = self.work / "requests.jsonl", self.work / "home"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, str(SCRIPTED_MODEL), str(directory), "--port", str(port), "--log", str(self.log)]
        if self.docs is not None:
            command += ["--docs", str(self.docs)]
        self._backend = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            wait_for(f"{self.url}/_lab/state")
            subprocess.run(
                [str(directory / "q-lab"), "install", str(self.work / "bin"), self.url], check=True, capture_output=True
            )
            self.q = self.work / "bin" / "q"
            self.sign_in(self.home)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the stand-in."""
        if self._backend is not None:
            self._backend.kill()
            self._backend.wait()
            self._backend = None

    def sign_in(self, home: Path) -> None:
        """Sign a HOME in."""
        directory = lab_directory()
        assert directory is not None
        environment = {"PATH": os.environ["PATH"], "Q_BIN": str(self.q)}
        subprocess.run(
            [str(directory / "q-lab"), "login", str(home), self.url],
            check=True,
            capture_output=True,
            env=environment,
            timeout=60,
        )

    def requests(self) -> list[dict[str, Any]]:
        """What the stand-in was sent, in order: `op`, and the `body` of calls of the model."""
        with self.log.open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def new_home(self, name: str) -> Path:
        """Return another HOME that is signed in, a copy of the first."""
        copy = self.work / name
        shutil.copytree(self.home, copy)
        return copy

    def switch(self, what: str) -> None:
        """Work a switch of the stand-in, such as `expire` or `restore`."""
        request = urllib.request.Request(
            f"{self.url}/_lab/{what}", data=b"{}", method="POST", headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10):
            pass


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(url: str) -> None:
    """Wait until an address answers."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
