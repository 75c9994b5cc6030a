"""Histories for the CLI to take up, without the CLI."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.agent import history as module
from qpty.agent.history import (
    CommandPathError,
    Exchange,
    HistoryStateError,
    HistoryTextError,
    HistoryTooLargeError,
    load_command,
    save_command,
    save_history,
    write_history,
)
from qpty.agent.record import ConversationRecord, RecordMissingError, RecordShapeError

EXCHANGES = [Exchange(prompt="remember\nblue\t ❤️", answer=" ok\x1b[31m"), Exchange(prompt="y", answer="")]
STATE = {
    "conversation_id": "fresh",
    "next_message": None,
    "history": [],
    "valid_history_range": [0, 0],
    "transcript": ["> /save x"],
    "tools": {"native___": [{"ToolSpecification": {"name": "fresh tool"}}]},
    "context_manager": {"paths": ["AmazonQ.md"]},
    "latest_summary": None,
    "model_info": {"model_id": "fresh model"},
    "mcp_enabled": False,
}


def put(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value))
    return path


def get(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_bytes())
    return value


def database(path: Path, directory: Path, value: object) -> ConversationRecord:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS conversations (key TEXT PRIMARY KEY, value TEXT)")
        connection.execute("INSERT OR REPLACE INTO conversations VALUES (?, ?)", (str(directory.resolve()), value))
    return ConversationRecord(path, directory)


def test_a_made_up_history_holds_the_exchanges_and_the_processs_own_tools(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    write_history(path, EXCHANGES, directory=tmp_path, state=put(tmp_path / "state.json", STATE))
    document = get(path)
    said = [
        (entry["user"]["content"]["Prompt"]["prompt"], entry["assistant"]["Response"]["content"])
        for entry in document["history"]
    ]
    assert said == [(exchange.prompt, exchange.answer) for exchange in EXCHANGES]
    assert document["valid_history_range"] == [0, 2]
    assert {name: document[name] for name in ("tools", "context_manager", "model_info", "mcp_enabled")} == {
        name: STATE[name] for name in ("tools", "context_manager", "model_info", "mcp_enabled")
    }
    assert document["conversation_id"] not in {"fresh", ""}
    assert document["transcript"] == []


def test_the_file_is_private_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_text("old")
    path.chmod(0o644)
    write_history(path, EXCHANGES, directory=tmp_path, state=None)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.json"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_history(path, EXCHANGES, directory=tmp_path, state=None)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_with_the_mark_of_a_made_up_history_only_what_follows_is_new(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    mark = write_history(path, EXCHANGES, directory=tmp_path, state=None)
    document = get(path)
    assert (mark.length, mark.conversation_id) == (2, document["conversation_id"])
    following = document["history"][1] | {
        "assistant": {"Response": {"message_id": "m1", "content": "new"}},
    }
    record = database(tmp_path / "db", tmp_path, json.dumps(document | {"history": [*document["history"], following]}))
    new = record.since(mark)
    assert [entry.text for entry in new.entries] == ["new"]
    assert not new.rewritten


def test_each_made_up_history_is_a_conversation_of_its_own(tmp_path: Path) -> None:
    marks = [write_history(tmp_path / "h", EXCHANGES, directory=tmp_path, state=None) for _ in range(2)]
    assert marks[0].conversation_id != marks[1].conversation_id


@pytest.mark.parametrize(
    ("exchange", "part", "message"),
    [
        (Exchange(prompt=" \n", answer="a"), "prompt", "the prompt of exchange 1 is empty"),
        (Exchange(prompt="\ud800", answer="a"), "prompt", "not Unicode text"),
        (Exchange(prompt="p", answer="\udfff"), "answer", "the answer of exchange 1 is not Unicode text"),
    ],
)
def test_an_exchange_that_cannot_be_held_is_named(tmp_path: Path, exchange: Exchange, part: str, message: str) -> None:
    with pytest.raises(HistoryTextError, match=message) as caught:
        write_history(tmp_path / "h", [EXCHANGES[0], exchange], directory=tmp_path, state=None)
    assert (caught.value.index, caught.value.part) == (1, part)
    assert list(tmp_path.iterdir()) == []


def test_a_history_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HistoryTooLargeError, match="4901 exchanges and the limit is 4900"):
        write_history(tmp_path / "h", [EXCHANGES[0]] * 4901, directory=tmp_path, state=None)
    monkeypatch.setattr(module, "MAX_BYTES", 3_000)
    with pytest.raises(HistoryTooLargeError) as caught:
        write_history(tmp_path / "h", [Exchange(prompt="p", answer="é" * 2_000)], directory=tmp_path, state=None)
    assert (caught.value.unit, caught.value.limit) == ("bytes", 3_000)
    with pytest.raises(HistoryTooLargeError):
        write_history(tmp_path / "h", [], directory=tmp_path, state=put(tmp_path / "s", STATE | {"x": "y" * 3_000}))
    assert not (tmp_path / "h").exists()


@pytest.mark.parametrize("content", ["", "nope", "[]", '{"tools": []}', "{}"])
def test_a_state_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    state = tmp_path / "state.json"
    state.write_text(content)
    with pytest.raises(HistoryStateError, match="not a conversation state saved by the CLI") as caught:
        write_history(tmp_path / "h", EXCHANGES, directory=tmp_path, state=state)
    assert caught.value.path == state
    with pytest.raises(FileNotFoundError):
        write_history(tmp_path / "h", EXCHANGES, directory=tmp_path, state=tmp_path / "none")


def test_a_saved_history_is_the_row_with_the_fresh_processs_tools(tmp_path: Path) -> None:
    write_history(tmp_path / "h", EXCHANGES, directory=tmp_path, state=None)
    row = get(tmp_path / "h") | {"tools": {"old": []}, "latest_summary": ["s", {}], "model_info": None, "novel": 1}
    record = database(tmp_path / "db", tmp_path, json.dumps(row))
    mark = save_history(record, tmp_path / "saved", state=put(tmp_path / "state", STATE))
    assert mark == record.mark()
    fresh = {name: STATE[name] for name in ("tools", "context_manager", "model_info", "mcp_enabled")}
    assert get(tmp_path / "saved") == row | fresh
    assert (tmp_path / "saved").stat().st_mode & 0o777 == 0o600
    save_history(record, tmp_path / "saved", state=None)
    assert get(tmp_path / "saved") == row


def test_without_a_usable_row_nothing_is_saved(tmp_path: Path) -> None:
    record = database(tmp_path / "db", tmp_path / "other", "{}")
    with pytest.raises(RecordMissingError, match="holds no conversation"):
        save_history(ConversationRecord(record.database, tmp_path), tmp_path / "saved", state=None)
    with pytest.raises(RecordShapeError):
        save_history(record, tmp_path / "saved", state=None)
    assert not (tmp_path / "saved").exists()


def test_the_commands_are_words_that_a_shell_would_split_alike() -> None:
    path = Path('/a b/it\'s "x"/back\\slash/$HOME/*~#`.json')
    assert shlex.split(load_command(path)) == ["/load", str(path)]
    assert shlex.split(save_command(path)) == ["/save", "--force", str(path)]
    assert load_command(Path("/sessions/1/history.json")) == "/load /sessions/1/history.json"


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("relative.json", "not absolute"),
        ("~/x.json", "not absolute"),
        ("/a\nb", r"U\+000A"),
        ("/a\x1b[201~b", r"U\+001B"),
        ("/a\x9bb", r"U\+009B"),
        ("/a\u200bb", r"U\+200B, which the CLI deletes"),
        ("/a\u202eb", r"U\+202E"),
        ("/a\U000e0001b", r"U\+E0001"),
        ("/a\udcffb", "not UTF-8"),
        ("/a```b", "code block"),
    ],
)
def test_a_path_that_cannot_be_typed_is_refused(path: str, detail: str) -> None:
    for command in (load_command, save_command):
        with pytest.raises(CommandPathError, match=detail) as caught:
            command(Path(path))
        assert caught.value.path == Path(path)


@given(st.text(min_size=1, max_size=30))
def test_a_command_is_one_line_of_printable_text_or_refused(name: str) -> None:
    path = Path("/dir") / name
    try:
        command = load_command(path)
    except CommandPathError:
        return
    assert shlex.split(command) == ["/load", str(path)]
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in command)
    command.encode()
