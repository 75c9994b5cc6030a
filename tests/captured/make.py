"""Make the captures anew with the real q: `python -m tests.captured.make [--events] [NAME …]`, all without a name.

`--events` only writes the golden events of the captures that are there; a new capture gets its events too. Read the
difference before committing it: the golden files say what is right.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

from qpty.agent import spec
from qpty.agent.capture import CaptureWriter, read_capture
from qpty.agent.driver import AgentStartError, TerminalAgent
from qpty.cli.steps import StepPlayer
from qpty.core.commands import CommandSubmitted, DataReceived
from qpty.core.errors import QptyError
from tests import captured
from tests.agent.mcp_server import McpServer
from tests.captured.overflow import OverflowOnce
from tests.captured.sanitise import MachineNameError, Sanitiser
from tests.captured.scenarios import SCENARIOS, Scenario
from tests.lab import Lab

ATTEMPTS: Final = 120
"""How often a capture is made until it has what is wanted: the rarest thing comes in 3 % of the turns."""

SCENARIO_TIMEOUT: Final = 120.0


class NotMadeError(Exception):
    """A capture could not be made as wanted."""


class ScenarioPlayer(StepPlayer):
    """Plays the steps that only a laboratory has, too.

    `/quit` types that command; `/kill` kills the process; `:overflow-once` has the stand-in find the next message too
    long, but not what q sends after summarising.
    """

    def __init__(self, agent: TerminalAgent, *, overflow: OverflowOnce | None) -> None:
        super().__init__(agent, show=lambda _event: None)
        self._overflow = overflow

    async def step(self, number: int, step: str) -> None:
        if step == "/quit":
            self._agent._receive(CommandSubmitted(line=step, now=asyncio.get_running_loop().time()))
        elif step == "/kill":
            assert self._agent.pid is not None
            os.kill(self._agent.pid, signal.SIGKILL)
        elif step == ":overflow-once" and self._overflow is not None:
            self._overflow.armed = True
        else:
            await super().step(number, step)


async def make(scenario: Scenario, lab: Lab, root: Path) -> None:
    """Make one capture and its golden events."""
    path = captured.DIRECTORY / f"{scenario.name}.cast"
    for _ in range(ATTEMPTS):
        work = root / "run"
        work.mkdir()
        raw = work / "raw.cast"
        try:
            await asyncio.wait_for(_run(scenario, lab, work, raw), SCENARIO_TIMEOUT)
            text = Sanitiser(root).capture(raw.read_text(encoding="utf-8"))
            if scenario.wanted is None or scenario.wanted(_output(raw)):
                path.write_text(text, encoding="utf-8")
                write_events(scenario.name)
                return
        except BaseException:
            if raw.exists():
                shutil.copy(raw, path.with_suffix(".failed"))
            raise
        finally:
            shutil.rmtree(work)
    raise NotMadeError(f"what is wanted did not come in {ATTEMPTS} attempts")


def _output(path: Path) -> bytes:
    return b"".join(given.data for given in read_capture(path).inputs if isinstance(given, DataReceived))


async def _run(scenario: Scenario, lab: Lab, work: Path, raw: Path) -> None:
    directory = work / "session"
    directory.mkdir()
    home = work / "home"
    if scenario.signed_in:
        shutil.copytree(lab.home, home)
    else:
        home.mkdir()
        whoami = await asyncio.create_subprocess_exec(
            lab.q, "whoami", env={**os.environ, "HOME": str(home)}, stdout=asyncio.subprocess.DEVNULL
        )
        await whoami.wait()  # makes the database, without an account
    for name, data in scenario.files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    async with AsyncExitStack() as stack:
        if scenario.mcp:
            server = await stack.enter_async_context(McpServer())
            path = directory / ".amazonq" / "cli-agents" / "tester.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(server.agent()), encoding="utf-8")
        overflow: OverflowOnce | None = None
        program = lab.q
        if ":overflow-once" in scenario.steps:
            overflow = await stack.enter_async_context(OverflowOnce(lab.url))
            program = work / "q"
            program.write_text(lab.q.read_text(encoding="utf-8").replace(lab.url, overflow.url), encoding="utf-8")
            program.chmod(0o700)
        environment = {**os.environ, "HOME": str(home), "USER": "user", "LOGNAME": "user"}
        found = spec.locate(str(program), environment=environment, data_directory=work / "data")
        if scenario.earlier:
            agent = TerminalAgent(found, directory=directory, options=scenario.options)
            await ScenarioPlayer(agent, overflow=overflow).play(scenario.earlier)
        with raw.open("w", encoding="utf-8") as stream:
            writer = CaptureWriter(
                stream, columns=scenario.columns, lines=24, dialect=found.dialect.name, title=scenario.name
            )
            agent = TerminalAgent(
                found, directory=directory, options=scenario.options, columns=scenario.columns, capture=writer
            )
            with suppress(AgentStartError):
                await ScenarioPlayer(agent, overflow=overflow).play(scenario.steps)


def _made(scenario: Scenario, lab: Lab, root: Path) -> bool:
    """Make one capture and say how that went; the capture of one that failed is left for a look."""
    try:
        asyncio.run(make(scenario, lab, root))
    except (QptyError, NotMadeError, MachineNameError, TimeoutError) as error:
        print(f"{scenario.name}: {error!r}", file=sys.stderr)
        return False
    print(f"{scenario.name}: {len(captured.golden(scenario.name))} events", file=sys.stderr)
    return True


def write_events(name: str) -> None:
    """Write a capture's golden events."""
    lines = captured.played(captured.load(name))
    (captured.DIRECTORY / f"{name}.events").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--events", action="store_true", help="only write the golden events anew")
    arguments = parser.parse_args()
    known = {scenario.name: scenario for scenario in SCENARIOS}
    names = arguments.names or list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no such capture: {', '.join(unknown)}; there are {', '.join(known)}")
    if arguments.events:
        for name in names:
            write_events(name)
        return
    with tempfile.TemporaryDirectory(prefix="qpty-") as root, Lab(work=Path(root) / "lab") as lab:
        failed = [name for name in names if not _made(known[name], lab, Path(root))]
    if failed:
        raise SystemExit(f"not made: {' '.join(failed)}")


if __name__ == "__main__":
    main()
