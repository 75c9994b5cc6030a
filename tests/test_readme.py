"""The README's examples are run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A person without q, whose HOME is empty: `auto` is the demo agent."""
    home = tmp_path / "home"
    home.mkdir()
    return {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}


def test_the_python_example_prints_the_events_of_a_turn(tmp_path: Path, environment: dict[str, str]) -> None:
    (example,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    kinds = re.findall(r"'type': '([a-z.]+)'", done.stdout)
    assert kinds[-1] == "turn.completed"
    assert "message.completed" in kinds


def test_the_commands_make_a_capture_and_show_it(tmp_path: Path, environment: dict[str, str]) -> None:
    commands = [
        line.strip() for block in blocks("") for line in block.splitlines() if line.strip().startswith(".venv/bin/qpty")
    ]
    assert len(commands) == 2
    for command in commands:
        argv = re.findall(r'"([^"]*)"|(\S+)', command)
        words = [quoted or plain for quoted, plain in argv][1:]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "qpty",
                *words[:1],
                *(["--agent", "demo"] if words[0] == "capture" else []),
                *words[1:],
            ],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert '"turn.completed"' in done.stdout


def test_every_event_is_in_the_table() -> None:
    from qpty.core import events

    kinds = {
        item.type
        for item in vars(events).values()
        if isinstance(item, type) and issubclass(item, events.Event) and item is not events.Event
    }
    internal = {"command.completed", "agent.exited"}
    assert {kind for kind in kinds - internal if f"`{kind}`" not in README} == set()


def test_every_command_of_the_readme_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make (\w+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
