"""Messages and their turns: sent, waited for, interrupted; questions answered."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from qpty.core.keys import encode_prompt
from qpty.server.errors import TurnFailedError
from qpty.server.models import turns as shapes
from qpty.server.operations import Call, answer
from qpty.server.service import CLIENT
from qpty.server.streaming import EventStream
from qpty.server.turn_events import ENDS, QUESTIONS, turn_events
from qpty.sessions.errors import TurnNotFoundError
from qpty.sessions.journal import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from qpty.sessions.turns import Turn
    from qpty.storage.rows import MessageRow


async def chat(call: Call) -> web.Response:
    """Send a message and answer with the whole answer, or with the question that came first."""
    session_id, turn = await _sent(call)
    segments: list[dict[str, Any]] = []
    async with aclosing(turn_events(call.manager, session_id, turn, owner=call.owner)) as events:
        async for event in events:
            if event.type == "message.completed":
                segments.append(event.data)
            elif event.type in QUESTIONS:
                return answer(_asked(call, session_id, turn, event.data, segments))
            elif event.type in ENDS:
                return answer(_answered(call, session_id, turn, event.data))
    raise AssertionError("unreachable: the events of a turn end with its end, or with a question")


async def chat_stream(call: Call) -> web.StreamResponse:
    """Send a message and answer with its events, until its end or a question."""
    session_id, turn = await _sent(call)
    headers = {"X-Session-Id": session_id, "X-Turn-Id": turn.id}
    async with (
        EventStream(call.request, **headers) as stream,
        aclosing(turn_events(call.manager, session_id, turn, owner=call.owner)) as events,
    ):
        async for event in events:
            await stream.send(event)
    return stream.response


async def _sent(call: Call) -> tuple[str, Turn]:
    """Send the message of a chat, to a new session if it names none."""
    body = await call.body(shapes.Chat)
    session_id = body.session_id
    if session_id is not None:
        return session_id, await call.manager.send(session_id, body.message, key=body.idempotency_key, owner=call.owner)
    encode_prompt(body.message)  # what can't be sent shall not leave a session behind
    info = await call.manager.create(owner=call.owner)
    return info.id, await call.manager.send(info.id, body.message, owner=call.owner)


def _asked(
    call: Call, session_id: str, turn: Turn, question: dict[str, Any], segments: list[dict[str, Any]]
) -> shapes.ChatAnswer:
    return shapes.ChatAnswer(
        session_id=session_id,
        turn_id=turn.id,
        text="\n\n".join(segment["text"] for segment in segments),
        exact=all(segment["exact"] for segment in segments),
        stop_reason=None,
        tools=_tools(turn),
        question=question,
        usage={},
        timings={},
        timestamp=timestamp(call.service.clock()),
    )


def _answered(call: Call, session_id: str, turn: Turn, end: Mapping[str, Any]) -> shapes.ChatAnswer:
    """Return a turn's answer. Raises TurnFailedError."""
    if end["type"] == "turn.failed":
        raise TurnFailedError(
            end["message"],
            session_id=session_id,
            turn_id=turn.id,
            code=end["code"],
            retryable=end["retryable"],
        )
    return shapes.ChatAnswer(
        session_id=session_id,
        turn_id=turn.id,
        text=end["text"],
        exact=end["exact"],
        stop_reason=end["stop_reason"],
        tools=_tools(turn),
        question=None,
        usage=end["usage"],
        timings=end["timings"],
        timestamp=timestamp(call.service.clock()),
    )


def _tools(turn: Turn) -> list[shapes.ToolUse]:
    return [shapes.ToolUse(tool_id=tool_id, **tool) for tool_id, tool in turn.tools.items()]


async def send(call: Call) -> web.Response:
    """Take a message; the events tell what becomes of it."""
    body = await call.body(shapes.MessageSend)
    turn = await call.manager.send(call.session_id, body.message, key=body.idempotency_key, owner=call.owner)
    return answer(shapes.MessageAccepted(session_id=call.session_id, turn_id=turn.id, seq=turn.seq), 202)


async def messages(call: Call) -> web.Response:
    """List what was said."""
    query = call.query(shapes.MessageQuery)
    session_id, limit = call.session_id, query.limit
    if query.before is not None:
        page = await call.manager.messages_before(session_id, position=query.before, limit=limit, owner=call.owner)
        rows = page.messages
        previous = rows[0].position if page.more_before else None
        more = query.before - 1 if page.more_after else None
    else:
        rows = await call.manager.messages(session_id, after_position=query.after or 0, limit=limit, owner=call.owner)
        previous = rows[0].position if rows and query.after else None
        more = rows[-1].position if len(rows) == limit else None
    found = [message_shape(row) for row in rows]
    return answer(shapes.MessageList(session_id=session_id, messages=found, next=more, previous=previous))


def message_shape(row: MessageRow) -> shapes.Message:
    """Return what is told of a message."""
    return shapes.Message(
        message_id=row.id,
        turn_id=row.turn_id,
        position=row.position,
        role=row.role,
        text=row.text,
        exact=row.exact,
        tools=row.tools,
        created_at=timestamp(row.created_at),
    )


async def turn(call: Call) -> web.Response:
    """Look at one turn."""
    row = await call.manager.turn(call.session_id, call.part("turn_id"), owner=call.owner)
    if row is None:
        raise TurnNotFoundError(call.part("turn_id"))
    return answer(
        shapes.Turn(
            turn_id=row.id,
            session_id=row.session_id,
            state=row.state,
            stop_reason=row.stop_reason,
            code=row.code,
            detail=row.detail,
            retryable=row.retryable,
            created_at=timestamp(row.created_at),
            started_at=timestamp(row.started_at) if row.started_at is not None else None,
            ended_at=timestamp(row.ended_at) if row.ended_at is not None else None,
            usage=dict(row.usage) if row.usage is not None else None,
            timings=dict(row.timings) if row.timings is not None else None,
        )
    )


async def interrupt(call: Call) -> web.Response:
    """Stop a turn."""
    body = await call.body(shapes.Interrupt)
    stopped = await call.manager.interrupt(call.session_id, turn_id=body.turn_id, owner=call.owner)
    return answer(shapes.Interrupted(interrupted=stopped))


async def answer_permission(call: Call) -> web.Response:
    """Answer the open permission."""
    body = await call.body(shapes.PermissionAnswer)
    request_id = call.part("request_id")
    await call.manager.answer(call.session_id, request_id, body.answer, owner=call.owner)
    return answer(shapes.PermissionAnswered(request_id=request_id, answer=body.answer))


async def choose(call: Call) -> web.Response:
    """Choose from the open menu."""
    body = await call.body(shapes.MenuChoice)
    request_id = call.part("request_id")
    await call.manager.choose(call.session_id, request_id, body.index, owner=call.owner)
    return answer(shapes.MenuAnswered(request_id=request_id, index=body.index))


async def markdown(call: Call) -> web.Response:
    """Render a text as answers are rendered."""
    body = await call.body(shapes.Markdown)
    blocks = await call.service.renderer.render(body.text, client=call.request[CLIENT])
    return answer(shapes.RenderedMarkdown(blocks=[block.html for block in blocks]))
