"""An answer as Chat Completions tells it: chunks that end with `[DONE]`, or a `chat.completion`.

A call of a tool comes in two chunks, its name first and then all of its arguments: that is how clients put them
together. A custom tool's call has `custom` in the place of `function`; OpenAI's published schema of a chunk leaves that
out, but its API sends it so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qpty.compat.replies import Frame, ReplyWriter
from qpty.compat.writing.problems import openai_error
from qpty.compat.writing.tool_text import arguments_text, input_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qpty.compat.replies import Ending, EndingReason, Problem, ReplyHead, Usage
    from qpty.compat.requests import ToolCall

FINISH: Final[Mapping[EndingReason, str]] = {
    "end": "stop",
    "tools": "tool_calls",
    "length": "length",
    "stop": "stop",
}

KEEP_ALIVE: Final = b": ping\n\n"
"""A comment: OpenAI's SDK for Python takes anything else for a chunk."""

DONE: Final = Frame("[DONE]")


class ChatWriter(ReplyWriter):
    """Writes one answer for Chat Completions; see `ReplyWriter`."""

    def __init__(self, head: ReplyHead) -> None:
        self._head = head
        self._calls = 0

    def opening(self) -> Sequence[Frame]:
        """Begin a stream: whose turn it is."""
        return (self._chunk({"role": "assistant", "content": ""}),)

    def keep_alive(self) -> bytes:
        """Return a comment."""
        return KEEP_ALIVE

    def text(self, text: str) -> Sequence[Frame]:
        """Write more text."""
        return (self._chunk({"content": text}),)

    def tool_calls(self, calls: Sequence[ToolCall]) -> Sequence[Frame]:
        """Write calls of tools: of each the name, then the arguments."""
        frames: list[Frame] = []
        for call in calls:
            index = self._calls
            self._calls += 1
            kind, text_field = ("custom", "input") if call.custom else ("function", "arguments")
            first = {"index": index, "id": call.id, "type": kind, kind: {"name": call.name, text_field: ""}}
            rest = {"index": index, kind: {text_field: _text_of(call)}}
            frames += (self._chunk({"tool_calls": [first]}), self._chunk({"tool_calls": [rest]}))
        return frames

    def closing(self, ending: Ending) -> Sequence[Frame]:
        """End a stream: why, what was used if the client asked for that, `[DONE]`."""
        frames = [self._chunk({}, finish_reason=FINISH[ending.reason])]
        if self._head.request.include_usage:
            frames.append(
                Frame({**self._common("chat.completion.chunk"), "choices": [], "usage": _usage(ending.usage)})
            )
        return (*frames, DONE)

    def failure(self, problem: Problem) -> Sequence[Frame]:
        """End a stream with an error, and without `[DONE]`: who overlooks the error must not take it for an end."""
        return (Frame(openai_error(problem)),)

    def whole(self, text: str, calls: Sequence[ToolCall], ending: Ending) -> Mapping[str, Any]:
        """Return a `chat.completion`; its content is null if there are only calls."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if calls and not text else text,
            "refusal": None,
        }
        if calls:
            message["tool_calls"] = [_whole_call(call) for call in calls]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": FINISH[ending.reason]}
        return {**self._common("chat.completion"), "choices": [choice], "usage": _usage(ending.usage)}

    def _chunk(self, delta: Mapping[str, Any], *, finish_reason: str | None = None) -> Frame:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        chunk: dict[str, Any] = {**self._common("chat.completion.chunk"), "choices": [choice]}
        if self._head.request.include_usage:
            # as OpenAI does: who asked for usage finds the field in every chunk
            chunk["usage"] = None
        return Frame(chunk)

    def _common(self, what: str) -> dict[str, Any]:
        return {"id": self._head.id, "object": what, "created": self._head.created, "model": self._head.model}


def _text_of(call: ToolCall) -> str:
    return input_text(call) if call.custom else arguments_text(call)


def _whole_call(call: ToolCall) -> Mapping[str, Any]:
    if call.custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": input_text(call)}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments_text(call)}}


def _usage(usage: Usage) -> Mapping[str, int]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
