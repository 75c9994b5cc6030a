"""A history for the CLI to take up: made up of exchanges, or saved from a directory's own record.

A fresh process restores a conversation without asking the model anything:

1. type `save_command(state)` at its first prompt: the process writes its own, still empty state to a file;
2. `write_history(…, state=state)` or `save_history(…, state=state)` puts the history into a copy of that;
3. type `load_command(history)`;
4. type `save_command(state)` once more: `saved_mark(state)` says what the process holds now.

The first step matters, because `/load` replaces the tools on offer by those of the file: after a file without tools the
model can't use any until the process ends. Both commands take 6 ms and print one line, whose words are the dialect's.
The directory's row isn't touched until the next answer, and then holds the restored entries and the new one: with the
mark that was returned here, `ConversationRecord.since` gives just the new one. `cut_document` makes the history of a
fork: the same conversation up to one of its answers, as a conversation of its own. `import_document` makes one of what
somebody else says was said, tool calls, their results and pictures included.

```
HistoryError
├── HistoryTextError      .index .part: an exchange that the CLI can't hold, or that the model's service would refuse
├── HistoryTooLargeError  .size .limit .unit
├── HistoryStateError     .path .detail: the saved state isn't one
├── HistoryCutError       .length .message_id: the conversation has no such answer at that place (any more)
└── CommandPathError      .path .detail: a path that can't be typed
```
"""

from __future__ import annotations

import json
import shlex
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from qpty.agent.errors import AgentError
from qpty.agent.files import write_private
from qpty.agent.record import IMAGE_FORMATS, NO_ENVIRONMENT, UnknownShapeError, mark_of_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from qpty.agent.record import ConversationRecord
    from qpty.core.record import RecordedEntry, RecordedTool, RecordMark

MAX_EXCHANGES: Final = 4_900
"""Nearer to 10,000 messages the CLI leaves out the oldest without a word (of 4,999 exchanges it sent 4,997)."""

MAX_BYTES: Final = 48 << 20
"""Of a history file. A model's context window holds a fraction of it, but a picture's bytes are numbers in it, of 3.6
characters each; 10 MB load in 10 ms."""

_CANCELLED: Final = "Tool use was cancelled by the user"
"""The CLI's own words for a call without a result."""

_IMAGE_NAMES: Final = {ours: theirs for theirs, ours in IMAGE_FORMATS.items()}

# What belongs to the process rather than to the conversation: taken from the state that the process saved itself.
_OF_THE_PROCESS: Final = ("tools", "context_manager", "model_info", "mcp_enabled")


class HistoryError(AgentError):
    """A history can't be handed to the CLI."""


class HistoryTextError(HistoryError):
    """An exchange can't be part of a history: `index` counts from 0, `part` is prompt, results, images or answer."""

    def __init__(self, *, index: int, part: str, detail: str) -> None:
        super().__init__(f"the {part} of exchange {index} {detail}: leave the exchange out or mend it")
        self.index = index
        self.part = part
        self.detail = detail


class HistoryTooLargeError(HistoryError):
    """The history is longer than `limit` (`unit`: "exchanges" or "bytes"): leave out the oldest part."""

    def __init__(self, *, size: int, limit: int, unit: str) -> None:
        super().__init__(f"the history has {size} {unit} and the limit is {limit}: leave out the oldest exchanges")
        self.size = size
        self.limit = limit
        self.unit = unit


class HistoryStateError(HistoryError):
    """The file at `path` isn't a state that the CLI saved."""

    def __init__(self, *, path: Path, detail: str) -> None:
        super().__init__(f"{path} is not a conversation state saved by the CLI ({detail}): type `/save` again")
        self.path = path
        self.detail = detail


class HistoryCutError(HistoryError):
    """The conversation doesn't have this answer as entry number `length`: the CLI summarised it, or it was cleared."""

    def __init__(self, *, length: int, message_id: str | None) -> None:
        super().__init__(f"the recorded conversation has no answer {message_id} as its entry {length} any more")
        self.length = length
        self.message_id = message_id


