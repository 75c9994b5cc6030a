"""What happens to every request, from the outside in: its id and its log line, errors, host and origin, key, limits.

A request is refused before its handler sees it, whatever its route: also one that there is none for.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web
from aiohttp.client_exceptions import ClientConnectionResetError
from aiohttp.hdrs import (
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD,
    HOST,
    ORIGIN,
    VARY,
)

from qpty.server.access.identity import COOKIE
from qpty.server.access.origin import check_host, check_origin
from qpty.server.access.rate import client_of_address
from qpty.server.client_answers import family_of, told_to_client
from qpty.server.errors import KeyRefusedError, KeyRequiredError, RateLimitedError
from qpty.server.logs import get_logger
from qpty.server.operations import answer
from qpty.server.pages import own_page, sign_in_page, wants_a_page
from qpty.server.service import CLIENT, FOREIGN_ORIGIN, KEY_ID, OWNER, REQUEST_ID, SERVICE, STARTED
from qpty.server.statuses import fault, refusal
from qpty.sessions.manager import LOCAL

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from qpty.server.operations import Operation
    from qpty.server.service import Service

BY_NAME: Final = web.AppKey("operations", dict)
"""Route name → Operation."""

CLIENT_LEFT: Final = 499
"""The status in the log where the client went away before any answer began."""

_STATUS: Final = web.RequestKey("status", int)
"""Of an answer that has begun."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

SIGN_IN_FORM: Final = "login_by_key"
"""The operation that a page's form goes to: its errors are for a person."""

ASKED_CHARACTERS: Final = 4_096
METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS: Final = (
    "Authorization, Content-Type, If-None-Match, If-Range, Last-Event-ID, Range, X-Api-Key, X-Request-Id"
)
CLIENT_HEADERS: Final = re.compile(r"(?i)(?:anthropic|openai|x-stainless)-[a-z0-9-]{1,64}")
"""Headers that the clients of others send, whatever they are for: an allowed page's may, too."""
ANSWER_HEADERS: Final = (
    "Content-Range, ETag, Request-Id, Retry-After, X-Qpty-Exact, X-Qpty-Ignored, X-Qpty-Model, X-Qpty-Session-Id, "
    "X-Qpty-Usage, X-Request-Id, X-Should-Retry"
)

