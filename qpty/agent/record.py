"""The CLI's own conversation record: the exact text and tool calls, read from its database without disturbing it.

The CLI keeps each directory's conversation as one JSON document in a row of an SQLite database and rewrites the whole
row after each answer: 18–35 ms before the prompt that ends a turn is painted, 7–13 ms before a tool's header or its
permission question. Two moments are different. After an interrupted tool the row and the prompt are written together,
in either order (the row up to 5 ms later). And a compaction, `/load` or `/clear` changes nothing here until the next
answer.

The same database holds the account's tokens and is in use by the CLI, so reading is held to three rules: it is opened
read-only, for one statement at a time; only this directory's row is read, and only the entries that are asked for, cut
out by SQLite's JSON functions; and an authorizer refuses every other table.

```
RecordError            .problem .database .directory
├── RecordMissingError     .what: no database, or (for an export) no conversation
├── RecordLockedError      somebody held the lock for longer than the busy timeout
├── RecordShapeError       .json_path .expected .found: not a record of a shape known here
└── RecordUnreadableError  .detail: any other reason (permissions, damage, size)
```
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, Literal

from qpty.agent.errors import AgentError
from qpty.core.record import (
    NO_RECORD,
    RecordedEntry,
    RecordedImage,
    RecordedResult,
    RecordedTool,
    RecordMark,
    RecordSlice,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from qpty.core.record import RecordProblem

MAX_ROW_BYTES: Final = 64 << 20
"""A larger row is refused. The CLI summarises a conversation long before: a context window holds some hundred kB."""

RECENT: Final = 8
"""How many entries a mark can recognise. A rewritten history keeps a few of the newest or none."""

DEFAULT_LIMIT: Final = 256
"""New entries given at once. One turn adds an entry for each call of the model."""

IMAGE_FORMATS: Final[Mapping[str, str]] = {"Png": "png", "Jpeg": "jpeg", "Gif": "gif", "Webp": "webp"}
"""What the CLI calls the formats of pictures."""

NO_ENVIRONMENT: Final[Mapping[str, None]] = {"env_state": None}
"""What an imported entry has as its environment; the CLI itself always notes one."""

_TABLE: Final = "conversations"

# One statement each, so that what it sees is one state. To look into a document SQLite reads it whole, each time that a
# JSON function is called (3–10 ms for 6 MB), so the statement of every turn calls just one. `json_each` walks once, and
# turns only the entries that pass the condition into text. In a LEFT JOIN a row without such entries still shows.
_READ_NEW: Final = f"""
SELECT e.key, e.value
FROM {_TABLE} AS c
LEFT JOIN json_each(c.value, '$.history') AS e ON e.key >= :first
WHERE c.key = :directory
"""  # noqa: S608 — a constant

_READ_TAIL: Final = f"""
WITH c AS MATERIALIZED (
    SELECT value,
           json_type(value, '$.history') AS kind,
           json_array_length(value, '$.history') AS length,
           json_extract(value, '$.conversation_id') AS conversation_id
    FROM {_TABLE}
    WHERE key = :directory
)
SELECT c.kind, c.length, c.conversation_id, e.key, e.value
FROM c
LEFT JOIN json_each(c.value, '$.history') AS e ON e.key >= c.length - :last
"""  # noqa: S608 — a constant

_READ_ROW: Final = f"SELECT value FROM {_TABLE} WHERE key = :directory"  # noqa: S608 — a constant

# SQLite declares `json_each` to itself as if it were a new table, and looks at the list of tables to do so.
_READABLE: Final = frozenset({_TABLE, "json_each", "sqlite_master", "sqlite_schema"})


class RecordError(AgentError):
    """The record could not be read; the terminal's own text is the best there is."""

    def __init__(self, message: str, *, problem: RecordProblem, database: Path, directory: Path) -> None:
        super().__init__(message)
        self.problem: RecordProblem = problem
        self.database = database
        self.directory = directory


