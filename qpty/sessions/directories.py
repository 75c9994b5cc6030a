"""The sessions' directories: one for each session, `BASE/<uuid>/`, for this user alone.

Only entries of `BASE` whose names are UUIDs in canonical form are sessions' directories; what else is there stays as it
is. A directory that is removed is renamed to `.trash-…` first, so that it disappears at once and a removal that was cut
short can be finished later; one that is cleaned away for its age is `.aside-…` for the moment in which that is checked
a second time. Everything goes by held directories and single names (see `files.steps`), so nothing outside `BASE` is
ever touched, whatever the agent's tools put into it.
"""

from __future__ import annotations

import errno
import math
import os
import re
import secrets
import stat
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qpty.sessions.directory_removal import remove_tree
from qpty.sessions.files.errors import (
    BaseDirectoryError,
    DirectoryBusyError,
    DirectoryError,
    DirectoryReplacedError,
    DirectorySetAsideError,
    SessionDirectoryGoneError,
    SessionIdError,
    directory_errors,
)
from qpty.sessions.files.steps import DIRECTORY_MODE, Root, hold, kind_of, look, mount_of, reopen
from qpty.sessions.files.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

COUNTED_ENTRIES: Final = 10_000
"""How many entries are counted for `SessionDirectoryInfo` before it says `truncated`: about 0.1 s."""

SEARCHED_ENTRIES: Final = 250_000
"""How many entries are looked at to find out that a whole directory is old. One that has more is kept."""

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SESSION = re.compile(_UUID)
_LEFTOVER = re.compile(rf"\.(trash|aside)-({_UUID})-[0-9a-f]{{16}}")

