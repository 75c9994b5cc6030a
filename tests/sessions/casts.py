"""Reading a recording as a player does: every line must be valid, times never go back, and the screen comes out."""

from __future__ import annotations

import json
import re
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qpty.core.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from qpty.core.terminal import ScreenSnapshot


@dataclass
class Cast:
    """A recording: its header, and its events as (seconds, kind, data)."""

    header: dict[str, Any]
    events: list[tuple[float, str, str]]
    size: int

    @property
    def markers(self) -> list[str]:
        return [data for _, kind, data in self.events if kind == "m"]

    @property
    def output(self) -> str:
        return "".join(data for _, kind, data in self.events if kind == "o")

    def played(self) -> ScreenSnapshot:
        """What a player shows at the end."""
        terminal = Terminal(columns=self.header["width"], lines=self.header["height"])
        for _, kind, data in self.events:
            if kind == "o":
                terminal.feed(data.encode())
            elif kind == "r":
                columns, lines = data.split("x")
                terminal.resize(columns=int(columns), lines=int(lines))
        return terminal.snapshot()


def parse(content: bytes) -> Cast:
    """Parse a recording, strictly."""
    assert content.isascii()
    assert content.endswith(b"\n")
    header, *rows = [json.loads(line) for line in content.decode("ascii").splitlines()]
    assert header["version"] == 2
    assert {"width", "height", "timestamp", "idle_time_limit"} <= set(header)
    last = 0.0
    for at, kind, data in rows:
        assert at >= last
        last = at
        assert kind in {"o", "r", "m"}
        data.encode()  # no half surrogate: players in strict languages refuse those
        assert kind != "r" or re.fullmatch(r"\d+x\d+", data)
    return Cast(header, [(at, kind, data) for at, kind, data in rows], len(content))


async def collected(chunks: AsyncGenerator[bytes, None]) -> Cast:
    """The whole of what a reader gets."""
    content = b""
    async with aclosing(chunks):
        async for chunk in chunks:
            assert 0 < len(chunk) <= 64 * 1024
            content += chunk
    return parse(content)


def text_of(screen: ScreenSnapshot) -> str:
    """A screen as text."""
    return "\n".join("".join(run.text for run in row) for row in screen.rows)