class CommandPathError(HistoryError):
    """The CLI's line editor can't take this path."""

    def __init__(self, *, path: Path, detail: str) -> None:
        super().__init__(f"{str(path)!r} cannot be typed to the CLI: {detail}; use another path")
        self.path = path
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A user's message and the model's whole answer."""

    prompt: str
    answer: str


def write_history(path: Path, exchanges: Sequence[Exchange], *, directory: Path, state: Path | None) -> RecordMark:
    """Write a file for `/load` (0600, in one step) and give the mark of the record as it will be.

    `directory` is the CLI's working directory; `state` the file that this CLI saved at its first prompt. With `state`
    None the model is offered no tools after the `/load`: only for agents without any. The model is then sent exactly
    these texts. Raises `HistoryError`, `OSError`.
    """
    if len(exchanges) > MAX_EXCHANGES:
        raise HistoryTooLargeError(size=len(exchanges), limit=MAX_EXCHANGES, unit="exchanges")
    for index, exchange in enumerate(exchanges):
        _check(exchange, index)
    document = _blank() | (_load_state(state) if state else {})
    document |= {
        "conversation_id": str(uuid.uuid4()),
        "next_message": None,
        "history": [_entry(exchange, directory.resolve()) for exchange in exchanges],
        "valid_history_range": [0, len(exchanges)],
        "transcript": [],
        "latest_summary": None,
    }
    return _write(path, document)


def save_history(record: ConversationRecord, path: Path, *, state: Path | None) -> RecordMark:
    """Write the directory's own conversation to a file for `/load` (0600, in one step) and give its mark.

    `state` is the file that the fresh process saved at its first prompt: its tools, model and context take the place of
    the recorded ones. With None those of the process that wrote the record are kept, whether or not they still exist.
    Raises `RecordError` (`RecordMissingError` where the directory has no conversation), `HistoryError`, `OSError`.
    """
    document, _ = record.document()
    return write_document(path, document, state=state)


def write_document(path: Path, document: Mapping[str, Any], *, state: Path | None) -> RecordMark:
    """Write a whole conversation, such as `cut_document` gives, to a file for `/load`; otherwise as `save_history`."""
    merged = dict(document)
    if state is not None:
        fresh = _load_state(state)
        merged |= {name: fresh[name] for name in _OF_THE_PROCESS if name in fresh}
    return _write(path, merged)


def cut_document(document: Mapping[str, Any], *, length: int, message_id: str | None) -> dict[str, Any]:
    """Give the conversation's first `length` entries as a conversation of its own.

    `message_id` is that of the last entry that stays, as a check: the CLI rewrites histories. Raises `HistoryCutError`.
    """
    history = list(document["history"])
    if not 0 < length <= len(history):
        raise HistoryCutError(length=length, message_id=message_id)
    kept = {**document, "history": history[:length]}
    if mark_of_document(kept).last_message_id != message_id:
        raise HistoryCutError(length=length, message_id=message_id)
    first, _ = document.get("valid_history_range") or (0, length)
    return {
        **kept,
        "conversation_id": str(uuid.uuid4()),
        "next_message": None,
        "valid_history_range": [min(first, length), length],
        "transcript": [],
    }


def import_document(
    entries: Sequence[RecordedEntry], *, directory: Path, base: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Give a conversation of its own that has `base` (such as `cut_document` gives) and then these entries.

    Taken up, the model is sent just these prompts, results, pictures, answers and calls, once each and in order; a call
    of a tool that isn't on offer then is sent as one of `dummy`. An entry has a prompt or results, or both where it is
    `cancelled`; ids, times and sizes of entries are left out. Results answer the calls of the entry before: a call
    without one gets what the CLI itself sends for it ("Tool use was cancelled by the user"), as the model's service
    takes no call without a result. `directory` is the CLI's working directory. Raises HistoryTextError,
    HistoryTooLargeError.
    """
    earlier: list[Any] = [] if base is None else list(base["history"])
    if len(earlier) + len(entries) > MAX_EXCHANGES:
        raise HistoryTooLargeError(size=len(earlier) + len(entries), limit=MAX_EXCHANGES, unit="exchanges")
    open_calls = _calls_of(earlier[-1]) if earlier else []
    imported = []
    for index, entry in enumerate(entries):
        _check_entry(entry, index, open_calls)
        imported.append(_imported(entry, open_calls, directory.resolve()))
        open_calls = [tool.tool_id for tool in entry.tools]
    length = len(earlier) + len(imported)
    first, _ = (None if base is None else base.get("valid_history_range")) or (0, length)
    document = {"latest_summary": None} | (_blank() if base is None else dict(base))
    return document | {
        "conversation_id": str(uuid.uuid4()),
        "next_message": None,
        "history": earlier + imported,
        "valid_history_range": [min(first, length), length],
        "transcript": [],
    }


