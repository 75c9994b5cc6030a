"""The line editor: every painting here was captured from the real q for the same keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agent.demo.demo import PAINTED, READY, Demo, accepted

if TYPE_CHECKING:
    from pathlib import Path

EXIT_HINT = "\r\n(To exit the CLI, press Ctrl+C or Ctrl+D again or type \x1b[38;5;10m/quit\x1b[39m)\r\n\r\n"
UP_THREE = "\r\x1b[K\x1b[A" * 3
CTRL_U, CTRL_J, BACKSPACE, LEFT, RIGHT, UP, DOWN = "\x15", "\n", "\x7f", "\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B"
HE = (("/", "agent", 3), ("/h", "elp", 4), ("/he", "lp", 5))
CASES = {
    "typed": [("hel", "hel"), (BACKSPACE, f"{PAINTED}he\r\x1b[4C"), ("lx", "lx"), (CTRL_U, f"{PAINTED}\r\x1b[2C")],
    "newline": [(f"ab{CTRL_J}cd", f"ab{PAINTED}ab\r\n\rcd")],
    "inside": [
        ("echo a", "echo a"),
        (LEFT, "\x1b[D"),
        ("b", f"{PAINTED}echo ba\r\x1b[8C"),
        (RIGHT, "\x1b[C"),
    ],
    "open fence": [
        ("echo ```", "echo ```"),
        ("\r", f"{PAINTED}echo ```\r\n\r"),
        ("x\r", f"x\r\x1b[K\x1b[A{PAINTED}echo ```\r\nx\r\n\r"),
    ],
    "backslash": [("echo b\\", "echo b\\"), ("\r", f"{PAINTED}echo b\\\r\n\r"), ("c", "c")],
    "paste": [
        ("你好", "你好"),
        ("\x1b[200~a\nb\n\nc\x1b[201~", f"{PAINTED}你好a\r\nb\r\n\r\nc\r\x1b[1C"),
        ("d", "d"),
        (BACKSPACE, f"{UP_THREE}{PAINTED}你好a\r\nb\r\n\r\nc\r\x1b[1C"),
        (BACKSPACE, f"{UP_THREE}{PAINTED}你好a\r\nb\r\n\r\n\r"),
        (CTRL_U, f"{UP_THREE}{PAINTED}你好a\r\nb\r\n\r"),
    ],
    "tab": [("\x1b[200~echo a\tb\x1b[201~", f"{PAINTED}echo a\tb\r\x1b[17C")],
    "to the edge": [(f"\x1b[200~{'a' * 78}\x1b[201~", f"{PAINTED}{'a' * 78}\r\n\r")],
    "wrapped": [(f"\x1b[200~{'世' * 40}\x1b[201~", f"{PAINTED}{'世' * 40}\r\x1b[2C")],
    "hint": [
        ("/he", "".join(f"{PAINTED}{text}\x1b[38;5;240m{hint}\x1b[m\r\x1b[{at}C" for text, hint, at in HE)),
        ("\t", f"{PAINTED}/help\r\x1b[7C"),
    ],
}


@pytest.mark.parametrize("steps", CASES.values(), ids=CASES.keys())
def test_keys_paint_what_q_paints(tmp_path: Path, steps: list[tuple[str, str]]) -> None:
    with Demo(tmp_path) as demo:
        for keys, painted in steps:
            demo.keys(keys)
            demo.expect(painted)


def test_history_comes_back_with_the_arrows(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.say("echo b\nc")
        for keys, painted in (
            (UP, f"{PAINTED}echo b\r\nc\r\x1b[1C"),
            (DOWN, f"\r\x1b[K\x1b[A{PAINTED}\r\x1b[2C"),
        ):
            demo.keys(keys)
            demo.expect(painted)


def test_the_modes_of_the_terminal_tell_when_it_reads(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        assert not demo.is_cooked()
        demo.paste("pause 1")
        demo.until_text("before")
        assert demo.is_cooked()
        demo.until_ready()
        assert not demo.is_cooked()


def test_an_empty_line_only_asks_again(tmp_path: Path) -> None:
    again = f"\x1b[?2004l\r\n\x1b[?2004h{PAINTED}\r\x1b[2C"
    with Demo(tmp_path) as demo:
        demo.keys("\r")
        demo.expect(again)
        demo.keys("   \r")
        demo.expect(f"   {again}")


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_twice_leaves(tmp_path: Path, key: str) -> None:
    with Demo(tmp_path) as demo:
        demo.keys(key)
        shown = demo.until(lambda text: EXIT_HINT in text and text.count(PAINTED) == 1 and "\x1b[?2004h" in text)
        assert shown.startswith("\x1b[?2004l\r\n")
        demo.keys(key)
        shown, status = demo.until_over()
        assert shown.endswith("\x1b[?2004l\r\n\x1b[1G\x1b[0m\x1b[0m\x1b[?25h")
        assert status == 0


def test_a_message_takes_the_first_ctrl_c_back(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.keys("half\x03")
        demo.until(lambda text: EXIT_HINT in text and PAINTED in text)
        demo.say("hello")
        demo.keys("\x03")
        demo.until_text(EXIT_HINT)
        demo.say("echo still here")
        assert demo.answers[-1] == "still here"


def test_sigint_at_the_prompt_is_ignored(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.sigint()
        demo.sigint()
        assert demo.say("echo alive").startswith(accepted("echo alive"))
        assert demo.answers == ["alive"]


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 7])
def test_a_paste_may_be_cut_inside_a_character(tmp_path: Path, cut: int) -> None:
    data = "\x1b[200~echo 你好 🌍\n\nend\x1b[201~\r".encode()
    with Demo(tmp_path) as demo:
        for at in range(0, len(data), cut):
            demo.keys(data[at : at + cut])
        demo.until_ready()
        assert demo.answers == ["你好 🌍\n\nend"]


def test_a_megabyte_arrives_whole(tmp_path: Path) -> None:
    text = "hello " + "0123456789 äöü\n" * 60_000 + "end"
    assert len(text.encode()) > 1 << 20
    with Demo(tmp_path) as demo:
        demo.say(text)
        assert demo.history[0]["user"]["content"]["Prompt"]["prompt"] == text
        assert demo.answers == ["Hello! How can I help you today?"]


def test_what_is_not_a_message(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        assert f"\r\nhi\r\nerr\r\n\x1b[38;5;11mSelf exited with status: exit status: 1\r\n\x1b[0m{READY}" in demo.say(
            "!echo hi; echo err >&2; false"
        )
        assert "shell\r\n" in demo.say("\u200b  !echo shell")
        assert "prompt \x1b[38;5;11mnosuch\x1b[0m not found" in demo.say("@nosuch a b")
        assert "unrecognized subcommand '\x1b[33m!echo\x1b[0m'" in demo.say("/!echo no")
        assert "You said: etc/x hello" in demo.say("/etc/x hello")
        assert "here\r\n" in demo.say("/!/bin/echo here")
        demo.say("echo a\u200bb\u200dc ")
        assert demo.answers[-1] == "abc"
        assert demo.history[-1]["user"]["content"]["Prompt"]["prompt"] == "echo abc "


def test_a_command_at_the_prompt_has_the_terminal(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.paste("!read x; echo got $x")
        demo.until_text("?2004l\r\n\r\n")
        assert demo.is_cooked()
        demo.keys("zz\r")
        assert "zz\r\ngot zz\r\n" in demo.until_ready()
