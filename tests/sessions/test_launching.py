"""Starting agents: again after a crash, with a pause that grows, and with the agent's own words when it won't."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from qpty.agent.driver import AgentGoneError, AgentStartError
from qpty.agent.errors import AgentNotFoundError
from qpty.agent.provider import Profile, TerminalProvider
from qpty.sessions import launching
from qpty.sessions.errors import AgentUnavailableError
from qpty.sessions.launching import DETAIL_CHARACTERS, FINAL_CODES, FIRST_PAUSE, LAST_PAUSE, PROFILES, Launcher
from tests.sessions.fake_agent import FakeAgent, FakeProvider, Processes, soon
from tests.sessions.house import demo_spec

if TYPE_CHECKING:
    from pathlib import Path

    from qpty.agent.provider import Agent
    from qpty.core.events import FailureCode


@dataclass
class Clock:
    """Time that passes only while the launcher sleeps; `pauses` are its sleeps, in seconds."""

    now: float = 1_000.0
    pauses: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(launching, "time", found)
    monkeypatch.setattr(launching, "asyncio", found)
    return found


class Works:
    """A provider whose agents fail at start as they are told to, one after the other, and then work."""

    def __init__(self, directory: Path, *failures: Exception) -> None:
        self.directory = directory
        self.failures = list(failures)
        self.processes = Processes()
        self.provider = FakeProvider(self._make)
        self.launcher = Launcher(self.provider)

    def _make(self, profile: Profile) -> FakeAgent:
        return FakeAgent(self.processes, starting=self._starting)

    async def _starting(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    async def launch(self, profile: Profile | None = None, *, attempts: int = 3) -> Agent:
        return await self.launcher.launch(profile or Profile(), self.directory, columns=80, lines=24, attempts=attempts)

    async def refused(self, profile: Profile | None = None, *, attempts: int = 1) -> AgentUnavailableError:
        with pytest.raises(AgentUnavailableError) as error:
            await self.launch(profile, attempts=attempts)
        return error.value


def died(code: FailureCode | None = None, text: str = "") -> AgentStartError:
    return AgentStartError(code, text, exit_code=1, exit_signal=None)


async def test_the_first_start_waits_for_nothing(clock: Clock, tmp_path: Path) -> None:
    works = Works(tmp_path)
    assert await works.launch() in works.provider.given
    assert clock.pauses == []


async def test_a_crash_at_start_is_tried_again_after_a_pause_that_doubles(clock: Clock, tmp_path: Path) -> None:
    works = Works(tmp_path, died(), died())
    agent = await works.launch(attempts=3)
    assert agent is works.provider.given[2]
    assert clock.pauses == [FIRST_PAUSE, 2 * FIRST_PAUSE]


async def test_after_so_many_attempts_the_agents_own_words_are_told(clock: Clock, tmp_path: Path) -> None:
    works = Works(tmp_path, died(text="first"), died("upstream_error", "cannot reach the cloud"))
    error = await works.refused(attempts=2)
    assert (error.code, error.detail) == ("upstream_error", "cannot reach the cloud")
    assert "cannot reach the cloud" in str(error)
    assert error.retry_after == 2 * FIRST_PAUSE
    assert len(works.provider.given) == 2
    assert not works.processes.alive


async def test_of_many_words_the_last_are_told(clock: Clock, tmp_path: Path) -> None:
    words = "noise " * 2_000 + "the reason"
    error = await Works(tmp_path, died(text=words)).refused()
    assert error.detail == words[-DETAIL_CHARACTERS:]


async def test_an_agent_that_says_nothing_has_crashed(clock: Clock, tmp_path: Path) -> None:
    error = await Works(tmp_path, died()).refused()
    assert (error.code, error.detail) == ("agent_crashed", "")
    assert "printed nothing" in str(error)


@pytest.mark.parametrize("code", sorted(FINAL_CODES))
async def test_what_another_start_would_not_change_is_not_tried_again(
    clock: Clock, tmp_path: Path, code: FailureCode
) -> None:
    works = Works(tmp_path, died(code, "log in first"))
    error = await works.refused(attempts=3)
    assert (error.code, error.detail) == (code, "log in first")
    assert len(works.provider.given) == 1
    assert clock.pauses == []


@pytest.mark.parametrize("failure", [OSError(24, "Too many open files"), AgentNotFoundError("q", ["/usr/bin/q"])])
async def test_what_cannot_be_spawned_is_told_at_once(clock: Clock, tmp_path: Path, failure: Exception) -> None:
    works = Works(tmp_path, failure)
    error = await works.refused(attempts=3)
    assert error.code == "agent_crashed"
    assert str(failure) in error.detail
    assert error.retry_after == FIRST_PAUSE
    assert len(works.provider.given) == 1


async def test_the_pause_goes_on_growing_from_call_to_call_up_to_a_bound(clock: Clock, tmp_path: Path) -> None:
    works = Works(tmp_path, *(died() for _ in range(12)))
    told = [(await works.refused()).retry_after for _ in range(12)]
    assert told == [min(FIRST_PAUSE * 2**number, LAST_PAUSE) for number in range(12)]
    assert clock.pauses == told[:-1]
    assert max(clock.pauses) == LAST_PAUSE


async def test_only_what_is_left_of_the_pause_is_waited_for(clock: Clock, tmp_path: Path) -> None:
    works = Works(tmp_path, died())
    await works.refused()
    clock.now += 0.75 * FIRST_PAUSE
    await works.launch()
    assert clock.pauses == pytest.approx([0.25 * FIRST_PAUSE])


async def test_a_good_start_ends_the_row_of_failures(clock: Clock, tmp_path: Path) -> None:
    works = Works(tmp_path, died(), died())
    await works.launch()
    clock.pauses.clear()
    works.failures = [died()]
    await works.launch()
    assert clock.pauses == [FIRST_PAUSE]


async def test_a_broken_profile_does_not_delay_another(clock: Clock, tmp_path: Path) -> None:
    works = Works(tmp_path, *(died() for _ in range(5)))
    broken = Profile(agent="broken")
    for _ in range(5):
        await works.refused(broken)
    clock.pauses.clear()
    await works.launch(Profile())
    assert clock.pauses == []
    await works.launch(broken)
    assert clock.pauses == [FIRST_PAUSE * 2**4]


async def test_failures_of_a_bounded_number_of_profiles_are_remembered(clock: Clock, tmp_path: Path) -> None:
    works = Works(tmp_path, *(died() for _ in range(PROFILES + 1)))
    for number in range(PROFILES + 1):
        await works.refused(Profile(model=f"m{number}"))
    clock.pauses.clear()
    await works.launch(Profile(model="m0"))  # forgotten: the oldest
    assert clock.pauses == []
    await works.launch(Profile(model=f"m{PROFILES}"))
    assert clock.pauses == [FIRST_PAUSE]


async def test_a_crash_after_the_start_counts_as_a_failed_start(clock: Clock, tmp_path: Path) -> None:
    works = Works(tmp_path)
    await works.launch()
    error = works.launcher.crashed(Profile(), AgentGoneError())
    assert (error.code, error.retry_after) == ("agent_crashed", FIRST_PAUSE)
    await works.launch()
    assert clock.pauses == [FIRST_PAUSE]


async def test_a_cancelled_launch_starts_nothing_more(clock: Clock, tmp_path: Path) -> None:
    never = asyncio.Event()
    processes = Processes()
    provider = FakeProvider(lambda _: FakeAgent(processes, starting=never.wait))
    launching_one = asyncio.create_task(
        Launcher(provider).launch(Profile(), tmp_path, columns=80, lines=24, attempts=3)
    )
    await soon(lambda: bool(processes.alive))
    launching_one.cancel()
    await asyncio.gather(launching_one, return_exceptions=True)
    assert launching_one.cancelled()
    assert len(provider.given) == 1
    assert not processes.alive


async def test_what_a_real_process_prints_as_it_dies_is_kept_and_cleaned(tmp_path: Path) -> None:
    """Its standard error, without control sequences; each attempt is another process."""
    script = r"echo begun >>starts; printf '\033[31merror:\033[0m no such \007agent\r\n' >&2; exit 3"
    spec = replace(demo_spec(tmp_path), argv=("/bin/sh", "-c", script))
    launcher = Launcher(TerminalProvider(spec, server_id="test"))
    with pytest.raises(AgentUnavailableError) as error:
        await launcher.launch(Profile(), tmp_path, columns=80, lines=24, attempts=2)
    assert error.value.code == "agent_crashed"
    assert error.value.detail.strip() == "error: no such agent"
    assert (tmp_path / "starts").read_text().splitlines() == ["begun", "begun"]
