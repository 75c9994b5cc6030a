"""Starts with an MCP server on a busy machine, where the real q tells of its servers over its prompt."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from qpty.core.states import State
from tests.agent.conversation import Conversation
from tests.agent.mcp_server import McpServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.agent.conftest import Bench

STARTS = 20
AT_ONCE = 4
BUSY = 2
"""Processes that do nothing but need a processor: with so many, a prompt was painted over in 15 of 40 starts."""

SPIN = "import time\nend = time.monotonic() + 100\nwhile time.monotonic() < end: pass"


@asynccontextmanager
async def busy_machine() -> AsyncIterator[None]:
    """Something else needs all the time there is."""
    spinners = [await asyncio.create_subprocess_exec(sys.executable, "-c", SPIN) for _ in range(BUSY)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            await spinner.wait()


async def test_every_start_with_a_server_on_a_busy_machine_is_ready_and_offers_its_tools(bench: Bench) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def start(number: int, server: McpServer) -> None:
        directory = bench.directory / str(number)
        agents = directory / ".amazonq" / "cli-agents"
        agents.mkdir(parents=True)
        (agents / "tester.json").write_text(json.dumps(server.agent()))
        async with places, Conversation(bench.spec, directory, options=("--agent", "tester")) as chat:
            assert chat.agent.state is State.READY
            turn = await chat.say(f'mcp add {{"a": {number}, "b": 100}}')
            assert turn.last.exact, turn.last
            assert f"the sum is {number + 100}" in turn.last.text
            assert turn.live == turn.of("message.completed")[-1].text

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(McpServer())
        await stack.enter_async_context(busy_machine())
        async with asyncio.TaskGroup() as starts:
            for number in range(STARTS):
                starts.create_task(start(number, server))
        assert len(server.calls) == STARTS
