"""Answers that ended with calls, by their ids: what `previous_response_id` means while the calls have no results.

The end of such a turn isn't remembered in the database, since it has none yet. So a request that goes on from there is
made whole here: with the messages of the request that was answered, and the answer. A restart forgets them.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from qpty.compat.requests import Message, RequestError, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpty.compat.requests import Request

KEPT: Final = 256
KEPT_BYTES: Final = 64 << 20
"""Of all answers that are kept: what their pictures and texts hold."""


@dataclass(frozen=True, slots=True)
class _Reply:
    messages: tuple[Message, ...]
    previous_response_id: str | None
    size: int


class PausedReplies:
    """The newest answers of Responses that ended with calls."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], _Reply] = OrderedDict()
        """Whose it is, and its id → the answer: another owner's id means nothing."""
        self._size = 0

    def remember(self, reply_id: str, request: Request, text: str, calls: Sequence[ToolCall], *, owner: str) -> None:
        """Keep an answer; of the other interfaces, whose clients send whole conversations, none is kept."""
        if request.interface != "responses":
            return
        said = (Text(text),) if text else ()
        messages = (*request.messages, Message("assistant", (*said, *calls)))
        reply = _Reply(messages, request.previous_response_id, sum(map(_size, messages)))
        self._kept[owner, reply_id] = reply
        self._size += reply.size
        while len(self._kept) > KEPT or (self._size > KEPT_BYTES and len(self._kept) > 1):
            self._size -= self._kept.popitem(last=False)[1].size

    def whole(self, request: Request, *, owner: str) -> Request:
        """Return a request that goes on from a kept answer with the messages before it; any other as it is.

        Raises RequestError if not just that answer's calls have their results.
        """
        reply = self._kept.get((owner, request.previous_response_id or ""))
        if reply is None:
            return request
        called = [part.id for part in reply.messages[-1].parts if isinstance(part, ToolCall)]
        returned = {part.call_id for part in request.messages[0].parts if isinstance(part, ToolResult)}
        if missing := [call_id for call_id in called if call_id not in returned]:
            raise RequestError(f"No tool output found for function call {missing[0]}.", param="input")
        if unknown := returned.difference(called):
            raise RequestError(f"No tool call found for function call output {min(unknown)[:64]}.", param="input")
        return replace(
            request,
            messages=(*reply.messages, *request.messages),
            previous_response_id=reply.previous_response_id,
        )


def _size(message: Message) -> int:
    """Bytes, about, of what a message holds."""
    return sum(_part_size(part) for part in message.parts)


def _part_size(part: object) -> int:
    match part:
        case Text():
            return len(part.text)
        case ToolCall():
            return len(repr(part.arguments))
        case ToolResult():
            return sum(map(_part_size, part.parts))
        case _:
            return len(getattr(part, "data", b""))
