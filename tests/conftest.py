"""Fixtures for every test: the real q's lab, and a PostgreSQL server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.lab import Lab, lab_directory
from tests.storage.server import Server, require_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator


def require_lab() -> None:
    """Skip where there is no real q; in CI that is a failure unless QPTY_LAB=none says so."""
    if lab_directory() is None:
        if os.environ.get("CI") and os.environ.get("QPTY_LAB") != "none":
            pytest.fail("CI needs the real q: set QPTY_LAB to the lab's directory, or to 'none'")
        pytest.skip("no real q here: set QPTY_LAB to the lab's directory")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The real q with its stand-in, one for the whole run."""
    require_lab()
    with Lab(work=tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One private server for the whole run."""
    require_postgres()
    with Server() as server:
        yield server
