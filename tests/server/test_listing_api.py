"""Sessions found by their titles, messages read backwards, forks before a turn and with files, and what is on offer."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from tests.server.conftest import Serve
    from tests.server.served import Served

NEWEST = 2147483647


async def titles(served: Served, search: str) -> list[str]:
    """The titles that a search finds."""
    status, page = await served.ask("GET", f"/api/v1/sessions?search={quote(search)}")
    assert status == 200, page
    return [session["title"] for session in page["sessions"]]


async def test_sessions_are_found_by_title_and_by_first_message(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        await served.session(title="Ärger mit 100%")
        await served.session(title="Ärger mit 1000")
        await served.chat("hello ÜBUNG\nand more")
        assert await titles(served, "ärger MIT") == ["Ärger mit 1000", "Ärger mit 100%"]
        assert await titles(served, "100%") == ["Ärger mit 100%"]
        assert await titles(served, "übung") == ["hello ÜBUNG"]
        assert await titles(served, "and more") == []
        assert len(await titles(served, "")) == 3
        status, refused = await served.ask("GET", f"/api/v1/sessions?search={'x' * 201}")
        assert (status, refused["error"]["code"]) == (400, "invalid_request")


async def test_a_search_goes_on_with_its_cursor(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        for number in range(5):
            await served.session(title=f"heron {number}")
            await served.session(title=f"stork {number}")
        found, cursor = [], ""
        while True:
            _, page = await served.ask("GET", f"/api/v1/sessions?search=HERON&limit=2{cursor}")
            found.append([session["title"] for session in page["sessions"]])
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert found == [["heron 4", "heron 3"], ["heron 2", "heron 1"], ["heron 0"]]


async def test_messages_are_read_backwards(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        path = f"/api/v1/sessions/{session_id}/messages"
        empty: dict[str, Any] = {"session_id": session_id, "messages": [], "next": None, "previous": None}
        assert await served.ask("GET", f"{path}?before={NEWEST}") == (200, empty)
        for number in range(3):
            await served.chat(f"echo {number}", session_id)
        _, whole = await served.ask("GET", path)
        assert len(whole["messages"]) == 6
        pages: list[dict[str, Any]] = []
        before = NEWEST
        while True:
            status, page = await served.ask("GET", f"{path}?before={before}&limit=4")
            assert status == 200
            pages.insert(0, page)
            if page["previous"] is None:
                break
            before = page["previous"]
        assert [len(page["messages"]) for page in pages] == [2, 4]
        assert [message for page in pages for message in page["messages"]] == whole["messages"]
        assert pages[1]["next"] is None
        _, following = await served.ask("GET", f"{path}?after={pages[0]['next']}")
        assert following["messages"] == pages[1]["messages"]
        _, back = await served.ask("GET", f"{path}?before={following['previous']}")
        assert back["messages"] == pages[0]["messages"]
        _, first = await served.ask("GET", f"{path}?before=1")
        assert (first["messages"], first["previous"], first["next"]) == ([], None, 0)
        status, refused = await served.ask("GET", f"{path}?before=3&after=1")
        assert (status, refused["error"]["code"]) == (400, "invalid_request")
        assert (await served.ask("GET", f"{path}?before=0"))[0] == 400


async def test_a_message_is_said_again_in_other_words(serve: Serve) -> None:
    async with serve() as served:
        session_id = await served.session(system_prompt="Be short.", trusted_tools=["fs_read"], columns=100)
        first = await served.chat("remember the heron", session_id)
        second = await served.chat("remember the stork", session_id)
        path = f"/api/v1/sessions/{session_id}/fork"

        async def forked(turn_id: str) -> dict[str, Any]:
            status, made = await served.ask("POST", path, {"before_turn_id": turn_id})
            assert status == 201, made
            assert made["files"] is None
            _, found = await served.ask("GET", f"/api/v1/sessions/{made['session_id']}")
            assert found["parent_id"] == session_id
            assert (found["system_prompt"], found["trusted_tools"]) == ("Be short.", ["fs_read"])
            assert found["columns"] == 100
            return dict(found)

        fork = await forked(second["turn_id"])
        assert (fork["message_count"], fork["title"]) == (2, "remember the heron")
        assert (await served.chat("recall", fork["session_id"]))["text"] == "You told me: the heron"
        fork = await forked(first["turn_id"])
        assert (fork["message_count"], fork["title"]) == (0, None)
        await served.chat("hello", fork["session_id"])
        _, found = await served.ask("GET", f"/api/v1/sessions/{fork['session_id']}")
        assert (found["message_count"], found["title"]) == (2, "hello")
        for body, status in (
            ({"before_turn_id": "none"}, 409),
            ({"before_turn_id": first["turn_id"], "turn_id": first["turn_id"]}, 400),
        ):
            refused = await served.ask("POST", path, body)
            assert refused[0] == status
        elsewhere = await served.chat("hello")
        status, refused = await served.ask("POST", path, {"before_turn_id": elsewhere["turn_id"]})
        assert (status, refused["error"]["code"]) == (409, "not_forkable")


async def test_a_fork_before_a_turn_that_failed(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session(title="mine")
        await served.chat("remember the heron", session_id)
        status, _ = await served.ask("POST", "/api/v1/chat", {"message": "denied", "session_id": session_id})
        assert status >= 400
        _, said = await served.ask("GET", f"/api/v1/sessions/{session_id}/messages")
        failed = said["messages"][-1]["turn_id"]
        status, made = await served.ask("POST", f"/api/v1/sessions/{session_id}/fork", {"before_turn_id": failed})
        assert status == 201
        assert (await served.chat("recall", made["session_id"]))["text"] == "You told me: the heron"
        first = said["messages"][0]["turn_id"]
        _, made = await served.ask("POST", f"/api/v1/sessions/{session_id}/fork", {"before_turn_id": first})
        _, found = await served.ask("GET", f"/api/v1/sessions/{made['session_id']}")
        assert found["title"] == "mine"


async def test_a_fork_takes_the_files_along(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = (await served.chat("hello"))["session_id"]
        path = f"/api/v1/sessions/{session_id}"
        for name in ("a.txt", "below/b.bin"):
            status, _ = await served.ask("PUT", f"{path}/files/{name}", data=name.encode() * 1000)
            assert status == 201
        directory = Path((await served.ask("GET", path))[1]["absolute_work_directory"])
        (directory / "link").symlink_to("/etc/passwd")
        (directory / "below" / "b.bin").chmod(0o755)
        await asyncio.to_thread(os.mkfifo, directory / "pipe")
        status, made = await served.ask("POST", f"{path}/fork", {"copy_files": True})
        assert status == 201
        assert {**made["files"], "skipped": sorted(made["files"]["skipped"])} == {
            "files": 2, "directories": 1, "bytes": 1000 * len("a.txtbelow/b.bin"), "skipped": ["link", "pipe"],
            "skipped_count": 2,
        }  # fmt: skip
        _, before = await served.ask("GET", f"{path}/files")
        _, after = await served.ask("GET", f"/api/v1/sessions/{made['session_id']}/files")
        assert after["files"] == before["files"]
        assert after["directories"] == before["directories"]
        assert after["other"] == []
        copy = Path((await served.ask("GET", f"/api/v1/sessions/{made['session_id']}"))[1]["absolute_work_directory"])
        assert (copy / "below" / "b.bin").stat().st_mode & 0o777 == 0o755
        assert (copy / "below" / "b.bin").read_bytes() == b"below/b.bin" * 1000
        status, made = await served.ask("POST", f"{path}/fork")
        assert made["files"] is None
        assert (await served.ask("GET", f"/api/v1/sessions/{made['session_id']}/files"))[1]["files"] == []


async def test_what_can_be_chosen_for_a_session(serve: Serve) -> None:
    async with serve(trusted_tools="fs_read", force_chinese=True) as served:
        home = Path(served.manager._provider.spec.environment["HOME"])  # type: ignore[attr-defined]
        directory = home / ".aws" / "amazonq" / "cli-agents"
        directory.mkdir(parents=True, exist_ok=True)
        files = {
            "any-name.json": json.dumps({"name": "reviewer", "description": "Reviews\x1b[31m\n code\u202e"}),
            "plain.json": json.dumps({"name": "plain", "description": 5}),
            "nameless.json": "{}",
            "broken.json": "{",
            "list.json": "[]",
            "odd.json": json.dumps({"name": "--trust-all-tools"}),
            "number.json": json.dumps({"name": 5}),
            "ours.json": json.dumps({"name": "qpty-session"}),
        }
        for name, content in files.items():
            (directory / name).write_text(content, encoding="utf-8")
        (directory / "link.json").symlink_to("plain.json")
        try:
            status, found = await served.ask("GET", "/api/v1/agents")
        finally:
            for name in (*files, "link.json"):
                (directory / name).unlink()
        assert status == 200
        assert found["agents"] == [
            {"name": "plain", "description": ""},
            {"name": "reviewer", "description": "Reviews[31m code"},
        ]
        assert found["models_complete"]
        assert len(found["models"]) >= 2
        assert {"fs_read", "fs_write", "execute_bash"} <= {tool["name"] for tool in found["tools"]}
        assert found["defaults"]["trusted_tools"] == ["fs_read"]
        assert "中文" in found["defaults"]["system_prompt"]
        session_id = await served.session(model=found["models"][1])
        assert (await served.chat("hello", session_id))["stop_reason"] == "end_turn"


async def test_a_pipe_among_the_agent_files_keeps_nobody_waiting(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        home = Path(served.manager._provider.spec.environment["HOME"])  # type: ignore[attr-defined]
        directory = home / ".aws" / "amazonq" / "cli-agents"
        directory.mkdir(parents=True)
        await asyncio.to_thread(os.mkfifo, directory / "pipe.json")
        status, found = await served.ask("GET", "/api/v1/agents")
        assert (status, found["agents"]) == (200, [])


async def test_models_are_those_that_were_used_where_the_command_line_names_none(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        offers = served.manager.offers
        assert offers is not None
        spec = offers._spec
        offers._spec = spec.__class__(
            **{name: getattr(spec, name) for name in spec.__slots__} | {"argv": ("/nowhere/to/be/found",)}
        )
        await served.session(model="one")
        await served.session(model="two")
        await served.session(model="one")
        await served.session()
        _, found = await served.ask("GET", "/api/v1/agents")
        assert (found["models"], found["models_complete"]) == (["one", "two"], False)
