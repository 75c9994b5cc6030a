"""Running the service: settings → sessions → application → sockets, and the way back when a signal comes."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from aiohttp import web

from qpty import __version__
from qpty.agent.provider import Profile, with_instruction
from qpty.agent.spec import AgentSpec, locate
from qpty.agent.threads import in_thread
from qpty.compat.gateway import GatewayConfig, running_gateway
from qpty.core.errors import QptyError
from qpty.server.access.cookies import CookieSigner, load_secret
from qpty.server.access.identity import LINK_LIFETIME, Access
from qpty.server.access.keys import KeyStore, NewKey
from qpty.server.access.links import LoginLinks
from qpty.server.access.rate import RateLimiter, StreamSlots
from qpty.server.agent_version import version_of
from qpty.server.app import make_app, watch_connections
from qpty.server.metrics import Metrics
from qpty.server.model_files import load_model_names
from qpty.server.models.service import Agent
from qpty.server.service import Service
from qpty.server.tool_listener import tool_listener
from qpty.sessions.running import running_sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from qpty.server.settings import Settings

CHINESE: Final = "请始终使用简体中文回答。"
"""The instruction of FORCE_CHINESE: "Always answer in simplified Chinese." """

SHUTDOWN_TIMEOUT: Final = 4.0
"""Seconds that answers may take to end after the sessions have; aiohttp gives them as long again to be cancelled."""

KEEPALIVE_TIMEOUT: Final = 75.0
"""Seconds that a connection may stay without a request, or in the middle of a request's head."""

LINE_LIMIT: Final = 16 * 1024
"""Bytes of a request's first line: a path of 4,096 bytes has three times as many when all of it is escaped."""

BACKLOG: Final = 128
"""Connections that wait to be accepted; asyncio takes as many at once, and logs each that finds no descriptor."""

DESCRIPTORS_A_WORKER: Final = 4
SPARE_DESCRIPTORS: Final = 16 * 1024

_log: Final = logging.getLogger("qpty.server")


class AddressInUseError(QptyError):
    """The server can't listen at its address."""

    def __init__(self, host: str, port: int, why: str) -> None:
        super().__init__(f"cannot listen at {host} port {port}: {why}; set HOST and PORT to an address that is free")
        self.host = host
        self.port = port


@asynccontextmanager
async def running_service(
    settings: Settings, environment: Mapping[str, str], *, spec: AgentSpec | None = None
) -> AsyncIterator[Service]:
    """Run a service without a socket: its sessions, its keys, its limits.

    `spec` is the agent, found as the settings say if None. Raises the errors of `locate`, of `running_sessions` and of
    the files of keys.
    """
    raise_descriptor_limit(settings.max_workers)
    data = settings.data_dir
    await in_thread(_make_private, data)
    if spec is None:
        passed_on = settings.agent_environment(environment)
        spec = await in_thread(locate, settings.agent, environment=passed_on, data_directory=data)
    instruction = CHINESE if settings.force_chinese else None
    profile = Profile(model=settings.model, trusted_tools=settings.trusted_tools)
    keys = await in_thread(KeyStore, data / "keys.json", settings.configured_keys)
    signer = CookieSigner(await in_thread(load_secret, data / "cookie.secret"))
    version = await version_of(spec)
    model_names = await in_thread(
        load_model_names, settings.models_file, default=settings.model, strict=settings.strict_models
    )
    async with (
        tool_listener() as tools,
        running_sessions(
            spec,
            data_directory=data,
            base=settings.sessions_base_dir,
            database_url=settings.database,
            config=settings.sessions_config(),
            deadlines=settings.deadlines(),
            default_profile=with_instruction(profile, instruction) if instruction is not None else profile,
            tools_url=tools.url,
        ) as manager,
        running_gateway(manager, _gateway_config(settings, instruction)) as gateway,
    ):
        tools.gateway = gateway
        yield Service(
            manager=manager,
            gateway=gateway,
            model_names=model_names,
            settings=settings,
            access=Access(keys, signer, LoginLinks(lifetime=LINK_LIFETIME), open_address=not settings.loopback),
            rate=RateLimiter(settings.rate_limit),
            streams=StreamSlots(settings.max_streams),
            metrics=Metrics(manager),
            agent=Agent.model_validate({"kind": spec.kind, "version": version}),
            instruction=instruction,
        )


