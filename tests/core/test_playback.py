"""Playing inputs into a fresh machine: every output with its cause, and events that don't depend on the cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qpty.core import playback
from qpty.core.commands import DataReceived, Input, Look, MessageSubmitted, RecordRead, SendKeys, Witnessed
from qpty.core.events import Event, MessageDelta, SessionState, ToolOutput, TurnStarted
from qpty.core.record import NO_RECORD, RecordSlice
from qpty.core.states import NotReadyError
from tests.core.playbook import ACCEPTED, CLEAR, DIALECT, FRAME, GREETING, PROMPT, answered, response

if TYPE_CHECKING:
    from collections.abc import Iterator

READY = Witnessed(raw_mode=True, foreground=True, children=0, now=0.2)
NOTHING_NEW = RecordRead(result=RecordSlice(entries=(), mark=NO_RECORD), now=0.3)
START: tuple[Input, ...] = (
    DataReceived(data=GREETING.encode(), now=0.0),
    DataReceived(data=PROMPT.encode(), now=0.1),
    READY,
    NOTHING_NEW,
)
TURN: tuple[Input, ...] = (
    *START,
    MessageSubmitted(turn_id="t1", text="hello", now=1.0),
    DataReceived(data=(ACCEPTED + FRAME).encode(), now=1.1),
    DataReceived(data=(CLEAR + answered("Héllo.")).encode(), now=1.2),
    DataReceived(data=PROMPT.encode(), now=1.3),
    READY,
    RecordRead(result=RecordSlice(entries=(response("Héllo."),), mark=NO_RECORD), now=1.5),
)


def test_every_output_comes_with_the_input_that_made_it() -> None:
    played = list(playback.play(TURN, DIALECT))
    causes = {type(output): given for given, output in played}
    assert isinstance(causes[TurnStarted], MessageSubmitted)
    assert isinstance(causes[SendKeys], MessageSubmitted)
    assert isinstance(causes[Look], DataReceived)
    assert next(given for given, output in played if isinstance(output, SessionState)) is NOTHING_NEW


def test_without_a_cut_the_inputs_stay_as_they_were() -> None:
    assert all(any(given is one for one in TURN) for given, _ in playback.play(TURN, DIALECT))


def test_a_cut_gets_the_whole_output_between_two_other_inputs() -> None:
    stretches: list[bytes] = []

    def cut(data: bytes) -> Iterator[bytes]:
        stretches.append(data)
        yield data

    list(playback.play(TURN, DIALECT, cut=cut))
    assert stretches == [
        (GREETING + PROMPT).encode(),
        (ACCEPTED + FRAME + CLEAR + answered("Héllo.") + PROMPT).encode(),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_do_not_depend_on_the_cut(size: int) -> None:
    def cut(data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    def types(events: list[Event]) -> list[tuple[str, str | None]]:
        return [(event.type, getattr(event, "text", None)) for event in events]

    uncut = playback.events(playback.play(TURN, DIALECT))
    assert types(playback.events(playback.play(TURN, DIALECT, cut=cut))) == types(uncut)
    assert ("turn.completed", "Héllo.") in types(uncut)


def test_output_at_the_end_is_played_too() -> None:
    """A capture may end in the middle of a turn."""
    inputs = TURN[:6]
    assert playback.events(playback.play(inputs, DIALECT, cut=lambda data: [data]))[-1].type == "turn.started"
    given = [given for given, _ in playback.play(TURN[:8], DIALECT, cut=lambda data: [data])]
    assert isinstance(given[-1], DataReceived)


def test_adjacent_text_of_the_same_place_is_merged() -> None:
    nothing = TURN[0]
    outputs: list[Event] = [
        MessageDelta(turn_id="t1", segment=0, text="a"),
        MessageDelta(turn_id="t1", segment=0, text="b"),
        MessageDelta(turn_id="t1", segment=1, text="c"),
        MessageDelta(turn_id="t2", segment=1, text="d"),
        ToolOutput(turn_id="t2", tool_id="x", text="e\n"),
        ToolOutput(turn_id="t2", tool_id="x", text="f\n"),
        ToolOutput(turn_id="t2", tool_id="y", text="g\n"),
        MessageDelta(turn_id="t2", segment=1, text="h"),
    ]
    merged = playback.events((nothing, output) for output in outputs)
    assert [getattr(event, "text", "") for event in merged] == ["ab", "c", "d", "e\nf\n", "g\n", "h"]


def test_commands_are_no_events() -> None:
    assert playback.events([(TURN[0], Look()), (TURN[0], SendKeys(data=b"x"))]) == []


def test_an_input_that_does_not_fit_is_refused_as_live() -> None:
    with pytest.raises(NotReadyError):
        list(playback.play((TURN[0], MessageSubmitted(turn_id="t1", text="hello", now=0.1)), DIALECT))


def test_nothing_gives_nothing() -> None:
    assert list(playback.play((), DIALECT)) == []
