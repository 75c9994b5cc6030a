r"""What the server and its rendering process say to each other, over pipes.

    server ─▶ worker   "text", "text", …, null       one text in parts, then its end
    worker ─▶ server   [start, end, html, continued], …, null       its blocks, then their end

Each message is four bytes of length, highest first, and so many bytes of JSON in ASCII (`\ud800` survives that). They
are small, so that neither side ever decodes for longer than a millisecond: the server's loop reads terminals, too.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, Final

from qpty.rendering.block import Block
from qpty.rendering.errors import WorkerProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER: Final = struct.Struct(">I")

MAX_MESSAGE: Final = 512 * 1024
"""Bytes of JSON. A block of 32 KiB is at most twelve times as long, where all of it is escaped."""

_PART: Final = 16 * 1024

END: Final = HEADER.pack(4) + b"null"


def encode(value: Any) -> bytes:
    """Return a message as bytes."""
    body = json.dumps(value, separators=(",", ":")).encode("ascii")
    return HEADER.pack(len(body)) + body


def length_of(header: bytes) -> int:
    """Return how many bytes follow a header. Raises WorkerProtocolError for a message that is too long."""
    (length,) = HEADER.unpack(header)
    if length > MAX_MESSAGE:
        raise WorkerProtocolError(f"a message of {length} bytes")
    return int(length)


def encode_text(text: str) -> Iterator[bytes]:
    """Yield the messages that ask for a text's blocks."""
    for at in range(0, len(text), _PART):
        yield encode(text[at : at + _PART])
    yield END


def encode_block(block: Block) -> bytes:
    """Return a block as a message."""
    return encode([block.start, block.end, block.html, block.continued])


def decode_block(body: bytes) -> Block | None:
    """Return the block that a message's body holds, or None for the end. Raises WorkerProtocolError."""
    try:
        value = json.loads(body)
    except ValueError as error:
        raise WorkerProtocolError("a message that isn't JSON") from error
    match value:
        case None:
            return None
        case [int(start), int(end), str(html), bool(continued)]:
            return Block(start, end, html, continued)
        case _:
            raise WorkerProtocolError("a message that isn't a block")
