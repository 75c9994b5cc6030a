"""A coding agent in a home and a directory of its own, with one server to talk to and no other network."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = Path(__file__).parent.parent
BIN = CLIENTS / "node_modules" / ".bin"
AGENT_TIMEOUT = 180.0
"""Seconds that an agent may take for a task."""
NOWHERE = "http://127.0.0.1:9"
"""A proxy that nobody serves: whatever an agent wants from elsewhere fails at once."""


@dataclass(frozen=True)
class Place:
    """Where an agent runs: an empty `home`, and its working directory `work`."""

    home: Path
    work: Path

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of `node_modules/.bin` here, its input closed; it may reach the loopback interface only."""
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), NOWHERE)
        own = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost", "TERM": "dumb", "LANG": "C.UTF-8"}
        own["TMPDIR"] = str(self.home / "tmp")  # Codex wants its home elsewhere than below it
        path = f"{BIN}:{os.environ['PATH']}"
        return subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            cwd=self.work,
            env={**proxies, **own, "HOME": str(self.home), "PATH": path, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=AGENT_TIMEOUT,
        )


@contextmanager
def place() -> Iterator[Place]:
    """Make a place, and remove it in the end."""
    with tempfile.TemporaryDirectory(prefix="qpty-agent-") as directory:
        made = Place(home=Path(directory) / "home", work=Path(directory) / "work")
        (made.home / "tmp").mkdir(parents=True)
        made.work.mkdir()
        yield made
