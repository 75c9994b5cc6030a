"""Steps: checked before anything starts, and played to an agent one after another."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from qpty.agent import spec
from qpty.agent.driver import TerminalAgent
from qpty.agent.errors import DirectoryMissingError
from qpty.cli.steps import StepError, StepPlayer, check_steps

if TYPE_CHECKING:
    from pathlib import Path

    from qpty.core.events import Event

TIMEOUT = 30.0


@pytest.fixture
def demo(tmp_path: Path) -> spec.AgentSpec:
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    environment = {**os.environ, "HOME": str(tmp_path / "home")}
    return spec.locate("demo", environment=environment, data_directory=tmp_path / "data")


async def play(found: spec.AgentSpec, directory: Path, *steps: str) -> list[Event]:
    """Play steps to a fresh agent; return all events."""
    events: list[Event] = []
    agent = TerminalAgent(found, directory=directory)
    await asyncio.wait_for(StepPlayer(agent, show=events.append).play(steps), TIMEOUT)
    return events


def types(events: list[Event]) -> list[str]:
    merged: list[str] = []
    for event in events:
        if event.type != "session.state" and (not merged or merged[-1] != event.type):
            merged.append(event.type)
    return merged


# -- before anything starts


def test_steps_that_can_be_played() -> None:
    check_steps(["a message", ":allow", ":refuse", ":always", ":choose 1", ":leave", ":interrupt", ":take-up"])
    check_steps([":wait 0", ":wait 1.5", ":until some text", "", " :not a step", "http://not.a/step"])


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (":nosuch", "no such step; there are :allow"),
        (":", "no such step"),
        (":allow now", "takes nothing after it"),
        (":choose", "needs something after it"),
        (":choose first", "give the option's number"),
        (":choose -1", "give the option's number"),
        (":wait", "needs something after it"),
        (":wait long", "give seconds"),
        (":wait -1", "give seconds"),
        (":wait nan", "give seconds"),
        (":wait inf", "give seconds"),
        (":until", "needs something after it"),
    ],
)
def test_a_step_that_nobody_could_play_is_named(step: str, reason: str) -> None:
    with pytest.raises(StepError) as caught:
        check_steps(["hello", step])
    assert (caught.value.number, caught.value.step) == (2, step)
    assert reason in caught.value.reason
    assert str(caught.value).startswith(f"step 2 ({step}): ")


# -- to an agent


async def test_messages_are_sent_one_after_another(demo: spec.AgentSpec, tmp_path: Path) -> None:
    events = await play(demo, tmp_path / "work", "hello", "remember this")
    turn = ["turn.started", "message.delta", "message.completed", "turn.completed"]
    assert types(events) == [*turn, *turn, "agent.exited"]


@pytest.mark.parametrize(("step", "made"), [(":allow", True), (":always", True), (":refuse", False)])
async def test_permissions_are_answered(demo: spec.AgentSpec, tmp_path: Path, step: str, made: bool) -> None:
    await play(demo, tmp_path / "work", "bash touch made", step)
    assert (tmp_path / "work" / "made").exists() == made


async def test_a_turn_is_interrupted_where_its_text_has_come(demo: spec.AgentSpec, tmp_path: Path) -> None:
    events = await play(demo, tmp_path / "work", "slow 30", ":until part 2", ":interrupt", "hello")
    ended = [getattr(event, "stop_reason", "") for event in events if event.type == "turn.completed"]
    assert ended == ["interrupted", "end_turn"]


async def test_an_interrupt_of_nothing_is_nothing(demo: spec.AgentSpec, tmp_path: Path) -> None:
    assert types(await play(demo, tmp_path / "work", ":interrupt")) == ["agent.exited"]


async def test_a_wait_lets_the_turn_run_and_then_it_is_over(demo: spec.AgentSpec, tmp_path: Path) -> None:
    events = await play(demo, tmp_path / "work", "slow 30", ":wait 0")
    assert types(events)[-2:] == ["turn.failed", "agent.exited"]


async def test_an_earlier_conversation_is_taken_up(demo: spec.AgentSpec, tmp_path: Path) -> None:
    await play(demo, tmp_path / "work", "remember the red key")
    events = await play(demo, tmp_path / "work", ":take-up", "recall")
    assert any("the red key" in getattr(event, "text", "") for event in events if event.type == "turn.completed")


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ((":allow",), "no permission is asked; the agent is ready"),
        (("hello", ":leave"), "no menu is open; the agent is ready"),
        (("bash ls", ":choose 0"), "no menu is open; the agent is permission"),
        (("hello", ":until never said"), "that was not printed; the agent is ready"),
    ],
)
async def test_a_step_that_does_not_fit_ends_the_agent(
    demo: spec.AgentSpec, tmp_path: Path, steps: tuple[str, ...], reason: str
) -> None:
    events: list[Event] = []
    agent = TerminalAgent(demo, directory=tmp_path / "work")
    with pytest.raises(StepError, match=reason) as caught:
        await asyncio.wait_for(StepPlayer(agent, show=events.append).play(steps), TIMEOUT)
    assert caught.value.number == len(steps)
    assert events[-1].type == "agent.exited"


async def test_an_agent_that_can_not_start_says_so_and_is_over(demo: spec.AgentSpec, tmp_path: Path) -> None:
    with pytest.raises(DirectoryMissingError):
        await play(demo, tmp_path / "nowhere", "hello")


async def test_an_error_of_the_one_who_is_shown_the_events_is_not_swallowed(
    demo: spec.AgentSpec, tmp_path: Path
) -> None:
    def fails(event: Event) -> None:
        raise RuntimeError(event.type)

    agent = TerminalAgent(demo, directory=tmp_path / "work")
    with pytest.raises(RuntimeError, match=r"session\.state"):
        await asyncio.wait_for(StepPlayer(agent, show=fails).play(["hello"]), TIMEOUT)
    assert agent.exited is not None