def saved_mark(path: Path) -> RecordMark:
    """Give the mark of the conversation that `/save` wrote to the file. Raises `HistoryError`, `OSError`."""
    try:
        return mark_of_document(_load_state(path))
    except UnknownShapeError as error:
        raise HistoryStateError(path=path, detail=f"{error.path}: {error.expected}") from error


def load_command(path: Path) -> str:
    """Give the text to type so that the CLI loads the file. Raises `CommandPathError`."""
    return f"/load {_typed(path)}"


def save_command(path: Path) -> str:
    """Give the text to type so that the CLI writes its state to the file, over what is there.

    The CLI keeps an existing file's mode and makes a new one readable for all: create it first, or keep it in a private
    directory. Raises `CommandPathError`.
    """
    return f"/save --force {_typed(path)}"


def _typed(path: Path) -> str:
    """The path as one word. The CLI splits like a shell, without expansions; what it can't split goes to the model."""
    text = str(path)
    if not path.is_absolute():
        raise CommandPathError(path=path, detail="it is not absolute")
    for character in text:
        if ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0:
            raise CommandPathError(path=path, detail=f"it holds the control character U+{ord(character):04X}")
        if _deleted(ord(character)):
            raise CommandPathError(path=path, detail=f"it holds U+{ord(character):04X}, which the CLI deletes")
        if 0xD800 <= ord(character) < 0xE000:
            raise CommandPathError(path=path, detail="it is not UTF-8")
    if "```" in text:
        raise CommandPathError(path=path, detail="the line editor takes ``` for the start of a code block")
    return shlex.quote(text)


def _deleted(code: int) -> bool:
    """Whether the CLI deletes this character from what is typed."""
    return (
        0x200B <= code <= 0x200F
        or 0x2028 <= code <= 0x202F
        or 0x205F <= code <= 0x206F
        or (0xFFF0 <= code <= 0xFFFF and code != 0xFFFD)
        or 0xE0000 <= code <= 0xE007F
    )


def _check(exchange: Exchange, index: int) -> None:
    if not exchange.prompt.strip():
        raise HistoryTextError(index=index, part="prompt", detail="is empty")
    _check_text(exchange.prompt, index, "prompt")
    _check_text(exchange.answer, index, "answer")


