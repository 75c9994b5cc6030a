"""The files of one session: listed, read, written and deleted, never outside its directory.

The agent's tools may change anything in the directory at any time, so each operation opens the directory anew and goes
from there name by name; `file_steps` says how, and what that keeps out. The text of paths is described in `file_paths`.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from qpty.sessions.files.errors import FileTooLargeError, NameTakenError, file_errors
from qpty.sessions.files.paths import MAX_DEPTH, is_escaped, name_text, parse_directory, parse_path, path_text
from qpty.sessions.files.reader import CHUNK_BYTES, FileReader
from qpty.sessions.files.steps import DIRECTORY_MODE, held_directory, held_root, in_thread, kind_of, look
from qpty.sessions.files.upload import Made, Upload, make_directories, release, unmake
from qpty.sessions.files.walk import Walk

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Sequence
    from pathlib import Path

Kind = Literal["file", "directory", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLimits:
    """What one operation may cost at most."""

    max_file_bytes: int = 100 * 1024 * 1024
    """Bytes of a file that is written. Reading has no limit: it holds one chunk at a time."""

    max_entries: int = 10_000
    """Entries in one listing."""

    max_listing_characters: int = 4 * 1024 * 1024
    """Characters of all paths in one listing: 10,000 deep ones of long names would be 160 million."""

    max_depth: int = MAX_DEPTH
    """Names in the paths of a listing, at most 64, as in any path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfo:
    """One entry of a session's directory, as it was when it was looked at.

    `path` is relative, its names separated by `/`, and what other operations take; `name` is its last name. `escaped`
    says that the name isn't UTF-8 and `name` stands for it in an escaped form (see `file_paths`). `kind` is `other` for
    symlinks, FIFOs, sockets, devices and what lies on another mount: these are listed, and never opened or followed.
    `size` is in bytes, 0 for anything but a file. `modified_time` is in seconds since the epoch; 0.0 on another mount.
    """

    path: str
    name: str
    kind: Kind
    size: int
    modified_time: float
    escaped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What is in a directory, sorted by path.

    `truncated` says that there is more than a listing holds; which entries it has is then up to the file system, but
    a directory's own entries come before those of its subdirectories. `unreadable` are the paths of directories below
    that could not be looked into.
    """

    entries: tuple[FileInfo, ...]
    truncated: bool
    unreadable: tuple[str, ...] = ()


class ConfinedDirectory:
    """One session's directory, for programs that may do what they like in it and nothing outside.

    `path` is the directory; nothing is opened until an operation, and nothing stays open after it. Operations run in
    threads, in bounded steps. All raise `FileError`; its subtypes say what is wrong and where, by the relative path.

    Paths are text, relative, `/` between names; what else holds for them is in `file_paths`.
    """

    def __init__(self, path: Path, *, limits: FileLimits = FileLimits()) -> None:
        self._path = path
        self._limits = limits

    async def list(self, subdirectory: str = "", *, recursive: bool = True) -> Listing:
        """What is in the directory, or in one below it; with everything below that if `recursive`."""
        return await in_thread(self._list, parse_directory(subdirectory), recursive)

    async def stat(self, path: str) -> FileInfo:
        """What is at `path`; of a symlink the link itself."""
        return await in_thread(self._stat, parse_path(path))

    def open_read(self, path: str) -> FileReader:
        """The file at `path`, to be opened by `async with` and read in chunks, wholly or in part.

        Raises `FilePathError` at once, other errors when it is entered: `FileMissingError`, `NotAFileError` …
        """
        return FileReader(self._path, parse_path(path))

    async def write(self, path: str, chunks: AsyncIterable[bytes] | bytes, *, replace: bool = True) -> FileInfo:
        """Put a file at `path`, whole and in one step, with mode 0600; missing directories are made with mode 0700.

        Whoever reads meanwhile sees the old file or the new one. With `replace`, whatever else is there is replaced
        itself (a symlink is never followed), but for a directory. If it fails or is cancelled, nothing is left behind,
        neither bytes nor directories; cancelled in its very last step, the whole file may be there. Nothing is synced
        to the disk.

        Raises `FileTooLargeError`, `NameTakenError` (without `replace`), `NotAFileError` (a directory is there),
        `StorageFullError` and others; and whatever `chunks` raises.
        """
        names = parse_path(path)
        limit = self._limits.max_file_bytes
        upload = Upload(self._path, names, replace=replace)
        try:
            await in_thread(upload.begin)
            waiting = bytearray()
            total = 0
            async for chunk in _whole(chunks) if isinstance(chunks, bytes) else chunks:
                total += len(chunk)
                if total > limit:
                    raise FileTooLargeError(path_text(names), limit)
                for start in range(0, len(chunk), CHUNK_BYTES):
                    waiting += memoryview(chunk)[start : start + CHUNK_BYTES]
                    if len(waiting) >= CHUNK_BYTES:
                        await in_thread(upload.add, waiting)
                        waiting = bytearray()
            await in_thread(upload.add, waiting)
            status = await in_thread(upload.commit)
        finally:
            await in_thread(upload.close)
        return _info(names, status)

    async def delete(self, path: str) -> None:
        """Remove one file, one link, FIFO or the like (itself, not what it leads to), or one empty directory."""
        await in_thread(self._delete, parse_path(path))

    async def make_directory(self, path: str, *, exist_ok: bool = False) -> FileInfo:
        """Make a directory with mode 0700, and those on the way to it that are missing.

        Raises `NameTakenError` if something is there already; a directory is fine if `exist_ok`.
        """
        return await in_thread(self._make_directory, parse_path(path), exist_ok)

    def _list(self, start: tuple[bytes, ...], recursive: bool) -> Listing:
        limits = self._limits
        entries: list[FileInfo] = []
        characters = 0
        cut = False
        with held_root(self._path) as root, held_directory(root, start) as held, file_errors(path_text(start)):
            walk = Walk(
                held,
                mount=root.mount,
                max_entries=limits.max_entries,
                max_depth=limits.max_depth - len(start),
                recursive=recursive,
            )
            for found in walk:
                info = _info((*start, *found.names), found.status)
                characters += len(info.path)
                if characters > limits.max_listing_characters:
                    cut = True
                    break
                entries.append(info)
        return Listing(
            entries=tuple(sorted(entries, key=lambda entry: entry.path)),
            truncated=cut or walk.truncated,
            unreadable=tuple(sorted(path_text((*start, *names)) for names in walk.unreadable)),
        )

    def _stat(self, names: tuple[bytes, ...]) -> FileInfo:
        with held_root(self._path) as root, held_directory(root, names[:-1]) as parent, file_errors(path_text(names)):
            return _info(names, look(parent, names[-1], mount=root.mount))

    def _delete(self, names: tuple[bytes, ...]) -> None:
        with held_root(self._path) as root, held_directory(root, names[:-1]) as parent, file_errors(path_text(names)):
            try:
                os.unlink(names[-1], dir_fd=parent)
            except IsADirectoryError:
                os.rmdir(names[-1], dir_fd=parent)

    def _make_directory(self, names: tuple[bytes, ...], exist_ok: bool) -> FileInfo:
        made: Made = []
        try:
            with held_root(self._path) as root:
                parent = make_directories(root, names[:-1], made)
                try:
                    with file_errors(path_text(names)):
                        try:
                            os.mkdir(names[-1], DIRECTORY_MODE, dir_fd=parent)
                        except FileExistsError as error:
                            status = look(parent, names[-1], mount=root.mount)
                            if not (exist_ok and stat.S_ISDIR(status.st_mode)):
                                raise NameTakenError(path_text(names), kind_of(status)) from error
                        info = _info(names, look(parent, names[-1], mount=root.mount))
                finally:
                    os.close(parent)
            release(made)
        finally:
            unmake(made)
        return info


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _info(names: Sequence[bytes], status: os.stat_result | None) -> FileInfo:
    kind: Kind = "other"
    if status is not None and stat.S_ISREG(status.st_mode):
        kind = "file"
    elif status is not None and stat.S_ISDIR(status.st_mode):
        kind = "directory"
    return FileInfo(
        path=path_text(names),
        name=name_text(names[-1]),
        kind=kind,
        size=status.st_size if status is not None and kind == "file" else 0,
        modified_time=status.st_mtime if status is not None else 0.0,
        escaped=is_escaped(names[-1]),
    )
