"""Starting agents: again after a crash, with a pause that grows, and with the agent's own words when it won't."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from qpty.agent.driver import AgentStartError
from qpty.agent.errors import AgentError
from qpty.sessions.errors import AgentUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from qpty.agent.provider import Agent, AgentProvider, Profile
    from qpty.core.errors import QptyError

FIRST_PAUSE: Final = 0.25
LAST_PAUSE: Final = 30.0
"""Seconds after the first failed start in a row, doubling up to the last."""

FINAL_CODES: Final = frozenset({"not_signed_in", "sign_in_expired", "account_suspended", "access_denied"})
"""What another start won't change."""

PROFILES: Final = 64
"""Whose failures are remembered."""

DETAIL_CHARACTERS: Final = 2_000


class Launcher:
    """Starts agents of one provider. Failures in a row are counted by profile: a broken one doesn't delay others."""

    def __init__(self, provider: AgentProvider) -> None:
        self._provider = provider
        self._failures: OrderedDict[Profile, tuple[int, float]] = OrderedDict()

    async def launch(self, profile: Profile, directory: Path, *, columns: int, lines: int, attempts: int) -> Agent:
        """Start an agent and wait for its first prompt. Raises AgentUnavailableError after so many attempts."""
        for attempt in range(1, attempts + 1):
            pause = self._pause(profile)
            if pause > 0:
                await asyncio.sleep(pause)
            agent = self._provider.agent(profile, directory, columns=columns, lines=lines)
            try:
                await agent.start()
            except AgentStartError as error:
                self._failed(profile)
                code = error.code or "agent_crashed"
                if attempt == attempts or code in FINAL_CODES:
                    raise AgentUnavailableError(
                        code, error.text[-DETAIL_CHARACTERS:], retry_after=self._pause(profile)
                    ) from error
            except (AgentError, OSError) as error:  # it can't even be spawned
                self._failed(profile)
                raise AgentUnavailableError("agent_crashed", str(error), retry_after=self._pause(profile)) from error
            else:
                self._failures.pop(profile, None)
                return agent
        raise AssertionError("unreachable: the last attempt raises")

    def crashed(self, profile: Profile, error: QptyError) -> AgentUnavailableError:
        """Count a crash after the start, and before any message, as a failed start."""
        self._failed(profile)
        return AgentUnavailableError("agent_crashed", str(error), retry_after=self._pause(profile))

    def _pause(self, profile: Profile) -> float:
        """Seconds left of the pause after this profile's last failure."""
        _, until = self._failures.get(profile, (0, 0.0))
        return max(0.0, until - time.monotonic())

    def _failed(self, profile: Profile) -> None:
        count = self._failures.pop(profile, (0, 0.0))[0] + 1
        pause = min(FIRST_PAUSE * 2 ** min(count - 1, 16), LAST_PAUSE)
        self._failures[profile] = (count, time.monotonic() + pause)
        while len(self._failures) > PROFILES:
            self._failures.popitem(last=False)
