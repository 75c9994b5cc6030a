"""The terminal: bytes in any pieces give the same tokens and screen, painted late or at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.core.screen import Screen
from qpty.core.terminal import OUTSTANDING_LIMIT, Run, Terminal

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
WORDS = ("Thinking...",)


def terminal(columns: int = 20, lines: int = 4) -> Terminal:
    return Terminal(columns=columns, lines=lines, frames=FRAMES, words=WORDS)


def switched_on(made: Terminal) -> bool:
    return made.bracketed_paste


def test_tokens_come_without_frames_and_the_screen_too() -> None:
    made = terminal()
    data = "\x1b[38;5;13\r⠋ Thinking...m\x1b[0mHi\r\n\r⠙ Thinking...你".encode()
    assert made.feed(data) == ["\x1b[38;5;13m", "\x1b[0m", "Hi", "\r", "\n", "你"]
    assert [line.rstrip() for line in made.screen.display] == ["Hi", "你", "", ""]


def test_a_character_cut_in_two_is_one() -> None:
    made = terminal()
    first, second = "你".encode()[:1], "你".encode()[1:]
    assert made.feed(first) == []
    assert made.feed(second) == ["你"]


def test_what_is_not_utf8_is_replaced() -> None:
    assert terminal().feed(b"a\xff\xfeb") == ["a\ufffd\ufffdb"]


def test_flush_gives_what_waited() -> None:
    made = terminal()
    assert made.feed("a\r⠋ Thi\x1b[3".encode()) == ["a"]
    assert made.flush() == ["\r", "⠋ Thi"]
    assert made.flush() == []
    assert made.feed(b"m") == ["m"]
    assert terminal().flush() == []


def test_a_half_character_at_the_end_is_replaced() -> None:
    made = terminal()
    made.feed("你".encode()[:2])
    assert made.flush() == ["\ufffd"]


def test_nothing_is_painted_until_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    painted: list[str] = []
    monkeypatch.setattr(Screen, "apply", lambda self, tokens: painted.extend(tokens))
    made = terminal()
    made.feed(b"one\r\n")
    made.feed(b"two")
    assert painted == []
    assert made.screen is made.screen
    assert painted == ["one", "\r", "\n", "two"]


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    painted: list[str] = []
    monkeypatch.setattr(Screen, "apply", lambda self, tokens: painted.extend(tokens))
    made = terminal()
    for _ in range(10):
        made.feed(b"x" * (OUTSTANDING_LIMIT // 2))
    assert len("".join(painted)) >= 4 * OUTSTANDING_LIMIT


@pytest.mark.parametrize(
    ("pieces", "on"),
    [
        ([b"\x1b[?2004h"], True),
        ([b"\x1b[?20", b"04h"], True),
        ([b"\x1b[?20\r04h"], True),
        ([b"\x1b[?25;2004h"], True),
        ([b"\x1b[?2004hx", b"\x1b[?2004l"], False),
        ([b"\x1b[?2004h\x1bc"], False),
        ([b"\x1b[?2004h", b"\x1b", b"c"], False),
        ([b"\x1b[?2004h\x1b[2004l\x1b[?2004$p\x1b[>2004l\x1b[?2004n"], True),
        ([b"2004h"], False),
        ([b"\x1b]0;2004h\x07"], False),
    ],
)
def test_bracketed_paste_is_known_without_painting(pieces: list[bytes], on: bool) -> None:
    made = terminal()
    for piece in pieces:
        made.feed(piece)
    assert switched_on(made) is on
    assert made.screen.bracketed_paste is on


def test_the_version_tells_whether_to_look_again() -> None:
    made = terminal()
    seen = made.version
    made.feed(b"\x1b[3")
    assert made.version == seen
    made.feed(b"1mx")
    assert made.version != seen
    seen = made.version
    made.resize(columns=30, lines=5)
    assert made.version != seen
    assert (made.screen.columns, made.screen.lines) == (30, 5)


def test_a_resize_paints_what_waits_at_the_old_size() -> None:
    made = terminal(columns=5)
    made.feed(b"1234567")
    made.resize(columns=20, lines=4)
    assert [line.rstrip() for line in made.screen.display] == ["12345", "67", "", ""]


def test_a_snapshot_has_runs_without_what_does_not_show() -> None:
    made = terminal(lines=3)
    made.feed("\x1b]2;title\x07a \x1b[1;31mred \x1b[0m\x1b[44m \x1b[0m  \r\n你\x1b[4m \x1b[0m \x1b[?25l".encode())
    seen = made.snapshot()
    assert seen.rows == (
        (Run(text="a "), Run(text="red ", fg="red", bold=True), Run(text=" ", bg="blue")),
        (Run(text="你"), Run(text=" ", underline=True)),
        (),
    )
    assert (seen.columns, seen.lines, seen.title) == (20, 3, "title")
    assert (seen.cursor_column, seen.cursor_line, seen.cursor_hidden) == (4, 1, True)
    made.feed(b"\x1b[2J\x1b[Hb")
    assert seen.rows[0][0] == Run(text="a ")


def test_a_reversed_screen_is_seen_reversed() -> None:
    made = terminal(columns=3, lines=1)
    made.feed(b"\x1b[?5ha\x1b[7mb")
    assert made.snapshot().rows == ((Run(text="a", reverse=True), Run(text="b"), Run(text=" ", reverse=True)),)


PIECES = st.sampled_from(
    [
        *[
            "\r\n",
            "\r",
            "\x1b[31m",
            "\x1b[0m",
            "\x1b[2K\x1b[1G",
            "\x1b[?2004h",
            "\x1b[?2004l",
            "\x1bc",
            "\x1b[",
            "\x1b]0;t",
        ],
        *["word ", "你好", "❤️", "x" * 25, "\r⠋ Thinking...", "\r⠋ Thin", "king...", "\x07", "\x1b\\", "m"],
    ]
)
BYTES = st.one_of(st.lists(PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode()), st.binary(max_size=60))


@given(BYTES, st.data())
def test_cuts_and_looks_change_nothing(data: bytes, choice: st.DataObject) -> None:
    whole, cut, bytewise = terminal(), terminal(), terminal()
    whole.feed(data)
    cuts = sorted(choice.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        cut.feed(data[begin:end])
        cut.snapshot()
    for index in range(len(data)):
        bytewise.feed(data[index : index + 1])
    for made in (whole, cut, bytewise):
        made.flush()
        assert made.bracketed_paste == made.screen.bracketed_paste
    assert cut.snapshot() == whole.snapshot() == bytewise.snapshot()
