"""What rendering gives: blocks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a text, as HTML.

    `start` and `end` are its place in the source, in code points; each block starts where the one before it ends, the
    first at 0, the last ends with the source. A block without a place of its own (start == end) goes on within a line.
    `continued`: it is a further part of what the block before shows (a long table, list or piece of code), so
    rendering can't begin here.
    """

    start: int
    end: int
    html: str
    continued: bool = False
