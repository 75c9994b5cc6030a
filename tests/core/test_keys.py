"""Keys: whatever the text, q is sent one message, exactly as said, and nothing else happens."""

from __future__ import annotations

import sys
import unicodedata
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qpty.core.errors import EmptyPromptError, PromptEncodingError, PromptError, PromptTooLongError, QptyError
from qpty.core.keys import (
    CLOSED_FENCE,
    GUARD,
    MAX_MENU_MOVES,
    MAX_PROMPT_BYTES,
    MENU_CANCEL,
    encode_answer,
    encode_command,
    encode_menu,
    encode_prompt,
)
from tests.fuzz.prompts import offline_problem, random_text, run_offline
from tests.fuzz.q_model import WHITE_SPACE, Read, read_by_q

if TYPE_CHECKING:
    import random

LETTERS = {"allow": "y", "refuse": "n", "always": "t"}
WHITE = "".join(map(chr, sorted(WHITE_SPACE)))
TROUBLE = st.sampled_from(
    [
        "!",
        "/",
        "@",
        "y",
        "t",
        "```",
        "`",
        "\\",
        "\x1b",
        "\x1b[201~",
        "\x00",
        "\x9b",
        "\r",
        "\n",
        "\t",
        " ",
        "\u200b",
        "\u2028",
    ]
)
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])) | TROUBLE).map("".join)


@given(TEXTS)
@example("!echo hi")
@example("/quit")
@example("@nope")
@example("y")
@example("t")
@example("/!./x")
@example("\u200b!echo hi")
@example(f"{WHITE}!echo hi")
@example("\x1b[201~\r!echo hi\r")
@example("\x9b201~\r!echo hi\r")
@example("\x00!echo hi")
@example("``\u200b`")
@example("foo \\\u200b")
@example("foo \\\n\n")
@example(WHITE)
@example("\U000e0041\ufeff")
def test_any_text_is_one_message_or_refused_as_empty(text: str) -> None:
    assert offline_problem(text) is None


@given(TEXTS)
def test_keys_are_one_paste_and_one_enter_without_other_controls(text: str) -> None:
    try:
        prompt = encode_prompt(text)
    except EmptyPromptError:
        return
    assert prompt.keys == b"\x1b[200~" + prompt.sent.encode() + b"\x1b[201~\r"
    assert prompt.keys.count(b"\x1b[201~") == prompt.keys.count(b"\r") == 1
    assert {c for c in prompt.sent if unicodedata.category(c) == "Cc"} <= {"\t", "\n"}
    assert prompt.sent.strip()[0] not in "!/@"
    assert prompt.sent.count("```") % 2 == 0
    assert not prompt.sent.endswith("\\")


@given(TEXTS)
def test_sent_encodes_to_itself(text: str) -> None:
    try:
        sent = encode_prompt(text).sent
    except EmptyPromptError:
        return
    again = encode_prompt(sent)
    assert (again.sent, again.changes) == (sent, ())


@given(st.randoms())
def test_the_texts_of_the_fuzz_tool_encode_right(random_: random.Random) -> None:
    assert offline_problem(random_text(random_)) is None


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "  spaces at both ends \n\n",
        "\tindented\twith\ttabs",
        "y",
        "exit",
        "#x",
        "a\n!echo hi\n/quit\n@x",
        "see @file and mail@example.org",
        "``` closed ```",
        "~~~\nopen",
        "`one` and ``two``",
        "``````",
        "a \\ in the middle",
        "a backslash and a line end \\\n",
        "你好，世界 👍🏽 🇫🇷 ❤\ufe0f",
        "e\u0301 is not é",
        "ﬁ Å ①",
        "עברית \u061c",
        "\u3000ideographic spaces\u3000",
        "soft\u00adhyphen \ufeff \ufffd \u180e",
        "[201~ and [?2004l without their ESC",
    ],
)
def test_a_harmless_text_is_sent_as_given(text: str) -> None:
    prompt = encode_prompt(text)
    assert (prompt.sent, prompt.changes) == (text, ())


@pytest.mark.parametrize(
    ("text", "sent", "changes"),
    [
        ("!echo hi", f"{GUARD}!echo hi", ["guarded"]),
        ("/etc/hosts says", f"{GUARD}/etc/hosts says", ["guarded"]),
        ("@cached\ndef f(): ...", f"{GUARD}@cached\ndef f(): ...", ["guarded"]),
        (" \u3000\n!x", f"{GUARD} \u3000\n!x", ["guarded"]),
        ("\u200b!x", f"{GUARD}!x", ["invisible_characters_removed", "guarded"]),
        ("\x1b[201~!x", "[201~!x", ["control_characters_removed"]),
        ("\x1b!x", f"{GUARD}!x", ["control_characters_removed", "guarded"]),
        ("a\r\nb\rc", "a\nb\nc", ["line_ends_normalised"]),
        ("👩\u200d💻", "👩💻", ["invisible_characters_removed"]),
        ("```py\nx", f"```py\nx{CLOSED_FENCE}", ["fence_closed"]),
        ("````", f"````{CLOSED_FENCE}", ["fence_closed"]),
        ("``\u200d`", f"```{CLOSED_FENCE}", ["invisible_characters_removed", "fence_closed"]),
        ("``` \\", f"``` \\{CLOSED_FENCE}", ["fence_closed"]),
        ("C:\\", "C:\\ ", ["backslash_closed"]),
        ("C:\\\x00\u200b", "C:\\ ", ["control_characters_removed", "invisible_characters_removed", "backslash_closed"]),
    ],
)
def test_each_change_is_made_and_named(text: str, sent: str, changes: list[str]) -> None:
    prompt = encode_prompt(text)
    assert (prompt.sent, list(prompt.changes)) == (sent, changes)


