"""A program and a browser hold one session together: both send, both get the same events in the same order."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect

from qpty.server import streaming
from tests.crashes.agreement import journal
from tests.server.browser import page_of
from tests.server.served import TIMEOUT, eventually, no_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiohttp import web
    from playwright.async_api import Page
    from websockets.asyncio.client import ClientConnection

    from tests.server.conftest import Serve
    from tests.server.served import Event, Logged, Served


@pytest.fixture(autouse=True)
def logged() -> Iterator[Logged]:
    """What the server logs; nothing of these tests may be a fault."""
    with no_faults() as found:
        yield found


JOURNAL = "({type}) => !['hello', 'ack', 'error', 'screen'].includes(type)"

OPEN = """(path) => new Promise((resolve, reject) => {
    const socket = new WebSocket(location.origin.replace('http', 'ws') + path);
    window.held = {socket, frames: [], seen: () => {}};
    socket.onmessage = ({data}) => { held.frames.push(data); held.seen(); };
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error('the socket does not open'));
})"""

SEND = "(frame) => held.socket.send(JSON.stringify(frame))"

UNTIL = """(wanted) => new Promise((resolve) => {
    const fits = (event) => Object.entries(wanted).every(([name, value]) => event[name] === value);
    held.seen = () => {
        const found = held.frames.map((frame) => JSON.parse(frame)).find(fits);
        if (found) resolve(found);
    };
    held.seen();
})"""

BODIES = f"() => held.frames.filter((frame) => ({JOURNAL})(JSON.parse(frame)))"


class InBrowser:
    """The page's end of the session."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def send(self, **frame: Any) -> None:
        await self._page.evaluate(SEND, frame)

    async def until(self, **wanted: Any) -> Event:
        """The first frame with these fields."""
        found: Event = await asyncio.wait_for(self._page.evaluate(UNTIL, wanted), TIMEOUT)
        return found

    async def bodies(self) -> list[str]:
        """The journal's events that it has, as they came."""
        found: list[str] = await self._page.evaluate(BODIES)
        return found


class InProgram:
    """The program's end of the session."""

    def __init__(self, client: ClientConnection) -> None:
        self._client = client
        self._frames: list[str] = []

    async def send(self, **frame: Any) -> None:
        await self._client.send(json.dumps(frame))

    async def until(self, **wanted: Any) -> Event:
        """The first frame with these fields."""
        place = 0
        while True:
            for frame in self._frames[place:]:
                event: Event = json.loads(frame)
                if wanted.items() <= {name: event.get(name) for name in wanted}.items():
                    return event
            place = len(self._frames)
            self._frames.append(await asyncio.wait_for(self._client.recv(decode=True), TIMEOUT))

    def bodies(self) -> list[str]:
        """The journal's events that it has, as they came."""
        return [frame for frame in self._frames if json.loads(frame)["type"] not in {"hello", "ack", "error"}]


async def test_a_program_and_a_browser_hold_one_session_together(serve: Serve, chromium: str) -> None:
    async with serve() as served, page_of(chromium) as page:
        path = f"/api/v1/sessions/{await served.session()}/ws?after=0"
        await page.goto(served.url)  # the page's own policy is that which lets it connect
        await page.evaluate(OPEN, path)
        async with connect(served.url.replace("http", "ws") + path, proxy=None) as client:
            browser, program = InBrowser(page), InProgram(client)

            await browser.send(type="message", text="echo 你好 from the browser", ref=1)
            first = await program.until(type="turn.completed")
            assert first["text"] == "你好 from the browser"
            assert first["turn_id"] == (await browser.until(type="ack", ref=1))["turn_id"]

            await program.send(type="message", text="bash echo asked by the program", ref=2)
            turn_id = (await program.until(type="ack", ref=2))["turn_id"]
            request_id = (await browser.until(type="permission.requested", turn_id=turn_id))["request_id"]
            await browser.send(type="answer", request_id=request_id, answer="allow")
            answered = await program.until(type="permission.answered", turn_id=turn_id)
            assert (answered["request_id"], answered["answer"]) == (request_id, "allow")
            await program.until(type="turn.completed", turn_id=turn_id)

            await browser.send(type="message", text="bash echo asked by the browser", ref=3)
            turn_id = (await browser.until(type="ack", ref=3))["turn_id"]
            request_id = (await program.until(type="permission.requested", turn_id=turn_id))["request_id"]
            await program.send(type="answer", request_id=request_id, answer="refuse")
            assert (await browser.until(type="permission.answered", turn_id=turn_id))["answer"] == "refuse"
            await program.until(type="turn.completed", turn_id=turn_id)
            await browser.until(type="turn.completed", turn_id=turn_id)

            in_program = program.bodies()
            in_browser = (await browser.bodies())[: len(in_program)]

    assert in_browser == in_program  # to the byte
    assert [json.loads(body)["seq"] for body in in_program] == list(range(1, len(in_program) + 1))


FOLLOW = """(path) => {
    window.followed = {ids: [], bodies: [], opened: 0};
    const source = new EventSource(path);
    source.onopen = () => { followed.opened += 1; };
    const types = ['session.state', 'turn.queued', 'turn.started', 'tool.started', 'tool.output', 'tool.completed',
        'message.delta', 'message.completed', 'turn.completed', 'journal.reset', 'stream.error'];
    for (const type of types) source.addEventListener(type, ({lastEventId, data}) => {
        followed.ids.push(lastEventId);
        followed.bodies.push(data);
        if (type === 'turn.completed') { source.close(); followed.done(); }
    });
    followed.end = new Promise((resolve) => { followed.done = resolve; });
}"""


async def test_an_event_source_that_is_cut_off_goes_on_by_itself(
    serve_demo: Serve, chromium: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "RETRY", 10)
    opened = _opened(monkeypatch)
    async with serve_demo(environment={"QPTY_DEMO_PACE": "0.005"}) as served, page_of(chromium) as page:
        session_id = await served.session()
        await page.goto(served.url)
        await page.evaluate(FOLLOW, f"/api/v1/sessions/{session_id}/events")
        await served.manager.send(session_id, "words 400")
        for cuts in range(1, 6):
            await eventually(lambda: len(opened) == cuts)  # noqa: B023 — awaited in this round
            await _some_more(served, session_id)
            transport = opened[-1].transport
            assert transport is not None
            transport.abort()
        await asyncio.wait_for(page.evaluate("() => followed.end"), TIMEOUT)
        followed = await page.evaluate("() => ({...followed, end: null, done: null})")
        session = await served.loaded(session_id)
        await session.journal.durable()
        stored = await journal(served.manager.database, session_id)

    assert followed["opened"] == 6
    assert followed["ids"] == [str(number) for number in range(1, len(followed["ids"]) + 1)]
    assert [json.loads(body) for body in followed["bodies"]] == stored[: len(followed["bodies"])]
    assert len(followed["bodies"]) > 20


def _opened(monkeypatch: pytest.MonkeyPatch) -> list[web.Request]:
    """The requests of the streams that are opened from here on."""
    requests: list[web.Request] = []
    enter: Callable[[streaming.EventStream], Any] = streaming.EventStream.__aenter__

    async def entered(stream: streaming.EventStream) -> streaming.EventStream:
        requests.append(stream._request)
        found: streaming.EventStream = await enter(stream)
        return found

    monkeypatch.setattr(streaming.EventStream, "__aenter__", entered)
    return requests


async def _some_more(served: Served, session_id: str) -> None:
    """Wait until the journal has some events more than now."""
    session = await served.loaded(session_id)
    wanted = session.journal.durable_seq + 3
    await eventually(lambda: session.journal.durable_seq >= wanted)
