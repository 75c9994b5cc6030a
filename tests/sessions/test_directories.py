"""The sessions' directories: made, counted, cleaned and removed, and nothing else ever touched."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from qpty.sessions import directories, directory_removal
from qpty.sessions.directories import SessionDirectoryManager
from qpty.sessions.files.errors import (
    BaseDirectoryError,
    DirectoryAccessError,
    DirectoryBusyError,
    DirectoryReplacedError,
    DirectorySetAsideError,
    DirectoryStorageFullError,
    DirectoryTakenError,
    SessionDirectoryGoneError,
    SessionIdError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = 3600.0


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Where the sessions' directories are; like the shipped one, it holds a `.gitkeep`."""
    path = tmp_path / "sessions"
    path.mkdir()
    (path / ".gitkeep").touch()
    return path


@pytest.fixture
def manager(base: Path) -> SessionDirectoryManager:
    return SessionDirectoryManager(base)


def fresh() -> str:
    return str(uuid.uuid4())


def names(base: Path) -> set[str]:
    return {path.name for path in base.iterdir()} - {".gitkeep"}


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 — a count


def later(base: Path, hours: float, *in_use: str) -> SessionDirectoryManager:
    """A manager whose clock is ahead."""
    return SessionDirectoryManager(base, now=lambda: time.time() + hours * HOUR, in_use=lambda: set(in_use))


@contextmanager
def attacked(method: str, monkeypatch: pytest.MonkeyPatch, attack: object) -> Iterator[None]:
    """Put `attack` in the place of one of the module's functions for a block."""
    with monkeypatch.context() as patch:
        patch.setattr(directories, method, attack)
        yield


# --- making ---


def test_the_base_is_made_for_this_user_alone(tmp_path: Path) -> None:
    SessionDirectoryManager(tmp_path / "new" / "sessions")
    assert (tmp_path / "new" / "sessions").stat().st_mode & 0o777 == 0o700


def test_a_base_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BaseDirectoryError) as refused:
            SessionDirectoryManager(path)
        assert (refused.value.base, refused.value.errno) == (path, errno.ENOTDIR)


def test_a_base_that_goes_away_is_told(manager: SessionDirectoryManager, base: Path) -> None:
    shutil.rmtree(base)
    for call in (manager.list_session_directories, manager.empty_trash, manager.cleanup_empty_directories):
        with pytest.raises(BaseDirectoryError) as gone:
            call()
        assert gone.value.errno == errno.ENOENT


def test_creating(manager: SessionDirectoryManager, base: Path) -> None:
    session = fresh()
    path = manager.create(session)
    assert path == base / session == manager.path(session)
    assert path.stat().st_mode & 0o777 == 0o700
    with pytest.raises(DirectoryTakenError):
        manager.create(session)
    assert manager.ensure(session) == (path, False)
    path.rmdir()
    assert manager.ensure(session) == (path, True)


def test_whatever_is_in_the_place_is_not_used(manager: SessionDirectoryManager, base: Path, tmp_path: Path) -> None:
    link, dangling, file = fresh(), fresh(), fresh()
    (base / link).symlink_to(tmp_path)
    (base / dangling).symlink_to(tmp_path / "nowhere")
    (base / file).touch()
    for session, kind in [(link, "symbolic link"), (dangling, "symbolic link"), (file, "file")]:
        with pytest.raises(DirectoryTakenError):
            manager.create(session)
        with pytest.raises(DirectoryReplacedError) as replaced:
            manager.ensure(session)
        assert replaced.value.kind == kind
        with pytest.raises(DirectoryReplacedError):
            manager.get_directory_info(session)
    assert not (tmp_path / "nowhere").exists()
    assert manager.list_session_directories() == []


CANONICAL = "5f0c1b7e-9d55-4c11-a8b1-0f6e2b7c3d9a"


