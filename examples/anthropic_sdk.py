"""Anthropic's Python SDK: messages, stream, a tool, a picture, tokens. Needs `pip install anthropic`."""

from __future__ import annotations

import base64
import os
import struct
import zlib
from typing import Any

from anthropic import Anthropic

client = Anthropic(
    base_url=os.environ.get("QPTY_URL", "http://127.0.0.1:8080"), api_key=os.environ.get("QPTY_KEY") or "any-word"
)
MODEL = os.environ.get("QPTY_MODEL", "claude-sonnet-4.5")
MOST: Any = {"model": MODEL, "max_tokens": 4_000}


def text_of(message: Any) -> str:
    """The text of an answer."""
    return "".join(block.text for block in message.content if block.type == "text")


def messages() -> None:
    """Ask, and ask again: the second message goes to the same living session."""
    said: list[Any] = [{"role": "user", "content": "My name is Ada. Say hello."}]
    for question in ("What is my name?", None):
        answer = client.messages.create(**MOST, messages=said, system="Be brief.")
        print("messages:", text_of(answer))
        said += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": question}]


def stream() -> None:
    """Print an answer as it comes."""
    print("stream: ", end="")
    with client.messages.stream(**MOST, messages=[{"role": "user", "content": "Count to five."}]) as answer:
        for text in answer.text_stream:
            print(text, end="", flush=True)
    print()


def tool() -> None:
    """Let the model call a function of this program, and go on with what it returns."""
    weather: Any = {
        "name": "get_weather",
        "description": "Tells the weather at a place.",
        "input_schema": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
    }
    said: list[Any] = [{"role": "user", "content": "What is the weather in Lisbon?"}]
    while True:
        answer = client.messages.create(**MOST, messages=said, tools=[weather])
        said.append({"role": "assistant", "content": answer.content})
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": f"It is sunny in {block.input['location']}."}
            for block in answer.content
            if block.type == "tool_use"
        ]
        if not results:
            print("tool:", text_of(answer))
            return
        said.append({"role": "user", "content": results})


def picture() -> None:
    """Send a picture with a question."""
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(red_square()).decode()}
    content: Any = [{"type": "text", "text": "What colour is this?"}, {"type": "image", "source": source}]
    print("picture:", text_of(client.messages.create(**MOST, messages=[{"role": "user", "content": content}])))


def tokens() -> None:
    """Estimate what a message would send."""
    counted = client.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "hello"}])
    print("tokens:", counted.input_tokens)


def red_square(side: int = 16) -> bytes:
    """A PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\xff\0\0" * side) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


if __name__ == "__main__":
    messages()
    stream()
    tool()
    picture()
    tokens()
