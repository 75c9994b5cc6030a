"""Opening our own files where something else may have been put in their place."""

from __future__ import annotations

import errno
import os
import stat


def open_plain(path: str, flags: int) -> int:
    """Open a plain file (an `opener` of `open`). A pipe would wait for ever for somebody to write: that is OSError."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a plain file")
    return descriptor
