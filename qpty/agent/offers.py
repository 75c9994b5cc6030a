"""What the command line offers for a new session: its agent files, its models, its tools.

- **Agent files** are those of the person, in a directory of the home that the dialect's name stands for; each counts
  by the `name` in it (measured for q 1.19: another file name doesn't matter). Those below a working directory don't
  count here: a new session's directory has none.
- **Models** the CLI names itself: asked for one that doesn't exist, it prints the list and ends, before any prompt and
  without a model call (0.1 s and one request to its service). It is asked once in a while, and only in a dialect that
  was held against the real program.
- **Tools** are a table: a model is sent their names, and the CLI has no command that prints them without a terminal.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import stat
import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qpty.agent.agent_file import SESSION_AGENT
from qpty.agent.profile import Profile, ProfileError
from qpty.agent.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qpty.agent.spec import AgentSpec

AGENT_DIRECTORIES: Final = {
    "q": ".aws/amazonq/cli-agents", "demo": ".aws/amazonq/cli-agents", "kiro-cli": ".kiro/agents",
}  # fmt: skip
"""Dialect → where a person's agent files are, from the home on. That of `kiro-cli` was never tried."""

AGENT_FILES: Final = 200
AGENT_FILE_BYTES: Final = 1 << 20
"""Files that are looked at, and what is read of one at most."""

DESCRIPTION_CHARACTERS: Final = 300

NO_SUCH_MODEL: Final = "qpty-asks-for-the-list"
MODELS: Final = re.compile(r"Available models: ([^\r\n]+)")
MODELS_TIMEOUT: Final = 8.0
"""Seconds for the CLI to name its models: it asks its service for them."""

MODELS_BYTES: Final = 64 * 1024
MODELS_KEPT: Final = 600.0
FAILURE_KEPT: Final = 30.0
"""Seconds until it is asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOffer:
    """One agent file: what `Profile.agent` takes, and what the file says of itself."""

    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOffer:
    """One tool: what `Profile.trusted_tools` takes, and what it does in a few words."""

    name: str
    description: str


TOOLS: Final = (
    ToolOffer(name="fs_read", description="Read files, directories and pictures"),
    ToolOffer(name="fs_write", description="Create and change files"),
    ToolOffer(name="execute_bash", description="Run shell commands"),
    ToolOffer(name="use_aws", description="Call the AWS command line"),
    ToolOffer(name="introspect", description="Look up how the command line itself is used"),
    ToolOffer(name="report_issue", description="Report an issue of the command line"),
)
"""The tools that q 1.19 offers a model, as it sends them. `kiro-cli` descends from it."""


class Offers:
    """What one CLI offers. All methods are of the event loop's thread."""

    def __init__(self, spec: AgentSpec) -> None:
        self._spec = spec
        self._models: tuple[str, ...] | None = None
        self._until = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def agents(self) -> Sequence[AgentOffer]:
        """The person's agent files that a session can have, by name; read anew each time."""
        return await in_thread(self._read_agents)

    async def tools(self) -> Sequence[ToolOffer]:
        """The tools that the CLI itself has; those of MCP servers aren't known before it runs."""
        return TOOLS

    async def models(self) -> Sequence[str] | None:
        """The models that the CLI names, its default first; None if it doesn't (not signed in, or never tried)."""
        if not self._spec.dialect.verified:
            return None
        if self._asking is None and time.monotonic() >= self._until:
            self._asking = asyncio.get_running_loop().create_task(self._ask(), name="ask for models")
        if self._asking is not None:
            await asyncio.wait([self._asking])  # which leaves it alone if who waits here goes away
        return self._models

    async def close(self) -> None:
        """End what still runs."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        try:
            found = await self._named()
            self._models = found or self._models
            self._until = time.monotonic() + (MODELS_KEPT if found else FAILURE_KEPT)
        finally:
            self._asking = None

    async def _named(self) -> tuple[str, ...] | None:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._spec.command("--model", NO_SUCH_MODEL),
                cwd=self._spec.scratch,
                env=dict(self._spec.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError:
            return None
        assert process.stdout is not None  # noqa: S101 — it is a pipe
        printed = bytearray()
        try:
            async with asyncio.timeout(MODELS_TIMEOUT):
                while len(printed) < MODELS_BYTES and (data := await process.stdout.read(4096)):
                    printed += data
        except TimeoutError:
            return None
        finally:
            _end(process.pid)
            await process.wait()
        named = MODELS.search(printed.decode("utf-8", "replace"))
        return tuple(_usable_models(named[1])) if named is not None else None

    def _read_agents(self) -> Sequence[AgentOffer]:
        found: dict[str, AgentOffer] = {}
        place = AGENT_DIRECTORIES.get(self._spec.dialect.name)
        if place is None:
            return ()
        directory = Path(self._spec.environment["HOME"]) / place
        try:
            names = sorted(name for name in os.listdir(directory) if name.endswith(".json"))  # noqa: PTH208 — names
        except OSError:
            return ()  # there are none
        for name in names[:AGENT_FILES]:
            offer = _offer(directory / name)
            if offer is not None:
                found.setdefault(offer.name, offer)
        return tuple(sorted(found.values(), key=lambda offer: offer.name))


def _end(pid: int) -> None:
    """End a process with all of its group: it is not needed any more, and may have gone by itself."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _usable_models(text: str) -> Iterator[str]:
    for name in text.split(","):
        try:
            yield Profile(model=name.strip()).model or ""
        except ProfileError:
            continue


def _offer(path: Path) -> AgentOffer | None:
    """What an agent file offers; None where the CLI would pass it over, or its name can't be given to it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 — a descriptor: it is looked at before it is read
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            content = json.loads(file.read(AGENT_FILE_BYTES))
        if not isinstance(content, dict):
            return None
        profile = Profile(agent=content["name"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError, ProfileError):
        return None
    if profile.agent is None or profile.agent == SESSION_AGENT:
        return None
    description = content.get("description")
    return AgentOffer(name=profile.agent, description=_plain(description) if isinstance(description, str) else "")


def _plain(text: str) -> str:
    """One line of text without control and format characters."""
    spaced = " ".join(text[: 4 * DESCRIPTION_CHARACTERS].split())
    return "".join(c for c in spaced if unicodedata.category(c)[0] != "C")[:DESCRIPTION_CHARACTERS]
