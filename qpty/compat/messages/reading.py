"""A body of Anthropic's Messages becomes a `Request`.

Thoughts, and blocks of tools that the provider ran itself, are passed over: they mean nothing to another model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from qpty.compat.messages.wire import (
    CountRequest,
    MessagesDocument,
    MessagesImage,
    MessagesRequest,
    MessagesSearchResult,
    MessagesText,
    MessagesToolReference,
    MessagesToolResult,
    MessagesToolUse,
)
from qpty.compat.reading.conversation import Conversation, Wording
from qpty.compat.reading.fields import ignored_names, refuse, shown, stop_texts, validated
from qpty.compat.reading.images import file_from_base64, file_from_text, image_from_base64, image_from_url
from qpty.compat.reading.tools import Tools, json_format
from qpty.compat.requests import File, Image, JsonFormat, Request, RequestError, Text, ToolCall, ToolChoice, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qpty.compat.messages.wire import (
        MessagesBlock,
        MessagesInnerBlock,
        MessagesMessage,
        MessagesSource,
        MessagesTool,
        MessagesToolChoice,
    )

__all__ = ["CountRequest", "MessagesRequest", "read_count", "read_messages"]

WORDING: Final = Wording(
    field="messages",
    unanswered="`tool_use` ids were found without `tool_result` blocks immediately after: {ids}. "
    "Each `tool_use` block must have a corresponding `tool_result` block in the next message",
    unasked="unexpected `tool_use_id` found in `tool_result` blocks: {id}. "
    "Each `tool_result` block must have a corresponding `tool_use` block in the previous message",
)
BILLING: Final = "x-anthropic-billing-header"
"""How the first system block of Claude Code begins; it isn't meant for the model, and changes."""

NO_THREADS: Final = "thread_unsupported_request"
"""The code by which Anthropic's own client learns to send conversations whole (anthropic 2.12)."""

_PASSED_OVER: Final = {"thinking", "redacted_thinking", "server_tool_use", "mcp_tool_use"}


def read_messages(body: object) -> Request:
    """Return what a client of Messages asks for. Raises `RequestError`."""
    given = validated(MessagesRequest, body)
    return _request(
        given,
        open_end=False,
        max_tokens=given.max_tokens,
        stop=stop_texts(given.stop_sequences, "stop_sequences"),
        stream=given.stream is True,
    )


def read_count(body: object) -> Request:
    """Return what is to be counted. It is never answered, so its last message may be the assistant's.

    Raises `RequestError`.
    """
    return _request(validated(CountRequest, body), open_end=True)


def _request(
    given: CountRequest,
    *,
    open_end: bool,
    max_tokens: int | None = None,
    stop: tuple[str, ...] = (),
    stream: bool = False,
) -> Request:
    refuse(given.thread is None, "thread", "send the whole conversation instead", code=NO_THREADS)
    conversation = Conversation(WORDING)
    _read_system(given.system, conversation)
    for index, message in enumerate(given.messages):
        _read_message(message, f"messages.{index}.content", conversation)
    tools = Tools()
    for index, tool in enumerate(given.tools or ()):
        _read_tool(tool, f"tools.{index}", tools)
    choice = given.tool_choice
    hint = given.metadata.user_id if given.metadata is not None else None
    return Request(
        interface="messages",
        model=given.model,
        messages=conversation.messages(open_end=open_end),
        system=conversation.system,
        tools=tools.specs,
        tool_choice=_choice(choice, tools),
        parallel_tool_calls=choice is None or not choice.disable_parallel_tool_use,
        max_tokens=max_tokens,
        stop=stop,
        json=_form(given),
        stream=stream,
        hint=hint or None,
        ignored=ignored_names(given, tools.ignored | _without_effect(given)),
    )


def _read_system(system: str | list[MessagesText] | None, conversation: Conversation) -> None:
    if isinstance(system, str):
        conversation.add_system(system, "system")
        return
    for index, block in enumerate(system or ()):
        if index > 0 or not block.text.startswith(BILLING):
            conversation.add_system(block.text, f"system.{index}")


def _read_message(message: MessagesMessage, path: str, conversation: Conversation) -> None:
    if isinstance(message.content, str):
        _add(message.role, Text(message.content), path, conversation)
        return
    for index, block in enumerate(message.content):
        where = f"{path}.{index}"
        match block:
            case MessagesToolUse():
                refuse(message.role == "assistant", where, "`tool_use` blocks can only be in `assistant` messages")
                conversation.add("assistant", ToolCall(block.id, block.name, block.input), where)
            case MessagesToolResult():
                refuse(message.role == "user", where, "`tool_result` blocks can only be in `user` messages")
                result = ToolResult(
                    block.tool_use_id, tuple(_parts(block.content, f"{where}.content")), block.is_error is True
                )
                conversation.add("user", result, where)
            case _:
                for part in _block(block, where):
                    _add(message.role, part, where, conversation)


