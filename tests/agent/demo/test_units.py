"""The parts that need no terminal: the keyboard's reader, the typist, layout and pieces."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.agent.demo.commands import CommandError, command, looks_like_path, visible
from qpty.agent.demo.keys import KEY, PASTE, TEXT, Key, KeyReader
from qpty.agent.demo.layout import char_width, place_after
from qpty.agent.demo.signals import Signals
from qpty.agent.demo.terminal import pieces
from qpty.agent.demo.typist import LINE_END, Typist

KEYS = "ab\x1b[200~你\r\n好\t\x1b[A!\x1b[201~\r\x1b[D🌍\x7f\x1b\rc\x03".encode()
READ: list[Key] = [
    (TEXT, "ab"), (PASTE, "你\n好\t\x1b[A!"), (KEY, "enter"), (KEY, "left"), (TEXT, "🌍"), (KEY, "backspace"),
    (KEY, "newline"), (TEXT, "c"), (KEY, "interrupt"),
]  # fmt: skip


def merged(keys: list[Key]) -> list[Key]:
    out: list[Key] = []
    for kind, value in keys:
        if out and kind == TEXT == out[-1][0]:
            out[-1] = (TEXT, out[-1][1] + value)
        else:
            out.append((kind, value))
    return out


@given(st.lists(st.integers(0, len(KEYS)), max_size=12))
def test_keys_may_be_cut_anywhere(cuts: list[int]) -> None:
    reader, found, at = KeyReader(), [], 0
    for cut in [*sorted(cuts), len(KEYS)]:
        found += reader.feed(KEYS[at:cut])
        at = cut
    assert merged(found) == READ


@given(st.binary(max_size=200))
def test_any_bytes_are_keys(data: bytes) -> None:
    KeyReader().feed(data)


@given(st.text(max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_chunks_do_not_change_what_is_typed(text: str, cuts: list[int]) -> None:
    whole, parts, at = Typist(), Typist(), 0
    written = "".join(whole.feed(f"{text}\n"))
    cut_up = ""
    for cut in [*sorted(min(c, len(text)) for c in cuts), len(text)]:
        cut_up += "".join(parts.feed(text[at:cut]))
        at = cut
    assert cut_up + "".join(parts.feed("\n")) == written


def test_the_typist_writes_q_s_units() -> None:
    expected = {
        "Some **bold**, `x y`.\n": [
            "Some",
            " ",
            "*",
            "*",
            "bold",
            "*",
            "*",
            ",",
            " ",
            "`",
            "x",
            " ",
            "y",
            "`",
            ".",
            LINE_END,
        ],
        "na\u00efve caf\u00e9\n": ["na", "\u00ef", "ve", " ", "caf", "\u00e9", LINE_END],
        "  x\r\n\ty\rz\n": ["", " ", "x", LINE_END, "", "y", "", "z", LINE_END],
        'f"hi {1+2}" 3.14!?\n': ['f"hi', " ", "{", "1+2", "}", '"', " ", "3.14!?", LINE_END],
        "\u4f60\u597d\u200d\n": ["\u4f60", "\u597d", "\u200d", LINE_END],
    }
    for text, writes in expected.items():
        assert Typist().feed(text) == writes
    typist = Typist()
    assert typist.feed("hel") == []
    assert typist.feed("lo ") == ["hello", " "]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", (0, 2)),
        ("a" * 78, (1, 0)),
        ("a" * 79, (1, 1)),
        ("世" * 39, (1, 0)),
        ("世" * 40, (1, 2)),
        ("a\n", (1, 0)),
        ("\t", (0, 8)),
        ("e\u0301\u200d", (0, 3)),
    ],
)
def test_places(text: str, place: tuple[int, int]) -> None:
    assert place_after(text, 0, 2, 80) == place


def test_widths() -> None:
    assert [char_width(ch) for ch in "aé世🌍\u200b\x07\x9b"] == [1, 1, 2, 2, 0, None, None]


@given(st.text(alphabet="ab\n\x1b[0;m5K世", max_size=40))
def test_pieces_are_the_whole(text: str) -> None:
    assert "".join(pieces(text)) == text


def test_pieces_end_where_q_s_writes_end() -> None:
    assert pieces("\n\x1b[38;5;13m\x1b[0mab\nc\x1b[?25l") == [
        "\n", "\x1b[", "38;", "5;13", "m", "\x1b[0m", "ab\n", "c", "\x1b[?25l",
    ]  # fmt: skip


def test_lines_that_begin_with_a_slash() -> None:
    assert command("/save --force '/a b/c'") == ("save", ["--force", "/a b/c"])
    assert command("/q") == command("/exit") == ("quit", [])
    for line in ("/load", "/load a b", "/nosuch", "/model x"):
        with pytest.raises(CommandError):
            command(line)
    assert [looks_like_path(line) for line in ("/etc/x y", "/!./x", "/help", "/load /etc/x")] == [
        True,
        True,
        False,
        False,
    ]
    assert visible("a\u200bb\ufffd\u200d\U000e0041") == "ab\ufffd"


def test_a_child_that_the_handler_collects_in_the_middle_of_collecting_is_no_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGCHLD)}
    try:
        signals = Signals()
        child = subprocess.Popen(["true"])
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        really = os.waitpid

        def interrupted(pid: int, options: int) -> tuple[int, int]:
            monkeypatch.setattr(os, "waitpid", really)
            signals._reap()  # as if the signal came now
            return really(pid, options)

        monkeypatch.setattr(os, "waitpid", interrupted)
        signals._left_alone.add(child.pid)
        signals._reap()
        assert signals._left_alone == set()
        child.returncode = 0  # it is collected
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in kept.items():
            signal.signal(number, handler)
