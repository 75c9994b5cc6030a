"""What the scenarios say to the scripted model, and what it answers: the same for every client."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

HELLO = "Hello! How can I help you today?"
UNICODE = "Grüße, 世界 🌍 — «два» <b>&amp;</b> *stars* `ticks` \\n"
"""Text that is easy to damage: wide, combining, and what looks like markup or an escape."""
COUNT = "\n".join(f"line {number}" for number in range(1, 31))
"""The answer to `count 30`."""
PERSON = {"name": "Ada Lovelace", "age": 36}
WEATHER = "What is the weather in Paris and in Rome?"
"""Answered with two calls of `get_weather {location}` at once."""
DEGREES = {"Paris": "18 degrees", "Rome": "24 degrees"}
ADD_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
WEATHER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"location": {"type": "string", "description": "A city"}},
    "required": ["location"],
    "additionalProperties": False,
}
PERSON_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def plan(*steps: dict[str, Any], ask: str = "Do as planned.") -> str:
    """A message that leads the model through steps: `{"tool", "input"}` or `{"text"}`, one for each of its answers."""
    return f"{ask}\nPLAN: {json.dumps(steps, ensure_ascii=False)}"


def call(tool: str, **given: Any) -> dict[str, Any]:
    """A step of a plan that calls a tool."""
    return {"tool": tool, "input": given}


def say(text: str) -> dict[str, Any]:
    """A step of a plan that answers."""
    return {"text": text}


def picture(side: int = 8) -> bytes:
    """A red square as PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\x00" + b"\xff\x00\x00" * side) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PICTURE = base64.b64encode(picture()).decode()
PICTURE_URL = f"data:image/png;base64,{PICTURE}"
