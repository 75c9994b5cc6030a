"""The command line: `qpty …` and `python -m qpty …`."""

from __future__ import annotations

import sys

import typer

from qpty.cli import capturing
from qpty.core.errors import QptyError

app = typer.Typer(
    name="qpty",
    help="The Amazon Q command line, served to programs and browsers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("capture")(capturing.capture)
app.command("replay")(capturing.replay)


@app.callback()
def _root() -> None:
    """Keep the commands commands, however few there are."""


def main() -> None:
    """Run the command line; an error of ours is one line on standard error and exit status 1."""
    try:
        app()
    except QptyError as error:
        print(f"qpty: {error}", file=sys.stderr)
        sys.exit(1)
