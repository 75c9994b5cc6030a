"""Digests of conversations, by which a session is found that a request goes on with.

Clients send back what they were answered, but not as they were answered: they add defaults to a call's arguments and
reorder its keys, trim texts, move cache markers. So what counts of an assistant's message are the ids of its calls,
which were issued here and can't be guessed; of one without calls its text, without any white space (live text may have
lost some, see the design). A user's message counts as it is, but for white space around it.

A digest is of everything up to a message: each continues the one before.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from qpty.compat.requests import File, Image, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qpty.compat.requests import Message, Part, ToolSpec

BEGINNING: Final = "0" * 64
"""The digest of nothing said."""


def conversation_digests(messages: Sequence[Message], *, start: str = BEGINNING) -> Sequence[str]:
    """Return the digest of the conversation up to each of the messages, in their order."""
    found: list[str] = []
    digest = start
    for message in messages:
        digest = extended(digest, message)
        found.append(digest)
    return found


def extended(digest: str, message: Message) -> str:
    """Return the digest of a conversation with one more message."""
    said = _assistant(message.parts) if message.role == "assistant" else _user(message.parts)
    return _digest([digest, message.role, said])


def settings_digest(*, model: str | None, system: str, tools: Iterable[ToolSpec], **more: Any) -> str:
    """Return a digest of how a session is set up. `more` are JSON values."""
    offered = [[tool.name, tool.namespace, tool.custom, tool.description, tool.schema] for tool in tools]
    return _digest([model, system, offered, more])


def _assistant(parts: Iterable[Part]) -> list[str]:
    calls = [part.id for part in parts if isinstance(part, ToolCall)]
    if calls:
        return ["calls", *calls]
    text = "".join(part.text for part in parts if isinstance(part, Text))
    return ["text", "".join(text.split())]


def _user(parts: Iterable[Part]) -> list[Any]:
    said: list[Any] = []
    for part in parts:
        match part:
            case Text():
                text = part.text.strip()
                if said and said[-1][0] == "text":
                    said[-1] = ["text", f"{said[-1][1]}\n{text}"]
                else:
                    said.append(["text", text])
            case Image() | File():
                said.append(["file", hashlib.sha256(part.data).hexdigest()])
            case ToolResult():
                said.append(["result", part.call_id, part.is_error, _user(part.parts)])
            case ToolCall():
                said.append(["call", part.id])
    return said


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
