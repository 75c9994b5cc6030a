"""Who makes a request: a key, a browser's cookie that a key stands behind, or, where there are no keys, anybody local.

Keys are asked for as soon as there is one, and always on an address that isn't loopback. A session belongs to the key
that made it; without keys everything belongs to `local`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qpty.agent.threads import in_thread
from qpty.server.access.keys import KeyFileError
from qpty.server.access.rate import RateLimiter, client_of_address
from qpty.server.errors import KeyRefusedError, KeyRequiredError, RateLimitedError
from qpty.sessions.manager import LOCAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qpty.server.access.cookies import CookieSigner
    from qpty.server.access.keys import Key, KeyStore
    from qpty.server.access.links import LoginLinks

COOKIE: Final = "qpty"
COOKIE_LIFETIME: Final = 30 * 86_400

LINK_LIFETIME: Final = 600.0

FAILURES_A_MINUTE: Final = 30
"""Wrong keys from one address; beyond, it waits, but for keys of our own making: only configured ones may be weak."""

REFRESH: Final = 1.0
"""Seconds between two looks at the file of keys, which the command line may have changed."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who it is: the owner of its sessions, and whom its requests are counted for. `key_id` None without keys."""

    owner: str
    client: str
    key_id: str | None


class Access:
    """Finds out who makes a request. `open_address` says that anybody on the network can reach the server."""

    def __init__(
        self,
        keys: KeyStore,
        signer: CookieSigner,
        links: LoginLinks,
        *,
        open_address: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.keys = keys
        self.links = links
        self._signer = signer
        self._open_address = open_address
        self._clock = clock
        self.failures = RateLimiter(FAILURES_A_MINUTE)

    @property
    def required(self) -> bool:
        """Whether a request needs a key."""
        return self._open_address or self.keys.has_keys

    def identify(self, headers: Mapping[str, str], *, cookie: str | None, address: str) -> Identity:
        """Return who it is. Raises KeyRequiredError, KeyRefusedError, RateLimitedError (too many wrong keys)."""
        address = client_of_address(address)
        if not self.required:
            return Identity(owner=LOCAL, client=address, key_id=None)
        text = given_key(headers)
        if text is None and cookie is None:
            raise KeyRequiredError
        key = self.keys.find(text) if text is not None else self._of_cookie(cookie or "")
        if key is None or (text is not None and key.created_at is None):
            self._check_failures(address)  # a key that we made can't be guessed: nobody locks its owner out
        if key is None:
            self.failures.take(address, time.monotonic())
            raise KeyRefusedError("key" if text is not None else "sign-in")
        return Identity(owner=key.owner, client=f"key {key.id}", key_id=key.id)

    def redeem(self, token: str, *, address: str) -> str:
        """Return the cookie for a one-time link's token. Raises KeyRefusedError, RateLimitedError."""
        address = client_of_address(address)
        self._check_failures(address)
        key_id = self.links.redeem(token, self._clock())
        if key_id is None or self.keys.get(key_id) is None:
            self.failures.take(address, time.monotonic())
            raise KeyRefusedError("link")
        return self.cookie(key_id)

    def cookie(self, key_id: str) -> str:
        """Return a browser's cookie for a key."""
        return self._signer.issue(key_id, self._clock(), lifetime=COOKIE_LIFETIME)

    def administers(self, key_id: str | None) -> bool:
        """Whether a key may do what only an administrator may; None is a local person where there are no keys."""
        key = self.keys.get(key_id) if key_id is not None else None
        return not self.required if key is None else key.admin

    def allows_builtin_tools(self, key_id: str | None, *, default: bool) -> bool:
        """Whether clients with this key may have the agent's own tools used.

        `default` is for those without a key, and for keys that were not made here.
        """
        key = self.keys.get(key_id) if key_id is not None else None
        return default if key is None or key.created_at is None else key.builtin_tools

    def is_known(self, key_id: str) -> bool:
        """Whether a key is (still) one of ours."""
        return self.keys.get(key_id) is not None

    async def keep_fresh(self) -> None:
        """Take changes of the file of keys over, for as long as the server runs."""
        broken = False
        while True:
            await asyncio.sleep(REFRESH)
            try:
                await in_thread(self.keys.refresh)
            except KeyFileError as error:
                if not broken:
                    _log.warning("the known keys stay valid, and no change of them is heard: %s", error)
                broken = True
            else:
                broken = False

    def _check_failures(self, address: str) -> None:
        wait = self.failures.wait(address, time.monotonic())
        if wait > 0:
            raise RateLimitedError(wait)

    def _of_cookie(self, cookie: str) -> Key | None:
        key_id = self._signer.key_id_of(cookie, self._clock())
        return self.keys.get(key_id) if key_id is not None else None


def given_key(headers: Mapping[str, str]) -> str | None:
    """Return the key of a request's headers; None if there is none."""
    authorization = headers.get("Authorization", "")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key") or None
