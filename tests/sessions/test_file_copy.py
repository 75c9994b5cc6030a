"""Files that go along with a fork: all of them as they were, nothing from outside, and never half of them."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from qpty.sessions.errors import SessionNotFoundError
from qpty.sessions.files.copying import SKIPPED_TOLD, Copied, CopyLimits, TreeTooLargeError, copying_steps, measure
from qpty.sessions.files.errors import DirectoryExpectedError, StorageFullError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sessions.house import House

    Make = Callable[..., House]


def copied(source: Path, target: Path, **limits: int) -> tuple[Copied, int]:
    """Copy a whole directory; what was copied, and in how many steps."""
    target.mkdir()
    for steps, found in enumerate(copying_steps(source, target, CopyLimits(**limits)), 1):
        if found is not None:
            return found, steps
    raise AssertionError("it ended without a word")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory to be copied."""
    directory = tmp_path / "source"
    directory.mkdir()
    return directory


def test_names_contents_permissions_and_times_are_the_same(source: Path, tmp_path: Path) -> None:
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "x.bin").write_bytes(os.urandom(3 << 20))
    (source / "a" / "run.sh").write_text("echo")
    (source / "a" / "run.sh").chmod(0o4755)
    (source / "a").chmod(0o500)
    os.close(os.open(os.fsencode(source) + b"/a/b/caf\xe9\n", os.O_CREAT | os.O_WRONLY, 0o640))
    for path in (source / "a" / "b" / "x.bin", source / "a" / "b", source / "a"):
        os.utime(path, ns=(10**18, 10**18 + 7))
    found, _ = copied(source, tmp_path / "target")
    assert (found.files, found.directories, found.bytes, found.skipped) == (3, 2, (3 << 20) + 4, [])
    target = tmp_path / "target"
    assert (target / "a" / "b" / "x.bin").read_bytes() == (source / "a" / "b" / "x.bin").read_bytes()
    assert (target / "a" / "run.sh").stat().st_mode & 0o7777 == 0o755
    assert (target / "a").stat().st_mode & 0o777 == 0o700
    assert os.path.exists(os.fsencode(target) + b"/a/b/caf\xe9\n")  # noqa: PTH110 — bytes
    for name in ("a/b/x.bin", "a/b", "a"):
        assert (target / name).stat().st_mtime_ns == 10**18 + 7
    (source / "a").chmod(0o700)


def test_what_is_no_file_is_passed_over_and_told(source: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (source / "to_file").symlink_to(tmp_path / "outside" / "secret")
    (source / "to_directory").symlink_to(tmp_path / "outside")
    os.mkfifo(source / "pipe")
    (source / "kept").write_text("kept")
    for number in range(SKIPPED_TOLD):
        (source / f"z{number}").symlink_to("nowhere")
    found, _ = copied(source, tmp_path / "target")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["kept"]
    assert (found.files, found.skipped_count, len(found.skipped)) == (1, SKIPPED_TOLD + 3, SKIPPED_TOLD)


def test_much_is_copied_in_many_small_steps(source: Path, tmp_path: Path) -> None:
    for number in range(1000):
        (source / f"{number}").write_text("x")
    (source / "large").write_bytes(bytes(40 << 20))
    found, steps = copied(source, tmp_path / "target")
    assert found.files == 1001
    assert steps >= 7


@pytest.mark.parametrize("limits", [{"max_entries": 9}, {"max_bytes": 99}])
def test_too_much_is_refused_before_anything_and_while_it_grows(
    source: Path, tmp_path: Path, limits: dict[str, int]
) -> None:
    for number in range(10):
        (source / f"{number}").write_text("x" * 10)
    with pytest.raises(TreeTooLargeError, match="at most") as caught:
        measure(source, CopyLimits(**limits))
    assert caught.value.limit_bytes == limits.get("max_bytes", CopyLimits().max_bytes)
    with pytest.raises(TreeTooLargeError):
        copied(source, tmp_path / "target", **limits)
    measure(source, CopyLimits(max_entries=10, max_bytes=100))
    assert copied(source, tmp_path / "enough", max_entries=10, max_bytes=100)[0].files == 10


def test_a_link_in_the_place_of_the_copy_is_not_written_through(source: Path, tmp_path: Path) -> None:
    (source / "below").mkdir()
    for name in ("one", "two"):
        (source / "below" / name).write_bytes(bytes(20 << 20))
    (tmp_path / "outside").mkdir()
    target = tmp_path / "target"
    target.mkdir()
    steps = copying_steps(source, target, CopyLimits())
    assert next(steps) is None  # in the middle of the first file
    (target / "below").rename(tmp_path / "moved")
    (target / "below").symlink_to(tmp_path / "outside")
    with pytest.raises(DirectoryExpectedError):
        list(steps)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_session_without_a_directory_has_no_files(tmp_path: Path) -> None:
    measure(tmp_path / "nowhere", CopyLimits())
    assert copied(tmp_path / "nowhere", tmp_path / "target")[0].files == 0


async def test_a_fork_that_can_not_have_the_files_is_not_made(
    demo_house: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with demo_house() as home:
        session = await home.manager.create()
        await home.say(session.id, "hello")
        (session.directory / "file").write_text("x" * 100)
        with pytest.raises(TreeTooLargeError):
            await home.manager.fork_with_files(session.id, limits=CopyLimits(max_bytes=10))

        def full(*_: Any) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("qpty.sessions.files.copying.os.write", full)
        with pytest.raises(StorageFullError):
            await home.manager.fork_with_files(session.id)
        monkeypatch.undo()
        assert [info.id for info in (await home.manager.list_sessions()).sessions] == [session.id]
        assert await asyncio.to_thread(home.manager.directories.session_ids) == [session.id]
        assert await home.database.sessions(owner=None, limit=9, after=None, deleted=True) == []
        info, found = await home.manager.fork_with_files(session.id)
        assert found.files == 1
        assert (await home.say(info.id, "hello"))["type"] == "turn.completed"


async def test_a_fork_is_not_there_until_its_files_are(demo_house: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    async with demo_house() as home:
        session = await home.manager.create()
        await home.say(session.id, "hello")
        (session.directory / "file").write_text("x")
        seen: list[Any] = []

        async def interrupted(*_: Any) -> Copied:
            (begun,) = await home.database.sessions(owner=None, limit=9, after=None, deleted=True)
            seen.append(begun.id)
            with pytest.raises(SessionNotFoundError):
                await home.manager.get(begun.id)
            assert await home.manager.finish_deletions() == 0  # it is under way
            return Copied()

        monkeypatch.setattr("qpty.sessions.creation._copied", interrupted)
        info, _ = await home.manager.fork_with_files(session.id)
        assert seen == [info.id]
        assert (await home.manager.get(info.id)).message_count == 2
