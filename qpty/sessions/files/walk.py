"""A bounded walk through a tree that somebody else may change meanwhile."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from qpty.sessions.files.paths import MAX_DEPTH
from qpty.sessions.files.steps import hold, look, reopen

if TYPE_CHECKING:
    from collections.abc import Generator

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE})
"""What a directory's place may show when it was removed or replaced since it was listed."""


class Found(NamedTuple):
    """One entry: the names from the walk's start on, and what it was; None on another mount, which isn't asked."""

    names: tuple[bytes, ...]
    status: os.stat_result | None


class Walk:
    """The entries of a directory and, if `recursive`, of those below it; links are never followed.

    `held` is the directory, which the caller keeps open and closes; `mount` the mount not to leave. A directory's own
    entries come before those of its subdirectories, in the file system's order. After iterating,

    - `truncated` says that there are more entries: more than `max_entries`, or deeper than `max_depth` names;
    - `unreadable` are the directories that could not be entered (permission, another mount, an I/O error).

    Iterating raises `OSError` if the directory itself can't be read. Holds at most one descriptor per level and some.
    """

    def __init__(
        self, held: int, *, mount: int, max_entries: int, recursive: bool = True, max_depth: int = MAX_DEPTH
    ) -> None:
        self._held = held
        self._mount = mount
        self._max_entries = max_entries
        self._max_depth = max_depth if recursive else 1
        self._recursive = recursive
        self._count = 0
        self.truncated = False
        self.unreadable: list[tuple[bytes, ...]] = []

    def __iter__(self) -> Generator[Found]:
        pending: list[tuple[int, tuple[bytes, ...], list[bytes]]] = []  # held directory, its names, those to enter
        try:
            pending.append((os.dup(self._held), (), []))
            yield from self._entries(*pending[-1])
            while pending and self._count <= self._max_entries:
                parent, names, subdirectories = pending[-1]
                if not subdirectories:
                    os.close(pending.pop()[0])
                    continue
                below = (*names, subdirectories.pop())
                if len(below) >= self._max_depth:
                    self.truncated = self.truncated or self._recursive
                    continue
                try:
                    held, status = hold(parent, below[-1], mount=self._mount)
                    pending.append((held, below, []))
                    if stat.S_ISDIR(status.st_mode):  # else it was replaced since it was listed
                        yield from self._entries(*pending[-1])
                except OSError as error:
                    if error.errno not in _GONE:
                        self.unreadable.append(below)
        finally:
            for held, _, _ in pending:
                os.close(held)

    def _entries(self, held: int, names: tuple[bytes, ...], subdirectories: list[bytes]) -> Generator[Found]:
        """The entries of one directory; the directories among them go to `subdirectories`."""
        for name in self._listed(held):
            self._count += 1
            if self._count > self._max_entries:
                self.truncated = True
                return
            try:
                status = look(held, name, mount=self._mount)
            except OSError as error:
                if error.errno in _GONE:
                    self._count -= 1
                    continue
                self.unreadable.append((*names, name))
                yield Found((*names, name), None)
                continue
            if stat.S_ISDIR(status.st_mode):
                subdirectories.append(name)
            yield Found((*names, name), status)

    def _listed(self, held: int) -> list[bytes]:
        """The names in a directory, at most one more than the walk may still give."""
        descriptor = reopen(held, os.O_RDONLY | os.O_DIRECTORY)
        try:
            found: list[bytes] = []
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    found.append(os.fsencode(entry.name))
                    if len(found) > self._max_entries - self._count:
                        break
            return found
        finally:
            os.close(descriptor)
