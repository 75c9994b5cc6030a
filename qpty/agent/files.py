"""Writing a file of our own: whole or not at all, and for this user alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_private(path: Path, data: bytes) -> None:
    """Put `data` at `path` with mode 0600, replacing what is there in one step (a symlink itself, not its target).

    Whoever reads `path` at the same time sees the old content or the new, never a part. Raises `OSError`.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)  # made with mode 0600
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 — takes the descriptor over
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def link(path: Path, target: Path) -> None:
    """Make `path` a symlink to `target` in one step, replacing a link or file that is there. Raises `OSError`."""
    directory = Path(tempfile.mkdtemp(prefix=".link.", dir=path.parent))
    try:
        fresh = directory / "link"
        fresh.symlink_to(target)
        fresh.replace(path)
    finally:
        (directory / "link").unlink(missing_ok=True)
        directory.rmdir()