@pytest.mark.parametrize(
    "session",
    [
        "",
        ".",
        "..",
        "../x",
        "/etc",
        "a",
        CANONICAL.upper(),
        CANONICAL.replace("-", ""),
        f"{{{CANONICAL}}}",
        f"{CANONICAL}\n",
        "\ud800",
    ],
)
def test_only_canonical_uuids_are_ids(manager: SessionDirectoryManager, base: Path, session: str) -> None:
    for call in (manager.path, manager.create, manager.ensure, manager.remove, manager.get_directory_info):
        with pytest.raises(SessionIdError):
            call(session)
    assert names(base) == set()


def test_a_full_disk_is_told(manager: SessionDirectoryManager, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", full)
        with pytest.raises(DirectoryStorageFullError, match="make room"):
            manager.create(fresh())


# --- looking ---


def test_what_is_known_of_a_directory(base: Path) -> None:
    manager = SessionDirectoryManager(base, now=lambda: 1234.5)
    session = fresh()
    path = manager.create(session)
    info = manager.get_directory_info(session)
    assert (info.session_id, info.path, info.created_time) == (session, path, 1234.5)
    assert (info.size_bytes, info.file_count, info.empty, info.truncated) == (0, 0, True, False)
    (path / "deep").mkdir()
    (path / "deep" / "a").write_bytes(bytes(1000))
    (path / "b").write_bytes(bytes(24))
    (path / "link").symlink_to("/etc/passwd")
    os.utime(path / "deep" / "a", (5_000_000_000, 5_000_000_000))
    info = manager.get_directory_info(session)
    assert (info.size_bytes, info.file_count, info.empty, info.truncated) == (1024, 2, False, False)
    assert info.modified_time == 5_000_000_000
    assert manager.list_session_directories() == [info]
    os.setxattr(path, "user.qpty.created", b"nan")
    assert manager.get_directory_info(session).created_time is None
    with pytest.raises(SessionDirectoryGoneError):
        manager.get_directory_info(fresh())


def test_counting_is_bounded(manager: SessionDirectoryManager, monkeypatch: pytest.MonkeyPatch) -> None:
    session = fresh()
    path = manager.create(session)
    for index in range(20):
        (path / str(index)).touch()
    monkeypatch.setattr(directories, "COUNTED_ENTRIES", 10)
    info = manager.get_directory_info(session)
    assert (info.file_count, info.truncated, info.empty) == (10, True, False)


def test_only_sessions_directories_are_listed_and_cleaned(manager: SessionDirectoryManager, base: Path) -> None:
    sessions = sorted(fresh() for _ in range(3))
    for session in sessions:
        manager.create(session)
    others = {"notes", fresh().upper(), f"{fresh()}.bak", ".hidden", f".trash-{fresh()}", ".trash-x"}
    for other in others:
        (base / other).mkdir()
    assert [info.session_id for info in manager.list_session_directories()] == sessions
    ahead = later(base, 1000)
    assert manager.cleanup_empty_directories() == sessions
    assert ahead.cleanup_old_directories(1) == []
    manager.empty_trash()
    assert names(base) == others
    assert (base / ".gitkeep").exists()


# --- removing ---


def test_removing_a_tree(manager: SessionDirectoryManager, base: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").touch()
    session = fresh()
    path = manager.create(session)
    (path / "x" / "y" / "z").mkdir(parents=True)
    (path / "x" / "y" / "file").touch()
    (path / "x" / "link").symlink_to(outside)
    (path / "hard").hardlink_to(outside / "a")
    os.mkfifo(path / "x" / "pipe")
    (path / os.fsdecode(b"\xff\n")).touch()
    manager.remove(session)
    assert names(base) == set()
    assert (outside / "a").exists()
    manager.remove(session)  # nothing there: nothing happens


def test_removing_what_took_a_directory_s_place(manager: SessionDirectoryManager, base: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").touch()
    link, file = fresh(), fresh()
    (base / link).symlink_to(outside)
    (base / file).touch()
    manager.remove(link)
    manager.remove(file)
    assert names(base) == set()
    assert (outside / "a").exists()


def test_removing_a_tree_deeper_than_any_stack(manager: SessionDirectoryManager, base: Path) -> None:
    session = fresh()
    held = os.open(manager.create(session), os.O_RDONLY)
    depth = 5000
    for _ in range(depth):
        os.mkdir("d", dir_fd=held)
        below = os.open("d", os.O_RDONLY, dir_fd=held)
        os.close(held)
        held = below
    os.close(held)
    before = descriptors()
    assert manager.get_directory_info(session).truncated
    manager.remove(session)
    assert names(base) == set()
    assert descriptors() == before


LOCKED = """
import os, sys
from pathlib import Path
from qpty.sessions.directories import SessionDirectoryManager
from qpty.sessions.files.errors import BaseDirectoryError

base, session = Path(sys.argv[1]), sys.argv[2]
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
manager = SessionDirectoryManager(base)
path = manager.create(session)
(path / "a" / "b" / "c").mkdir(parents=True)
(path / "a" / "b" / "file").touch()
for locked in (path / "a" / "b" / "c", path / "a" / "b", path / "a", path):
    locked.chmod(0)
info = manager.get_directory_info(session)
print(info.truncated, info.empty, info.file_count)
print(manager.cleanup_empty_directories(), manager.cleanup_old_directories(0))
path.chmod(0o700)
print(manager.get_directory_info(session).truncated, manager.cleanup_old_directories(0))
path.chmod(0)
manager.remove(session)
print(os.listdir(base))
base.chmod(0o500)
try:
    SessionDirectoryManager(base)
except BaseDirectoryError as error:
    print(error.errno)
"""


def test_locked_directories_are_kept_by_cleaning_and_removed_on_request(tmp_path: Path) -> None:
    base = tmp_path / "sessions"
    base.mkdir()
    if os.geteuid() == 0:  # root is not stopped by permissions, so the rest runs as nobody
        os.chown(base, 65534, 65534)
        for parent in base.parents:
            if parent.stat().st_mode & 0o001 == 0:
                parent.chmod(parent.stat().st_mode | 0o001)
    result = subprocess.run(
        [sys.executable, "-c", LOCKED, str(base), fresh()], capture_output=True, text=True, timeout=60, check=False
    )
    base.chmod(0o700)
    assert result.stderr == ""
    assert result.stdout.splitlines() == ["True False 0", "[] []", "True []", "[]", str(errno.EACCES)]


def test_removing_while_something_writes(manager: SessionDirectoryManager, base: Path) -> None:
    session = fresh()
    held = os.open(manager.create(session), os.O_RDONLY)
    writing, stop = threading.Event(), threading.Event()

    def write() -> None:
        """As a process would whose working directory it is."""
        count = 0
        while not stop.is_set() and count < 20_000:  # whoever writes for ever is told by DirectoryBusyError
            count += 1
            try:
                os.mkdir(f"d{count}", dir_fd=held)
                os.close(os.open(f"d{count}/f", os.O_CREAT | os.O_WRONLY, dir_fd=held))
            except FileNotFoundError:  # what was just made is gone already
                if os.fstat(held).st_nlink == 0:
                    return
            writing.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert writing.wait(10)
        manager.remove(session)
        assert names(base) == set()
    finally:
        stop.set()
        writer.join(10)
        os.close(held)


def test_a_removal_that_takes_too_long_goes_on_later(base: Path) -> None:
    session = fresh()
    impatient = SessionDirectoryManager(base, remove_timeout=0)
    path = impatient.create(session)
    (path / "a").touch()
    (path / "b").touch()
    with pytest.raises(DirectoryBusyError):
        impatient.remove(session)
    assert len(names(base)) == 1
    assert not path.exists()  # it disappeared all the same
    path, made = impatient.ensure(session)  # and doesn't hinder a new one
    assert made
    SessionDirectoryManager(base).empty_trash()
    assert names(base) == {session}


def test_the_trash_is_emptied_as_far_as_possible(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = SessionDirectoryManager(base)
    trash = [f".trash-{fresh()}-{index:016x}" for index in range(3)]
    for name in trash:
        (base / name).mkdir()
    broken = min(trash)
    remove_tree = directory_removal.remove_tree

    def fails(parent: int, name: str, *, mount: int, deadline: float) -> bool:
        if name == broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return remove_tree(parent, name, mount=mount, deadline=deadline)

    with attacked("remove_tree", monkeypatch, fails), pytest.raises(DirectoryAccessError) as failed:
        manager.empty_trash()
    assert failed.value.errno == errno.EIO
    assert names(base) == {broken}
    manager.empty_trash()
    assert names(base) == set()


KILLED = """
import os, sys
from pathlib import Path
from qpty.sessions import directories
from qpty.sessions.directories import SessionDirectoryManager

directories.remove_tree = lambda *args, **kwargs: os._exit(9)
SessionDirectoryManager(Path(sys.argv[1])).remove(sys.argv[2])
"""


def test_a_removal_cut_short_by_a_kill_is_finished(manager: SessionDirectoryManager, base: Path) -> None:
    session = fresh()
    (manager.create(session) / "a").touch()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(base), session], timeout=60, check=False)
    assert killed.returncode == 9
    assert session not in names(base)
    assert len(names(base)) == 1
    manager.empty_trash()
    assert names(base) == set()


# --- cleaning ---


def test_only_empty_directories_that_nobody_uses_are_cleaned(base: Path) -> None:
    empty, used, full, linked = (fresh() for _ in range(4))
    manager = SessionDirectoryManager(base, in_use=lambda: [used])
    for session in (empty, used, full, linked):
        manager.create(session)
    (base / full / "directory").mkdir()
    (base / linked / "link").symlink_to("nowhere")
    assert manager.cleanup_empty_directories() == [empty]
    assert names(base) == {used, full, linked}


def test_a_file_that_appears_in_the_last_moment_is_kept(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = fresh()
    manager = SessionDirectoryManager(base)
    path = manager.create(session)

    def late(*args: object) -> bool:
        (path / "file").write_text("mine")
        return True

    with attacked("_is_empty", monkeypatch, late):
        assert manager.cleanup_empty_directories() == []
    assert (path / "file").read_text() == "mine"


def test_cleaning_the_old(base: Path) -> None:
    old, used = fresh(), fresh()
    manager = later(base, 10, used)
    for session in (old, used):
        (manager.create(session) / "deep").mkdir()
        (base / session / "deep" / "file").touch()
    assert manager.cleanup_old_directories(11) == []
    assert manager.cleanup_old_directories(9) == [old]
    assert names(base) == {used}
    for hours in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="hours"):
            manager.cleanup_old_directories(hours)


def test_files_unpacked_with_old_dates_are_new(base: Path) -> None:
    session = fresh()
    manager = SessionDirectoryManager(base)
    path = manager.create(session)
    (path / "file").touch()
    for each in (path / "file", path):
        os.utime(each, (1000, 1000))
    assert manager.cleanup_old_directories(1) == []
    assert later(base, 2).cleanup_old_directories(1) == [session]


def test_what_cannot_be_seen_as_a_whole_is_kept(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = fresh()
    manager = later(base, 100)
    path = manager.create(session)
    for index in range(20):
        (path / str(index)).touch()
    monkeypatch.setattr(directories, "SEARCHED_ENTRIES", 10)
    assert manager.cleanup_old_directories(1) == []
    monkeypatch.setattr(directories, "SEARCHED_ENTRIES", 20)
    assert manager.cleanup_old_directories(1) == [session]


def test_a_directory_that_comes_into_use_meanwhile_is_put_back(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the two looks, it is touched; or it is touched and has a successor."""
    session = fresh()
    manager = later(base, 100)
    path = manager.create(session)
    (path / "file").write_text("mine")
    move = directories._move

    def touched(root: object, name: str, to: str) -> str:
        if path.exists():
            os.utime(path / "file", (time.time() + 1000 * HOUR,) * 2)
        return move(root, name, to)  # type: ignore[arg-type]

    with attacked("_move", monkeypatch, touched):
        assert manager.cleanup_old_directories(1) == []
    assert (path / "file").read_text() == "mine"
    assert names(base) == {session}

    os.utime(path / "file")

    def succeeded(root: object, name: str, to: str) -> str:
        os.utime(path / "file", (time.time() + 1000 * HOUR,) * 2)
        result = move(root, name, to)  # type: ignore[arg-type]
        path.mkdir()
        return result

    with attacked("_move", monkeypatch, succeeded), pytest.raises(DirectorySetAsideError) as aside:
        manager.cleanup_old_directories(1)
    assert (base / aside.value.name / "file").read_text() == "mine"
    manager.empty_trash()  # which isn't its place
    assert names(base) == {session, aside.value.name}
    path.rmdir()
    manager.empty_trash()  # puts it back
    assert (path / "file").read_text() == "mine"
    assert names(base) == {session}


def test_many_threads_at_once(base: Path) -> None:
    """Cleaners, removers and makers together: nobody fails, nothing is left."""
    manager = later(base, 100)
    errors: list[BaseException] = []
    deadline = time.monotonic() + 1

    def work() -> None:
        try:
            while time.monotonic() < deadline:
                session = fresh()
                with suppress(FileNotFoundError):
                    (manager.create(session) / "file").touch()
                manager.remove(session)
                with suppress(FileNotFoundError):  # another thread's cleaning was faster
                    (manager.create(fresh()) / "file").touch()
                manager.cleanup_old_directories(1)
                manager.cleanup_empty_directories()
                manager.list_session_directories()
                manager.empty_trash()
        except BaseException as error:  # noqa: BLE001 — told below
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    manager.cleanup_old_directories(1)
    manager.empty_trash()
    assert names(base) == set()


ATTACK = """
import ctypes, os, select, sys
os.chdir(sys.argv[1])
renameat2 = ctypes.CDLL(None).renameat2
swaps = 0
os.symlink(sys.argv[2], "link")
os.makedirs("inner/canary")
print("ready", flush=True)
while not select.select([0], [], [], 0)[0]:
    for _ in range(50):
        swaps += renameat2(-100, b"inner", -100, b"link", 2) == 0  # in one step: RENAME_EXCHANGE
        if not os.path.lexists("inner"):
            try:
                os.mkdir("inner")
                os.mkdir("inner/canary")
                open("inner/canary/file", "w").close()
                os.symlink(sys.argv[2], "link")
            except OSError:
                pass
print(swaps)
"""


def test_a_removal_is_never_led_outside(base: Path, tmp_path: Path) -> None:
    """A directory inside is exchanged with a link to one outside, and back, while the whole is removed."""
    outside = tmp_path / "outside"
    (outside / "canary").mkdir(parents=True)
    (outside / "canary" / "file").touch()
    manager = SessionDirectoryManager(base)
    deadline = time.monotonic() + 2
    removals = swaps = 0
    while time.monotonic() < deadline:
        session = fresh()
        path = manager.create(session)
        program = [sys.executable, "-S", "-c", ATTACK, str(path), str(outside)]
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as attacker:
            assert attacker.stdin
            assert attacker.stdout
            assert attacker.stdout.readline() == "ready\n"
            manager.remove(session)
            attacker.stdin.close()
            swaps += int(attacker.stdout.readline())
            removals += 1
        assert (outside / "canary" / "file").exists()
    assert names(base) == set()
    assert removals > 5
    print(f"{removals} removals, {swaps} exchanges, 0 escapes")  # shown by pytest -rP
