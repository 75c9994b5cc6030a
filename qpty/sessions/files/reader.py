"""Reading one file of a session in pieces, as an answer to a request for a part of it needs it."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from typing import TYPE_CHECKING, Final

from qpty.sessions.files.errors import FileChangedError, FileRangeError, NotAFileError, file_errors
from qpty.sessions.files.paths import path_text
from qpty.sessions.files.steps import held_directory, held_root, hold, in_thread, kind_of, reopen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

CHUNK_BYTES: Final = 256 * 1024
"""How much is read or written in one step, and the most that a chunk of a file has."""


class FileReader:
    """One opened file, as an asynchronous context manager; entering raises `FileError`.

    `path` is its path; `size` its bytes and `modified_time` its seconds since the epoch when it was opened;
    `identity` a short text, fit for an ETag, that is another one when the file was replaced or written to (as finely
    as the file system's clock tells: a few ms on older kernels).

    The file that was opened is read to the end, whatever its name means by then. What is appended meanwhile isn't read.
    """

    def __init__(self, directory: Path, names: Sequence[bytes]) -> None:
        self._directory = directory
        self._names = tuple(names)
        self._descriptor: int | None = None
        self._use = threading.Lock()  # so that a descriptor's number can't name another file in mid-read
        self.path = path_text(names)
        self.size = 0
        self.modified_time = 0.0
        self.identity = ""

    async def __aenter__(self) -> Self:
        try:
            await in_thread(self._open)
        except BaseException:
            await in_thread(self._close)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await in_thread(self._close)

    def chunks(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to before `stop` (None or more than the size: to the end), ≤ 256 KiB each time.

        Raises `FileRangeError` at once if that isn't part of the file, and while iterating `FileChangedError` if the
        file became shorter meanwhile, `FileAccessError` if the system can't read it.
        """
        end = self.size if stop is None else min(stop, self.size)
        if not 0 <= start <= end:
            raise FileRangeError(self.path, self.size)
        return self._chunks(start, end)

    async def _chunks(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        position = start
        while position < end:
            data = await in_thread(self._read, position, min(CHUNK_BYTES, end - position))
            if not data:
                raise FileChangedError(self.path, expected_bytes=end - start, received_bytes=position - start)
            position += len(data)
            yield data

    def _open(self) -> None:
        with held_root(self._directory) as root, held_directory(root, self._names[:-1]) as parent:
            with file_errors(self.path):
                held, status = hold(parent, self._names[-1], mount=root.mount)
            try:
                if not stat.S_ISREG(status.st_mode):
                    raise NotAFileError(self.path, kind_of(status))
                with file_errors(self.path):
                    self._descriptor = reopen(held, os.O_RDONLY)
                    status = os.fstat(self._descriptor)
            finally:
                os.close(held)
        self.size = status.st_size
        self.modified_time = status.st_mtime
        # the change time too: a tool can set the modification time back, that one it can't
        facts = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        self.identity = hashlib.blake2s(repr(facts).encode("ascii"), digest_size=16).hexdigest()

    def _read(self, position: int, count: int) -> bytes:
        with self._use:
            if self._descriptor is None:
                raise RuntimeError("the file is closed: read it inside its `async with`")
            with file_errors(self.path):
                return os.pread(self._descriptor, count, position)

    def _close(self) -> None:
        with self._use:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)
