"""Sources of events over the network, for readers that are cut off: server-sent events and WebSockets."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from qpty.compat.gateway import Gateway
from qpty.compat.model_names import ModelNames
from qpty.server.access.cookies import CookieSigner
from qpty.server.access.identity import Access
from qpty.server.access.keys import KeyStore
from qpty.server.access.links import LoginLinks
from qpty.server.access.rate import RateLimiter, StreamSlots
from qpty.server.metrics import Metrics
from qpty.server.models.service import Agent
from qpty.server.service import Service
from qpty.server.settings import load_settings
from tests.server.served import listening

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence
    from pathlib import Path

    from tests.crashes.readers import Source
    from tests.sessions.house import House

NETWORK_TURNS: Final = 400
"""Turns of the loop after which a reader that waits is cut off, at most: a connection takes some dozens."""


def service_over(home: House, work: Path, **settings: Any) -> Service:
    """A service over a manager that runs already."""
    loaded = load_settings(environment={}, directory=work, rate_limit=0, **settings)
    return Service(
        manager=home.manager,
        gateway=Gateway(home.manager),
        model_names=ModelNames((), default=None, strict=False),
        settings=loaded,
        access=Access(KeyStore(work / "keys.json"), CookieSigner(b"x" * 32), LoginLinks(), open_address=False),
        rate=RateLimiter(0),
        streams=StreamSlots(1000),
        metrics=Metrics(home.manager),
        agent=Agent(kind="demo", version=None),
    )


@asynccontextmanager
async def over(home: House, work: Path) -> AsyncIterator[Sequence[Source]]:
    """Serve a manager; a source of server-sent events, and one of WebSocket frames."""
    async with listening(service_over(home, work)) as url, aiohttp.ClientSession() as http:

        async def server_sent(session_id: str, after: int) -> AsyncGenerator[dict[str, Any], None]:
            headers = {"Last-Event-ID": str(after)}
            async with http.get(f"{url}/api/v1/sessions/{session_id}/events", headers=headers) as response:
                assert response.status == 200, await response.text()
                unread = b""
                async for data in response.content.iter_any():
                    *events, unread = (unread + data).split(b"\n\n")
                    for event in events:
                        for line in event.split(b"\n"):
                            if line.startswith(b"data: "):
                                yield json.loads(line[6:])

        async def frames(session_id: str, after: int) -> AsyncGenerator[dict[str, Any], None]:
            address = f"{url}/api/v1/sessions/{session_id}/ws?after={after}"
            async with http.ws_connect(address) as socket:
                try:
                    async for message in socket:
                        event = json.loads(message.data)
                        if event["type"] != "hello":
                            yield event
                finally:
                    socket._response.close()  # cut, not closed: no word to the server

        yield server_sent, frames
