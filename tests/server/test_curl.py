"""`curl -N` shows an answer's text as it is typed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.server.served import TIMEOUT, ends, no_faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.server.conftest import Serve
    from tests.server.served import Event, Logged


@pytest.fixture(autouse=True)
def logged() -> Iterator[Logged]:
    """What the server logs; nothing of these tests may be a fault."""
    with no_faults() as found:
        yield found


@pytest.fixture
def curl() -> str:
    found = shutil.which("curl")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs curl")
        pytest.skip("no curl here")
    return found


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program with its output piped; it is over at the end."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def events_in(output: asyncio.StreamReader | None) -> AsyncIterator[Event]:
    """The events that a program prints."""
    assert output is not None
    async with asyncio.timeout(TIMEOUT):
        async for line in output:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


async def test_curl_shows_text_as_it_is_typed(serve: Serve, curl: str) -> None:
    async with serve() as served:
        session_id = await served.session()
        body = json.dumps({"message": "slow 2", "session_id": session_id})
        url = f"{served.url}/api/v1/chat/stream"
        states: list[str] = []
        text = ""
        async with running(curl, "-sSN", "-H", "Content-Type: application/json", "-d", body, url) as process:
            async for event in events_in(process.stdout):
                if event["type"] == "message.delta":
                    text += event["text"]
                    turn = await served.manager.turn(session_id, event["turn_id"])
                    assert turn is not None
                    states.append(turn.state)
                    if len(states) == 1:
                        assert text.startswith("p")
                        assert "part 2" not in text
            assert await process.wait() == 0

        assert states[0] == "running"
        assert event["type"] == "turn.completed"
        assert text.rstrip() == event["text"].rstrip() == "part 1 part 2 end."


async def test_curl_follows_a_session_from_where_it_was(serve_demo: Serve, curl: str) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        url = f"{served.url}/api/v1/sessions/{session_id}/events"
        turn = await served.manager.send(session_id, "hello")
        async with running(curl, "-sSN", url) as process:
            found = [event async for event in _up_to_the_end(process.stdout)]
        await served.manager.send(session_id, "echo again")
        async with running(curl, "-sSN", "-H", f"Last-Event-ID: {found[-1]['seq']}", url) as process:
            found += [event async for event in _up_to_the_end(process.stdout)]

    assert [event["seq"] for event in found] == list(range(1, len(found) + 1))
    assert [event["type"] for event in found].count("turn.completed") == 2
    assert found[0]["turn_id"] == turn.id


async def _up_to_the_end(output: asyncio.StreamReader | None) -> AsyncIterator[Event]:
    async for event in events_in(output):
        yield event
        if ends(event):
            return
