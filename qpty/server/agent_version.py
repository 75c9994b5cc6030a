"""What the agent says of its own version, asked once at the start."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from qpty import __version__

if TYPE_CHECKING:
    from qpty.agent.spec import AgentSpec

TIMEOUT: Final = 10.0
LENGTH: Final = 60

_log: Final = logging.getLogger(__name__)


async def version_of(spec: AgentSpec) -> str | None:
    """Return the agent's version, such as `1.19.7`; None if it doesn't say. The demo agent has qpty's."""
    if spec.kind == "demo":
        return __version__
    program = spec.argv[0]
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            "--version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=dict(spec.environment),
        )
    except OSError as error:
        _log.warning("%s can't be asked for its version: %s", spec.kind, error)
        return None
    try:
        async with asyncio.timeout(TIMEOUT):
            output, _ = await process.communicate()
    except TimeoutError:
        _log.warning("%s did not say its version within %g s", spec.kind, TIMEOUT)
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    words = output.decode("utf-8", "replace").split()
    found = next((word for word in reversed(words) if word[:1].isdigit()), None)
    return found[:LENGTH] if found is not None and found.isprintable() else None
