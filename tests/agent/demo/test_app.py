"""The command line: options, agents, sign-in, and what it says of itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.demo.demo import PROGRAM, Demo


def run(home: Path, *arguments: str, directory: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "QPTY_DEMO_PACE": "0"}
    return subprocess.run(
        [sys.executable, "-I", "-S", str(PROGRAM), *arguments],
        env=environment, cwd=directory or home, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip


def test_it_names_itself(tmp_path: Path) -> None:
    assert run(tmp_path, "--version").stdout.startswith("qpty-demo ")


def test_it_runs_as_a_module_of_the_package(tmp_path: Path) -> None:
    given = {**os.environ, "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "qpty.agent.demo", "--version"]
    found = subprocess.run(command, env=given, capture_output=True, text=True, timeout=20, check=True)
    assert found.stdout == run(tmp_path, "--version").stdout


def test_by_path_it_imports_neither_the_package_nor_anything_heavy(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "importtime", str(PROGRAM), "chat", "--no-interactive", "hello"],
        env={"HOME": str(tmp_path)}, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = {
        line.rpartition("|")[2].strip() for line in found.stderr.splitlines() if line.startswith("import time:")
    }
    assert "demo.session" in imported
    heavy = {
        "qpty",
        "asyncio",
        "subprocess",
        "pathlib",
        "typing",
        "dataclasses",
        "inspect",
        "argparse",
        "socket",
        "uuid",
    }
    assert imported.isdisjoint(heavy)


def test_a_chat_is_small(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.say("hello")
        status = Path(f"/proc/{demo.process.pid}/status").read_text()
        assert int(status.partition("VmRSS:")[2].split()[0]) < 15 * 1024


def test_signing_in_and_out(tmp_path: Path) -> None:
    account = run(tmp_path, "whoami", "--format", "json")
    assert json.loads(account.stdout) == {"accountType": "BuilderId", "startUrl": None, "region": "us-east-1"}
    assert run(tmp_path, "logout").returncode == 0
    signed_out = run(tmp_path, "whoami", "--format", "json")
    assert (signed_out.stdout, signed_out.returncode) == ('{"account":null}\n', 1)
    refused = run(tmp_path, "chat")
    assert (refused.stderr, refused.returncode) == ("error: You are not logged in, please log in with q login\n", 1)
    login = run(tmp_path, "login", "--license", "free", "--use-device-flow")
    assert "Code: " in login.stdout
    assert "Open this URL: " in login.stdout
    assert login.stdout.endswith("Logged in\n")
    assert run(tmp_path, "whoami").returncode == 0


def test_options_that_there_are_not(tmp_path: Path) -> None:
    unknown = run(tmp_path, "chat", "--model", "nosuch")
    assert unknown.stderr == "error: Model 'nosuch' does not exist. Available models: demo-sonnet, demo-haiku\n"
    assert unknown.returncode == 1
    assert run(tmp_path, "chat", "--nosuch").returncode == 2
    assert run(tmp_path, "chat", "--wrap", "sometimes").returncode == 2
    assert run(tmp_path, "nosuch").returncode == 2


def test_without_a_terminal_or_anybody_to_ask(tmp_path: Path) -> None:
    said = run(tmp_path, "chat", "--no-interactive", "--wrap", "never", "hello")
    assert "Hello! How can I help you today?" in said.stdout
    assert "Thinking" not in said.stderr
    assert said.returncode == 0
    refused = run(tmp_path, "chat", "--no-interactive", "bash touch made")
    assert "error: Tool approval required but --no-interactive was specified." in refused.stderr
    assert refused.returncode == 1
    assert not (tmp_path / "made").exists()
    assert run(tmp_path, "chat", "--no-interactive", "--trust-all-tools", "bash touch made").returncode == 0
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("message", ["hello", "!echo hi", "/quit"])
def test_a_first_message_is_read_like_typing(tmp_path: Path, message: str) -> None:
    with Demo(tmp_path, message, wait=False) as demo:
        if message == "/quit":
            assert demo.until_over()[1] == 0
        else:
            assert ("Hello!" if message == "hello" else "hi\r\n") in demo.until_ready()


def write_agent(home: Path, name: str, content: str) -> None:
    directory = home / "work" / ".amazonq" / "cli-agents"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.json").write_text(content)


def test_an_agent_has_its_name_prompt_and_model(tmp_path: Path) -> None:
    write_agent(tmp_path, "a", '{"name": "a", "prompt": "Be brief.", "tools": [], "model": "demo-haiku"}')
    with Demo(tmp_path, "--agent", "a", "--trust-all-tools") as demo:
        assert "You are chatting with demo-haiku" in demo.seen
        assert demo.seen.endswith("\r\x1b[K\x1b[36m[a] \x1b[0m\x1b[31m!\x1b[0m\x1b[35m> \x1b[0m\r\x1b[7C")
        demo.paste("history")
        demo.until_text("1 earlier messages: Follow this instruction: Be brief.")


@pytest.mark.parametrize("content", [None, "{bad", "[]"])
def test_an_agent_that_can_not_be_used_is_said(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        write_agent(tmp_path, "a", content)
    with Demo(tmp_path, "--agent", "a") as demo:
        assert "no agent with name a found. Falling back to user specified default" in demo.seen
        assert ("Json supplied at" in demo.seen) == (content is not None)
        demo.say("hello")


def test_what_an_agent_denies_is_rejected(tmp_path: Path) -> None:
    denied = {"deniedPaths": ["/", "/**", "**"]}
    rules = {"fs_read": denied, "fs_write": denied, "execute_bash": {"deniedCommands": [".*"]}}
    write_agent(tmp_path, "d", json.dumps({"name": "d", "tools": ["@client"], "toolsSettings": rules}))
    with Demo(tmp_path, "--agent", "d") as demo:
        (demo.directory / "a.txt").write_text("a")
        shown = demo.say("bash touch made")
        assert (
            "\x1b[38;5;9mCommand \x1b[38;5;11mexecute_bash\x1b[38;5;9m is rejected because it matches one or more "
            "rules on the denied list:\r\n  - \\A.*\\z\r\n\x1b[0m\r\n" in shown
        )
        assert 'Result: "Tool use was cancelled by the user"' in shown
        assert demo.history[0]["assistant"]["ToolUse"]["tool_uses"][0]["name"] == "dummy"  # it was not offered
        refused = demo.history[-1]["user"]["content"]["CancelledToolUses"]["prompt"]
        assert refused == "Tool use with execute_bash was rejected because the arguments supplied were forbidden"
        assert "is rejected" in demo.say("read a.txt")
        assert "is rejected" in demo.say("write made x")
        assert not (demo.directory / "made").exists()
