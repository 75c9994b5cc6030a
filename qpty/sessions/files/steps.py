"""The single steps of a walk through files that somebody else may change at any moment.

The agent's tools run as the same user and may put a symlink, a FIFO or another directory in the place of anything,
between any two system calls. So nothing here goes by a path of several names, and nothing is looked at before it is
held:

1. One name is opened relative to the directory that is held, with `O_PATH | O_NOFOLLOW`. That takes hold of whatever is
   there, a link, FIFO or device too, without opening it: it neither waits, nor follows, nor has an effect.
2. What is held is looked at: the mount first (in `/proc/self/fdinfo`, which asks no file system), then `fstat`. A tool
   can mount a FUSE file system that never answers, and a bind mount leads anywhere: other mounts are refused.
3. A plain file is then opened for reading through `/proc/self/fd/N`: exactly the inode that was looked at. `O_NONBLOCK`
   keeps a lease that a tool holds on it from making us wait.

There is no `..` and no link in any step, so a walk from a session's directory can't leave it. Whoever may write to the
directory can move a *directory* out of it while it is held: then the walk goes on in that directory, which was inside
when it was opened. Hard links can't be told from files; the kernel makes them only to files that a tool could read and
write anyway, nothing is written *into* an existing file, and deleting takes a name away, not the file.

All functions here are blocking; each is a bounded number of system calls. They raise `OSError`.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qpty.agent.threads import in_thread as in_thread
from qpty.sessions.files.errors import DirectoryExpectedError, file_errors
from qpty.sessions.files.paths import path_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def kind_of(status: os.stat_result) -> str:
    """What something is, in a word for a message: file, directory, symbolic link, FIFO, socket or device."""
    return _KINDS.get(stat.S_IFMT(status.st_mode), "thing of an unknown kind")


def mount_of(descriptor: int) -> int:
    """The number of the mount that an open file lies on. Asks the kernel only, never the file system."""
    information = os.open(f"/proc/self/fdinfo/{descriptor}", os.O_RDONLY)
    try:
        text = os.read(information, 4096)
    finally:
        os.close(information)
    for line in text.splitlines():
        if line.startswith(b"mnt_id:"):
            return int(line.split()[1])
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))  # Linux before 3.15


def hold(directory: int, name: bytes | str, *, mount: int) -> tuple[int, os.stat_result]:
    """Take hold of whatever is at `name`, without opening it, and look at it. The caller closes the descriptor.

    Raises `OSError`, with `EXDEV` if it lies on another mount than `mount`.
    """
    held = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=directory)
    try:
        _check_mount(held, mount)
        return held, os.fstat(held)
    except BaseException:
        os.close(held)
        raise


def _check_mount(held: int, mount: int) -> None:
    if mount_of(held) != mount:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def look(directory: int, name: bytes | str, *, mount: int) -> os.stat_result:
    """What is at `name`, links not followed. Raises `OSError` as `hold`."""
    held, status = hold(directory, name, mount=mount)
    os.close(held)
    return status


def reopen(held: int, flags: int) -> int:
    """Open what is held: the very same inode, whatever its name means by now. The caller closes the descriptor."""
    return os.open(f"/proc/self/fd/{held}", flags | os.O_NONBLOCK | os.O_NOCTTY)


@dataclass(frozen=True, slots=True)
class Root:
    """A session's directory, held: `descriptor` is an `O_PATH` descriptor, `mount` the number of its mount."""

    descriptor: int
    mount: int


def expect_directory(status: os.stat_result, path: str) -> None:
    """Raise `DirectoryExpectedError` unless it is a directory that is at `path`."""
    if not stat.S_ISDIR(status.st_mode):
        raise DirectoryExpectedError(path, kind_of(status))


def open_root(path: Path) -> Root:
    """Hold a session's directory. The caller closes the descriptor.

    Raises `FileError` if it is missing or isn't a directory; a symlink in its place is not followed.
    """
    with file_errors(""):
        held = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        with file_errors(""):
            root, status = Root(held, mount_of(held)), os.fstat(held)
        expect_directory(status, "")
    except BaseException:
        os.close(held)
        raise
    return root


@contextmanager
def held_root(path: Path) -> Iterator[Root]:
    """Hold a session's directory for a block. Raises `FileError` as `open_root`."""
    root = open_root(path)
    try:
        yield root
    finally:
        os.close(root.descriptor)


def descend(root: Root, names: Sequence[bytes]) -> int:
    """Hold the directory that `names` lead to. The caller closes the descriptor.

    Raises `FileError`, with the path of the name that could not be passed.
    """
    current = os.dup(root.descriptor)
    try:
        for depth, name in enumerate(names, 1):
            with file_errors(path_text(names[:depth])):
                held, status = hold(current, name, mount=root.mount)
            os.close(current)
            current = held
            expect_directory(status, path_text(names[:depth]))
    except BaseException:
        os.close(current)
        raise
    return current


@contextmanager
def held_directory(root: Root, names: Sequence[bytes]) -> Iterator[int]:
    """Hold the directory that `names` lead to for a block. Raises `FileError` as `descend`."""
    held = descend(root, names)
    try:
        yield held
    finally:
        os.close(held)
