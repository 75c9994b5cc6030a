"""`qpty keys`: make, list and revoke the keys that callers of the server show. A running server notices in a second."""

from __future__ import annotations

import os
from datetime import UTC
from pathlib import Path
from typing import Annotated

import typer

from qpty.server.access.keys import FILE_NAME, KeyStore
from qpty.server.settings import load_settings

app = typer.Typer(
    name="keys", help="Keys that callers of the server show.", no_args_is_help=True, pretty_exceptions_enable=False
)

DataOption = Annotated[
    Path | None, typer.Option("--data", help="The server's data directory; by default the one of QPTY_DATA_DIR.")
]


def _store(data: Path | None) -> KeyStore:
    """Open the keys of the server that would run here. Raises SettingsError, KeyFileError."""
    settings = load_settings(environment=os.environ, directory=Path.cwd(), data_dir=data)
    return KeyStore(settings.data_dir / FILE_NAME, settings.configured_keys)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, to tell it from others.")],
    *,
    admin: Annotated[bool, typer.Option("--admin", help="It may take over the keyboard of its sessions.")] = False,
    builtin_tools: Annotated[
        bool, typer.Option("--builtin-tools", help="OpenAI and Anthropic clients may have the agent's own tools used.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Make a key and print it, once: only its hash is kept. The key alone goes to standard output."""
    new = _store(data).create(name, admin=admin, builtin_tools=builtin_tools)
    typer.echo(f"key {new.id} ({new.name}) is made; it is shown now and never again:", err=True)
    typer.echo(new.key)


@app.command("list")
def list_keys(*, data: DataOption = None) -> None:
    """List the keys: id, time of making, name, and what it may. The keys themselves are not kept."""
    for key in _store(data).list():
        created = "-" * 20 if key.created_at is None else f"{key.created_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        may = [text for text, has in (("admin", key.admin), ("builtin-tools", key.builtin_tools)) if has]
        policy = f"  ({', '.join(may)})" if may else ""
        typer.echo(f"{key.id}  {created}  {key.name}{policy}")


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `qpty keys list` shows it.")],
    *,
    data: DataOption = None,
) -> None:
    """Revoke a key: it is refused from now on, and so are the cookies of browsers that signed in with it."""
    revoked = _store(data).revoke(key_id)
    typer.echo(f"key {revoked.id} ({revoked.name}) is revoked", err=True)
