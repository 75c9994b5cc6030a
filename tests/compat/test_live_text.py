"""Text of a stream: what goes out live, and what the exact text adds to it."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.compat.live_text import Fidelity, SegmentText, rest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

FIDELITIES = get_args(Fidelity)

FENCE = re.compile(r"[ \t>\-*+0-9.)]*(```|~~~)")
"""At the beginning of a line: after quotation marks and the marks of lists it is a fence too."""

EXACT = st.text(alphabet="ab`~ \t\n->1.é", max_size=60)
CUTS = st.lists(st.integers(0, 60), max_size=8)


@st.composite
def typed(draw: st.DrawFn) -> tuple[str, str]:
    """Draw an exact text, and what may have been typed of it: without tabs and first spaces of lines."""
    exact = draw(EXACT)
    lines = exact.replace("\t", "").split("\n") if draw(st.booleans()) else exact.split("\n")
    return exact, "\n".join(line.removeprefix(" ") if draw(st.booleans()) else line for line in lines)


def pieces(text: str, cuts: Sequence[int]) -> list[str]:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    return [text[start:end] for start, end in pairwise(places)]


def sent_live(segment: SegmentText, live: str, cuts: Sequence[int]) -> str:
    return "".join(segment.feed(piece) for piece in pieces(live, cuts))


def squeezed(text: str) -> str:
    return "".join(text.split())


def first_fence(text: str) -> int | None:
    """Return the number of the first line that opens a fence."""
    return next((number for number, line in enumerate(text.split("\n")) if FENCE.match(line)), None)


@pytest.mark.parametrize("fidelity", FIDELITIES)
@given(typed(), CUTS)
def test_nothing_but_white_space_is_lost_or_said_twice(
    fidelity: Fidelity, texts: tuple[str, str], cuts: list[int]
) -> None:
    exact, live = texts
    segment = SegmentText(fidelity)
    sent = sent_live(segment, live, cuts)
    rest = segment.complete(exact)
    assert rest is not None
    assert squeezed(sent + rest) == squeezed(exact)


@pytest.mark.parametrize("fidelity", FIDELITIES)
@given(typed(), CUTS, st.integers(0, 60))
def test_a_text_whose_end_was_never_typed_is_sent_whole(
    fidelity: Fidelity, texts: tuple[str, str], cuts: list[int], typed_length: int
) -> None:
    exact, live = texts
    segment = SegmentText(fidelity)
    sent = sent_live(segment, live[:typed_length], cuts)
    rest = segment.complete(exact)
    assert rest is not None
    assert squeezed(sent + rest) == squeezed(exact)


@pytest.mark.parametrize("fidelity", FIDELITIES)
@given(EXACT, CUTS, st.integers(0, 60))
def test_a_text_that_lost_nothing_is_sent_exactly(
    fidelity: Fidelity, exact: str, cuts: list[int], typed_length: int
) -> None:
    segment = SegmentText(fidelity)
    sent = sent_live(segment, exact[:typed_length], cuts)
    assert sent + (segment.complete(exact) or "") == exact


@given(typed(), CUTS)
def test_exact_sends_nothing_before_the_end(texts: tuple[str, str], cuts: list[int]) -> None:
    exact, live = texts
    segment = SegmentText("exact")
    assert sent_live(segment, live, cuts) == ""
    assert segment.complete(exact) == exact


@given(typed(), CUTS)
def test_live_holds_nothing_back(texts: tuple[str, str], cuts: list[int]) -> None:
    exact, live = texts
    segment = SegmentText("live")
    for piece in pieces(live, cuts):
        assert segment.feed(piece) == piece
    assert squeezed(segment.complete(exact) or "") == ""


@given(typed(), CUTS)
def test_auto_sends_all_lines_before_the_first_fence_live_and_the_rest_exactly(
    texts: tuple[str, str], cuts: list[int]
) -> None:
    exact, live = texts
    segment = SegmentText("auto")
    sent = sent_live(segment, live, cuts)
    fence = first_fence(live)
    if fence is None:
        held = live.removeprefix(sent)
        assert sent + held == live
        assert re.fullmatch(r"[ \t>\-*+0-9.)]*(`{0,2}|~{0,2})", held), "only what may become a fence waits"
    else:
        assert sent == "".join(line + "\n" for line in live.split("\n")[:fence])
        assert segment.complete(exact) == "\n".join(exact.split("\n")[fence:])


@given(EXACT, CUTS, CUTS)
def test_how_a_text_is_cut_makes_no_difference(text: str, some: list[int], others: list[int]) -> None:
    assert sent_live(SegmentText("auto"), text, some) == sent_live(SegmentText("auto"), text, others)


def test_prose_is_sent_as_it_comes() -> None:
    segment = SegmentText("auto")
    assert [segment.feed(piece) for piece in ("It ", "is", " so.\n", "- ", "one `word`", "\n")] == [
        "It ",
        "is",
        " so.\n",
        "",
        "- one `word`",
        "\n",
    ]


@pytest.mark.parametrize("opening", ["```py", "  ~~~", "> ```", "- ```sh", "12. ```", "> * ~~~~"])
def test_a_fence_is_held_wherever_it_may_stand(opening: str) -> None:
    segment = SegmentText("auto")
    assert "".join(segment.feed(character) for character in f"so:\n{opening}\nx = 1\n") == "so:\n"
    assert segment.complete(f"so:\n{opening}\n\tx = 1\n") == f"{opening}\n\tx = 1\n"


def test_code_after_a_lost_tab_keeps_its_indentation() -> None:
    segment = SegmentText("auto")
    assert segment.feed("ab\n\n```\nx") == "ab\n\n"
    assert segment.complete("a\tb\n \n  ```\n  x") == "  ```\n  x"


@pytest.mark.parametrize(("text", "sent"), [("one", "two"), ("one", "one two"), ("", "x"), ("a b", "a c")])
def test_another_text_is_no_continuation(text: str, sent: str) -> None:
    assert rest_of(text, sent) is None


@pytest.mark.parametrize(
    ("text", "sent", "rest"),
    [
        ("a  b", "a\n", "  b"),
        ("a\n  b", "a \n", "  b"),
        ("a\t\n  b", "a\n", "  b"),
        ("\ta\n b", "a\n\n", " b"),
        ("\ta b", "a", " b"),
    ],
)
def test_only_white_space_that_was_sent_is_passed_over(text: str, sent: str, rest: str) -> None:
    assert rest_of(text, sent) == rest
