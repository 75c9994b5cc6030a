"""The shape of a body of Chat Completions, as far as qpty looks at it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag

from qpty.compat.reading.fields import Id, ListOf, Name, TextOrList, TextOrObject, Whole, Wire, by_type, other_than
from qpty.compat.responses.wire import ResponsesInput, ResponsesText  # noqa: TC001 — pydantic looks at them

_PARTS: Final = {
    "text": "<text>",
    "input_text": "<text>",
    "output_text": "<text>",
    "refusal": "<refusal>",
    "image_url": "<image>",
    "input_image": "<image>",
    "file": "<file>",
}
_ROLES: Final = {
    "system": "<system>",
    "developer": "<system>",
    "user": "<user>",
    "assistant": "<assistant>",
    "tool": "<tool>",
    "function": "<function>",
}


class ChatTextPart(Wire):
    """A text."""

    type: Literal["text", "input_text", "output_text"]
    text: str


class ChatRefusalPart(Wire):
    """What the assistant said when it refused."""

    type: Literal["refusal"]
    refusal: str


def _address(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


class ChatImageUrl(Wire):
    """A picture: PNG, JPEG, GIF or WebP, at most 20 MiB."""

    url: str
    """A data URL; other addresses aren't fetched."""


class ChatImagePart(Wire):
    """A picture."""

    type: Literal["image_url", "input_image"]
    image_url: Annotated[ChatImageUrl, BeforeValidator(_address)]


class ChatFile(Wire):
    """A file, at most 32 MiB."""

    file_data: str | None = None
    """A data URL, or base64."""
    filename: str | None = None
    file_id: str | None = None
    """Not supported: qpty keeps no files."""


class ChatFilePart(Wire):
    """A file."""

    type: Literal["file"]
    file: ChatFile


class ChatOtherPart(Wire):
    """An assistant's thoughts are passed over; other kinds are refused."""

    model_config = other_than(_PARTS)

    type: str


ChatPart = Annotated[
    Annotated[ChatTextPart, Tag("<text>")]
    | Annotated[ChatRefusalPart, Tag("<refusal>")]
    | Annotated[ChatImagePart, Tag("<image>")]
    | Annotated[ChatFilePart, Tag("<file>")]
    | Annotated[ChatOtherPart, Tag("<other>")],
    Discriminator(by_type(_PARTS)),
]


class ChatFunctionCall(Wire):
    """Which function was called, and with what."""

    name: Name
    arguments: str
    """A JSON object, as a text."""


class ChatCustomCall(Wire):
    """Which custom tool was called, and with what."""

    name: Name
    input: str


class ChatToolCall(Wire):
    """A call, as it was told to the client."""

    id: Id
    type: Literal["function", "custom"] | None = None
    function: ChatFunctionCall | None = None
    custom: ChatCustomCall | None = None


class ChatSystemMessage(Wire):
    """What the model is told about its task."""

    role: Literal["system", "developer"]
    content: TextOrList[ChatPart]


class ChatUserMessage(Wire):
    """What the user said."""

    role: Literal["user"]
    content: TextOrList[ChatPart]


class ChatAssistantMessage(Wire):
    """What the assistant said, and which tools it called."""

    role: Literal["assistant"]
    content: TextOrList[ChatPart] | None = None
    refusal: str | None = None
    tool_calls: ListOf[ChatToolCall] | None = None
    function_call: ChatFunctionCall | None = None
    """The older form of a call."""
    audio: Any = None
    """Not supported."""


class ChatToolMessage(Wire):
    """What a tool returned."""

    role: Literal["tool"]
    tool_call_id: Id
    content: TextOrList[ChatPart] | None = None


class ChatFunctionMessage(Wire):
    """What a function returned; the older form."""

    role: Literal["function"]
    name: Name
    content: TextOrList[ChatPart] | None = None


def _role(value: object) -> str | None:
    role = value.get("role") if isinstance(value, dict) else None
    return _ROLES.get(role) if isinstance(role, str) else None


