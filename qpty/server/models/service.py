"""The service itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from qpty.server.models.common import Body, Model, Time


class Agent(Model):
    """Which agent answers."""

    kind: Literal["q", "kiro-cli", "demo"]
    version: str | None
    """What it says of itself; null if it doesn't."""


class Pool(Model):
    """The pool of workers."""

    max_workers: int
    live: int
    idle: int
    warm: int
    running: int
    waiting: int


class Health(Model):
    """Whether the service can serve."""

    status: Literal["ok", "unavailable"]
    qcli_available: bool
    """Whether a real CLI runs, and not the demo agent."""
    active_sessions: int
    """Sessions with a live terminal, or a turn."""
    timestamp: Time
    version: str
    agent: Agent
    pool: Pool
    problems: list[str]
    """Why it can't serve; empty if it can."""


class ServiceInfo(Model):
    """What this is, and where things are."""

    name: str
    version: str
    agent: Agent
    documentation: str
    openapi: str
    health: str
    sessions: str


class LoginForm(Body):
    """The form of the sign-in page."""

    key: Annotated[str, Field(min_length=1, max_length=1000)]


class LoginQuery(Model):
    """Where a sign-in leads."""

    next: Annotated[str, Field(max_length=200)] = "/"
    """The path of the page; the first one, if it is none of the page's."""


class LoginLink(Model):
    """A link that signs one browser in, once."""

    url: str
    expires_at: Time
