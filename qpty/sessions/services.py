"""What every session uses: made once by the manager, and shared."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from qpty.sessions.checkpoints import Checkpoints
    from qpty.sessions.config import SessionsConfig
    from qpty.sessions.directories import SessionDirectoryManager
    from qpty.sessions.pool import WorkerPool
    from qpty.sessions.revival import Reviver
    from qpty.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What every session uses."""

    database: Database
    pool: WorkerPool
    reviver: Reviver
    directories: SessionDirectoryManager
    config: SessionsConfig
    checkpoints: Checkpoints
    clock: Callable[[], float] = time.time
