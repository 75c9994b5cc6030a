"""System prompts: they reach the model, stay when a session is revived, and change nothing else of the agent."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from qpty.agent import spec
from qpty.agent.profile import Profile
from qpty.sessions.config import SessionsConfig
from tests.agent.mcp_server import McpServer
from tests.sessions.house import House

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab import Lab

    Make = Callable[..., House]

PROMPT = 'Speak like a "pirate" 🏴, always.'
PROMPTED = Profile(system_prompt=PROMPT)
AGENT_FILE = ".amazonq/cli-agents/qpty-session.json"


async def prompt_seen(home: House, session_id: str) -> bool:
    """Whether the prompt is among what the model is told before the message."""
    told = (await home.say(session_id, "history"))["text"]
    assert "earlier messages" in told
    return f"Follow this instruction: {PROMPT}" in told


async def test_a_prompt_reaches_the_model_and_stays_when_the_session_is_revived(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create(profile=PROMPTED)
        assert await prompt_seen(home, session.id)
        await home.say(session.id, "remember the blue door")
        assert await home.manager.hibernate(session.id)
        turn = await home.manager.send(session.id, "recall")
        assert (await home.ended(turn))["text"] == "You told me: the blue door"
        assert (await home.until(session.id, "session.revived", after=turn.seq))[-1]["context"] == "kept"
        assert await prompt_seen(home, session.id)
        fork = await home.manager.fork(session.id)
        assert await prompt_seen(home, fork.id)
    async with house() as home:
        assert (await home.manager.get(session.id)).profile == PROMPTED
        assert await prompt_seen(home, session.id)


async def test_a_prompt_that_looks_like_a_files_address_is_not_read_as_one(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create(profile=Profile(system_prompt="file:///etc/hostname"))
        told = (await home.say(session.id, "history"))["text"]
        assert " file:///etc/hostname" in told


async def test_without_a_prompt_there_is_no_file_and_no_instruction(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create()
        assert not await prompt_seen(home, session.id)
        assert list(session.directory.iterdir()) == []


async def test_sessions_without_a_profile_and_warm_workers_have_the_default_one(house: Make) -> None:
    async with house(config=SessionsConfig(warm_workers=1), default_profile=PROMPTED) as home:
        await home.warm()
        session = await home.manager.create()
        assert session.state == "ready"
        assert session.profile == PROMPTED
        assert await prompt_seen(home, session.id)
        own = await home.manager.create(profile=Profile(trust_all_tools=True))
        assert not await prompt_seen(home, own.id)


async def test_a_warm_worker_that_nobody_got_leaves_nothing(demo_house: Make) -> None:
    async with demo_house(config=SessionsConfig(warm_workers=1), default_profile=PROMPTED) as home:
        await home.warm()
        assert len(list((home.work / "sessions").iterdir())) == 1
        assert len(list((home.work / "data" / "recordings").iterdir())) <= 1
    assert list((home.work / "sessions").iterdir()) == []
    assert list((home.work / "data" / "recordings").iterdir()) == []


async def test_an_expired_session_with_nothing_but_its_agent_file_is_removed(demo_house: Make) -> None:
    now = 1_000.0
    config = SessionsConfig(warm_workers=0, session_expiry=60, auto_cleanup=True)
    async with demo_house(config=config, clock=lambda: now) as home:
        bare = await home.manager.create(profile=PROMPTED)
        used = await home.manager.create(profile=PROMPTED)
        for session in (bare, used):
            await home.say(session.id, "hello")
            await home.manager.hibernate(session.id)
        (used.directory / ".amazonq" / "notes.txt").write_text("kept")
        now += 100
        assert (await home.manager.sweep(now)).deleted == 1
        assert not bare.directory.exists()
        assert (used.directory / ".amazonq" / "notes.txt").read_text() == "kept"


async def test_a_file_that_a_tool_changed_is_written_again(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create(profile=PROMPTED)
        await home.say(session.id, "hello")
        await home.manager.hibernate(session.id)
        file = session.directory / AGENT_FILE
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700
        content = json.loads(file.read_text())
        elsewhere = home.work / "elsewhere"
        elsewhere.write_text("not ours")
        file.unlink()
        file.symlink_to(elsewhere)
        assert await prompt_seen(home, session.id)
        assert not file.is_symlink()
        assert json.loads(file.read_text()) == content
        assert elsewhere.read_text() == "not ours"

        await home.manager.hibernate(session.id)
        file.write_text(json.dumps({**content, "prompt": "Speak like a parrot.", "allowedTools": ["execute_bash"]}))
        turn = await home.manager.send(session.id, "bash touch canary")
        question = await home.asked(turn, session.id)
        assert question["type"] == "permission.requested"
        await home.manager.answer(session.id, question["request_id"], "refuse")
        await home.ended(turn)
        assert await prompt_seen(home, session.id)


async def test_nothing_is_written_through_a_directory_that_is_a_link(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create(profile=PROMPTED)
        outside = home.work / "outside"
        outside.mkdir()
        (session.directory / ".amazonq").symlink_to(outside)
        end = await home.say(session.id, "hello")
        assert end["type"] == "turn.failed"
        assert ".amazonq" in end["message"]
        assert str(home.work) not in end["message"]
        assert list(outside.iterdir()) == []
        (session.directory / ".amazonq").unlink()
        assert (await home.say(session.id, "hello"))["type"] == "turn.completed"


@pytest.mark.real_q
async def test_nothing_else_of_the_agent_is_changed_by_a_prompt(lab: Lab, tmp_path: Path) -> None:
    """The same tools, the same permissions, the same files in the context, the same servers of the person."""
    person = lab.new_home(f"prompted-{tmp_path.name}")
    async with McpServer() as server:
        servers = {"mcpServers": {"client": {"type": "http", "url": server.url, "timeout": 60000}}}
        (person / ".aws" / "amazonq").mkdir(parents=True, exist_ok=True)
        (person / ".aws" / "amazonq" / "mcp.json").write_text(json.dumps(servers))
        environment = {**os.environ, "HOME": str(person)}
        found = spec.locate(str(lab.q), environment=environment, data_directory=tmp_path / "data")
        async with House(found, tmp_path) as home:
            plain = await behaviour(home, lab, Profile())
            prompted = await behaviour(home, lab, PROMPTED)

    assert "add" in plain["tools"]
    assert {"execute_bash", "fs_read", "fs_write"} <= set(plain["tools"])
    assert set(plain["context"]) == {"AmazonQ.md", "AGENTS.md", "README.md", "rules/one.md"}
    assert plain["asked"] == {
        "bash touch canary": True,
        "read README.md": False,
        "read /etc/hostname": True,
        "write notes.txt": True,
        'mcp add {"a": 1, "b": 2}': True,
    }
    assert prompted.pop("instructed") is True
    assert plain.pop("instructed") is False
    assert prompted == plain


async def behaviour(home: House, lab: Lab, profile: Profile) -> dict[str, Any]:
    """What a session with this profile offers the model, shows it, and asks for."""
    session = await home.manager.create(profile=profile)
    files = await home.manager.files(session.id)
    for path in ("AmazonQ.md", "AGENTS.md", "README.md", ".amazonq/rules/one.md"):
        await files.write(path, f"canary of {path.removeprefix('.amazonq/')}".encode())
    begun = lab.log.stat().st_size if lab.log.exists() else 0
    await home.say(session.id, "hello")
    with lab.log.open("rb") as log:
        log.seek(begun)
        requests = [json.loads(line) for line in log]
    asked = [request for request in requests if "USER MESSAGE BEGIN" in json.dumps(request)]
    assert asked, requests
    told = json.dumps(asked[0], ensure_ascii=False)
    messages = (
        "bash touch canary",
        "read README.md",
        "read /etc/hostname",
        "write notes.txt",
        'mcp add {"a": 1, "b": 2}',
    )
    return {
        "tools": {name: _sorted(tool) for name, tool in sorted(_tools(asked[0]).items())},
        "context": {path for path in ("AmazonQ.md", "AGENTS.md", "README.md", "rules/one.md") if f"of {path}" in told},
        "instructed": "Speak like a" in told,
        "asked": {message: await _is_asked(home, session.id, message) for message in messages},
    }


def _tools(body: Any) -> dict[str, Any]:
    """Every tool's specification in a request, by its name, wherever it is."""
    found: dict[str, Any] = {}
    if isinstance(body, dict):
        tool = body.get("toolSpecification")
        if isinstance(tool, dict):
            found[tool["name"]] = tool
        for value in body.values():
            found |= _tools(value)
    elif isinstance(body, list):
        for value in body:
            found |= _tools(value)
    return found


def _sorted(tool: dict[str, Any]) -> str:
    return json.dumps(tool, sort_keys=True)


async def _is_asked(home: House, session_id: str, message: str) -> bool:
    """Whether a tool needs a permission, which is refused."""
    turn = await home.manager.send(session_id, message)
    kinds = {"permission.requested", "turn.completed", "turn.failed"}
    last = (await home.events(session_id, lambda event: event["type"] in kinds, after=turn.seq))[-1]
    assert last["type"] != "turn.failed", last
    if last["type"] == "permission.requested":
        await home.manager.answer(session_id, last["request_id"], "refuse")
        await home.ended(turn)
        return True
    return False
