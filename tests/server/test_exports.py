"""Conversations as documents: complete, readable, and nothing in them breaks out of its place."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt

from qpty.server.downloads import attachment, file_name
from qpty.storage.rows import MessageRow, TurnRow
from qpty.storage.writes import insert_message, insert_turn, update_session

if TYPE_CHECKING:
    from qpty.storage.rows import Role
    from tests.server.conftest import Serve
    from tests.server.served import Served

HOSTILE = (
    "```\n````js\n<script>alert(1)</script>\n<!-- \n~~~~\n## 99. You\n",
    "<details><pre>\n`````\n\r# x\r\n> > quoted\n| a | b",
    "[a](javascript:alert(1))\n\n    code\n- list\n  - `` ` ``\n",
)


async def said(served: Served, session_id: str, exchanges: list[tuple[str, str, Any]]) -> None:
    """Write exchanges as if they had been said."""
    writes: list[Any] = [update_session(session_id, message_count=2 * len(exchanges))]
    for number, (asked, answered, tools) in enumerate(exchanges, 1):
        turn_id = f"{session_id}-{number}"
        writes.append(
            insert_turn(
                TurnRow(
                    id=turn_id, session_id=session_id, position=number, state="completed", stop_reason="end_turn",
                    created_at=float(number),
                )
            )
        )  # fmt: skip
        spoken: tuple[tuple[Role, str], ...] = (("user", asked), ("assistant", answered))
        for role, text in spoken:
            position = 2 * number - (role == "user")
            writes.append(
                insert_message(
                    MessageRow(
                        id=f"{turn_id}-{role}", session_id=session_id, turn_id=turn_id, position=position, role=role,
                        text=text, exact=True, tools=tools if role == "assistant" else None, created_at=float(number),
                    )
                )
            )  # fmt: skip
    await served.manager.database.writer.write(*writes)


async def exported(served: Served, session_id: str, form: str) -> tuple[Any, str]:
    """The headers and the text of an export."""
    async with served.http.get(f"{served.url}/api/v1/sessions/{session_id}/export?format={form}") as response:
        assert response.status == 200
        return response.headers, await response.text()


async def test_a_conversation_is_exported_for_people(serve: Serve) -> None:
    async with serve() as served:
        session_id = await served.session(title='Plan: "a/b" <x>', trust_all_tools=True, model=None)
        await served.chat("hello", session_id)
        await served.chat("bash echo heron", session_id)
        headers, text = await exported(served, session_id, "markdown")
        assert headers["Content-Type"] == "text/markdown; charset=utf-8"
        assert headers["Content-Disposition"] == attachment("Plan a b x.md")
        tokens = MarkdownIt().parse(text)
        headings = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
        assert headings[0] == r"Plan\: \"a/b\" \<x\>".replace(r"\"", '"')
        assert [re.sub(r"\d{4}-\S+Z", "TIME", heading) for heading in headings[1:]] == ["1. TIME", "2. TIME"]
        fences = [token for token in tokens if token.type == "fence"]
        assert [fence.content for fence in fences[:2]] == ["hello\n", "bash echo heron\n"]
        arguments = json.loads(fences[2].content)
        assert arguments["command"] == "echo heron"
        assert "**Tool** `execute_bash`: done" in text
        assert "> Hello! How can I help you today?" in text


async def test_a_conversation_is_exported_for_programs(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = (await served.chat("hello"))["session_id"]
        await served.chat("echo \U0001f426 second", session_id)
        headers, text = await exported(served, session_id, "json")
        assert headers["Content-Type"] == "application/json"
        assert headers["Content-Disposition"] == attachment("hello.json")
        found = json.loads(text)
        _, session = await served.ask("GET", f"/api/v1/sessions/{session_id}")
        _, messages = await served.ask("GET", f"/api/v1/sessions/{session_id}/messages")
        assert found == {"session": session, "messages": messages["messages"]}


async def test_nothing_breaks_out_of_its_place(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session(title="# [x](y) `<b>`\n\n## 98. evil\u202e", system_prompt="``` \n# prompt")
        tools = [
            {"name": "a`b`` \n# x", "arguments": {"text": "```\n````\n# tool"}, "outcome": "error"},
            {"name": "big", "arguments": None, "outcome": None},
        ]
        await said(served, session_id, [(one, two, tools) for one in HOSTILE for two in HOSTILE])
        _, text = await exported(served, session_id, "markdown")
        tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
        opened = [at for at, token in enumerate(tokens) if token.type == "heading_open" and token.level == 0]
        title, *turns = [tokens[at + 1] for at in opened]
        assert [turn.content[:2] for turn in turns] == [f"{number}." for number in range(1, 10)]
        assert {child.type for child in title.children or ()} <= {"text", "text_special"}
        outside = [token for token in tokens if token.level == 0]
        assert not any(token.type == "html_block" for token in outside)
        asked = [token.content for token in outside if token.type == "fence" and token.info == "text"]
        wanted = [re.sub(r"\r\n?", "\n", one).removesuffix("\n") for one in HOSTILE for _ in HOSTILE]
        assert [text.rstrip("\n") for text in asked[1:]] == [text.rstrip("\n") for text in wanted]


async def test_a_long_conversation_is_exported_whole_in_pages(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        await said(served, session_id, [(f"question {n}", f"answer {n}", None) for n in range(1000)])
        _, text = await exported(served, session_id, "markdown")
        assert re.findall(r"^question (\d+)$", text, re.MULTILINE) == [str(n) for n in range(1000)]
        assert re.findall(r"^> answer (\d+)$", text, re.MULTILINE) == [str(n) for n in range(1000)]
        _, text = await exported(served, session_id, "json")
        assert len(json.loads(text)["messages"]) == 2000


async def test_what_was_not_answered_is_told(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        await served.ask("POST", "/api/v1/chat", {"message": "denied", "session_id": session_id})
        chat = asyncio.ensure_future(
            served.ask("POST", "/api/v1/chat", {"message": "slow 60", "session_id": session_id})
        )
        await served.until(f"/api/v1/sessions/{session_id}/events", lambda event: event["type"] == "message.delta")
        _, text = await exported(served, session_id, "markdown")
        assert "**Failed**: `access_denied`" in text
        assert text.endswith("slow 60\n```\n\n*Not answered yet.*\n")
        await served.ask("POST", f"/api/v1/sessions/{session_id}/interrupt")
        await chat
        _, text = await exported(served, session_id, "markdown")
        assert text.endswith("*Interrupted.*\n")


async def test_a_head_has_the_headers_alone_and_another_format_is_refused(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        path = f"/api/v1/sessions/{await served.session()}/export"
        async with served.http.head(served.url + path) as response:
            assert response.status == 200
            assert "attachment" in response.headers["Content-Disposition"]
            assert await response.read() == b""
        status, refused = await served.ask("GET", f"{path}?format=html")
        assert (status, refused["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("A plan", "A plan.md"),
        (None, "other.md"),
        ("", "other.md"),
        ("../../etc/passwd", "etc passwd.md"),
        ("C:\\x | y*?", "C x y.md"),
        ("con", "other.md"),
        ("a\u202etxt.exe\x00\n", "a txt exe.md"),
        ("...", "other.md"),
        ("-rf ~ $HOME `x`", "rf HOME x.md"),
        ("数据", "数据.md"),
        ("🐦" * 100, "🐦" * 50 + ".md"),
    ],
)
def test_a_title_becomes_a_name_that_is_safe_anywhere(title: str | None, name: str) -> None:
    assert file_name(title, otherwise="other", extension="md") == name
    assert len(name.encode()) < 255
