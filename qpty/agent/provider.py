"""What sessions know of agents: a protocol, and the provider that makes agents and knows their recorded conversations.

Another transport to the same CLI (its successor speaks a structured protocol, too) is another provider; nothing above
this room changes.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from qpty.agent import process_tree
from qpty.agent.agent_file import agent_file, agent_file_path
from qpty.agent.driver import TerminalAgent
from qpty.agent.history import cut_document, import_document
from qpty.agent.profile import Profile, ProfileError, with_instruction
from qpty.agent.record import ConversationRecord
from qpty.core.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
    from pathlib import Path

    from qpty.agent.history import Exchange
    from qpty.agent.observing import TerminalObserver
    from qpty.agent.spec import AgentSpec
    from qpty.core.deadlines import Deadlines
    from qpty.core.events import Answer, Event, Exited, MenuRequested, PermissionRequested
    from qpty.core.record import RecordedEntry, RecordedTool, RecordMark
    from qpty.core.states import State
    from qpty.core.terminal import ScreenSnapshot

__all__ = [
    "SERVER_VARIABLE",
    "Agent",
    "AgentProvider",
    "Profile",
    "ProfileError",
    "TerminalProvider",
    "with_instruction",
]

SERVER_VARIABLE: Final = "QPTY_SERVER"
"""Marks every process of one data directory's server, so that the next server can end what a killed one left."""

ORPHAN_ROUNDS: Final = 5
"""What forks while it is being ended is found in the next round."""


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

    @property
    def screen_version(self) -> int:
        """A number that is another one whenever the screen has changed."""

    async def wait_for_screen(self, version: int) -> int:
        """Wait until the version is another one, and return it. Raises AgentGoneError when none will come."""

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

    async def type_keys(self, data: bytes) -> None:
        """Type what a person types by hand. Raises NotReadyError, WriteQueueFullError."""

    async def read_mark(self) -> RecordMark | None:
        """Read where its recorded conversation stands now, if there is one. Raises RecordError."""

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
    """Makes agents, and knows the conversations that they recorded. The blocking methods are for a thread.

    Who starts an agent first puts the profile's `files` into its directory, each time: a tool may have changed them.
    """

    @property
    def kind(self) -> str:
        """Which agent it is."""

    @property
    def own_files(self) -> Collection[str]:
        """The paths that `files` may name, whatever the profile: a directory with nothing else in it is empty."""

    def files(self, profile: Profile, directory: Path) -> Mapping[str, bytes]:
        """Give what has to be in the agent's directory when it is started: relative paths and contents."""

    def agent(
        self,
        profile: Profile,
        directory: Path,
        *,
        columns: int,
        lines: int,
        observer: TerminalObserver | None = None,
    ) -> Agent:
        """Make an agent that is not started; `observer` is told what its terminal shows."""

    def terminal(self, *, columns: int, lines: int) -> Terminal:
        """Make an empty terminal, to play what an agent printed."""

    def continues(self, directory: Path, mark: RecordMark) -> bool:
        """Whether the recorded conversation is the marked one."""

    def cut(self, directory: Path, *, length: int, message_id: str | None) -> str:
        """Give the recorded conversation up to an entry, as JSON."""

    def imported(self, entries: Sequence[RecordedEntry], *, directory: Path, base: str | None = None) -> str:
        """Give a conversation that has `base` (as `cut` gives it) and then these entries, as JSON."""

    def last_calls(self, directory: Path) -> Sequence[RecordedTool]:
        """Give the calls that the newest recorded answer ended with; they wait for their results."""

    async def end_orphans(self) -> int:
        """End what an earlier server left behind."""


class TerminalProvider:
    """Agents in terminals: each a `TerminalAgent` started as `spec` says.

    `tools_url` is the address below which clients' tools are served (`http://127.0.0.1:PORT/mcp`): set before the first
    session with `client_tools` is started.
    """

    def __init__(self, spec: AgentSpec, *, server_id: str, deadlines: Deadlines | None = None) -> None:
        self.spec = replace(spec, environment={**spec.environment, SERVER_VARIABLE: server_id})
        self.tools_url: str | None = None
        self._server_id = server_id
        self._deadlines = deadlines

    @property
    def kind(self) -> str:
        """`q`, `kiro-cli` or `demo`."""
        return self.spec.kind

    @property
    def own_files(self) -> Collection[str]:
        """The agent file that has a session's system prompt and tools."""
        return (agent_file_path(self.spec.dialect.agents_directory),)

    def files(self, profile: Profile, directory: Path) -> Mapping[str, bytes]:
        """Give the agent file of a profile with a prompt or tools of its own; `--agent` names it.

        Looks at the directory's path. Raises AgentFileError.
        """
        if not profile.own_agent:
            return {}
        content = agent_file(profile, directory=directory, tools_url=self.tools_url)
        return {agent_file_path(self.spec.dialect.agents_directory): content}

    def agent(
        self,
        profile: Profile,
        directory: Path,
        *,
        columns: int,
        lines: int,
        observer: TerminalObserver | None = None,
    ) -> TerminalAgent:
        """Make an agent; it isn't started. The profile's `files` must be in the directory when it is."""
        return TerminalAgent(
            self.spec,
            directory=directory,
            options=profile.options(),
            columns=columns,
            lines=lines,
            deadlines=self._deadlines,
            observer=observer,
        )

    def terminal(self, *, columns: int, lines: int) -> Terminal:
        """Make an empty terminal that leaves the CLI's spinner out, as a live one does. Raises ValueError."""
        dialect = self.spec.dialect
        return Terminal(columns=columns, lines=lines, frames=dialect.spinner_frames, words=dialect.spinner_words)

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

    def imported(self, entries: Sequence[RecordedEntry], *, directory: Path, base: str | None = None) -> str:
        """Give a conversation that has `base` (as `cut` gives it) and then these entries as JSON, to be taken up.

        `directory` is that of the session that takes it up. `qpty.agent.history.import_document` says what the model is
        sent of it. Blocks some milliseconds. Raises HistoryError.
        """
        earlier = None if base is None else json.loads(base)
        return json.dumps(import_document(entries, directory=directory, base=earlier), ensure_ascii=False)

    def last_calls(self, directory: Path) -> Sequence[RecordedTool]:
        """Give the calls that the newest answer of the directory's conversation ended with, in the model's order.

        None for a final answer, and without a conversation. The record has them before the first of them is run. Blocks
        some milliseconds. Raises RecordError.
        """
        return ConversationRecord(self.spec.database, directory).last_calls()

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
