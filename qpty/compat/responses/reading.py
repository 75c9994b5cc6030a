"""A body of Responses becomes a `Request`.

Items of the provider's own tools (a web search that it ran, say) are passed over: their answers are in what the
assistant said. They are named in `ignored`; only reasoning isn't, since every client sends it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from qpty.compat.reading.conversation import Conversation, Wording
from qpty.compat.reading.fields import ignored_names, json_object, refuse, shown, validated
from qpty.compat.reading.images import file_from_base64, image_from_url, missing_data
from qpty.compat.reading.tools import Tools, json_format
from qpty.compat.requests import File, Image, JsonFormat, Request, RequestError, Text, ToolCall, ToolChoice, ToolResult
from qpty.compat.responses.wire import (
    ResponsesCallOutput,
    ResponsesCustomCall,
    ResponsesCustomOutput,
    ResponsesFilePart,
    ResponsesFunctionCall,
    ResponsesImagePart,
    ResponsesItemReference,
    ResponsesMessage,
    ResponsesOtherItem,
    ResponsesRefusalPart,
    ResponsesRequest,
    ResponsesTextPart,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qpty.compat.responses.wire import (
        ResponsesInput,
        ResponsesItem,
        ResponsesPart,
        ResponsesText,
        ResponsesTool,
        ResponsesToolChoice,
    )

__all__ = ["ResponsesRequest", "answer_form", "read_input", "read_responses"]

WORDING: Final = Wording(
    field="input",
    unanswered="no output was found for these calls: {ids}; add a function_call_output for each",
    unasked="no call was found for this output of {id}; send the function_call before it, or previous_response_id",
)
_SILENT: Final = {"reasoning"}
_SERVER_ITEMS: Final = {"mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "tool_search_output"}
_HOLDERS: Final = {"function", "custom"}


def read_responses(body: object) -> Request:
    """Return what a client of Responses asks for. Raises `RequestError`."""
    given = validated(ResponsesRequest, body)
    refuse(not given.background, "background", "answers aren't made in the background; leave it out")
    refuse(not given.conversation, "conversation", "conversations have no names here; send previous_response_id")
    refuse(not given.prompt, "prompt", "no prompts are kept here; send the text itself in `input`")
    refuse(not given.top_logprobs, "top_logprobs", "probabilities aren't known; leave it out")
    conversation = Conversation(WORDING)
    conversation.add_system(given.instructions or "", "instructions")
    tools = Tools()
    read_input(given.input, conversation, ignored=tools.ignored)
    read_tools(given.tools or (), tools)
    return Request(
        interface="responses",
        model=given.model,
        messages=conversation.messages(open_start=given.previous_response_id is not None),
        system=conversation.system,
        tools=tools.specs,
        tool_choice=_choice(given.tool_choice, tools),
        parallel_tool_calls=given.parallel_tool_calls is not False,
        max_tokens=given.max_output_tokens,
        json=answer_form(given.text),
        stream=given.stream is True,
        previous_response_id=given.previous_response_id,
        hint=given.prompt_cache_key or None,
        ignored=ignored_names(given, tools.ignored),
    )


def read_input(given: ResponsesInput, conversation: Conversation, *, ignored: set[str]) -> None:
    """Add an `input` to a conversation; the names of what is passed over go to `ignored`. Raises `RequestError`."""
    if isinstance(given, str):
        conversation.add("user", Text(given), "input")
        return
    for index, item in enumerate(given):
        _read_item(item, f"input.{index}", conversation, ignored)


def answer_form(text: ResponsesText | None) -> JsonFormat | None:
    """Return the form that `text.format` asks for; None for text. Raises `RequestError`."""
    asked = text.format if text is not None else None
    return json_format(asked.type, asked.schema_, asked.name, "text.format") if asked is not None else None


def _read_item(item: ResponsesItem, path: str, conversation: Conversation, ignored: set[str]) -> None:
    match item:
        case ResponsesMessage():
            _read_message(item, path, conversation)
        case ResponsesFunctionCall():
            arguments = json_object(item.arguments, f"{path}.arguments")
            call = ToolCall(item.call_id, item.name, arguments, namespace=item.namespace)
            conversation.add("assistant", call, f"{path}.call_id")
        case ResponsesCustomCall():
            call = ToolCall(item.call_id, item.name, {"input": item.input}, custom=True, namespace=item.namespace)
            conversation.add("assistant", call, f"{path}.call_id")
        case ResponsesCallOutput() | ResponsesCustomOutput():
            result = ToolResult(item.call_id, tuple(_parts(item.output, f"{path}.output")))
            conversation.add("user", result, f"{path}.call_id")
        case ResponsesItemReference():
            raise RequestError(f"{path}: items aren't kept here; send the item itself", param=path)
        case ResponsesOtherItem(type=kind):
            if kind in _SILENT:
                return
            if kind not in _SERVER_ITEMS and not kind.endswith(("_call", "_call_output")):
                raise RequestError(f"{path}.type: items of type {shown(kind)} aren't supported", param=f"{path}.type")
            ignored.add(f"input.{kind}")


def _read_message(message: ResponsesMessage, path: str, conversation: Conversation) -> None:
    role: Literal["user", "assistant"] = "assistant" if message.role == "assistant" else "user"
    where = f"{path}.content"
    for part in _parts(message.content, where):
        if isinstance(part, Text):
            if message.role in {"system", "developer"}:
                conversation.add_system(part.text, where)
            else:
                conversation.add(role, part, where)
        elif message.role == "user":
            conversation.add(role, part, where)
        else:
            raise RequestError(f"{where}: pictures and files can only be the user's", param=where)


def _parts(content: str | list[ResponsesPart], path: str) -> Iterator[Text | Image | File]:
    """Yield what a content holds, without empty texts and reasoning."""
    if isinstance(content, str):
        if content:
            yield Text(content)
        return
    for index, part in enumerate(content):
        where = f"{path}.{index}"
        match part:
            case ResponsesTextPart(text=text) | ResponsesRefusalPart(refusal=text):
                if text:
                    yield Text(text)
            case ResponsesImagePart():
                yield _image(part, where)
            case ResponsesFilePart():
                yield _file(part, where)
            case _:
                kinds = "input_text, input_image, input_file or output_text"
                refuse("reasoning" in part.type, f"{where}.type", f"{shown(part.type)} isn't supported; give {kinds}")


def _image(part: ResponsesImagePart, path: str) -> Image:
    if part.image_url is None:
        raise missing_data(path, "image_url", file_id=part.file_id)
    return image_from_url(part.image_url, f"{path}.image_url")


def _file(part: ResponsesFilePart, path: str) -> File | Image:
    if part.file_data is not None:
        return file_from_base64(part.file_data, f"{path}.file_data", name=part.filename)
    if part.file_url is not None:
        return file_from_base64(part.file_url, f"{path}.file_url", name=part.filename)
    raise missing_data(path, "file_data", file_id=part.file_id)


def read_tools(given: Sequence[ResponsesTool], tools: Tools) -> None:
    """Add the tools of a body. Raises `RequestError`."""
    for index, tool in enumerate(given):
        path = f"tools.{index}"
        if tool.type != "namespace":
            _read_tool(tool, path, tools, namespace=None)
            continue
        name = _named(tool, path)
        for inner, held in enumerate(tool.tools or ()):
            _read_tool(held, f"{path}.tools.{inner}", tools, namespace=name)


def _read_tool(tool: ResponsesTool, path: str, tools: Tools, *, namespace: str | None) -> None:
    match tool.type:
        case "function" | None:
            name = _named(tool, path)
            where = f"{path}.parameters"
            tools.add_function(
                name, tool.description, tool.parameters, f"{path}.name", schema_path=where, namespace=namespace
            )
        case "custom":
            form = tool.format
            tools.add_custom(
                _named(tool, path),
                tool.description,
                f"{path}.name",
                syntax=form.syntax if form is not None else None,
                grammar=form.definition if form is not None else None,
                namespace=namespace,
            )
        case kind:
            tools.leave_out(kind)


def _named(tool: ResponsesTool, path: str) -> str:
    if tool.name is None:
        raise RequestError(f"{path}.name: add this field", param=f"{path}.name", code="missing_required_parameter")
    return tool.name


def _choice(given: str | ResponsesToolChoice | None, tools: Tools) -> ToolChoice:
    if given is None:
        return tools.auto()
    if isinstance(given, str):
        return tools.by_word(given, "tool_choice")
    if given.type in _HOLDERS:
        return tools.named(given.name, "tool_choice.name")
    if given.type == "allowed_tools":
        return tools.allowed(given.mode, "tool_choice.mode")
    if given.type in {"auto", "none", "required"}:
        return tools.by_word(given.type, "tool_choice.type")
    return tools.unheeded()