_CREATED = "user.qpty.created"
"""The extended attribute with the time of creation: Linux keeps one, but Python can't ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDirectoryInfo:
    """One session's directory, as it was when it was looked at.

    Times are in seconds since the epoch: `created_time` is None where the file system has no place for it;
    `modified_time` is the newest modification anywhere inside. `size_bytes` and `file_count` are of plain files, links
    not followed. `truncated` says that not all of it was counted: there are more than 10,000 entries, more than 64
    levels, or some could not be read. The agent's tools can set all of these times, so nothing should hang on them.
    """

    session_id: str
    path: Path
    created_time: float | None
    modified_time: float
    size_bytes: int
    file_count: int
    empty: bool
    truncated: bool


class SessionDirectoryManager:
    """The directories of all sessions, in the directory `base`, which is made (mode 0700) if it is missing.

    `in_use` gives the ids of sessions whose directories no cleaning may touch. It is asked right before each one is
    removed, from the thread that cleans; an id must be in it before work in its directory begins. `own_files` are
    relative paths of files that we put there ourselves, and again whenever they are needed: a directory that has
    nothing else in it is empty. `now` is the clock, in seconds since the epoch. `remove_timeout` is how many seconds
    the removal of one directory may take.

    All methods block; call them through `asyncio.to_thread`. They may be called from several threads at once. All
    raise `BaseDirectoryError` if `base` can't be used, and `SessionDirectoryError`s, among them `SessionIdError` for
    whatever isn't a UUID in canonical form.
    """

    def __init__(
        self,
        base: Path,
        *,
        in_use: Callable[[], Collection[str]] = tuple,
        own_files: Collection[str] = (),
        now: Callable[[], float] = time.time,
        remove_timeout: float = 60.0,
    ) -> None:
        self._base = base.absolute()
        self._in_use = in_use
        self._own = tuple(tuple(os.fsencode(name) for name in path.split("/")) for path in own_files)
        self._now = now
        self._remove_timeout = remove_timeout
        with self._base_errors():
            self._base.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        if not os.access(self._base, os.R_OK | os.W_OK | os.X_OK):
            raise BaseDirectoryError(self._base, errno.EACCES)

    def path(self, session_id: str) -> Path:
        """Where the directory of this session is or would be; the file system is not asked. Absolute."""
        if not _SESSION.fullmatch(session_id):
            raise SessionIdError(session_id)
        return self._base / session_id

    def create(self, session_id: str) -> Path:
        """Make the directory of a new session. Raises `DirectoryTakenError` if anything is there, a link as well."""
        path = self.path(session_id)
        with self._held_base() as root, directory_errors(session_id):
            self._make(root, session_id)
        return path

    def ensure(self, session_id: str) -> tuple[Path, bool]:
        """The session's directory, made if it is missing; and whether it was made now.

        Raises `DirectoryReplacedError` if something else is in its place.
        """
        path = self.path(session_id)
        with self._held_base() as root, directory_errors(session_id):
            try:
                self._make(root, session_id)
            except FileExistsError:
                status = look(root.descriptor, session_id, mount=root.mount)
                if not stat.S_ISDIR(status.st_mode):
                    raise DirectoryReplacedError(session_id, kind_of(status)) from None
                return path, False
        return path, True

    def remove(self, session_id: str) -> None:
        """Remove the session's directory with all that is in it; nothing happens if there is none.

        It is gone at once. Raises `DirectoryBusyError` or `DirectoryAccessError` if what was in it could not all be
        removed: then the rest stays in the trash for `empty_trash`. Doesn't ask `in_use`: end the session first.
        """
        self.path(session_id)
        with self._held_base() as root:
            with directory_errors(session_id):
                try:
                    trash = _move(root, session_id, f".trash-{session_id}-{secrets.token_hex(8)}")
                except FileNotFoundError:
                    return
            self._destroy(root, trash, session_id)

    def session_ids(self) -> list[str]:
        """The ids that have a directory, sorted; nothing in them is looked at."""
        with self._held_base() as root:
            return self._session_ids(root)

    def is_empty(self, session_id: str) -> bool:
        """Whether the session has no directory, or one with nothing in it."""
        self.path(session_id)
        with self._held_base() as root, directory_errors(session_id):
            try:
                look(root.descriptor, session_id, mount=root.mount)
            except FileNotFoundError:
                return True
            return _is_empty(root, session_id, self._own)

    def remove_if_empty(self, session_id: str) -> bool:
        """Remove the session's directory if there is nothing in it, in one step; whether it is gone now."""
        self.path(session_id)
        with self._held_base() as root, directory_errors(session_id):
            return _rmdir(root, session_id, self._own) or not (self._base / session_id).exists()

    def list_session_directories(self) -> list[SessionDirectoryInfo]:
        """Every session's directory, sorted by id."""
        found: list[SessionDirectoryInfo] = []
        with self._held_base() as root:
            for session_id in self._session_ids(root):
                with suppress(SessionDirectoryGoneError, DirectoryReplacedError):  # since the names were read
                    found.append(self._info(root, session_id))
        return found

    def get_directory_info(self, session_id: str) -> SessionDirectoryInfo:
        """One session's directory. Raises `SessionDirectoryGoneError`, `DirectoryReplacedError`."""
        self.path(session_id)
        with self._held_base() as root:
            return self._info(root, session_id)

    def cleanup_empty_directories(self) -> list[str]:
        """Remove the directories that have nothing in them and aren't in use; their ids, sorted.

        Only ever an empty one: a file that appears in the last moment keeps its directory.
        """
        removed: list[str] = []
        with self._held_base() as root:
            for session_id in self._session_ids(root):
                with directory_errors(session_id):
                    if not _is_empty(root, session_id, self._own) or session_id in self._in_use():
                        continue
                    if _rmdir(root, session_id, self._own):
                        removed.append(session_id)
        return removed

    def cleanup_old_directories(self, hours: float) -> list[str]:
        """Remove, with all files, the directories in which nothing has changed for `hours` and that aren't in use.

        Their ids, sorted. What counts is the newest change of anything inside, of content, name or permission, so that
        files unpacked today with their old dates are new. A directory that can't be looked at as a whole (unreadable
        parts, more than 64 levels or 250,000 entries) is kept. What can't be removed at once is in the trash, and
        `empty_trash` says why. Raises `DirectorySetAsideError` if a directory came into use in the moment of its
        removal and another took its place; `ValueError` if `hours` is negative or no number.
        """
        if not (math.isfinite(hours) and hours >= 0):
            raise ValueError(f"hours must be a number from 0 on, not {hours}")
        before = self._now() - hours * 3600
        removed: list[str] = []
        with self._held_base() as root:
            for session_id in self._session_ids(root):
                with directory_errors(session_id):
                    trash = self._take_if_old(root, session_id, before)
                if trash is not None:
                    removed.append(session_id)
                    with suppress(DirectoryError):  # empty_trash() tries again, and tells
                        self._destroy(root, trash, session_id)
        return removed

    def empty_trash(self) -> None:
        """Finish removals that were cut short, by a kill or an error; meant for every start and now and then.

        Goes through all of them, then raises the first `DirectoryError` that there was.
        """
        errors: list[DirectoryError] = []
        with self._held_base() as root:
            for name in self._names(root):
                leftover = _LEFTOVER.fullmatch(name)
                if leftover is None:
                    continue
                try:
                    if leftover[1] == "trash":
                        self._destroy(root, name, leftover[2])
                    else:  # a cleaning was killed before it was sure
                        with directory_errors(leftover[2]):
                            _put_back(root, name, leftover[2])
                except DirectoryError as error:
                    errors.append(error)
        if errors:
            raise errors[0]

    @contextmanager
    def _base_errors(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError as error:
            raise BaseDirectoryError(self._base, errno.ENOTDIR) from error
        except OSError as error:
            raise BaseDirectoryError(self._base, error.errno or errno.EIO) from error

    @contextmanager
    def _held_base(self) -> Iterator[Root]:
        with self._base_errors():
            descriptor = os.open(self._base, os.O_PATH | os.O_DIRECTORY)
        try:
            with self._base_errors():
                root = Root(descriptor, mount_of(descriptor))
            yield root
        finally:
            os.close(descriptor)

    def _names(self, root: Root) -> list[str]:
        with self._base_errors():
            descriptor = reopen(root.descriptor, os.O_RDONLY | os.O_DIRECTORY)
            try:
                return sorted(os.listdir(descriptor))  # noqa: PTH208 — of a descriptor
            finally:
                os.close(descriptor)

    def _session_ids(self, root: Root) -> list[str]:
        """The ids that have a directory, sorted."""
        found: list[str] = []
        for name in self._names(root):
            if _SESSION.fullmatch(name):
                with suppress(OSError):  # gone since, or a mount of somebody's: not a directory of ours
                    if stat.S_ISDIR(look(root.descriptor, name, mount=root.mount).st_mode):
                        found.append(name)
        return found

    def _make(self, root: Root, session_id: str) -> None:
        os.mkdir(session_id, DIRECTORY_MODE, dir_fd=root.descriptor)
        with suppress(OSError):  # nice to know, and not every file system can keep it
            held, _ = hold(root.descriptor, session_id, mount=root.mount)
            try:
                os.setxattr(f"/proc/self/fd/{held}", _CREATED, f"{self._now():.6f}".encode("ascii"))
            finally:
                os.close(held)

    def _info(self, root: Root, session_id: str) -> SessionDirectoryInfo:
        with directory_errors(session_id):
            held, status = hold(root.descriptor, session_id, mount=root.mount)
            try:
                if not stat.S_ISDIR(status.st_mode):
                    raise DirectoryReplacedError(session_id, kind_of(status))
                walk = Walk(held, mount=root.mount, max_entries=COUNTED_ENTRIES)
                modified, size, files, entries, readable = status.st_mtime, 0, 0, 0, True
                try:
                    for found in walk:
                        entries += 1
                        if found.status is None:
                            continue
                        modified = max(modified, found.status.st_mtime)
                        if stat.S_ISREG(found.status.st_mode):
                            files += 1
                            size += found.status.st_size
                except PermissionError:
                    readable = False
                created = _created(held)
            finally:
                os.close(held)
        return SessionDirectoryInfo(
            session_id=session_id,
            path=self._base / session_id,
            created_time=created,
            modified_time=modified,
            size_bytes=size,
            file_count=files,
            empty=readable and entries == 0,
            truncated=walk.truncated or bool(walk.unreadable) or not readable,
        )

    def _take_if_old(self, root: Root, session_id: str, before: float) -> str | None:
        """Move the directory to the trash if it is old and not in use: its name there, else None. Raises `OSError`."""

        def unwanted(name: str) -> bool:
            return _is_older(root, name, before) and session_id not in self._in_use()

        if not unwanted(session_id):
            return None
        token = secrets.token_hex(8)
        try:
            # once it has left its name nobody comes upon it any more, so a second look is the last word
            aside = _move(root, session_id, f".aside-{session_id}-{token}")
            if unwanted(aside):
                return _move(root, aside, f".trash-{session_id}-{token}")
        except FileNotFoundError:  # removed, or put back by another thread's empty_trash(), meanwhile
            return None
        if not _put_back(root, aside, session_id):
            raise DirectorySetAsideError(session_id, aside)
        return None

    def _destroy(self, root: Root, name: str, session_id: str) -> None:
        deadline = time.monotonic() + self._remove_timeout
        with directory_errors(session_id):
            gone = remove_tree(root.descriptor, name, mount=root.mount, deadline=deadline)
        if not gone:
            raise DirectoryBusyError(session_id, self._remove_timeout)


def _move(root: Root, name: str, to: str) -> str:
    """Rename an entry of the base (a link itself); the new name. Raises `OSError`."""
    os.rename(name, to, src_dir_fd=root.descriptor, dst_dir_fd=root.descriptor)
    return to


def _put_back(root: Root, aside: str, session_id: str) -> bool:
    """Give a directory that was set aside its name again; False, and nothing happens, if there is another by now."""
    if not _exists(root, session_id):
        with suppress(FileNotFoundError):  # another thread's empty_trash() was faster
            _move(root, aside, session_id)
        return True
    return not _exists(root, aside)  # faster, too


def _exists(root: Root, name: str) -> bool:
    """Whether anything is there. Raises `OSError`."""
    try:
        look(root.descriptor, name, mount=root.mount)
    except FileNotFoundError:
        return False
    return True


def _rmdir(root: Root, name: str, own: Collection[tuple[bytes, ...]]) -> bool:
    """Remove a directory if it is empty but for our own files; whether that happened. Raises `OSError`.

    The last step fails if there is anything else by then. Our own files may be gone in that case.
    """
    if own and _is_empty(root, name, own):
        _remove_own(root, name, own)
    try:
        os.rmdir(name, dir_fd=root.descriptor)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR):
            raise
        return False
    return True


