"""Terminals for benchmarks: the typist through the driver, and the same program read barely."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from qpty.agent import dialects
from qpty.agent.spec import AgentSpec, agent_environment
from tests.bench._typist import WRAP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qpty.core.events import Event

PROGRAM: Final = (sys.executable, "-I", "-S", str(Path(__file__).with_name("_typist.py")))


def typist(directory: Path) -> AgentSpec:
    """The typist as an agent, with its record in this (new) directory."""
    directory.mkdir()
    database = directory / "data.sqlite3"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE conversations (key TEXT PRIMARY KEY, value TEXT)")
    return AgentSpec(
        kind="typist",
        dialect=dialects.load("q"),
        argv=PROGRAM,
        environment={**agent_environment(os.environ), "TYPIST_DATABASE": str(database)},
        database=database,
        scratch=directory,
    )


class BenchmarkError(Exception):
    """A turn didn't end as it should, so its figures mean nothing."""

    def __init__(self, event: Event | None) -> None:
        super().__init__(f"the turn ended with {event}")


class BareTerminal:
    """A program in a pseudo-terminal, with nothing around it: read `descriptor`, write to it."""

    def __init__(self, argv: Sequence[str], *, directory: Path) -> None:
        self.descriptor, inner = os.openpty()
        try:
            environment = {**agent_environment(os.environ), "TYPIST_DATABASE": str(directory / "data.sqlite3")}
            self._process = subprocess.Popen(
                argv, stdin=inner, stdout=inner, stderr=inner, cwd=directory, env=environment, start_new_session=True
            )
        finally:
            os.close(inner)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self.descriptor)

    def read(self) -> bytes:
        """What it printed; empty when it has ended."""
        try:
            return os.read(self.descriptor, 65536)
        except OSError:  # EIO: nobody holds the other side
            return b""

    def read_to(self, mark: bytes) -> None:
        """Read, and forget, up to these bytes. Waits for them."""
        seen = b""
        while mark not in seen:
            more = self.read()
            if not more:
                raise EOFError(f"it ended before {mark!r}: {seen!r}")
            seen += more

    def type(self, message: str) -> None:
        """Paste a message and press Enter."""
        os.write(self.descriptor, f"\x1b[200~{message}\x1b[201~\r".encode())


def delays(arrivals: Iterable[tuple[int, str]]) -> list[float]:
    """Milliseconds from the writing of each word to its arrival, of (nanoseconds, text) pairs; sorted."""
    return sorted(
        (arrived // 1000 - int(word)) % WRAP / 1000
        for arrived, text in arrivals
        for word in re.findall(r"(\d{9}) ", text)
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of the sorted `values` don't exceed."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))]
