"""Databases for tests: SQLite and PostgreSQL, by one fixture that runs a test on both."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from sqlalchemy import make_url

from qpty.storage.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.storage.server import Server


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which database a test is run on."""
    return str(request.param)


@pytest_asyncio.fixture
async def blank(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a database without a schema."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/qpty.db"
    server: Server = request.getfixturevalue("postgres")
    return await server.create()


@pytest_asyncio.fixture
async def empty(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a database without rows. On PostgreSQL it is always the same: to create one takes too long."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/qpty.db"
    server: Server = request.getfixturevalue("postgres")
    if server.shared is None:
        server.shared = await server.create()
        await (await Database.open(server.shared)).close()
    name = make_url(server.shared).database
    assert name is not None
    await server.execute("DELETE FROM sessions; DELETE FROM account_use", database=name)
    return server.shared


@dataclass
class Opened:
    """Databases opened by a test, closed at its end."""

    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __call__(self, url: str) -> Database:
        """Open one."""
        database = await Database.open(url)
        self.stack.push_async_callback(database.close)
        return database


@pytest_asyncio.fixture
async def opened() -> AsyncIterator[Opened]:
    """Opens databases and closes them at the test's end, the last first."""
    opener = Opened()
    async with opener.stack:
        yield opener


@pytest_asyncio.fixture
async def database(empty: str, opened: Opened) -> Database:
    """An open, empty database of either kind."""
    return await opened(empty)
