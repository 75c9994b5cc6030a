"""Tokens, estimated: the CLI tells nobody how many a model was sent, or sent back.

A token is taken to be four bytes of ASCII text, or one and a half characters of any other script; a picture is 1,600, a
call or a result of a tool eight more than its text. Good for progress bars and limits, not for bills: answers say so in
the header `x-qpty-usage: estimated`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from qpty.compat.requests import File, Image, Text, ToolCall

if TYPE_CHECKING:
    from qpty.compat.requests import Part, Request

IMAGE_TOKENS: Final = 1_600
"""Of one picture at most, whatever its size."""

OVERHEAD: Final = 8
"""Of a message, a call, a result or a tool: what frames it."""

FILE_BYTES: Final = 4
"""Of a file, a token."""


class TokenCount:
    """The tokens of a text that comes in pieces: those of the whole, however it was cut."""

    def __init__(self) -> None:
        self._plain = 0
        self._other = 0

    def add(self, text: str) -> None:
        """Take more text."""
        plain = _plain(text)
        self._plain += plain
        self._other += len(text) - plain

    def with_more(self, text: str = "") -> int:
        """Return the estimate with this text, which isn't added; 0 for none at all."""
        plain = _plain(text)
        return -(-(self._plain + plain) // 4) + -(-2 * (self._other + len(text) - plain) // 3)


def tokens_of(text: str) -> int:
    """Return an estimate of a text's tokens; 0 for none."""
    return TokenCount().with_more(text)


def _plain(text: str) -> int:
    """Characters of ASCII."""
    return len(text) if text.isascii() else sum(character < "\x80" for character in text)


def input_tokens_of(request: Request) -> int:
    """Return an estimate of what the model is sent for a request; at least 1."""
    total = tokens_of(request.system)
    for message in request.messages:
        total += OVERHEAD + sum(map(_part_tokens, message.parts))
    for tool in request.tools:
        total += OVERHEAD + tokens_of(tool.name) + tokens_of(tool.description)
        total += tokens_of(json.dumps(tool.schema or {}, ensure_ascii=False))
    return max(1, total)


def call_tokens(call: ToolCall) -> int:
    """Return an estimate of a call's tokens."""
    return OVERHEAD + tokens_of(call.name) + tokens_of(json.dumps(call.arguments, ensure_ascii=False))


def _part_tokens(part: Part) -> int:
    match part:
        case Text():
            return tokens_of(part.text)
        case Image():
            return IMAGE_TOKENS
        case File():
            return len(part.data) // FILE_BYTES
        case ToolCall():
            return call_tokens(part)
        case _:
            return OVERHEAD + sum(map(_part_tokens, part.parts))
