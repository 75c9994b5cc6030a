"""Processes as the kernel shows them: whose they are, and what is left of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from qpty.agent import process_tree
from qpty.agent.provider import SERVER_VARIABLE

if TYPE_CHECKING:
    from qpty.agent.process_tree import ProcessIdentity


def marked(server_id: str) -> frozenset[ProcessIdentity]:
    """Every running process that a server with this id started, and what those started."""
    return process_tree.marked(server_id, variable=SERVER_VARIABLE)


def worker_in(directory: Path, server_id: str) -> int | None:
    """The pid of the agent that this process started in a session's directory."""
    for process in marked(server_id):
        status = process_tree.status(process.pid)
        try:
            works_in = Path(f"/proc/{process.pid}/cwd").readlink()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        if status is not None and status.parent == os.getpid() and works_in == directory.resolve():
            return process.pid
    return None


def children() -> tuple[int, ...]:
    """This process's own children, zombies included."""
    return process_tree.children(os.getpid())


def descriptors() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - one of them is that of the listing


def resident_kib() -> int:
    """This process's resident memory in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("the kernel doesn't say how much memory this process has")
