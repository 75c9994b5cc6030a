"""`qpty capture` makes a capture of a live agent; `qpty replay` shows what the core makes of one."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qpty.agent import dialects, spec
from qpty.agent.capture import CaptureError, CaptureWriter, read_capture
from qpty.agent.driver import TerminalAgent
from qpty.cli.steps import StepPlayer, check_steps
from qpty.core.commands import DataReceived, Input
from qpty.core.errors import QptyError
from qpty.core.events import Event
from qpty.core.playback import play

if TYPE_CHECKING:
    from collections.abc import Callable

FILE_HELP = "Where the capture goes; a file that is there is replaced."
STEPS_HELP = """What to do, in order. A message is typed as it is. `:allow`, `:refuse` and `:always` answer a
permission, `:choose N` (from 0) and `:leave` a menu; `:interrupt` stops the turn. Each of these waits until the turn
ends or asks something, but for one before `:wait SECONDS` or `:until TEXT`: they let the turn run so long, or until the
answer or a tool has printed TEXT. `:take-up`, as the first step, takes up the directory's earlier conversation."""

SHOWN = 100
"""Characters of an output that are shown as the cause of an event."""


class CaptureFileError(QptyError):
    """A capture can't be written to `path`."""

    def __init__(self, path: Path, error: OSError) -> None:
        self.path = path
        super().__init__(f"cannot write {path}: {error.strerror}; choose another file")


def replay(
    file: Annotated[Path, typer.Argument(help="An asciicast made by `qpty capture`.")],
    *,
    dialect: Annotated[str, typer.Option(help="The dialect; by default the one that the capture names.")] = "",
    commands: Annotated[bool, typer.Option("--commands", help="Show the core's commands too.")] = False,
) -> None:
    """Show the events that a capture gives, one a line: seconds, the event, and what made it."""
    capture = read_capture(file)
    name = dialect or ("q" if capture.dialect == "demo" else capture.dialect)
    try:
        for given, output in play(capture.inputs, dialects.load(name), columns=capture.columns, lines=capture.lines):
            if isinstance(output, Event):
                shown = _shown(output)
            elif commands:
                shown = str(output)
            else:
                continue
            typer.echo(f"{given.now:10.4f}  {shown}  ← {_cause(given)}")
    except ValueError as error:
        raise CaptureError(file, 0, f"an input doesn't fit where it stands: {error}") from error


def capture(
    file: Annotated[Path, typer.Argument(help=FILE_HELP)],
    steps: Annotated[list[str] | None, typer.Argument(help=STEPS_HELP)] = None,
    *,
    agent: Annotated[str, typer.Option(help="auto, q, kiro-cli, demo, or a program's path.")] = "auto",
    directory: Annotated[
        Path | None, typer.Option(help="The agent's working directory; by default a new one, removed afterwards.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Where qpty keeps the agent's settings; by default removed afterwards.")
    ] = None,
    option: Annotated[list[str] | None, typer.Option(help="An option for the agent, such as --agent=NAME.")] = None,
    columns: Annotated[int, typer.Option(min=10, max=1000, help="The terminal's width.")] = 80,
    lines: Annotated[int, typer.Option(min=5, max=1000, help="The terminal's height.")] = 24,
) -> None:
    """Run an agent through some steps and write all that the core is told to a file, showing the events meanwhile."""
    check_steps(steps or [])
    with tempfile.TemporaryDirectory(prefix="qpty-capture-") as scratch:
        work = Path(scratch) / "work"
        work.mkdir()
        data_directory = data.absolute() if data is not None else Path(scratch) / "data"
        found = spec.locate(agent, environment=os.environ, data_directory=data_directory)
        asyncio.run(
            capture_steps(
                file,
                steps or [],
                found,
                directory=directory or work,
                options=tuple(option or ()),
                columns=columns,
                lines=lines,
                show=lambda event: typer.echo(_shown(event)),
            )
        )


async def capture_steps(
    file: Path,
    steps: list[str],
    found: spec.AgentSpec,
    *,
    directory: Path,
    options: tuple[str, ...] = (),
    columns: int = 80,
    lines: int = 24,
    show: Callable[[Event], None],
) -> None:
    """Run an agent through steps and write the capture; `show` is called with each event.

    Raises the errors of the agent's start and of `StepPlayer`; what was captured until then is in the file.
    """
    try:
        stream = file.open("w", encoding="utf-8")
    except OSError as error:
        raise CaptureFileError(file, error) from error
    with stream:
        writer = CaptureWriter(stream, columns=columns, lines=lines, dialect=found.dialect.name, title=file.stem)
        agent = TerminalAgent(found, directory=directory, options=options, columns=columns, lines=lines, capture=writer)
        await StepPlayer(agent, show=show).play(steps)


def _shown(event: Event) -> str:
    """Return an event as a line of JSON for any terminal: what a tool printed may have anything in it."""
    text = json.dumps(event.to_dict(), ensure_ascii=False)
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


def _cause(given: Input) -> str:
    """Return an input in a few words."""
    if isinstance(given, DataReceived):
        shown = repr(given.data)
        return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}… ({len(given.data)} bytes)"
    shown = str(given)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
