"""What a new session may be given."""

from __future__ import annotations

from qpty.server.models.common import Model


class AgentChoice(Model):
    """One agent file of the CLI's."""

    name: str
    """What `agent` of a new session takes."""
    description: str


class ToolChoice(Model):
    """One tool of the CLI's."""

    name: str
    """What `trusted_tools` of a new session takes."""
    description: str


class SessionDefaults(Model):
    """What a new session has where its request says nothing."""

    agent: str | None
    model: str | None
    system_prompt: str | None
    trusted_tools: list[str] | None
    """Null leaves the CLI's own defaults."""
    trust_all_tools: bool
    columns: int
    lines: int


class AgentChoices(Model):
    """What a new session may be given. Other names may be given, too: the CLI says no where it doesn't know them."""

    kind: str
    """`q`, `kiro-cli` or `demo`."""
    agents: list[AgentChoice]
    """The agent files in the home of the person that qpty runs as."""
    models: list[str]
    """Its default first; or else those that your sessions were given, the latest first."""
    models_complete: bool
    """Whether the CLI itself named the models."""
    tools: list[ToolChoice]
    """Its own; those of MCP servers aren't known before it runs."""
    defaults: SessionDefaults
