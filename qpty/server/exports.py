"""A conversation as a document: markdown for people, JSON for programs; made a page at a time.

In the markdown nothing that was said can break out of its place. What a person typed, and what a tool was given, is
text: it stands in a fence that is longer than any in it. What the model answered is markdown: it stands in a quotation,
every line of it, which ends whatever was left open in it (a fence, a comment, a table).
"""

from __future__ import annotations

import json
import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from qpty.sessions.journal import timestamp
from qpty.sessions.turns import message_position

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from qpty.server.models.common import Model
    from qpty.sessions.info import SessionInfo
    from qpty.sessions.manager import SessionManager
    from qpty.storage.rows import MessageRow, TurnRow

TURNS: Final = 20
"""Turns that are read, and held, at once: an answer may have a megabyte."""

_LINE_END: Final = re.compile(r"\r\n?|\n")
_TICKS: Final = re.compile(r"`+")
_MEANS_SOMETHING: Final = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&:@$^=])")

OUTCOMES: Final = {
    "ok": "done", "error": "failed", "refused": "refused", "interrupted": "interrupted", None: "not completed",
}  # fmt: skip


async def markdown(manager: SessionManager, info: SessionInfo) -> AsyncGenerator[str, None]:
    """Yield the conversation as markdown, turn by turn. Raises SessionNotFoundError if it is deleted."""
    yield _head(info)
    async with aclosing(_pages(manager, info)) as pages:
        async for turns, messages in pages:
            for turn in turns:
                yield _turn(turn, [row for row in messages if row.turn_id == turn.id])


async def as_json(
    manager: SessionManager, info: SessionInfo, *, session: Model, shape: Callable[[MessageRow], Model]
) -> AsyncGenerator[str, None]:
    """Yield the session and its messages, in the shapes of the interface, as one JSON object."""
    yield f'{{"session":{session.model_dump_json()},"messages":['
    separator = ""
    async with aclosing(_pages(manager, info)) as pages:
        async for _, messages in pages:
            for row in messages:
                yield separator + shape(row).model_dump_json()
                separator = ","
    yield "]}\n"


async def _pages(
    manager: SessionManager, info: SessionInfo
) -> AsyncGenerator[tuple[Sequence[TurnRow], Sequence[MessageRow]], None]:
    """Turns with their messages, in order; what is said while this goes on is in it or not."""
    position = 0
    while turns := await manager.turns(info.id, after_position=position, limit=TURNS):
        first, position = turns[0].position, turns[-1].position
        last = message_position(position, "assistant")
        found = await manager.messages(
            info.id, after_position=message_position(first, "user") - 1, limit=2 * len(turns)
        )
        yield turns, [row for row in found if row.position <= last]


def _head(info: SessionInfo) -> str:
    title = _literal(info.title) if info.title is not None and info.title.strip() else "Untitled session"
    facts = [("Session", info.id), ("Created", timestamp(info.created_at))]
    facts += [("Last activity", timestamp(info.last_activity))]
    named = (("Agent", info.profile.agent), ("Model", info.profile.model), ("Forked from", info.parent_id))
    facts += [(name, value) for name, value in named if value is not None]
    listed = "".join(f"- {name}: {_code(value)}\n" for name, value in facts)
    prompt = info.profile.system_prompt
    return f"# {title}\n\n{listed}" + (f"\n**System prompt**\n\n{_fenced(prompt)}" if prompt is not None else "")


def _turn(turn: TurnRow, messages: Sequence[MessageRow]) -> str:
    parts = [f"\n## {turn.position}. {timestamp(turn.created_at)}\n"]
    for row in messages:
        if row.role == "user":
            parts.append(f"\n**User**\n\n{_fenced(row.text)}")
        else:
            parts += [_tool(tool) for tool in row.tools or ()]
            parts.append(f"\n**Answer** ({timestamp(row.created_at)}{'' if row.exact else ', read from the screen'})\n")
            parts.append(f"\n{_quoted(row.text)}" if row.text else "")
    if turn.state == "failed":
        parts.append(f"\n**Failed**: {_code(turn.code or 'unknown')}\n\n{_fenced(turn.detail or '')}")
    elif turn.stop_reason == "interrupted":
        parts.append("\n*Interrupted.*\n")
    elif turn.state != "completed":
        parts.append("\n*Not answered yet.*\n")
    return "".join(parts)


def _tool(tool: dict[str, Any]) -> str:
    head = f"\n**Tool** {_code(tool['name'])}: {OUTCOMES.get(tool['outcome'], 'unknown')}\n"
    if tool["arguments"] is None:
        return f"{head}\nIts arguments were too long to be kept here.\n"
    return f"{head}\n{_fenced(json.dumps(tool['arguments'], ensure_ascii=False, indent=2), 'json')}"


def _fenced(text: str, language: str = "text") -> str:
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(text)), default=0))
    return f"{fence}{language}\n{_lines(text)}\n{fence}\n"


def _quoted(text: str) -> str:
    return "".join(f"> {line}".rstrip(" ") + "\n" if not line.strip() else f"> {line}\n" for line in _split(text))


def _code(text: str) -> str:
    """A piece of code within a line."""
    ticks = "`" * (1 + max(map(len, _TICKS.findall(text)), default=0))
    return f"{ticks} {' '.join(text.split())} {ticks}" if "`" in text else f"`{' '.join(text.split())}`"


def _literal(text: str) -> str:
    """One line of text that means nothing but itself."""
    return _MEANS_SOMETHING.sub(r"\\\1", " ".join(text.split()))


def _split(text: str) -> list[str]:
    return _LINE_END.split(text)


def _lines(text: str) -> str:
    return "\n".join(_split(text))