def _check_text(text: str, index: int, part: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise HistoryTextError(index=index, part=part, detail=f"is not Unicode text ({error.reason})") from error


def _check_entry(entry: RecordedEntry, index: int, open_calls: Sequence[str]) -> None:
    """Refuse what the CLI would change or the model's service would not take."""
    answered = [result.tool_id for result in entry.results]
    if entry.prompt is None and not answered:
        raise HistoryTextError(index=index, part="prompt", detail="is missing, and there are no results")
    if entry.prompt is not None and answered and not entry.cancelled:
        raise HistoryTextError(index=index, part="results", detail="came with a prompt: give one of them")
    if entry.prompt is not None and not entry.prompt.strip():
        raise HistoryTextError(index=index, part="prompt", detail="is empty")
    if not set(answered) <= set(open_calls) or len(set(answered)) < len(answered):
        raise HistoryTextError(index=index, part="results", detail="don't answer the calls before them, once each")
    if any(image.format not in _IMAGE_NAMES for image in entry.images):
        raise HistoryTextError(index=index, part="images", detail=f"are none of {', '.join(_IMAGE_NAMES)}")
    calls = json.dumps([[tool.tool_id, tool.name, tool.arguments] for tool in entry.tools], ensure_ascii=False)
    _check_text(entry.prompt or "", index, "prompt")
    _check_text("".join(result.text for result in entry.results), index, "results")
    _check_text(entry.text + calls, index, "answer")


def _calls_of(entry: Mapping[str, Any]) -> list[str]:
    """The ids of the calls that a recorded entry ended with."""
    return [use["id"] for use in entry["assistant"].get("ToolUse", {}).get("tool_uses", ())]


def _blank() -> dict[str, Any]:
    """The least that the CLI takes for a state."""
    return {"conversation_id": "", "next_message": None, "history": [], "transcript": [], "tools": {}}


def _entry(exchange: Exchange, directory: Path) -> dict[str, Any]:
    response = {"Response": {"message_id": None, "content": exchange.answer}}
    return _recorded({"Prompt": {"prompt": exchange.prompt}}, response, directory)


def _imported(entry: RecordedEntry, open_calls: Sequence[str], directory: Path) -> dict[str, Any]:
    """An entry as the CLI records it."""
    assistant: dict[str, Any] = {"message_id": None, "content": entry.text}
    if entry.tools:
        assistant["tool_uses"] = list(map(_tool_use, entry.tools))
    images = [{"format": _IMAGE_NAMES[image.format], "source": {"Bytes": list(image.data)}} for image in entry.images]
    kind = "ToolUse" if entry.tools else "Response"
    return _recorded(_content(entry, open_calls), {kind: assistant}, directory, images=images)


def _content(entry: RecordedEntry, open_calls: Sequence[str]) -> dict[str, Any]:
    """What the model was sent: a prompt, results, or a prompt that refuses calls."""
    given = {result.tool_id for result in entry.results}
    results = [_tool_result(result.tool_id, result.text, ok=result.ok) for result in entry.results]
    results += [_tool_result(tool_id, _CANCELLED, ok=False) for tool_id in open_calls if tool_id not in given]
    if not results:
        return {"Prompt": {"prompt": entry.prompt}}
    if entry.prompt is None and not entry.cancelled:
        return {"ToolUseResults": {"tool_use_results": results}}
    return {"CancelledToolUses": {"prompt": entry.prompt, "tool_use_results": results}}


def _tool_use(tool: RecordedTool) -> dict[str, Any]:
    arguments = dict(tool.arguments)
    return {"id": tool.tool_id, "name": tool.name, "orig_name": tool.name, "args": arguments, "orig_args": arguments}


def _tool_result(tool_id: str, text: str, *, ok: bool) -> dict[str, Any]:
    return {"tool_use_id": tool_id, "content": [{"Text": text}], "status": "Success" if ok else "Error"}


def _recorded(
    content: Mapping[str, Any],
    assistant: Mapping[str, Any],
    directory: Path,
    *,
    images: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """An entry of the history, for which no time and no request is noted: so it is known as an imported one."""
    environment: Mapping[str, Any] = NO_ENVIRONMENT
    if "Prompt" in content:
        environment = {
            "env_state": {
                "operating_system": "linux",
                "current_working_directory": str(directory),
                "environment_variables": [],
            }
        }
    return {
        "user": {
            "additional_context": "",
            "env_context": environment,
            "content": content,
            "timestamp": None,
            "images": list(images) or None,
        },
        "assistant": assistant,
        "request_metadata": None,
    }


def _load_state(path: Path) -> dict[str, Any]:
    """Read what `/save` wrote."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise HistoryTooLargeError(size=path.stat().st_size, limit=MAX_BYTES, unit="bytes")
    try:
        state = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise HistoryStateError(path=path, detail=str(error)) from error
    if not isinstance(state, dict) or not isinstance(state.get("tools"), dict):
        raise HistoryStateError(path=path, detail="it is no object with tools")
    return state


def _write(path: Path, document: Mapping[str, Any]) -> RecordMark:
    data = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    if len(data) > MAX_BYTES:
        raise HistoryTooLargeError(size=len(data), limit=MAX_BYTES, unit="bytes")
    write_private(path, data)
    return mark_of_document(document)
