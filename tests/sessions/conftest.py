"""Managers for tests: each contract test runs on the real q and on the demo agent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from qpty.agent import spec
from tests.conftest import require_lab
from tests.sessions.house import House, demo_spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab import Lab


@pytest.fixture(params=[pytest.param("q", marks=pytest.mark.real_q), "demo"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., House]:
    """Make a manager with the agent under test; every case runs on the real q and on the demo."""
    if request.param == "q":
        require_lab()
        lab: Lab = request.getfixturevalue("lab")
        environment = {**os.environ, "HOME": str(lab.home)}
        found = spec.locate(str(lab.q), environment=environment, data_directory=tmp_path / "data")
    else:
        found = demo_spec(tmp_path)

    def make(**options: Any) -> House:
        return House(found, tmp_path, **options)

    return make


@pytest.fixture
def demo_house(tmp_path: Path) -> Callable[..., House]:
    """Make a manager with the demo agent, for what doesn't depend on the agent."""

    def make(*, environment: dict[str, str] | None = None, **options: Any) -> House:
        return House(demo_spec(tmp_path, **(environment or {})), tmp_path, **options)

    return make
