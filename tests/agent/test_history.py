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
    cut_document,
    import_document,
    load_command,
    save_command,
    save_history,
    write_document,
    write_history,
)
from qpty.agent.record import ConversationRecord, RecordMissingError, RecordShapeError
from qpty.core.record import NO_RECORD, RecordedEntry, RecordedImage, RecordedResult, RecordedTool

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


def asked(prompt: str, *calls: str, text: str = "a", **more: Any) -> RecordedEntry:
    """An entry with a prompt, and calls of these ids."""
    tools = tuple(RecordedTool(tool_id=call, name="add", arguments={"n": [1, None]}) for call in calls)
    return RecordedEntry(message_id=None, prompt=prompt, text=text, tools=tools, **more)


def told(*ids: str, text: str = "b", **more: Any) -> RecordedEntry:
    """An entry with the results of these calls."""
    results = tuple(RecordedResult(tool_id=one, ok=one != "bad", text=f"r {one}") for one in ids)
    return RecordedEntry(message_id=None, prompt=None, results=results, text=text, **more)


def test_what_is_imported_is_what_the_record_then_has(tmp_path: Path) -> None:
    image = RecordedImage(format="webp", data=bytes(range(256)))
    entries = (
        asked("p1", "one", "bad", images=(image,)),
        told("one", "bad", text=""),
        asked("p2", text="Response timed out"),
        asked("p3", "two"),
        told("two", images=(image, image)),
        asked("p4", "last"),
    )
    document = import_document(entries, directory=tmp_path)
    record = database(tmp_path / "db", tmp_path, json.dumps(document))
    assert record.since(NO_RECORD).entries == entries
    assert [tool.tool_id for tool in record.last_calls()] == ["last"]
    assert document["valid_history_range"] == [0, 6]
    write_document(tmp_path / "h", document, state=put(tmp_path / "state", STATE))
    assert get(tmp_path / "h")["tools"] == STATE["tools"]


def test_an_import_goes_on_from_a_conversation_without_changing_it(tmp_path: Path) -> None:
    base = import_document([asked("p1", "one")], directory=tmp_path) | {"latest_summary": ["s", {}], "novel": 1}
    before = json.dumps(base)
    document = import_document([told("one"), asked("p2")], directory=tmp_path, base=base)
    assert json.dumps(base) == before
    assert document["history"][:1] == base["history"]
    assert (document["latest_summary"], document["novel"]) == (["s", {}], 1)
    assert document["conversation_id"] != base["conversation_id"]
    record = database(tmp_path / "db", tmp_path, json.dumps(document))
    assert [entry.prompt for entry in record.since(NO_RECORD).entries] == ["p1", None, "p2"]
    assert record.last_calls() == ()
    assert cut_document(document, length=2, message_id=None)["history"] == document["history"][:2]


def test_a_call_without_a_result_gets_the_clis_own(tmp_path: Path) -> None:
    entries = [asked("p1", "one", "two"), told("two"), asked("p2", "three"), asked("p3")]
    document = import_document(entries, directory=tmp_path)
    history = document["history"]
    read = database(tmp_path / "db", tmp_path, json.dumps(document)).since(NO_RECORD).entries
    assert [(entry.cancelled, entry.made_up) for entry in read] == [(False, False)] * 3 + [(True, False)]
    cancelled = {"content": [{"Text": "Tool use was cancelled by the user"}], "status": "Error"}
    results = history[1]["user"]["content"]["ToolUseResults"]["tool_use_results"]
    assert [result["tool_use_id"] for result in results] == ["two", "one"]
    assert results[1] == {"tool_use_id": "one", **cancelled}
    assert history[3]["user"]["content"] == {
        "CancelledToolUses": {"prompt": "p3", "tool_use_results": [{"tool_use_id": "three", **cancelled}]}
    }


@pytest.mark.parametrize(
    ("entries", "index", "part"),
    [
        ([told()], 0, "prompt"),
        ([asked(" ")], 0, "prompt"),
        ([asked("\ud800")], 0, "prompt"),
        ([asked("p", text="\ud800")], 0, "answer"),
        ([asked("p", "\ud800")], 0, "answer"),
        ([told("one")], 0, "results"),
        ([asked("p"), told("one")], 1, "results"),
        ([asked("p", "one"), told("one", "two")], 1, "results"),
        ([asked("p", "one"), told("one", "one")], 1, "results"),
        ([asked("p", "one"), told("one"), told("one")], 2, "results"),
        ([asked("p", "one"), asked("p", results=(RecordedResult(tool_id="one", ok=True, text=""),))], 1, "results"),
        ([asked("p", images=(RecordedImage(format="svg", data=b""),))], 0, "images"),
    ],
)
def test_what_the_models_service_would_refuse_is_not_imported(
    tmp_path: Path, entries: list[RecordedEntry], index: int, part: str
) -> None:
    with pytest.raises(HistoryTextError) as caught:
        import_document(entries, directory=tmp_path)
    assert (caught.value.index, caught.value.part) == (index, part)


def test_an_import_is_bounded(tmp_path: Path) -> None:
    base = import_document([asked("p")] * 4_000, directory=tmp_path)
    with pytest.raises(HistoryTooLargeError, match="4901 exchanges"):
        import_document([asked("p")] * 901, directory=tmp_path, base=base)


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
