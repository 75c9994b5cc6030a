"""Tokens: every kind of sequence in one piece, the bounds, and that cuts change nothing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.core.tokens import SEQUENCE_LIMIT, STRING_LIMIT, Sequence, Tokeniser, sequence


def is_text(token: str) -> bool:
    return token >= " " and not "\x7f" <= token[0] <= "\x9f"


def merged(tokens: list[str]) -> list[str]:
    """Neighbouring runs of text joined: a cut may split a run."""
    out: list[str] = []
    for text, group in itertools.groupby(tokens, key=is_text):
        run = list(group)
        out += ["".join(run)] if text else run
    return out


def tokens_of(*pieces: str) -> list[str]:
    tokeniser = Tokeniser()
    return merged([token for piece in pieces for token in tokeniser.feed(piece)])


ST = "\x1b\\"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("ab\r\ncd", ["ab", "\r", "\n", "cd"]),
        ("\x1b[38;5;10m> \x1b[0mHi", ["\x1b[38;5;10m", "> ", "\x1b[0m", "Hi"]),
        ("\x1b[?2004h\x1b[4:3m\x1b[>c\x1b[!p", ["\x1b[?2004h", "\x1b[4:3m", "\x1b[>c", "\x1b[!p"]),
        ("\x1b(B\x1b%@\x1b#8\x1bM\x1b7x", ["\x1b(B", "\x1b%@", "\x1b#8", "\x1bM", "\x1b7", "x"]),
        ("\x1b]0;t\x07a\x1b]0;t" + ST + "b", ["\x1b]0;t\x07", "a", "\x1b]0;t" + ST, "b"]),
        ("\x1bPq#0\x07" + ST + "a", ["\x1bPq#0\x07" + ST, "a"]),
        ("\x1b_G" + ST + "\x1b^p" + ST + "\x1bXs" + ST, ["\x1b_G" + ST, "\x1b^p" + ST, "\x1bXs" + ST]),
        ("❤️👩\u200d👧你", ["❤️👩\u200d👧你"]),
        # a new ESC begins anew, CAN and SUB abort
        ("\x1b[3\x1b[1m", ["\x1b[1m"]),
        ("\x1b\x1b[1m", ["\x1b[1m"]),
        ("\x1b[3\x18m", ["\x18", "m"]),
        ("\x1b]0;t\x1am", ["\x1a", "m"]),
        ("\x1b]0;t\x1b[1mx", ["\x1b[1m", "x"]),
        ("\x1bPabc\x1b]0;t\x07", ["\x1b]0;t\x07"]),
        # C0 inside a sequence comes first
        ("\x1b[3\r1m", ["\r", "\x1b[31m"]),
        ("\x1b\n[\b3\x7f1m", ["\n", "\b", "\x7f", "\x1b[31m"]),
        ("\x1b(\rB", ["\r", "\x1b(B"]),
        ("\x1b]0;a\rb\x07", ["\x1b]0;a\rb\x07"]),
        # C1 are never introducers
        ("a\x9b1mb\x9dc\x9c", ["a", "\x9b", "1mb", "\x9d", "c", "\x9c"]),
        ("\x1b]0;a\x9cb\x07", ["\x1b]0;a\x9cb\x07"]),
        # beyond ASCII: aborts
        ("\x1b[3你m", ["你m"]),
        ("\x1b(é", ["é"]),
        ("\x1b[3\x85m", ["\x85", "m"]),
        # nothing of an unfinished one
        ("a\x1b[38;5", ["a"]),
        ("a\x1b", ["a"]),
        ("a\x1b]0;t\x1b", ["a"]),
    ],
)
def test_each_sequence_is_one_token(text: str, tokens: list[str]) -> None:
    assert tokens_of(text) == tokens
    assert tokens_of(*text) == tokens


@pytest.mark.parametrize("begin", ["\x1b]0;", "\x1bP", "\x1b_", "\x1b^", "\x1bX"])
def test_an_unterminated_string_swallows_no_more_than_its_bound_and_a_line(begin: str) -> None:
    body = "x" * (STRING_LIMIT + 1)
    for text in (f"{begin}{body}more\nand text", f"{begin}{body}{ST}\nand text", f"{begin}{body}more\x1b[1m\nand text"):
        expected = ["\x1b[1m"] * ("[1m" in text) + ["\n", "and text"]
        assert tokens_of(text) == expected
        assert tokens_of(*text) == expected


def test_a_string_of_the_bound_is_kept_whole() -> None:
    text = "\x1b]" + "x" * STRING_LIMIT + "\x07"
    assert tokens_of(text) == [text]
    assert tokens_of(*text) == [text]


def test_an_endless_sequence_is_dropped() -> None:
    for text in ("\x1b[" + "1" * (SEQUENCE_LIMIT + 1) + "mx", "\x1b" + "(" * 100 + "Bx"):
        assert tokens_of(text) == ["x"]
        assert tokens_of(*text) == ["x"]


@pytest.mark.parametrize("forever", ["\x1b]", "\x1bP", "\x1b[1;", "\x1b(", "\x1b[\r", "1", "\x1b_\x1b"])
def test_what_is_kept_is_bounded(forever: str) -> None:
    tokeniser = Tokeniser()
    tokeniser.feed(forever)
    for _ in range(50):
        tokeniser.feed(forever[-1] * 1000)
    assert len(tokeniser._kept) <= STRING_LIMIT + 4


ODD = st.sampled_from(
    [
        *"\x1b[]();?:m@K018\x18\x1a\x07\\\r\n\b\x7fP_^X #%$ab你é\u200d\x85\x9b\x9d\x9c",
        "\x1b[",
        "\x1b[38;5;10m",
        "\x1b]0;",
        "\x1bP",
        ST,
        "👩\u200d👧",
        "1" * (SEQUENCE_LIMIT - 2),
        "x" * (STRING_LIMIT - 3),
    ]
)
TEXTS = st.one_of(st.lists(ODD, max_size=40).map("".join), st.text(max_size=60))


@given(TEXTS, st.data())
def test_cuts_change_nothing(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert tokens_of(*pieces) == tokens_of(text)
    if len(text) < 500:
        assert tokens_of(*text) == tokens_of(text)


@given(TEXTS)
def test_tokens_are_text_or_one_control_and_never_both(text: str) -> None:
    for token in tokens_of(text):
        if is_text(token):
            assert not any(c < " " or "\x7f" <= c <= "\x9f" for c in token)
        else:
            assert len(token) == 1 or token[0] == "\x1b"
            assert sequence(token).kind in ("control", "csi", "escape", "string", "ignored")


@given(st.text())
def test_reading_a_sequence_never_raises(raw: str) -> None:
    assert isinstance(sequence(raw), Sequence)
    assert isinstance(sequence("\x1b[" + raw), Sequence)


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("\r", Sequence(kind="control", final="\r")),
        ("\x1b[m", Sequence(kind="csi", final="m")),
        ("\x1b[;5H", Sequence(kind="csi", final="H", params=((0,), (5,)))),
        ("\x1b[4:3;1m", Sequence(kind="csi", final="m", params=((4, 3), (1,)))),
        ("\x1b[?2004h", Sequence(kind="csi", final="h", params=((2004,),), private="?")),
        ("\x1b[0000012C", Sequence(kind="csi", final="C", params=((12,),))),
        ("\x1b[99999999999999999999C", Sequence(kind="csi", final="C", params=((9999,),))),
        ("\x1b[2 q", Sequence(kind="csi", final="q", params=((2,),), intermediates=" ")),
        ("\x1b[1?m", Sequence(kind="ignored", final="m")),
        ("\x1b(B", Sequence(kind="escape", final="B", intermediates="(")),
        ("\x1b]2;title\x07", Sequence(kind="string", final="]", text="2;title")),
        ("\x1bPq\x1b\\", Sequence(kind="string", final="P", text="q")),
    ],
)
def test_a_sequence_is_read(raw: str, read: Sequence) -> None:
    assert sequence(raw) == read


def test_numbers_leave_subparameters_out() -> None:
    assert sequence("\x1b[4:3;1m").numbers == (4, 1)