class RecordMissingError(RecordError):
    """There is no database (`what` is "database") or no row for the directory ("conversation")."""

    def __init__(self, *, database: Path, directory: Path, what: Literal["database", "conversation"]) -> None:
        if what == "database":
            message = f"{database} does not exist: run the CLI once (it makes the file), or correct the data directory"
        else:
            message = f"{database} holds no conversation of {directory}: send a message there first"
        super().__init__(message, problem="missing", database=database, directory=directory)
        self.what: Literal["database", "conversation"] = what


class RecordLockedError(RecordError):
    """Another process held the database's lock for longer than `busy_timeout` seconds: try again."""

    def __init__(self, *, database: Path, directory: Path, busy_timeout: float) -> None:
        super().__init__(
            f"{database} was locked for longer than {busy_timeout:g} s: try again, or find what holds it",
            problem="locked",
            database=database,
            directory=directory,
        )
        self.busy_timeout = busy_timeout


class RecordShapeError(RecordError):
    """The record is there but not as known here: `json_path` says where, `expected` and `found` what."""

    def __init__(self, *, database: Path, directory: Path, json_path: str, expected: str, found: str) -> None:
        super().__init__(
            f"the conversation record in {database} has an unknown shape at {json_path}: "
            f"expected {expected}, found {found}; "
            "this version of the CLI may be newer than qpty knows",
            problem="shape",
            database=database,
            directory=directory,
        )
        self.json_path = json_path
        self.expected = expected
        self.found = found


class RecordUnreadableError(RecordError):
    """SQLite could not read the database, for the reason in `detail`."""

    def __init__(self, *, database: Path, directory: Path, detail: str) -> None:
        super().__init__(
            f"{database} cannot be read ({detail}): check that it is the CLI's database and that this user may read it",
            problem="unreadable",
            database=database,
            directory=directory,
        )
        self.detail = detail


