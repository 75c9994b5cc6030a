"""Profiles: what may be chosen, what is refused, and what becomes of it on the command line and in the agent file."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qpty.agent.agent_file import AgentFileError, agent_file, all_names_but, all_paths_but
from qpty.agent.profile import PROMPT_BYTES, Profile, ProfileError, with_instruction

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKEN = "0123456789_abcdefghi-"
URL = "http://127.0.0.1:7000/mcp"
DIRECTORY = Path("/srv/qpty/sessions/s1")


def content(profile: Profile, *, directory: Path = DIRECTORY, tools_url: str | None = URL) -> dict[str, Any]:
    """The agent file that a profile gets."""
    found: dict[str, Any] = json.loads(agent_file(profile, directory=directory, tools_url=tools_url))
    return found


def test_a_system_prompt_starts_the_agent_of_the_session() -> None:
    profile = Profile(system_prompt="Be brief.", model="m1", trusted_tools=("fs_read",))
    assert profile.options() == ("--agent", "qpty-session", "--model", "m1", "--trust-tools=fs_read")
    assert Profile(agent="mine").options() == ("--agent", "mine")
    assert Profile().options() == ()


def test_a_profile_is_kept_as_json() -> None:
    for profile in (
        Profile(),
        Profile(agent="mine", model="m1", trusted_tools=(), trust_all_tools=True),
        Profile(system_prompt='Say "ja" 🙂\n'),
        Profile(client_tools=TOKEN, builtin_tools=False, attachments=True),
    ):
        assert Profile.from_dict(json.loads(json.dumps(profile.to_dict()))) == profile
    assert Profile().to_dict() == {}


@pytest.mark.parametrize(
    ("prompt", "why"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("a\0b", "NUL"),
        ("half \ud83d of it", "surrogate"),
        ("ü" * (PROMPT_BYTES // 2) + "!", "bytes"),
    ],
)
def test_what_is_no_prompt_is_refused(prompt: str, why: str) -> None:
    with pytest.raises(ProfileError) as error:
        Profile(system_prompt=prompt)
    assert error.value.field == "system prompt"
    assert why in str(error.value)
    assert len(str(error.value)) < 250


def test_the_longest_prompt_is_taken() -> None:
    assert Profile(system_prompt="ü" * (PROMPT_BYTES // 2)).system_prompt


def test_an_agent_has_its_own_prompt() -> None:
    with pytest.raises(ProfileError) as error:
        Profile(agent="mine", system_prompt="Be brief.")
    assert (error.value.field, error.value.value) == ("agent", "mine")
    assert "system prompt" in str(error.value)


def test_an_instruction_is_put_at_the_end() -> None:
    assert with_instruction(Profile(model="m1"), "Be brief.") == Profile(model="m1", system_prompt="Be brief.")
    assert with_instruction(Profile(system_prompt="You are a cook."), "Be brief.") == Profile(
        system_prompt="You are a cook.\n\nBe brief."
    )
    named = Profile(agent="mine")
    assert with_instruction(named, "Be brief.") is named
    with pytest.raises(ProfileError):
        with_instruction(Profile(system_prompt="x" * PROMPT_BYTES), "Be brief.")


def test_a_prompt_that_looks_like_a_files_address_stays_a_prompt() -> None:
    assert content(Profile(system_prompt="file:///etc/hostname"))["prompt"] == " file:///etc/hostname"
    assert content(Profile(system_prompt=" file:///etc/hostname"))["prompt"] == " file:///etc/hostname"
    assert content(Profile(system_prompt="Read file:///etc/hostname"))["prompt"] == "Read file:///etc/hostname"


@pytest.mark.parametrize(
    "profile",
    [
        Profile(client_tools=TOKEN),
        Profile(builtin_tools=False),
        Profile(attachments=True),
        Profile(client_tools=TOKEN, builtin_tools=False, attachments=True, system_prompt="Be brief."),
    ],
)
def test_tools_of_its_own_start_the_agent_of_the_session(profile: Profile) -> None:
    assert profile.own_agent
    assert profile.options() == ("--agent", "qpty-session")
    assert content(profile)["prompt"] == profile.system_prompt


@pytest.mark.parametrize("token", ["", "x" * 19, "x" * 129, "x" * 20 + "/", "x" * 20 + "é", "../" + "x" * 20])
def test_what_is_no_token_is_refused_and_not_told(token: str) -> None:
    with pytest.raises(ProfileError) as error:
        Profile(client_tools=token)
    assert not token or token not in str(error.value)
    assert TOKEN not in repr(Profile(client_tools=TOKEN))


@pytest.mark.parametrize(
    "fields",
    [
        {"agent": "mine", "client_tools": TOKEN},
        {"agent": "mine", "builtin_tools": False},
        {"agent": "mine", "attachments": True},
        {"builtin_tools": False, "trust_all_tools": True},
        {"builtin_tools": False, "trusted_tools": ("fs_read",)},
        {"builtin_tools": False, "trusted_tools": ()},
    ],
)
def test_what_excludes_each_other_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ProfileError):
        Profile(**fields)


def test_a_clients_tools_are_added_to_the_default_agent() -> None:
    plain, added = content(Profile(system_prompt="p")), content(Profile(system_prompt="p", client_tools=TOKEN))
    assert added["mcpServers"] == {"client": {"type": "http", "url": f"{URL}/{TOKEN}", "timeout": 86_400_000}}
    assert added["allowedTools"] == ["@client"]
    changed = {name for name in plain if plain[name] != added[name]}
    assert changed == {"mcpServers", "allowedTools"}
    assert plain["tools"] == ["*"]
    assert plain["useLegacyMcpJson"] is True


def test_without_the_clis_own_tools_nothing_of_the_persons_is_used() -> None:
    confined = content(Profile(client_tools=TOKEN, builtin_tools=False))
    assert (confined["tools"], confined["allowedTools"]) == (["@client"], ["@client"])
    assert (confined["resources"], confined["useLegacyMcpJson"]) == ([], False)
    assert list(confined["mcpServers"]) == ["client"]
    assert content(Profile(builtin_tools=False), tools_url=None)["mcpServers"] == {}


def test_a_clients_tools_need_their_server() -> None:
    with pytest.raises(AgentFileError, match="no server for clients' tools"):
        content(Profile(client_tools=TOKEN), tools_url=None)


def matches(globs: Sequence[str], path: str) -> bool:
    """Whether q denies a path: each rule is for the path itself and for what is below it."""
    return any(fnmatchcase(path, glob) or fnmatchcase(path, f"{glob}/*") for glob in globs)


@pytest.mark.parametrize("directory", ["/a", "/srv/qpty/sessions/s1/attachments", "/a b/~c/#1.2_3-4@5+6=7:8,9%"])
def test_every_path_but_those_below_a_directory_is_denied(directory: str) -> None:
    rules = list(all_paths_but(Path(directory)))
    for inside in ("x", "x/y", "..x", " "):
        assert not matches(rules, f"{directory}/{inside}")
    changed = [directory[:at] + other + directory[at + 1 :] for at in range(1, len(directory)) for other in "Zz/"]
    for outside in [f"{path}/x" for path in changed if path != directory] + [f"{directory}{c}/x" for c in "2s-"]:
        assert matches(rules, outside), outside


@pytest.mark.parametrize("directory", ["/a$HOME", "/a*", "/[a]", "/{a}", "/é", "/a\\b", "/a!", "/a\nb", "/a^"])
def test_a_path_with_a_meaning_is_refused(directory: str) -> None:
    with pytest.raises(AgentFileError, match="plain letters"):
        content(Profile(builtin_tools=False, attachments=True), directory=Path(directory))
    assert content(Profile(builtin_tools=False), directory=Path(directory))


def test_every_tool_but_one_is_named() -> None:
    globs = list(all_names_but("fs_read"))
    for name in ("execute_bash", "fs_write", "fsread", "use_aws", "delegate"):
        assert any(fnmatchcase(name, glob) for glob in globs)
    assert not any(fnmatchcase(name, glob) for glob in globs for name in ("fs_read", "@client/add", "@client/fs_write"))
