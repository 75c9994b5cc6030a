"""One file on its way into a session's directory: whole and at once, or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qpty.sessions.files.errors import (
    FileMissingError,
    NameTakenError,
    NotAFileError,
    file_errors,
)
from qpty.sessions.files.paths import path_text
from qpty.sessions.files.steps import (
    DIRECTORY_MODE,
    FILE_MODE,
    Root,
    descend,
    expect_directory,
    hold,
    kind_of,
    look,
    open_root,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TEMPORARY_PREFIX = ".qpty-upload-"
"""What the names of temporary files begin with, where a name is needed at all."""

_NO_UNNAMED_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS})
"""How file systems say that they have no files without a name (`O_TMPFILE`): NFS, 9p, old overlays."""

Made = list[tuple[int, bytes]]
"""Directories that were made: their parents, held, and their names."""


def make_directories(root: Root, names: Sequence[bytes], made: Made) -> int:
    """Hold the directory that `names` lead to, making those that are missing. The caller closes the descriptor.

    Each one made is added to `made`, for `unmake` or `release`, also when `FileError` is raised.
    """
    current = os.dup(root.descriptor)
    try:
        for depth, name in enumerate(names, 1):
            path = path_text(names[:depth])
            with file_errors(path):
                try:
                    held, status = hold(current, name, mount=root.mount)
                except FileNotFoundError:
                    _make_directory(current, name, made)
                    held, status = hold(current, name, mount=root.mount)
            os.close(current)
            current = held
            expect_directory(status, path)
    except BaseException:
        os.close(current)
        raise
    return current


def _make_directory(parent: int, name: bytes, made: Made) -> None:
    keep = os.dup(parent)
    try:
        os.mkdir(name, DIRECTORY_MODE, dir_fd=parent)
    except BaseException as error:
        os.close(keep)
        if not isinstance(error, FileExistsError):  # else somebody was faster: the caller looks at what they made
            raise
    else:
        made.append((keep, name))


def unmake(made: Made) -> None:
    """Take back the directories that were made, as far as they are still empty, and let go of their parents."""
    for parent, name in reversed(made):
        with suppress(OSError):  # somebody uses it by now, or it is gone
            os.rmdir(name, dir_fd=parent)
    release(made)


def release(made: Made) -> None:
    """Let go of the parents of the directories that were made, which stay."""
    while made:
        os.close(made.pop()[0])


@dataclass(slots=True)
class _Opened:
    """What an upload holds open: the root, the temporary file's directory, that file, and its name if it has one."""

    root: Root
    place: int
    file: int
    temporary: str | None


