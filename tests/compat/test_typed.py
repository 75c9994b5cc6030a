"""What is typed for a client's message."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.compat.client_tools.names import offer_of
from qpty.compat.history import GO_ON
from qpty.compat.requests import File, Image, JsonFormat, Message, Text, ToolCall, ToolChoice, ToolResult, ToolSpec
from qpty.compat.typed import (
    ANY_JSON,
    LOOK,
    NO_TOOLS,
    NOT_JSON,
    SOME_TOOL,
    attachments_of,
    has_attachments,
    path_of,
    typed_text,
)
from tests.compat.reading_samples import GIF, JPEG, PDF, PNG, WEBP

NOTHING = offer_of([])
TOOLS = offer_of([ToolSpec("look.at", "Looks.", {"type": "object"}), ToolSpec("go", "Goes.", {"type": "object"})])
PICTURE = Image("image/png", PNG)


def user(*parts: Text | Image | File | ToolResult) -> Message:
    return Message("user", parts)


def typed(
    message: Message, choice: ToolChoice | None = None, *, tools: bool = False, wanted: JsonFormat | None = None
) -> str:
    return typed_text(
        message,
        directory="/sessions/one",
        choice=choice or ToolChoice(),
        offer=TOOLS if tools else NOTHING,
        json_format=wanted,
    )


@given(st.text().filter(lambda text: bool(text.strip())), st.booleans())
def test_a_text_is_typed_as_it_is(text: str, tools: bool) -> None:
    assert typed(user(Text(text)), tools=tools) == text


def test_several_texts_are_typed_below_each_other() -> None:
    assert typed(user(Text("<reminder>"), Text("Do it."))) == "<reminder>\nDo it."


def test_pictures_and_files_stand_where_they_were() -> None:
    file = File("text/csv", b"a,b\n", "my table.csv")
    text = typed(user(Text("This"), PICTURE, Text("or that?"), file))
    picture = f"[picture: /sessions/one/{path_of(PICTURE)}]"
    table = f"[file: /sessions/one/{path_of(file)} (my table.csv)]"
    assert text == f"This\n{picture}\nor that?\n{table}\n\n{LOOK}"


def test_everything_that_is_named_is_put_there() -> None:
    parts = (PICTURE, Image("image/jpeg", JPEG), File("application/pdf", PDF), Image("image/png", PNG))
    before = user(Image("image/gif", GIF))
    message = user(*parts)
    attachments = attachments_of([before, Message("assistant", (Text("I see."),)), message])
    assert attachments == {path_of(part): part.data for part in parts}
    assert len(attachments) == 3, "the same picture is there once"
    assert all(path in typed(message) for path in attachments)


def test_results_are_no_attachments() -> None:
    message = user(ToolResult("c", (PICTURE,)), Text("go on"))
    assert attachments_of([message]) == {}
    assert not has_attachments([message])
    assert typed(message) == "go on"


def test_attachments_of_earlier_messages_count_for_the_session() -> None:
    assert has_attachments([user(PICTURE), Message("assistant", (Text("I see."),)), user(Text("thanks"))])
    assert not has_attachments([user(Text("hello"))])


@pytest.mark.parametrize("beside", [(), (Text("  \n"),), (Text(""), Text(" "))])
def test_results_alone_are_gone_on_with(beside: tuple[Text, ...]) -> None:
    assert typed(user(ToolResult("c", (Text("red"),)), *beside)) == GO_ON


@pytest.mark.parametrize(
    ("part", "ending"),
    [
        (PICTURE, "png"),
        (Image("image/jpeg", JPEG), "jpg"),
        (Image("image/gif", GIF), "gif"),
        (Image("image/webp", WEBP), "webp"),
        (File("application/pdf", PDF), "pdf"),
        (File("application/pdf", PDF, "Report.PDF"), "pdf"),
        (File("text/plain", b"x", "a.tar.gz"), "gz"),
        (File("text/x-python", b"x"), "txt"),
        (File("text/plain", b"x", "../../etc/passwd"), "txt"),
        (File("text/plain", b"x", "a.b/../c"), "txt"),
        (File("application/vnd.ms-excel", b"x", "name"), "txt"),
        (File("", b"x", "a.waytoolong"), "txt"),
    ],
)
def test_where_a_part_is_put(part: Image | File, ending: str) -> None:
    assert path_of(part) == f"attachments/{hashlib.sha256(part.data).hexdigest()[:16]}.{ending}"


@given(st.text(), st.binary(), st.none() | st.text())
def test_a_path_is_plain_whatever_a_file_is_called(media_type: str, data: bytes, name: str | None) -> None:
    assert re.fullmatch(r"attachments/[0-9a-f]{16}\.[a-z0-9]{1,8}", path_of(File(media_type, data, name)))


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (ToolChoice("none"), NO_TOOLS),
        (ToolChoice("required"), SOME_TOOL),
        (ToolChoice("named", "look.at"), "(Use the tool look_at now.)"),
    ],
)
def test_a_choice_among_tools_is_said_where_there_are_any(choice: ToolChoice, said: str) -> None:
    assert typed(user(Text("hello")), choice, tools=True) == f"hello\n\n{said}"
    assert typed(user(Text("hello")), choice) == "hello"


def test_json_is_asked_for_last() -> None:
    assert typed(user(Text("hello")), wanted=JsonFormat()) == f"hello\n\n{ANY_JSON}"
    schema = {"type": "object", "properties": {"größe": {"description": "{in} {schema}"}}}
    text = typed(user(PICTURE), ToolChoice("required"), tools=True, wanted=JsonFormat(schema))
    picture, look, tool, wanted = text.split("\n\n")
    assert (picture, look, tool) == (f"[picture: /sessions/one/{path_of(PICTURE)}]", LOOK, SOME_TOOL)
    assert json.dumps(schema, ensure_ascii=False) in wanted


def test_why_it_was_no_json_is_said_as_it_is() -> None:
    assert "{a}: no" in NOT_JSON.format(why="{a}: no")


def test_calls_are_never_typed() -> None:
    assert typed(Message("user", (Text("a"), ToolCall("c", "look", {})))) == "a"
