"""Clients that other people wrote, unmodified, against a server of ours with the real q.

`make clients` installs them. What is skipped is skipped by name: a scenario that a client's version can't have, or that
qpty says no to.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.program import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab import Lab
    from tests.server.program import Program

pytestmark = [pytest.mark.real_q, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent.parent
CLIENTS = Path(__file__).parent
CURRENT = CLIENTS / ".venv-current" / "bin" / "python"
OLD = CLIENTS / ".venv-old" / "bin" / "python"
NODE = CLIENTS / "node_modules" / ".bin" / "node"
OWN = ROOT / ".venv" / "bin" / "python"
LANGCHAIN = CLIENTS / "langchain_standard"
LIMIT = 500.0

KEY = "the-key-of-these-tests"

PROGRAMS = {
    **{
        f"{name} {age}": (interpreter, "-m", f"tests.clients.programs.{name}")
        for name in ("openai_chat", "openai_responses", "anthropic_messages")
        for age, interpreter in (("current", CURRENT), ("old", OLD))
    },
    "ai-sdk": (NODE, CLIENTS / "programs" / "ai_sdk.mjs"),
    "claude-code": (OWN, "-m", "tests.clients.programs.claude_code"),
    "codex": (OWN, "-m", "tests.clients.programs.codex"),
    "langchain": (CURRENT, "-m", "pytest", "-c", LANGCHAIN / "pytest.ini", "--confcutdir", LANGCHAIN, LANGCHAIN),
}


@pytest.fixture(scope="module")
def server(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A server as a person starts it, with a key."""
    settings = {"HOME": str(lab.home), "QPTY_AGENT": str(lab.q), "OPENAI_KEYS": KEY, "QPTY_RATE_LIMIT": "0"}
    with program(tmp_path_factory.mktemp("server"), **settings) as running:
        yield running


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_client(server: Program, name: str) -> None:
    command = PROGRAMS[name]
    if not Path(command[0]).exists():
        if os.environ.get("CI"):
            pytest.fail("CI needs the clients: `make clients`")
        pytest.skip("this client is not installed: `make clients`")
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, "QPTY_URL": f"http://127.0.0.1:{server.port}", "QPTY_KEY": KEY},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    scenarios: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    wrong = [scenario for scenario in scenarios if not scenario["ok"]]
    assert wrong == [], json.dumps(wrong, indent=1, ensure_ascii=False)[:6000]
    assert scenarios, done.stdout[-2000:] + done.stderr[-4000:]
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert sum(scenario["skipped"] is None for scenario in scenarios) > len(scenarios) * 2 // 3
