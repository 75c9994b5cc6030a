"""The examples run as they are, and the setups in their README are those that the tests of agents use."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clients.test_real_clients import CURRENT, KEY, ROOT, server

if TYPE_CHECKING:
    from tests.server.program import Program

__all__ = ["server"]

pytestmark = [pytest.mark.real_q, pytest.mark.timeout(300)]

EXAMPLES = ROOT / "examples"
SAID = {
    "curl.sh": ['"chat.completion"', "data: [DONE]", '"output_text"', '"end_turn"', '{"input_tokens": '],
    "openai_sdk.py": ["chat: ", "stream: ", "sunny in Lisbon", "picture: ", "responses: "],
    "anthropic_sdk.py": ["messages: ", "stream: ", "sunny in Lisbon", "picture: ", "tokens: "],
    "langchain_tools.py": ["ChatOpenAI: ", "ChatAnthropic: ", "sunny in Lisbon"],
}


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {*SAID, "README.md"}
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in readme for name in SAID)


@pytest.mark.parametrize("name", SAID)
def test_an_example(server: Program, name: str) -> None:
    path = EXAMPLES / name
    if path.suffix == ".py" and not Path(CURRENT).exists():
        if os.environ.get("CI"):
            pytest.fail("CI needs the clients: `make clients`")
        pytest.skip("the clients are not installed: `make clients`")
    command = [str(CURRENT), str(path)] if path.suffix == ".py" else ["bash", str(path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "QPTY_URL": f"http://127.0.0.1:{server.port}", "QPTY_KEY": KEY},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for words in SAID[name]:
        assert words in done.stdout, done.stdout
