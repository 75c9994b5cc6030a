"""Agents for tests: the real q and the demo agent, by one fixture that runs a test on both."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from qpty.agent import spec
from tests.agent.conversation import Conversation
from tests.conftest import require_lab

if TYPE_CHECKING:
    from pathlib import Path

    from qpty.agent.spec import AgentSpec
    from qpty.core.deadlines import Deadlines
    from tests.lab import Lab

DEMO_ENVIRONMENT = {"QPTY_DEMO_RETRY_SECONDS": "0.2"}


@dataclass
class Bench:
    """One kind of agent, with a directory of its own for the test."""

    kind: str
    spec: AgentSpec
    directory: Path

    def conversation(self, *, options: tuple[str, ...] = (), deadlines: Deadlines | None = None) -> Conversation:
        """A conversation in the test's directory; start it with `async with`."""
        return Conversation(self.spec, self.directory, options=options, deadlines=deadlines)


@pytest.fixture(params=[pytest.param("q", marks=pytest.mark.real_q), "demo"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """The agent under test: every case runs on the real q and on the demo."""
    kind = request.param
    directory = tmp_path / "session"
    directory.mkdir()
    if kind == "q":
        require_lab()
        lab: Lab = request.getfixturevalue("lab")
        found = spec.locate(
            str(lab.q), environment={**os.environ, "HOME": str(lab.home)}, data_directory=tmp_path / "data"
        )
    else:
        home = tmp_path / "home"
        home.mkdir()
        found = spec.locate("demo", environment={**os.environ, "HOME": str(home)}, data_directory=tmp_path / "data")
        found = replace(found, environment={**found.environment, **DEMO_ENVIRONMENT})
    return Bench(kind=kind, spec=found, directory=directory)
