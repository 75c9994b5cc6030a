"""One server at a time for a data directory, and the id that stays the directory's own."""

from __future__ import annotations

import stat
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from qpty.sessions.data_lock import DataLock
from qpty.sessions.errors import DataDirectoryInUseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT = 20.0
HOLDER = """
import sys
from pathlib import Path
from qpty.sessions.data_lock import DataLock
print(DataLock(Path(sys.argv[1])).server_id, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of `tmp_path / "data"`; its first line is its id."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "data")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_second_one_is_refused_by_name(tmp_path: Path) -> None:
    lock = DataLock(tmp_path)
    with pytest.raises(DataDirectoryInUseError, match="in use by another qpty") as refused:
        DataLock(tmp_path)
    assert refused.value.path == tmp_path
    lock.release()


def test_a_refused_one_takes_nothing_away(tmp_path: Path) -> None:
    lock = DataLock(tmp_path)
    for _ in range(3):
        with pytest.raises(DataDirectoryInUseError):
            DataLock(tmp_path)
    lock.release()
    again = DataLock(tmp_path)
    assert again.server_id == lock.server_id
    again.release()


def test_the_id_is_the_directorys_own_for_good(tmp_path: Path) -> None:
    ids = set()
    for _ in range(3):
        lock = DataLock(tmp_path / "one")
        ids.add(lock.server_id)
        lock.release()
    other = DataLock(tmp_path / "other")
    assert len(ids) == 1
    assert other.server_id not in ids
    assert str(uuid.UUID(other.server_id)) == other.server_id
    other.release()


def test_release_may_come_twice(tmp_path: Path) -> None:
    lock = DataLock(tmp_path)
    lock.release()
    second = DataLock(tmp_path)
    lock.release()  # takes nothing from the second
    with pytest.raises(DataDirectoryInUseError):
        DataLock(tmp_path)
    second.release()


def test_the_directory_is_made_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there"
    DataLock(path).release()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((path / "server.lock").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content", [b"", b"no id", b"\xff" * 36, b"0" * 36, b"5F0C1B7E-9D55-4C11-A8B1-0F6E2B7C3D9A", b"x" * 4096]
)
def test_a_damaged_id_is_replaced_for_good(tmp_path: Path, content: bytes) -> None:
    """As after a kill between the making of the file and the writing of the id."""
    (tmp_path / "server.lock").write_bytes(content)
    first = DataLock(tmp_path)
    first.release()
    second = DataLock(tmp_path)
    second.release()
    assert first.server_id == second.server_id == str(uuid.UUID(first.server_id))
    assert (tmp_path / "server.lock").read_text() == first.server_id


def test_a_killed_server_holds_nothing(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    assert holder.stdout is not None
    server_id = holder.stdout.readline().strip()
    with pytest.raises(DataDirectoryInUseError):
        DataLock(tmp_path / "data")
    holder.kill()
    holder.wait(TIMEOUT)
    lock = DataLock(tmp_path / "data")
    assert lock.server_id == server_id
    lock.release()


def test_a_child_that_outlives_its_server_does_not_hold_the_lock(tmp_path: Path) -> None:
    """An agent of a killed server must not keep the next one from ending it."""
    lock = DataLock(tmp_path)
    with subprocess.Popen(
        ["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, close_fds=False
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"up\n")  # until it answers it may be in the middle of its exec, where descriptors are closed
        assert child.stdout.readline() == b"up\n"
        lock.release()
        again = DataLock(tmp_path)
        assert child.poll() is None
        again.release()
        child.kill()


def test_what_is_no_directory_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        DataLock(tmp_path / "file")
