"""Interrupting the CLI in the middle of a tool.

Three facts, all measured on the real q:

- sent to the whole process group (as Ctrl-C is), SIGINT may end the tool first, and the CLI goes on with the turn as if
  the tool had ended by itself (10 of 48);
- sent to the CLI alone it always worked (36 of 36), but the tool lives on;
- a CLI that reads the terminal from the background gets an error and exits: an interactive shell, which takes the
  foreground for itself, must not have it then. Hung up, a shell gives it back; killed, it doesn't.

So the tool is stopped, the foreground taken back, the CLI interrupted, and the tool ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from qpty.agent import process_tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qpty.agent.process_tree import ProcessIdentity
    from qpty.agent.pty_process import PtyChild
    from qpty.agent.witness import WitnessStand

HANG_UP_GRACE: Final = 0.5
"""Seconds that a tool which holds the terminal's foreground has to give it back after SIGHUP."""

INTERRUPT_HEARD: Final = 0.03
"""Seconds in which the CLI acts on SIGINT, before the tool it was waiting for is ended."""

STOP_ROUNDS: Final = 20
"""Rounds of stopping a tool that forks meanwhile; a stopped one doesn't."""

HANG_UP_LOOKS: Final = 50

HANG_UPS: Final = 8
"""Hang-ups in a row: shells started in shells."""


async def interrupt_tool(child: PtyChild, stand: WitnessStand) -> None:
    """Interrupt the CLI and end the tool that it runs. Raises ProcessGoneError, TerminalClosedError."""
    tools = stand.tool_processes()
    _stop(tools)
    await _take_foreground_back(child, stand)
    # While the tool is stopped the CLI reads nothing: the one moment at which its raw mode can't be meant.
    child.restore_line_discipline()
    stand.interrupt()
    await asyncio.sleep(INTERRUPT_HEARD)
    await process_tree.end_processes(tools)


def _stop(tools: Iterable[ProcessIdentity]) -> None:
    """Stop the tools and all that descends from them; looked for again until nobody new was forked meanwhile."""
    stopped: set[int] = set()
    for _ in range(STOP_ROUNDS):
        family = {pid for tool in tools for pid in (tool.pid, *process_tree.descendants(tool.pid))}
        if family <= stopped:
            return
        for pid in family - stopped:
            process = process_tree.identify(pid)
            if process is not None:
                process_tree.send_signal(process, signal.SIGSTOP)
        stopped |= family


async def _take_foreground_back(child: PtyChild, stand: WitnessStand) -> None:
    """Hang up whoever has the foreground, shell by shell, until the CLI has it again."""
    for _ in range(HANG_UPS):
        if stand.look().foreground:
            return
        group = child.foreground_group()
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(group) == child.pid:  # a group of this very terminal
                os.killpg(group, signal.SIGHUP)
                os.killpg(group, signal.SIGCONT)
        for _ in range(HANG_UP_LOOKS):  # nothing tells when a foreground group changes
            if child.foreground_group() != group:
                break
            await asyncio.sleep(HANG_UP_GRACE / HANG_UP_LOOKS)
