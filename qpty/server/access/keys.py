"""The keys that callers show: made here and kept as hashes in a file, or given by the setting OPENAI_KEYS.

A key made here is 32 random bytes, so its plain SHA-256 can't be turned back. The file is written by the server and by
`qpty keys`, each time whole and under a lock, and is looked at again by `KeyStore.refresh`.

KeysError
├── KeyFileError           .path .reason: the file can't be read, written or understood
├── KeyNameError           .name: a name that can't be
├── KeyLimitError          .limit: as many keys as may be
├── KeyNotFoundError       .key_id
└── KeyConfiguredError     .key_id: it comes from OPENAI_KEYS and can't be revoked here
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from qpty.agent.files import write_private
from qpty.core.errors import QptyError
from qpty.server.access.plain_files import open_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FILE_NAME: Final = "keys.json"
"""The file's name in the data directory."""

KEY_BYTES: Final = 32
ID_DIGITS: Final = 16
LONGEST_NAME: Final = 100
MOST_KEYS: Final = 1000
MOST_BYTES: Final = 1 << 20
LOCK_SECONDS: Final = 10.0
"""How long to wait for whoever else writes the file, which takes milliseconds."""

_VERSION: Final = 1
_ID: Final = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class KeysError(QptyError):
    """Something about keys that can't be done."""


class KeyFileError(KeysError):
    """The file with the keys can't be read, written or understood. Never taken for "there are no keys"."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"the keys in {path} cannot be used: {reason}; mend that, or remove the file and make new keys with "
            "`qpty keys create NAME`"
        )
        self.path = path
        self.reason = reason


class KeyNameError(KeysError):
    """A key can't have this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name[:120]!r} cannot be a key's name: give 1 to {LONGEST_NAME} visible characters")
        self.name = name


class KeyLimitError(KeysError):
    """There are `limit` keys, as many as may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"there are {limit} keys already: revoke one that nobody uses")
        self.limit = limit


class KeyNotFoundError(KeysError):
    """There is no such key."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no key {key_id[:64]!r}: `qpty keys list` shows the ids")
        self.key_id = key_id


