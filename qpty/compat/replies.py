"""What a client is answered, whichever interface it speaks, and how an interface writes it down.

An answer is pieces of text, perhaps calls of the client's tools, and an ending; or a problem. A `ReplyWriter` makes an
interface's own objects of them: frames of a stream as they come, or one object at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qpty.compat.requests import Request, ToolCall

EndingReason = Literal["end", "tools", "length", "stop"]
"""The model was done; it calls tools; `max_tokens` was reached; one of the `stop` texts came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens, estimated (see `qpty.compat.usage`)."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an answer ended. `stop_text` is the one that came, with `stop` only; it isn't part of the text."""

    reason: EndingReason
    usage: Usage
    stop_text: str | None = None


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls that an answer ends with; what follows is its ending."""

    calls: Sequence[ToolCall]


Piece = str | Calls | Ending
"""Of an answer, in order: texts, none of them empty; calls, if there are any; the ending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why there is no answer, or no more of it.

    `status` and `code` are this server's own (`qpty.server.statuses`), `param` the field of the request that is meant.
    `request_id` is also in the answer's headers.
    """

    status: int
    code: str
    message: str
    request_id: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event: `data` is a JSON object, or a text as it is (`[DONE]`); `event` its name, if it has one.

    `data` is sent in one line.
    """

    data: Mapping[str, Any] | str
    event: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyHead:
    """What is known before the answer begins.

    `id` is the answer's, with the interface's own prefix; `created` in whole seconds since 1970; `model` the name that
    the client gave; `request` what it asked; `input_tokens` an estimate.
    """

    id: str
    created: int
    model: str
    request: Request
    input_tokens: int


class ReplyWriter(Protocol):
    """Writes one answer. For a stream: `opening`, then `text` and `tool_calls` as they come, then `closing`.

    `failure` ends a stream whose opening was sent, instead of `closing`. `whole` is for an answer in one piece and used
    without the others. Made with a `ReplyHead`; used once.
    """

    def opening(self) -> Sequence[Frame]:
        """Begin a stream."""

    def keep_alive(self) -> bytes:
        """Return what keeps a silent stream open, as the bytes to send."""

    def text(self, text: str) -> Sequence[Frame]:
        """Write more text; never empty."""

    def tool_calls(self, calls: Sequence[ToolCall]) -> Sequence[Frame]:
        """Write the calls of tools that the answer ends with; at most once."""

    def closing(self, ending: Ending) -> Sequence[Frame]:
        """End a stream."""

    def failure(self, problem: Problem) -> Sequence[Frame]:
        """End a stream that can't go on."""

    def whole(self, text: str, calls: Sequence[ToolCall], ending: Ending) -> Mapping[str, Any]:
        """Return the answer as one object."""
