"""How an agent is started, as a value: what a person may choose for a session, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from qpty.agent.agent_file import SESSION_AGENT
from qpty.agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Mapping

PROMPT_BYTES: Final = 256 * 1024
"""Of a system prompt in UTF-8: it is sent with every message, and the CLI bounds what it sends by tokens only.

q takes and sends a megabyte. A coding agent's prompt and the rest of its tools' descriptions are some 50 kB.
"""

_NAME: Final = re.compile(r"[A-Za-z0-9@_][A-Za-z0-9@_.:/-]{0,127}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{20,128}")
_NO_NAME: Final = "is not a name: letters, digits and @ _ . : / - are, 128 of them at most"


class ProfileError(AgentError):
    """A profile has a value that can't be used; `field`, `value` (at most 80 characters of it) and `why` say which."""

    def __init__(self, field: str, value: str, why: str = _NO_NAME) -> None:
        self.field = field
        self.value = value[:80]
        self.why = why
        super().__init__(f"{field} {self.value!r} {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How an agent is started: its agent file's name, its model, its system prompt, its tools, what it may do unasked.

    `system_prompt` is a text of at most 256 KiB for the CLI's default agent, so `agent`, which has a prompt of its own,
    can't be given with it, nor with any of the three below. `trusted_tools` None leaves the CLI's own defaults;
    `trust_all_tools` lets every tool run unasked.

    `client_tools` is the unguessable last part (20–128 of A–Z a–z 0–9 _ -) of the address where this session's client
    has its tools served. Without `builtin_tools` none of the CLI's own tools does anything, so none can be trusted;
    with `attachments` besides, `fs_read` reads what is below the session's `attachments/`, and nothing else.
    """

    agent: str | None = None
    model: str | None = None
    system_prompt: str | None = None
    trusted_tools: tuple[str, ...] | None = None
    trust_all_tools: bool = False
    client_tools: str | None = field(default=None, repr=False)
    builtin_tools: bool = True
    attachments: bool = False

    def __post_init__(self) -> None:
        """Refuse what could be read as something else than a name, or is no prompt. Raises ProfileError."""
        for name, value in (("agent", self.agent), ("model", self.model)):
            if value is not None and not _NAME.fullmatch(value):
                raise ProfileError(name, value)
        for tool in self.trusted_tools or ():
            if not _NAME.fullmatch(tool):
                raise ProfileError("trusted tool", tool)
        if self.system_prompt is not None:
            _check_prompt(self.system_prompt)
        if self.client_tools is not None and not _TOKEN.fullmatch(self.client_tools):
            raise ProfileError(
                "client tools", "…", "are served under 20 to 128 letters, digits, _ and -: make a new name"
            )
        if self.agent is not None and self.own_agent:
            raise ProfileError(
                "agent", self.agent, "has a prompt and tools of its own: give an agent, or a system prompt and tools"
            )
        if not self.builtin_tools and (self.trust_all_tools or self.trusted_tools is not None):
            raise ProfileError("trusted tool", "*", "is switched off with all built-in tools: trust none")

    @property
    def own_agent(self) -> bool:
        """Whether the session has an agent file of its own (see `qpty.agent.agent_file`)."""
        return (
            self.system_prompt is not None
            or self.client_tools is not None
            or self.attachments
            or not self.builtin_tools
        )

    def options(self) -> tuple[str, ...]:
        """Return the options of the command line."""
        options: list[str] = []
        agent = SESSION_AGENT if self.own_agent else self.agent
        if agent is not None:
            options += ["--agent", agent]
        if self.model is not None:
            options += ["--model", self.model]
        if self.trust_all_tools:
            options.append("--trust-all-tools")
        elif self.trusted_tools is not None:
            options.append(f"--trust-tools={','.join(self.trusted_tools)}")
        return tuple(options)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, absent ones left out."""
        body: dict[str, Any] = {"agent": self.agent, "model": self.model, "system_prompt": self.system_prompt}
        body["trusted_tools"] = None if self.trusted_tools is None else list(self.trusted_tools)
        body["trust_all_tools"] = self.trust_all_tools or None
        body["client_tools"] = self.client_tools
        body["builtin_tools"] = None if self.builtin_tools else False
        body["attachments"] = self.attachments or None
        return {name: value for name, value in body.items() if value is not None}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Profile:
        """Return what `to_dict` gave. Raises ProfileError."""
        tools = body.get("trusted_tools")
        return cls(
            agent=body.get("agent"),
            model=body.get("model"),
            system_prompt=body.get("system_prompt"),
            trusted_tools=None if tools is None else tuple(tools),
            trust_all_tools=bool(body.get("trust_all_tools", False)),
            client_tools=body.get("client_tools"),
            builtin_tools=bool(body.get("builtin_tools", True)),
            attachments=bool(body.get("attachments", False)),
        )


def with_instruction(profile: Profile, text: str) -> Profile:
    """Return the profile with an instruction at the end of its system prompt, or as that if it has none.

    A profile with an agent of its own is returned as it is. Raises ProfileError if both together are too long.
    """
    if profile.agent is not None:
        return profile
    prompt = text if profile.system_prompt is None else f"{profile.system_prompt}\n\n{text}"
    return replace(profile, system_prompt=prompt)


def _check_prompt(prompt: str) -> None:
    """Refuse what can't be a system prompt. Raises ProfileError."""
    field = "system prompt"
    if not prompt.strip():
        raise ProfileError(field, prompt, "is empty: give a text, or leave it out")
    if "\0" in prompt:
        raise ProfileError(field, prompt, "has a NUL character: take it out")
    try:
        size = len(prompt.encode())
    except UnicodeEncodeError:
        raise ProfileError(field, prompt, "has half a surrogate pair: give text that is valid Unicode") from None
    if size > PROMPT_BYTES:
        raise ProfileError(field, prompt, f"(and so on) has {size} bytes of UTF-8: at most {PROMPT_BYTES} are taken")
