"""The CLI's own record, on databases with the CLI's schema made here."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qpty.agent import record as module
from qpty.agent.record import (
    ConversationRecord,
    RecordLockedError,
    RecordMissingError,
    RecordShapeError,
    RecordUnreadableError,
)
from qpty.core.record import NO_RECORD, RecordedResult, RecordedTool

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = """
CREATE TABLE migrations (id INTEGER PRIMARY KEY, version INTEGER NOT NULL, migration_time INTEGER NOT NULL);
CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB);
CREATE TABLE conversations (key TEXT PRIMARY KEY, value TEXT);
INSERT INTO auth_kv VALUES ('codewhisperer:odic:token', '{"access_token": "canary"}');
"""

Entry = dict[str, Any]


class Book:
    """A database as the CLI writes it, and the reader of one directory's conversation."""

    def __init__(self, root: Path) -> None:
        self.path = root / "data.sqlite3"
        self.directory = root / "work"
        self.directory.mkdir()
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(SCHEMA)
        self.record = ConversationRecord(self.path, self.directory)

    def write(self, history: list[Entry], *, conversation_id: str = "one", **more: object) -> None:
        document = {"conversation_id": conversation_id, "next_message": None, "history": history} | more
        self.put(json.dumps(document, ensure_ascii=False))

    def put(self, value: object, *, directory: Path | None = None) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            key = str((directory or self.directory).resolve())
            connection.execute("INSERT OR REPLACE INTO conversations VALUES (?, ?)", (key, value))

    def drop(self) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("DELETE FROM conversations")


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


def user(content: object, *, timestamp: str | None = "2026-11-20T22:42:04.895547191Z") -> Entry:
    return {"additional_context": "", "env_context": {}, "content": content, "timestamp": timestamp, "images": None}


def said(prompt: str, answer: str, message_id: str | None) -> Entry:
    """A prompt and the model's final answer, as the CLI records them."""
    return {
        "user": user({"Prompt": {"prompt": prompt}}),
        "assistant": {"Response": {"message_id": message_id, "content": answer}},
        "request_metadata": {
            "message_id": message_id,
            "request_start_timestamp_ms": 1795214524895,
            "stream_end_timestamp_ms": 1795214524907,
            "user_prompt_length": 169,
            "response_size": 63,
            "model_id": "claude-sonnet-4.5",
        },
    }


def imported(prompt: str, answer: str) -> Entry:
    entry = said(prompt, answer, None)
    return entry | {"user": user({"Prompt": {"prompt": prompt}}, timestamp=None), "request_metadata": None}


def called(prompt: str, message_id: str, **use: object) -> Entry:
    tool = {"id": "tool-1", "name": "execute_bash", "args": {"command": "ls"}} | use
    return said(prompt, "", message_id) | {
        "assistant": {"ToolUse": {"message_id": message_id, "content": "Let me look. ", "tool_uses": [tool]}}
    }


def results(kind: str, items: list[object], status: str = "Success", **more: object) -> Entry:
    result = {"tool_use_id": "tool-1", "content": items, "status": status}
    return {kind: {"tool_use_results": [result]} | more}


def answered(content: Entry, answer: str, message_id: str | None) -> Entry:
    return said("", answer, message_id) | {"user": user(content, timestamp=None)}


def texts(entries: tuple[Any, ...]) -> list[str]:
    return [entry.text for entry in entries]


def test_a_directory_without_a_conversation_has_no_record(book: Book) -> None:
    assert book.record.mark() == NO_RECORD
    assert book.record.since(NO_RECORD).entries == ()


def test_the_first_exchange_is_new_and_exact(book: Book) -> None:
    answer = " leading space\n\ttab \x1b[31mESC\x00 ❤️ 你好\r\n"
    book.write([said("hello", answer, "m1")])
    new = book.record.since(NO_RECORD)
    (entry,) = new.entries
    assert (entry.prompt, entry.text, entry.message_id) == ("hello", answer, "m1")
    assert (entry.request_started_ms, entry.stream_ended_ms) == (1795214524895, 1795214524907)
    assert (entry.prompt_length, entry.response_size, entry.model_id) == (169, 63, "claude-sonnet-4.5")
    assert (entry.made_up, entry.cancelled, new.rewritten) == (False, False, False)
    assert (new.mark.length, new.mark.conversation_id, new.mark.last_message_id) == (1, "one", "m1")


