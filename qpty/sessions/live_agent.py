"""Which agent a session has now, for those who look on: told when that changes, and not asked again and again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qpty.agent.provider import Agent


class LiveAgent:
    """The agent of a session, None while it has none. `number` is another one after each change."""

    def __init__(self) -> None:
        self.agent: Agent | None = None
        self.number = 0
        self._closed = False
        self._waiters: list[asyncio.Future[None]] = []

    def set(self, agent: Agent | None) -> None:
        """Tell which agent there is from now on."""
        self.agent = agent
        self._changed()

    def close(self) -> None:
        """Say that there will be no other one: whoever looks on goes."""
        self._closed = True
        self._changed()

    def is_closed(self) -> bool:
        """Whether there will be no other agent."""
        return self._closed

    async def wait(self, number: int) -> None:
        """Wait until `number` is another one than this."""
        while self.number == number:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)

    def _changed(self) -> None:
        self.number += 1
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