ChatMessage = Annotated[
    Annotated[ChatSystemMessage, Tag("<system>")]
    | Annotated[ChatUserMessage, Tag("<user>")]
    | Annotated[ChatAssistantMessage, Tag("<assistant>")]
    | Annotated[ChatToolMessage, Tag("<tool>")]
    | Annotated[ChatFunctionMessage, Tag("<function>")],
    Discriminator(
        _role,
        custom_error_type="role",
        custom_error_message="give an object whose role is system, developer, user, assistant, tool or function",
    ),
]


class ChatFunction(Wire):
    """A function that the model may call."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    """The JSON schema of its arguments."""


class ChatGrammar(Wire):
    """The grammar of a custom tool's input."""

    syntax: str | None = None
    definition: str | None = None


class ChatCustomFormat(Wire):
    """The form of a custom tool's input."""

    type: str | None = None
    """`text` or `grammar`."""
    grammar: ChatGrammar | None = None
    syntax: str | None = None
    definition: str | None = None


class ChatCustom(Wire):
    """A tool that takes a free text."""

    name: Name
    description: str | None = None
    format: ChatCustomFormat | None = None


class ChatTool(Wire):
    """A tool: `function` or `custom`, in an object of that name or flat. Others are left out."""

    type: str | None = None
    function: ChatFunction | None = None
    custom: ChatCustom | None = None
    name: Name | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    input_schema: dict[str, Any] | None = None
    format: ChatCustomFormat | None = None


class ChatNamed(Wire):
    """A tool's name."""

    name: Name


class ChatAllowedTools(Wire):
    """Some of the tools. That they are only some isn't kept."""

    mode: str | None = None
    """`auto` or `required`."""


class ChatToolChoice(Wire):
    """Which tool the model has to call."""

    type: str
    """`function`, `custom` or `allowed_tools`."""
    function: ChatNamed | None = None
    custom: ChatNamed | None = None
    allowed_tools: ChatAllowedTools | None = None
    name: Name | None = None
    mode: str | None = None


class ChatJsonSchema(Wire):
    """What a JSON answer has to fit."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: str | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class ChatResponseFormat(Wire):
    """The form of the answer."""

    type: str
    """`text`, `json_object` or `json_schema`."""
    json_schema: ChatJsonSchema | None = None


class ChatStreamOptions(Wire):
    """What a stream has besides the answer."""

    include_usage: bool | None = None


class ChatRequest(Wire):
    """What the model is asked.

    Fields that aren't listed have no effect; the header of the answer names those that were given.
    """

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[ListOf[ChatMessage], Field(min_length=1)]
    """The conversation so far; it ends with the user, or with what tools returned."""
    tools: ListOf[ChatTool] | None = None
    functions: ListOf[ChatFunction] | None = None
    """The older form of `tools`."""
    tool_choice: TextOrObject[ChatToolChoice] | None = None
    """`auto`, `none`, `required`, or a tool."""
    function_call: TextOrObject[ChatNamed] | None = None
    """The older form of `tool_choice`."""
    parallel_tool_calls: bool | None = None
    max_completion_tokens: Annotated[Whole, Field(ge=1)] | None = None
    max_tokens: Annotated[Whole, Field(ge=1)] | None = None
    """The older name of `max_completion_tokens`."""
    stop: TextOrList[str] | None = None
    """At most 16 texts."""
    response_format: ChatResponseFormat | None = None
    stream: bool | None = None
    stream_options: ChatStreamOptions | None = None
    prompt_cache_key: str | None = None
    """Helps to recognise the conversation."""
    n: Whole | None = None
    """Only 1."""
    logprobs: bool | None = None
    """Only false."""
    top_logprobs: Whole | None = None
    """Only 0."""
    modalities: ListOf[str] | None = None
    """Only `text`."""
    audio: Any = None
    """Not supported."""


class ChatAsResponses(ChatRequest):
    """A body in the shape of Responses, which some clients send to Chat Completions."""

    messages: Annotated[ListOf[ChatMessage], Field(default_factory=list)]
    input: ResponsesInput
    instructions: str | None = None
    max_output_tokens: Annotated[Whole, Field(ge=1)] | None = None
    text: ResponsesText | None = None
    previous_response_id: Any = None
