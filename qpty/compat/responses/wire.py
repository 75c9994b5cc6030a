"""The shape of a body of Responses, as far as qpty looks at it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from qpty.compat.reading.fields import Id, ListOf, Name, TextOrList, TextOrObject, Whole, Wire, by_type, other_than

_PARTS: Final = {
    "input_text": "<text>",
    "output_text": "<text>",
    "text": "<text>",
    "refusal": "<refusal>",
    "input_image": "<image>",
    "input_file": "<file>",
}
_ITEMS: Final = {
    "message": "<message>",
    "function_call": "<function_call>",
    "function_call_output": "<function_call_output>",
    "custom_tool_call": "<custom_tool_call>",
    "custom_tool_call_output": "<custom_tool_call_output>",
    "item_reference": "<item_reference>",
}


class ResponsesTextPart(Wire):
    """A text, of either side."""

    type: Literal["input_text", "output_text", "text"]
    text: str


class ResponsesRefusalPart(Wire):
    """What the assistant said when it refused."""

    type: Literal["refusal"]
    refusal: str


class ResponsesImagePart(Wire):
    """A picture, as a data URL: PNG, JPEG, GIF or WebP, at most 20 MiB."""

    type: Literal["input_image"]
    image_url: str | None = None
    file_id: str | None = None
    """Not supported: qpty keeps no files."""


class ResponsesFilePart(Wire):
    """A file, at most 32 MiB."""

    type: Literal["input_file"]
    file_data: str | None = None
    """A data URL, or base64."""
    filename: str | None = None
    file_url: str | None = None
    """A data URL; other addresses aren't fetched."""
    file_id: str | None = None
    """Not supported: qpty keeps no files."""


class ResponsesOtherPart(Wire):
    """Reasoning is passed over; other kinds are refused."""

    model_config = other_than(_PARTS)

    type: str


ResponsesPart = Annotated[
    Annotated[ResponsesTextPart, Tag("<text>")]
    | Annotated[ResponsesRefusalPart, Tag("<refusal>")]
    | Annotated[ResponsesImagePart, Tag("<image>")]
    | Annotated[ResponsesFilePart, Tag("<file>")]
    | Annotated[ResponsesOtherPart, Tag("<other>")],
    Discriminator(by_type(_PARTS)),
]


class ResponsesMessage(Wire):
    """What one side said; `type` may be left out."""

    type: Literal["message"] | None = None
    role: Literal["user", "assistant", "system", "developer"]
    content: TextOrList[ResponsesPart]


class ResponsesFunctionCall(Wire):
    """A call of a function, as it was told to the client."""

    type: Literal["function_call"]
    call_id: Id
    name: Name
    namespace: Name | None = None
    arguments: str
    """A JSON object, as a text."""


class ResponsesCustomCall(Wire):
    """A call of a custom tool, as it was told to the client."""

    type: Literal["custom_tool_call"]
    call_id: Id
    name: Name
    namespace: Name | None = None
    input: str


class ResponsesCallOutput(Wire):
    """What a function returned."""

    type: Literal["function_call_output"]
    call_id: Id
    output: TextOrList[ResponsesPart]


class ResponsesCustomOutput(Wire):
    """What a custom tool returned."""

    type: Literal["custom_tool_call_output"]
    call_id: Id
    output: TextOrList[ResponsesPart]


class ResponsesItemReference(Wire):
    """Not supported: send the item itself."""

    type: Literal["item_reference"] | None = None
    id: str


class ResponsesOtherItem(Wire):
    """Reasoning, and calls of the provider's own tools, are passed over; other kinds are refused."""

    model_config = other_than(_ITEMS)

    type: str


_typed: Final = by_type(_ITEMS)


def _item(value: object) -> str:
    if isinstance(value, dict) and value.get("type") is None:
        return "<item_reference>" if "id" in value and "role" not in value else "<message>"
    return _typed(value)


ResponsesItem = Annotated[
    Annotated[ResponsesMessage, Tag("<message>")]
    | Annotated[ResponsesFunctionCall, Tag("<function_call>")]
    | Annotated[ResponsesCallOutput, Tag("<function_call_output>")]
    | Annotated[ResponsesCustomCall, Tag("<custom_tool_call>")]
    | Annotated[ResponsesCustomOutput, Tag("<custom_tool_call_output>")]
    | Annotated[ResponsesItemReference, Tag("<item_reference>")]
    | Annotated[ResponsesOtherItem, Tag("<other>")],
    Discriminator(_item),
]


class ResponsesGrammar(Wire):
    """The form of a custom tool's input."""

    type: str | None = None
    """`text` or `grammar`."""
    syntax: str | None = None
    definition: str | None = None


class ResponsesTool(Wire):
    """A tool: `function`, `custom`, or a `namespace` that holds such. Others are left out."""

    type: str | None = None
    name: Name | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    """The JSON schema of a function's arguments."""
    format: ResponsesGrammar | None = None
    tools: ListOf[ResponsesTool] | None = None
    """Of a namespace."""


class ResponsesToolChoice(Wire):
    """Which tool the model has to call."""

    type: str
    """`function`, `custom` or `allowed_tools`."""
    name: Name | None = None
    mode: str | None = None
    """Of `allowed_tools`: `auto` or `required`. That only some are allowed isn't kept."""


class ResponsesFormat(Wire):
    """The form of the answer."""

    model_config = ConfigDict(serialize_by_alias=True)

    type: str
    """`text`, `json_object` or `json_schema`."""
    name: str | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class ResponsesText(Wire):
    """How the answer is to be written."""

    format: ResponsesFormat | None = None


ResponsesInput = TextOrList[ResponsesItem]


class ResponsesRequest(Wire):
    """What the model is asked.

    Fields that aren't listed have no effect; the header of the answer names those that were given.
    """

    model: Annotated[str, Field(min_length=1)]
    input: ResponsesInput
    """A text, or what was said and done so far; it ends with the user, or with what tools returned."""
    instructions: str | None = None
    tools: ListOf[ResponsesTool] | None = None
    tool_choice: TextOrObject[ResponsesToolChoice] | None = None
    """`auto`, `none`, `required`, or a tool."""
    parallel_tool_calls: bool | None = None
    max_output_tokens: Annotated[Whole, Field(ge=1)] | None = None
    text: ResponsesText | None = None
    stream: bool | None = None
    previous_response_id: Id | None = None
    """The conversation goes on after this response of qpty's."""
    prompt_cache_key: str | None = None
    """Helps to recognise the conversation."""
    background: bool | None = None
    """Only false."""
    conversation: Any = None
    """Not supported: send the messages, or `previous_response_id`."""
    prompt: Any = None
    """Not supported: send the text itself."""
    top_logprobs: Whole | None = None
    """Only 0."""