def test_a_repeated_prompt_and_answer_is_new_by_its_id(book: Book) -> None:
    book.write([said("hello", "Hi", "m1")])
    mark = book.record.mark()
    assert book.record.since(mark).entries == ()
    assert book.record.since(mark).mark == mark
    book.write([said("hello", "Hi", "m1"), said("hello", "Hi", "m2")])
    new = book.record.since(mark)
    assert [entry.message_id for entry in new.entries] == ["m2"]
    assert new.mark == book.record.mark()


def test_a_tool_call_comes_with_what_the_model_gave(book: Book) -> None:
    given_arguments = {"command": "rm -rf x #\x1b[2K echo safe"}
    book.write([called("go", "m1", orig_name="bash", orig_args=given_arguments, name="dummy", args={})])
    (entry,) = book.record.since(NO_RECORD).entries
    assert entry.text == "Let me look. "
    assert entry.tools == (RecordedTool(tool_id="tool-1", name="bash", arguments=given_arguments),)


def test_a_tool_call_of_an_older_shape_is_read_too(book: Book) -> None:
    book.write([called("go", "m1")])
    (entry,) = book.record.since(NO_RECORD).entries
    assert entry.tools == (RecordedTool(tool_id="tool-1", name="execute_bash", arguments={"command": "ls"}),)


def test_results_are_given_as_text(book: Book) -> None:
    content = results("ToolUseResults", [{"Json": {"exit_status": "0", "stdout": "é"}}, {"Text": "more"}])
    book.write([answered(content, "done", "m2")])
    (entry,) = book.record.since(NO_RECORD).entries
    text = '{"exit_status": "0", "stdout": "é"}\nmore'
    assert entry.results == (RecordedResult(tool_id="tool-1", ok=True, text=text),)
    assert (entry.prompt, entry.cancelled) == (None, False)


def test_a_refusal_is_cancelled_with_an_answer_of_the_models_own(book: Book) -> None:
    content = results("CancelledToolUses", [{"Text": "cancelled"}], "Error", prompt="I deny this")
    book.write([answered(content, "What then?", "m2")])
    (entry,) = book.record.since(NO_RECORD).entries
    assert (entry.cancelled, entry.made_up, entry.prompt, entry.text) == (True, False, "I deny this", "What then?")
    assert [result.ok for result in entry.results] == [False]


@pytest.mark.parametrize(
    "entry",
    [
        # after Ctrl-C in a running tool; a stream of 300 s without an answer to a prompt, and to a tool's results
        answered(results("CancelledToolUses", [], "Error", prompt="interrupted"), "words", None)
        | {"request_metadata": None},
        said("think", "Response timed out", None) | {"request_metadata": None},
        answered(results("ToolUseResults", []), "Response timed out", None) | {"request_metadata": None},
        said("think", "some newer words", None),
    ],
    ids=["interrupted tool", "no answer", "no answer to results", "with the request's notes"],
)
def test_an_answer_of_the_clis_own_is_made_up(book: Book, entry: Entry) -> None:
    book.write([entry])
    assert [e.made_up for e in book.record.since(NO_RECORD).entries] == [True]


def test_an_imported_answer_is_not_made_up(book: Book) -> None:
    words = "Tool uses were interrupted, waiting for the next user prompt"
    book.write([imported("what did it print?", words)])
    assert [e.made_up for e in book.record.since(NO_RECORD).entries] == [False]


def test_what_follows_an_imported_history_is_new(book: Book) -> None:
    history = [imported("y", "ok"), imported("y", "ok"), imported("y", "ok")]
    book.write(history)
    mark = book.record.mark()
    # The CLI writes the entries anew, with other notes.
    again = [entry | {"user": entry["user"] | {"env_context": {"x": 1}}} for entry in history]
    book.write([*again, said("y", "ok", "m1")])
    new = book.record.since(mark)
    assert [e.message_id for e in new.entries] == ["m1"]
    assert not new.rewritten


