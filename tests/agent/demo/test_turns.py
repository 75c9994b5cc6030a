"""A turn on the terminal, byte for byte as the real q 1.19.7 was captured (spinner frames taken out)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agent.demo.demo import PAINTED, PROMPT, READY, THINKING, Demo, accepted, answered

if TYPE_CHECKING:
    from pathlib import Path

GREETING = "\x1b[38;5;14m🤖 You are chatting with demo-sonnet (demo agent, no model)\r\n\x1b[0m\r\n"


def test_a_turn_has_q_s_bytes(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        assert demo.seen == GREETING + READY
        assert demo.say("hello") == accepted("hello") + THINKING + answered("Hello! How can I help you today?")


def test_it_says_that_it_is_a_demo(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        assert "(demo agent, no model) You said: what is up?" in demo.say("what is up?")
        demo.say("help")
        assert demo.answers[-1].startswith("(demo agent, no model) I answer by a message's first word")


def test_the_greeting_can_be_long(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    (demo.data / "settings.json").write_text("{}")
    with demo:
        assert "there is no model behind it" in demo.seen


def test_an_answer_is_typed_a_word_a_write(tmp_path: Path) -> None:
    with Demo(tmp_path, QPTY_DEMO_PACE="0.03") as demo:
        demo.paste("echo one two")
        demo.until_text("\x1b[0mone")
        assert demo.until_text(" ") == " "
        assert demo.until_text("two") == "two"
        demo.until_ready()


def test_lines_lose_what_q_loses(tmp_path: Path) -> None:
    end = "\x1b[0m\x1b[0m\r\n"
    with Demo(tmp_path) as demo:
        shown = demo.say("echo x\n  two\n one\n\ttab\nesc\x1b[31m")
        assert f"> \x1b[0mx{end} two{end}one{end}tab{end}esc[31m{end}{end}{READY}" in shown
        assert demo.answers[-1] == "x\n  two\n one\n\ttab\nesc\x1b[31m"


def test_the_spinner_turns_while_nothing_comes(tmp_path: Path) -> None:
    with Demo(tmp_path, QPTY_DEMO_RETRY_SECONDS="30") as demo:
        demo.paste("throttle")
        shown = demo.until(lambda text: text.count("Thinking...") >= 3, frames=True)
        assert "\r⠋ Thinking...\r⠙ Thinking...\r⠹ Thinking..." in shown


def test_frames_come_before_what_logically_comes_first(tmp_path: Path) -> None:
    early = 0
    with Demo(tmp_path, QPTY_DEMO_INTERLEAVE="1") as demo:
        for _ in range(8):
            demo.paste("echo x")
            shown = demo.until(lambda text: PROMPT.search(text) is not None, frames=True)
            early += shown.index("⠋ Thinking...") < shown.index("\x1b[?25l")
            assert "> \x1b[0mx\x1b[0m" in shown
    assert early >= 6


def test_a_silence_is_silent_and_ends_nothing(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.paste("pause 1")
        demo.until_text("before the ")
        assert demo.is_cooked()
        assert demo.until_ready() == f"pause after the pause.\x1b[0m\x1b[0m\r\n\x1b[0m\x1b[0m\r\n{READY}"


@pytest.mark.parametrize("how", ["key", "signal"])
@pytest.mark.parametrize("message", ["slow 50", "think 30", "throttle"])
def test_an_interrupt_ends_a_turn_and_keeps_nothing(tmp_path: Path, how: str, message: str) -> None:
    with Demo(tmp_path, QPTY_DEMO_RETRY_SECONDS="30") as demo:
        demo.say("hello")
        demo.paste(message)
        demo.until_text("part 1" if message == "slow 50" else "\x1b[?25l")
        demo.keys("\x03") if how == "key" else demo.sigint()
        shown = demo.until_ready()
        assert shown.endswith(f"\r\n\r\n{READY}")
        assert ("^C" in shown) == (how == "key")
        assert len(demo.history) == 1
        assert "1 earlier messages: hello" in demo.say("history")


def test_keys_between_turns_are_echoed_and_left_for_later(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.paste("pause 1")
        demo.until_text("before the ")
        demo.keys("echo early\r")
        shown = demo.until_text(f"{PAINTED}echo early\r\n\r")  # a cooked Enter is a newline to the editor
        assert shown.startswith("echo early\r\n")  # the terminal's own echo, in the middle of the answer
        demo.keys("\r")
        demo.until_ready()
        assert demo.answers[-1] == "early"


def test_directives_answer_as_the_shared_tests_expect(tmp_path: Path) -> None:
    docs = tmp_path / "docs.json"
    docs.write_text('["first", "# second\\n\\ttab"]')
    with Demo(tmp_path, QPTY_DEMO_DOCS=str(docs)) as demo:
        expected = {
            "echo a b": "a b",
            "count 3": "line 1\nline 2\nline 3",
            "words 2": "word1 word2",
            "long 4": "xxxx",
            "wide 1": "你好世界",
            "slow 2": "part 1 part 2 end.",
            "think 0": "thought about it.",
            "recall": "I remember nothing.",
            "remember me": "I will remember that.",
            "images": "I got 0 images.",
            "doc 1": "# second\n\ttab",
            'PLAN: [{"text": "as planned"}]': "as planned",
            'PLAN: [{"tool": "Read", "input": {}}]': "(no tool Read)",
        }
        for message, answer in expected.items():
            demo.say(message)
            assert demo.answers[-1] == answer
        demo.say("recall")
        assert demo.answers[-1] == "You told me: me"
        demo.say("history")
        assert demo.answers[-1].startswith("14 earlier messages: echo a b | count 3 | ")