HEADERS: Final = {
    "Server": "qpty",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with `no-referrer` the sign-in form's Origin would be `null`
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""On every answer that doesn't say otherwise."""

_log: Final = get_logger("qpty.server")


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put the headers on an answer that is about to be sent (a signal's receiver)."""
    request[STARTED] = True
    request[_STATUS] = response.status
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = HEADERS["Server"]
    request_id = request.get(REQUEST_ID)
    if request_id is not None:
        response.headers["X-Request-Id"] = request_id
    origin = request.get(FOREIGN_ORIGIN)
    if origin is not None:
        response.headers[ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
        response.headers[ACCESS_CONTROL_EXPOSE_HEADERS] = ANSWER_HEADERS
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.headers.add(VARY, "Origin")


def operation_of(request: web.Request) -> Operation | None:
    """Return the operation that a request goes to; None where there is no such route."""
    found: Operation | None = request.app[BY_NAME].get(request.match_info.route.name)
    return found


@web.middleware
async def account(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, answer for its errors, and write its line of the log."""
    given = request.headers.get("X-Request-Id", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    request[REQUEST_ID] = request_id
    operation = operation_of(request)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)
    session_id = request.match_info.get("session_id")
    if session_id is not None:
        structlog.contextvars.bind_contextvars(session_id=session_id[:64])
    began = time.monotonic()
    status, left = 500, False
    try:
        try:
            with request.app[SERVICE].under_way.hold(request):
                response = await handler(request)
        except asyncio.CancelledError:
            # Either the client went away, which is how most streams end; or the server stops, and waits no longer.
            left = request.transport is None
            status = request.get(_STATUS, CLIENT_LEFT if left else 503)
            raise
        except ClientConnectionResetError:  # it went away in the middle of an answer, and a write was the first to know
            left = True
            response = web.Response(status=request.get(_STATUS, CLIENT_LEFT))
        except Exception as error:  # noqa: BLE001 — the outermost one: whatever it is has to be answered and logged
            response = _told(request, operation, error, request_id)
        status = response.status
        return response
    finally:
        seconds = time.monotonic() - began
        name = operation.id if operation is not None else "none"
        metrics = request.app[SERVICE].metrics
        metrics.requests.labels(name, request.method if operation is not None else "", status).inc()
        if operation is not None and not operation.streams:
            metrics.seconds.labels(name).observe(seconds)
        _log.log(
            30 if status >= 500 else 20,
            "request",
            method=request.method,
            operation=name,
            status=status,
            milliseconds=round(seconds * 1000, 1),
            client=request.get(CLIENT, request.remote),
            **({"client_left": True} if left else {}),
        )


def _told(request: web.Request, operation: Operation | None, error: Exception, request_id: str) -> web.StreamResponse:
    if isinstance(error, KeyRequiredError | KeyRefusedError) and _is_for_a_person(request):
        return sign_in_page(problem=str(error) if isinstance(error, KeyRefusedError) else None, path=_way_back(request))
    told = refusal(error, request_id=request_id)
    if told is None:
        _log.error("a request failed inside the server", exc_info=error)
        told = fault(request_id=request_id)
    family = family_of(request, operation.family if operation is not None else None)
    if request.get(STARTED) and request.transport is not None:
        request.transport.abort()  # half an answer must not look like a whole one
    elif told.status >= 500:
        _log.warning("a request could not be served", code=told.answer.error.code, error=str(error))
    if family is not None:
        return told_to_client(told, family)
    return answer(told.answer, told.status, **told.headers)


def _way_back(request: web.Request) -> str:
    """Return the page that somebody who signs in was on the way to."""
    return own_page(request.path if request.method == "GET" else request.query.get("next", "/"))


def _is_for_a_person(request: web.Request) -> bool:
    asks = request.method == "GET" or request.match_info.route.name == SIGN_IN_FORM
    return asks and wants_a_page(request)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what comes from elsewhere, from nobody, or too often."""
    service = request.app[SERVICE]
    _check_origin(request, service)
    if request.method == "OPTIONS" and ACCESS_CONTROL_REQUEST_METHOD in request.headers and FOREIGN_ORIGIN in request:
        return _preflight(request)
    operation = operation_of(request)
    address = request.remote or "unknown"
    if operation is not None and operation.public:
        request[OWNER], request[CLIENT] = LOCAL, client_of_address(address)
    else:
        identity = service.access.identify(request.headers, cookie=request.cookies.get(COOKIE), address=address)
        request[OWNER], request[CLIENT] = identity.owner, identity.client
        if identity.key_id is not None:
            request[KEY_ID] = identity.key_id
    check_rate(service, request[CLIENT])
    return await handler(request)


def check_rate(service: Service, client: str) -> None:
    """Count a request, or a frame. Raises RateLimitedError."""
    wait = service.rate.take(client, time.monotonic())
    if wait > 0:
        raise RateLimitedError(wait)


def _check_origin(request: web.Request, service: Service) -> None:
    host = _only(request, HOST)
    check_host(host, allowed=service.settings.allowed_hosts)
    origin = _only(request, ORIGIN)
    foreign = check_origin(
        origin,
        request.headers.get("Sec-Fetch-Site"),
        host=host or "",
        method=request.method,
        navigation=(request.headers.get("Sec-Fetch-Mode"), request.headers.get("Sec-Fetch-Dest"))
        == ("navigate", "document"),
        allowed=service.settings.allowed_origins,
    )
    if foreign and origin is not None:
        request[FOREIGN_ORIGIN] = origin


def _only(request: web.Request, name: str) -> str | None:
    """Return a header that may come once; several are none that could be right."""
    values = request.headers.getall(name, [])
    return ", ".join(values) if values else None


def _preflight(request: web.Request) -> web.Response:
    asked = request.headers.get(ACCESS_CONTROL_REQUEST_HEADERS, "")[:ASKED_CHARACTERS]
    further = [name.strip() for name in asked.split(",") if CLIENT_HEADERS.fullmatch(name.strip())]
    headers = {
        ACCESS_CONTROL_ALLOW_METHODS: METHODS,
        ACCESS_CONTROL_ALLOW_HEADERS: ", ".join([REQUEST_HEADERS, *further]),
        ACCESS_CONTROL_MAX_AGE: "600",
    }
    return web.Response(status=204, headers=headers)
