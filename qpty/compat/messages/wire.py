"""The shapes of bodies of Anthropic's Messages, as far as qpty looks at them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from qpty.compat.reading.fields import Id, ListOf, Name, TextOrList, Whole, Wire, by_type, other_than

_INNER: Final = {
    "text": "<text>",
    "image": "<image>",
    "document": "<document>",
    "search_result": "<search_result>",
    "tool_reference": "<tool_reference>",
}
_BLOCKS: Final = {**_INNER, "tool_use": "<tool_use>", "tool_result": "<tool_result>"}


class MessagesText(Wire):
    """A text."""

    type: Literal["text"]
    text: str


class MessagesSource(Wire):
    """Where the data of a picture or a document is."""

    type: str
    """`base64`; `text` and `content` of a document; `url` with a data URL. Others aren't supported."""
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    content: TextOrList[MessagesInnerBlock] | None = None


class MessagesImage(Wire):
    """A picture: PNG, JPEG, GIF or WebP, at most 20 MiB."""

    type: Literal["image"]
    source: MessagesSource


class MessagesDocument(Wire):
    """A document, at most 32 MiB."""

    type: Literal["document"]
    source: MessagesSource
    title: str | None = None
    context: str | None = None
    """What the model should know about it."""


class MessagesSearchResult(Wire):
    """Something that the client found."""

    type: Literal["search_result"]
    title: str | None = None
    source: str | None = None
    content: ListOf[MessagesText]


class MessagesToolReference(Wire):
    """A tool that the client's own search found."""

    type: Literal["tool_reference"]
    tool_name: Name


class MessagesToolUse(Wire):
    """A call, as it was told to the client."""

    type: Literal["tool_use"]
    id: Id
    name: Name
    input: dict[str, Any]


class MessagesOtherInnerBlock(Wire):
    """Thoughts, and blocks of the provider's own tools, are passed over; other kinds are refused."""

    model_config = other_than(_INNER)

    type: str


class MessagesOtherBlock(Wire):
    """Thoughts, and blocks of the provider's own tools, are passed over; other kinds are refused."""

    model_config = other_than(_BLOCKS)

    type: str


MessagesInnerBlock = Annotated[
    Annotated[MessagesText, Tag("<text>")]
    | Annotated[MessagesImage, Tag("<image>")]
    | Annotated[MessagesDocument, Tag("<document>")]
    | Annotated[MessagesSearchResult, Tag("<search_result>")]
    | Annotated[MessagesToolReference, Tag("<tool_reference>")]
    | Annotated[MessagesOtherInnerBlock, Tag("<other>")],
    Discriminator(by_type(_INNER)),
]


class MessagesToolResult(Wire):
    """What a tool returned."""

    type: Literal["tool_result"]
    tool_use_id: Id
    content: TextOrList[MessagesInnerBlock] | None = None
    is_error: bool | None = None


MessagesBlock = Annotated[
    Annotated[MessagesText, Tag("<text>")]
    | Annotated[MessagesImage, Tag("<image>")]
    | Annotated[MessagesDocument, Tag("<document>")]
    | Annotated[MessagesSearchResult, Tag("<search_result>")]
    | Annotated[MessagesToolReference, Tag("<tool_reference>")]
    | Annotated[MessagesToolUse, Tag("<tool_use>")]
    | Annotated[MessagesToolResult, Tag("<tool_result>")]
    | Annotated[MessagesOtherBlock, Tag("<other>")],
    Discriminator(by_type(_BLOCKS)),
]


class MessagesMessage(Wire):
    """What one side said."""

    role: Literal["user", "assistant", "system"]
    content: TextOrList[MessagesBlock]


class MessagesTool(Wire):
    """A tool of the client's. Tools that the provider runs have no `input_schema`; they are left out."""

    type: str | None = None
    name: Name | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None


class MessagesToolChoice(Wire):
    """Which tools the model may or must call."""

    type: Literal["auto", "any", "tool", "none"]
    name: Name | None = None
    disable_parallel_tool_use: bool | None = None


class MessagesMetadata(Wire):
    """Whose request it is."""

    user_id: str | None = None
    """Helps to recognise the conversation."""


class MessagesFormat(Wire):
    """The form of the answer."""

    model_config = ConfigDict(serialize_by_alias=True)

    type: str
    """`json_schema` or `text`."""
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class MessagesOutputConfig(Wire):
    """How the answer is to be written."""

    format: MessagesFormat | None = None


class CountRequest(Wire):
    """What the model would be asked.

    Fields that aren't listed have no effect.
    """

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[ListOf[MessagesMessage], Field(min_length=1)]
    """The conversation so far; it ends with the user, whose turn has a result for each call before it."""
    system: TextOrList[MessagesText] | None = None
    tools: ListOf[MessagesTool] | None = None
    tool_choice: MessagesToolChoice | None = None
    output_config: MessagesOutputConfig | None = None
    output_format: MessagesFormat | None = None
    """The older form of `output_config.format`."""
    metadata: MessagesMetadata | None = None
    thread: Any = None
    """A conversation that the provider keeps: refused, since a client then sends its whole conversation instead."""


class MessagesRequest(CountRequest):
    """What the model is asked.

    Fields that aren't listed have no effect; the header of the answer names those that were given.
    """

    max_tokens: Annotated[Whole, Field(ge=1)]
    stop_sequences: ListOf[str] | None = None
    """At most 16 texts."""
    stream: bool | None = None
