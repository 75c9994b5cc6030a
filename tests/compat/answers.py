"""Answers to write, in every shape that they come in, and what a client makes of a stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from qpty.compat.replies import Ending, Frame, Problem, ReplyHead, Usage
from qpty.compat.requests import Message, Request, Text, ToolCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpty.compat.replies import EndingReason, ReplyWriter
    from qpty.compat.requests import Interface

USAGE = Usage(input_tokens=123, output_tokens=45)
WEATHER = ToolCall(id="call_1", name="get_weather", arguments={"city": "Zürich", "days": 2})
NOTHING = ToolCall(id="call_2", name="now", arguments={})
PATCH = ToolCall(id="call_3", name="apply_patch", arguments={"input": "*** Begin\n+ü\n"}, custom=True)
EMPTY_PATCH = ToolCall(id="call_4", name="apply_patch", arguments={"input": ""}, custom=True)
HELD = ToolCall(id="call_5", name="spawn", arguments={"n": 1}, namespace="agents")


@dataclass(frozen=True, slots=True)
class Answer:
    """Pieces of text, calls, and how it ends."""

    pieces: tuple[str, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    reason: EndingReason = "end"
    stop_text: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def ending(self) -> Ending:
        return Ending(reason=self.reason, usage=USAGE, stop_text=self.stop_text)

    def stream(self, writer: ReplyWriter) -> list[Frame]:
        """Every frame of the answer."""
        frames = list(writer.opening())
        for piece in self.pieces:
            frames += writer.text(piece)
        if self.calls:
            frames += writer.tool_calls(self.calls)
        return [*frames, *writer.closing(self.ending)]

    def whole(self, writer: ReplyWriter) -> Any:
        return writer.whole(self.text, self.calls, self.ending)


ANSWERS = {
    "text": Answer(("Hel", "lo")),
    "letters": Answer(("é", "漢字 🦆", "\n\r\t\u2028\x7f", '"\\{')),
    "calls": Answer(calls=(WEATHER, NOTHING), reason="tools"),
    "both": Answer(("Let me ", "look."), (WEATHER,), "tools"),
    "custom": Answer(("Patching.",), (PATCH, EMPTY_PATCH), "tools"),
    "held": Answer(calls=(HELD,), reason="tools"),
    "length": Answer(("too lo",), reason="length"),
    "length at once": Answer(reason="length"),
    "stop": Answer(("up to ",), reason="stop", stop_text="END"),
    "empty": Answer(),
}

TEXTS = st.lists(st.text(min_size=1, max_size=20), max_size=6).map(tuple)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def calls(draw: st.DrawFn, *, custom: bool) -> tuple[ToolCall, ...]:
    """Up to four calls, each with its own id."""
    made = []
    for number in range(draw(st.integers(0, 4))):
        if custom and draw(st.booleans()):
            arguments = {"input": draw(st.text(max_size=20))}
            made.append(ToolCall(id=f"call_{number}", name="free", arguments=arguments, custom=True))
        else:
            given = draw(st.dictionaries(st.text(max_size=6), JSON, max_size=3))
            made.append(ToolCall(id=f"call_{number}", name=f"tool_{number}", arguments=given))
    return tuple(made)


@st.composite
def answers(draw: st.DrawFn, *, custom: bool = False) -> Answer:
    """Any answer."""
    made = draw(calls(custom=custom))
    reason: EndingReason = "tools" if made else draw(st.sampled_from(["end", "length", "stop"]))
    return Answer(draw(TEXTS), made, reason, "END" if reason == "stop" else None)


def request_for(interface: Interface, **fields: Any) -> Request:
    """A request, as little as can be."""
    messages = (Message("user", (Text("hi"),)),)
    return Request(interface=interface, model="claude-sonnet-4", messages=messages, **fields)


def head_of(request: Request) -> ReplyHead:
    """What is known before the answer."""
    identity = {"chat": "chatcmpl-7f3a", "responses": "resp_7f3a", "messages": "msg_7f3a"}[request.interface]
    return ReplyHead(id=identity, created=1_790_000_000, model="claude-sonnet-4", request=request, input_tokens=99)


def problem(code: str = "upstream_error", status: int = 502, **fields: Any) -> Problem:
    return Problem(status=status, code=code, message="the model failed", request_id="req_1", **fields)


def objects(frames: Sequence[Frame]) -> list[Any]:
    """The data of frames, every one an object."""
    assert not [frame for frame in frames if isinstance(frame.data, str)]
    return [frame.data for frame in frames]


@dataclass
class Said:
    """What a client has at the end of a stream."""

    text: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
