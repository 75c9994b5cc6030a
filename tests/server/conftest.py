"""Services for tests: each contract test runs on the real q and on the demo agent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from qpty.agent import spec
from tests.conftest import require_lab
from tests.server.browser import chromium  # noqa: F401 — a fixture
from tests.server.served import Served, serving
from tests.sessions.house import demo_spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.lab import Lab

    Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture(params=[pytest.param("q", marks=pytest.mark.real_q), "demo"])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    """Make a service with the agent under test; every case runs on the real q and on the demo."""
    if request.param == "q":
        require_lab()
        lab: Lab = request.getfixturevalue("lab")
        environment = {**os.environ, "HOME": str(lab.home)}
        found = spec.locate(str(lab.q), environment=environment, data_directory=tmp_path / "data")
    else:
        found = demo_spec(tmp_path)

    def make(**settings: Any) -> AbstractAsyncContextManager[Served]:
        return serving(found, tmp_path, **settings)

    return make


@pytest.fixture
def serve_demo(tmp_path: Path) -> Serve:
    """Make a service with the demo agent, for what doesn't depend on the agent."""

    def make(*, environment: dict[str, str] | None = None, **settings: Any) -> AbstractAsyncContextManager[Served]:
        return serving(demo_spec(tmp_path, **(environment or {})), tmp_path, **settings)

    return make
