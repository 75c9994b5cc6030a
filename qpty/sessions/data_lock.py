"""One server at a time for a data directory, and the id that its processes carry."""

from __future__ import annotations

import fcntl
import os
import uuid
from typing import TYPE_CHECKING

from qpty.sessions.errors import DataDirectoryInUseError

if TYPE_CHECKING:
    from pathlib import Path


class DataLock:
    """An exclusive lock on a data directory, held until `release`, or until the process ends in whatever way.

    `server_id` is the directory's own for good: every process that any server of it starts carries it.
    """

    def __init__(self, directory: Path) -> None:
        """Take the lock; blocks for some file system calls only. Raises DataDirectoryInUseError, OSError."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(directory / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataDirectoryInUseError(directory) from None
            known = os.read(self._descriptor, 36).decode("ascii", "replace")
            self.server_id = known if _is_id(known) else str(uuid.uuid4())
            if self.server_id != known:
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, self.server_id.encode(), 0)
        except BaseException:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        """Let another server have the directory; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
