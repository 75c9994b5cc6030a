from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import pytest

from qpty.agent import process_tree
from qpty.agent.errors import ProcessGoneError, TerminalClosedError
from qpty.agent.pty_process import ExitStatus, PtyChild
from qpty.agent.witness import Witness, WitnessStand

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEADLINE = 10.0

AGENT = r"""
import os, signal, subprocess, sys, termios, tty
# A stand-in for the agent: does what it is told, line by line, and says what it did.
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"interrupted\n"))
tools = []
for line in iter(sys.stdin.readline, ""):
    word, *rest = line.split()
    if word == "tool":
        tools.append(subprocess.Popen(["sh", "-c", " ".join(rest)]))
    elif word == "reap":
        for tool in tools: tool.wait()
    elif word == "raw":
        mode = termios.tcgetattr(0); mode[3] &= ~termios.ICANON; termios.tcsetattr(0, termios.TCSANOW, mode)
    elif word == "front":
        # What an interactive shell does: a group of its own, in the foreground.
        tools.append(subprocess.Popen(["sleep", "300"], process_group=0))
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, tools[-1].pid)
        os.write(1, b"did front\n")
        signal.pause()  # whoever reads from the background gets an error, and ends
    os.write(1, f"did {word}\n".encode())
"""


class Stage:
    """The stand-in in a terminal, started through `wrap` if given."""

    def __init__(self, directory: Path, *, wrap: str = 'exec "$@"', name: str = "agentx") -> None:
        program = directory / name
        program.symlink_to(sys.executable)
        self.child = PtyChild.spawn(
            ["sh", "-c", wrap, "sh", str(program), "-S", "-c", AGENT],
            directory=directory,
            environment={"PATH": "/usr/bin:/bin", "PYTHONHOME": sys.base_prefix},
        )
        self.stand = WitnessStand(self.child, frozenset({"agentx"}))
        self._text = b""
        self._news = asyncio.Event()
        self.child.start_reading(self._read)

    def _read(self) -> None:
        self._text += self.child.read_nowait() or b""
        self._news.set()

    async def shown(self, text: bytes) -> None:
        async with asyncio.timeout(DEADLINE):
            while text not in self._text:
                self._news.clear()
                await self._news.wait()
        self._text = self._text.partition(text)[2]

    async def tell(self, line: str) -> None:
        self.child.write(line.encode() + b"\n")
        await self.shown(b"did " + line.split()[0].encode())


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    before = set(process_tree.children(os.getpid()))
    yield
    assert set(process_tree.children(os.getpid())) <= before


async def test_the_main_process_is_the_spawned_one_without_wrappers(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    try:
        await stage.tell("hello")
        assert stage.stand.set_baseline() == frozenset()
        assert stage.stand.main == stage.child.identity
        assert stage.stand.look() == Witness(raw_mode=False, foreground=True, children=frozenset())
    finally:
        await stage.child.end()


@pytest.mark.parametrize("servers", [0, 1, 2])
async def test_the_main_process_is_found_behind_wrappers_and_before_its_servers(tmp_path: Path, servers: int) -> None:
    stage = Stage(tmp_path, wrap='sh -c \'"$@"; exit $?\' sh "$@"; exit $?')
    try:
        for _ in range(servers):
            await stage.tell("tool exec sleep 300")
        await stage.tell("hello")
        assert len(stage.stand.set_baseline()) == servers
        main = process_tree.status(stage.stand.main.pid)
        assert main is not None
        assert main.name == "agentx"
        assert stage.stand.main != stage.child.identity
        assert stage.stand.look().children == frozenset()
        await stage.tell("tool exec sleep 300")
        assert len(stage.stand.look().children) == 1
    finally:
        await stage.child.end()


async def test_a_process_of_another_name_is_not_taken_for_the_main_one(tmp_path: Path) -> None:
    stage = Stage(tmp_path, name="other")
    try:
        await stage.tell("tool exec sleep 300")
        stage.stand.set_baseline()
        assert stage.stand.main == stage.child.identity
    finally:
        await stage.child.end()


async def test_servers_of_the_first_prompt_do_not_count_and_tools_do(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    try:
        await stage.tell("tool exec sleep 300")
        assert stage.stand.look().children == frozenset()  # before the first prompt there are no tools
        (server,) = stage.stand.set_baseline()
        assert stage.stand.look().children == frozenset()
        await stage.tell("tool exec sleep 301")
        (tool,) = stage.stand.tool_processes()
        assert stage.stand.look().children == {tool.pid}
        assert tool != server
        await process_tree.end_processes([tool])
        assert stage.stand.look().children == frozenset()  # a zombie is nobody
        await stage.tell("tool exec sleep 302")
        stage.stand.disregard(frozenset(stage.stand.tool_processes()))
        assert stage.stand.look().children == frozenset()
    finally:
        await stage.child.end()


async def test_raw_mode_and_foreground_are_seen(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    try:
        await stage.tell("hello")
        stage.stand.set_baseline()
        await stage.tell("raw")
        assert stage.stand.look() == Witness(raw_mode=True, foreground=True, children=frozenset())
        await stage.tell("front")
        (tool,) = stage.stand.tool_processes()
        assert stage.stand.look() == Witness(raw_mode=True, foreground=False, children=frozenset({tool.pid}))
    finally:
        await stage.child.end()


async def test_an_interrupt_reaches_the_main_process_alone(tmp_path: Path) -> None:
    stage = Stage(tmp_path, wrap='"$@"; exit $?')
    try:
        await stage.tell("hello")
        stage.stand.set_baseline()
        await stage.tell("tool exec sleep 300")
        (tool,) = stage.stand.tool_processes()
        assert stage.stand.interrupt()
        await stage.shown(b"interrupted")
        assert stage.stand.tool_processes() == (tool,)
        assert stage.child.exit_status is None
    finally:
        await stage.child.end()
    assert not stage.stand.interrupt()


async def test_nothing_is_witnessed_of_a_process_that_ended_or_a_terminal_that_is_closed(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.tell("hello")
    stage.stand.set_baseline()
    stage.child.write(b"\x04")
    assert await stage.child.wait(exit_timeout=DEADLINE) == ExitStatus(code=0)
    with pytest.raises(ProcessGoneError):
        stage.stand.look()
    with pytest.raises(ProcessGoneError):
        stage.stand.set_baseline()
    await stage.child.end()
    with pytest.raises(TerminalClosedError):
        stage.stand.look()
