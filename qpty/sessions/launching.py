"""Starting agents: again after a crash, with a pause that grows, and with the agent's own words when it won't."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from qpty.agent.driver import AgentStartError
from qpty.agent.errors import AgentError
from qpty.sessions.errors import AgentUnavailableError
from qpty.sessions.files.confined import ConfinedDirectory
from qpty.sessions.files.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

    from qpty.agent.provider import Agent, AgentProvider, Profile
    from qpty.core.errors import QptyError
    from qpty.sessions.recording import Recordings

FIRST_PAUSE: Final = 0.25
LAST_PAUSE: Final = 30.0
"""Seconds after the first failed start in a row, doubling up to the last."""

FINAL_CODES: Final = frozenset({"not_signed_in", "sign_in_expired", "account_suspended", "access_denied"})
"""What another start won't change."""

PROFILES: Final = 64
"""Whose failures are remembered."""

DETAIL_CHARACTERS: Final = 2_000


class Launcher:
    """Starts agents of one provider. Failures in a row are counted by profile: a broken one doesn't delay others.

    The name of an agent's directory is its session's id, and so its recording's.
    """

    def __init__(self, provider: AgentProvider, recordings: Recordings | None = None) -> None:
        self._provider = provider
        self._recordings = recordings
        self._failures: OrderedDict[Profile, tuple[int, float]] = OrderedDict()

    async def launch(self, profile: Profile, directory: Path, *, columns: int, lines: int, attempts: int) -> Agent:
        """Start an agent and wait for its first prompt. Raises AgentUnavailableError after so many attempts."""
        for attempt in range(1, attempts + 1):
            pause = self._pause(profile)
            if pause > 0:
                await asyncio.sleep(pause)
            await self._put_files(profile, directory)
            observer = None
            if self._recordings is not None:
                observer = await self._recordings.recorder(directory.name, columns=columns, lines=lines)
            agent = self._provider.agent(profile, directory, columns=columns, lines=lines, observer=observer)
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

    async def _put_files(self, profile: Profile, directory: Path) -> None:
        """Write what the agent finds in its directory, over whatever its tools made of it; never through a link."""
        try:
            files = self._provider.files(profile, directory)
        except AgentError as error:
            raise AgentUnavailableError("unknown", str(error)) from error
        for path, content in files.items():
            try:
                await ConfinedDirectory(directory).write(path, content)
            except FileError as error:
                raise AgentUnavailableError("unknown", f"{path} could not be written: {error}") from error

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
