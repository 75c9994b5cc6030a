"""The screen: what pyte gets wrong, and that the rest equals pyte's own screen."""

from __future__ import annotations

from typing import Any

import pyte
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyte.screens import Char

from qpty.core.screen import MAX_JOINED, MAX_TITLE, Screen
from qpty.core.tokens import Tokeniser


def screen_of(text: str, columns: int = 10, lines: int = 3) -> Screen:
    screen = Screen(columns, lines)
    screen.apply(Tokeniser().feed(text))
    return screen


def shown(text: str, columns: int = 10, lines: int = 3) -> list[str]:
    return [line.rstrip() for line in screen_of(text, columns, lines).display]


def modes_of(screen: Screen) -> tuple[bool, bool]:
    """Whether it shows the alternate screen, whether pastes are bracketed."""
    return screen.alternate, screen.bracketed_paste


def cursor(screen: Any) -> tuple[int, int, bool]:
    return screen.cursor.x, screen.cursor.y, screen.cursor.hidden


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        # zero-width characters
        ("❤️ abc", ["❤️ abc", "", ""]),
        ("e\u0301x", ["éx", "", ""]),
        ("👩\u200d👧x", ["👩\u200d👧x", "", ""]),
        ("你\u0301x", ["你\u0301x", "", ""]),
        ("\u0301x", ["x", "", ""]),
        ("ab\r\n\u200dx", ["ab        \u200d", "x", ""]),
        # wide characters at the margin, and halves of them
        ("123456789你", ["123456789", "你", ""]),
        ("你好\ra", ["a 好", "", ""]),
        ("你好\x1b[2Gb", [" b好", "", ""]),
        ("你好\x1b[2G\x1b[P", [" 好", "", ""]),
        ("\x1b[?7l123456789你x", ["12345678 x", "", ""]),
        # sequences that raise, leak or do the wrong thing in pyte
        ("a\x1b[?6nb\x1b[?4mc\x1b[?2Jd", ["   d", "", ""]),
        ("a\x1b[>4;1mb\x1b[=1uc\x1b[?1ud\x1b[2 qe", ["abcde", "", ""]),
        ("a\x1b[1;2;3Hb", ["ab", "", ""]),
        ("a\x1b[9Kb\x1b[9Jc\x1b[1;2Ad", ["abcd", "", ""]),
        ("a\x1bPq#0;2\x1b\\b\x1b_G\x1b\\c\x1b^x\x1b\\d", ["abcd", "", ""]),
        ("a\x1b%@é\x1b%Gü", ["aéü", "", ""]),
        ("a\x1b(0q\x0eq\x0fq", ["aqqq", "", ""]),
        ("a\x9b1mb\x9dc", ["a1mbc", "", ""]),
        ("ab\x7f\x00c", ["abc", "", ""]),
        ("a\x1b[999999999Cb", ["a        b", "", ""]),
        ("a\x1b[999999999Bb\x1b[999999999A\x1b[999999999D!", ["!", "", " b"]),
        ("\x1b[99999;99999Hx\x1b[0;0Hy", ["y", "", "         x"]),
        ("a\x1b[99999@b\x1b[99999Lc", ["c", "", ""]),
        ("abc\x1b[2G\x1b[99999P", ["a", "", ""]),
        ("abc\x1b[2G\x1b[99999X", ["a", "", ""]),
        ("a\r\nb\x1b[1;1H\x1b[99999M", ["", "", ""]),
        ("a\r\nb\x1b[99999S", ["", "", ""]),
        ("a\r\nb\x1b[99999T", ["", "", ""]),
        ("a\x1b[99999b", ["a" * 10, "", ""]),
        ("ab\x1b[2b", ["abbb", "", ""]),
        ("a\r\nb\r\nc\x1b[S", ["b", "c", ""]),
        ("a\r\nb\x1b[T", ["", "a", "b"]),
        ("ab\x1bEc", ["ab", "c", ""]),
        ("\x1b[2I\x1b[Zx", ["        x", "", ""]),
        ("a\r\nb\r\nc\x1b[1;1H\x1b[M", ["b", "c", ""]),
        ("\x1b[3;1Hc\x1b[1;1H\x1b[M", ["", "c", ""]),
        ("\x1b#8", ["EEEEEEEEEE"] * 3),
        ("a\x1b[?3hb", ["ab", "", ""]),
        ("a\x1b[3Jb", ["ab", "", ""]),
        # saved cursor: one, kept after it was restored
        ("a\x1b7b\x1b8c\x1b8d", ["ad", "", ""]),
        ("a\x1b[sb\x1b[uc", ["ac", "", ""]),
        ("a\x1b8b", ["b", "", ""]),
        ("a\x1b[?6h\x1b[6n\x1b[2db", ["a", "b", ""]),
    ],
)
def test_what_is_shown(text: str, lines: list[str]) -> None:
    assert shown(text) == lines