def numbered(*numbers: int) -> list[Entry]:
    return [said("again", f"answer {number}", f"m{number}") for number in numbers]


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        ([1, 2, 3], [4], [4]),  # summarised: nothing of the old is left
        ([1, 2, 3], [2, 3, 4], [4]),  # summarised: some of it is
        ([1, 2, 3], [3], []),  # summarised, no answer yet
        ([1], [2], [2]),  # cleared: the same length, another answer
        ([1, 2, 3], [1, 2], []),  # taken back
        ([1, 2, 3], [1, 2, 4], [4]),  # taken back and gone on
        ([1, 2], [7, 8, 9], [7, 8, 9]),  # another conversation was loaded
        ([1, 2], [], []),  # emptied
    ],
)
def test_a_rewritten_history(book: Book, before: list[int], after: list[int], new: list[int]) -> None:
    book.write(numbered(*before))
    mark = book.record.mark()
    book.write(numbered(*after), conversation_id="two")
    slice_ = book.record.since(mark)
    assert texts(slice_.entries) == [f"answer {number}" for number in new]
    assert slice_.rewritten
    assert slice_.mark == book.record.mark()
    assert slice_.skipped == 0


def test_an_entry_that_was_shortened_is_known_by_its_id(book: Book) -> None:
    book.write(numbered(1, 2))
    mark = book.record.mark()
    book.write([said("again", "answer…", "m2"), *numbered(3)])
    assert texts(book.record.since(mark).entries) == ["answer 3"]


def test_a_row_that_disappears(book: Book) -> None:
    book.write(numbered(1))
    mark = book.record.mark()
    book.drop()
    gone = book.record.since(mark)
    assert (gone.entries, gone.mark, gone.rewritten) == ((), NO_RECORD, True)
    book.write(numbered(2))
    assert texts(book.record.since(gone.mark).entries) == ["answer 2"]


def test_at_the_limit_the_oldest_are_left_out_and_counted(book: Book) -> None:
    book.write(numbered(1))
    mark = book.record.mark()
    book.write(numbered(*range(1, 21)))
    grown = book.record.since(mark, limit=5)
    assert (texts(grown.entries), grown.skipped) == ([f"answer {n}" for n in range(16, 21)], 14)
    assert grown.mark == book.record.mark()
    book.write(numbered(*range(30, 60)))
    other = book.record.since(mark, limit=5)
    assert (texts(other.entries), other.skipped) == ([f"answer {n}" for n in range(55, 60)], 25)
    with pytest.raises(ValueError, match="at least one"):
        book.record.since(mark, limit=0)


def test_only_this_directorys_row_counts_and_a_link_to_it_is_the_same(book: Book, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    book.write(numbered(1))
    (tmp_path / "link").symlink_to(book.directory)
    assert ConversationRecord(book.path, other).mark() == NO_RECORD
    assert ConversationRecord(book.path, tmp_path / "link").mark().length == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    old=st.lists(st.booleans(), min_size=1, max_size=14),
    new=st.lists(st.booleans(), max_size=6),
    kept=st.integers(0, 14),
)
def test_whatever_is_kept_of_the_old_only_the_new_is_new(
    book: Book, old: list[bool], new: list[bool], kept: int
) -> None:
    numbers = itertools.count()

    def entry(with_id: bool) -> Entry:
        n = next(numbers)
        return said("p", f"answer {n}", f"m{n}") if with_id else imported("p", f"answer {n}")

    before, after = [entry(kind) for kind in old], [entry(kind) for kind in new]
    book.write(before)
    mark = book.record.mark()
    book.write([*before[max(0, len(before) - kept) :], *after])
    slice_ = book.record.since(mark)
    assert texts(slice_.entries) == [e["assistant"]["Response"]["content"] for e in after]
    assert slice_.rewritten == (kept < len(before))


# --- refusals


def test_a_missing_database_is_said_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "data.sqlite3"
    with pytest.raises(RecordMissingError, match="does not exist: run the CLI once") as caught:
        ConversationRecord(path, tmp_path).mark()
    assert (caught.value.problem, caught.value.what, caught.value.database) == ("missing", "database", path)
    assert list(tmp_path.iterdir()) == []


