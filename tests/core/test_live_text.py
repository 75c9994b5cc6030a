"""Live text: what the CLI certainly dropped is given back, its own line ends aren't the model's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.core.live_text import LiveText


def typed_by_q(text: str) -> list[str]:
    """The writes q makes for an answer: line ends apart, a line's first space dropped, two line ends after."""
    writes = []
    for index, line in enumerate(text.split("\n")):
        if index:
            writes.append("\n")
        shown = line.removeprefix(" ")
        writes += [part for part in shown.replace(" ", "\0 \0").split("\0") if part]
    return [*writes, "\n", "\n"]


def read(writes: list[str], closing: int = 2) -> str:
    live = LiveText(drops_first_space=True)
    out = []
    for write in writes:
        if write == "\n":
            live.end_line()
        else:
            out.append(live.draw(write))
    out.append(live.close(closing_line_ends=closing))
    assert "".join(out) == live.text
    return live.text


@pytest.mark.parametrize(
    "text",
    ["one", "one\ntwo", "one\n\n\ntwo", "  indented", "a\n    code\n  less", "ends with a line end\n", "你好 世界"],
)
def test_text_comes_back_exactly(text: str) -> None:
    assert read(typed_by_q(text)) == text


def test_a_single_leading_space_is_lost_for_good() -> None:
    assert read(typed_by_q("a\n b")) == "a\nb"


@given(st.text(alphabet="ab \n", min_size=1, max_size=60))
def test_only_single_leading_spaces_and_spaces_alone_on_a_line_are_lost(text: str) -> None:
    def without_single_leading_spaces(whole: str) -> list[str]:
        return [line[1:] if line.startswith(" ") and not line.startswith("  ") else line for line in whole.split("\n")]

    assert read(typed_by_q(text)).split("\n") == without_single_leading_spaces(text)


def test_a_dialect_that_drops_nothing_is_left_alone() -> None:
    live = LiveText(drops_first_space=False)
    assert live.draw(" x") == " x"
