"""A whole server in a process of its own, whose agent is the typist: `python -m tests.bench._served DIRECTORY`.

Prints its URL, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from qpty.server.app import make_app
from qpty.server.logs import configure_logging
from qpty.server.serving import running_service
from qpty.server.settings import load_settings
from tests.bench._terminals import typist


async def main(directory: Path) -> None:
    """Serve."""
    spec = replace(typist(directory / "agent"), kind="demo")
    settings = load_settings(environment={}, directory=directory, rate_limit=0, warm_workers=0)
    async with running_service(settings, os.environ, spec=spec) as service:
        runner = web.AppRunner(make_app(service), access_log=None, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await runner.cleanup()


if __name__ == "__main__":
    configure_logging(stream=sys.stderr, level="warning")
    asyncio.run(main(Path(sys.argv[1])))
