"""A body of Chat Completions becomes a `Request`.

Two habits of clients are known here: tools that are flat (`{"type": "function", "name": …}`), and bodies in the shape
of Responses (`input` and no `messages`), which are answered as Chat Completions all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from qpty.compat.chat.wire import (
    ChatAsResponses,
    ChatAssistantMessage,
    ChatFilePart,
    ChatFunctionMessage,
    ChatImagePart,
    ChatRefusalPart,
    ChatRequest,
    ChatSystemMessage,
    ChatTextPart,
    ChatToolMessage,
)
from qpty.compat.reading.conversation import Conversation, Wording
from qpty.compat.reading.fields import ignored_names, json_object, refuse, shown, stop_texts, validated
from qpty.compat.reading.images import file_from_base64, image_from_url, missing_data
from qpty.compat.reading.tools import Tools, json_format
from qpty.compat.requests import File, Image, JsonFormat, Request, RequestError, Text, ToolCall, ToolChoice, ToolResult
from qpty.compat.responses.reading import WORDING as RESPONSES_WORDING
from qpty.compat.responses.reading import answer_form, read_input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qpty.compat.chat.wire import (
        ChatCustom,
        ChatMessage,
        ChatNamed,
        ChatPart,
        ChatTool,
        ChatToolCall,
        ChatToolChoice,
    )

__all__ = ["ChatRequest", "read_chat"]

WORDING: Final = Wording(
    field="messages",
    unanswered="an assistant message with tool_calls has to be followed by tool messages that answer each "
    "tool_call_id; these have none: {ids}",
    unasked="a message of role tool has to answer a call of the assistant message before it, which has no {id}",
)
_THOUGHTS: Final = {"thinking", "redacted_thinking", "reasoning"}


def read_chat(body: object) -> Request:
    """Return what a client of Chat Completions asks for. Raises `RequestError`."""
    if isinstance(body, dict) and body.get("messages") is None and body.get("input") is not None:
        return _read_as_responses(body)
    given = validated(ChatRequest, body)
    conversation = Conversation(WORDING)
    for index, message in enumerate(given.messages):
        _MessageReader(conversation, f"messages.{index}").read(message)
    return _request(given, conversation, Tools(), max_tokens=None, form=None)


def _read_as_responses(body: dict[str, object]) -> Request:
    given = validated(ChatAsResponses, {name: value for name, value in body.items() if name != "messages"})
    refuse(
        not given.previous_response_id,
        "previous_response_id",
        "Chat Completions don't go on after a response; send the whole conversation, or use /v1/responses",
    )
    conversation = Conversation(RESPONSES_WORDING)
    conversation.add_system(given.instructions or "", "instructions")
    tools = Tools()
    read_input(given.input, conversation, ignored=tools.ignored)
    return _request(given, conversation, tools, max_tokens=given.max_output_tokens, form=answer_form(given.text))


def _request(
    given: ChatRequest, conversation: Conversation, tools: Tools, *, max_tokens: int | None, form: JsonFormat | None
) -> Request:
    """Put the request together; `max_tokens` and `form` are for a body that doesn't say in the usual fields."""
    _refuse_unsupported(given)
    for index, tool in enumerate(given.tools or ()):
        _read_tool(tool, f"tools.{index}", tools)
    for index, function in enumerate(given.functions or ()):
        path = f"functions.{index}"
        tools.add_function(
            function.name, function.description, function.parameters, f"{path}.name", schema_path=f"{path}.parameters"
        )
    return Request(
        interface="chat",
        model=given.model,
        messages=conversation.messages(),
        system=conversation.system,
        tools=tools.specs,
        tool_choice=_choice(given, tools),
        parallel_tool_calls=given.parallel_tool_calls is not False,
        max_tokens=given.max_completion_tokens or given.max_tokens or max_tokens,
        stop=stop_texts(given.stop, "stop"),
        json=_form(given) or form,
        stream=given.stream is True,
        include_usage=given.stream_options is not None and given.stream_options.include_usage is True,
        hint=given.prompt_cache_key or None,
        ignored=ignored_names(given, tools.ignored),
    )


def _refuse_unsupported(given: ChatRequest) -> None:
    refuse(given.n in {None, 1}, "n", "only one answer can be made; leave it out")
    refuse(not given.logprobs, "logprobs", "probabilities aren't known; leave it out")
    refuse(not given.top_logprobs, "top_logprobs", "probabilities aren't known; leave it out")
    refuse(set(given.modalities or ()) <= {"text"}, "modalities", 'answers are texts only; leave it out, or ["text"]')
    refuse(not given.audio, "audio", "answers are texts only; leave it out")


class _MessageReader:
    """Reads one message into a conversation. `path` is the message's."""

    def __init__(self, conversation: Conversation, path: str) -> None:
        self._conversation = conversation
        self._path = path

    def read(self, message: ChatMessage) -> None:
        where = f"{self._path}.content"
        match message:
            case ChatSystemMessage():
                for text in self._texts(message.content):
                    self._conversation.add_system(text.text, where)
            case ChatAssistantMessage():
                self._read_assistant(message)
            case ChatToolMessage():
                result = ToolResult(message.tool_call_id, tuple(_parts(message.content, where)))
                self._conversation.add("user", result, f"{self._path}.tool_call_id")
            case ChatFunctionMessage():
                # The older form has no ids: a result is that of the last call, which has the function's name as its id.
                result = ToolResult(message.name, tuple(_parts(message.content, where)))
                self._conversation.add("user", result, f"{self._path}.name")
            case _:
                for part in _parts(message.content, where):
                    self._conversation.add("user", part, where)

    def _read_assistant(self, message: ChatAssistantMessage) -> None:
        refuse(not message.audio, f"{self._path}.audio", "audio isn't supported; send its transcript as content")
        for text in [*self._texts(message.content), Text(message.refusal or "")]:
            self._conversation.add("assistant", text, f"{self._path}.content")
        for index, call in enumerate(message.tool_calls or ()):
            path = f"{self._path}.tool_calls.{index}"
            self._conversation.add("assistant", _call(call, path), f"{path}.id")
        if message.function_call is not None:
            path = f"{self._path}.function_call"
            name = message.function_call.name
            arguments = json_object(message.function_call.arguments, f"{path}.arguments")
            self._conversation.add("assistant", ToolCall(name, name, arguments), f"{path}.name")

    def _texts(self, content: str | list[ChatPart] | None) -> Iterator[Text]:
        where = f"{self._path}.content"
        for part in _parts(content, where):
            if not isinstance(part, Text):
                raise RequestError(f"{where}: pictures and files can only be the user's", param=where)
            yield part