def test_a_line_of_wide_characters_is_as_wide_as_the_screen() -> None:
    assert shown("你好" * 5, columns=9, lines=3) == ["你好你好", "你好你好", "你好"]


def test_a_single_column_holds_wide_characters() -> None:
    assert shown("你a", columns=1, lines=2) == ["你", "a"]


def test_a_cell_does_not_grow_without_end() -> None:
    assert len(screen_of("a" + "\u200d" * 1000).buffer[0][0].data) == MAX_JOINED


@pytest.mark.parametrize("mode", [47, 1047, 1049])
def test_the_alternate_screen_gives_the_text_back(mode: int) -> None:
    screen = screen_of(f"main\x1b[?{mode}h")
    assert modes_of(screen) == (True, False)
    assert screen.display == [" " * 10] * 3
    screen.apply(["alt", f"\x1b[?{mode}h", "\x1b[2J", f"\x1b[?{mode}l", "\x1b[1;5H", "!"])
    assert modes_of(screen) == (False, False)
    assert screen.display[0] == "main!     "
    screen.apply([f"\x1b[?{mode}l"])
    assert screen.display[0] == "main!     "


def test_1049_keeps_the_cursor() -> None:
    assert shown("a\x1b[1mb\x1b[?1049h\x1b[3;3Hx\x1b[?1049lc") == ["abc", "", ""]


def test_bracketed_paste_is_kept() -> None:
    screen = screen_of("\x1b[?2004h")
    assert modes_of(screen) == (False, True)
    screen.apply(["\x1b[?25;2004l"])
    assert modes_of(screen) == (False, False)
    screen.apply(["\x1b[?2004h", "\x1bc"])
    assert modes_of(screen) == (False, False)


def test_margins_scroll_what_is_inside() -> None:
    assert shown("1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[3;1H\nx", lines=4) == ["1", "3", "x", "4"]
    assert shown("1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[2;1H\x1bMx", lines=4) == ["1", "x", "2", "4"]
    assert shown("1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[4;1H\n\nx", lines=4) == ["1", "2", "3", "x"]
    assert shown("1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[1;2H\x1b[9Ax\x1b[4;2H\x1b[9By", lines=4) == ["1x", "2", "3", "4y"]
    assert shown("1\r\n2\r\n3\x1b[2;3r\x1b[r\x1b[3;1H\n") == ["2", "3", ""]
    assert shown("\x1b[9;2r\x1b[3;3rab") == ["ab", "", ""]


def test_reverse_video_is_the_whole_screens() -> None:
    screen = screen_of("a\x1b[?5h")
    assert screen.reversed
    assert not screen.buffer[0][0].reverse


def test_a_title_is_short_and_printable() -> None:
    screen = screen_of("\x1b]0;ab\tc" + "x" * 1000 + "\x07\x1b]1;icon\x07\x1b]52;c;YQ==\x07")
    assert screen.title == "abc" + "x" * (MAX_TITLE - 3)
    assert screen.icon_name == "icon"
    assert screen_of("\x1b]2;t\x1b\\").title == "t"


@pytest.mark.parametrize(
    ("change", "cell"),
    [
        ("\x1b[1;31;42m", Char("x", fg="red", bg="green", bold=True)),
        ("\x1b[4:3m", Char("x", underscore=True)),
        ("\x1b[4m\x1b[4:0m", Char("x")),
        ("\x1b[38;5;10m", Char("x", fg="00ff00")),
        ("\x1b[38;5;999m", Char("x")),
        ("\x1b[38:5:10;3m", Char("x", fg="00ff00", italics=True)),
        ("\x1b[48;2;1;2;3;1m", Char("x", bg="010203", bold=True)),
        ("\x1b[48:2::1:2:3m", Char("x", bg="010203")),
        ("\x1b[48:2:1:2:3m", Char("x", bg="010203")),
        ("\x1b[38;2;999;2;3m", Char("x", fg="ff0203")),
        ("\x1b[58;5;1m", Char("x")),
        ("\x1b[38m\x1b[38;2;1m\x1b[38;7m", Char("x")),
        ("\x1b[105m", Char("x", bg="brightmagenta")),
        ("\x1b[7;9;5m\x1b[27;29;25m", Char("x")),
        ("\x1b[1;m", Char("x")),
        ("\x1b[1m\x1b[!p", Char("x")),
    ],
)
def test_attributes(change: str, cell: Char) -> None:
    assert screen_of(change + "x").buffer[0][0] == cell