def test_a_held_lock_is_said_in_time_and_over_when_released(book: Book) -> None:
    book.write(numbered(1))
    record = ConversationRecord(book.path, book.directory, busy_timeout=0.02)
    with closing(sqlite3.connect(book.path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RecordLockedError, match=r"locked for longer than 0\.02 s") as caught:
            record.mark()
        assert caught.value.problem == "locked"
        holder.execute("ROLLBACK")
        assert record.mark().length == 1


def test_reading_leaves_no_lock_no_file_and_no_change(book: Book) -> None:
    book.write(numbered(1))
    before = (book.path.read_bytes(), book.path.stat().st_mtime_ns, sorted(book.path.parent.iterdir()))
    book.record.since(book.record.mark())
    book.record.document()
    assert (book.path.read_bytes(), book.path.stat().st_mtime_ns, sorted(book.path.parent.iterdir())) == before
    with closing(sqlite3.connect(book.path, timeout=0, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")


def test_it_reads_beside_the_clis_unfinished_write(book: Book) -> None:
    book.write(numbered(1))
    with closing(sqlite3.connect(book.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM conversations")
        assert book.record.mark().length == 1


def test_the_tokens_cannot_be_read_even_through_a_view(book: Book) -> None:
    with closing(sqlite3.connect(book.path)) as connection:
        connection.execute("UPDATE auth_kv SET key = ?", (str(book.directory),))
        connection.executescript(
            "DROP TABLE conversations; CREATE VIEW conversations AS SELECT key, value FROM auth_kv"
        )
    for read in (book.record.mark, book.record.document):
        with pytest.raises(RecordUnreadableError, match=r"prohibited|not authorized") as caught:
            read()
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize("content", [b"this is text, not a database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.sqlite3"
    path.write_bytes(content)
    with pytest.raises(RecordUnreadableError) as caught:
        ConversationRecord(path, tmp_path).mark()
    assert caught.value.problem == "unreadable"


def test_a_write_that_was_cut_short_is_left_for_the_cli_to_mend(book: Book, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite3"
    with closing(sqlite3.connect(book.path, isolation_level=None)) as writer:
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("BEGIN")
        for key in "ab":  # more than the cache holds: it spills into the file, with a journal to undo it
            writer.execute("INSERT INTO conversations VALUES (?, ?)", (key, "x" * 100_000))
        shutil.copy(book.path, copy)
        shutil.copy(f"{book.path}-journal", f"{copy}-journal")
    before = copy.read_bytes()
    with pytest.raises(RecordUnreadableError, match="the CLI mends it when it next runs"):
        ConversationRecord(copy, book.directory).mark()
    assert copy.read_bytes() == before


def test_a_directory_in_the_databases_place(tmp_path: Path) -> None:
    with pytest.raises(RecordUnreadableError):
        ConversationRecord(tmp_path, tmp_path).mark()


def test_a_directory_whose_name_is_not_utf8(book: Book) -> None:
    with pytest.raises(RecordUnreadableError, match="not UTF-8"):
        ConversationRecord(book.path, Path("/nowhere/\udcff")).mark()


def test_a_row_beyond_the_limit_is_refused(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    book.write([said("p", "x" * 200_000, "m1")])
    monkeypatch.setattr(module, "MAX_ROW_BYTES", 100_000)
    with pytest.raises(RecordUnreadableError, match="too big"):
        book.record.mark()


def test_a_database_without_conversations(tmp_path: Path) -> None:
    path = tmp_path / "data.sqlite3"
    path.touch()
    with pytest.raises(RecordShapeError, match="no such table") as caught:
        ConversationRecord(path, tmp_path).mark()
    assert (caught.value.problem, caught.value.json_path) == ("shape", "table conversations")


@pytest.mark.parametrize(
    ("value", "json_path"),
    [
        ("{broken", "$"),
        ("[]", "$.history"),
        ("7", "$.history"),
        (None, "$.history"),
        ('{"history": {"a": 1}}', "$.history"),
        ('{"history": [], "conversation_id": 7}', "$.conversation_id"),
        ('{"history": [7]}', "$.history[0]"),
        ('{"history": ["text"]}', "$.history[0]"),
        ('{"history": [null]}', "$.history[0]"),
    ],
)
def test_a_document_of_an_unknown_shape(book: Book, value: object, json_path: str) -> None:
    book.put(value)
    with pytest.raises(RecordShapeError) as caught:
        book.record.since(NO_RECORD)
    assert caught.value.json_path == json_path
    with pytest.raises(RecordShapeError):
        book.record.document()


@pytest.mark.parametrize(
    ("change", "json_path", "expected"),
    [
        (lambda e: e.pop("user"), "$.history[1].user", "an object"),
        (lambda e: e["user"].update(content={"Novel": 1}), "$.history[1].user.content", "one of Prompt, "),
        (lambda e: e["user"].update(content="Prompt"), "$.history[1].user.content", "one of Prompt, "),
        (lambda e: e["user"]["content"].update(Prompt={}), "$.history[1].user.content.Prompt.prompt", "text"),
        (lambda e: e.update(assistant={"Thinking": {}}), "$.history[1].assistant", "one of Response, ToolUse"),
        (
            lambda e: e["assistant"]["Response"].pop("content"),
            "$.history[1].assistant.Response.content",
            "text",
        ),
        (lambda e: e.update(request_metadata=[]), "$.history[1].request_metadata", "an object"),
        (
            lambda e: e["request_metadata"].update(response_size=True),
            "$.history[1].request_metadata.response_size",
            "a whole number",
        ),
        (
            lambda e: e.update(called("p", "m2", args=["ls"])),
            "$.history[1].assistant.ToolUse.tool_uses[0].args",
            "an object",
        ),
        (
            lambda e: e["user"].update(content=results("ToolUseResults", [], "Maybe")),
            "$.history[1].user.content.ToolUseResults.tool_use_results[0].status",
            "Success or Error",
        ),
        (
            lambda e: e["user"].update(content=results("ToolUseResults", [{"Image": ""}])),
            "$.history[1].user.content.ToolUseResults.tool_use_results[0].content[0]",
            "one of Text, Json",
        ),
    ],
)
def test_an_entry_of_an_unknown_shape_names_the_place(
    book: Book, change: Callable[[Entry], object], json_path: str, expected: str
) -> None:
    book.write(numbered(1))
    mark = book.record.mark()
    history = numbered(1, 2)
    change(history[1])
    book.write(history)
    with pytest.raises(RecordShapeError) as caught:
        book.record.since(mark)
    assert caught.value.json_path == json_path
    assert caught.value.expected.startswith(expected)
    assert json_path in str(caught.value)


def test_unknown_extra_fields_are_tolerated(book: Book) -> None:
    entry = said("p", "answer", "m1") | {"novel": 1}
    entry["user"]["novel"] = entry["assistant"]["Response"]["novel"] = {"deep": []}
    book.write([entry], novel="yes")
    assert texts(book.record.since(NO_RECORD).entries) == ["answer"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every value inside a JSON value."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


WHOLE: list[Entry] = [
    called("go", "m1", orig_name="bash", orig_args={}),
    answered(results("ToolUseResults", [{"Text": "a"}, {"Json": {}}]), "done", "m2"),
    answered(results("CancelledToolUses", [], prompt="no"), "words", None),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(places({"conversation_id": "one", "history": WHOLE})), value=json_values)
def test_anything_anywhere_is_read_or_refused_with_a_type(
    book: Book, place: tuple[str | int, ...], value: object
) -> None:
    document: Any = json.loads(json.dumps({"conversation_id": "one", "history": WHOLE}))
    if place:
        inner = document
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
    else:
        document = value
    book.put(json.dumps(document))
    refused_at = None
    try:
        book.record.since(NO_RECORD)
    except RecordShapeError as error:
        refused_at = error.json_path
    assert refused_at is None or refused_at.startswith("$")


def test_the_whole_document_is_given_for_export_with_its_mark(book: Book) -> None:
    with pytest.raises(RecordMissingError, match="holds no conversation") as caught:
        book.record.document()
    assert caught.value.what == "conversation"
    book.write(numbered(*range(12)), tools={"native": [1]})
    document, mark = book.record.document()
    assert document["tools"] == {"native": [1]}
    assert mark == book.record.mark()
