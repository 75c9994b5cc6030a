"""One rendering process from the server's side: started, asked, ended."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qpty.rendering.errors import WorkerProtocolError
from qpty.rendering.messages import HEADER, decode_block, encode_text, length_of

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Sequence

    from qpty.rendering.block import Block

COMMAND: Final = (sys.executable, "-m", "qpty.rendering.worker")

_ROOT: Final = Path(__file__).parents[2]
"""Where Python finds this package; the process starts there, since `-m` searches the directory it starts in."""

_PASSED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "TMPDIR")
"""What of the environment is passed on: keys and passwords are none of it."""

_AT_ONCE: Final = 8
"""So many blocks are taken before the loop may do something else."""


class WorkerGoneError(Exception):
    """The process could not be started, or ended before it had answered."""


class WorkerProcess:
    """A process that renders one text after the other. Not to be used by two tasks at once."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: Sequence[str] = COMMAND) -> WorkerProcess:
        """Start a process. Raises WorkerGoneError if the system gives none."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                cwd=_ROOT,
                env={name: os.environ[name] for name in _PASSED if name in os.environ},
                process_group=0,  # a Ctrl-C before it ignores them must not reach it
            )
        except OSError as error:
            raise WorkerGoneError(str(error)) from error
        return cls(process)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    async def blocks(self, source: str) -> tuple[Block, ...]:
        """Return a text's blocks. After any error, a cancellation too, the process has to be killed.

        Raises WorkerGoneError or WorkerProtocolError.
        """
        try:
            return await self._exchange(source)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise WorkerGoneError("the process ended") from error

    async def _exchange(self, source: str) -> tuple[Block, ...]:
        requests, answers = self._process.stdin, self._process.stdout
        if requests is None or answers is None:
            raise AssertionError("the process was started with pipes")
        for message in encode_text(source):
            requests.write(message)
            await requests.drain()
            await asyncio.sleep(0)  # a pipe that takes everything lets nobody else run
        found: list[Block] = []
        while True:
            length = length_of(await answers.readexactly(HEADER.size))
            block = decode_block(await answers.readexactly(length))
            if block is None:
                break
            found.append(block)
            if len(found) % _AT_ONCE == 0:
                await asyncio.sleep(0)  # as above: reading what is there already
        if (found[-1].end if found else 0) != len(source):
            raise WorkerProtocolError("blocks of another text")
        return tuple(found)

    async def kill(self) -> None:
        """End the process, at once, and wait until it is gone."""
        with suppress(ProcessLookupError):
            self._process.kill()
        # Its last words are read and thrown away, else the transport would wait for them for ever.
        await self._process.communicate()