@pytest.mark.parametrize("text", ["", " ", WHITE, "\u200b", "\u200b \u2028", "\x00\x1b\x9b", "\r\n", "\U000e0041"])
def test_a_text_with_nothing_to_send_is_refused(text: str) -> None:
    with pytest.raises(EmptyPromptError, match="at least one visible character"):
        encode_prompt(text)


def test_white_space_is_what_q_trims() -> None:
    trimmed = {number for number in range(sys.maxunicode + 1) if chr(number).isspace()}
    assert trimmed - WHITE_SPACE == {0x1C, 0x1D, 0x1E, 0x1F}, "Python's own, which are removed as control characters"
    assert trimmed >= WHITE_SPACE


@pytest.mark.parametrize(("text", "position", "code_point"), [("ab\ud83d", 2, 0xD83D), ("\udc80", 0, 0xDC80)])
def test_a_lone_surrogate_is_refused_with_its_place(text: str, position: int, code_point: int) -> None:
    with pytest.raises(PromptEncodingError, match=f"U\\+{code_point:04X}") as caught:
        encode_prompt(text)
    assert (caught.value.position, caught.value.code_point) == (position, code_point)


@pytest.mark.parametrize(
    "text", ["x" * MAX_PROMPT_BYTES, "é" * (MAX_PROMPT_BYTES // 2), "a\n" * (MAX_PROMPT_BYTES // 2)]
)
def test_a_message_of_one_mebibyte_is_sent_as_given(text: str) -> None:
    assert encode_prompt(text).sent == text


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("x" * (MAX_PROMPT_BYTES + 1), MAX_PROMPT_BYTES + 1),
        ("é" * MAX_PROMPT_BYTES, 2 * MAX_PROMPT_BYTES),
        ("!" * MAX_PROMPT_BYTES, MAX_PROMPT_BYTES + len(GUARD)),
    ],
)
def test_a_longer_message_is_refused_with_both_sizes(text: str, size_bytes: int) -> None:
    with pytest.raises(PromptTooLongError) as caught:
        encode_prompt(text)
    assert (caught.value.limit_bytes, caught.value.size_bytes) == (MAX_PROMPT_BYTES, size_bytes)
    assert f"{size_bytes:,}" in str(caught.value)


@pytest.mark.parametrize("error", [EmptyPromptError, PromptTooLongError, PromptEncodingError])
def test_a_refused_message_is_one_kind_of_error(error: type[Exception]) -> None:
    assert issubclass(error, PromptError)
    assert issubclass(error, QptyError)


@pytest.mark.parametrize(("answer", "keys"), [("allow", b"y\r"), ("refuse", b"n\r"), ("always", b"t\r")])
def test_an_answer_is_the_dialects_letter(answer: Literal["allow", "refuse", "always"], keys: bytes) -> None:
    assert encode_answer(answer, LETTERS) == keys


@pytest.mark.parametrize("letter", ["", "yes", "\r", "\x1b", " ", "é"])
def test_a_dialect_cannot_type_more_than_a_letter(letter: str) -> None:
    with pytest.raises(ValueError, match="one printable ASCII character"):
        encode_answer("allow", LETTERS | {"allow": letter})


def test_a_menu_is_walked_and_entered() -> None:
    assert encode_menu(0) == b"\r"
    assert encode_menu(2) == b"\x1b[B\x1b[B\r"
    assert encode_menu(-1) == b"\x1b[A\r"
    assert MENU_CANCEL == b"\x03"


@pytest.mark.parametrize("moves", [MAX_MENU_MOVES + 1, -MAX_MENU_MOVES - 1])
def test_a_walk_through_a_menu_is_bounded(moves: int) -> None:
    with pytest.raises(ValueError, match=str(MAX_MENU_MOVES)):
        encode_menu(moves)


def test_a_command_of_our_own_is_typed_unguarded() -> None:
    keys = encode_command('/load "a path/with é.json"')
    assert keys == b'\x1b[200~/load "a path/with \xc3\xa9.json"\x1b[201~\r'
    assert read_by_q(keys) == Read("command")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "load x",
        " /load x",
        "!ls",
        "@x",
        "/",
        "//x",
        "/!./x",
        "/load x\n!ls",
        "/load x\r",
        "/load\tx",
        "/load \x1b[201~",
        "/load \x9b",
        "/load \u200b",
        "/load \u2028",
        "/load \udc80",
        "/load \\",
        "/load ```",
    ],
)
def test_a_command_that_q_would_read_otherwise_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="a command "):
        encode_command(line)


def test_the_fuzz_tool_finds_an_encoding_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_offline(200, seed=1) == 0
    monkeypatch.setattr("qpty.core.keys._COMMAND_STARTS", ("/", "@"))
    assert run_offline(200, seed=1) > 0
    assert "q would read Read(reading='command'" in capsys.readouterr().out
