"""Sizes are applied at once where that is safe, and a program that doesn't listen is never told too often."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.agent.resizing import BUSY_LIMIT, HEARD_AT_ONCE, PAUSE, Resizing
from qpty.core.events import MessageDelta, TurnCompleted

if TYPE_CHECKING:
    from collections.abc import Callable

    from qpty.core.events import Event
    from tests.agent.conftest import Bench

ROOM = 270
"""Bytes that q's socket pair holds before its signal handler hangs (measured: 278)."""


class Editor:
    """q's line editor: each signal leaves a byte, and is heard only if the editor waits for keys when it comes."""

    def __init__(self) -> None:
        self.listens = False
        self.deaf = False
        self.size = (80, 24)
        self.signals = 0
        self.bytes = 0
        self.most = 0
        self.now = 0.0
        self.calls: list[tuple[float, Callable[[], None]]] = []
        self.resizing = Resizing(self, columns=80, lines=24, call_later=self.call_later)

    def call_later(self, delay: float, call: Callable[[], None]) -> Call:
        self.calls.append((self.now + delay, call))
        return Call(self, self.calls[-1])

    def apply(self, columns: int, lines: int) -> None:
        assert (columns, lines) != self.size, "no signal comes for the same size"
        self.size = (columns, lines)
        self.remind()

    def remind(self) -> None:
        assert not self.deaf
        self.signals += 1
        self.bytes += 1
        self.most = max(self.most, self.bytes)
        if self.listens:
            self.bytes = max(0, self.bytes - HEARD_AT_ONCE)

    def goes(self, *, listens: bool, deaf: bool = False) -> None:
        self.listens, self.deaf = listens, deaf
        self.resizing.state_changed()

    def passes(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [call for call in self.calls if call[0] <= end]:
            call = min(due, key=lambda item: item[0])
            self.calls.remove(call)
            self.now = call[0]
            call[1]()
        self.now = end


class Call:
    """A call that is still to come."""

    def __init__(self, editor: Editor, call: tuple[float, Callable[[], None]]) -> None:
        self._editor = editor
        self._call = call

    def cancel(self) -> None:
        if self._call in self._editor.calls:
            self._editor.calls.remove(self._call)


@pytest.fixture
def editor() -> Editor:
    made = Editor()
    made.goes(listens=True)
    return made


def test_a_size_is_applied_at_once_and_an_equal_one_not_again(editor: Editor) -> None:
    editor.resizing.want(100, 30)
    assert editor.size == (100, 30)
    editor.passes(1)
    editor.resizing.want(100, 30)
    editor.passes(1)
    assert editor.signals == 1


def test_of_many_sizes_the_newest_counts(editor: Editor) -> None:
    for columns in range(81, 200):
        editor.resizing.want(columns, 24)
    assert editor.size == (81, 24)
    editor.passes(2 * PAUSE)
    assert editor.size == (199, 24)
    assert editor.signals == 2


def test_a_busy_program_is_told_a_few_times_and_of_the_newest_size_when_it_listens(editor: Editor) -> None:
    editor.goes(listens=False)
    for columns in range(100, 500):
        editor.resizing.want(columns, 24)
        editor.passes(PAUSE)
    assert editor.signals == BUSY_LIMIT
    assert editor.size != (499, 24)
    editor.goes(listens=True)
    assert editor.size == (499, 24)


def test_what_was_not_heard_is_gone_before_it_adds_up(editor: Editor) -> None:
    """Each turn leaves signals behind; without one at the prompt nobody ever takes them out."""
    for _ in range(20):
        editor.goes(listens=False)
        for columns, _ in zip(itertools.cycle((81, 80)), range(BUSY_LIMIT), strict=False):
            editor.resizing.want(columns, 24)
            editor.passes(PAUSE)
        editor.goes(listens=True)
        editor.passes(3 * PAUSE)
        assert editor.bytes == 0
    assert editor.most <= HEARD_AT_ONCE


def test_a_menu_gets_no_signal(editor: Editor) -> None:
    editor.goes(listens=False, deaf=True)
    editor.resizing.want(100, 30)
    editor.passes(1)
    assert editor.size == (80, 24)
    editor.goes(listens=False)
    assert editor.size == (100, 30)


def test_nothing_is_done_after_the_end(editor: Editor) -> None:
    editor.resizing.want(100, 30)
    editor.resizing.want(120, 30)
    editor.resizing.close()
    editor.passes(1)
    editor.resizing.want(140, 30)
    editor.goes(listens=True)
    assert (editor.size, editor.calls) == ((100, 30), [])


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("want"), st.integers(1, 200)),
            st.tuples(st.just("goes"), st.sampled_from(["listens", "busy", "menu"])),
            st.tuples(st.just("passes"), st.sampled_from([0.0, 0.001, 0.02, PAUSE, 1.0])),
        ),
        max_size=600,
    )
)
def test_whatever_is_wanted_there_is_room_and_the_newest_size_comes(steps: list[tuple[str, object]]) -> None:
    editor = Editor()
    for what, value in steps:
        if what == "want":
            editor.resizing.want(int(str(value)), 24)
        elif what == "goes":
            editor.goes(listens=value == "listens", deaf=value == "menu")
        else:
            editor.passes(float(str(value)))
        assert editor.most < ROOM
    wanted = next((int(str(value)) for what, value in reversed(steps) if what == "want"), 80)
    editor.goes(listens=True)
    editor.passes(1)
    assert editor.size == (wanted, 24)
    assert editor.bytes == 0


async def test_resizes_within_a_turn_do_not_hang_the_agent(bench: Bench) -> None:
    sizes = itertools.count(81)
    async with bench.conversation() as chat:

        def resized(event: Event) -> bool:
            if isinstance(event, MessageDelta):
                chat.agent.resize(columns=next(sizes), lines=24)
            return isinstance(event, TurnCompleted)

        await chat.begin("words 150")
        turn = await chat.until(resized)
        assert turn.last.exact
        assert (await chat.say("hello")).last.exact
        assert chat.agent.screen.columns == next(sizes) - 1


async def test_the_agent_and_the_screen_have_the_same_size(bench: Bench) -> None:
    async with bench.conversation() as chat:
        for columns in (120, 90, 100):
            chat.agent.resize(columns=columns, lines=30)
        turn = await chat.say("bash stty size")
        turn = await chat.answer("allow")
        screen = chat.agent.screen
        assert (screen.columns, screen.lines) == (100, 30)
        assert turn.output == "30 100\n"


async def test_a_size_may_be_given_before_the_start_and_changes_nothing_after_the_end(bench: Bench) -> None:
    chat = bench.conversation()
    with pytest.raises(ValueError, match="columns"):
        chat.agent.resize(columns=0, lines=24)
    chat.agent.resize(columns=100, lines=30)
    async with chat:
        assert (chat.agent.screen.columns, chat.agent.screen.lines) == (100, 30)
    chat.agent.resize(columns=80, lines=24)
    assert chat.agent.screen.columns == 100
