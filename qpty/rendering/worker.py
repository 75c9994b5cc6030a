"""The rendering process: reads texts from its standard input and answers with their blocks.

    python -m qpty.rendering.worker

It ends when its input does, so it never outlives the server, however that ends. Ctrl-C is not its business: a terminal
sends that to the whole group, and the server still wants answers while it stops. It runs a little behind the server
in the eyes of the system's scheduler, and may take no more memory than any text within the limits needs.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, BinaryIO, Final

from qpty.rendering.blocks import render_blocks
from qpty.rendering.messages import END, HEADER, encode_block, length_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_MEMORY: Final = 1024**3
"""Bytes of address space; the worst megabyte takes 0.4 GB for some seconds, an ordinary one 0.04 GB."""

_NICENESS: Final = 5


def texts(source: BinaryIO) -> Iterator[str]:
    """Yield each text that is asked for, until the input ends."""
    parts: list[str] = []
    while True:
        header = source.read(HEADER.size)
        if len(header) < HEADER.size:
            return
        length = length_of(header)
        body = source.read(length)
        if len(body) < length:
            return
        part = json.loads(body)
        if part is not None:
            parts.append(part)
            continue
        yield "".join(parts)
        parts = []


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer every text until the input ends, or nobody reads the answers any more."""
    try:
        for text in texts(source):
            sink.writelines(map(encode_block, render_blocks(text)))
            sink.write(END)
            sink.flush()
            gc.collect()
    except BrokenPipeError:
        return


def main() -> None:
    """Serve on the standard streams; nothing else can write to them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    os.nice(_NICENESS)
    # Parsing makes many objects and hardly a cycle: looking for some all the while takes half of the time.
    gc.disable()
    gc.freeze()
    sink = os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.close(quiet)
    serve(sys.stdin.buffer, sink)
    os._exit(0)  # at once: what the last text left behind needs no tidying


if __name__ == "__main__":
    main()
