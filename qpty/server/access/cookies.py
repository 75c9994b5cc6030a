"""The cookie of a signed-in browser: which key it signed in with, until when, and our signature under both.

Nothing is stored for it. Whether the key still exists is looked up with each request, so revoking a key ends its
cookies; another secret ends all of them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import tempfile
from pathlib import Path
from typing import Final

from qpty.core.errors import QptyError
from qpty.server.access.plain_files import open_plain

SECRET_BYTES: Final = 32

LIFETIME: Final = 30 * 86_400.0
"""Seconds."""

_PURPOSE: Final = b"qpty browser cookie 1\0"
"""Signed along, so that nothing signed with the same secret for another purpose is ever a cookie."""

_COOKIE: Final = re.compile(r"(qpty_v1\.([0-9a-z-]{1,64})\.([0-9]{1,12}))\.([A-Za-z0-9_-]{43})")
"""`qpty_v1.KEY-ID.EXPIRY.SIGNATURE`; begins like a key, so that logs mask it like one."""


class SecretFileError(QptyError):
    """The file at `path` with the secret of the cookies can't be used."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(
            f"the cookies' secret {path} cannot be used: {reason}; mend that, or remove the file "
            "(browsers then have to sign in again)"
        )


class CookieSigner:
    """Issues cookies and believes those that it issued. Times are seconds since 1970."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES:
            raise ValueError(f"the secret has {len(secret)} bytes: it must have at least {SECRET_BYTES}")
        self._secret = secret

    def issue(self, key_id: str, now: float, lifetime: float = LIFETIME) -> str:
        """Return a cookie for a key that is good for `lifetime` seconds; plain ASCII that needs no quotes."""
        signed = f"qpty_v1.{key_id}.{int(now + lifetime)}"
        cookie = f"{signed}.{self._signature(signed)}"
        if _COOKIE.fullmatch(cookie) is None:
            raise ValueError(f"{key_id!r} until {now + lifetime} can't be put into a cookie")
        return cookie

    def key_id_of(self, text: str, now: float) -> str | None:
        """Return the key that a cookie was issued for; None if we didn't issue it like this, or it has expired."""
        matched = _COOKIE.fullmatch(text)
        if matched is None:
            return None
        signed, key_id, expires_at, signature = matched.groups()
        genuine = hmac.compare_digest(self._signature(signed), signature)
        return key_id if genuine and now < int(expires_at) else None

    def _signature(self, signed: str) -> str:
        digest = hmac.digest(self._secret, _PURPOSE + signed.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def load_secret(path: Path) -> bytes:
    """Return the secret kept at `path`, made (0600) if it isn't there. Blocking. Raises SecretFileError.

    Of several processes that come at the same time, one makes it and all return the same.
    """
    try:
        if not path.exists():
            _make_secret(path)
        with open(path, "rb", opener=open_plain) as file:
            secret = file.read(SECRET_BYTES + 1)
    except OSError as error:
        raise SecretFileError(path, error.strerror or str(error)) from error
    if len(secret) != SECRET_BYTES:
        raise SecretFileError(path, f"it must have {SECRET_BYTES} bytes and doesn't")
    return secret


def _make_secret(path: Path) -> None:
    """Put a new secret at `path`, whole, unless somebody else did meanwhile."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 — takes the descriptor over
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(temporary)  # fails where something is; a rename would replace it
        except FileExistsError:
            return
    finally:
        temporary.unlink(missing_ok=True)
