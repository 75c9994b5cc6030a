"""What the CLI's own record says of a conversation, as values.

The CLI keeps the exact conversation beside the terminal: every assistant message is written there before the next
prompt, the tool's question or the tool's header is painted. `qpty.agent.record` reads it; this module only names what
was read, so that the state machine can ask for it and be tested without a database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTool:
    """One tool call of an assistant message: exact, whatever the screen showed.

    `name` is the name that the model used; `arguments` is the JSON object that the model gave.
    """

    tool_id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedResult:
    """What one tool returned to the model. `ok` is false for an error, a refusal and an interruption."""

    tool_id: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedImage:
    """A picture that was sent with a message or with tool results: `format` is png, jpeg, gif or webp."""

    format: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEntry:
    """One exchange of the history: what was sent to the model and what it answered.

    `prompt` is the user's message (None where only tool results were sent); `results` are the tool results that were
    sent with it; `cancelled` says that they stand for refused or abandoned tools (`prompt` is then the message that
    refused them, or the CLI's own words for a plain "no"). `images` were sent with either. `text` is the model's exact
    answer and `tools` the calls it ended with: empty for a final answer. `made_up` marks an answer that the CLI wrote
    itself ("Tool uses were interrupted …") and that must never be published as the model's words. `message_id` is None
    for imported and made-up entries, and only for them: every answer of a model has one.
    """

    message_id: str | None
    prompt: str | None
    results: tuple[RecordedResult, ...] = ()
    cancelled: bool = False
    text: str
    tools: tuple[RecordedTool, ...] = ()
    images: tuple[RecordedImage, ...] = ()
    made_up: bool = False
    request_started_ms: int | None = None
    stream_ended_ms: int | None = None
    prompt_length: int | None = None
    response_size: int | None = None
    model_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMark:
    """A place in a conversation's record, to ask later what is new since.

    `length` counts entries; `last_message_id` and `last_digest` (of what was said in the last entry, whatever else the
    CLI notes about it) recognise the last entry: the prompt's words never do, since people repeat themselves. `recent`
    names the last few entries, the last one included, by message id or else by digest, so that a rewritten history is
    still told apart from new entries. A conversation without a record has length 0.
    """

    conversation_id: str | None
    length: int
    last_message_id: str | None
    last_digest: str | None
    recent: tuple[str, ...] = ()


NO_RECORD = RecordMark(conversation_id=None, length=0, last_message_id=None, last_digest=None)
"""The mark of a conversation that has no record yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSlice:
    """The entries that are new since a mark, oldest first, and the mark after them.

    `rewritten` says that the history before the mark is not what it was (the CLI summarised it, it was cleared, another
    one was loaded, or the record is gone), so the new entries were found by their message ids alone. `skipped` counts
    older new entries that were left out because the caller's limit was reached.
    """

    entries: tuple[RecordedEntry, ...]
    mark: RecordMark
    rewritten: bool = False
    skipped: int = 0


RecordProblem = Literal["missing", "locked", "behind", "shape", "unreadable"]
"""Why a record could not be read: no database; held by a lock; not yet written; of an unknown shape; other I/O."""
