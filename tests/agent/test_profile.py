"""Profiles: what may be chosen, what is refused, and what becomes of it on the command line and in the agent file."""

from __future__ import annotations

import json

import pytest

from qpty.agent.agent_file import agent_file
from qpty.agent.profile import PROMPT_BYTES, Profile, ProfileError, with_instruction


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
    assert json.loads(agent_file("file:///etc/hostname"))["prompt"] == " file:///etc/hostname"
    assert json.loads(agent_file(" file:///etc/hostname"))["prompt"] == " file:///etc/hostname"
    assert json.loads(agent_file("Read file:///etc/hostname"))["prompt"] == "Read file:///etc/hostname"
