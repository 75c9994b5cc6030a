"""`qpty capture`: what a person meets at the command line, with the demo agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from qpty.agent import process_tree
from qpty.agent.capture import read_capture
from tests.captured import played

if TYPE_CHECKING:
    from pathlib import Path

    from qpty.agent.capture import Capture

TIMEOUT = 60


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    return {**os.environ, "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path), "NO_COLOR": "1", "COLUMNS": "100"}


def capture(environment: dict[str, str], directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "qpty", "capture", *arguments]
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


def as_q(capture: Capture) -> Capture:
    return replace(capture, dialect="q")


def test_what_was_shown_is_what_the_capture_gives(environment: dict[str, str], tmp_path: Path) -> None:
    run = capture(environment, tmp_path, "x.cast", "hello", "bash echo hi", ":allow", "--agent", "demo")
    assert (run.returncode, run.stderr) == (0, "")
    shown = [json.loads(line) for line in run.stdout.splitlines()]
    replayed = [json.loads(line) for line in played(as_q(read_capture(tmp_path / "x.cast")))]
    assert [event for event in replayed if event["type"] == "message.completed"] == [
        event for event in shown if event["type"] == "message.completed"
    ]
    assert [event["type"] for event in shown][-1] == replayed[-1]["type"] == "agent.exited"


def test_nothing_is_left_behind_but_the_capture(environment: dict[str, str], tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    assert capture(environment, tmp_path, "x.cast", "bash touch made", ":allow", "--agent", "demo").returncode == 0
    assert set(tmp_path.iterdir()) - before == {tmp_path / "x.cast"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("x.cast", "--agent", "/nonexistent/q"), "no executable program '/nonexistent/q'"),
        (("x.cast", "--agent", "demo", ":nosuch"), "step 1 (:nosuch): no such step"),
        (("x.cast", "--agent", "demo", "hello", ":allow"), "step 2 (:allow): no permission is asked"),
        (("nowhere/x.cast", "--agent", "demo"), "cannot write nowhere/x.cast: No such file or directory"),
        ((".", "--agent", "demo"), "cannot write .: Is a directory"),
        (("x.cast", "--agent", "demo", "--directory", "nowhere"), "create it"),
        (("x.cast", "--agent", "demo", ""), "the message has nothing to send"),
    ],
)
def test_what_goes_wrong_is_one_line(
    environment: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    run = capture(environment, tmp_path, *arguments)
    assert run.returncode == 1
    assert run.stderr.startswith("qpty: ")
    assert run.stderr.count("\n") == 1
    assert says in run.stderr


def test_the_help_names_every_step(environment: dict[str, str], tmp_path: Path) -> None:
    run = capture(environment, tmp_path, "--help")
    assert run.returncode == 0
    for step in (":allow", ":refuse", ":always", ":choose N", ":leave", ":interrupt", ":wait", ":until", ":take-up"):
        assert step in run.stdout


def test_ctrl_c_ends_the_agent_and_leaves_a_capture_that_can_be_read(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "qpty", "capture", "x.cast", "slow 60", "--agent", "demo"]
    # A run in the background of a script ignores the signal, and so would what it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        line = next(line for line in run.stdout if '"part"' in line)
        assert line
        (child,) = process_tree.children(run.pid)
        agent = process_tree.identify(child)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=TIMEOUT)
    assert run.returncode == 130
    assert "Traceback" not in errors
    assert agent is not None
    assert not process_tree.is_alive(agent)
    kinds = [json.loads(line)["type"] for line in played(as_q(read_capture(tmp_path / "x.cast")))]
    assert kinds[-3:] == ["turn.failed", "session.state", "agent.exited"]
