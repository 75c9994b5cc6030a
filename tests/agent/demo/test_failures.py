"""What a failing service looks like: the real q's bytes, its waits (scaled), and what is left of the session."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.agent.demo.demo import READY, THINKING, Demo, accepted, answered

if TYPE_CHECKING:
    from pathlib import Path

CLEARED = "\x1b[2K\x1b[1G"
HEADLINE = "\x1b[1m\x1b[38;5;9mAmazon Q is having trouble responding right now: \r\n"
PANIC = (
    "\x1b[31mThe application panicked (crashed).\x1b[0m\r\nMessage:  \x1b[36mnext_message should not exist\x1b[0m\r\n"
)
HELLO = "Hello! How can I help you today?"


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("boom", '5: Error { code: "InternalServerException", message: "something broke", aws_request_id: "'),
        (
            "denied",
            '5: Error { code: "AccessDeniedException", message: "User is not authorized to make this call.", aws',
        ),
        (
            "suspended",
            '5: Error { code: "AccessDeniedException", message: "Your account is TEMPORARILY_SUSPENDED", aws',
        ),
        ("expired", "The bearer token included in the request is invalid."),
    ],
)
def test_a_refused_request_is_said_and_leaves_the_session_usable(tmp_path: Path, message: str, cause: str) -> None:
    with Demo(tmp_path) as demo:
        shown = demo.say(message)
        assert shown.startswith(f"{accepted(message)}{THINKING}{CLEARED}{HEADLINE}   0: Failed to send the request: ")
        assert cause in shown
        assert shown.endswith(f"include source snippets.\r\n\x1b[0m\x1b[0m{READY}")
        assert demo.history == []
        assert demo.say("hello").endswith(answered(HELLO))


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("broken", "error: dispatch failure (io error): request or response body error"),
        ("streamerror", "error: unhandled error"),
    ],
)
def test_a_broken_stream_is_said_on_the_answer_s_line(tmp_path: Path, message: str, error: str) -> None:
    with Demo(tmp_path) as demo:
        shown = demo.say(message)
        assert f"> \x1b[0mthis answer {HEADLINE}   0: Failed to receive the next message: request_id: " in shown
        assert f", {error}\r\n\r\nLocation:\r\n" in shown
        assert demo.history == []
        demo.say("hello")
        assert demo.answers == [HELLO]


def test_a_rate_limit_warns_twice_while_the_spinner_turns(tmp_path: Path) -> None:
    warning = "\x1b[38;5;11m\r\nWARNING: \x1b[0mRetry #{}, retrying within 10.0s..\r\n"
    with Demo(tmp_path) as demo:
        assert demo.say("throttle") == (
            f"{accepted('throttle')}{THINKING}{warning.format(2)}{warning.format(3)}{CLEARED}"
            "\x1b[1m\x1b[38;5;9m ⚠️  Amazon Q rate limit reached:\r\n"
            f"    Request quota exceeded. Please wait a moment and try again.\r\n\r\n\x1b[0m\x1b[0m{READY}"
        )
        assert demo.say("hello").endswith(answered(HELLO))


def test_the_turn_after_a_rate_limit_is_slow(tmp_path: Path) -> None:
    with Demo(tmp_path, QPTY_DEMO_RETRY_SECONDS="0.2") as demo:
        demo.say("throttle")
        demo.paste("hello")
        shown = demo.until(lambda text: "Hello!" in text, frames=True)
        assert shown.count("Thinking...") >= 4
        demo.until_ready()


def test_the_monthly_limit_dooms_the_next_message(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        shown = demo.say("monthly")
        assert f"{CLEARED}\x1b[38;5;11mMonthly request limit reached\x1b[0m\r\n\r\nYou've used all your" in shown
        assert re.search(r"The limits reset on \d\d/01\.\x1b\[38;5;8m\r\n", shown)
        demo.paste("hello")
        shown, status = demo.until_over()
        assert PANIC in shown
        assert shown.endswith("\x1b[1G\x1b[0m\x1b[0m\x1b[?25h")
        assert status == 101


@pytest.mark.parametrize("earlier", [0, 3])
def test_an_overflow_of_a_short_conversation_dooms_it_too(tmp_path: Path, earlier: int) -> None:
    with Demo(tmp_path) as demo:
        for _ in range(earlier):
            demo.say("hello")
        shown = demo.say("overflow")
        assert shown.count("The context window has overflowed, summarizing the history...") == (2 if earlier else 1)
        assert ("Conversation history has been compacted successfully!" in shown) == bool(earlier)
        assert shown.endswith(f"\x1b[38;5;11m\r\nConversation too short to compact.\r\n\r\n\x1b[0m{READY}")
        demo.paste("hello")
        assert demo.until_over()[1] == 101


def menu(*lines: str) -> str:
    title = "\x1b[?25l\x1b[35m?\x1b[0m \x1b[1mSelect a model for this chat session\x1b[0m \x1b[38;5;8m›\x1b[0m\r\n"
    return title + "".join(f"{text}\r\n" for text in lines)


ON, OFF = "\x1b[32m❯\x1b[0m \x1b[36m{} | A demo without a model\x1b[0m", "  {} | A demo without a model"


def test_an_overloaded_model_opens_a_menu(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.paste("capacity")
        opened = menu(ON.format("demo-sonnet (active)"), OFF.format("demo-haiku"))
        shown = demo.until(lambda text: text.endswith(opened))
        assert "The model you've selected is temporarily unavailable. Please select a different model.\r\n" in shown
        assert demo.until(lambda text: True) == ""
        demo.keys("\x03")
        demo.expect(READY)
        assert demo.history == []


@pytest.mark.parametrize(
    ("keys", "model"), [("\x1b[B\r", "demo-haiku"), ("j\r", "demo-haiku"), ("jk\r", "demo-sonnet")]
)
def test_a_model_is_chosen_from_the_menu(tmp_path: Path, keys: str, model: str) -> None:
    with Demo(tmp_path) as demo:
        demo.paste("/model")
        demo.until_text("demo-haiku | A demo without a model\r\n")
        demo.keys(keys)
        shown = demo.until_ready()
        assert f"\x1b[?25h\x1b[38;5;13m\x1b[0m\r\n Using {model}\r\n\r\n" in shown
        demo.say("hello")
        assert demo.history[-1]["request_metadata"]["model_id"] == model


def test_escape_leaves_the_menu(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.paste("/model")
        demo.until_text("demo-haiku | A demo without a model\r\n")
        demo.keys("\x1b")
        assert "Using" not in demo.until_ready()
        assert demo.say("hello").endswith(answered(HELLO))
