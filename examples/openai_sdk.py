"""OpenAI's Python SDK: chat, stream, a tool, a picture, Responses. Needs `pip install openai`."""

from __future__ import annotations

import base64
import json
import os
import struct
import zlib
from typing import Any

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("QPTY_URL", "http://127.0.0.1:8080") + "/v1",
    api_key=os.environ.get("QPTY_KEY") or "any-word",
)
MODEL = os.environ.get("QPTY_MODEL", "auto")


def chat() -> None:
    """Ask, and ask again: the second message goes to the same living session."""
    messages: list[Any] = [{"role": "user", "content": "My name is Ada. Say hello."}]
    for question in ("What is my name?", None):
        answer = client.chat.completions.create(model=MODEL, messages=messages)
        print("chat:", answer.choices[0].message.content)
        messages += [answer.choices[0].message, {"role": "user", "content": question}]


def stream() -> None:
    """Print an answer as it comes."""
    print("stream: ", end="")
    question: Any = [{"role": "user", "content": "Count to five."}]
    for chunk in client.chat.completions.create(model=MODEL, messages=question, stream=True):
        if chunk.choices:
            print(chunk.choices[0].delta.content or "", end="", flush=True)
    print()


def tool() -> None:
    """Let the model call a function of this program, and go on with what it returns."""
    weather = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Tells the weather at a place.",
            "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
        },
    }
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Lisbon?"}]
    while True:
        message = client.chat.completions.create(model=MODEL, messages=messages, tools=[weather]).choices[0].message
        messages.append(message)
        if not message.tool_calls:
            print("tool:", message.content)
            return
        for call in message.tool_calls:
            place = json.loads(call.function.arguments).get("location")
            messages.append({"role": "tool", "tool_call_id": call.id, "content": f"It is sunny in {place}."})


def picture() -> None:
    """Send a picture with a question."""
    url = "data:image/png;base64," + base64.b64encode(red_square()).decode()
    content: Any = [{"type": "text", "text": "What colour is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
    print("picture:", answer.choices[0].message.content)


def responses() -> None:
    """The same with Responses: the server has the conversation, so only what is new is sent."""
    first = client.responses.create(model=MODEL, input="Think of a number.")
    second = client.responses.create(model=MODEL, input="Which one is it?", previous_response_id=first.id)
    print("responses:", second.output_text)


def red_square(side: int = 16) -> bytes:
    """A PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\xff\0\0" * side) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


if __name__ == "__main__":
    chat()
    stream()
    tool()
    picture()
    responses()
