"""What the core says happened: past tense, frozen, with the names of the journal.

`type` is the name that the journal, SSE, WebSocket and the page use. `turn_id` is the id that the caller gave with the
message, None outside a turn. The journal adds `seq` and `time`; nothing here does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Answer = Literal["allow", "refuse", "always"]
ToolOutcome = Literal["ok", "error", "refused", "interrupted"]
StopReason = Literal["end_turn", "interrupted"]
FailureCode = Literal[
    "not_signed_in",
    "sign_in_expired",
    "rate_limited",
    "monthly_limit",
    "context_overflow",
    "account_suspended",
    "access_denied",
    "upstream_error",
    "model_overloaded",
    "agent_crashed",
    "worker_lost",
    "timeout",
    "unknown",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The base of all events."""

    type: ClassVar[str] = "event"
    turn_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the event as the journal writes it: a JSON object with `type` first, absent values left out."""
        body: dict[str, Any] = {"type": self.type}
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None and item.name in {"turn_id", "server", "purpose", "seconds"}:
                continue
            body[item.name] = list(value) if isinstance(value, tuple) else value
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState(Event):
    """The state of the terminal changed; `detail` says why where it isn't plain."""

    type: ClassVar[str] = "session.state"
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted(Event):
    """A message was typed; `text` is what the model is sent, `changes` names what had to be changed for that."""

    type: ClassVar[str] = "turn.started"
    text: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDelta(Event):
    """More live text of a segment, as typed on the screen, known losses repaired where they are certain."""

    type: ClassVar[str] = "message.delta"
    segment: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCompleted(Event):
    """A segment ended. `exact` text comes from the CLI's own record; otherwise it is what the screen showed."""

    type: ClassVar[str] = "message.completed"
    segment: int
    text: str
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted(Event):
    """The model called a tool. `arguments` come from the record; None where it could not be read."""

    type: ClassVar[str] = "tool.started"
    tool_id: str
    name: str
    arguments: Mapping[str, Any] | None
    trusted: bool
    server: str | None = None
    purpose: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutput(Event):
    """Whole lines that a tool printed, cleaned of control sequences. Untrusted text."""

    type: ClassVar[str] = "tool.output"
    tool_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCompleted(Event):
    """A tool ended, as the CLI reported it; `seconds` is its own figure where it gave one."""

    type: ClassVar[str] = "tool.completed"
    tool_id: str
    outcome: ToolOutcome
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionRequested(Event):
    """The CLI asks whether a tool may run. `arguments` come from the record, never from the screen.

    `certain` is false where it isn't known what an answer allows. Where several calls wait and their arguments could
    have disturbed the screen that tells which one is meant, `arguments` is all that an answer could allow:
    `{"tool_calls": [{"name", "arguments"}, …]}`. Where the record could not be read it is None, and `name` is the
    screen's.
    """

    type: ClassVar[str] = "permission.requested"
    request_id: str
    tool_id: str
    name: str
    arguments: Mapping[str, Any] | None
    certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionAnswered(Event):
    """A permission was answered."""

    type: ClassVar[str] = "permission.answered"
    request_id: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuRequested(Event):
    """The CLI shows a menu: its title and its options in order."""

    type: ClassVar[str] = "menu.requested"
    request_id: str
    title: str
    options: tuple[str, ...]
    selected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuAnswered(Event):
    """A menu was answered with the option at `index` (from 0), or left (None)."""

    type: ClassVar[str] = "menu.answered"
    request_id: str
    index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Event):
    """Something that a person should know and that ends nothing: a retry, a compaction, a doubt."""

    type: ClassVar[str] = "notice"
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCompleted(Event):
    """The turn ended well. `text` is all that the model said, its segments joined by a blank line.

    `evidence` names what proved the end. `usage` counts what the record tells (`model_calls`, `prompt_characters`,
    `answer_characters`); `timings` are seconds since the message was typed.
    """

    type: ClassVar[str] = "turn.completed"
    stop_reason: StopReason
    evidence: tuple[str, ...]
    text: str
    exact: bool
    usage: Mapping[str, int] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFailed(Event):
    """The turn ended badly, with a code of the design and what the CLI said.

    `recycle` says that this process should be replaced before the next message: it would crash, or wait out a back-off.
    """

    type: ClassVar[str] = "turn.failed"
    code: FailureCode
    message: str
    retryable: bool
    evidence: tuple[str, ...]
    recycle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCompleted(Event):
    """A command of qpty's own (`/load …`) was carried out; `text` is what the CLI printed."""

    type: ClassVar[str] = "command.completed"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited(Event):
    """The process ended: its exit code, or the signal that ended it; `text` is the last it printed outside a turn."""

    type: ClassVar[str] = "agent.exited"
    code: int | None
    signal: int | None
    text: str
    failure: FailureCode | None = None
