"""The aiohttp application: the table of operations as routes, inside the middlewares."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from qpty import __version__
from qpty.agent.threads import cancelled
from qpty.server import pages
from qpty.server.api import OPERATIONS
from qpty.server.connections import ConnectionWatch
from qpty.server.middleware import BY_NAME, account, add_headers, guard
from qpty.server.openapi import DOCUMENT, document
from qpty.server.operations import Call, Operation
from qpty.server.service import SERVICE, Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp.typedefs import Handler


def make_app(service: Service) -> web.Application:
    """Return the application of a service. Its shutdown closes the sessions' manager, which ends every stream.

    Run it with `handler_cancellation=True`: a client that goes away ends what only it waited for.
    """
    app = web.Application(middlewares=[account, guard], client_max_size=service.settings.max_body_bytes)
    app[SERVICE] = service
    app[BY_NAME] = {operation.id: operation for operation in OPERATIONS}
    app[DOCUMENT] = document(OPERATIONS, version=__version__)
    for operation in OPERATIONS:
        path = operation.path.replace("/{path}", r"/{path:[\s\S]+}")  # a name may have a line break
        route = app.router.add_route(operation.method, path, _entry(operation), name=operation.id)
        if operation.has_head:
            app.router.add_route("HEAD", path, route.handler, name=operation.id)
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(_close)
    app.on_cleanup.append(_close_renderer)
    app.cleanup_ctx.append(_keep_keys_fresh)
    pages.load()
    return app


def watch_connections(app: web.Application, server: Callable[[], web.Server | None]) -> None:
    """Cut off clients that neither take nor give, for as long as the application runs; quickly, once it stops."""
    watch = ConnectionWatch(app[SERVICE], server)

    async def run(_app: web.Application) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(watch.run(), name="connections")
        yield
        await cancelled(task)

    async def finish(_app: web.Application) -> None:
        await watch.finish()

    app.cleanup_ctx.append(run)
    app.on_shutdown.append(finish)


def _entry(operation: Operation) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await operation.handler(Call(operation, request))

    return handle


async def _close(app: web.Application) -> None:
    await app[SERVICE].manager.close()


async def _close_renderer(app: web.Application) -> None:
    await app[SERVICE].renderer.close()


async def _keep_keys_fresh(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(app[SERVICE].access.keep_fresh(), name="keys")
    yield
    await cancelled(task)
