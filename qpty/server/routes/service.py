"""The service itself: what it is, whether it can serve, its figures, its pages, and signing a browser in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from qpty import __version__
from qpty.server import pages
from qpty.server.access.identity import COOKIE, COOKIE_LIFETIME, LINK_LIFETIME
from qpty.server.byte_ranges import has_already
from qpty.server.errors import NoKeysError
from qpty.server.models import service as shapes
from qpty.server.openapi import DOCUMENT
from qpty.server.operations import Call, answer
from qpty.sessions.errors import SessionNotFoundError
from qpty.sessions.journal import timestamp

if TYPE_CHECKING:
    from qpty.server.service import Service

VIEWS: Final = ("files", "terminal")
"""What the page has beside a conversation, as its addresses call it."""

FORM_LIMIT: Final = 4096
"""Bytes of a sign-in form."""


async def root(call: Call) -> web.Response:
    """Say what this is: a page for browsers, JSON for programs."""
    service = call.service
    if pages.wants_a_page(call.request):
        # The page is as private as what it leads to.
        service.access.identify(
            call.request.headers, cookie=call.request.cookies.get(COOKIE), address=call.request.remote or "unknown"
        )
        return _app_page(call)
    return answer(
        shapes.ServiceInfo(
            name="qpty",
            version=__version__,
            agent=service.agent,
            documentation="/docs",
            openapi="/openapi.json",
            health="/health",
            sessions="/api/v1/sessions",
        )
    )


async def session_page(call: Call) -> web.Response:
    """Show the page, at a session; it says itself that there is none, or no such view."""
    view = call.request.match_info.get("view")
    try:
        await call.manager.get(call.session_id, owner=call.owner)
        found = view is None or view in VIEWS
    except SessionNotFoundError:
        if not pages.wants_a_page(call.request):
            raise
        found = False
    if not found and not pages.wants_a_page(call.request):
        raise web.HTTPNotFound
    return _app_page(call, 200 if found else 404)


def _app_page(call: Call, status: int = 200) -> web.Response:
    service = call.service
    return pages.app_page(
        status,
        version=__version__,
        agent=service.agent,
        signed_in=service.access.required,
        max_upload_bytes=service.settings.max_file_bytes,
    )


async def health(call: Call) -> web.Response:
    """Say whether the service can serve."""
    service = call.service
    problems = problems_of(service)
    pool = service.manager.pool
    return answer(
        shapes.Health(
            status="unavailable" if problems else "ok",
            qcli_available=service.agent.kind != "demo",
            active_sessions=sum(session.in_use for session in service.manager.loaded()),
            timestamp=timestamp(service.clock()),
            version=__version__,
            agent=service.agent,
            pool=shapes.Pool(
                max_workers=pool.max_workers,
                live=pool.live,
                idle=pool.idle,
                warm=pool.warm,
                running=pool.running,
                waiting=pool.waiting,
            ),
            problems=problems,
        ),
        503 if problems else 200,
    )


def problems_of(service: Service) -> list[str]:
    """Return why it can't serve, without naming any place of this machine."""
    problems = []
    if service.manager.database.writer.failing:
        problems.append("storage: the database refuses what is written; see the log")
    if service.manager.pool.warm_failure is not None:
        problems.append("agent: it does not start; see the log, or ask a session")
    return problems


async def metrics(call: Call) -> web.Response:
    """Give the figures."""
    return web.Response(
        body=call.service.metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    )


async def openapi(call: Call) -> web.Response:
    """Give the OpenAPI document."""
    document = call.request.app[DOCUMENT]
    body = document.with_keys if call.service.access.required else document.without_keys
    return web.Response(body=body, content_type="application/json")


async def documentation(_call: Call) -> web.Response:
    """Show the interface."""
    return pages.documentation_page()


async def asset(call: Call) -> web.Response:
    """Give a page's file."""
    found = pages.asset(call.part("path"))
    if found is None:
        raise web.HTTPNotFound
    file, lasting = found
    headers = {"ETag": file.etag, "Cache-Control": "public, max-age=31536000, immutable" if lasting else "no-cache"}
    if has_already(call.request.headers.get("If-None-Match"), etag=file.etag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.data, headers={**headers, "Content-Type": f"{file.media_type}; charset=utf-8"})


async def login_link(call: Call) -> web.Response:
    """Make a link that signs one browser in, once."""
    service, request = call.service, call.request
    identity = service.access.identify(
        request.headers, cookie=request.cookies.get(COOKIE), address=request.remote or "unknown"
    )
    if identity.key_id is None:
        raise NoKeysError
    now = service.clock()
    token = service.access.links.create(identity.key_id, now)
    url = f"{request.scheme}://{request.host}/login/{token}"
    return answer(shapes.LoginLink(url=url, expires_at=timestamp(now + LINK_LIFETIME)), 201)


async def login_by_link(call: Call) -> web.Response:
    """Sign a browser in by a one-time link."""
    cookie = call.service.access.redeem(call.part("token"), address=call.request.remote or "unknown")
    return _signed_in(call, cookie, path="/")


async def login_by_key(call: Call) -> web.Response:
    """Sign a browser in by a key, from the page's form."""
    key = (await call.form("key", limit_bytes=FORM_LIMIT)).strip()
    access = call.service.access
    identity = access.identify({"x-api-key": key}, cookie=None, address=call.request.remote or "unknown")
    if identity.key_id is None:
        raise NoKeysError
    return _signed_in(call, access.cookie(identity.key_id), path=pages.own_page(call.query(shapes.LoginQuery).next))


def _signed_in(call: Call, cookie: str, *, path: str) -> web.Response:
    response = web.Response(status=303, headers={"Location": path})
    secure = call.request.secure or call.request.headers.get("Origin", "").startswith("https:")
    response.set_cookie(COOKIE, cookie, max_age=COOKIE_LIFETIME, path="/", httponly=True, samesite="Lax", secure=secure)
    return response


async def logout(_call: Call) -> web.Response:
    """Sign a browser out."""
    response = web.Response(status=204)
    response.del_cookie(COOKIE, path="/", httponly=True, samesite="Lax")
    return response
