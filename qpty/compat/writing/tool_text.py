"""Calls of tools as the text that an interface sends."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from qpty.compat.requests import ToolCall

_LONE: Final = re.compile(r"[\ud800-\udfff]")


def arguments_text(call: ToolCall) -> str:
    """Return a call's arguments as a JSON object in one line, in UTF-8's reach.

    Letters stay what they are, for a client that shows the text while it comes. Half of a surrogate pair, which a JSON
    text may hold and UTF-8 can't, stays an escape.
    """
    text = json.dumps(dict(call.arguments), ensure_ascii=False, separators=(",", ":"))
    return _LONE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def input_text(call: ToolCall) -> str:
    """Return the free text that a custom tool is called with."""
    text: str = call.arguments["input"]
    return text
