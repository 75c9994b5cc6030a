"""Styled lines as they were drawn, and the line editor's paint: nothing else is a prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.core.lines import CURSOR_HOME, LINE_LIMIT, PAINT_LIMIT, PASTE_OFF, PASTE_ON, Line, LineReader, Paint
from qpty.core.tokens import Tokeniser
from tests.core.playbook import PROMPT


def feed(reader: LineReader, text: str) -> list[Line]:
    """Feed text as the machine does; return the lines that ended."""
    lines: list[Line] = []
    for token in Tokeniser().feed(text):
        if reader.watching:
            reader.note(token)
        if token == PASTE_ON:
            reader.paste_on()
        elif token == PASTE_OFF:
            reader.paste_off()
        elif token == CURSOR_HOME:
            reader.cursor_home()
        elif token == "\n":
            lines.append(reader.end_line())
        elif token == "\r":
            reader.carriage_return()
        elif token == "\b":
            reader.backspace()
        elif token[0] == "\x1b":
            reader.sequence(token)
        elif token >= " ":
            reader.draw(token)
    return lines


def shown(text: str) -> str:
    """The line that a text leaves."""
    reader = LineReader()
    assert feed(reader, text) == []
    return reader.text


# -- the games of one line


@pytest.mark.parametrize(
    ("drawn", "left"),
    [
        ("plain", "plain"),
        ("10 %\r20 %\r99 %", "99 %"),
        ("longer\rshort", "shortr"),
        ("longer\r\x1b[Kshort", "short"),
        ("a progress\x1b[2K\x1b[1Gdone", "done"),
        ("abc\b\bX", "aXc"),
        ("\b\bX", "X"),
        ("abcdef\x1b[3DX", "abcXef"),
        ("ab\x1b[3CX", "ab   X"),
        ("ab\x1b[CX", "ab X"),
        ("abcdef\x1b[2GX", "aXcdef"),
        ("abcdef\x1b[GX", "Xbcdef"),
        ("abcdef\x1b[3D\x1b[K", "abc"),
        ("abcdef\x1b[3D\x1b[0K", "abc"),
        ("abcdef\x1b[3D\x1b[1K", "   def"),
        ("abc\x1b[99DX", "Xbc"),
        ("a\x1b[31mb\x1b[0mc", "abc"),
        ("a\x1b[Ab\x1b[2Jc\x1b[?25hd", "abcd"),
        ("你好\r你", "你好"),
    ],
)
def test_the_games_that_programs_play_on_one_line_are_undone(drawn: str, left: str) -> None:
    assert shown(drawn) == left


def test_a_line_has_the_look_of_its_first_character() -> None:
    reader = LineReader()
    lines = feed(reader, "\x1b[38;5;10m\x1b[1m ● Completed\x1b[0m in 0.2s\r\nplain\x1b[31m red\r\nstill red\r\n")
    assert lines == [
        Line(text=" ● Completed in 0.2s", colour=10, bold=True),
        Line(text="plain red", colour=None, bold=False),
        Line(text="still red", colour=1, bold=False),
    ]


@pytest.mark.parametrize(
    ("sequence", "colour", "bold"),
    [
        ("\x1b[31m", 1, False),
        ("\x1b[1;31m", 1, True),
        ("\x1b[97m", 15, False),
        ("\x1b[38;5;208m", 208, False),
        ("\x1b[38:5:208m", 208, False),
        ("\x1b[38;2;1;2;3m", 256, False),
        ("\x1b[48;5;9m", None, False),
        ("\x1b[48;2;1;2;31m", None, False),
        ("\x1b[4:3m", None, False),
        ("\x1b[1m\x1b[22m", None, False),
        ("\x1b[31m\x1b[39m", None, False),
        ("\x1b[31m\x1b[m", None, False),
        ("\x1b[38m", None, False),
        ("\x1b[38;5m", None, False),
        ("\x1b[;;1m", None, True),
    ],
)
def test_colour_and_weight_are_followed(sequence: str, colour: int | None, bold: bool) -> None:
    reader = LineReader()
    feed(reader, sequence)
    assert (reader.colour, reader.bold) == (colour, bold)
    assert reader.plain == (colour is None and not bold)


def test_cursor_games_can_not_make_a_line_without_end() -> None:
    reader = LineReader()
    feed(reader, "\x1b[9999999C" * 300 + "x")
    assert len(reader.text) <= LINE_LIMIT + 1


# -- the painted prompt


def painted(text: str) -> Paint | None:
    reader = LineReader()
    feed(reader, text)
    return reader.painted()


def test_qs_prompt_is_a_paint() -> None:
    assert painted(PROMPT) == Paint(text="> ", column=2)


@pytest.mark.parametrize(
    ("text", "paint"),
    [
        (PASTE_ON + "\r\x1b[K[agent] > \r\x1b[10C", Paint(text="[agent] > ", column=10)),
        (PROMPT + "\r\x1b[K\x1b[35m> \x1b[0my\r\x1b[3C", Paint(text="> y", column=3)),
        (PASTE_ON + "\r\x1b[KNews\r\n> \r\x1b[2C", Paint(text="News\n> ", column=2)),
        (PROMPT + "\x07", Paint(text="> ", column=2)),
        (PASTE_ON + "\r\x1b[K\r", Paint(text="", column=0)),
        ("anything before\r\n" + PROMPT, Paint(text="> ", column=2)),
        (PROMPT + PROMPT, Paint(text="> ", column=2)),
        (PASTE_ON + "(To exit the CLI …)\r\n" + PROMPT.removeprefix(PASTE_ON), Paint(text="> ", column=2)),
    ],
    ids=repr,
)
def test_a_paint_gives_its_text_and_its_column(text: str, paint: Paint) -> None:
    assert painted(text) == paint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "> ",
        PASTE_ON,
        PASTE_ON + "> ",
        PASTE_ON + "\r\x1b[K> ",
        PROMPT + "x",
        PROMPT + "\r\n",
        PROMPT + "\r\nmore output",
        PROMPT + "\x1b[2J",
        PROMPT + "\x1b[?25l",
        PROMPT + PASTE_OFF,
        PROMPT.replace("\x1b[K", "\x1b[2K"),
        PROMPT + " ⋮ \r\n\x1b[38;5;10m\x1b[1m ● Completed in 0.2s\x1b[0m\r\n",
        PASTE_ON + "\x1b[1m" * (PAINT_LIMIT + 1) + PROMPT.removeprefix(PASTE_ON),
    ],
    ids=repr,
)
def test_nothing_else_is_a_paint(text: str) -> None:
    assert painted(text) is None


def reads(text: str) -> tuple[bool, bool, bool]:
    """Whether bracketed paste is on, a prompt may still come of it, and the editor is painting, after a text."""
    reader = LineReader()
    feed(reader, text)
    return reader.paste, reader.watching, reader.painting


def test_a_paint_counts_until_its_line_is_given_away() -> None:
    assert reads(PROMPT) == (True, True, True)
    assert reads(PROMPT + PASTE_OFF + "\r\n") == (False, False, False)


def test_what_follows_a_paint_with_a_line_end_is_not_painted() -> None:
    """A tool that forges a prompt ends it sooner or later: what comes then must be read again."""
    assert reads(PROMPT + "\r\n") == (True, False, False)


def test_the_editor_paints_only_what_begins_like_its_paint() -> None:
    assert reads(PASTE_ON) == (True, True, True)
    assert reads(PASTE_ON + "\r") == (True, True, True)
    assert reads(PASTE_ON + "> ") == (True, True, False)
    assert reads(PASTE_ON + "\x1b[38;5;10m") == (True, True, False)


@given(st.text(alphabet="\r\n> x\x1b[K2C", max_size=20))
def test_a_prompt_after_anything_is_a_paint(before: str) -> None:
    reader = LineReader()
    feed(reader, before)
    feed(reader, PROMPT)
    assert reader.painted() == Paint(text="> ", column=2)


CLEARED = "\x1b[H\x1b[J"
EMPTY_PAINT = PROMPT.removeprefix(PASTE_ON)


@pytest.mark.parametrize("before", ["", "printed over it\r\n", "\x1b[1G\x1b[1A\x1b[2K\r\n", "x\r\n" * PAINT_LIMIT])
def test_an_editor_that_clears_the_screen_paints_anew(before: str) -> None:
    reader = LineReader()
    feed(reader, PROMPT + before + CLEARED)
    assert reader.painted() is None
    assert reader.painting
    feed(reader, EMPTY_PAINT)
    assert reader.painted() == Paint(text="> ", column=2)
    feed(reader, "over it")
    assert reader.painted() is None


@pytest.mark.parametrize("raw", [CLEARED + EMPTY_PAINT, PASTE_ON + PASTE_OFF + CLEARED + EMPTY_PAINT])
def test_who_clears_the_screen_without_the_line_editor_paints_no_prompt(raw: str) -> None:
    reader = LineReader()
    feed(reader, raw)
    assert reader.painted() is None
    assert not reader.watching


@pytest.mark.parametrize("cleared", ["\x1b[H", "\x1b[J", "\x1b[H\x1b[2J", "\x1b[2;1H\x1b[J", "\x1b[Hx\x1b[J"])
def test_only_a_whole_clearing_begins_a_paint(cleared: str) -> None:
    reader = LineReader()
    feed(reader, PASTE_ON + cleared + EMPTY_PAINT)
    assert reader.painted() is None


@pytest.mark.parametrize(
    ("raw", "paint"),
    [
        (PROMPT + "over it", Paint(text="> ", column=2)),
        (PROMPT, Paint(text="> ", column=2)),
        (PROMPT + CLEARED + EMPTY_PAINT + "over it", Paint(text="> ", column=2)),
        (PROMPT + "\r\x1b[K> typed\r\x1b[7C", Paint(text="> ", column=2)),
        (PASTE_ON + "a notification\r\n" + EMPTY_PAINT + "over it", Paint(text="> ", column=2)),
        (PASTE_ON + "\x1b[1G\x1b[2Kbefore it" + EMPTY_PAINT, None),
        (PASTE_ON + "anything", None),
        (PROMPT + PASTE_OFF, None),
        (PROMPT + "\r\n", None),
    ],
)
def test_the_first_paint_is_known_whatever_was_printed_after_it(raw: str, paint: Paint | None) -> None:
    reader = LineReader()
    feed(reader, raw)
    assert reader.first_painted() == paint