def _add(
    role: Literal["user", "assistant", "system"], part: Text | Image | File, path: str, conversation: Conversation
) -> None:
    if role == "user":
        conversation.add("user", part, path)
    elif not isinstance(part, Text):
        raise RequestError(f"{path}: pictures and documents can only be the user's", param=path)
    elif role == "assistant":
        conversation.add("assistant", part, path)
    else:
        conversation.add_system(part.text, path)


def _parts(content: str | list[MessagesInnerBlock] | None, path: str) -> Iterator[Text | Image | File]:
    """Yield what the content of a result or a document holds, without empty texts."""
    if content is None or isinstance(content, str):
        if content:
            yield Text(content)
        return
    for index, block in enumerate(content):
        yield from _block(block, f"{path}.{index}")


def _block(block: MessagesBlock | MessagesInnerBlock, path: str) -> Iterator[Text | Image | File]:
    match block:
        case MessagesText(text=text):
            if text:
                yield Text(text)
        case MessagesImage(source=source):
            yield _image(source, f"{path}.source")
        case MessagesDocument():
            if block.context:
                yield Text(block.context)
            yield from _document(block, f"{path}.source")
        case MessagesSearchResult():
            lines = (block.title, block.source, *(text.text for text in block.content))
            told = "\n".join(line for line in lines if line)
            if told:
                yield Text(told)
        case MessagesToolReference(tool_name=name):
            yield Text(name)
        case _:
            known = block.type in _PASSED_OVER or block.type.endswith("_tool_result")
            refuse(known, f"{path}.type", f"blocks of type {shown(block.type)} aren't supported; send text")


def _image(source: MessagesSource, path: str) -> Image:
    match source.type:
        case "base64":
            return image_from_base64(_data(source, path), f"{path}.data")
        case "url":
            return image_from_url(_url(source, path), f"{path}.url")
    raise _unknown_source(source, path, "base64")


def _document(block: MessagesDocument, path: str) -> Iterator[Text | Image | File]:
    source = block.source
    match source.type:
        case "base64":
            data = _data(source, path)
            yield file_from_base64(data, f"{path}.data", media_type=source.media_type, name=block.title)
        case "text":
            yield file_from_text(_data(source, path), f"{path}.data", name=block.title)
        case "url":
            yield file_from_base64(_url(source, path), f"{path}.url", name=block.title)
        case "content":
            yield from _parts(source.content, f"{path}.content")
        case _:
            raise _unknown_source(source, path, "base64 or text")


def _data(source: MessagesSource, path: str) -> str:
    if source.data is None:
        raise RequestError(f"{path}.data: add this field", param=f"{path}.data", code="missing_required_parameter")
    return source.data


def _url(source: MessagesSource, path: str) -> str:
    if source.url is None:
        raise RequestError(f"{path}.url: add this field", param=f"{path}.url", code="missing_required_parameter")
    return source.url


def _unknown_source(source: MessagesSource, path: str, kinds: str) -> RequestError:
    message = f"{path}.type: sources of type {shown(source.type)} aren't supported; send the data itself, as {kinds}"
    return RequestError(message, param=f"{path}.type")


def _read_tool(tool: MessagesTool, path: str, tools: Tools) -> None:
    if tool.type not in {None, "custom", "function"} and tool.input_schema is None:
        tools.leave_out(tool.name or tool.type)
        return
    for name, value in (("name", tool.name), ("input_schema", tool.input_schema)):
        if value is None:
            where = f"{path}.{name}"
            raise RequestError(f"{where}: add this field", param=where, code="missing_required_parameter")
    schema_path = f"{path}.input_schema"
    tools.add_function(tool.name or "", tool.description, tool.input_schema, f"{path}.name", schema_path=schema_path)


def _choice(given: MessagesToolChoice | None, tools: Tools) -> ToolChoice:
    if given is None:
        return tools.auto()
    if given.type == "tool":
        return tools.named(given.name, "tool_choice.name")
    return tools.by_word(given.type, "tool_choice")


def _form(given: CountRequest) -> JsonFormat | None:
    asked, path = given.output_format, "output_format"
    if given.output_config is not None and given.output_config.format is not None:
        asked, path = given.output_config.format, "output_config.format"
    return json_format(asked.type, asked.schema_, None, path) if asked is not None else None


def _without_effect(given: CountRequest) -> set[str]:
    """Return the names of fields that qpty knows and that have nothing in them that it heeds."""
    config, metadata = given.output_config, given.metadata
    names = set()
    if config is not None and any(value is not None for value in (config.model_extra or {}).values()):
        names.add("output_config")
    if metadata is not None and not metadata.user_id:
        names.add("metadata")
    return names
