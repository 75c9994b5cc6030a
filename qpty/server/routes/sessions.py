"""Sessions: made, listed, looked at, changed, forked, deleted; and what their terminal shows."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from qpty.agent.provider import Profile, with_instruction
from qpty.server.models import sessions as shapes
from qpty.server.operations import NDJSON, Call, answer
from qpty.server.service import CLIENT
from qpty.sessions.journal import timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from qpty.core.terminal import ScreenSnapshot
    from qpty.sessions.info import SessionInfo


def profile_of(call: Call, body: shapes.SessionCreate) -> Profile:
    """Return how a new session's agent is started: as the settings say, but for what the request says.

    Raises ProfileError.
    """
    default = call.service.manager.default_profile
    given: dict[str, Any] = {}
    if body.agent is not None:
        given |= {"agent": body.agent, "system_prompt": None}
    if body.model is not None:
        given["model"] = body.model
    if body.trusted_tools is not None:
        given["trusted_tools"] = tuple(body.trusted_tools)
    if body.trust_all_tools:
        given["trust_all_tools"] = True
    if body.system_prompt is not None:
        given["system_prompt"] = body.system_prompt
    profile = replace(default, **given)
    if body.system_prompt is not None and call.service.instruction is not None:
        return with_instruction(profile, call.service.instruction)
    return profile


def work_directory(info: SessionInfo) -> str:
    """Return a session's directory, from the directory that the sessions' one is in."""
    return f"{info.directory.parent.name}/{info.directory.name}"


def shape(info: SessionInfo) -> shapes.Session:
    """Return what is told of a session."""
    profile = info.profile
    return shapes.Session(
        session_id=info.id,
        created_at=timestamp(info.created_at),
        last_activity=timestamp(info.last_activity),
        message_count=info.message_count,
        work_directory=work_directory(info),
        absolute_work_directory=str(info.directory),
        state=info.state,
        title=info.title,
        agent=profile.agent,
        model=profile.model,
        system_prompt=profile.system_prompt,
        trusted_tools=list(profile.trusted_tools) if profile.trusted_tools is not None else None,
        trust_all_tools=profile.trust_all_tools,
        columns=info.columns,
        lines=info.lines,
        turn_id=info.turn_id,
        queued=info.queued,
        question=dict(info.question) if info.question is not None else None,
        parent_id=info.parent_id,
        client=info.client,
        expired=info.expired,
    )


async def create(call: Call) -> web.Response:
    """Make a session."""
    body = await call.body(shapes.SessionCreate)
    info = await call.manager.create(
        owner=call.owner,
        profile=profile_of(call, body),
        title=body.title,
        columns=body.columns,
        lines=body.lines,
    )
    return created(info)


def created(info: SessionInfo) -> web.Response:
    """Return the answer for a new session."""
    made = shapes.SessionCreated(session_id=info.id, created_at=timestamp(info.created_at))
    return answer(made, 201, Location=f"/api/v1/sessions/{info.id}")


async def page(call: Call) -> web.Response:
    """List sessions."""
    query = call.query(shapes.SessionQuery)
    found = await call.manager.list_sessions(
        owner=call.owner, limit=query.limit, cursor=query.cursor, search=query.search
    )
    return answer(shapes.SessionList(sessions=[shape(info) for info in found.sessions], next=found.next))


async def get(call: Call) -> web.Response:
    """Look at a session."""
    return answer(shape(await call.manager.get(call.session_id, owner=call.owner)))


async def change(call: Call) -> web.Response:
    """Change a session's title or size."""
    body = await call.body(shapes.SessionChange)
    manager, session_id, owner = call.manager, call.session_id, call.owner
    info = await manager.get(session_id, owner=owner)
    if body.columns is not None or body.lines is not None:
        columns, lines = body.columns or info.columns, body.lines or info.lines
        await manager.resize(session_id, columns=columns, lines=lines, owner=owner)
    if "title" in body.model_fields_set:
        await manager.rename(session_id, body.title, owner=owner)
    return answer(shape(await manager.get(session_id, owner=owner)))


async def delete(call: Call) -> web.Response:
    """Delete a session with its directory and its journal."""
    await call.manager.delete(call.session_id, owner=call.owner)
    return web.Response(status=204)


async def fork(call: Call) -> web.Response:
    """Make a session that goes on from the end of a turn."""
    body = await call.body(shapes.SessionFork)
    place: dict[str, Any] = {"turn_id": body.turn_id, "before_turn_id": body.before_turn_id, "owner": call.owner}
    if not body.copy_files:
        return _forked(await call.manager.fork(call.session_id, **place), None)
    info, copied = await call.manager.fork_with_files(call.session_id, **place)
    return _forked(info, shapes.FilesCopied.model_validate(copied, from_attributes=True))


def _forked(info: SessionInfo, files: shapes.FilesCopied | None) -> web.Response:
    made = shapes.SessionForked(session_id=info.id, created_at=timestamp(info.created_at), files=files)
    return answer(made, 201, Location=f"/api/v1/sessions/{info.id}")


async def hibernate(call: Call) -> web.Response:
    """End the idle worker of a session; its conversation is kept."""
    return answer(shapes.Hibernated(hibernated=await call.manager.hibernate(call.session_id, owner=call.owner)))


async def screen(call: Call) -> web.Response:
    """Show the screen."""
    return answer(_screen(call.session_id, await call.manager.screen(call.session_id, owner=call.owner)))


def _screen(session_id: str, seen: ScreenSnapshot) -> shapes.Screen:
    rows = [[shapes.Run.model_validate(run, from_attributes=True) for run in row] for row in seen.rows]
    return shapes.Screen(
        session_id=session_id,
        columns=seen.columns,
        lines=seen.lines,
        cursor=shapes.Cursor(column=seen.cursor_column, line=seen.cursor_line, hidden=seen.cursor_hidden),
        title=seen.title,
        text="\n".join("".join(run.text for run in row) for row in seen.rows),
        rows=rows,
    )


async def recorded_screens(call: Call) -> web.StreamResponse:
    """Send the recording of the session's terminal as screens."""
    with call.service.streams.hold(call.request[CLIENT]):
        screens = call.manager.recorded_screens(call.session_id, owner=call.owner)
        return await _sent(call, screens, {"Content-Type": NDJSON})


async def recording(call: Call) -> web.StreamResponse:
    """Send the recording of the session's terminal."""
    name = f'attachment; filename="{call.session_id}.cast"'
    chunks = call.manager.recording(call.session_id, owner=call.owner)
    return await _sent(call, chunks, {"Content-Type": "application/x-asciicast", "Content-Disposition": name})


async def _sent(call: Call, chunks: AsyncGenerator[bytes, None], headers: dict[str, str]) -> web.StreamResponse:
    async with aclosing(chunks):
        first = await anext(chunks)  # before the answer begins: there may be none
        response = web.StreamResponse(headers=headers)
        await response.prepare(call.request)
        if call.request.method != "HEAD":  # written all the same, it would be read as the next answer
            await response.write(first)
            async for chunk in chunks:
                await response.write(chunk)
    await response.write_eof()
    return response
