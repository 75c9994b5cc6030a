"""Answering OpenAI's and Anthropic's clients: streams of their frames, and errors as they know them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from qpty.compat.replies import Problem
from qpty.compat.writing.problems import anthropic_error, anthropic_status, openai_error, openai_status, should_retry
from qpty.server.service import REQUEST_ID
from qpty.server.streaming import ServerSentEvents, json_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qpty.compat.replies import Frame, ReplyWriter
    from qpty.server.operations import Family
    from qpty.server.statuses import Refusal

CLIENT_PATH: Final = "/v1/"
"""What all paths of these clients begin with."""

ANTHROPIC_VERSION: Final = "anthropic-version"
"""The header that tells Anthropic's clients from others, where the path doesn't."""

JSON: Final = "application/json"


class ClientStream(ServerSentEvents):
    """A stream of a client's own frames."""

    def __init__(self, request: web.Request, writer: ReplyWriter, headers: Mapping[str, str]) -> None:
        super().__init__(request, opening=_frames(writer.opening()), headers=headers)
        self._writer = writer

    async def send(self, frames: Iterable[Frame]) -> None:
        """Send frames; waits while the connection is full."""
        await self.write(_frames(frames))

    def beat(self) -> bytes:
        """Return what the interface has for it."""
        return self._writer.keep_alive()

    def told(self, refused: Refusal) -> bytes:
        """Return the frames that end it."""
        return _frames(self._writer.failure(problem_of(refused)))


def problem_of(refused: Refusal) -> Problem:
    """Return what is told of an error, for a writer."""
    error = refused.answer.error
    return Problem(
        status=refused.status,
        code=error.code,
        message=error.message,
        request_id=error.request_id,
        param=error.details.get("param"),
    )


def family_of(request: web.Request, family: Family | None) -> Family | None:
    """Return whose clients an answer is for: what the operation says, or else the request; None for nobody's."""
    if family == "either" or (family is None and request.path.startswith(CLIENT_PATH)):
        return "anthropic" if ANTHROPIC_VERSION in request.headers else "openai"
    return family


def told_to_client(refused: Refusal, family: Family) -> web.Response:
    """Return an error's answer, as a family's clients know it."""
    problem = problem_of(refused)
    headers = {**refused.headers, **request_id_header(family, problem.request_id)}
    if (again := should_retry(problem)) is not None:
        headers["x-should-retry"] = str(again).lower()
    if family == "anthropic":
        return client_json(anthropic_error(problem), anthropic_status(problem), headers)
    return client_json(openai_error(problem), openai_status(problem), headers)


def request_id_header(family: Family, request_id: str) -> Mapping[str, str]:
    """Return the header in which Anthropic's clients look for a request's id; OpenAI's look for one that is there."""
    return {"request-id": request_id} if family == "anthropic" else {}


def client_json(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON answer."""
    data = json_bytes(json.dumps(body, ensure_ascii=False))
    return web.Response(body=data, status=status, content_type=JSON, headers=headers)


def id_of(request: web.Request) -> str:
    """Return the request's id."""
    found: str = request[REQUEST_ID]
    return found


def _frames(frames: Iterable[Frame]) -> bytes:
    return b"".join(map(_frame, frames))


def _frame(frame: Frame) -> bytes:
    head = f"event: {frame.event}\n" if frame.event is not None else ""
    data = frame.data if isinstance(frame.data, str) else json.dumps(frame.data, ensure_ascii=False)
    return head.encode() + b"data: " + json_bytes(data) + b"\n\n"
