"""An answer as Anthropic's Messages tell it: events of one message, or the message.

A message is a row of blocks, one open at a time: text first, then a block for each call of a tool, whose input follows
its start. Each event is named twice, in the `event:` line and in `type`: the SDKs drop what has no name. An answer
without anything is a message with one empty text: the SDKs' `get_final_text` wants a block, and so does everybody who
reads `content[0]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qpty.compat.replies import Frame, ReplyWriter
from qpty.compat.writing.problems import anthropic_error
from qpty.compat.writing.tool_text import arguments_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qpty.compat.replies import Ending, EndingReason, Problem, ReplyHead
    from qpty.compat.requests import ToolCall

STOP_REASONS: Final[Mapping[EndingReason, str]] = {
    "end": "end_turn",
    "tools": "tool_use",
    "length": "max_tokens",
    "stop": "stop_sequence",
}

KEEP_ALIVE: Final = b'event: ping\ndata: {"type": "ping"}\n\n'

FIRST_OUTPUT_TOKENS: Final = 1
"""What a message has used when it begins: Anthropic says 1 too, and the last event has the sum."""


class MessagesWriter(ReplyWriter):
    """Writes one answer for Messages; see `ReplyWriter`."""

    def __init__(self, head: ReplyHead) -> None:
        self._head = head
        self._blocks = 0
        self._text_open = False

    def opening(self) -> Sequence[Frame]:
        """Begin a stream: a message without content."""
        usage = {"input_tokens": self._head.input_tokens, "output_tokens": FIRST_OUTPUT_TOKENS}
        message = self._message(content=[], stop_reason=None, stop_sequence=None, usage=usage)
        return (_event("message_start", message=message),)

    def keep_alive(self) -> bytes:
        """Return a ping."""
        return KEEP_ALIVE

    def text(self, text: str) -> Sequence[Frame]:
        """Write more text; the first opens a block."""
        delta = {"type": "text_delta", "text": text}
        return (*self._open_text(), _event("content_block_delta", index=self._blocks - 1, delta=delta))

    def tool_calls(self, calls: Sequence[ToolCall]) -> Sequence[Frame]:
        """Write calls of tools, each a block whose input comes after its start, in one piece."""
        frames: list[Frame] = []
        for call in calls:
            frames += self._close_text()
            index = self._blocks
            self._blocks += 1
            delta = {"type": "input_json_delta", "partial_json": arguments_text(call)}
            frames += (
                _event("content_block_start", index=index, content_block=_tool_use(call, {})),
                _event("content_block_delta", index=index, delta=delta),
                _event("content_block_stop", index=index),
            )
        return frames

    def closing(self, ending: Ending) -> Sequence[Frame]:
        """End a stream: why, and what was used."""
        frames: list[Frame] = []
        if not self._blocks:
            frames += self._open_text()
        frames += self._close_text()
        return (
            *frames,
            _event("message_delta", delta=_stop(ending), usage=_usage(ending)),
            _event("message_stop"),
        )

    def failure(self, problem: Problem) -> Sequence[Frame]:
        """End a stream with an error; what is open stays so."""
        return (Frame(anthropic_error(problem), event="error"),)

    def whole(self, text: str, calls: Sequence[ToolCall], ending: Ending) -> Mapping[str, Any]:
        """Return a message."""
        content: list[Mapping[str, Any]] = []
        if text or not calls:
            content.append({"type": "text", "text": text})
        content += [_tool_use(call, call.arguments) for call in calls]
        return self._message(content=content, usage=_usage(ending), **_stop(ending))

    def _open_text(self) -> Sequence[Frame]:
        if self._text_open:
            return ()
        self._text_open = True
        self._blocks += 1
        return (_event("content_block_start", index=self._blocks - 1, content_block={"type": "text", "text": ""}),)

    def _close_text(self) -> Sequence[Frame]:
        if not self._text_open:
            return ()
        self._text_open = False
        return (_event("content_block_stop", index=self._blocks - 1),)

    def _message(self, **fields: Any) -> dict[str, Any]:
        return {"id": self._head.id, "type": "message", "role": "assistant", "model": self._head.model, **fields}


def _event(name: str, /, **fields: Any) -> Frame:
    return Frame({"type": name, **fields}, event=name)


def _tool_use(call: ToolCall, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(arguments)}


def _stop(ending: Ending) -> Mapping[str, Any]:
    return {"stop_reason": STOP_REASONS[ending.reason], "stop_sequence": ending.stop_text}


def _usage(ending: Ending) -> Mapping[str, int]:
    return {"input_tokens": ending.usage.input_tokens, "output_tokens": ending.usage.output_tokens}