class KeyConfiguredError(KeysError):
    """The key comes from the setting OPENAI_KEYS."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"key {key_id} comes from OPENAI_KEYS: take it out of that setting and start the server again")
        self.key_id = key_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key, without its text. `created_at` is None for one of the setting OPENAI_KEYS.

    `admin` says that whoever shows it may type at the terminals of its sessions by hand, `builtin_tools` that in the
    sessions of OpenAI and Anthropic clients that show it the agent's own tools may be used, without a question.
    """

    id: str
    name: str
    created_at: datetime | None
    admin: bool = False
    builtin_tools: bool = False
    digest: bytes = field(repr=False)
    """SHA-256 of the text."""

    @property
    def owner(self) -> str:
        """Return the owner of the sessions that are made with this key."""
        return f"key:{self.id}"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `key` is its text, which is kept nowhere: show it now or never."""

    id: str
    name: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What tells one state of the file from another: each writing makes a new file."""

    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> _Stamp:
        return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class KeyStore:
    """The keys of one data directory, and those of the configuration.

    `find`, `get`, `has_keys` look into memory only. The constructor, `create`, `revoke` and `refresh` are blocking:
    some file system calls, and up to `LOCK_SECONDS` for the lock when writing. A task of the server calls `refresh` in
    a thread once a second, so that a key revoked by the command line stops working; between threads that is safe,
    since what `find` looks at is replaced whole.
    """

    def __init__(self, path: Path, configured: Sequence[str] = ()) -> None:
        """Read the keys at `path`; a file that isn't there holds none. Raises KeyFileError."""
        self._path = path
        self._configured = tuple(_configured_key(text) for text in dict.fromkeys(configured))
        self._stamp, self._stored = _read(path)
        self._guarded = bool(self._configured or self._stored)

    @property
    def has_keys(self) -> bool:
        """Whether callers must show a key: there is one, or has been one since this object was made.

        So revoking the last key, or removing the file, shuts everybody out of a running server; it never lets everybody
        in.
        """
        return self._guarded

    def list(self) -> tuple[Key, ...]:
        """Return all keys, those of the configuration first."""
        return self._configured + self._stored

    def find(self, text: str) -> Key | None:
        """Return the key with this text. Takes as long whichever it is, and whether there is one."""
        digest = _digest(text)
        found: Key | None = None
        for key in self._configured + self._stored:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def get(self, key_id: str) -> Key | None:
        """Return the key with this id, such as a cookie names."""
        return next((key for key in self._configured + self._stored if key.id == key_id), None)

    def create(self, name: str, *, admin: bool = False, builtin_tools: bool = False) -> NewKey:
        """Make a key and store its hash. Raises KeyNameError, KeyLimitError, KeyFileError."""
        if not _is_name(name):
            raise KeyNameError(name)
        new = NewKey(secrets.token_hex(ID_DIGITS // 2), name, f"qpty_{secrets.token_urlsafe(KEY_BYTES)}")
        created = datetime.now(UTC).replace(microsecond=0)
        key = Key(
            id=new.id,
            name=name,
            created_at=created,
            admin=admin,
            builtin_tools=builtin_tools,
            digest=_digest(new.key),
        )
        with self._writing():
            if len(self._stored) >= MOST_KEYS:
                raise KeyLimitError(MOST_KEYS)
            self._write((*self._stored, key))
        return new

    def revoke(self, key_id: str) -> Key:
        """Forget a key, and return it. Raises KeyNotFoundError, KeyConfiguredError, KeyFileError."""
        if any(key.id == key_id for key in self._configured):
            raise KeyConfiguredError(key_id)
        with self._writing():
            revoked = next((key for key in self._stored if key.id == key_id), None)
            if revoked is None:
                raise KeyNotFoundError(key_id)
            self._write(tuple(key for key in self._stored if key is not revoked))
        return revoked

    def refresh(self) -> bool:
        """Read the file again if it has changed, and return whether it had.

        Raises KeyFileError for a file that can't be read now: the keys known until then stay good, and each further
        call raises, until the file is mended.
        """
        if _stamp_of(self._path) == self._stamp:
            return False
        self._take(*_read(self._path))
        return True

    def _take(self, stamp: _Stamp | None, stored: tuple[Key, ...]) -> None:
        self._guarded = self._guarded or bool(stored)  # first: nobody is let in between
        self._stored = stored
        self._stamp = stamp

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Keep other writers away, with the newest keys in memory. Raises KeyFileError."""
        lock = self._path.with_name(f"{self._path.name}.lock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise KeyFileError(self._path, error.strerror or str(error)) from error
        try:
            self._lock(descriptor)
            self._take(*_read(self._path))
            yield
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise KeyFileError(self._path, "another process keeps it locked") from None
                time.sleep(0.02)
            else:
                return

    def _write(self, keys: tuple[Key, ...]) -> None:
        rows = [
            {
                "id": key.id,
                "name": key.name,
                "sha256": key.digest.hex(),
                "created_at": key.created_at.isoformat() if key.created_at is not None else None,
                "admin": key.admin,
                "builtin_tools": key.builtin_tools,
            }
            for key in keys
        ]
        text = json.dumps({"version": _VERSION, "keys": rows}, ensure_ascii=False, indent=2)
        try:
            write_private(self._path, f"{text}\n".encode())
            _sync_directory(self._path.parent)
        except OSError as error:
            raise KeyFileError(self._path, error.strerror or str(error)) from error
        self._take(_stamp_of(self._path), keys)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _configured_key(text: str) -> Key:
    digest = _digest(text)
    return Key(id=digest.hex()[:ID_DIGITS], name="OPENAI_KEYS", created_at=None, digest=digest)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name.isprintable() and bool(name.strip()) and len(name) <= LONGEST_NAME


def _stamp_of(path: Path) -> _Stamp | None:
    """Return the file's stamp, None if there is no file. Raises KeyFileError."""
    try:
        return _Stamp.of(path.stat())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileError(path, error.strerror or str(error)) from error


def _read(path: Path) -> tuple[_Stamp | None, tuple[Key, ...]]:
    """Return the keys in a file, and the stamp of just that file. Raises KeyFileError."""
    try:
        with open(path, "rb", opener=open_plain) as file:
            stamp = _Stamp.of(os.fstat(file.fileno()))
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None, ()
    except OSError as error:
        raise KeyFileError(path, error.strerror or str(error)) from error
    if len(data) > MOST_BYTES:
        raise KeyFileError(path, f"it has more than {MOST_BYTES:,} bytes")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise KeyFileError(path, "it is not JSON") from error
    if not isinstance(content, dict) or content.get("version") != _VERSION or not isinstance(content.get("keys"), list):
        raise KeyFileError(path, f'it is not an object with "version": {_VERSION} and a list "keys"')
    keys = tuple(_key(row, path, number) for number, row in enumerate(content["keys"], start=1))
    if len({key.id for key in keys}) != len(keys):
        raise KeyFileError(path, "two keys have the same id")
    return stamp, keys


def _key(row: Any, path: Path, number: int) -> Key:
    """Check one entry of the file. Raises KeyFileError."""
    if not isinstance(row, dict):
        raise KeyFileError(path, f"key {number} is not an object")
    key_id, name, sha256, created_at = (row.get(field) for field in ("id", "name", "sha256", "created_at"))
    if not (isinstance(key_id, str) and _ID.fullmatch(key_id)):
        raise KeyFileError(path, f'the "id" of key {number} is not {ID_DIGITS} hexadecimal digits')
    if not _is_name(name):
        raise KeyFileError(path, f'the "name" of key {number} is not 1 to {LONGEST_NAME} visible characters')
    if not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        raise KeyFileError(path, f'the "sha256" of key {number} is not 64 hexadecimal digits')
    try:
        created = datetime.fromisoformat(str(created_at))
    except ValueError:
        raise KeyFileError(path, f'the "created_at" of key {number} is no time') from None
    policy: dict[str, bool] = {}
    for name_of_policy in ("admin", "builtin_tools"):
        allowed = row.get(name_of_policy, False)  # a file from before this field has keys that may not
        if not isinstance(allowed, bool):
            raise KeyFileError(path, f'the "{name_of_policy}" of key {number} is not true or false')
        policy[name_of_policy] = allowed
    return Key(id=key_id, name=str(name), created_at=created, digest=bytes.fromhex(sha256), **policy)


def _sync_directory(path: Path) -> None:
    """Have the new name survive a power cut: the key was shown, and won't be again."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
