"""An answer as Responses tell it: a full set of numbered events, or the Response that they end with.

```
created · in_progress · item* · completed | incomplete | failed
item:  output_item.added · what it consists of, in deltas and then whole · output_item.done
```

A text is one message item with one part; each call of a tool is an item of its own. An answer without anything is a
message with an empty text.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from qpty.compat.replies import Frame, ReplyWriter
from qpty.compat.responses.echo import echo
from qpty.compat.responses.items import ItemStatus, call_item, item_id, message_item, text_part
from qpty.compat.writing.problems import response_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qpty.compat.replies import Ending, Problem, ReplyHead, Usage
    from qpty.compat.requests import ToolCall

BEFORE_OPENING: Final = b": ping\n\n"


class ResponsesWriter(ReplyWriter):
    """Writes one answer for Responses; see `ReplyWriter`."""

    def __init__(self, head: ReplyHead) -> None:
        self._head = head
        self._echo = echo(head.request)
        self._sequence = 0
        self._output: list[Mapping[str, Any]] = []  # items that are done
        self._pieces: list[str] | None = None  # the text of the message that is open, after them

    def opening(self) -> Sequence[Frame]:
        """Begin a stream: a Response without output."""
        return (
            self._event("response.created", response=self._response("in_progress")),
            self._event("response.in_progress", response=self._response("in_progress")),
        )

    def keep_alive(self) -> bytes:
        """Return an event that changes nothing, with a number of its own: send it, and at once.

        A comment isn't enough: Codex gives up after 300 s without an event, and doesn't see comments. The event is one
        of the published ones, since clients fail at others. While a text is open it is a piece of it without letters:
        there `response.in_progress` would make a client forget what came.
        """
        if not self._sequence:
            return BEFORE_OPENING
        if self._pieces is None:
            frame = self._event("response.in_progress", response=self._response("in_progress"))
        else:
            frame = self._part_event("output_text.delta", delta="", logprobs=[])
        return f"event: {frame.event}\ndata: {json.dumps(frame.data)}\n\n".encode()

    def text(self, text: str) -> Sequence[Frame]:
        """Write more text; the first opens a message."""
        frames = self._open_message()
        pieces = self._pieces = self._pieces or []
        pieces.append(text)
        return (*frames, self._part_event("output_text.delta", delta=text, logprobs=[]))

    def tool_calls(self, calls: Sequence[ToolCall]) -> Sequence[Frame]:
        """Write calls of tools, each an item."""
        frames: list[Frame] = []
        for call in calls:
            frames += self._close_message("completed")
            frames += self._call(call)
        return frames

    def closing(self, ending: Ending) -> Sequence[Frame]:
        """End a stream with the whole Response; one that reached `max_tokens` is incomplete."""
        frames, response = self._end(ending)
        return (*frames, self._event(f"response.{response['status']}", response=response))

    def failure(self, problem: Problem) -> Sequence[Frame]:
        """End a stream with what there is of the Response, and why there is no more."""
        output = list(self._output)
        if self._pieces is not None:
            output.append(message_item(self._message_id(), "".join(self._pieces), "incomplete"))
        response = self._response("failed", output=output, error=response_error(problem))
        return (self._event("response.failed", response=response),)

    def whole(self, text: str, calls: Sequence[ToolCall], ending: Ending) -> Mapping[str, Any]:
        """Return the Response that a stream of this answer would end with."""
        if text:
            self.text(text)
        self.tool_calls(calls)
        return self._end(ending)[1]

    def _end(self, ending: Ending) -> tuple[Sequence[Frame], Mapping[str, Any]]:
        """Close what is open; return the events of that, and the Response."""
        frames: list[Frame] = []
        status: ItemStatus = "incomplete" if ending.reason == "length" else "completed"
        if not self._output:
            frames += self._open_message()
        frames += self._close_message(status)
        details = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return frames, self._response(status, incomplete_details=details, usage=_usage(ending.usage))

    def _call(self, call: ToolCall) -> Sequence[Frame]:
        place = len(self._output)
        begun = call_item(self._head.id, place, call, begun=True)
        done = call_item(self._head.id, place, call, begun=False)
        at = {"item_id": done["id"], "output_index": place}
        kind, field = ("custom_tool_call_input", "input") if call.custom else ("function_call_arguments", "arguments")
        # OpenAI's schema wants the name with a function's arguments, and knows none with a custom tool's input
        named = {} if call.custom else {"name": call.name}
        frames = [self._event("response.output_item.added", output_index=place, item=begun)]
        if done[field]:
            frames.append(self._event(f"response.{kind}.delta", **at, delta=done[field]))
        frames.append(self._event(f"response.{kind}.done", **at, **named, **{field: done[field]}))
        frames.append(self._event("response.output_item.done", output_index=place, item=done))
        self._output.append(done)
        return frames

    def _open_message(self) -> Sequence[Frame]:
        if self._pieces is not None:
            return ()
        self._pieces = []
        item = message_item(self._message_id(), None, "in_progress")
        return (
            self._event("response.output_item.added", output_index=len(self._output), item=item),
            self._part_event("content_part.added", part=text_part("")),
        )

    def _close_message(self, status: ItemStatus) -> Sequence[Frame]:
        if self._pieces is None:
            return ()
        text = "".join(self._pieces)
        item = message_item(self._message_id(), text, status)
        frames = (
            self._part_event("output_text.done", text=text, logprobs=[]),
            self._part_event("content_part.done", part=text_part(text)),
            self._event("response.output_item.done", output_index=len(self._output), item=item),
        )
        self._pieces = None
        self._output.append(item)
        return frames

    def _message_id(self) -> str:
        return item_id("msg", self._head.id, len(self._output))

    def _part_event(self, name: str, /, **fields: Any) -> Frame:
        """An event of the open message's only part."""
        place = {"item_id": self._message_id(), "output_index": len(self._output), "content_index": 0}
        return self._event(f"response.{name}", **place, **fields)

    def _event(self, name: str, /, **fields: Any) -> Frame:
        number = self._sequence
        self._sequence += 1
        return Frame({"type": name, "sequence_number": number, **fields}, event=name)

    def _response(self, status: str, **fields: Any) -> Mapping[str, Any]:
        return {
            "id": self._head.id,
            "object": "response",
            "created_at": self._head.created,
            "status": status,
            "model": self._head.model,
            "output": list(self._output),
            "error": None,
            "incomplete_details": None,
            **self._echo,
            **fields,
        }


def _usage(usage: Usage) -> Mapping[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
