"""Frames of the spinner are lifted out wherever they stand; everything else passes, however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.core.spinner import REACH, FrameLifter

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏⢀⠀⡀"
HOOKS = "\x1b[38;5;12m{n}\x1b[39m of \x1b[38;5;12m{n}\x1b[39m hooks finished"
WORDS = ("Thinking...", "Dividing up the work...", HOOKS)


HOOKED = "\r⢀⠀ \x1b[38;5;12m2\x1b[39m of \x1b[38;5;12m10\x1b[39m hooks finished"


def lift(*pieces: str) -> str:
    lifter = FrameLifter(FRAMES, WORDS)
    return "".join(map(lifter.feed, pieces)) + lifter.flush()


@pytest.mark.parametrize(
    ("seen", "left"),
    [
        ("\r⠋ Thinking...", ""),
        ("a\r⠋ Thinking...\r⠙ Thinking...\x1b[2K\x1b[1Gb", "a\x1b[2K\x1b[1Gb"),
        ("\r⠼ Dividing up the work...", ""),
        # as captured: the tool's end and the line that was accepted, after a frame
        ("there\r\n\r⠋ Thinking... ⋮ \r\n", "there\r\n ⋮ \r\n"),
        ("\x1b[?2004l\r\n\r⠋ Thinking...\r\n\x1b[38;5;13m", "\x1b[?2004l\r\n\r\n\x1b[38;5;13m"),
        # a frame inside a sequence
        ("\x1b[38;5;13\r⠋ Thinking...m", "\x1b[38;5;13m"),
        ("\x1b[\r⠋ Thinking...38;\r⠙ Thinking...5;13m", "\x1b[38;5;13m"),
        # a sequence, or a part of one, inside a frame
        ("\r⠋ Think\x1b[?2004hing...", "\x1b[?2004h"),
        ("\r⠋ T\x1b[?2004hhinking...", "\x1b[?2004h"),
        ("\r⠋ Think\x1b[?20ing...04h", "\x1b[?2004h"),
        ("\r\x1b[38;5;13m⠋ Thinking...", "\x1b[38;5;13m"),
        ("\r\x1b[38;5;⠋ Thinking...13m", "\x1b[38;5;13m"),
        ("\r⠋\x1b[0m \x1b[?25lThinking...", "\x1b[0m\x1b[?25l"),
        # other output between the parts
        ("\r⠋ ⋮ \r\n Thinking...", " ⋮ \r\n"),
        ("\r⠋  ⋮ \r\nThinking...", " ⋮ \r\n"),
        ("\r⠋ToolThinkTHE END Thinking...", "ToolThinkTHE END"),
        # words with a number and colours of their own
        ("a\r\n" + HOOKED + HOOKED.replace("⢀", "⡀") + "\x1b[1G\x1b[2K", "a\r\n\x1b[1G\x1b[2K"),
        ("\x1b[0m" + HOOKED + "\x1b[0m\r\n", "\x1b[0m\x1b[0m\r\n"),
        ("\x1b[38;" + HOOKED + "5;9m✗", "\x1b[38;5;9m✗"),
        ("\r⢀⠀\x1b[0m\r\n " + HOOKED[4:] + "b", "\x1b[0m\r\nb"),
        ("\r⢀⠀ \x1b[0m\r\n" + HOOKED[4:] + "b", "\x1b[0m\r\nb"),
        (HOOKED.replace("of", "\x1b[0mo\x1b[?25lf"), "\x1b[0m\x1b[?25l"),
        # the return was passed on already
        ("\rthere\r\n⠋ Thinking...x", "\rthere\r\nx"),
        ("\r\r\n⠋ Thinking...", "\r\r\n"),
        ("\x1b[\r38;⠋5;1 3mThinking...", "\x1b[\r38;5;13m"),
    ],
)
def test_a_frame_leaves_only_what_is_not_its_own(seen: str, left: str) -> None:
    assert lift(seen) == left
    assert lift(*seen) == left


@pytest.mark.parametrize(
    "text",
    [
        "plain\r\nlines\r\n",
        "\r\x1b[K\x1b[35m> \x1b[0m\r\x1b[2C",
        "\x1b[0m\x1b[0m\r\n⠋ Thinking...\x1b[0m\r\n",  # a line of an answer
        "\r\x1b[2C\x1b[?2004l\r\n\x1b[38;5;10m> \x1b[0m⠋ Thinking...",  # an answer that begins like a frame
        "\r⠋ installing\r⠙ installing",  # somebody else's spinner
        "\r 10%\r 20%\r",
        "\r⠋ Thinking..",
        HOOKED.replace("10", "12345"),
        HOOKED.replace("38;5;12m", "38;5;11m"),
        HOOKED.replace("finished", "ended"),
        HOOKED.replace("\x1b[38;5;12m", "").replace("\x1b[39m", ""),  # not in the CLI's colours: somebody's words
        "\r⠋Thinking...",
        "\r" + "x" * REACH + "⠋ Thinking...",
        "\r⠋ " + "x" * REACH + "Thinking...",
        "\r" + "⠋" * 200 + " Thinking...",
    ],
)
def test_what_is_not_a_frame_passes(text: str) -> None:
    assert lift(text) == text
    assert lift(*text) == text


def test_a_painted_prompt_is_not_held_back() -> None:
    prompt = "\x1b[?2004h\r\x1b[K\x1b[35m> \x1b[0m\r\x1b[2C"
    assert FrameLifter(FRAMES, WORDS).feed(prompt) == prompt


def test_the_beginning_of_a_frame_is_held_back_and_given_up_by_flush() -> None:
    lifter = FrameLifter(FRAMES, WORDS)
    assert lifter.feed("a\r⠋ Thin") == "a"
    assert lifter.flush() == "\r⠋ Thin"
    assert lifter.flush() == ""


def test_a_run_of_pictures_is_one_frame() -> None:
    lifter = FrameLifter(("▰▱▱", "▰▰▱"), ("Logging in...",))
    assert lifter.feed("\r▰▱▱ Logging in...\r▰▰▱ Logging in...x") == "x"


def test_without_frames_or_words_everything_passes() -> None:
    assert FrameLifter((), WORDS).feed("\r⠋ Thinking...") == "\r⠋ Thinking..."
    assert FrameLifter(FRAMES, ()).feed("\r⠋ Thinking...") == "\r⠋ Thinking..."


@pytest.mark.parametrize("words", [("",), ("Think", "Thinking...")])
def test_words_that_cannot_be_told_apart_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="spinner's word"):
        FrameLifter(FRAMES, words)


PIECES = st.sampled_from(
    [
        *"\r\n⠋⠙ TDhk.;m5",
        "\x1b",
        "\x1b[",
        "\x1b[38;5;",
        "\x1b[?2004h",
        "\x1b[2K",
        "Thinking...",
        "Thin",
        "king...",
        "Dividing up the work...",
        "\r⠋ Thinking...",
        HOOKED,
        "\x1b[38;5;12m7\x1b[39m",
        " of ",
        " hooks finished",
        "\r\n",
        "x" * 50,
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join), st.data())
def test_cuts_change_nothing(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = lift(text)
    assert lift(*pieces) == whole
    assert lift(*text) == whole


@given(st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=60))
def test_what_is_held_back_is_bounded(pieces: list[str]) -> None:
    lifter = FrameLifter(FRAMES, WORDS)
    given_in = given_out = 0
    for piece in pieces:
        given_in += len(piece)
        given_out += len(lifter.feed(piece))
    assert len(lifter.flush()) <= 600


OTHER = [
    ["\x1b[", "38;", "5;13", "m\x1b[0m"],
    ["\x1b[?25l"],
    ["\x1b[?2004h"],
    ["there\r\n"],
    [" ⋮ \r\n"],
    ["\x1b[", "0", "m"],
]


@given(st.lists(st.sampled_from(OTHER), min_size=1, max_size=4), st.data())
def test_a_frame_torn_by_the_other_thread_is_lifted_whole(said: list[list[str]], data: st.DataObject) -> None:
    """The four writes of a frame fall anywhere among the other thread's; only its return may stay behind."""
    writes = [write for part in said for write in part]
    places = sorted(data.draw(st.lists(st.integers(0, len(writes)), min_size=4, max_size=4)))
    seen = ""
    parts = ["\r", "⠋", " ", "Thinking..."]
    for index in range(len(writes) + 1):
        seen += "".join(part for part, place in zip(parts, places, strict=True) if place == index)
        seen += writes[index] if index < len(writes) else ""
    left = lift(seen)
    assert "⠋" not in left
    assert "Thinking" not in left
    expected = "".join(writes)
    assert left.replace("\r\n", "\n").replace("\r", "").replace(" ", "") == expected.replace("\r\n", "\n").replace(
        " ", ""
    )
