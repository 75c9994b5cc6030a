"""The frames of a session's WebSocket, each one JSON object. Journal events come as the journal has them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from qpty.server.models.common import Body, ErrorDetail, Json, Model, Sparse, Time
from qpty.server.models.sessions import Run  # noqa: TC001 — pydantic reads it
from qpty.server.models.turns import IdempotencyKey  # noqa: TC001

EventType = Literal[
    "session.state", "session.revived", "turn.queued", "turn.started", "turn.completed", "turn.failed", "message.delta",
    "message.completed", "tool.started", "tool.output", "tool.completed", "permission.requested",
    "permission.answered", "menu.requested", "menu.answered", "notice", "journal.reset",
]  # fmt: skip

Ref = Annotated[str, Field(max_length=200)] | int
"""Anything of the client's; the acknowledgement repeats it."""


class Frame(Body):
    """The base of what a client sends."""

    ref: Ref | None = None


class MessageFrame(Frame):
    """Send a message. If nothing is followed yet, its turn's events are followed from here on."""

    type: Literal["message"]
    text: Annotated[str, Field(max_length=1 << 20)]
    idempotency_key: IdempotencyKey | None = None


class AnswerFrame(Frame):
    """Answer a permission."""

    type: Literal["answer"]
    request_id: Annotated[str, Field(max_length=200)]
    answer: Literal["allow", "refuse", "always"]


class ChooseFrame(Frame):
    """Choose from a menu; null leaves it."""

    type: Literal["choose"]
    request_id: Annotated[str, Field(max_length=200)]
    index: Annotated[int, Field(ge=0, le=10_000)] | None


class InterruptFrame(Frame):
    """Stop the running turn, or the one named."""

    type: Literal["interrupt"]
    turn_id: Annotated[str, Field(max_length=64)] | None = None


class ResizeFrame(Frame):
    """Change the terminal's size."""

    type: Literal["resize"]
    columns: Annotated[int, Field(ge=20, le=500)]
    lines: Annotated[int, Field(ge=5, le=500)]


class FollowFrame(Frame):
    """Have the events after a number, and those that come; an earlier `follow` ends."""

    type: Literal["follow"]
    after: Annotated[int, Field(ge=0, le=(1 << 53) - 1)]
    compact: bool = False
    """Leave out the deltas of the past whose segment was completed, and join others that are neighbours."""
    rendered: bool = False
    """Send the answers' markdown as HTML blocks, too: see `RenderedFrame`."""


class PingFrame(Frame):
    """Have an acknowledgement, and so know that the connection is alive: browsers don't tell of WebSocket pings."""

    type: Literal["ping"]


class ScreenFrame(Frame):
    """Have the screen, and what changes on it, at most 15 times a second; or no more."""

    type: Literal["screen"]
    watch: bool = True


class KeyboardFrame(Frame):
    """Take the keyboard of the live terminal over, or give it back. One socket has it at a time."""

    type: Literal["keyboard"]
    take: bool


class KeysFrame(Frame):
    """Type at the terminal whose keyboard was taken: characters and escape sequences, as a terminal sends them."""

    type: Literal["keys"]
    text: Annotated[str, Field(min_length=1, max_length=4096)]


ClientFrame = (
    MessageFrame | AnswerFrame | ChooseFrame | InterruptFrame | ResizeFrame | FollowFrame | ScreenFrame | KeyboardFrame
    | KeysFrame | PingFrame
)  # fmt: skip

CLIENT_FRAME: TypeAdapter[ClientFrame] = TypeAdapter(Annotated[ClientFrame, Field(discriminator="type")])


class Keyboard(Model):
    """Who types at the terminal by hand, as a socket begins."""

    taken: bool
    allowed: bool
    """Whether this socket may take it."""


class HelloFrame(Model):
    """The first frame: where the session stands."""

    type: Literal["hello"] = "hello"
    session_id: str
    state: str
    last_seq: int
    turn_id: str | None
    question: Json | None
    keyboard: Keyboard


class AckFrame(Sparse):
    """A frame was carried out. Of a message: its turn's id and the number of its `turn.queued`."""

    type: Literal["ack"] = "ack"
    ref: Ref | None
    of: str
    """The type of the frame."""
    turn_id: str | None = None
    seq: int | None = None
    interrupted: bool | None = None


class EventFrame(Sparse):
    """An event of the journal; its further fields are those of its type."""

    model_config = ConfigDict(extra="allow")

    type: EventType
    time: Time
    seq: int | None = None
    """Its number; a `journal.reset` has none."""
    turn_id: str | None = None


class RenderedFrame(Model):
    """A part of an answer as HTML: of this segment, the blocks from `first` on are to be these, and no others.

    With those before they show the text up to `upto`; what came since is in the events. It is safe to be put into a
    page: a short list of elements and attributes, no scripts, no styles, nothing loaded from elsewhere.
    """

    type: Literal["rendered"] = "rendered"
    turn_id: str
    segment: int
    first: int
    blocks: list[str]
    upto: int
    """In UTF-16 code units, as JavaScript counts."""
    complete: bool
    """Whether the segment is rendered to its end."""


class ScreenUpdateFrame(Model):
    """The screen: whole, or the rows that changed."""

    type: Literal["screen"] = "screen"
    full: bool
    """Whether all rows are here, of a new screen."""
    live: bool
    """Whether there is a live terminal."""
    columns: int
    lines: int
    cursor_column: int
    cursor_line: int
    cursor_hidden: bool
    title: str
    rows: dict[str, list[Run]]
    """By their number, from 0."""


class KeyboardStateFrame(Model):
    """The keyboard was taken, or given back; and how it stands, as the screen begins to be watched."""

    type: Literal["keyboard"] = "keyboard"
    taken: bool
    mine: bool
    """Whether this socket has it."""
    allowed: bool
    """Whether this socket may take it."""


class ErrorFrame(Sparse):
    """A frame was refused; nothing of it was carried out."""

    type: Literal["error"] = "error"
    ref: Ref | None
    error: ErrorDetail