@pytest.mark.parametrize(
    ("size", "display", "place"),
    [
        ((6, 3), ["one", "two", "three"], (5, 2)),
        ((4, 3), ["one", "two", "thre"], (3, 2)),
        ((10, 2), ["two", "three"], (5, 1)),
        ((10, 5), ["one", "two", "three", "", ""], (5, 2)),
    ],
)
def test_a_resize_keeps_text_and_cursor(size: tuple[int, int], display: list[str], place: tuple[int, int]) -> None:
    screen = screen_of("one\r\ntwo\r\nthree")
    screen.resize(columns=size[0], lines=size[1])
    assert [line.rstrip() for line in screen.display] == display
    assert (screen.cursor.x, screen.cursor.y) == place
    screen.apply(Tokeniser().feed("\r\n" * 9 + "\x1b[99Cx"))
    assert screen.display[-1].rstrip() == " " * (size[0] - 1) + "x"


def test_a_resize_drops_blank_lines_before_text() -> None:
    screen = screen_of("one\r\ntwo", lines=6)
    screen.resize(lines=2)
    assert [line.rstrip() for line in screen.display] == ["one", "two"]


def test_a_resize_in_the_alternate_screen_keeps_the_main_one() -> None:
    screen = screen_of("one\r\ntwo\x1b[?1049hx")
    screen.resize(columns=20, lines=2)
    screen.apply(["\x1b[?1049l", "!"])
    assert [line.rstrip() for line in screen.display] == ["one", "two!"]


@pytest.mark.parametrize(("columns", "lines"), [(0, 3), (3, 0), (-1, 3), (1001, 3), (3, 1001)])
def test_an_absurd_size_is_refused(columns: int, lines: int) -> None:
    with pytest.raises(ValueError, match="a screen can't have"):
        Screen(columns, lines)
    with pytest.raises(ValueError, match="a screen can't have"):
        Screen(3, 3).resize(columns=columns, lines=lines)


# Any tokens at all.

FINALS = [chr(code) for code in range(0x40, 0x7F)]
SEQUENCES = st.builds(
    lambda private, numbers, middle, final: f"\x1b[{private}{numbers}{middle}{final}",
    st.sampled_from(["", "", "?", ">", "="]),
    st.lists(
        st.sampled_from(["", "0", "1", "2", "3", "5", "6", "7", "25", "1049", "99999", "4:3", "38"]), max_size=4
    ).map(";".join),
    st.sampled_from(["", "", "", "!", " ", "$"]),
    st.sampled_from(FINALS),
)
TEXT = st.sampled_from(["a", "hello world", "你好", "❤️", "👩\u200d👧", "\u0301", "é", "\x85", "\x7f", "x" * 30])
CONTROLS = st.sampled_from(
    [*map(chr, range(0x20)), "\x1bM", "\x1bD", "\x1bE", "\x1bc", "\x1b7", "\x1b8", "\x1b#8", "\x1bH"]
)


