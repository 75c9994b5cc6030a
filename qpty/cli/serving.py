"""`qpty serve`: the settings, the log, and the server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from qpty.server.logs import configure_logging
from qpty.server.serving import run
from qpty.server.settings import load_settings


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="The address to listen at; stronger than HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; stronger than PORT. 0 is any free one.")] = None,
    agent: Annotated[
        str | None, typer.Option(help="auto, q, kiro-cli, demo, or a program's path; stronger than QPTY_AGENT.")
    ] = None,
) -> None:
    """Serve q over HTTP. Settings come from the environment, .env and config/qpty.toml; the README lists them."""
    given = {"host": host, "port": port, "agent": agent}
    settings = load_settings(
        environment=os.environ,
        directory=Path.cwd(),
        **{name: value for name, value in given.items() if value is not None},
    )
    configure_logging(
        level=settings.lowest_level,
        format=settings.log_format,
        stream=sys.stderr,
        log_text=settings.log_text,
        secrets=settings.configured_keys,
    )
    run(settings, os.environ)
