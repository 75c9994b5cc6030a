"""Token buckets by client, streams by client."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.server.access.rate import RateLimiter, StreamSlots, TooManyStreamsError, client_of_address


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    limiter = RateLimiter(60, burst=3)
    assert [limiter.take("a", 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]
    assert limiter.take("a", 100.5) == pytest.approx(0.5)
    assert limiter.take("a", 101.0) == 0.0
    assert limiter.take("a", 101.0) == 1.0


def test_a_long_rest_gives_one_burst_and_no_more() -> None:
    limiter = RateLimiter(60, burst=3)
    limiter.take("a", 0.0)
    assert [limiter.take("a", 86_400.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]


def test_what_was_refused_costs_nothing() -> None:
    limiter = RateLimiter(60, burst=1)
    assert limiter.take("a", 0.0) == 0.0
    for _ in range(100):
        assert limiter.take("a", 0.5) == pytest.approx(0.5)
    assert limiter.take("a", 1.0) == 0.0


def test_clients_do_not_share() -> None:
    limiter = RateLimiter(60, burst=1)
    assert limiter.take("a", 0.0) == 0.0
    assert limiter.take("a", 0.0) > 0
    assert limiter.take("b", 0.0) == 0.0


def test_a_minute_of_requests_may_come_at_once_by_default() -> None:
    limiter = RateLimiter(120)
    assert all(limiter.take("a", 5.0) == 0.0 for _ in range(120))
    assert limiter.take("a", 5.0) == pytest.approx(0.5)


def test_the_wait_that_is_told_is_enough() -> None:
    limiter = RateLimiter(7, burst=2)
    now = 1000.0
    for _ in range(50):
        now += limiter.take("a", now) + 1e-6
        limiter.take("a", now)
    wait = limiter.take("a", now)
    assert limiter.take("a", now + wait + 1e-9) == 0.0


def test_costs_are_taken_and_one_beyond_the_burst_takes_a_full_bucket() -> None:
    limiter = RateLimiter(60, burst=10)
    assert limiter.take("a", 0.0, cost=4) == 0.0
    assert limiter.take("a", 0.0, cost=7) == pytest.approx(1.0)
    assert limiter.take("b", 0.0, cost=1000) == 0.0
    assert limiter.take("b", 0.0, cost=1000) == pytest.approx(10.0)


def test_waiting_can_be_asked_for_without_taking() -> None:
    limiter = RateLimiter(60, burst=1)
    assert limiter.wait("a", 0.0) == limiter.wait("a", 0.0) == 0.0
    assert limiter.take("a", 0.0) == 0.0
    assert limiter.wait("a", 0.25) == pytest.approx(0.75)
    assert limiter.wait("a", 1.0) == 0.0


def test_zero_is_no_limit() -> None:
    limiter = RateLimiter(0)
    assert all(limiter.take("a", 0.0) == limiter.wait("a", 0.0) == 0.0 for _ in range(10_000))


def test_a_clock_that_stands_or_goes_back_gives_nothing() -> None:
    limiter = RateLimiter(60, burst=1)
    assert limiter.take("a", 100.0) == 0.0
    assert limiter.take("a", 50.0) == pytest.approx(1.0)


def test_the_client_that_was_away_longest_is_forgotten_first() -> None:
    limiter = RateLimiter(1, burst=1, capacity_of_clients=2)
    limiter.take("a", 0.0)
    limiter.take("b", 0.0)
    assert limiter.take("a", 0.0) > 0
    limiter.take("c", 0.0)
    assert limiter.take("a", 0.0) > 0
    assert limiter.take("b", 0.0) == 0.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5)), max_size=200))
def test_nobody_gets_more_than_the_burst_and_the_rate(steps: list[tuple[str, float]]) -> None:
    limiter = RateLimiter(60, burst=5)
    now = 0.0
    passed = dict.fromkeys("abc", 0)
    for client, pause in steps:
        now += pause
        passed[client] += limiter.take(client, now) == 0.0
        assert passed[client] <= 5 + now + 1e-6


@pytest.mark.parametrize("arguments", [(-1,), (1, 0), (1, 1, 0)])
def test_numbers_that_cannot_work_are_refused(arguments: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        RateLimiter(*arguments)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("10.0.0.1", "10.0.0.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"), ("::1", "::/64"), ("", ""), ("unix", "unix"), ("fe80::1%eth0", "fe80::/64"),
    ],
)  # fmt: skip
def test_an_address_stands_for_a_client(address: str, client: str) -> None:
    assert client_of_address(address) == client


def test_streams_are_held_up_to_the_limit_by_each_client() -> None:
    slots = StreamSlots(2)
    with slots.hold("a"), slots.hold("a"), slots.hold("b"):
        with pytest.raises(TooManyStreamsError) as caught, slots.hold("a"):
            pass
        assert caught.value.limit == 2
        assert (slots.held("a"), slots.held("b")) == (2, 1)
    assert (slots.held("a"), slots.held("b")) == (0, 0)


def test_a_stream_that_fails_gives_its_slot_back() -> None:
    slots = StreamSlots(1)
    for _ in range(3):
        with pytest.raises(OSError, match="gone"), slots.hold("a"):
            raise OSError("gone")
    assert slots.held("a") == 0


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError):
        StreamSlots(0)
