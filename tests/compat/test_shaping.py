"""`stop` and `max_tokens`, done to a text that comes in pieces."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from qpty.compat.shaping import Cut, Shaper
from qpty.compat.usage import tokens_of

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXTS = st.text(alphabet="abcé語", max_size=40)
STOPS = st.lists(st.text(alphabet="abc語", max_size=4), max_size=4)
LIMITS = st.none() | st.integers(0, 14)
CUTS = st.lists(st.integers(0, 40), max_size=10)


def shaped(text: str, cuts: Sequence[int], stop: Sequence[str], max_tokens: int | None) -> tuple[str, Cut | None]:
    shaper = Shaper(stop=stop, max_tokens=max_tokens)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    came = [shaper.feed(text[start:end]) for start, end in pairwise(places)]
    return "".join(came) + shaper.finish(), shaper.cut


def wanted(text: str, stop: Sequence[str], max_tokens: int | None) -> tuple[str, Cut | None]:
    """Return what comes out if one looks at every character of the whole text."""
    cut = None
    for end in range(1, len(text) + 1):
        came = [one for one in stop if one and text[:end].endswith(one)]
        if came:
            longest = max(came, key=len)
            text, cut = text[: end - len(longest)], Cut("stop", longest)
            break
    fits = text
    while max_tokens is not None and fits and tokens_of(fits) > max_tokens:
        fits = fits[:-1]
    return fits, cut if fits == text else Cut("length")


@given(TEXTS, CUTS, STOPS, LIMITS)
def test_it_is_the_same_however_the_text_was_cut(
    text: str, cuts: list[int], stop: list[str], max_tokens: int | None
) -> None:
    out, cut = shaped(text, cuts, stop, max_tokens)
    assert (out, cut) == wanted(text, stop, max_tokens)
    assert not any(one in out for one in stop if one)
    assert max_tokens is None or tokens_of(out) <= max_tokens


@given(TEXTS, STOPS)
def test_only_what_may_begin_a_stop_text_waits(text: str, stop: list[str]) -> None:
    shaper = Shaper(stop=stop)
    out = shaper.feed(text)
    if shaper.cut is None:
        held = text.removeprefix(out)
        assert out + held == text
        assert not held or any(one.startswith(held) and one != held for one in stop)


def test_after_a_cut_nothing_comes() -> None:
    shaper = Shaper(stop=["END"])
    assert shaper.feed("one EN") == "one "
    assert shaper.feed("D two") == ""
    assert shaper.cut == Cut("stop", "END")
    assert (shaper.feed("three"), shaper.finish()) == ("", "")


def test_the_stop_text_that_is_complete_first_counts() -> None:
    shaper = Shaper(stop=["abcd", "bc"])
    assert shaper.feed("xabcd") == "xa"
    assert shaper.cut == Cut("stop", "bc")


def test_of_stop_texts_that_end_together_the_longest_counts() -> None:
    shaper = Shaper(stop=["c", "abc", "bc"])
    assert shaper.feed("xabc") == "x"
    assert shaper.cut == Cut("stop", "abc")


def test_the_limit_is_of_the_whole_text() -> None:
    shaper = Shaper(max_tokens=2)
    assert "".join(shaper.feed(character) for character in "abcdefghi") == "abcdefgh"
    assert shaper.cut == Cut("length")


def test_what_was_held_is_cut_at_the_end_too() -> None:
    shaper = Shaper(stop=["aaaaaaaaaaaa"], max_tokens=1)
    assert shaper.feed("aaaaaa") == ""
    assert shaper.finish() == "aaaa"
    assert shaper.cut == Cut("length")


def test_a_text_that_just_fits_is_whole() -> None:
    shaper = Shaper(max_tokens=2)
    assert shaper.feed("abcdefgh") + shaper.finish() == "abcdefgh"
    assert shaper.cut is None
