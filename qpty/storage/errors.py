"""What can go wrong with the storage.

```
StorageError
├── StorageUrlError        the database's URL cannot be used
├── StorageOpenError       the database cannot be reached, created or migrated
├── SchemaTooNewError      a newer qpty has migrated the database
├── StorageBusyError       more waits already than is allowed to wait
├── StorageFailedError     a read or a write failed; `retryable` says whether the same may succeed later
└── WriterClosedError      the writer takes nothing more
```

No message holds a password, or text that a person or a model wrote: drivers' messages that quote values are left out.
"""

from __future__ import annotations


class StorageError(Exception):
    """Anything about the storage."""


class StorageUrlError(StorageError):
    """The database's URL cannot be used; `url` is as it was given, with its password masked."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(
            f"cannot use the database URL {url!r}: {reason}; give sqlite:////full/path.db or postgresql://user@host/name"
        )


class StorageOpenError(StorageError):
    """The database could not be reached, created or migrated; `url` has its password masked."""

    def __init__(self, url: str, detail: str) -> None:
        self.url = url
        self.detail = detail
        super().__init__(f"cannot open the database {url!r}: {detail}")


class SchemaTooNewError(StorageError):
    """The database's schema `found` is not known here; `newest` is the newest that is."""

    def __init__(self, *, found: str, newest: str) -> None:
        self.found = found
        self.newest = newest
        super().__init__(
            f"the database has schema {found!r}, this qpty knows up to {newest!r}: "
            "start the newer qpty that migrated it, or restore a copy from before that"
        )


class StorageBusyError(StorageError):
    """`waiting` reads or writes wait already, as many as may (`limit`); try again when some are done."""

    def __init__(self, *, waiting: int, limit: int) -> None:
        self.waiting = waiting
        self.limit = limit
        super().__init__(f"{waiting} wait for the database already (limit {limit}); try again later")


class StorageFailedError(StorageError):
    """A read or a write failed; `retryable` says whether the same may succeed later, unchanged."""

    def __init__(self, detail: str, *, retryable: bool) -> None:
        self.detail = detail
        self.retryable = retryable
        super().__init__(f"the database refused: {detail}" + ("; try again later" if retryable else ""))


class WriterClosedError(StorageError):
    """The writer is closed, or stopped for `reason`: what was given to it and is unanswered may or may not be there."""

    def __init__(self, reason: str = "it was closed") -> None:
        self.reason = reason
        super().__init__(f"the database's writer takes nothing more: {reason}; open the database again")
