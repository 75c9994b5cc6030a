"""One-time links by which a browser signs in: a person who has a key opens `/login/TOKEN`, once, and gets a cookie.

Kept in memory only: a link doesn't outlive the server that made it.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

TOKEN_BYTES: Final = 32


class LoginLinks:
    """Tokens that are redeemed once, within `lifetime` seconds; at most `limit` wait, and the oldest gives way."""

    def __init__(self, lifetime: float = 600.0, limit: int = 64) -> None:
        self._lifetime = lifetime
        self._limit = limit
        self._waiting: dict[bytes, tuple[str, float]] = {}
        """SHA-256 of a token → (key id, expiry), oldest first, so that expired ones give way before others.

        Hashed, no token can be guessed by timing lookups.
        """

    def __len__(self) -> int:
        return len(self._waiting)

    def create(self, key_id: str, now: float) -> str:
        """Return a new token for a key; `now` is in seconds, of the clock that `redeem` is given."""
        while len(self._waiting) >= self._limit:
            del self._waiting[next(iter(self._waiting))]
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._waiting[_digest(token)] = (key_id, now + self._lifetime)
        return token

    def redeem(self, token: str, now: float) -> str | None:
        """Return the key's id and forget the token; None if it is unknown, was used, or is too old."""
        key_id, expires_at = self._waiting.pop(_digest(token), (None, now))
        return key_id if now < expires_at else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