class ConversationRecord:
    """The record of the conversation that the CLI holds in one directory.

    `database` is the CLI's database, `directory` the working directory of the CLI (its resolved path is the key) and
    `busy_timeout` how many seconds a read waits for a lock. Every method blocks for that long at most, and for the
    read: a few milliseconds for a conversation of 5 MB. Nothing is kept open between calls.
    """

    def __init__(self, database: Path, directory: Path, *, busy_timeout: float = 0.25) -> None:
        self.database = database.absolute()
        self.directory = directory.resolve()
        self.busy_timeout = busy_timeout

    def mark(self) -> RecordMark:
        """Where the conversation stands now: `NO_RECORD` if the directory has no row. Raises `RecordError`."""
        found = self._tail(RECENT)
        return NO_RECORD if found is None else found.mark()

    def since(self, mark: RecordMark, *, limit: int = DEFAULT_LIMIT) -> RecordSlice:
        """Give the entries that are new since `mark`, oldest first: the newest `limit` of them.

        Without anything new the slice is empty and its mark equals the old one. A row that is gone gives an empty,
        rewritten slice and `NO_RECORD`. Raises `RecordError`.
        """
        if limit < 1:
            raise ValueError(f"limit is {limit}: ask for at least one entry")
        grown = self._growth(mark, limit) if mark.length else None
        return grown or self._rewritten(mark, limit)

    def _growth(self, mark: RecordMark, limit: int) -> RecordSlice | None:
        """Handle the plain case, where the marked entry is still at its place; None if it isn't."""
        rows = self._query(_READ_NEW, {"first": mark.length - 1})
        if not rows or rows[0][0] != mark.length - 1 or _identity(self._entry(*rows[0])) != _last_of(mark):
            return None
        if len(rows) == 1:
            return RecordSlice(entries=(), mark=mark)
        grown = tuple(self._entry(*row) for row in rows[1:][-max(limit, RECENT) :])
        after = _Tail(mark.conversation_id, mark.length + len(rows) - 1, grown).mark(before=mark.recent)
        new = grown[-limit:]
        return RecordSlice(entries=new, mark=after, skipped=len(rows) - 1 - len(new))

    def _rewritten(self, mark: RecordMark, limit: int) -> RecordSlice:
        """Find what is new by the entries that are known, wherever they are now."""
        tail = self._tail(limit + RECENT)
        if tail is None:
            return RecordSlice(entries=(), mark=NO_RECORD, rewritten=mark.length > 0)
        old = {_last_of(mark), *mark.recent}
        known = max((at for at, entry in enumerate(tail.entries) if _identity(entry) in old), default=None)
        new = tail.entries if known is None else tail.entries[known + 1 :]
        count = tail.length if known is None else len(new)
        kept = new[-limit:]
        return RecordSlice(entries=kept, mark=tail.mark(), rewritten=mark.length > 0, skipped=count - len(kept))

    def last_calls(self) -> tuple[RecordedTool, ...]:
        """Give the calls that the newest answer ended with: none for a final answer, and without a conversation.

        They are not answered yet: their results make the next entry. Raises `RecordError`.
        """
        found = self._tail(1)
        return found.entries[-1].tools if found is not None and found.entries else ()

    def document(self) -> tuple[dict[str, Any], RecordMark]:
        """Give the whole conversation as the CLI keeps it, and its mark: for export. Raises `RecordError`.

        A directory without a row raises `RecordMissingError`.
        """
        rows = self._query(_READ_ROW, {})
        if not rows:
            raise RecordMissingError(database=self.database, directory=self.directory, what="conversation")
        (value,) = rows[0]
        try:
            document = json.loads(value)
            return document, mark_of_document(document)
        except UnknownShapeError as error:
            raise self._shape(error.path, error.expected, error.found) from None
        except (ValueError, TypeError, RecursionError) as error:
            raise self._shape("$", "JSON text", str(error)) from error

    def _tail(self, last: int) -> _Tail | None:
        """Read the last `last` entries; None without a row."""
        rows = self._query(_READ_TAIL, {"last": last})
        if not rows:
            return None
        kind, length, conversation_id, _, _ = rows[0]
        if kind != "array":
            raise self._shape("$.history", "an array", str(kind or "nothing"))
        if conversation_id is not None and not isinstance(conversation_id, str):
            raise self._shape("$.conversation_id", "text", type(conversation_id).__name__)
        entries = tuple(self._entry(index, value) for _, _, _, index, value in rows if index is not None)
        return _Tail(conversation_id, length, entries)

    def _entry(self, index: int, value: object) -> RecordedEntry:
        path = f"$.history[{index}]"
        if not isinstance(value, str):
            raise self._shape(path, "an object", type(value).__name__)
        try:
            return _parse_entry(_Json(json.loads(value), path))
        except UnknownShapeError as error:
            raise self._shape(error.path, error.expected, error.found) from None
        except (ValueError, RecursionError) as error:
            raise self._shape(path, "JSON that can be read", str(error)) from error

    def _shape(self, json_path: str, expected: str, found: str) -> RecordShapeError:
        return RecordShapeError(
            database=self.database, directory=self.directory, json_path=json_path, expected=expected, found=found
        )

    def _query(self, statement: str, arguments: Mapping[str, int]) -> list[Any]:
        """Run one statement on a connection of its own: opening costs 0.1 ms, and a replaced file is noticed."""
        try:
            with closing(self._connect()) as connection:
                return connection.execute(statement, {"directory": str(self.directory), **arguments}).fetchall()
        except sqlite3.Error as error:
            raise self._refusal(error) from error
        except UnicodeEncodeError as error:
            raise RecordUnreadableError(
                database=self.database, directory=self.directory, detail="the directory's name is not UTF-8"
            ) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.database.as_uri()}?mode=ro", uri=True, timeout=self.busy_timeout, isolation_level=None
        )
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_ROW_BYTES)
        connection.set_authorizer(_authorize)
        return connection

    def _refusal(self, error: sqlite3.Error) -> RecordError:
        """What an error of SQLite means for the record."""
        code = getattr(error, "sqlite_errorcode", None)
        primary = code & 0xFF if isinstance(code, int) else None
        if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return RecordLockedError(database=self.database, directory=self.directory, busy_timeout=self.busy_timeout)
        if primary == sqlite3.SQLITE_CANTOPEN and not self.database.exists():
            return RecordMissingError(database=self.database, directory=self.directory, what="database")
        if primary == sqlite3.SQLITE_ERROR:  # the statement doesn't fit: no such table or column, text that isn't JSON
            place = "$" if "JSON" in str(error) else f"table {_TABLE}"
            return self._shape(place, "a conversation as JSON, by directory", str(error))
        cut_short = code == sqlite3.SQLITE_READONLY_ROLLBACK  # a hot journal, which only a writer may roll back
        detail = "a write was cut short; the CLI mends it when it next runs" if cut_short else str(error)
        return RecordUnreadableError(database=self.database, directory=self.directory, detail=detail)