def _remove_own(root: Root, name: str, own: Collection[tuple[bytes, ...]]) -> None:
    """Remove our own files from a directory, and the directories on the way to them, as far as they are empty."""
    for path in own:
        for depth in range(len(path), 0, -1):
            try:
                parent = _descend(root, (os.fsencode(name), *path[: depth - 1]))
            except OSError:  # there is no such directory
                continue
            try:
                if depth == len(path):
                    os.unlink(path[depth - 1], dir_fd=parent)
                else:
                    os.rmdir(path[depth - 1], dir_fd=parent)
            except OSError:  # it is gone, or something else is in it: the caller's own step says so
                continue
            finally:
                os.close(parent)


def _descend(root: Root, names: Sequence[bytes]) -> int:
    """Hold the directory that names lead to, never by a link. The caller closes it. Raises `OSError`."""
    current = os.dup(root.descriptor)
    for name in names:
        try:
            held, _ = hold(current, name, mount=root.mount)
        finally:
            os.close(current)
        current = held
    return current


def _is_empty(root: Root, name: str, own: Collection[tuple[bytes, ...]]) -> bool:
    """Whether a directory is there and has nothing but our own files in it, as far as we may look. Raises `OSError`."""
    try:
        held, _ = hold(root.descriptor, name, mount=root.mount)
    except FileNotFoundError:
        return False
    ours = {path[:depth] for path in own for depth in range(1, len(path) + 1)}
    try:
        walk = Walk(held, mount=root.mount, max_entries=len(ours) + 1, recursive=bool(ours))
        with closing(iter(walk)) as entries:
            return all(found.names in ours for found in entries) and not (walk.truncated or walk.unreadable)
    except (PermissionError, NotADirectoryError, FileNotFoundError):  # or removed while it is held
        return False
    finally:
        os.close(held)


def _is_older(root: Root, name: str, before: float) -> bool:
    """Whether everything in a directory is known to have changed last before a time. Raises `OSError`."""
    try:
        held, status = hold(root.descriptor, name, mount=root.mount)
    except FileNotFoundError:
        return False
    try:
        if status.st_mtime >= before:  # not its change time: that is also when it was renamed
            return False
        walk = Walk(held, mount=root.mount, max_entries=SEARCHED_ENTRIES)
        with closing(iter(walk)) as entries:
            for found in entries:
                if found.status is None or max(found.status.st_mtime, found.status.st_ctime) >= before:
                    return False
    except (PermissionError, NotADirectoryError, FileNotFoundError):  # or removed while it is held
        return False
    finally:
        os.close(held)
    return not (walk.truncated or walk.unreadable)


def _created(held: int) -> float | None:
    """The time of creation that was written down for a held directory, if it is a time."""
    try:
        text = os.getxattr(f"/proc/self/fd/{held}", _CREATED)
    except OSError:
        return None
    if not re.fullmatch(rb"[0-9]{1,12}\.[0-9]{1,6}", text):
        return None
    return float(text)
