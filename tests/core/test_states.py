"""The transition table: every pair is either in it, and leads where it says, or is rejected."""

from __future__ import annotations

import itertools

import pytest

from qpty.core.states import TRANSITIONS, Signal, State, TransitionError, advance

PAIRS = list(itertools.product(State, Signal))


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize(("state", "signal"), PAIRS, ids=lambda value: value.name)
def test_a_pair_leads_where_the_table_says_or_is_rejected(state: State, signal: Signal) -> None:
    if signal in TRANSITIONS[state]:
        assert advance(state, signal) is TRANSITIONS[state][signal]
    else:
        with pytest.raises(TransitionError, match=state.value) as caught:
            advance(state, signal)
        assert (caught.value.state, caught.value.signal) == (state, signal)


def test_a_message_may_be_typed_in_ready_only() -> None:
    assert [state for state in State if Signal.KEYS_SENT in TRANSITIONS[state]] == [State.READY]


def test_ready_is_reached_by_a_proved_prompt_only() -> None:
    ways = {signal for row in TRANSITIONS.values() for signal, target in row.items() if target is State.READY}
    assert ways == {Signal.PROMPT_PROVED}


def test_every_state_can_be_left_by_the_end_of_the_process_and_nothing_follows_that() -> None:
    for state in State:
        if state is not State.EXITED:
            assert TRANSITIONS[state][Signal.EXITED] is State.EXITED
    assert TRANSITIONS[State.EXITED] == {}
