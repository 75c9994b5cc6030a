"""Clients that are cut off anywhere go on where they were, over server-sent events and over WebSockets.

`python -m tests.crashes streams --rounds 100` does the same ten thousand times.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from tests.crashes.readers import read_in_pieces
from tests.crashes.streams import NETWORK_TURNS, over
from tests.sessions.house import COLD, House, demo_spec

if TYPE_CHECKING:
    from pathlib import Path


async def test_clients_that_are_cut_off_anywhere_miss_nothing(tmp_path: Path) -> None:
    agent = demo_spec(tmp_path, QPTY_DEMO_PACE="0.002")
    async with House(agent, tmp_path, config=COLD) as home, over(home, tmp_path) as sources:
        crowd = await read_in_pieces(
            home,
            cuts=300,
            readers=10,
            random=Random(7),  # noqa: S311
            sources=sources,
            turns_waited=NETWORK_TURNS,
        )

    assert sum(reader.cuts for reader in crowd[::2]) > 50
    assert sum(reader.cuts for reader in crowd[1::2]) > 50
    assert [reader.problems for reader in crowd] == [[]] * 10
    assert [reader.resets for reader in crowd] == [[]] * 10
