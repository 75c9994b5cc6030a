"""What a conversation is known by: nothing that clients change on its way, everything that makes it another one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.compat.digests import BEGINNING, conversation_digests, extended, settings_digest
from qpty.compat.requests import File, Image, Message, Text, ToolCall, ToolResult, ToolSpec
from tests.compat.reading_samples import JPEG, PNG

if TYPE_CHECKING:
    from qpty.compat.requests import Part

WORDS = st.text(alphabet="abc xyz\n", min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
ARGUMENTS = st.dictionaries(st.sampled_from("abcdef"), st.integers() | WORDS, max_size=4)


def user(*parts: Part | str) -> Message:
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Part | str) -> Message:
    return Message("assistant", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def result(call_id: str, text: str, *, is_error: bool = False) -> ToolResult:
    return ToolResult(call_id, (Text(text),), is_error)


CONVERSATION = (
    user("look at it", Image("image/png", PNG)),
    assistant("I do.", ToolCall("c1", "look", {"at": "it"}), ToolCall("c2", "look", {"at": "that"})),
    user(result("c1", "red"), result("c2", "blue"), "go on"),
    assistant("It is red."),
    user("thanks"),
)


def digest(*messages: Message) -> str:
    return conversation_digests(messages)[-1]


def changed(at: int, message: Message) -> tuple[Message, ...]:
    return (*CONVERSATION[:at], message, *CONVERSATION[at + 1 :])


def test_each_digest_is_of_everything_so_far() -> None:
    digests = conversation_digests(CONVERSATION)
    assert len(set(digests)) == len(CONVERSATION)
    for at in range(1, len(CONVERSATION) + 1):
        assert digests[at - 1] == digest(*CONVERSATION[:at])
    assert conversation_digests(CONVERSATION[2:], start=digests[1]) == digests[2:]
    assert extended(digests[-2], CONVERSATION[-1]) == digests[-1]
    assert extended(BEGINNING, CONVERSATION[0]) == digests[0]


@given(ARGUMENTS, ARGUMENTS, WORDS, st.randoms())
def test_what_a_client_makes_of_calls_does_not_count(
    arguments: dict[str, Any], defaults: dict[str, Any], text: str, random: Any
) -> None:
    issued = assistant("I do.", ToolCall("c1", "look", arguments))
    items = [*arguments.items(), *((f"more_{name}", value) for name, value in defaults.items())]
    random.shuffle(items)
    sent_back = assistant(text, ToolCall("c1", "look", dict(items)))
    assert digest(*changed(1, issued)) == digest(*changed(1, sent_back))
    assert digest(*changed(1, assistant(ToolCall("c1", "renamed", {})))) == digest(*changed(1, issued))


@given(WORDS, st.data())
def test_white_space_of_the_assistant_does_not_count(text: str, data: st.DataObject) -> None:
    white = st.text(alphabet=" \t\n", max_size=3)
    said = "".join(data.draw(white) if character.isspace() else character + data.draw(white) for character in text)
    assert digest(*changed(3, assistant(text))) == digest(*changed(3, assistant(said)))


@given(WORDS, st.integers(0, 12))
def test_an_assistants_text_counts_however_it_is_divided(text: str, at: int) -> None:
    assert digest(assistant(text)) == digest(assistant(text[:at], text[at:]))


@given(WORDS, st.text(alphabet=" \t\n", max_size=3), st.text(alphabet=" \t\n", max_size=3))
def test_white_space_around_a_users_text_does_not_count(text: str, before: str, after: str) -> None:
    assert digest(user(text)) == digest(user(before + text + after))


@given(WORDS, WORDS)
def test_another_text_of_the_user_is_another_conversation(text: str, other: str) -> None:
    assert (digest(user(text)) == digest(user(other))) == (text.strip() == other.strip())
    one, two = changed(2, user(result("c1", text))), changed(2, user(result("c1", other)))
    assert (digest(*one) == digest(*two)) == (text.strip() == other.strip())


@given(WORDS, WORDS)
def test_another_text_of_the_assistant_is_another_conversation(text: str, other: str) -> None:
    same = "".join(text.split()) == "".join(other.split())
    assert (digest(assistant(text)) == digest(assistant(other))) == same


@pytest.mark.parametrize(
    "other",
    [
        changed(0, user("look at it", Image("image/jpeg", JPEG))),
        changed(0, user("look at it", Image("image/png", PNG[:-1] + b"."))),
        changed(0, user("look at it")),
        changed(0, user(Image("image/png", PNG), "look at it")),
        changed(0, user("look at it", File("image/png", PNG + b"."))),
        changed(0, assistant("look at it")),
        changed(1, assistant(ToolCall("c1", "look", {"at": "it"}), ToolCall("c3", "look", {"at": "that"}))),
        changed(1, assistant(ToolCall("c2", "look", {"at": "it"}), ToolCall("c1", "look", {"at": "that"}))),
        changed(1, assistant(ToolCall("c1", "look", {"at": "it"}))),
        changed(1, assistant("I do.")),
        changed(2, user(result("c1", "red"), result("c2", "green"), "go on")),
        changed(2, user(result("c1", "red"), result("c3", "blue"), "go on")),
        changed(2, user(result("c1", "blue"), result("c2", "red"), "go on")),
        changed(2, user(result("c2", "blue"), result("c1", "red"), "go on")),
        changed(2, user(result("c1", "red", is_error=True), result("c2", "blue"), "go on")),
        changed(2, user(result("c1", "red"), result("c2", "blue"))),
        changed(2, user("go on", result("c1", "red"), result("c2", "blue"))),
        changed(2, user(result("c1", "red"), result("c2", "blue\ngo on"))),
        changed(3, assistant("It is blue.")),
        changed(4, user("Thanks")),
        CONVERSATION[2:],
        CONVERSATION[:3] + CONVERSATION[4:],
        (*CONVERSATION[:3], CONVERSATION[4], CONVERSATION[3]),
    ],
)
def test_another_conversation(other: tuple[Message, ...]) -> None:
    assert digest(*other) != digest(*CONVERSATION)


def test_the_words_of_calls_and_texts_are_told_apart() -> None:
    said = [
        assistant("c1"),
        assistant(ToolCall("c1", "", {})),
        assistant(ToolCall("calls", "", {}), ToolCall("c1", "", {})),
        assistant(ToolCall("c1", "", {}), ToolCall("calls", "", {})),
        user("c1"),
        user(ToolResult("c1", ())),
        user(result("c1", "c1")),
    ]
    assert len({digest(message) for message in said}) == len(said)


TOOL = ToolSpec("look", "Look.", {"type": "object", "properties": {"at": {"type": "string"}}})


def settings(model: str | None = "m", system: str = "s", tools: tuple[ToolSpec, ...] = (TOOL,), **more: Any) -> str:
    return settings_digest(model=model, system=system, tools=tools, **more)


def test_the_order_of_a_schemas_keys_does_not_count() -> None:
    turned = replace(TOOL, schema={"properties": {"at": {"type": "string"}}, "type": "object"})
    assert settings(tools=(turned,)) == settings()


def test_anything_else_of_the_settings_counts() -> None:
    others = [
        settings(),
        settings(model=None),
        settings(model="n"),
        settings(system="t"),
        settings(tools=()),
        settings(tools=(TOOL, TOOL)),
        settings(tools=(replace(TOOL, name="see"),)),
        settings(tools=(replace(TOOL, namespace="x"),)),
        settings(tools=(replace(TOOL, custom=True),)),
        settings(tools=(replace(TOOL, description="See."),)),
        settings(tools=(replace(TOOL, schema=None),)),
        settings(tools=(replace(TOOL, schema={"type": "object"}),)),
        settings(builtin_tools=True),
        settings(builtin_tools=False),
        settings(attachments=True),
    ]
    assert len(set(others)) == len(others)