def _call(call: ChatToolCall, path: str) -> ToolCall:
    if call.function is not None:
        arguments = json_object(call.function.arguments, f"{path}.function.arguments")
        return ToolCall(call.id, call.function.name, arguments)
    if call.custom is not None:
        return ToolCall(call.id, call.custom.name, {"input": call.custom.input}, custom=True)
    raise RequestError(f"{path}.function: add this field", param=f"{path}.function", code="missing_required_parameter")


def _parts(content: str | list[ChatPart] | None, path: str) -> Iterator[Text | Image | File]:
    """Yield what a content holds, without empty texts and thoughts."""
    if content is None or isinstance(content, str):
        if content:
            yield Text(content)
        return
    for index, part in enumerate(content):
        where = f"{path}.{index}"
        match part:
            case ChatTextPart(text=text) | ChatRefusalPart(refusal=text):
                if text:
                    yield Text(text)
            case ChatImagePart():
                yield image_from_url(part.image_url.url, f"{where}.image_url.url")
            case ChatFilePart():
                yield _file(part, f"{where}.file")
            case _:
                advice = f"{shown(part.type)} isn't supported; give text, image_url or file"
                refuse(part.type in _THOUGHTS, f"{where}.type", advice)


def _file(part: ChatFilePart, path: str) -> File | Image:
    if part.file.file_data is None:
        raise missing_data(path, "file_data", file_id=part.file.file_id)
    return file_from_base64(part.file.file_data, f"{path}.file_data", name=part.file.filename)


def _read_tool(tool: ChatTool, path: str, tools: Tools) -> None:
    if tool.function is not None:
        function = tool.function
        where = f"{path}.function"
        tools.add_function(
            function.name, function.description, function.parameters, f"{where}.name", schema_path=f"{where}.parameters"
        )
    elif tool.custom is not None:
        _read_custom(tool.custom, f"{path}.custom", tools)
    elif tool.name is not None and tool.type in {"function", None}:
        field = "input_schema" if tool.parameters is None and tool.input_schema is not None else "parameters"
        schema = tool.input_schema if field == "input_schema" else tool.parameters
        tools.add_function(tool.name, tool.description, schema, f"{path}.name", schema_path=f"{path}.{field}")
    elif tool.name is not None and tool.type == "custom":
        if tool.input_schema is not None:  # Anthropic's word for a tool with arguments
            schema_path = f"{path}.input_schema"
            tools.add_function(tool.name, tool.description, tool.input_schema, f"{path}.name", schema_path=schema_path)
        else:
            _read_custom(tool, path, tools)
    elif tool.type in {"function", "custom", None}:
        where = f"{path}.{tool.type or 'type'}"
        raise RequestError(f"{where}: add this field", param=where, code="missing_required_parameter")
    else:
        tools.leave_out(tool.type)


def _read_custom(tool: ChatCustom | ChatTool, path: str, tools: Tools) -> None:
    form = tool.format
    grammar = (form.grammar or form) if form is not None else None
    tools.add_custom(
        tool.name or "",
        tool.description,
        f"{path}.name",
        syntax=grammar.syntax if grammar is not None else None,
        grammar=grammar.definition if grammar is not None else None,
    )


def _choice(given: ChatRequest, tools: Tools) -> ToolChoice:
    if given.tool_choice is None:
        return _older_choice(given.function_call, tools)
    if isinstance(given.tool_choice, str):
        return tools.by_word(given.tool_choice, "tool_choice")
    choice: ChatToolChoice = given.tool_choice
    kind: Literal["function", "custom"] | str = choice.type
    if kind in {"function", "custom", "tool"}:
        named = choice.function or choice.custom
        path = f"tool_choice.{kind}.name" if named is not None else "tool_choice.name"
        return tools.named(named.name if named is not None else choice.name, path)
    if kind == "allowed_tools":
        mode = choice.allowed_tools.mode if choice.allowed_tools is not None else choice.mode
        return tools.allowed(mode, "tool_choice.allowed_tools.mode")
    if kind in {"auto", "none", "required", "any"}:
        return tools.by_word(kind, "tool_choice.type")
    return tools.unheeded()


def _older_choice(given: str | ChatNamed | None, tools: Tools) -> ToolChoice:
    if given is None:
        return tools.auto()
    return (
        tools.by_word(given, "function_call")
        if isinstance(given, str)
        else tools.named(given.name, "function_call.name")
    )


def _form(given: ChatRequest) -> JsonFormat | None:
    asked = given.response_format
    if asked is None:
        return None
    inner = asked.json_schema
    schema, name = (inner.schema_, inner.name) if inner is not None else (None, None)
    found = json_format(asked.type, schema, name, "response_format")
    refuse(
        found is None or asked.type != "json_schema" or inner is not None,
        "response_format.json_schema",
        "add this field",
        code="missing_required_parameter",
    )
    return found
