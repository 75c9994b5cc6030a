"""The command line: `qpty …` and `python -m qpty …`."""

from __future__ import annotations

import sys

import typer

from qpty.cli import capturing, keys, serving
from qpty.core.errors import QptyError
from qpty.storage.errors import StorageError

app = typer.Typer(
    name="qpty",
    help="The Amazon Q command line, served to programs and browsers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serving.serve)
app.add_typer(keys.app, name="keys")
app.command("capture")(capturing.capture)
app.command("replay")(capturing.replay)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, by default with the process's arguments.

    An error of ours is one line on standard error and exit status 1.
    """
    try:
        app(arguments)
    except (QptyError, StorageError) as error:
        print(f"qpty: {error}", file=sys.stderr)
        sys.exit(1)
