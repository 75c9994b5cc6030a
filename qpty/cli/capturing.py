"""`qpty capture` makes a capture of a live agent; `qpty replay` shows what the core makes of one."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from qpty.agent import dialects, spec
from qpty.agent.capture import CaptureWriter, read_capture
from qpty.agent.driver import TerminalAgent
from qpty.core.commands import Command, DataReceived, Input
from qpty.core.events import Event, Exited, MenuRequested, PermissionRequested, TurnCompleted, TurnFailed
from qpty.core.playback import play

STEPS_HELP = """What to do, in order: a message; or :allow, :refuse, :always, :choose N, :leave (a menu), :wait SECONDS
(let the turn run), :interrupt. A message waits until the turn ends or asks something."""


def replay(
    file: Annotated[Path, typer.Argument(help="An asciicast made by `qpty capture`.", exists=True, dir_okay=False)],
    *,
    dialect: Annotated[str, typer.Option(help="The dialect; by default the one that the capture names.")] = "",
    commands: Annotated[bool, typer.Option(help="Show the core's commands too.")] = False,
) -> None:
    """Show the events that a capture gives, one a line, each with what made it."""
    capture = read_capture(file)
    name = dialect or ("q" if capture.dialect == "demo" else capture.dialect)
    for given, output in play(capture.inputs, dialects.load(name), columns=capture.columns, lines=capture.lines):
        if isinstance(output, Event):
            typer.echo(f"{given.now:10.4f}  {json.dumps(output.to_dict(), ensure_ascii=False)}  ← {_cause(given)}")
        elif commands and isinstance(output, Command):
            typer.echo(f"{given.now:10.4f}  {output}  ← {_cause(given)}")


def capture(
    file: Annotated[Path, typer.Argument(help="Where the capture goes.", dir_okay=False)],
    steps: Annotated[list[str] | None, typer.Argument(help=STEPS_HELP)] = None,
    *,
    agent: Annotated[str, typer.Option(help="auto, q, kiro-cli, demo, or a program's path.")] = "auto",
    directory: Annotated[Path | None, typer.Option(help="The working directory; by default a new one.")] = None,
    data: Annotated[Path, typer.Option(help="Where qpty keeps what it prepares for the agent.")] = Path("data"),
    option: Annotated[list[str] | None, typer.Option(help="An option for the agent, such as --agent=NAME.")] = None,
    columns: int = 80,
    lines: int = 24,
) -> None:
    """Run an agent through some steps and write all that the core is told to a file."""
    found = spec.locate(agent, environment=os.environ, data_directory=data.absolute())
    asyncio.run(_capture(file, steps or [], found, directory, tuple(option or ()), columns=columns, lines=lines))


def _cause(given: Input) -> str:
    """Return an input in a few words."""
    if isinstance(given, DataReceived):
        shown = repr(given.data)
        return shown if len(shown) <= 80 else f"{shown[:60]}… ({len(given.data)} bytes)"
    text = str(given)
    return text if len(text) <= 120 else f"{text[:120]}…"


async def _capture(
    file: Path,
    steps: list[str],
    found: spec.AgentSpec,
    directory: Path | None,
    options: tuple[str, ...],
    *,
    columns: int,
    lines: int,
) -> None:
    with tempfile.TemporaryDirectory(prefix="qpty-capture-") as scratch, file.open("w", encoding="utf-8") as stream:
        writer = CaptureWriter(stream, columns=columns, lines=lines, dialect=found.dialect.name, title=file.stem)
        agent = TerminalAgent(
            found,
            directory=directory or Path(scratch),
            options=options,
            columns=columns,
            lines=lines,
            capture=writer,
        )
        await agent.start()
        player = StepPlayer(agent, show=lambda event: typer.echo(json.dumps(event, ensure_ascii=False)))
        try:
            await player.play(steps)
        finally:
            await agent.close()


class StepPlayer:
    """Plays steps to an agent and waits, after each, until the agent has answered it."""

    def __init__(self, agent: TerminalAgent, *, show: Any) -> None:
        self._agent = agent
        self._show = show
        self._turns = 0

    async def play(self, steps: list[str]) -> None:
        """Play the steps in order."""
        settled = asyncio.Event()
        reader = asyncio.create_task(self._read(settled))
        try:
            for index, step in enumerate(steps):
                settled.clear()
                await self._step(step)
                following = steps[index + 1] if index + 1 < len(steps) else ""
                if step.startswith(":wait") or following.startswith((":wait", ":interrupt")):
                    continue
                await settled.wait()
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _step(self, step: str) -> None:
        agent, question = self._agent, self._agent.question
        word, _, rest = step.partition(" ")
        if isinstance(question, PermissionRequested) and word == ":allow":
            await agent.answer(question.request_id, "allow")
        elif isinstance(question, PermissionRequested) and word == ":refuse":
            await agent.answer(question.request_id, "refuse")
        elif isinstance(question, PermissionRequested) and word == ":always":
            await agent.answer(question.request_id, "always")
        elif isinstance(question, MenuRequested) and word == ":choose":
            await agent.choose(question.request_id, int(rest))
        elif isinstance(question, MenuRequested) and word == ":leave":
            await agent.choose(question.request_id, None)
        elif word == ":interrupt":
            await agent.interrupt()
        elif word == ":wait":
            await asyncio.sleep(float(rest))
        elif word.startswith(":"):
            raise typer.BadParameter(f"{step}: there is no such step, or no such question is open")
        else:
            self._turns += 1
            await agent.send(step, turn_id=f"t{self._turns}")

    async def _read(self, settled: asyncio.Event) -> None:
        async for event in self._agent.events():
            self._show(event.to_dict())
            if isinstance(event, TurnCompleted | TurnFailed | PermissionRequested | MenuRequested | Exited):
                settled.set()
        settled.set()