class Upload:
    """The steps of one upload, all blocking and bounded: `begin`, `add` as often as needed, `commit`; always `close`.

    The bytes go to a file without a name (`O_TMPFILE`), which vanishes by itself if we are killed, in the deepest
    directory of the path that exists. `commit` makes the missing directories and gives the file its name in one step.
    On file systems without such files it has a random name until then; only a kill in mid-upload can leave that one.

    Nothing is synced to the disk: after a power cut the file may be missing or old, as after `cp`.
    """

    def __init__(self, directory: Path, names: Sequence[bytes], *, replace: bool) -> None:
        self._directory = directory
        self._names = tuple(names)
        self._path = path_text(names)
        self._replace = replace
        self._opened: _Opened | None = None
        self._made: Made = []

    def begin(self) -> None:
        """Refuse early what can't be written, and open the temporary file. Raises `FileError`."""
        root = open_root(self._directory)
        try:
            place, complete = self._deepest(root)
            try:
                if complete:
                    self._check_target(root, place)
                with file_errors(self._path):
                    file, temporary = _open_temporary(place)
            except BaseException:
                os.close(place)
                raise
        except BaseException:
            os.close(root.descriptor)
            raise
        self._opened = _Opened(root, place, file, temporary)

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """Write more bytes. Raises `FileError`."""
        file = self._current().file
        rest = memoryview(data)
        with file_errors(self._path):
            while rest:
                rest = rest[os.write(file, rest) :]

    def commit(self) -> os.stat_result:
        """Put the file in its place; what it is then. Raises `FileError`; after `close` nothing is left."""
        opened = self._current()
        parent = make_directories(opened.root, self._names[:-1], self._made)
        try:
            with file_errors(self._path):
                self._name(opened, parent)
                release(self._made)
                return os.fstat(opened.file)
        finally:
            os.close(parent)

    def close(self) -> None:
        """Let everything go; what was not committed is gone."""
        opened, self._opened = self._opened, None
        if opened is None:
            return
        if opened.temporary is not None:
            with suppress(OSError):  # a tool took it away, or the whole directory's permissions
                os.unlink(opened.temporary, dir_fd=opened.place)
        unmake(self._made)
        for descriptor in (opened.file, opened.place, opened.root.descriptor):
            os.close(descriptor)

    def _current(self) -> _Opened:
        if self._opened is None:
            raise RuntimeError("the upload is not open: begin() comes first, close() last")
        return self._opened

    def _deepest(self, root: Root) -> tuple[int, bool]:
        """Hold the deepest existing directory on the way; and whether it is the one that the file goes to."""
        parents = self._names[:-1]
        for depth in range(len(parents), 0, -1):
            with suppress(FileMissingError):
                return descend(root, parents[:depth]), depth == len(parents)
        return descend(root, ()), not parents

    def _check_target(self, root: Root, parent: int) -> None:
        with file_errors(self._path):
            try:
                status = look(parent, self._names[-1], mount=root.mount)
            except FileNotFoundError:
                return
        if not self._replace:
            raise NameTakenError(self._path, kind_of(status))
        if stat.S_ISDIR(status.st_mode):
            raise NotAFileError(self._path, "directory")

    def _name(self, opened: _Opened, parent: int) -> None:
        """Give the temporary file its name in `parent`, in one step: by a link, or by a rename over what is there."""
        target = self._names[-1]
        try:
            if opened.temporary is None:
                _link_unnamed(opened.file, parent, target, replace=self._replace)
            elif self._replace:
                os.rename(opened.temporary, target, src_dir_fd=opened.place, dst_dir_fd=parent)
                opened.temporary = None
            else:  # the temporary name goes in close()
                os.link(opened.temporary, target, src_dir_fd=opened.place, dst_dir_fd=parent, follow_symlinks=False)
        except IsADirectoryError as error:
            raise NotAFileError(self._path, "directory") from error
        except FileExistsError as error:
            raise NameTakenError(self._path, kind_of(look(parent, target, mount=opened.root.mount))) from error


def _open_temporary(place: int) -> tuple[int, str | None]:
    """A fresh file in the directory `place`, open for writing; and its name, if the file system wants one."""
    try:
        return os.open(".", os.O_TMPFILE | os.O_WRONLY, FILE_MODE, dir_fd=place), None
    except OSError as error:
        if error.errno not in _NO_UNNAMED_FILES:
            raise
    name = TEMPORARY_PREFIX + secrets.token_hex(8)
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE, dir_fd=place), name


def _link_unnamed(file: int, parent: int, target: bytes, *, replace: bool) -> None:
    """Give a file without a name the name `target` in the directory `parent`. Raises `OSError`."""
    source = f"/proc/self/fd/{file}"
    try:
        os.link(source, target, dst_dir_fd=parent, follow_symlinks=True)
    except FileExistsError:
        if not replace:
            raise
    else:
        return
    # a link never replaces and a rename needs a name to start from: a random one, for two system calls
    name = TEMPORARY_PREFIX + secrets.token_hex(8)
    os.link(source, name, dst_dir_fd=parent, follow_symlinks=True)
    try:
        os.rename(name, target, src_dir_fd=parent, dst_dir_fd=parent)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
