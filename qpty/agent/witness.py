"""What no data on the terminal can forge: the line discipline, and the children of the agent's main process.

Bytes that a tool prints can look like anything, a prompt included. So before a terminal counts as ready, the driver
looks here: the terminal must be raw, as the agent's line editor makes it, and the agent must have no child beyond those
it had at its first prompt (an interactive program run as a tool makes the terminal raw too, but it is a child). Look
when nothing more is readable, and ask `PtyChild.readable()` again afterwards: a witness is of now, bytes are older.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qpty.agent import process_tree
from qpty.agent.errors import ProcessGoneError

if TYPE_CHECKING:
    from qpty.agent.process_tree import ProcessIdentity, ProcessStatus
    from qpty.agent.pty_process import PtyChild

CHAIN_LIMIT = 16
"""How deep the agent's main process is looked for below the spawned one: sandbox and wrappers are two or three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """How things stood at one instant.

    `raw_mode`: input goes to the program key by key. `foreground`: the terminal's foreground group is that of q's main
    process. `children`: pids of the running direct children of the agent's main process that its baseline hasn't.
    """

    raw_mode: bool
    foreground: bool
    children: frozenset[int]


class WitnessStand:
    """Looks at one child's terminal and processes.

    `process_names` are the names, as /proc/PID/comm has them, that the dialect gives the agent's main process.
    """

    def __init__(self, child: PtyChild, process_names: frozenset[str]) -> None:
        self._child = child
        self._names = process_names
        self._main = child.identity
        self._baseline: frozenset[ProcessIdentity] | None = None

    @property
    def main(self) -> ProcessIdentity:
        """The agent's main process; before the first baseline, the process that was spawned."""
        return self._main

    def set_baseline(self) -> frozenset[ProcessIdentity]:
        """Find the agent's main process, and take the children it has now for its own (its MCP servers).

        For the first prompt, when no tool can have run, and whenever the agent has started servers anew (another
        configuration was chosen): never while a tool may run. Raises ProcessGoneError.
        """
        self._main = self._find_main()
        self._baseline = frozenset(entry.identity for entry in self._running_children())
        return self._baseline

    def disregard(self, processes: frozenset[ProcessIdentity]) -> None:
        """Count these with the baseline: what outlived an interrupted tool, and was left alone."""
        self._baseline = (self._baseline or frozenset()) | processes

    def look(self) -> Witness:
        """How things stand now. Before the first baseline nobody counts as a child: no tool can have run.

        Raises ProcessGoneError if the agent's main process has ended, TerminalClosedError if the terminal is closed:
        neither is ever a sign of readiness.
        """
        return Witness(
            raw_mode=self._child.raw_mode(),
            foreground=self._in_foreground(),
            children=frozenset(process.pid for process in self.tool_processes()),
        )

    def tool_processes(self) -> tuple[ProcessIdentity, ...]:
        """The children behind `Witness.children`, to be ended with `process_tree.end_processes`."""
        if self._baseline is None:
            if not process_tree.is_alive(self._main):
                raise ProcessGoneError(self._main.pid)
            return ()
        return tuple(entry.identity for entry in self._running_children() if entry.identity not in self._baseline)

    def interrupt(self) -> bool:
        """Send SIGINT to the agent's main process alone; False if it has ended.

        Sure where `PtyChild.interrupt` (and the key 0x03) is a race: a tool that gets the signal too may be gone before
        the agent acts on it, and then counts as completed, and the turn goes on. What it leaves of the tool is in
        `tool_processes`. Not while the terminal's foreground is a tool's: the agent would read from the background, get
        an error and exit.
        """
        return process_tree.send_signal(self._main, signal.SIGINT)

    def _running_children(self) -> list[ProcessStatus]:
        if not process_tree.is_alive(self._main):
            raise ProcessGoneError(self._main.pid)
        entries = map(process_tree.status, process_tree.children(self._main.pid))
        return [entry for entry in entries if entry is not None and not entry.ended]

    def _in_foreground(self) -> bool:
        try:
            return self._child.foreground_group() == os.getpgid(self._main.pid)
        except ProcessLookupError:
            raise ProcessGoneError(self._main.pid) from None

    def _find_main(self) -> ProcessIdentity:
        """The deepest process that bears one of the names, on the way down from the spawned one.

        The way goes on where there is a single child, or a single child that bears one of the names: through wrappers
        and a sandbox, and no further than the agent's servers.
        """
        main = self._child.identity
        pid = main.pid
        for _ in range(CHAIN_LIMIT):
            below = [entry for entry in map(process_tree.status, process_tree.children(pid)) if entry is not None]
            named = [entry for entry in below if entry.name in self._names]
            if len(named) == 1:
                main = named[0].identity
                pid = main.pid
            elif len(below) == 1:
                pid = below[0].identity.pid
            else:
                break
        return main
