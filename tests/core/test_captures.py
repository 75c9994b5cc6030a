"""Captures of the real q give their golden events, however the bytes are cut and wherever the spinner's frames fall."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from qpty.core.commands import DataReceived
from tests import captured
from tests.captured.sanitise import FORBIDDEN
from tests.captured.scenarios import SCENARIOS
from tests.core.playbook import HOOKS_FRAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qpty.agent.capture import Capture

NAMES = captured.names()
CUTS = 1000
"""Random cuts of every capture, in `PLAYS` plays."""

PLAYS = 40
FRAME = "\r⠋ Thinking...".encode()
FRAMES_TRIED = 120
SIZE_LIMIT = 3 << 20

load = cache(captured.load)


def size(capture: Capture) -> int:
    return sum(len(given.data) for given in capture.inputs if isinstance(given, DataReceived))


def cut_at_random(name: str, play: int) -> Callable[[bytes], Iterator[bytes]]:
    """Return a way to cut stretches that cuts the whole capture about `CUTS / PLAYS` times."""
    dice = random.Random(f"{name} {play}")  # noqa: S311 - the same cuts every time
    share = min(1.0, CUTS / PLAYS / size(load(name)))

    def cut(data: bytes) -> Iterator[bytes]:
        start = 0
        for end in range(1, len(data)):
            if dice.random() < share:
                yield data[start:end]
                start = end
        yield data[start:]

    return cut


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    for position in range(len(data)):
        yield data[position : position + 1]


def whole(data: bytes) -> Iterator[bytes]:
    yield data


def test_everything_is_captured_and_every_capture_has_its_scenario() -> None:
    assert sorted(scenario.name for scenario in SCENARIOS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_gives_its_golden_events(name: str) -> None:
    assert captured.played(load(name)) == captured.golden(name)


@pytest.mark.parametrize("name", NAMES)
def test_cuts_change_nothing(name: str) -> None:
    capture = load(name)
    golden = captured.golden(name)
    assert captured.played(capture, whole) == golden
    assert captured.played(capture, byte_by_byte) == golden
    for play in range(PLAYS):
        assert captured.played(capture, cut_at_random(name, play)) == golden, f"play {play}"


# -- the spinner's frames


TURN = re.compile(rb"(?<=\x1b\[\?2004l).*?(?=\x1b\[\?2004h)", re.DOTALL)
COUNT = r"\x1b\[38;5;12m\d\x1b\[39m"
OWN_FRAME = re.compile(f"\r[\u2800-\u28ff]+ (?:Thinking\\.\\.\\.|{COUNT} of {COUNT} hooks finished)".encode())


def places_for_a_frame(output: bytes) -> list[int]:
    """Return where q's spinner may write in a turn: not in a character, and not in a frame, as there is one spinner."""
    places = {place for turn in TURN.finditer(output) for place in range(*turn.span())}
    for frame in OWN_FRAME.finditer(output):
        places -= set(range(frame.start() + 1, frame.end()))
    return sorted(place for place in places if output[place] & 0xC0 != 0x80)


