"""Who may run a turn: a bounded number at once, in order, fair among owners. Nothing here waits or looks at a clock.

An owner's requests are granted in the order in which they came. Among owners with requests that wait, the one is next
that runs the fewest turns, and of those the one that has waited longest: since it began to, since its last grant, or
since the last of its turns ended. So somebody who queues two hundred messages delays somebody else's first one by one
turn at most, and nobody is passed over for ever.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Admission(Generic[T]):
    """`capacity` requests are granted at once; a request is any hashable object and belongs to an owner."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}: at least one is needed")
        self.capacity = capacity
        self._waiting: dict[str, deque[T]] = {}
        self._granted: dict[T, str] = {}
        self._running: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._moment = 0

    @property
    def running(self) -> int:
        """How many are granted."""
        return len(self._granted)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    def request(self, request: T, *, owner: str) -> None:
        """Put a request at the end of its owner's line."""
        if owner not in self._waiting:
            self._waiting[owner] = deque()
            self._begin_to_wait(owner)
        self._waiting[owner].append(request)

    def grant(self) -> T | None:
        """Grant the next request; None when nothing waits or nothing is free. Call until None."""
        if not self._waiting or len(self._granted) >= self.capacity:
            return None
        owner = min(self._waiting, key=lambda name: (self._running.get(name, 0), self._since[name]))
        request = self._waiting[owner].popleft()
        self._begin_to_wait(owner)
        self._forget_if_empty(owner)
        self._running[owner] = self._running.get(owner, 0) + 1
        self._granted[request] = owner
        return request

    def give_back(self, request: T) -> None:
        """End a granted request, or withdraw one that waits; anything else is ignored."""
        owner = self._granted.pop(request, None)
        if owner is not None:
            self._running[owner] -= 1
            if not self._running[owner]:
                del self._running[owner]
                if owner in self._waiting:
                    self._begin_to_wait(owner)
            return
        for name, line in self._waiting.items():
            if request in line:
                line.remove(request)
                self._forget_if_empty(name)
                return

    def _begin_to_wait(self, owner: str) -> None:
        self._moment += 1
        self._since[owner] = self._moment

    def _forget_if_empty(self, owner: str) -> None:
        if not self._waiting[owner]:
            del self._waiting[owner], self._since[owner]
