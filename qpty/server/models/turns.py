"""Messages, turns, questions and their answers."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from qpty.server.models.common import IN_DIGITS, Body, Json, Model, QueryFlag, Sparse, Time
from qpty.server.models.sessions import Session  # noqa: TC001 — pydantic looks at it

MessageText = Annotated[str, Field(validation_alias=AliasChoices("message", "text"), max_length=1 << 20)]


IdempotencyKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="Anything that no other message has. One of the session's newest 64 messages with the same key and "
        "text is the same message: it isn't sent again, and the answer is that one's. Its `turn.queued` has the key.",
    ),
]


class MessageSend(Body):
    """A message to a session."""

    message: MessageText
    """The text; `text` is taken, too."""
    idempotency_key: IdempotencyKey | None = None


class Chat(MessageSend):
    """A message, and the session it is for."""

    session_id: Annotated[str, Field(max_length=64)] | None = None
    """A new session is made if left out."""


class MessageAccepted(Model):
    """The message is durable and will be sent in its turn."""

    session_id: str
    turn_id: str
    seq: int
    """The number of its `turn.queued`: read the events after `seq - 1`."""


class ToolUse(Model):
    """One tool that was used in a turn."""

    tool_id: str
    name: str
    arguments: Json | None
    """Null where they were left out for their size; the journal has them."""
    outcome: Literal["ok", "error", "refused", "interrupted"] | None
    """Null while it runs, or waits."""


class ChatAnswer(Sparse):
    """A whole answer; or, with `question` and without `stop_reason`, what has to be answered first."""

    session_id: str
    turn_id: str
    text: str
    """With a question: what was said up to it."""
    exact: bool
    """Whether the text comes from the CLI's own record, and not from its screen."""
    stop_reason: Literal["end_turn", "interrupted"] | None
    tools: list[ToolUse]
    question: Json | None
    """The journal's `permission.requested` or `menu.requested`; then go on by `…/events`."""
    usage: Json
    timings: Json
    timestamp: Time


class Message(Model):
    """One message of a conversation."""

    message_id: str
    turn_id: str
    position: int
    role: Literal["user", "assistant"]
    text: str
    exact: bool
    tools: list[Json] | None
    created_at: Time


class MessageList(Model):
    """Messages in order."""

    session_id: str
    messages: list[Message]
    next: int | None
    """The `after` of the next page; null on the last one."""
    previous: int | None
    """The `before` of the page before this one; null where this is the beginning."""


class Export(Model):
    """A whole conversation."""

    session: Session
    messages: list[Message]


class MessageQuery(Model):
    """Which page."""

    after: Annotated[int, Field(ge=0, le=(1 << 31) - 1), IN_DIGITS] | None = None
    """The first messages after this position; from the beginning, if neither place is given."""
    before: Annotated[int, Field(ge=1, le=(1 << 31) - 1), IN_DIGITS] | None = None
    """The last messages before this position, in order too; 2147483647 gives the newest. Not with `after`."""
    limit: Annotated[int, Field(ge=1, le=1000), IN_DIGITS] = 100

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.after is not None and self.before is not None:
            raise ValueError("give after or before, not both")
        return self


class Turn(Model):
    """One turn."""

    turn_id: str
    session_id: str
    state: Literal["queued", "running", "completed", "failed"]
    stop_reason: str | None
    code: str | None
    """Of a failed turn."""
    detail: str | None
    retryable: bool | None
    created_at: Time
    started_at: Time | None
    ended_at: Time | None
    usage: Json | None
    timings: Json | None


class Interrupt(Body):
    """What to stop."""

    turn_id: Annotated[str, Field(max_length=64)] | None = None
    """A turn that runs or is queued; whatever runs, if left out."""


class Interrupted(Model):
    """Whether there was anything to stop."""

    interrupted: bool


class PermissionAnswer(Body):
    """The answer to a permission."""

    answer: Literal["allow", "refuse", "always"]
    """`always` trusts the tool for the rest of the session."""


class PermissionAnswered(Model):
    """The answer was typed."""

    request_id: str
    answer: Literal["allow", "refuse", "always"]


class MenuChoice(Body):
    """The choice from a menu."""

    index: Annotated[int, Field(ge=0, le=10_000)] | None
    """From 0; null leaves the menu."""


class MenuAnswered(Model):
    """The choice was typed."""

    request_id: str
    index: int | None


class EventsQuery(Model):
    """Which events."""

    after: Annotated[int, Field(ge=0, le=(1 << 53) - 1), IN_DIGITS] | None = None
    """Events after this number; the header `Last-Event-ID` is stronger. From the first that is kept, if left out."""
    follow: QueryFlag = True
    """Whether to go on with what comes; otherwise the answer ends with the newest event."""


class SocketQuery(Model):
    """Where to begin."""

    after: Annotated[int, Field(ge=0, le=(1 << 53) - 1), IN_DIGITS] | None = None
    """Follow the events after this number at once."""


class Markdown(Body):
    """A text to be rendered."""

    text: Annotated[str, Field(max_length=1 << 20)]


class RenderedMarkdown(Model):
    """A text as HTML, cut into blocks that are safe to be put into a page."""

    blocks: list[str]
