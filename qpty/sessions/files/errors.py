"""What can go wrong with the files of a session, and with the sessions' directories.

```
QptyError
├── FileError                           .path: from the session's directory on; "" is that directory itself
│   ├── FilePathError                   .reason: the text is not a path that could be meant
│   ├── FileMissingError                nothing of that name is there
│   ├── NotAFileError                   .kind: a directory, symbolic link, FIFO, socket or device where a file is meant
│   ├── DirectoryExpectedError          .kind: something else where a directory is meant; links are not followed
│   ├── NameTakenError                  .kind: something of that name is there already and was not to be replaced
│   ├── DirectoryNotEmptyError          only empty directories are deleted
│   ├── FileTooLargeError               .limit_bytes
│   ├── FileRangeError                  .size: the part asked for is not in the file
│   ├── FileChangedError                .expected_bytes .received_bytes: the file shrank while it was read
│   ├── StorageFullError                .errno: the disk or the quota is full
│   └── FileAccessError                 .errno: the system refused (permission, another file system, an I/O error)
└── DirectoryError
    ├── BaseDirectoryError              .base .errno: the directory of all sessions can't be used
    └── SessionDirectoryError           .session_id
        ├── SessionIdError              not the canonical text of a UUID
        ├── DirectoryTakenError         something is there already
        ├── SessionDirectoryGoneError   it isn't there
        ├── DirectoryReplacedError      .kind: something else is in its place
        ├── DirectoryBusyError          it could not be emptied in time
        ├── DirectorySetAsideError      .name: it came into use while it was cleaned away; its files were kept there
        ├── DirectoryStorageFullError   .errno: the disk or the quota is full
        └── DirectoryAccessError        .errno: the system refused
```

Messages about a session's files never name the place of its directory: programs far away read them.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from qpty.core.errors import QptyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The error numbers that mean that there is no room."""

SHOWN_CHARACTERS = 200
"""How much of a path a message shows."""


def printable(text: str) -> str:
    """`text` with lone surrogates escaped by a backslash, so that it can be encoded and sent."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shown(path: str) -> str:
    """A path as a message shows it: quoted, control characters escaped, cut if it is long."""
    if not path:
        return "the session's directory"
    return repr(path if len(path) <= SHOWN_CHARACTERS else path[:SHOWN_CHARACTERS] + "…")


def refusal(number: int) -> str:
    """Why the system refused, in words."""
    if number == errno.EXDEV:
        return "another file system is mounted there, which is not served"
    return os.strerror(number)


class FileError(QptyError):
    """Anything about one file of a session; `path` is relative to the session's directory."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = printable(path)


class FilePathError(FileError):
    """The text is not a path inside a session's directory; `reason` says what is wrong with it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, f"{shown(printable(path)) if path else 'the empty path'} cannot be used: {reason}")
        self.reason = reason


class FileMissingError(FileError):
    """Nothing of that name is there."""

    def __init__(self, path: str) -> None:
        hint = "list the directory to see what is there" if path else "the session's next message makes it anew"
        super().__init__(path, f"{shown(path)} does not exist; {hint}")


class NotAFileError(FileError):
    """Something other than a plain file is there. It was not opened."""

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(path, f"{shown(path)} is a {kind}, not a file; only plain files are read and written")
        self.kind = kind


class DirectoryExpectedError(FileError):
    """A directory is meant, something else is there. It was not followed or opened."""

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(path, f"{shown(path)} is a {kind}, not a directory; links are not followed")
        self.kind = kind


class NameTakenError(FileError):
    """Something of that name is there and was not to be replaced."""

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(path, f"{shown(path)} exists already, a {kind}; choose another name, or replace it")
        self.kind = kind


class DirectoryNotEmptyError(FileError):
    """Only empty directories are deleted."""

    def __init__(self, path: str) -> None:
        super().__init__(path, f"{shown(path)} is a directory that is not empty; delete what is in it first")


class FileTooLargeError(FileError):
    """The file would be larger than `limit_bytes`. Nothing was written."""

    def __init__(self, path: str, limit_bytes: int) -> None:
        super().__init__(path, f"{shown(path)} is too large: at most {limit_bytes:,} bytes; nothing was written")
        self.limit_bytes = limit_bytes


class FileRangeError(FileError):
    """The part asked for does not lie in the file, which has `size` bytes."""

    def __init__(self, path: str, size: int) -> None:
        super().__init__(path, f"{shown(path)} has {size:,} bytes; ask for a part of these")
        self.size = size


class FileChangedError(FileError):
    """The file shrank while it was read: of `expected_bytes` only `received_bytes` could be had."""

    def __init__(self, path: str, *, expected_bytes: int, received_bytes: int) -> None:
        super().__init__(
            path,
            f"{shown(path)} shrank while it was read: {received_bytes:,} of {expected_bytes:,} bytes; read it again",
        )
        self.expected_bytes = expected_bytes
        self.received_bytes = received_bytes


class StorageFullError(FileError):
    """The disk, or this user's quota, is full. Nothing was left behind."""

    def __init__(self, path: str, number: int) -> None:
        super().__init__(path, f"{shown(path)} cannot be written: {os.strerror(number)}; delete files, or make room")
        self.errno = number


