"""A private PostgreSQL server for a run of the tests: on a Unix socket, in a directory of its own, ended by its pid."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import asyncpg
import pytest
from sqlalchemy import make_url

if TYPE_CHECKING:
    from types import TracebackType

USER = "qpty"
RUN_TIMEOUT = 60.0

# Nothing here outlives the run, so nothing is synced.
OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "max_connections=100")


def binaries() -> Path | None:
    """The directory of `initdb` and `postgres`: in PATH, or where Debian puts them, the newest version first."""
    if (found := shutil.which("initdb")) and shutil.which("postgres"):
        return Path(found).parent
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(versions, key=lambda path: int(path.parent.name), default=None)


def why_no_server() -> str | None:
    """Why no server can be run here; None if one can."""
    if binaries() is None:
        return "no PostgreSQL here: install the package postgresql"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "PostgreSQL refuses to run as root, and there is no user postgres"
    return None


def require_postgres() -> None:
    """Skip where no PostgreSQL can be run; in CI that is a failure."""
    if (reason := why_no_server()) is not None:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs PostgreSQL: {reason}")
        pytest.skip(reason)


class Server:
    """The server, as a context manager. `pg_ctl` waits until it answers, and ends it by the pid in its own file."""

    def __init__(self) -> None:
        programs = binaries()
        assert programs is not None, "require_postgres() comes first"
        self._programs = programs
        self._count = 0
        self.shared: str | None = None
        self.directory = Path(tempfile.mkdtemp(prefix="qpty-pg-"))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.directory, account.pw_uid, account.pw_gid)
            self._user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def __enter__(self) -> Self:
        try:
            self._run("initdb", "--auth=trust", f"--username={USER}", "--no-sync", "--encoding=UTF8", "--locale=C")
            options = " ".join(f"-c {option}" for option in OPTIONS)
            log = str(self.directory / "log")
            self._run("pg_ctl", "start", "--wait", "--log", log, "--options", f"-k {self.directory} {options}")
        except BaseException:
            shutil.rmtree(self.directory)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")
        shutil.rmtree(self.directory)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments, "--pgdata", str(self.directory / "data")],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the server inherits it, so a pipe would never end
            stderr=subprocess.DEVNULL,
            timeout=RUN_TIMEOUT,
            check=False,
            **self._user,
        )
        assert done.returncode == 0, f"{program} {arguments[0]} failed ({done.returncode})"

    async def create(self) -> str:
        """Create a database without a schema; return its URL."""
        self._count += 1
        name = f"test{self._count}"
        await self.execute(f"CREATE DATABASE {name}")
        return f"postgresql://{USER}@/{name}?host={quote(str(self.directory))}"

    async def end_connections(self, url: str) -> None:
        """End all connections to a database, and wait until they are gone."""
        name = make_url(url).database
        await self.execute(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608
        )

    async def execute(self, statements: str, *, database: str = "postgres") -> None:
        """Carry statements out as the superuser."""
        connection = await asyncpg.connect(host=str(self.directory), user=USER, database=database)
        try:
            await connection.execute(statements)
        finally:
            await connection.close()
