"""The files of one session, copied into the fresh directory of another.

Both directories are walked as `steps` says, so nothing outside either is read or written, whatever tools do there
meanwhile. Plain files and directories are copied, with their permissions and times; links, FIFOs, sockets, devices,
other mounts and what can't be read are passed over and told. What disappears meanwhile is passed over silently.

    measure(source, limits)                       refuses what is too large before anything is made
    copying = copying_steps(source, target, limits)
    while (copied := next(copying)) is None: …    a bounded piece of work each time
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from qpty.sessions.files.errors import FileError, FileMissingError, file_errors
from qpty.sessions.files.paths import path_text
from qpty.sessions.files.steps import DIRECTORY_MODE, FILE_MODE, Root, held_directory, held_root, hold, reopen
from qpty.sessions.files.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

CHUNK_BYTES: Final = 1 << 20
STEP_BYTES: Final = 16 << 20
STEP_FILES: Final = 200
"""What one step copies at most: some 20 ms of work."""

SKIPPED_TOLD: Final = 100
"""Paths of what was passed over that are told; of the rest the number."""

_PERMISSIONS: Final = 0o777
_PASSED_OVER: Final = frozenset({errno.EACCES, errno.EPERM, errno.EXDEV, errno.ENXIO, errno.ELOOP, errno.EIO})
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyLimits:
    """What one copy may cost at most: entries of the tree, and bytes of its files."""

    max_entries: int = 10_000
    max_bytes: int = 512 << 20


@dataclass(slots=True, kw_only=True)
class Copied:
    """What was copied. `skipped` are paths that were passed over, the first hundred of `skipped_count`."""

    files: int = 0
    directories: int = 0
    bytes: int = 0
    skipped: list[str] = field(default_factory=list)
    skipped_count: int = 0

    def skip(self, path: str) -> None:
        """Note what is passed over."""
        self.skipped_count += 1
        if len(self.skipped) < SKIPPED_TOLD:
            self.skipped.append(path)


class TreeTooLargeError(FileError):
    """The directory has more entries than `limit_entries`, or more than `limit_bytes`. Nothing was left behind."""

    def __init__(self, limits: CopyLimits) -> None:
        super().__init__(
            "",
            f"the session's files are too many to be copied: at most {limits.max_entries:,} files and directories of "
            f"{limits.max_bytes:,} bytes together; delete some, or go on without them",
        )
        self.limit_entries = limits.max_entries
        self.limit_bytes = limits.max_bytes


def measure(source: Path, limits: CopyLimits) -> None:
    """Refuse a directory that is too large to be copied; one that is missing has nothing. Blocks.

    Raises `TreeTooLargeError`, `FileError`.
    """
    total = 0
    try:
        with held_root(source) as root, file_errors(""):
            for _, status in _entries(root, limits):
                if status is not None and stat.S_ISREG(status.st_mode):
                    total += status.st_size
                    if total > limits.max_bytes:
                        raise TreeTooLargeError(limits)
    except FileMissingError:
        return


def copying_steps(source: Path, target: Path, limits: CopyLimits) -> Generator[Copied | None]:
    """Copy all of `source` into the empty directory `target`; yield None after each step and what was copied last.

    Each step blocks for some 20 ms. Raises `TreeTooLargeError` (it grew since it was measured), `StorageFullError`,
    `FileError`; what was copied up to then is there.
    """
    copied = Copied()
    try:
        with held_root(source) as origin, held_root(target) as place, file_errors(""):
            yield from _copying(origin, place, copied, limits)
    except FileMissingError as error:
        if error.path:
            raise
    yield copied


def _copying(origin: Root, place: Root, copied: Copied, limits: CopyLimits) -> Generator[None]:
    directories: list[tuple[tuple[bytes, ...], os.stat_result]] = []
    budget, waiting = STEP_BYTES, STEP_FILES
    for names, status in _entries(origin, limits):
        path = path_text(names)
        if status is not None and stat.S_ISDIR(status.st_mode):
            with held_directory(place, names[:-1]) as parent, file_errors(path):
                os.mkdir(names[-1], DIRECTORY_MODE, dir_fd=parent)
            directories.append((names, status))
            copied.directories += 1
        elif status is not None and stat.S_ISREG(status.st_mode):
            for count in _one_file(origin, place, names, copied, limits):
                budget -= count
                if budget <= 0:
                    yield None
                    budget, waiting = STEP_BYTES, STEP_FILES
        else:
            copied.skip(path)
        waiting -= 1
        if waiting <= 0:
            yield None
            budget, waiting = STEP_BYTES, STEP_FILES
    # At the end, and the deepest first: making a file in a directory changes the directory's time.
    for names, status in reversed(directories):
        with held_directory(place, names) as held, file_errors(path_text(names)):
            descriptor = reopen(held, os.O_RDONLY | os.O_DIRECTORY)
            try:
                _take_on(descriptor, status, always=stat.S_IRWXU)
            finally:
                os.close(descriptor)
        waiting -= 1
        if waiting <= 0:
            yield None
            waiting = STEP_FILES


def _entries(root: Root, limits: CopyLimits) -> Iterator[tuple[tuple[bytes, ...], os.stat_result | None]]:
    """What is in a tree, a directory before what is in it. Raises TreeTooLargeError, OSError."""
    walk = Walk(root.descriptor, mount=root.mount, max_entries=limits.max_entries)
    for found in walk:
        yield found.names, found.status
    if walk.truncated:
        raise TreeTooLargeError(limits)


def _one_file(
    origin: Root, place: Root, names: tuple[bytes, ...], copied: Copied, limits: CopyLimits
) -> Generator[int]:
    """Copy one file; yield the bytes of each chunk. One that can't be read is passed over."""
    path = path_text(names)
    try:
        with held_directory(origin, names[:-1]) as parent:
            held, status = hold(parent, names[-1], mount=origin.mount)
        try:
            if not stat.S_ISREG(status.st_mode):  # it was replaced since it was listed
                copied.skip(path)
                return
            source = reopen(held, os.O_RDONLY)
        finally:
            os.close(held)
    except FileError:
        return  # a directory on the way is gone, and the file with it
    except OSError as error:
        if error.errno in _PASSED_OVER:
            copied.skip(path)
            return
        if error.errno in _GONE:
            return
        with file_errors(path):
            raise
    try:
        with held_directory(place, names[:-1]) as parent, file_errors(path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            target = os.open(names[-1], flags, FILE_MODE, dir_fd=parent)
        try:
            with file_errors(path):
                for count in _contents(source, target):
                    copied.bytes += count
                    if copied.bytes > limits.max_bytes:
                        raise TreeTooLargeError(limits)
                    yield count
                _take_on(target, status)
        finally:
            os.close(target)
    finally:
        os.close(source)
    copied.files += 1


def _contents(source: int, target: int) -> Iterator[int]:
    while data := os.read(source, CHUNK_BYTES):
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(target, rest) :]
        yield len(data)


def _take_on(descriptor: int, status: os.stat_result, *, always: int = 0) -> None:
    """Give a copy the permissions and the time of its original."""
    os.fchmod(descriptor, status.st_mode & _PERMISSIONS | always)
    os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))