@given(st.lists(st.one_of(SEQUENCES, TEXT, CONTROLS, st.text(max_size=4)), max_size=60), st.data())
def test_no_tokens_raise_and_the_screen_stays_whole(tokens: list[str], data: st.DataObject) -> None:
    screen = Screen(data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5)))
    for part in (tokens[: len(tokens) // 2], tokens[len(tokens) // 2 :]):
        screen.apply(part)
        for buffer in filter(None, (screen.buffer, screen._main)):
            assert len(buffer) == screen.lines
            assert {len(line) for line in buffer} == {screen.columns}
        assert 0 <= screen.cursor.x <= screen.columns
        assert 0 <= screen.cursor.y < screen.lines
        assert len(screen.display) == screen.lines
        screen.resize(columns=data.draw(st.integers(1, 12)), lines=data.draw(st.integers(1, 5)))


# The same as pyte's own screen, where that is right.

PLAIN = st.sampled_from(
    [
        *["\r", "\n", "\r\n", "\b", "\t", "\x0b", "\x1bM", "\x1bD"],
        *["word", "a", "é⋮●", "─" * 7, "some longer text", "x" * 45],
        *["\x1b[m", "\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[38;5;10m", "\x1b[48;2;1;2;3m", "\x1b[4;7m", "\x1b[22;24m"],
        *["\x1b[A", "\x1b[2B", "\x1b[3C", "\x1b[2D", "\x1b[E", "\x1b[F", "\x1b[4G", "\x1b[2;5H", "\x1b[H", "\x1b[3d"],
        *["\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[3X", "\x1b[2@", "\x1b[2P", "\x1b[L", "\x1b[2L"],
        *["\x1b[0m\x1b[J", "\x1b[0m\x1b[1J", "\x1b[0m\x1b[2J"],
        *[
            "\x1b[?7l",
            "\x1b[?7h",
            "\x1b[4h",
            "\x1b[4l",
            "\x1b[20h",
            "\x1b[20l",
            "\x1b[?25l",
            "\x1b[?25h",
            "\x1bH",
            "\x1b[3g",
        ],
        "\x1b[1;3r\x1b[2;1Hin\x1b[L\x1b[r\x1b[H",
        "\x1b7there\x1b8",
    ]
)


class Stock(pyte.Screen):
    """Pyte's screen but for a slip: insertion keeps a cell behind the last column, and deletion brings it back."""

    def insert_characters(self, count: int | None = None) -> None:
        super().insert_characters(count)
        self.buffer[self.cursor.y].pop(self.columns, None)


@given(st.lists(PLAIN, max_size=60).map("".join))
@example("\x1b[1m\x1b[K\x1b[4hword\x1b[2P")
def test_the_same_as_stock(text: str) -> None:
    stock = Stock(20, 5)
    pyte.Stream(stock).feed(text)
    ours = screen_of(text, 20, 5)
    assert ours.display == stock.display
    assert cursor(ours) == cursor(stock)
    assert ours.cursor.attrs == stock.cursor.attrs
    assert [[ours.buffer[y][x] for x in range(20)] for y in range(5)] == [
        [stock.buffer[y][x] for x in range(20)] for y in range(5)
    ]


@given(
    st.lists(st.lists(st.sampled_from(["你", "好a", "é", "\x1b[31m", "\x1b[0m"]), max_size=6).map("".join), max_size=9)
)
def test_the_same_as_stock_with_wide_characters(lines: list[str]) -> None:
    stock = pyte.Screen(20, 5)
    pyte.Stream(stock).feed("\r\n".join(lines))
    ours = screen_of("\r\n".join(lines), 20, 5)
    assert ours.display == stock.display
    assert [ours.buffer[y][x] for y in range(5) for x in range(20)] == [
        stock.buffer[y][x] for y in range(5) for x in range(20)
    ]


# Lines that scroll away needn't be painted.

SCROLLING = st.sampled_from(
    ["\r\n"] * 12
    + ["\n", "\r", "\t", "\b", "\x1b[31m", "\x1b[0m", "\x1b[1m", "\x1b[K", "\x1b[3C", "word", "你", "\u0301", "x" * 25]
    + [
        "\x1b[2A",
        "\x1b[?25l",
        "\x1b[H",
        "\x1b[1;2r",
        "\x1b[r",
        "\x1b[20h",
        "\x1b[4h",
        "\x1b[?7l",
        "\x1bM",
        "\x1b[?1049h",
    ]
)


@given(st.lists(SCROLLING, max_size=150), st.integers(1, 4))
def test_skipping_what_scrolls_away_changes_nothing(pieces: list[str], lines: int) -> None:
    tokens = Tokeniser().feed("".join(pieces))
    at_once, one_by_one = Screen(10, lines), Screen(10, lines)
    at_once.apply(tokens)
    for token in tokens:
        one_by_one.apply([token])
    assert at_once.buffer == one_by_one.buffer
    assert cursor(at_once) == cursor(one_by_one)
    assert at_once.cursor.attrs == one_by_one.cursor.attrs


def test_what_scrolls_away_is_not_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(Screen, "draw", lambda self, data: drawn.append(data))
    screen = Screen(10, 3)
    screen.apply(Tokeniser().feed("".join(f"line {n}\r\n" for n in range(100))))
    assert drawn == ["line 98", "line 99"]
