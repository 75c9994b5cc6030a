"""Keys against the real q: what it is sent, what it does with unprotected texts, and what clears its editor."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from qpty.core.keys import (
    CLEAR_LINE,
    ENTER,
    MENU_CANCEL,
    PASTE_BEGIN,
    PASTE_END,
    encode_command,
    encode_menu,
    encode_prompt,
)
from tests.fuzz.q_model import Read, read_by_q
from tests.fuzz.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.lab import Lab

pytestmark = pytest.mark.real_q

EMPTY_PROMPT = "\x1b[35m> \x1b[0m\r\x1b[2C"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where q runs, with a program that hostile messages try to run."""
    directory = tmp_path_factory.mktemp("session")
    (directory / "x").write_text("#!/bin/sh\ntouch ran\n")
    (directory / "x").chmod(0o755)
    return directory


@pytest.fixture(scope="module")
def terminal(lab: Lab, directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """One q for all cases: whatever a case leaves behind would spoil the next."""
    home = tmp_path_factory.mktemp("home") / "copy"
    shutil.copytree(lab.home, home)
    with Terminal(q=lab.q, home=home, log=lab.log, directory=directory) as terminal:
        yield terminal


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "y",
        "t",
        "exit",
        "#x",
        "!touch ran",
        "/quit",
        "/!./x",
        "//!./x",
        "@nope",
        "\u200b!touch ran",
        "\u2028\u3000\t/quit",
        "\x00!touch ran",
        "\x1b[201~\r!touch ran\r",
        "\x9b201~\x7f\x03\x15",
        "hello\n!touch ran\n/quit\n@x",
        "  hello \t\n\n",
        "hello\tworld\r\nsecond\rthird",
        "hello 你好 👩\u200d💻 👍🏽 ❤\ufe0f e\u0301 ﬁ עברית \ufeff\ufffd",
        "hello ```py\nx",
        "````",
        "``\u200b`",
        "``````",
        "hello \\",
        "hello \\\u200b",
        "hello \\\n\n",
        "hello ``` \\",
        "hello [?2004l [201~",
        "hello " + "x" * 5_000,
        "hello " + "\n" * 10_000 + ".",
        "hello " + "a line of a long message\n" * 8_800,
    ],
    ids=lambda text: ascii(text[:24]),
)
def test_the_model_is_sent_exactly_what_is_said(terminal: Terminal, directory: Path, text: str) -> None:
    prompt = encode_prompt(text)
    typed = terminal.type(prompt.keys)
    assert typed.sent == (prompt.sent,)
    assert [path.name for path in directory.iterdir()] == ["x"]


def test_a_message_of_one_mebibyte_arrives_exactly(terminal: Terminal) -> None:
    text = "hello " + "é\t\n" * 262_142
    prompt = encode_prompt(text)
    assert terminal.type(prompt.keys).sent == (text,)


@pytest.mark.parametrize(
    "pasted",
    [
        "hello",
        "\u200b!touch unprotected",
        "\u3000/help",
        "/!./x",
        " ",
        "hello \\\u200b",
        "\ufeff!",
        "~~~",
        "hello 👩\u200d💻",
    ],
    ids=ascii,
)
def test_the_model_of_q_agrees_with_the_real_one(terminal: Terminal, directory: Path, pasted: str) -> None:
    keys = PASTE_BEGIN + pasted.encode() + PASTE_END + ENTER
    expected = read_by_q(keys)
    assert terminal.type(keys).sent == ((expected.text,) if expected.reading == "message" else ())
    for made in directory.iterdir():
        if made.name != "x":
            assert expected.reading == "command"
            made.unlink()


@pytest.mark.parametrize("pasted", ["```", "`````", "    ```", "x ``` y ``` z ```", "x \\", "\\\\"])
def test_what_the_model_of_q_calls_incomplete_is_not_accepted(terminal: Terminal, pasted: str) -> None:
    keys = PASTE_BEGIN + pasted.encode() + PASTE_END + ENTER
    assert read_by_q(keys) == Read("incomplete")
    cleared = terminal.type_until(keys + b"\x15\x15", EMPTY_PROMPT)
    assert b"\x1b[?2004l" not in cleared


def test_clearing_an_empty_editor_prints_nothing(terminal: Terminal) -> None:
    hello = encode_prompt("hello").keys
    assert terminal.type(CLEAR_LINE * 3 + hello).echo == terminal.type(hello).echo


@pytest.mark.parametrize("leftover", [b"y", b"left over\x1b[D\x1b[D", b"\x1b[200~a paste cut off", b"\x1b"])
def test_clearing_takes_leftover_keys_away(terminal: Terminal, leftover: bytes) -> None:
    assert terminal.type(leftover + CLEAR_LINE + encode_prompt("hello").keys).sent == ("hello",)


def test_the_echo_holds_the_message_once(terminal: Terminal) -> None:
    typed = terminal.type(encode_prompt("hello\n\tyou 你好\x1b[?2004l").keys)
    assert typed.echo.decode() == "\r\x1b[K\x1b[35m> \x1b[0mhello\r\n\tyou 你好[?2004l\r\x1b[23C"


def test_a_menu_is_chosen_from_and_left(terminal: Terminal) -> None:
    for moves, chosen in [
        (1, "haiku"),
        (0, "sonnet"),
        (-1, "haiku"),
    ]:  # the first item is marked; up from it is the last
        terminal.type_until(encode_command("/model"), "❯")
        terminal.type_until(encode_menu(moves), f"Using claude-{chosen}-4.5")
        terminal.wait_ready()
    terminal.type_until(encode_command("/model"), "❯")
    assert b"Using" not in terminal.type_until(MENU_CANCEL, EMPTY_PROMPT)