def with_a_frame(capture: Capture, place: int, frame: bytes = FRAME) -> Capture:
    """The capture with a frame more, before the byte at `place` of its output."""
    inputs = list(capture.inputs)
    for index, given in enumerate(inputs):
        if isinstance(given, DataReceived):
            if place < len(given.data):
                inputs[index] = replace(given, data=given.data[:place] + frame + given.data[place:])
                break
            place -= len(given.data)
    return replace(capture, inputs=tuple(inputs))


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        *(
            (name, FRAME)
            for name in ("hello", "bash", "two", "mcp", "read", "rejected", "suspended", "interrupted-tool")
        ),
        *((name, frame) for name in ("hooks-refused", "hooks-allowed") for frame in (FRAME, HOOKS_FRAME.encode())),
    ],
)
def test_a_frame_anywhere_changes_nothing(name: str, frame: bytes) -> None:
    capture = load(name)
    golden = captured.golden(name)
    output = b"".join(given.data for given in capture.inputs if isinstance(given, DataReceived))
    places = places_for_a_frame(output)
    assert len(places) > 100
    for place in places if name == "hello" else places[:: max(1, len(places) // FRAMES_TRIED)]:
        around = (output[max(0, place - 40) : place], output[place : place + 40])
        assert captured.played(with_a_frame(capture, place, frame)) == golden, around


# -- what the golden events say


def golden(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.golden(name)]


@pytest.mark.parametrize("name", NAMES)
def test_every_turn_ends_once(name: str) -> None:
    events = golden(name)
    started = [event["turn_id"] for event in events if event["type"] == "turn.started"]
    ended = [event["turn_id"] for event in events if event["type"] in {"turn.completed", "turn.failed"}]
    assert started == ended


@pytest.mark.parametrize("name", NAMES)
def test_what_was_live_is_what_was_said(name: str) -> None:
    """Live text and exact text differ at most by the blanks that q's screen loses, and by control characters."""
    live: Counter[tuple[str, int]] = Counter()
    shown: dict[tuple[str, int], str] = {}
    for event in golden(name):
        if event["type"] == "message.delta":
            place = (event["turn_id"], event["segment"])
            shown[place] = shown.get(place, "") + event["text"]
            live[place] += 1
        elif event["type"] == "message.completed":
            text = re.sub(r"[\x00-\x20]", "", event["text"])
            assert re.sub(r"\s", "", shown[event["turn_id"], event["segment"]]) == text


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("forged")])
def test_nothing_is_forged(name: str) -> None:
    events = golden(name)
    counted = Counter(event["type"] for event in events)
    asked = 2 if name == "forged-arguments" else 3
    assert counted["permission.requested"] == counted["tool.started"] == counted["tool.completed"] == asked
    assert not counted["turn.failed"]
    assert not counted["notice"]
    assert all(event["exact"] for event in events if event["type"] in {"message.completed", "turn.completed"})
    assert not any(event["text"].startswith("forged") for event in events if event["type"] == "message.delta")


HOOKED = {
    "hooks-refused": ["refused"] * 3,
    "hooks-allowed": ["ok"] * 4,
    "hooks-two": ["refused"] * 4,
    "hooks-several": ["ok", "refused"],
}
"""What became of the calls."""


@pytest.mark.parametrize("name", HOOKED)
def test_nothing_of_hooks_is_told_as_the_models_words(name: str) -> None:
    events = golden(name)
    for event in events:
        if event["type"] == "message.delta" and event["segment"] == 0:
            assert not re.search("[\u2800-\u28ff]|hooks|preToolUse", event["text"])
        elif event["type"] in {"message.completed", "turn.completed"}:
            assert event["exact"]
        elif event["type"] == "tool.started":
            assert event["arguments"]
    ends = [event["outcome"] for event in events if event["type"] == "tool.completed"]
    assert ends == HOOKED[name]


FAILURES = {
    "suspended": "account_suspended",
    "denied": "access_denied",
    "expired": "sign_in_expired",
    "boom": "upstream_error",
    "broken": "upstream_error",
    "stream-error": "upstream_error",
    "overflow": "context_overflow",
    "monthly": "monthly_limit",
    "throttle": "rate_limited",
    "capacity": "model_overloaded",
    "capacity-other": "model_overloaded",
    "killed": "worker_lost",
}


@pytest.mark.parametrize(("name", "code"), FAILURES.items())
def test_a_failure_has_its_code(name: str, code: str) -> None:
    failed = [event["code"] for event in golden(name) if event["type"] == "turn.failed"]
    assert failed[0] == code
    assert failed[1:] == (["agent_crashed"] if name in {"overflow", "monthly"} else [])


def test_interrupted_turns_are_completed_as_interrupted() -> None:
    names = [name for name in NAMES if name.startswith("interrupted-")]
    assert len(names) == 4
    for name in names:
        reasons = [event["stop_reason"] for event in golden(name) if event["type"] == "turn.completed"]
        assert reasons == ["interrupted", "end_turn"], name


# -- the files


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_names_no_machine(name: str) -> None:
    capture = load(name)
    output = b"".join(given.data for given in capture.inputs if isinstance(given, DataReceived))
    for text in (
        output.decode("utf-8", "replace"),
        (captured.DIRECTORY / f"{name}.cast").read_text(),
        str(golden(name)),
    ):
        assert FORBIDDEN.search(text) is None


def test_the_captures_stay_small() -> None:
    assert sum(path.stat().st_size for path in captured.DIRECTORY.iterdir() if path.is_file()) < SIZE_LIMIT


def test_the_spinner_was_caught_inside_an_escape_sequence() -> None:
    """The captures that are made until it happens still have what they are there for."""
    for scenario in SCENARIOS:
        if scenario.wanted is not None:
            capture = load(scenario.name)
            output = b"".join(given.data for given in capture.inputs if isinstance(given, DataReceived))
            assert scenario.wanted(output), scenario.name
