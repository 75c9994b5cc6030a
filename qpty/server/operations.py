"""One row for each operation of the interface: its route, its handler and its shapes.

The router, the checks of bodies and queries, the OpenAPI document and the tests all read the same table.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from urllib.parse import parse_qs

from aiohttp import web
from pydantic import ValidationError

from qpty.agent.threads import in_thread
from qpty.server.errors import BodyEncodingError, BodyTooLargeError, InvalidRequestError, MediaTypeError
from qpty.server.models.common import Model
from qpty.server.service import OWNER, SERVICE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import BaseModel

    from qpty.server.service import Service
    from qpty.sessions.manager import SessionManager

M = TypeVar("M", bound=Model)

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
FORM_FIELDS: Final = 20
EVENT_STREAM: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"

Family = Literal["openai", "anthropic", "either"]

PROBLEMS_SHOWN: Final = 20

PARSED_AT_ONCE: Final = 256 * 1024
"""Bytes of a body that the loop may be held for (about 2 ms)."""

EXACT: Final = (1 << 53) - 1
"""Up to here, a floating-point number is the whole number that was written."""

UNREADABLE: Final = "the body can't be read: it is not encoded as its headers say, or it broke off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer that an operation may give: JSON of a model, or something of another media type."""

    status: int = 200
    model: type[Model] | None = None
    media_type: str = JSON
    description: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """A request header that an operation heeds; `pattern` (a regular expression) if only some values are taken."""

    name: str
    meaning: str
    pattern: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation.

    `replies`: of success, the usual one first. `errors`: the codes (see `statuses`) beyond those that every operation
    may answer. `body_optional`: an absent body is the shape's defaults. `upload`: the body is bytes of any type.
    `form`: the fields of a page's form. `public`: needs no key. `once`: its GET uses something up. `family`: it is for
    OpenAI's or Anthropic's clients, and errors are told as they know them; `either` goes by the request's headers.
    """

    method: str
    path: str
    id: str
    tag: str
    summary: str
    handler: Callable[[Call], Awaitable[web.StreamResponse]]
    replies: tuple[Reply, ...]
    errors: tuple[str, ...] = ()
    query: type[Model] | None = None
    body: type[BaseModel] | None = None
    body_optional: bool = False
    upload: bool = False
    form: type[Model] | None = None
    headers: tuple[Header, ...] = ()
    public: bool = False
    once: bool = False
    family: Family | None = None

    @property
    def reads(self) -> bool:
        """Whether it reads a request's body."""
        return self.body is not None or self.form is not None or self.upload

    @property
    def has_head(self) -> bool:
        """Whether HEAD answers for it, too: with the headers of its GET."""
        return self.method == "GET" and not self.streams and not self.once

    @property
    def streams(self) -> bool:
        """Whether its answer may last as long as the client likes."""
        return any(reply.media_type == EVENT_STREAM or reply.status == 101 for reply in self.replies)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, for the handler of its operation."""

    operation: Operation
    request: web.Request

    @property
    def service(self) -> Service:
        """The service."""
        return self.request.app[SERVICE]

    @property
    def manager(self) -> SessionManager:
        """The sessions."""
        return self.service.manager

    @property
    def owner(self) -> str:
        """Whose sessions it may see."""
        return self.request[OWNER]

    def part(self, name: str) -> str:
        """Return a part of the path."""
        return self.request.match_info[name]

    @property
    def session_id(self) -> str:
        """The session in the path."""
        return self.part("session_id")

    def query(self, model: type[M]) -> M:
        """Return the query, checked. Raises InvalidRequestError."""
        assert model is self.operation.query  # noqa: S101 — the table is what the document is made from
        given: dict[str, str] = {}
        for name, value in self.request.query.items():
            if name in given and name in model.model_fields:
                raise InvalidRequestError(f"the query has {name} twice: give it once")
            given[name] = value
        return _checked(model, given, "query")

    async def body(self, model: type[M]) -> M:
        """Return the body, checked. Raises InvalidRequestError, MediaTypeError, Body…Error."""
        assert model is self.operation.body  # noqa: S101
        data = await self._read(self.service.settings.max_body_bytes)
        if not data.strip() and self.operation.body_optional:
            return model()
        self._check_json()
        return _checked(model, _parsed(data), "body")

    async def any_json(self, *, limit_bytes: int) -> Any:
        """Return the body as JSON of any shape. Raises as `body` does."""
        data = await self._read(limit_bytes)
        self._check_json()
        return _parsed(data) if len(data) < PARSED_AT_ONCE else await in_thread(_parsed, data)

    def _check_json(self) -> None:
        if self.request.content_type != JSON:
            raise MediaTypeError(self.request.headers.get("Content-Type", ""))

    async def form(self, field: str, *, limit_bytes: int) -> str:
        """Return one field of a page's form, "" if it isn't there. Raises as `body` does."""
        if self.request.content_type != FORM:
            raise MediaTypeError(self.request.headers.get("Content-Type", ""), FORM)
        data = await self._read(limit_bytes)
        try:
            fields = parse_qs(data.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS)
        except ValueError as error:
            raise InvalidRequestError("the body is not a form in UTF-8") from error
        return fields.get(field, [""])[0]

    def check_encoding(self) -> None:
        """Refuse a body that is packed. Raises BodyEncodingError."""
        encoding = self.request.headers.get("Content-Encoding", "identity").strip()
        if encoding.lower() not in {"", "identity"}:
            raise BodyEncodingError(encoding)

    async def _read(self, limit: int) -> bytes:
        self.check_encoding()
        if (self.request.content_length or 0) > limit:
            raise BodyTooLargeError(limit)
        data = bytearray()
        try:
            async for chunk in self.request.content.iter_any():
                data += chunk
                if len(data) > limit:
                    raise BodyTooLargeError(limit)
        except web.RequestPayloadError as error:
            raise InvalidRequestError(UNREADABLE) from error
        return bytes(data)


def answer(model: Model, status: int = 200, **headers: str) -> web.Response:
    """Return a model as a JSON answer."""
    return web.Response(
        body=model.model_dump_json().encode(),
        status=status,
        content_type=JSON,
        headers=headers,
    )


def _parsed(data: bytes) -> Any:
    """Return what a body says. Raises InvalidRequestError."""
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"the body is not JSON in UTF-8: {str(error)[:200]}") from error


def _number(text: str) -> float | int:
    """Return a number with a fraction or an exponent; `80.0` is a whole one, in JSON as in its schemas."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) <= EXACT else number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _checked(model: type[M], given: Any, where: str) -> M:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        problems = [
            {"field": ".".join(str(part) for part in found["loc"]) or where, "problem": found["msg"]}
            for found in error.errors(include_url=False, include_input=False, include_context=False)
        ][:PROBLEMS_SHOWN]
        told = "; ".join(f"{problem['field']}: {problem['problem']}" for problem in problems)
        raise InvalidRequestError(f"the {where} can't be taken: {told}"[:2000], problems) from error
    except RecursionError as error:
        raise InvalidRequestError(f"the {where} is nested too deeply") from error
