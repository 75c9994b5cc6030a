"""What a client asks for, whichever interface it speaks: a conversation so far, and how it is to go on.

A request's `messages` alternate between user and assistant, end with the user, and hold nothing that is empty. They may
begin with the assistant (a greeting); those of a request whose tokens are only counted may end so, too. What an
interface sends elsewhere is brought into this shape by its reader: results of tools are parts of a user's message,
system and developer messages before the first other one are `system`, later ones a user's text.

```
RequestError           .status .code .param
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from qpty.core.errors import QptyError

if TYPE_CHECKING:
    from collections.abc import Mapping

Interface = Literal["chat", "responses", "messages"]
"""`POST /v1/chat/completions`, `POST /v1/responses`, `POST /v1/messages`."""


class RequestError(QptyError):
    """A request that can't be taken. `param` names the field as a path (`messages.0.content`), None for the whole.

    `code` is OpenAI's (`invalid_value`, `unsupported_parameter`, `model_not_found`, `context_length_exceeded`, …).
    """

    def __init__(self, message: str, *, param: str | None = None, code: str = "invalid_value", status: int = 400):
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Text:
    """A text."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture; `media_type` is image/png, image/jpeg, image/gif or image/webp, and the data begins accordingly."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class File:
    """Any other file; `name` is what the client calls it."""

    media_type: str
    data: bytes
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one of the client's tools, as it was, or is to be, told to the client.

    `name` and `namespace` are the client's own. `arguments` is a JSON object; of a custom tool (free text) it is
    `{"input": TEXT}`.
    """

    id: str
    name: str
    arguments: Mapping[str, Any]
    custom: bool = False
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool of the client returned."""

    call_id: str
    parts: tuple[Text | Image | File, ...]
    is_error: bool = False


Part = Text | Image | File | ToolCall | ToolResult


@dataclass(frozen=True, slots=True)
class Message:
    """What one side said. A user's parts are texts, pictures, files and results; an assistant's texts and calls."""

    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool that the client offers. `schema` is the JSON schema of its arguments (an object); a custom one has none.

    `namespace` is that of the tool that holds it (Codex).
    """

    name: str
    description: str
    schema: Mapping[str, Any] | None
    custom: bool = False
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Which tools the model may or must call; `name` with `named` only."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str | None = None


@dataclass(frozen=True, slots=True)
class JsonFormat:
    """The answer has to be a JSON object, and one that fits `schema` if there is one."""

    schema: Mapping[str, Any] | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, checked.

    `max_tokens` and `stop` None and () where there are none. `include_usage`: a stream ends with usage (Chat
    Completions). `previous_response_id` (Responses): `messages` go on from there, and may begin with results of tools.
    `hint` is what the client says to know the conversation by (`prompt_cache_key`, `metadata.user_id`): never a proof.
    `ignored` are the names of fields that were given and have no effect, sorted.
    """

    interface: Interface
    model: str
    system: str = ""
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool = True
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    json: JsonFormat | None = None
    stream: bool = False
    include_usage: bool = False
    previous_response_id: str | None = None
    hint: str | None = None
    ignored: tuple[str, ...] = ()
