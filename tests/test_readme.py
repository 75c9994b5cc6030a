"""The README's examples are run as they stand."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from qpty.server.api import OPERATIONS
from qpty.server.settings import SETTINGS
from qpty.server.statuses import status_of
from tests.server.program import program

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The README's code blocks in a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def commands() -> list[list[str]]:
    """The words of every `qpty` command in the README's plain blocks, without the program."""
    lines = [line.strip() for block in blocks("") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith(".venv/bin/qpty")]


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
    found = [words for words in commands() if words[0] in {"capture", "replay"}]
    assert len(found) == 2
    for words in found:
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


def test_the_commands_for_keys_make_list_and_revoke_one(tmp_path: Path, environment: dict[str, str]) -> None:
    found = [words for words in commands() if words[0] == "keys"]
    assert [words[1] for words in found] == ["create", "list", "revoke"]
    said = ""
    for words in found:
        key_id = re.search(r"\b[0-9a-f]{16}\b", said)
        given = [key_id.group() if word == "ID" and key_id is not None else word for word in words]
        done = subprocess.run(
            [sys.executable, "-m", "qpty", *given],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        said = done.stdout + done.stderr
    assert "laptop" in said


def test_the_curl_examples_answer(tmp_path: Path) -> None:
    whole, streamed, completion = blocks("sh")
    with program(tmp_path) as server:
        told = []
        for example in (whole, streamed, completion):
            assert ":8080/" in example
            command = example.replace(":8080/", f":{server.port}/")
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
            told.append(done.stdout)
    answer = json.loads(told[0])
    assert answer["text"]
    assert {"session_id", "turn_id", "exact", "stop_reason"} <= answer.keys()
    assert "event: message.delta\n" in told[1]
    assert "event: turn.completed\n" in told[1]
    assert json.loads(told[2])["choices"][0]["message"]["content"]


def test_the_settings_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$", README, re.MULTILINE)
    assert rows == [(setting.name, setting.default_text, setting.meaning) for setting in SETTINGS]


def test_every_call_is_named() -> None:
    short = {operation.path.replace("/api/v1/sessions/{session_id}", "…/{id}") for operation in OPERATIONS}
    signing_in = {"/login", "/login/{token}", "/logout", "/api/v1/login-links"}
    page = {"/", "/sessions/{session_id}", "/sessions/{session_id}/{view}", "/assets/{path}"}
    missing = {path for path in short - signing_in - page if path.removeprefix("…/{id}") not in README}
    assert missing == set()


def test_the_error_codes_exist() -> None:
    (paragraph,) = re.findall(r"\*\*Errors\.\*\*.*?\n\n", README, re.DOTALL)
    codes = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", paragraph)) - {"request_id"}
    assert len(codes) > 15
    for code in codes:
        assert status_of(code) >= 400


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