class FileAccessError(FileError):
    """The system refused; `errno` says why."""

    def __init__(self, path: str, number: int) -> None:
        super().__init__(path, f"{shown(path)} cannot be used: {refusal(number)}")
        self.errno = number


def file_error(error: OSError, path: str) -> FileError:
    """What a system call's failure means for the file at `path`."""
    number = error.errno or errno.EIO
    if number in FULL:
        return StorageFullError(path, number)
    if number == errno.ENAMETOOLONG:
        return FilePathError(path, "the file system takes no name of that length")
    if number in (errno.ENOENT, errno.ESTALE):
        return FileMissingError(path)
    if number == errno.ENOTEMPTY:
        return DirectoryNotEmptyError(path)
    return FileAccessError(path, number)


@contextmanager
def file_errors(path: str) -> Iterator[None]:
    """Turn every `OSError` of the block into the `FileError` that it means for `path`."""
    try:
        yield
    except OSError as error:
        raise file_error(error, path) from error


class DirectoryError(QptyError):
    """Anything about the sessions' directories themselves."""


class BaseDirectoryError(DirectoryError):
    """The directory that holds all sessions' directories can't be used; `errno` says why, `base` which it is."""

    def __init__(self, base: Path, number: int) -> None:
        super().__init__(
            f"the sessions' directory {str(base)!r} cannot be used: {os.strerror(number)}; "
            "it must be a directory that this user can read and write"
        )
        self.base = base
        self.errno = number


class SessionDirectoryError(DirectoryError):
    """Anything about one session's directory."""

    def __init__(self, session_id: str, message: str) -> None:
        super().__init__(message)
        self.session_id = printable(session_id)


class SessionIdError(SessionDirectoryError):
    """The text is not a UUID in its canonical form, so no directory can be meant."""

    def __init__(self, session_id: str) -> None:
        text = printable(session_id)[:64]
        super().__init__(session_id, f"{text!r} is not a session's id: 32 small hexadecimal digits as 8-4-4-4-12")


class DirectoryTakenError(SessionDirectoryError):
    """Something is in the directory's place already."""

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id, f"session {session_id} has a directory already: take another id, or remove it")


class SessionDirectoryGoneError(SessionDirectoryError):
    """The session has no directory (any more)."""

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id, f"session {session_id} has no directory: its next message makes one")


class DirectoryReplacedError(SessionDirectoryError):
    """Something other than a directory is in its place; it was neither followed nor touched."""

    def __init__(self, session_id: str, kind: str) -> None:
        super().__init__(
            session_id, f"a {kind} is where the directory of session {session_id} should be: look, and remove it"
        )
        self.kind = kind


class DirectoryBusyError(SessionDirectoryError):
    """The directory has disappeared, but could not be emptied in time: something writes to it, or it is very large."""

    def __init__(self, session_id: str, timeout: float) -> None:
        super().__init__(
            session_id,
            f"the directory of session {session_id} could not be emptied in {timeout:g} s: end what still writes "
            "there; the rest goes when the trash is emptied",
        )
        self.timeout = timeout


class DirectorySetAsideError(SessionDirectoryError):
    """The directory came into use while it was cleaned away, and another was in its place: its files are in `name`."""

    def __init__(self, session_id: str, name: str) -> None:
        super().__init__(
            session_id,
            f"the directory of session {session_id} came into use while it was cleaned away, and there is a new one: "
            f"move the files back from {name!r} beside it",
        )
        self.name = name


class DirectoryStorageFullError(SessionDirectoryError):
    """The disk, or this user's quota, is full."""

    def __init__(self, session_id: str, number: int) -> None:
        super().__init__(
            session_id, f"no room for the directory of session {session_id}: {os.strerror(number)}; make room"
        )
        self.errno = number


class DirectoryAccessError(SessionDirectoryError):
    """The system refused; `errno` says why."""

    def __init__(self, session_id: str, number: int) -> None:
        super().__init__(session_id, f"the directory of session {session_id} cannot be used: {refusal(number)}")
        self.errno = number


@contextmanager
def directory_errors(session_id: str) -> Iterator[None]:
    """Turn every `OSError` of the block into the `SessionDirectoryError` that it means for this session."""
    try:
        yield
    except OSError as error:
        number = error.errno or errno.EIO
        if number in FULL:
            raise DirectoryStorageFullError(session_id, number) from error
        if number == errno.EEXIST:
            raise DirectoryTakenError(session_id) from error
        if number in (errno.ENOENT, errno.ESTALE):
            raise SessionDirectoryGoneError(session_id) from error
        raise DirectoryAccessError(session_id, number) from error
