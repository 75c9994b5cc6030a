"""What every route uses, in one place, and how a route finds it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from aiohttp import web

from qpty.rendering.renderer import Renderer
from qpty.server.under_way import UnderWay

if TYPE_CHECKING:
    from collections.abc import Callable

    from qpty.compat.gateway import Gateway
    from qpty.compat.model_names import ModelNames
    from qpty.server.access.identity import Access
    from qpty.server.access.rate import RateLimiter, StreamSlots
    from qpty.server.metrics import Metrics
    from qpty.server.models.service import Agent
    from qpty.server.settings import Settings
    from qpty.sessions.manager import SessionManager


@dataclass(frozen=True, kw_only=True)
class Service:
    """One running service.

    `instruction` is put at the end of every system prompt that a request gives; the manager's default profile has it.
    """

    manager: SessionManager
    gateway: Gateway
    model_names: ModelNames
    settings: Settings
    access: Access
    rate: RateLimiter
    streams: StreamSlots
    metrics: Metrics
    agent: Agent
    instruction: str | None = None
    under_way: UnderWay = field(default_factory=UnderWay)
    renderer: Renderer = field(default_factory=Renderer)
    clock: Callable[[], float] = field(default=time.time)


SERVICE: Final = web.AppKey("service", Service)
OWNER: Final = web.RequestKey("owner", str)
"""Whose sessions a request may see."""
CLIENT: Final = web.RequestKey("client", str)
"""Whom the limits count a request for: a key, or an address without one."""
REQUEST_ID: Final = web.RequestKey("request_id", str)
KEY_ID: Final = web.RequestKey("key_id", str)
"""The key that stands behind a request, where there is one."""
STARTED: Final = web.RequestKey("started", bool)
"""Whether the answer has begun: no other one can be given any more."""
FOREIGN_ORIGIN: Final = web.RequestKey("foreign_origin", str)
"""The origin of a page elsewhere that the settings allow."""
