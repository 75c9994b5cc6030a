"""One answer as it grows: rendered again from its last block on, and whole when it is complete.

All blocks but the last are *settled*: what comes later can't change them, with two exceptions that only the complete
text mends. A link's definition may come after the link, and a numbered list's next item may come after a blank line.
So the rendering of the complete text has the last word, and only what differs is sent.

What is unsettled is rendered again only after it grew by a fraction of itself. So all of a stream's renderings together
are a small multiple of its length, also where it is one list or one piece of code of a megabyte. What isn't rendered
yet is shown raw by the page.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import blake2b
from itertools import takewhile
from typing import TYPE_CHECKING, Final, Protocol

from qpty.rendering.errors import DocumentCompleteError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpty.rendering.block import Block

LARGE: Final = 8 * 1024
"""Unsettled text of more code points than this waits longer."""

LARGE_GROWTH: Final = 1 / 8
"""By what fraction of itself large unsettled text has to grow."""

SMALL_GROWTH: Final = 1 / 64
"""As `LARGE_GROWTH`, for unsettled text that isn't large: up to 128 characters of it are shown raw for a while."""

_AT_ONCE: Final = 32


class Renders(Protocol):
    """Who renders: `renderer.Renderer`."""

    async def render(self, source: str, *, client: str = "") -> tuple[Block, ...]:
        """Return a text's blocks. Clients take turns."""


@dataclass(frozen=True, slots=True)
class Patch:
    """What to change on the page: the blocks from index `first` on are to be `blocks`, texts of html, and no others.

    Together with those before `first` they show the source up to `upto`, in UTF-16 code units, as JavaScript counts.
    `complete`: this was the last patch.
    """

    first: int
    blocks: tuple[str, ...]
    upto: int
    complete: bool


class LiveDocument:
    """One growing text and what of it has been rendered.

    `append` and `complete` may be called at any time, also while another task is in `advance`.
    """

    def __init__(self, *, client: str = "") -> None:
        self._client = client
        self._arrived: list[str] = []
        self._arrived_length = 0
        self._tail = ""  # what is unsettled, as far as it was rendered
        self._settled_units = 0
        self._settled: list[bytes] = []  # a digest of each block's html
        self._unsettled: list[bytes] = []
        self._final: str | None = None
        self._told = False
        self._lock = asyncio.Lock()

    def append(self, text: str) -> None:
        """Add text at the end. Raises DocumentCompleteError after `complete`."""
        if self._final is not None:
            raise DocumentCompleteError
        if text:
            self._arrived.append(text)
            self._arrived_length += len(text)

    def complete(self, text: str) -> None:
        """Give the exact final text, which replaces everything. Raises DocumentCompleteError the second time."""
        if self._final is not None:
            raise DocumentCompleteError
        self._final = text
        self._arrived.clear()
        self._arrived_length = 0

    async def advance(self, renderer: Renders) -> Patch | None:
        """Render what is new and return how the page changes; None if there is nothing new, or too little as yet.

        One task at a time renders; another one waits for it. Whatever is raised changes nothing; call it again.
        """
        async with self._lock:
            if self._final is None and (patch := await self._advance_tail(renderer)) is not None:
                return patch
            if self._final is None or self._told:
                return None
            return await self._advance_to_end(renderer, self._final)

    async def _advance_tail(self, renderer: Renders) -> Patch | None:
        """Render the unsettled text; None if it didn't grow enough, or the final text came meanwhile."""
        if not self._is_due():
            return None
        tail = self._tail + "".join(self._arrived)
        taken = len(self._arrived)
        blocks = await renderer.render(tail, client=self._client)
        digests = await _digests(blocks)
        if self._final is not None:
            return None
        del self._arrived[:taken]
        self._arrived_length = sum(map(len, self._arrived))
        first_settled = len(self._settled)
        same = _common(self._unsettled, digests)
        upto = self._settled_units + utf16_units(tail)
        settled = _settled_count(blocks, tail)
        cut = blocks[settled].start if settled else 0
        self._settled_units += utf16_units(tail[:cut])
        self._settled += digests[:settled]
        self._unsettled = digests[settled:]
        self._tail = tail[cut:]
        return Patch(first_settled + same, tuple(block.html for block in blocks[same:]), upto, complete=False)

    def _is_due(self) -> bool:
        size = len(self._tail)
        fraction = LARGE_GROWTH if size > LARGE else SMALL_GROWTH
        return self._arrived_length > 0 and self._arrived_length >= size * fraction

    async def _advance_to_end(self, renderer: Renders, final: str) -> Patch:
        blocks = await renderer.render(final, client=self._client)
        same = _common(self._settled + self._unsettled, await _digests(blocks))
        self._told = True
        self._tail, self._settled, self._unsettled = "", [], []
        return Patch(same, tuple(block.html for block in blocks[same:]), utf16_units(final), complete=True)


def utf16_units(text: str) -> int:
    """Return the length of a text as JavaScript counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _settled_count(blocks: Sequence[Block], text: str) -> int:
    """Return how many blocks are settled: those before the last one that rendering can begin with.

    A last block of a part of a line doesn't count: `2` may become `2.`, which goes on with the list before it.
    """
    beginnings = [i for i, block in enumerate(blocks) if not block.continued]
    if len(beginnings) > 1 and text.find("\n", blocks[beginnings[-1]].start) < 0:
        beginnings.pop()
    return beginnings[-1] if beginnings else 0


def _common(before: Sequence[bytes], now: Sequence[bytes]) -> int:
    """Return how many blocks at the beginning are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, now, strict=False)))


async def _digests(blocks: Sequence[Block]) -> list[bytes]:
    """Return what tells each block's html from another one's; the loop is held for some of them at a time only."""
    found: list[bytes] = []
    for block in blocks:
        found.append(blake2b(block.html.encode("utf-8", "surrogatepass"), digest_size=16).digest())
        if len(found) % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return found