def mark_of_document(document: object) -> RecordMark:
    """Give the mark of a whole conversation, as it will be once the CLI has taken it up."""
    root = _Json(document, "$")
    history = list(root.field("history").items())
    entries = tuple(map(_parse_entry, history[-RECENT:]))
    return _Tail(root.field("conversation_id").optional_text(), len(history), entries).mark()


class _Tail:
    """What one read found: how long the history is, and its last entries."""

    __slots__ = ("conversation_id", "entries", "length")

    def __init__(self, conversation_id: str | None, length: int, entries: tuple[RecordedEntry, ...]) -> None:
        self.conversation_id = conversation_id
        self.length = length
        self.entries = entries

    def mark(self, *, before: tuple[str, ...] = ()) -> RecordMark:
        """The mark after the last entry; `before` names entries that come before those that were read."""
        last = self.entries[-1] if self.entries else None
        return RecordMark(
            conversation_id=self.conversation_id,
            length=self.length,
            last_message_id=last.message_id if last else None,
            last_digest=_digest(last) if last else None,
            recent=(*before, *map(_identity, self.entries[-RECENT:]))[-RECENT:],
        )


def _last_of(mark: RecordMark) -> str | None:
    """What the marked entry is recognised by."""
    return mark.last_message_id or mark.last_digest


def _identity(entry: RecordedEntry) -> str:
    """What an entry is recognised by: its id, or what was said where it has none."""
    return entry.message_id or _digest(entry)


def _digest(entry: RecordedEntry) -> str:
    """A digest of what was said, which survives that the CLI writes the entry anew with other notes about it."""
    said = [
        entry.prompt,
        [[r.tool_id, r.ok, r.text] for r in entry.results],
        entry.text,
        [[t.tool_id, t.name, t.arguments] for t in entry.tools],
        *([image.format, hashlib.sha256(image.data).hexdigest()] for image in entry.images),
    ]
    return "sha256:" + hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _authorize(action: int, first: str | None, *_: str | None) -> int:
    """Let a statement read the conversations and nothing else, the tokens least of all."""
    # Writing needs no word here: the file is opened read-only.
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_READ and first not in _READABLE else sqlite3.SQLITE_OK


class UnknownShapeError(Exception):
    """Part of an entry isn't what it should be; `ConversationRecord` adds whose entry it is."""

    def __init__(self, path: str, expected: str, found: object) -> None:
        super().__init__(path)
        self.path = path
        self.expected = expected
        self.found = repr(found)[:40] if isinstance(found, str) else _KINDS.get(type(found), "nothing")


