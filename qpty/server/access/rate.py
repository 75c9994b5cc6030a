"""How much one client may ask for: requests a minute, and streams at a time. No clock, no tasks; times come in.

A client is a string: a key's owner, or an address (`client_of_address`). Everything here is called from one thread.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from qpty.core.errors import QptyError

if TYPE_CHECKING:
    from collections.abc import Iterator

NETWORK_OF_ONE: Final = 64
"""Bits of an IPv6 address that are one client: whoever has one address has the whole /64."""


class TooManyStreamsError(QptyError):
    """The client holds `limit` streams already, as many as it may."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} streams are open already: close one first")
        self.limit = limit


def client_of_address(address: str) -> str:
    """Return the client that a peer's address stands for: an IPv4 address, or the /64 network of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address  # a Unix socket's peer has none
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), NETWORK_OF_ONE), strict=False))
    return str(parsed)


class RateLimiter:
    """A token bucket for each client: `burst` at once, refilled with `per_minute`; 0 a minute means no limit.

    `burst` is a minute's worth unless given. At most `capacity_of_clients` buckets are kept; the one that was used
    longest ago goes first, and a client without a bucket has a full one.

    To limit failures only, such as wrong keys: `wait` before the attempt, `take` after it failed.
    """

    def __init__(self, per_minute: float, burst: float | None = None, capacity_of_clients: int = 10_000) -> None:
        if per_minute < 0 or (burst is not None and burst < 1) or capacity_of_clients < 1:
            raise ValueError("a rate is at least 0, a burst and the number of clients at least 1")
        self._per_second = per_minute / 60
        self._burst = max(1.0, per_minute if burst is None else burst)
        self._capacity = capacity_of_clients
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """client → (tokens, at which time); used longest ago first."""

    def take(self, client: str, now: float, cost: float = 1.0) -> float:
        """Take `cost` tokens and return 0.0; or take none and return the seconds until there are as many.

        A cost beyond the burst takes a full bucket. `now` is in seconds, of a clock that never goes back.
        """
        if not self._per_second:
            return 0.0
        cost = min(cost, self._burst)
        tokens = self._tokens(client, now)
        missing = cost - tokens
        self._buckets[client] = (tokens if missing > 0 else tokens - cost, now)
        self._buckets.move_to_end(client)
        if len(self._buckets) > self._capacity:
            self._buckets.popitem(last=False)
        return missing / self._per_second if missing > 0 else 0.0

    def wait(self, client: str, now: float, cost: float = 1.0) -> float:
        """Return what `take` would, and take nothing."""
        if not self._per_second:
            return 0.0
        return max(0.0, min(cost, self._burst) - self._tokens(client, now)) / self._per_second

    def _tokens(self, client: str, now: float) -> float:
        tokens, then = self._buckets.get(client, (self._burst, now))
        return min(self._burst, tokens + max(0.0, now - then) * self._per_second)


class StreamSlots:
    """Streams that one client may hold at a time."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("at least one stream must be possible")
        self._limit = limit
        self._held: dict[str, int] = {}

    @contextmanager
    def hold(self, client: str) -> Iterator[None]:
        """Hold one stream for as long as the context lasts. Raises TooManyStreamsError."""
        held = self._held.get(client, 0)
        if held >= self._limit:
            raise TooManyStreamsError(self._limit)
        self._held[client] = held + 1
        try:
            yield
        finally:
            left = self._held.pop(client) - 1
            if left:
                self._held[client] = left

    def held(self, client: str) -> int:
        """Return how many streams the client holds."""
        return self._held.get(client, 0)