async def serve(
    settings: Settings, environment: Mapping[str, str], *, announce: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Serve until `stop` is set. `announce` gets what the person who started it has to know, once it listens."""
    listening = await in_thread(listen, settings.host, settings.port)
    try:
        async with running_service(settings, environment) as service:
            made = await in_thread(first_key, service)
            runner = make_runner(service)
            await runner.setup()
            try:
                await web.SockSite(runner, listening, backlog=BACKLOG).start()
                announce(announcement(service, port=listening.getsockname()[1], made=made))
                await stop.wait()
                _log.info("stopping: running turns end, whatever was accepted is kept")
            finally:
                await runner.cleanup()
    finally:
        listening.close()


def make_runner(service: Service, *, shutdown_timeout: float = SHUTDOWN_TIMEOUT) -> web.AppRunner:
    """Return what runs the application of a service.

    Bodies come as they were sent: aiohttp would unpack one of `Content-Encoding: gzip` without asking how large it
    gets, and drops the connection without an answer where it can't.
    """
    app = make_app(service)
    runner = web.AppRunner(
        app,
        access_log=None,
        auto_decompress=False,
        handler_cancellation=True,
        keepalive_timeout=KEEPALIVE_TIMEOUT,
        max_line_size=LINE_LIMIT,
        shutdown_timeout=shutdown_timeout,
    )
    watch_connections(app, lambda: runner.server)
    return runner


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; before anything else is started, since most mistakes are here.

    Blocks for the name's look-up. Raises AddressInUseError.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(BACKLOG)
            listening.setblocking(False)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        raise AddressInUseError(host, port, error.strerror or str(error)) from error
    return listening


def first_key(service: Service) -> NewKey | None:
    """Make a key where one is needed and there is none. Blocks for a file. Raises KeyFileError."""
    access = service.access
    if not access.required or access.keys.has_keys:
        return None
    return access.keys.create("first", admin=True)


def announcement(service: Service, *, port: int, made: NewKey | None) -> str:
    """Return what a person has to know: where it is, who answers, and, once, the key."""
    settings, agent = service.settings, service.agent
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if settings.host in {"0.0.0.0", "::"}:  # noqa: S104 — any address is no address to open
        host = "localhost"
    url = f"http://{host}:{port}"
    who = {
        "q": "Amazon Q CLI",
        "kiro-cli": "Kiro CLI (never tried with qpty)",
        "demo": "demo agent" if settings.agent == "demo" else "demo agent: no q was found",
    }[agent.kind]
    version = f" {agent.version}" if agent.version is not None and agent.kind != "demo" else ""
    lines = [f"qpty {__version__} is at {url} (agent: {who}{version})"]
    if made is not None:
        lines.append(f"A key was made, because {settings.host} can be reached from elsewhere. It is shown only now:")
        lines.append(f"  {made.key}")
    if service.access.required:
        key_id = made.id if made is not None else service.access.keys.list()[0].id
        token = service.access.links.create(key_id, service.clock())
        lines.append("Open this once, within ten minutes, to sign a browser in:")
        lines.append(f"  {url}/login/{token}")
    return "\n".join(lines)


def raise_descriptor_limit(workers: int) -> None:
    """Let this process have the descriptors that its workers and streams need, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = workers * DESCRIPTORS_A_WORKER + SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
        if allowed < wanted:
            _log.warning("only %d descriptors are allowed; %d would be needed at full use", allowed, wanted)


def run(settings: Settings, environment: Mapping[str, str]) -> None:
    """Serve until SIGINT or SIGTERM; a second one ends it at once. Raises whatever keeps it from starting."""

    def announce(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        signals = (signal.SIGINT, signal.SIGTERM)

        def stopped() -> None:
            stop.set()
            for number in signals:
                loop.remove_signal_handler(number)

        for number in signals:
            loop.add_signal_handler(number, stopped)
        await serve(settings, environment, announce=announce, stop=stop)

    asyncio.run(main(), debug=settings.debug)


def _gateway_config(settings: Settings, instruction: str | None) -> GatewayConfig:
    return GatewayConfig(
        fidelity=settings.stream_fidelity,
        client_tool_timeout=settings.client_tool_timeout,
        instruction=instruction,
    )


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
