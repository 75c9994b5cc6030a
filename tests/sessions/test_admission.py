"""Who may run a turn: the bound, the order within an owner, fairness among owners, and that no slot is ever lost."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from qpty.sessions.admission import Admission

if TYPE_CHECKING:
    from random import Random

OWNERS = ("ada", "bob", "cem")


class Admissions(RuleBasedStateMachine):
    """An `Admission` beside the plainest model of what it promises; every grant is judged."""

    @initialize(capacity=st.integers(1, 4))
    def begin(self, capacity: int) -> None:
        self.capacity = capacity
        self.admission: Admission[int] = Admission(capacity)
        self.lines: dict[str, deque[int]] = {owner: deque() for owner in OWNERS}
        self.running: dict[int, str] = {}
        self.passed_over: dict[str, set[str]] = {owner: set() for owner in OWNERS}
        """Whose grants an owner has seen while it waited, since its own last one and since it ran nothing any more."""
        self.ended: list[int] = []
        self.requests = 0

    def runs(self, owner: str) -> int:
        return sum(running == owner for running in self.running.values())

    @rule(owner=st.sampled_from(OWNERS))
    def request(self, owner: str) -> None:
        self.requests += 1
        self.lines[owner].append(self.requests)
        self.admission.request(self.requests, owner=owner)

    @rule()
    def grant(self) -> None:
        granted = self.admission.grant()
        waiting = [owner for owner in OWNERS if self.lines[owner]]
        if granted is None:
            assert not waiting or len(self.running) == self.capacity, "something waits and something is free"
            return
        owner = next((owner for owner in waiting if granted == self.lines[owner][0]), None)
        assert owner is not None, "granted out of its owner's order, twice, or after it was withdrawn"
        for other in waiting:
            assert self.runs(owner) <= self.runs(other), "somebody waits who runs fewer turns"
            if self.runs(other) == self.runs(owner):
                assert owner not in self.passed_over[other], "granted twice while somebody waited who runs as few"
        self.lines[owner].popleft()
        self.running[granted] = owner
        self.passed_over[owner].clear()
        for other in waiting:
            if other != owner:
                self.passed_over[other].add(owner)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(sorted(self.running)))
        owner = self.running.pop(request)
        if not self.runs(owner):
            self.passed_over[owner].clear()  # it begins to wait anew
        self.admission.give_back(request)
        self.ended.append(request)

    @precondition(lambda self: any(self.lines.values()))
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(sorted(waits for line in self.lines.values() for waits in line)))
        for owner, line in self.lines.items():
            if request in line:
                line.remove(request)
                if not line:
                    self.passed_over[owner].clear()
        self.admission.give_back(request)
        self.ended.append(request)

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def give_back_again(self, data: st.DataObject) -> None:
        self.admission.give_back(data.draw(st.sampled_from(self.ended)))

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "admission"):
            assert self.admission.running == len(self.running) <= self.capacity
            assert self.admission.waiting == sum(map(len, self.lines.values()))

    def teardown(self) -> None:
        """Whatever happened, all that waits can still be granted: no slot was lost."""
        if not hasattr(self, "admission"):
            return
        for request in list(self.running):
            self.admission.give_back(request)
        for _ in range(sum(map(len, self.lines.values()))):
            granted = self.admission.grant()
            assert granted is not None
            self.admission.give_back(granted)
        assert (self.admission.running, self.admission.waiting) == (0, 0)


TestAdmissions = Admissions.TestCase
TestAdmissions.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


@settings(max_examples=60, deadline=None)
@given(random=st.randoms(use_true_random=False), capacity=st.integers(1, 8))
def test_three_keys_and_two_hundred_queued_with_cancels_and_crashes(random: Random, capacity: int) -> None:
    """The cap is never exceeded, no slot is lost, and each key's order is kept."""
    admission: Admission[int] = Admission(capacity)
    owner_of = {request: random.choice(OWNERS) for request in range(200)}
    for request, owner in owner_of.items():
        admission.request(request, owner=owner)
    waiting, running = set(owner_of), set[int]()
    granted: list[int] = []
    while waiting or running:
        while (next_one := admission.grant()) is not None:
            waiting.remove(next_one)
            running.add(next_one)
            granted.append(next_one)
        assert admission.running == len(running) <= capacity
        assert len(running) == capacity or not waiting
        match random.randrange(4):
            case 0 if waiting:  # somebody gives up waiting
                request = random.choice(sorted(waiting))
                waiting.remove(request)
            case 1 if running:  # a crash: the session and the pool both say that it is over
                request = random.choice(sorted(running))
                running.remove(request)
                admission.give_back(request)
            case _:
                request = min(running)
                running.remove(request)
        admission.give_back(request)
    assert (admission.running, admission.waiting) == (0, 0)
    for owner in OWNERS:
        mine = [request for request in granted if owner_of[request] == owner]
        assert mine == sorted(mine)


def test_two_hundred_messages_delay_somebody_elses_first_by_one_turn() -> None:
    admission: Admission[str] = Admission(1)
    for number in range(200):
        admission.request(f"ada {number}", owner="ada")
    assert admission.grant() == "ada 0"
    admission.request("bob 0", owner="bob")
    admission.give_back("ada 0")
    assert admission.grant() == "bob 0"


def test_who_runs_less_comes_before_who_asked_earlier() -> None:
    admission: Admission[str] = Admission(3)
    for request in ("ada 0", "ada 1", "ada 2", "ada 3"):
        admission.request(request, owner="ada")
    assert [admission.grant(), admission.grant(), admission.grant(), admission.grant()] == [
        "ada 0",
        "ada 1",
        "ada 2",
        None,
    ]
    for request in ("bob 0", "bob 1"):
        admission.request(request, owner="bob")
    admission.give_back("ada 1")
    assert admission.grant() == "bob 0"  # 2 : 0
    admission.give_back("ada 0")
    assert admission.grant() == "ada 3"  # 1 : 1, and ada's last grant is the longest ago


def test_nobody_is_passed_over_for_ever_by_many_owners_who_come_and_go() -> None:
    admission: Admission[object] = Admission(1)
    admission.request("first", owner="ada")
    running = admission.grant()
    admission.request("second", owner="ada")
    before = 0
    for number in range(600):
        admission.request(number, owner=f"visitor {number % 6}")
        admission.give_back(running)
        running = admission.grant()
        if running == "second":
            break
        before += 1
    assert before <= 6, "each of the others was before ada more than once"


def test_what_is_known_of_owners_that_left_is_forgotten() -> None:
    """Owners come and go for as long as the server runs: what is kept of them is bounded by what runs and waits."""
    admission: Admission[int] = Admission(2)
    for number in range(1_000):
        admission.request(number, owner=f"visitor {number}")
        assert admission.grant() == number
        admission.give_back(number)
    assert len(admission._since) <= 1
    assert not admission._running
    assert not admission._waiting


def test_a_capacity_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one is needed"):
        Admission(0)
