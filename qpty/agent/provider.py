"""What sessions know of agents: a protocol, and the provider that makes agents and knows their recorded conversations.

Another transport to the same CLI (its successor speaks a structured protocol, too) is another provider; nothing above
this room changes.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from qpty.agent import process_tree
from qpty.agent.driver import TerminalAgent
from qpty.agent.errors import AgentError
from qpty.agent.history import cut_document
from qpty.agent.record import ConversationRecord

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    from qpty.agent.history import Exchange
    from qpty.agent.spec import AgentSpec
    from qpty.core.deadlines import Deadlines
    from qpty.core.events import Answer, Event, Exited, MenuRequested, PermissionRequested
    from qpty.core.record import RecordMark
    from qpty.core.states import State
    from qpty.core.terminal import ScreenSnapshot

SERVER_VARIABLE: Final = "QPTY_SERVER"
"""Marks every process of one data directory's server, so that the next server can end what a killed one left."""

ORPHAN_ROUNDS: Final = 5
"""What forks while it is being ended is found in the next round."""

_NAME: Final = re.compile(r"[A-Za-z0-9@_][A-Za-z0-9@_.:/-]{0,127}")


class ProfileError(AgentError):
    """A profile has a value that can't be an option of the command line; `field` and `value` say which."""

    def __init__(self, field: str, value: str) -> None:
        self.field = field
        self.value = value
        super().__init__(
            f"{field} {value[:80]!r} is not a name: letters, digits and @ _ . : / - are, 128 of them at most"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How an agent is started: its agent file's name, its model, and the tools that run without a question.

    `trusted_tools` None leaves the CLI's own defaults; `trust_all_tools` lets every tool run unasked.
    """

    agent: str | None = None
    model: str | None = None
    trusted_tools: tuple[str, ...] | None = None
    trust_all_tools: bool = False

    def __post_init__(self) -> None:
        """Refuse what could be read as something else than a name. Raises ProfileError."""
        for field, value in (("agent", self.agent), ("model", self.model)):
            if value is not None and not _NAME.fullmatch(value):
                raise ProfileError(field, value)
        for tool in self.trusted_tools or ():
            if not _NAME.fullmatch(tool):
                raise ProfileError("trusted tool", tool)

    def options(self) -> tuple[str, ...]:
        """Return the options of the command line."""
        options: list[str] = []
        if self.agent is not None:
            options += ["--agent", self.agent]
        if self.model is not None:
            options += ["--model", self.model]
        if self.trust_all_tools:
            options.append("--trust-all-tools")
        elif self.trusted_tools is not None:
            options.append(f"--trust-tools={','.join(self.trusted_tools)}")
        return tuple(options)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, absent ones left out."""
        body: dict[str, Any] = {"agent": self.agent, "model": self.model}
        body["trusted_tools"] = None if self.trusted_tools is None else list(self.trusted_tools)
        body["trust_all_tools"] = self.trust_all_tools or None
        return {name: value for name, value in body.items() if value is not None}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Profile:
        """Return what `to_dict` gave. Raises ProfileError."""
        tools = body.get("trusted_tools")
        return cls(
            agent=body.get("agent"),
            model=body.get("model"),
            trusted_tools=None if tools is None else tuple(tools),
            trust_all_tools=bool(body.get("trust_all_tools", False)),
        )


class Agent(Protocol):
    """A running agent, as a session sees it. `qpty.agent.driver.TerminalAgent` says what each does."""

    exited: Exited | None

    @property
    def state(self) -> State:
        """Its state; a message may be sent in `ready` only."""

    @property
    def question(self) -> PermissionRequested | MenuRequested | None:
        """The open question."""

    @property
    def pid(self) -> int | None:
        """Its process id."""

    @property
    def mark(self) -> RecordMark | None:
        """Where its recorded conversation stood when it was last read."""

    @property
    def screen(self) -> ScreenSnapshot:
        """What a person would see now."""

    async def start(self) -> None:
        """Start, and wait for the first prompt."""

    async def send(self, text: str, *, turn_id: str) -> None:
        """Send a message. Raises NotReadyError."""

    async def answer(self, request_id: str, answer: Answer) -> None:
        """Answer the open permission. Raises QuestionMismatchError."""

    async def choose(self, request_id: str, index: int | None) -> None:
        """Choose from the open menu. Raises QuestionMismatchError."""

    async def interrupt(self) -> None:
        """Stop the running turn."""

    async def take_up(self, history: Sequence[Exchange] | Mapping[str, Any] | None = None) -> RecordMark:
        """Take up a conversation without a model call."""

    def resize(self, *, columns: int, lines: int) -> None:
        """Change the size."""

    def events(self) -> AsyncGenerator[Event, None]:
        """Yield what happens, to one reader."""

    def discard_events(self) -> None:
        """Forget the events that nobody has read."""

    def describe(self) -> str:
        """Return where things stand."""

    async def close(self) -> None:
        """End it and everything that belongs to it."""


class AgentProvider(Protocol):
    """Makes agents, and knows the conversations that they recorded. The blocking methods are for a thread."""

    @property
    def kind(self) -> str:
        """Which agent it is."""

    def agent(self, profile: Profile, directory: Path, *, columns: int, lines: int) -> Agent:
        """Make an agent that is not started."""

    def continues(self, directory: Path, mark: RecordMark) -> bool:
        """Whether the recorded conversation is the marked one."""

    def cut(self, directory: Path, *, length: int, message_id: str | None) -> str:
        """Give the recorded conversation up to an entry, as JSON."""

    async def end_orphans(self) -> int:
        """End what an earlier server left behind."""


class TerminalProvider:
    """Agents in terminals: each a `TerminalAgent` started as `spec` says."""

    def __init__(self, spec: AgentSpec, *, server_id: str, deadlines: Deadlines | None = None) -> None:
        self.spec = replace(spec, environment={**spec.environment, SERVER_VARIABLE: server_id})
        self._server_id = server_id
        self._deadlines = deadlines

    @property
    def kind(self) -> str:
        """`q`, `kiro-cli` or `demo`."""
        return self.spec.kind

    def agent(self, profile: Profile, directory: Path, *, columns: int, lines: int) -> TerminalAgent:
        """Make an agent; it isn't started."""
        return TerminalAgent(
            self.spec,
            directory=directory,
            options=profile.options(),
            columns=columns,
            lines=lines,
            deadlines=self._deadlines,
        )

    def continues(self, directory: Path, mark: RecordMark) -> bool:
        """Whether the directory's recorded conversation is the marked one, perhaps with more after the mark.

        A compaction rewrites the history and keeps the conversation's id. Blocks some milliseconds. Raises RecordError.
        """
        found = ConversationRecord(self.spec.database, directory).since(mark)
        if found.rewritten:
            return found.mark.length > 0 and found.mark.conversation_id == mark.conversation_id
        return mark.length > 0 or found.mark.length > 0

    def cut(self, directory: Path, *, length: int, message_id: str | None) -> str:
        """Give the directory's conversation up to its entry `length` as JSON, to be taken up by a fork.

        Blocks some milliseconds. Raises RecordError, HistoryCutError.
        """
        document, _ = ConversationRecord(self.spec.database, directory).document()
        return json.dumps(cut_document(document, length=length, message_id=message_id), ensure_ascii=False)

    async def end_orphans(self) -> int:
        """End every process that an earlier server of the same data directory left behind; how many there were."""
        ended = 0
        for _ in range(ORPHAN_ROUNDS):
            marked = process_tree.marked(self._server_id, variable=SERVER_VARIABLE)
            # A server that was itself started by an agent's tool carries a mark, too.
            orphans = {process for process in marked if process.pid != os.getpid()}
            if not orphans:
                break
            ended += len((await process_tree.end_processes(orphans)).ended)
        return ended
