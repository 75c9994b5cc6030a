"""Estimated tokens."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.compat.requests import File, Image, Message, Request, Text, ToolCall, ToolResult, ToolSpec
from qpty.compat.usage import IMAGE_TOKENS, OVERHEAD, TokenCount, call_tokens, input_tokens_of, tokens_of
from tests.compat.reading_samples import PNG

HELLO = Message("user", (Text("hello"),))


def request(*messages: Message, system: str = "", tools: tuple[ToolSpec, ...] = ()) -> Request:
    return Request(interface="chat", model="m", messages=messages or (HELLO,), system=system, tools=tools)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("語", 1), ("語語語", 2), ("a語", 2), ("abcd語語語", 3)],
)
def test_a_text(text: str, tokens: int) -> None:
    assert tokens_of(text) == tokens


@given(st.lists(st.text(alphabet="ab é語\U0001f600")))
def test_a_text_counts_the_same_however_it_was_cut(pieces: list[str]) -> None:
    count = TokenCount()
    for piece in pieces:
        count.add(piece)
    assert count.with_more() == tokens_of("".join(pieces))


@given(st.text(), st.text())
def test_asking_adds_nothing_and_more_is_never_less(text: str, more: str) -> None:
    count = TokenCount()
    count.add(text)
    assert tokens_of(text) <= count.with_more(more) == tokens_of(text + more)
    assert count.with_more() == tokens_of(text)


def test_a_call_is_more_than_its_text() -> None:
    assert call_tokens(ToolCall("c", "look", {})) == OVERHEAD + tokens_of("look") + tokens_of("{}")
    # What a model writes is letters, not their escapes.
    words = {"at": "語" * 30}
    assert call_tokens(ToolCall("c", "look", words)) == OVERHEAD + 1 + tokens_of('{"at": "' + "語" * 30 + '"}')


def message_tokens(*messages: Message) -> int:
    return input_tokens_of(request(*messages))


def test_everything_that_is_sent_counts() -> None:
    hello = OVERHEAD + 2
    assert message_tokens(HELLO) == hello
    assert input_tokens_of(request(system="abcdefgh")) == hello + 2
    assert message_tokens(HELLO, Message("assistant", (Text("abcd"),)), HELLO) == 2 * hello + OVERHEAD + 1
    assert message_tokens(Message("user", (Text("hello"), Image("image/png", PNG)))) == hello + IMAGE_TOKENS
    assert message_tokens(Message("user", (Text("hello"), File("text/plain", bytes(400))))) == hello + 100
    call = ToolCall("c", "look", {"at": "x"})
    result = ToolResult("c", (Text("abcd"), Image("image/png", PNG)))
    assert message_tokens(HELLO, Message("assistant", (call,)), Message("user", (result,))) == (
        hello + OVERHEAD + call_tokens(call) + OVERHEAD + OVERHEAD + 1 + IMAGE_TOKENS
    )


def test_tools_count_with_what_is_said_of_them() -> None:
    schema = {"type": "object", "properties": {"größe": {"type": "string"}}}
    tools = (ToolSpec("look", "Look at it.", schema), ToolSpec("patch", "", None, custom=True))
    assert input_tokens_of(request(tools=tools)) - input_tokens_of(request()) == (
        OVERHEAD + 1 + 3 + tokens_of(json.dumps(schema, ensure_ascii=False)) + OVERHEAD + 2 + 0 + 1
    )


def test_an_answer_never_says_that_nothing_was_sent() -> None:
    assert input_tokens_of(request(Message("user", ()))) >= 1
