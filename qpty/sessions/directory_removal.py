"""Removing a whole tree that somebody may still write to, without ever leaving it.

The usual walk down a tree needs a descriptor or a stack frame per level, and a tool can make a tree of any depth. Here
everything happens at two levels: the directories found inside a directory of the tree are renamed up into its top, so
that each one is emptied as a child of the top. Links are removed, never followed; other mounts are never entered.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from contextlib import suppress
from typing import Final

from qpty.sessions.files.steps import DIRECTORY_MODE, hold, reopen

BATCH: Final = 10_000
"""How many names of a directory are read at once: what appears meanwhile is for the next pass."""

_NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})


def remove_tree(parent: int, name: str, *, mount: int, deadline: float) -> bool:
    """Remove what is at `name` in the held directory `parent`: a tree, or a file or link itself.

    True if it is gone; False if `deadline` (of `time.monotonic`) came first, because something keeps writing there or
    the tree is very large: it can be called again. Directories of ours that can't be entered are made enterable.
    Raises `OSError` for what cannot be removed, with `EXDEV` or `EBUSY` if something is mounted there.
    """
    if _unlinked(parent, name):
        return True
    try:
        top = _hold_writable(parent, name, mount)
    except FileNotFoundError:
        return True
    try:
        while True:
            for entry in _names(top):
                _dispose(top, entry, mount)
                if time.monotonic() > deadline:
                    return False
            if _removed(parent, name):
                return True
            if time.monotonic() > deadline:
                return False
    finally:
        os.close(top)


def _dispose(top: int, name: str, mount: int) -> None:
    """Remove one entry of the top; if it is a directory that isn't empty, empty it first, its directories moving up."""
    if _unlinked(top, name) or _removed(top, name):
        return
    try:
        held = _hold_writable(top, name, mount)
    except (FileNotFoundError, NotADirectoryError):
        return  # replaced meanwhile: the next pass sees by what
    try:
        for entry in _names(held):
            if not (_unlinked(held, entry) or _removed(held, entry)):
                _move_up(held, entry, top, mount)
    finally:
        os.close(held)
    _removed(top, name)  # unless something was written meanwhile: then the next pass has it


def _move_up(held: int, name: str, top: int, mount: int) -> None:
    """Move a directory up to the top, under a random name."""
    with suppress(FileNotFoundError, NotADirectoryError):
        os.close(_hold_writable(held, name, mount))  # a directory that can't be written to can't change its parent
        os.rename(name, f"qpty-{secrets.token_hex(8)}", src_dir_fd=held, dst_dir_fd=top)


def _unlinked(parent: int, name: str) -> bool:
    """Whether nothing is there any more, having removed it if it was anything but a directory."""
    try:
        os.unlink(name, dir_fd=parent)
    except IsADirectoryError:
        return False
    except FileNotFoundError:
        return True
    return True


def _removed(parent: int, name: str) -> bool:
    """Whether the directory is gone, having removed it if it was empty."""
    try:
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        return False
    except OSError as error:
        if error.errno not in _NOT_EMPTY:
            raise
        return False
    return True


def _hold_writable(parent: int, name: str, mount: int) -> int:
    """Hold a directory, made readable, writable and enterable for us. The caller closes the descriptor.

    Raises `NotADirectoryError` if it is something else (by now).
    """
    held, status = hold(parent, name, mount=mount)
    try:
        _make_writable(held, status)
    except BaseException:
        os.close(held)
        raise
    return held


def _make_writable(held: int, status: os.stat_result) -> None:
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if status.st_mode & DIRECTORY_MODE != DIRECTORY_MODE:
        # exactly the directory that is held: its name may lead to something else by now
        os.chmod(f"/proc/self/fd/{held}", DIRECTORY_MODE)  # noqa: PTH101


def _names(held: int) -> list[str]:
    """Some of the names in a directory, at most `BATCH`; none if it is empty, or was removed while we hold it."""
    descriptor = reopen(held, os.O_RDONLY | os.O_DIRECTORY)
    found: list[str] = []
    try:
        with suppress(FileNotFoundError), os.scandir(descriptor) as entries:
            for entry in entries:
                found.append(entry.name)
                if len(found) == BATCH:
                    break
    finally:
        os.close(descriptor)
    return found