_KINDS: Final[Mapping[type, str]] = {
    dict: "an object",
    list: "an array",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


class _Json:
    """A value of a JSON document and its path, to be read with care."""

    __slots__ = ("path", "value")

    def __init__(self, value: object, path: str) -> None:
        self.value = value
        self.path = path

    def field(self, name: str) -> _Json:
        """A field of an object: None as its value if it isn't there."""
        if not isinstance(self.value, dict):
            raise UnknownShapeError(self.path, "an object", self.value)
        return _Json(self.value.get(name), f"{self.path}.{name}")

    def variant(self, *names: str) -> tuple[str, _Json]:
        """The name and content of a tagged value: an object of which exactly one known field is there."""
        known = [name for name in names if isinstance(self.value, dict) and name in self.value]
        if len(known) != 1:
            raise UnknownShapeError(self.path, "one of " + ", ".join(names), self.value)
        return known[0], self.field(known[0])

    def items(self) -> Iterator[_Json]:
        """The items of an array."""
        if not isinstance(self.value, list):
            raise UnknownShapeError(self.path, "an array", self.value)
        return (_Json(item, f"{self.path}[{index}]") for index, item in enumerate(self.value))

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise UnknownShapeError(self.path, "text", self.value)
        return self.value

    def optional_text(self) -> str | None:
        return None if self.value is None else self.text()

    def optional_number(self) -> int | None:
        if self.value is None:
            return None
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise UnknownShapeError(self.path, "a whole number", self.value)
        return self.value

    def mapping(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            raise UnknownShapeError(self.path, "an object", self.value)
        return self.value


def _parse_entry(entry: _Json) -> RecordedEntry:
    said, content = entry.field("user").field("content").variant("Prompt", "ToolUseResults", "CancelledToolUses")
    kind, assistant = entry.field("assistant").variant("Response", "ToolUse")
    metadata = entry.field("request_metadata")
    cancelled = said == "CancelledToolUses"
    message_id = assistant.field("message_id").optional_text()
    # A model's answer always has an id. Without one it is the CLI's own (it follows cancelled tools, or a request that
    # got no answer in 300 s), or it was imported: then no time, no request and, where the CLI notes no time for results
    # either, no environment is noted.
    user = entry.field("user")
    undated = metadata.value is None and user.field("timestamp").value is None
    imported = undated and (said == "Prompt" or user.field("env_context").value == NO_ENVIRONMENT)
    made_up = kind == "Response" and message_id is None and not imported
    noted = metadata if metadata.value is not None else _Json({}, metadata.path)
    return RecordedEntry(
        message_id=message_id,
        prompt=_parse_prompt(said, content),
        results=() if said == "Prompt" else tuple(map(_parse_result, content.field("tool_use_results").items())),
        cancelled=cancelled,
        text=assistant.field("content").text(),
        tools=tuple(map(_parse_tool, assistant.field("tool_uses").items())) if kind == "ToolUse" else (),
        images=_parse_images(entry.field("user").field("images")),
        made_up=made_up,
        request_started_ms=noted.field("request_start_timestamp_ms").optional_number(),
        stream_ended_ms=noted.field("stream_end_timestamp_ms").optional_number(),
        prompt_length=noted.field("user_prompt_length").optional_number(),
        response_size=noted.field("response_size").optional_number(),
        model_id=noted.field("model_id").optional_text(),
    )


def _parse_prompt(said: str, content: _Json) -> str | None:
    if said == "ToolUseResults":
        return None
    prompt = content.field("prompt")
    return prompt.text() if said == "Prompt" else prompt.optional_text()


def _parse_images(images: _Json) -> tuple[RecordedImage, ...]:
    return () if images.value is None else tuple(map(_parse_image, images.items()))


def _parse_image(image: _Json) -> RecordedImage:
    name, source = image.field("format"), image.field("source").field("Bytes")
    if name.text() not in IMAGE_FORMATS:
        raise UnknownShapeError(name.path, f"one of {', '.join(IMAGE_FORMATS)}", name.value)
    try:
        data = bytes(source.value) if isinstance(source.value, list) else None
    except (TypeError, ValueError):
        data = None
    if data is None:
        raise UnknownShapeError(source.path, "an array of bytes", source.value)
    return RecordedImage(format=IMAGE_FORMATS[name.text()], data=data)


def _parse_tool(tool: _Json) -> RecordedTool:
    # `orig_…` is what the model gave. The CLI renames a tool that is no longer offered ("dummy") in the other two.
    name = tool.field("orig_name") if tool.field("orig_name").value is not None else tool.field("name")
    arguments = tool.field("orig_args") if tool.field("orig_args").value is not None else tool.field("args")
    return RecordedTool(tool_id=tool.field("id").text(), name=name.text(), arguments=arguments.mapping())


def _parse_result(result: _Json) -> RecordedResult:
    status = result.field("status")
    if status.text() not in {"Success", "Error"}:
        raise UnknownShapeError(status.path, "Success or Error", status.value)
    return RecordedResult(
        tool_id=result.field("tool_use_id").text(),
        ok=status.value == "Success",
        text="\n".join(map(_parse_result_text, result.field("content").items())),
    )


def _parse_result_text(item: _Json) -> str:
    kind, content = item.variant("Text", "Json")
    return content.text() if kind == "Text" else json.dumps(content.value, ensure_ascii=False)
