"""The conversation record: q's shape, written when q writes it, taken up again."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.agent.demo.demo import PROMPT, READY, Demo, accepted

if TYPE_CHECKING:
    from pathlib import Path

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_the_shape_is_q_s(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.say("hello")
        record = demo.record
        keys = "conversation_id next_message history valid_history_range transcript tools context_manager"
        more = "context_message_length latest_summary model_info file_line_tracker checkpoint_manager mcp_enabled"
        assert list(record) == [*keys.split(), *more.split()]
        assert UUID.fullmatch(record["conversation_id"])
        assert record["valid_history_range"] == [0, 0]
        assert record["transcript"] == ["> hello", "Hello! How can I help you today?\n[Tool uses: none]"]
        assert [spec["ToolSpecification"]["name"] for spec in record["tools"]["native___"]][:3] == [
            "execute_bash", "fs_read", "fs_write",
        ]  # fmt: skip
        [entry] = record["history"]
        directory = str(demo.directory.resolve())
        assert entry["user"].pop("timestamp").endswith("Z")
        assert entry["user"] == {
            "additional_context": "",
            "env_context": {
                "env_state": {
                    "operating_system": "linux",
                    "current_working_directory": directory,
                    "environment_variables": [],
                }
            },
            "content": {"Prompt": {"prompt": "hello"}},
            "images": None,
        }
        answer = entry["assistant"]["Response"]
        assert UUID.fullmatch(answer["message_id"])
        assert answer["content"] == "Hello! How can I help you today?"
        metadata = entry["request_metadata"]
        assert metadata["message_id"] == answer["message_id"]
        assert metadata["request_start_timestamp_ms"] <= metadata["stream_end_timestamp_ms"]
        assert (metadata["user_prompt_length"], metadata["response_size"]) == (163, 32)
        assert (metadata["chat_conversation_type"], metadata["tool_use_ids_and_names"]) == ("NotToolUse", [])


def test_a_tool_call_is_there_when_it_is_asked_for(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.say("bash sleep 5")
        use = demo.history[-1]["assistant"]["ToolUse"]
        [tool] = use["tool_uses"]
        arguments = {"command": "sleep 5", "summary": "run sleep 5"}
        assert use["content"] == "Let me run that. "
        assert (tool["name"], tool["orig_name"], tool["args"], tool["orig_args"]) == (
            "execute_bash", "execute_bash", arguments, arguments,
        )  # fmt: skip
        metadata = demo.history[-1]["request_metadata"]
        assert metadata["tool_use_ids_and_names"] == [[tool["id"], "execute_bash"]]
        assert (metadata["user_prompt_length"], metadata["response_size"]) == (170, 65)


def test_a_fresh_process_begins_anew_and_replaces_the_record(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.say("remember blue")
        first = demo.record["conversation_id"]
    with Demo(tmp_path) as demo:
        assert demo.record["conversation_id"] == first
        demo.say("recall")
        assert demo.answers == ["I remember nothing."]
        assert demo.record["conversation_id"] != first


def test_resume_asks_for_a_summary_unless_there_is_a_message(tmp_path: Path) -> None:
    with Demo(tmp_path, "--resume") as demo:
        assert demo.seen.endswith(READY)
        assert "\x1b[38;5;10m" not in demo.seen
        demo.say("remember blue")
    with Demo(tmp_path, "--resume") as demo:
        assert "We talked a little." in demo.seen
        demo.say("recall")
        assert demo.answers[-1] == "You told me: blue"
    with Demo(tmp_path, "--resume", "history") as demo:
        assert "3 earlier messages: remember blue | In a few words, summarize our conversation so far." in demo.seen


def test_resume_refuses_a_tool_that_was_pending(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.say("bash touch made")
    with Demo(tmp_path, "--resume", "never mind") as demo:
        assert "Tool use was cancelled by the user" in demo.seen
        assert demo.history[-1]["user"]["content"]["CancelledToolUses"]["prompt"] == "never mind"


def clear(demo: Demo) -> str:
    """Ask to clear; the question may come before or after its prompt, as in q."""
    demo.paste("/clear")
    return demo.until(lambda text: PROMPT.search(text) is not None and text.count("\x1b[?25h") == 1)


def test_save_load_and_clear(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.say("remember blue")
        done = "\r\n\x1b[38;5;10m\r\n✔ {} conversation state {} {}\r\n\r\n\x1b[0m\r\n" + READY
        saved = tmp_path / "s.json"
        command = f"/save {saved}"
        assert demo.say(command).endswith(done.format("Exported", "to", saved))
        assert "already exists. To overwrite, use -f or --force" in demo.say(command)
        assert demo.say(f"/save --force {saved}").endswith(done.format("Exported", "to", saved))
        asked = clear(demo)
        assert "Are you sure? This will erase the conversation history" in asked
        assert "\x1b[38;5;11m> \x1b[39m" in asked
        assert "Conversation history cleared." in demo.say("y")
        demo.say("recall")
        assert demo.answers == ["I remember nothing."]
        assert demo.say(f"/load {saved}").endswith(done.format("Imported", "from", saved))
        demo.say("recall")
        assert demo.answers == ["I will remember that.", "You told me: blue"]
        clear(demo)
        demo.say("hello")  # anything but y is a no, and is swallowed
        demo.say("history")
        assert demo.answers[-1] == "2 earlier messages: remember blue | recall"
        assert "Failed to import from /nosuch: No such file or directory (os error 2)" in demo.say("/load /nosuch")


def test_a_made_up_history_can_be_loaded(tmp_path: Path) -> None:
    entry = {
        "user": {
            "additional_context": "",
            "env_context": {"env_state": {}},
            "content": {"Prompt": {"prompt": "remember green"}},
            "timestamp": None,
            "images": None,
        },
        "assistant": {"Response": {"message_id": None, "content": "Gladly."}},
        "request_metadata": None,
    }
    state = {"conversation_id": "x", "next_message": None, "history": [entry], "valid_history_range": [0, 1]}
    path = tmp_path / "made-up.json"
    path.write_text(json.dumps({**state, "transcript": [], "tools": {}}))
    with Demo(tmp_path) as demo:
        demo.say(f"/load {path}")
        demo.say("recall")
        assert demo.answers == ["Gladly.", "You told me: green"]
        path.write_text('{"history": [1]}')
        assert f"Failed to import from {path}: it is not a conversation" in demo.say(f"/load {path}")


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.say("hello")
        other = sqlite3.connect(demo.data / "data.sqlite3", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        demo.paste("echo late")
        demo.until_text("late\x1b[0m\x1b[0m\r\n")
        other.execute("COMMIT")
        other.close()
        demo.until_ready()
        assert demo.answers[-1] == "late"


def test_the_data_follows_xdg_data_home(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    with Demo(tmp_path, XDG_DATA_HOME=str(elsewhere)) as demo:
        demo.say("hello")
        assert (elsewhere / "qpty-demo" / "data.sqlite3").exists()
        assert not (demo.data / "data.sqlite3").exists()
        assert (elsewhere / "qpty-demo").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("message", ["  padded  ", "echo two\nlines", "echo tab\there"])
def test_the_prompt_is_kept_as_it_was_given(tmp_path: Path, message: str) -> None:
    with Demo(tmp_path) as demo:
        assert demo.say(message) != accepted("")
        assert demo.history[0]["user"]["content"]["Prompt"]["prompt"] == message
