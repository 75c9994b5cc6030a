"""How long 1 MB of a tool's output holds the event loop at a time.

The demo agent runs `cat` on a file as its tool, once it was allowed to. A callback in every turn of the loop tells how
long the turn before it took (*wall*), and how much processor time of the loop's thread (*processor*: what the machine's
other work can't disturb). *bare* is the same `cat` read by an asyncio reader that does nothing else. Each figure is the
longest turn of a run, in milliseconds, the best of some runs; in brackets the time until the tool has ended.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qpty.agent import spec
from qpty.agent.driver import TerminalAgent
from qpty.core.events import Exited, PermissionRequested, ToolCompleted, TurnCompleted, TurnFailed
from tests.bench._terminals import BareTerminal, BenchmarkError
from tests.bench.parse import HOSTILE, MB, tool_output

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from qpty.core.events import Event

ROUNDS: Final = 3
TARGET: Final = 20.0
"""Milliseconds that the loop may be held by ordinary output."""


class Heartbeat:
    """Measures the running loop from `with` to its end: its longest turn, and the most work in one, in seconds."""

    def __init__(self) -> None:
        self.wall = 0.0
        self.processor = 0.0
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        self._last = time.perf_counter(), time.thread_time()
        self._handle = self._loop.call_soon(self._beat)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.cancel()

    def _beat(self) -> None:
        before, self._last = self._last, (time.perf_counter(), time.thread_time())
        self.wall = max(self.wall, self._last[0] - before[0])
        self.processor = max(self.processor, self._last[1] - before[1])
        self._handle = self._loop.call_soon(self._beat)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One run: the longest turn, the most work in one, and how long all took; milliseconds."""

    wall: float
    processor: float
    total: float


async def bare(output: Path, work: Path) -> Hold:
    """The output read by a reader that does nothing with it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    with Heartbeat() as heart, BareTerminal(["cat", str(output)], directory=work) as terminal:
        begin = time.perf_counter()

        def readable() -> None:
            if not terminal.read() and not done.done():
                loop.remove_reader(terminal.descriptor)
                done.set_result(None)

        loop.add_reader(terminal.descriptor, readable)
        await done
        total = time.perf_counter() - begin
    return Hold(wall=heart.wall * 1000, processor=heart.processor * 1000, total=total * 1000)


async def driver(output: Path, work: Path) -> Hold:
    """The output as a tool's, through the driver, with the events read."""
    (work / "session").mkdir(exist_ok=True)
    environment = {**os.environ, "HOME": str(work)}
    agent = TerminalAgent(
        spec.locate("demo", environment=environment, data_directory=work / "data"), directory=work / "session"
    )
    await agent.start()
    try:
        await agent.send(f"bash cat {output}", turn_id="t")
        events = agent.events()
        question: Event | None = None
        async for question in events:
            if isinstance(question, PermissionRequested | TurnCompleted | TurnFailed | Exited):
                break
        if not isinstance(question, PermissionRequested):
            raise BenchmarkError(question)
        event: Event | None = None
        with Heartbeat() as heart:
            begin = time.perf_counter()
            await agent.answer(question.request_id, "allow")
            async for event in events:
                if isinstance(event, ToolCompleted | TurnFailed | Exited):
                    break
            total = time.perf_counter() - begin
        if not isinstance(event, ToolCompleted) or event.outcome != "ok":
            raise BenchmarkError(event)
    finally:
        await agent.close()
    return Hold(wall=heart.wall * 1000, processor=heart.processor * 1000, total=total * 1000)


def whole_characters(data: bytes) -> bytes:
    """The bytes without a character that was cut at their end: q gives up a tool's output that isn't UTF-8."""
    return data.decode("utf-8", "ignore").encode()


def main() -> None:
    """Print the table: ordinary output, then the worst that a program can print."""
    samples = {"tool output": whole_characters(tool_output(MB)[:MB])}
    samples |= {f"hostile: {k}": whole_characters((v * (MB // len(v) + 1))[:MB]) for k, v in HOSTILE.items()}
    print(f"{'ms, 1 MB':32}{'bare':>28}{'driver':>28}")
    print(f"{'':32}" + f"{'wall':>9}{'processor':>10}{'(all)':>9}" * 2)
    worst = 0.0
    for title, data in samples.items():
        with tempfile.TemporaryDirectory(prefix="qpty-bench-") as folder:
            work = Path(folder)
            output = work / "output"
            output.write_bytes(data)
            line = f"{title:32}"
            for run in (bare, driver):
                holds = [asyncio.run(run(output, work)) for _ in range(ROUNDS)]
                wall = min(hold.wall for hold in holds)
                processor = min(hold.processor for hold in holds)
                total = min(hold.total for hold in holds)
                line += f"{wall:9.1f}{processor:10.1f}{f'({total:.0f})':>9}"
            print(line, flush=True)
        if title == "tool output":
            worst = wall
    print(f"1 MB of tool output holds the loop for {worst:.1f} ms; target {TARGET:g} ms:", end=" ")
    print("met" if worst <= TARGET else "MISSED")


if __name__ == "__main__":
    main()
