"""What the benchmarks of sessions share: how much to do, and what this process and the machine tell of themselves."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

QUICK: Final = os.environ.get("QPTY_BENCH") == "quick"
"""Whether to do a tenth of everything: to see that it runs, not for its figures."""

PAGE: Final = resource.getpagesize()

ALONE_TIMEOUT: Final = 600.0
"""Seconds that a benchmark in a process of its own may take; its agents end with their terminals."""


def full_or(full: int, quick: int) -> int:
    """The number that this run uses."""
    return quick if QUICK else full


def resident() -> int:
    """Bytes of memory that this process holds, garbage collected."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def machine_busy() -> tuple[int, int]:
    """Ticks since its start that the machine has worked, whoever for, and that there were; of all processors."""
    ticks = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]  # idle, and waiting for a disk
    return sum(ticks) - idle, sum(ticks)


def kept_waiting() -> float:
    """Seconds that the main thread of this process was ready to work and had to wait for a processor."""
    return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9


def allow_descriptors() -> None:
    """Allow as many open files as the machine lets this process have: a live session has three."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def verdict(value: float, target: float) -> str:
    """Whether a figure that should be small is."""
    return f"target {target:g}: {'met' if value <= target else 'MISSED'}"


def alone(module: str) -> None:
    """Run a module as a program: in a process that nothing else has grown or warmed up before."""
    sys.stdout.flush()  # what was printed here comes first, into a pipe too
    subprocess.run([sys.executable, "-m", module], check=True, timeout=ALONE_TIMEOUT)
