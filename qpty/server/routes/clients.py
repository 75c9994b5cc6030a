"""OpenAI's and Anthropic's clients: their requests read, handed to the gateway, and its answers written."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from qpty.agent.threads import cancelled, in_thread
from qpty.compat.chat.reading import read_chat
from qpty.compat.chat.writing import ChatWriter
from qpty.compat.gateway import Terms
from qpty.compat.messages.reading import read_count, read_messages
from qpty.compat.messages.writing import MessagesWriter
from qpty.compat.replies import Calls, Ending, ReplyHead
from qpty.compat.requests import RequestError
from qpty.compat.responses.reading import read_responses
from qpty.compat.responses.writing import ResponsesWriter
from qpty.compat.usage import input_tokens_of
from qpty.compat.writing.model_list import model_object, model_page
from qpty.server.client_answers import ClientStream, client_json, family_of, id_of, request_id_header
from qpty.server.service import KEY_ID

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from aiohttp import web

    from qpty.compat.answer import Answer
    from qpty.compat.model_names import ResolvedModel
    from qpty.compat.replies import Piece, ReplyWriter
    from qpty.compat.requests import Request, ToolCall
    from qpty.server.operations import Call

OPENED_AFTER: Final = 10.0
"""Seconds for which a stream waits for its first words: until then an error still has a status of its own."""

HEADER_CHARACTERS: Final = 1_000

MODELS_SINCE: Final = 1_700_000_000
"""When the models are said to have been made: the command line doesn't say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one interface is read and written."""

    read: Callable[[object], Request]
    writer: Callable[[ReplyHead], ReplyWriter]


CHAT: Final = Dialect(read=read_chat, writer=ChatWriter)
RESPONSES: Final = Dialect(read=read_responses, writer=ResponsesWriter)
MESSAGES: Final = Dialect(read=read_messages, writer=MessagesWriter)


async def chat_completions(call: Call) -> web.StreamResponse:
    """Answer a client of OpenAI's Chat Completions."""
    return await _answered(call, CHAT)


async def responses(call: Call) -> web.StreamResponse:
    """Answer a client of OpenAI's Responses."""
    return await _answered(call, RESPONSES)


async def messages(call: Call) -> web.StreamResponse:
    """Answer a client of Anthropic's Messages."""
    return await _answered(call, MESSAGES)


async def count_tokens(call: Call) -> web.Response:
    """Estimate what a request would send."""
    request = await _read(call, read_count)
    headers = {"x-qpty-usage": "estimated", **request_id_header("anthropic", id_of(call.request))}
    return client_json({"input_tokens": await in_thread(input_tokens_of, request)}, headers=headers)


async def models(call: Call) -> web.Response:
    """List the models, for clients of either family."""
    listed = call.service.model_names.listed(await _available(call))
    return client_json(model_page(listed, MODELS_SINCE))


async def model(call: Call) -> web.Response:
    """Look at one model, by its own name or one that stands for it."""
    name = call.part("model_id")
    if not call.service.model_names.knows(name, await _available(call)):
        raise RequestError(f"there is no model {name[:80]!r}: list them", code="model_not_found", status=404)
    return client_json(model_object(name, MODELS_SINCE))


async def _available(call: Call) -> Sequence[str] | None:
    """The models that the command line names, if it does."""
    offers = call.manager.offers
    return await offers.models() if offers is not None else None


async def _read(call: Call, read: Callable[[object], Request]) -> Request:
    body = await call.any_json(limit_bytes=call.service.settings.max_client_body_bytes)
    return await in_thread(read, body)


async def _answered(call: Call, dialect: Dialect) -> web.StreamResponse:
    request = await _read(call, dialect.read)
    service = call.service
    resolved = service.model_names.resolve(request.model, await _available(call))
    builtin_tools = service.access.allows_builtin_tools(
        call.request.get(KEY_ID), default=service.settings.client_builtin_tools
    )
    terms = Terms(owner=call.owner, model=resolved.model, builtin_tools=builtin_tools)
    answer = await service.gateway.answer(request, terms)
    try:
        head = ReplyHead(
            id=answer.reply_id,
            created=int(service.clock()),
            model=request.model,
            request=request,
            input_tokens=answer.input_tokens,
        )
        headers = _headers(call, request, answer, resolved)
        writer = dialect.writer(head)
        if request.stream:
            return await _streamed(call, answer, writer, headers)
        return await _whole(answer, writer, headers)
    finally:
        answer.leave()


def _headers(call: Call, request: Request, answer: Answer, resolved: ResolvedModel) -> dict[str, str]:
    headers = {
        "x-qpty-session-id": answer.session_id,
        "x-qpty-model": resolved.told if resolved.matched else f"{resolved.told}; not-known",
        "x-qpty-usage": "estimated",
        **request_id_header(family_of(call.request, call.operation.family) or "openai", id_of(call.request)),
    }
    if request.ignored:
        headers["x-qpty-ignored"] = _ascii(", ".join(request.ignored))
    return headers


def _ascii(text: str) -> str:
    """Return a text as a header can have it."""
    plain = "".join(character if " " <= character <= "~" else "?" for character in text)
    return plain[:HEADER_CHARACTERS]


async def _whole(answer: Answer, writer: ReplyWriter, headers: dict[str, str]) -> web.Response:
    texts: list[str] = []
    calls: Sequence[ToolCall] = ()
    async with aclosing(answer.pieces()) as pieces:
        async for piece in pieces:
            match piece:
                case str():
                    texts.append(piece)
                case Calls():
                    calls = piece.calls
                case Ending():
                    body = writer.whole("".join(texts), calls, piece)
                    headers["x-qpty-exact"] = str(answer.exact).lower()
                    return client_json(body, headers=headers)
    raise AssertionError("unreachable: an answer has an ending, or raises")


async def _streamed(call: Call, answer: Answer, writer: ReplyWriter, headers: dict[str, str]) -> web.StreamResponse:
    async with aclosing(answer.pieces()) as pieces, _first(pieces) as first:
        await asyncio.wait([first], timeout=OPENED_AFTER)
        if first.done():
            first.result()  # what went wrong before the first word has a status of its own
        async with ClientStream(call.request, writer, headers) as stream:
            await stream.send(_written(writer, await first))
            async for piece in pieces:
                await stream.send(_written(writer, piece))
        return stream.response


@contextlib.asynccontextmanager
async def _first(pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[asyncio.Task[Piece], None]:
    """Have the first piece on its way for as long as the context lasts."""

    async def next_piece() -> Piece:
        return await anext(pieces)

    task = asyncio.get_running_loop().create_task(next_piece(), name="first words")
    try:
        yield task
    finally:
        await cancelled(task)


def _written(writer: ReplyWriter, piece: Piece) -> Any:
    match piece:
        case str():
            return writer.text(piece)
        case Calls():
            return writer.tool_calls(piece.calls)
        case Ending():
            return writer.closing(piece)
