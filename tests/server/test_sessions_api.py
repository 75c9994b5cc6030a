"""Sessions: made, listed, looked at, changed, forked, hibernated, deleted."""

from __future__ import annotations

import asyncio
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.server.served import TIMEOUT, ends

if TYPE_CHECKING:
    from tests.server.conftest import Serve
    from tests.server.served import Served

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

FIELDS = {
    "session_id", "created_at", "last_activity", "message_count", "work_directory", "absolute_work_directory", "state",
    "title", "agent", "model", "system_prompt", "trusted_tools", "trust_all_tools", "columns", "lines", "turn_id",
    "queued", "question", "client", "parent_id", "expired",
}  # fmt: skip


async def listed(served: Served, *, limit: int) -> list[list[str]]:
    """The ids of every page."""
    pages, cursor = [], ""
    while True:
        status, page = await served.ask("GET", f"/api/v1/sessions?limit={limit}{cursor}")
        assert status == 200
        pages.append([session["session_id"] for session in page["sessions"]])
        if page["next"] is None:
            return pages
        cursor = f"&cursor={page['next']}"


async def test_a_session_is_made_with_any_kind_of_no_body(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        url = f"{served.url}/api/v1/sessions"
        given: list[dict[str, Any]] = [
            {},
            {"data": b""},
            {"data": b"", "headers": {"Content-Type": "application/json"}},
            {"data": b" \n", "headers": {"Content-Type": "text/plain"}},
            {"json": {}},
            {"data": b"{}", "headers": {"Content-Type": "application/json; charset=utf-8"}},
        ]
        for options in given:
            async with served.http.post(url, **options) as response:
                assert response.status == 201, options
                made = await response.json()
                assert set(made) == {"session_id", "created_at"}
                assert str(uuid.UUID(made["session_id"])) == made["session_id"]
                assert TIMESTAMP.fullmatch(made["created_at"])
                location = response.headers["Location"]
            status, found = await served.ask("GET", location)
            assert (status, found["session_id"]) == (200, made["session_id"])


async def test_a_new_session_has_every_field(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        status, found = await served.ask("GET", f"/api/v1/sessions/{session_id}")
        assert status == 200
        assert set(found) == FIELDS
        assert found["created_at"] == found["last_activity"]
        assert found["message_count"] == 0
        directory = Path(found["absolute_work_directory"])
        assert await asyncio.to_thread(directory.is_dir)
        assert found["work_directory"] == f"{directory.parent.name}/{session_id}" == f"sessions/{session_id}"
        assert (found["state"], found["title"], found["turn_id"], found["queued"]) == ("hibernated", None, None, 0)
        assert (found["columns"], found["lines"], found["trust_all_tools"]) == (80, 24, False)
        assert (found["question"], found["parent_id"], found["expired"]) == (None, None, False)
        status, page = await served.ask("GET", "/api/v1/sessions")
        assert (status, page) == (200, {"sessions": [found], "next": None})


async def test_what_is_given_is_kept(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        title = "Tīmeklis 🌍 <b>"
        given = {
            "title": title, "model": "demo-haiku", "system_prompt": "Be short.", "trusted_tools": ["fs_read", "@git/x"],
            "trust_all_tools": True, "columns": 132, "lines": 50.0,
        }  # fmt: skip
        session_id = await served.session(**given)
        _, found = await served.ask("GET", f"/api/v1/sessions/{session_id}")
        assert {name: found[name] for name in given} == given
        session_id = await served.session(agent="reviewer", trusted_tools=[])
        _, found = await served.ask("GET", f"/api/v1/sessions/{session_id}")
        assert (found["agent"], found["trusted_tools"], found["system_prompt"]) == ("reviewer", [], None)


async def test_the_settings_fill_in_what_is_left_out(serve_demo: Serve) -> None:
    async with serve_demo(model="demo-haiku", trusted_tools="fs_read", force_chinese=True) as served:
        _, found = await served.ask("GET", f"/api/v1/sessions/{await served.session()}")
        assert (found["model"], found["trusted_tools"]) == ("demo-haiku", ["fs_read"])
        instruction = found["system_prompt"]
        assert "中文" in instruction
        _, found = await served.ask("GET", f"/api/v1/sessions/{await served.session(system_prompt='Be short.')}")
        assert found["system_prompt"] == f"Be short.\n\n{instruction}"
        _, found = await served.ask("GET", f"/api/v1/sessions/{await served.session(agent='own')}")
        assert (found["agent"], found["system_prompt"]) == ("own", None)


async def test_a_profile_that_cannot_be_is_refused(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        refusals: list[tuple[dict[str, Any], str]] = [
            ({"model": "--trust-all-tools"}, "invalid_profile"),
            ({"agent": "a b"}, "invalid_profile"),
            ({"agent": ""}, "invalid_profile"),
            ({"agent": "own", "system_prompt": "Be short."}, "invalid_profile"),
            ({"trusted_tools": ["fs_read,execute_bash"]}, "invalid_profile"),
            ({"system_prompt": " "}, "invalid_profile"),
            ({"system_prompt": "\0"}, "invalid_profile"),
            ({"system_prompt": "é" * 140_000}, "invalid_profile"),
            ({"system_prompt": "x" * 262_145}, "invalid_request"),
            ({"title": "x" * 501}, "invalid_request"),
            ({"title": 5}, "invalid_request"),
            ({"columns": 19}, "invalid_request"),
            ({"lines": 501}, "invalid_request"),
            ({"lines": 24.5}, "invalid_request"),
            ({"trusted_tools": "fs_read"}, "invalid_request"),
        ]
        for body, code in refusals:
            status, refused = await served.ask("POST", "/api/v1/sessions", body)
            assert (status, refused["error"]["code"]) == (400, code), body
        assert (await served.ask("GET", "/api/v1/sessions"))[1]["sessions"] == []


async def test_pages_have_every_session_once_the_newest_first(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        made = [await served.session(title=str(number)) for number in range(5)]
        pages = await listed(served, limit=2)
        assert [len(page) for page in pages] == [2, 2, 1]
        assert [session_id for page in pages for session_id in page] == made[::-1]
        assert await listed(served, limit=5) == [made[::-1]]
        for cursor in ("x", "", "W10=", "%00"):
            status, refused = await served.ask("GET", f"/api/v1/sessions?cursor={cursor}")
            assert (status, refused["error"]["code"]) == (400, "invalid_cursor"), cursor


async def test_a_session_is_changed(serve: Serve) -> None:
    async with serve() as served:
        session_id = await served.session(title="first")
        path = f"/api/v1/sessions/{session_id}"
        assert (await served.ask("PATCH", path, {"columns": 100}))[1]["columns"] == 100
        await served.chat("hello", session_id)
        status, found = await served.ask("PATCH", path, {"title": "second", "lines": 30})
        assert status == 200
        assert (found["title"], found["columns"], found["lines"]) == ("second", 100, 30)
        assert (await served.ask("PATCH", path, {"title": None}))[1]["title"] is None
        assert (await served.ask("PATCH", path, {}))[1]["lines"] == 30
        wrong: list[Any] = [{"columns": 5}, {"title": "x" * 501}, {"lines": "30"}, []]
        for body in wrong:
            assert (await served.ask("PATCH", path, body))[0] == 400
        status, found = await served.ask("GET", path)
        assert (found["title"], found["columns"], found["lines"], found["message_count"]) == (None, 100, 30, 2)


async def test_a_fork_goes_on_from_a_turn(serve: Serve) -> None:
    async with serve() as served:
        first = await served.chat("remember the heron")
        session_id = first["session_id"]
        await served.chat("remember the stork", session_id)
        for body, told in ((None, "the stork"), ({"turn_id": first["turn_id"]}, "the heron")):
            status, made = await served.ask("POST", f"/api/v1/sessions/{session_id}/fork", body)
            assert status == 201
            assert (await served.chat("recall", made["session_id"]))["text"] == f"You told me: {told}"
            _, found = await served.ask("GET", f"/api/v1/sessions/{made['session_id']}")
            assert found["parent_id"] == session_id
        status, refused = await served.ask("POST", f"/api/v1/sessions/{session_id}/fork", {"turn_id": "none"})
        assert (status, refused["error"]["code"]) == (409, "not_forkable")
        status, refused = await served.ask("POST", f"/api/v1/sessions/{await served.session()}/fork")
        assert (status, refused["error"]["code"]) == (409, "not_forkable")


async def test_a_session_hibernates_and_comes_back_with_what_was_said(serve: Serve) -> None:
    async with serve() as served:
        session_id = (await served.chat("remember the heron"))["session_id"]
        path = f"/api/v1/sessions/{session_id}"
        assert (await served.ask("GET", path))[1]["state"] == "ready"
        assert await served.ask("POST", f"{path}/hibernate") == (200, {"hibernated": True})
        assert await served.ask("POST", f"{path}/hibernate") == (200, {"hibernated": False})
        assert (await served.ask("GET", path))[1]["state"] == "hibernated"
        assert (await served.chat("recall", session_id))["text"] == "You told me: the heron"


async def test_a_deleted_session_is_gone(serve: Serve) -> None:
    async with serve() as served:
        session_id = (await served.chat("hello"))["session_id"]
        path = f"/api/v1/sessions/{session_id}"
        directory = Path((await served.ask("GET", path))[1]["absolute_work_directory"])
        assert await served.ask("DELETE", path) == (204, "")
        for method, below, body in (
            ("GET", "", None), ("DELETE", "", None), ("GET", "/messages", None), ("GET", "/files", None),
            ("GET", "/events?follow=false", None), ("GET", "/screen", None), ("POST", "/messages", {"message": "x"}),
            ("POST", "/fork", None), ("POST", "/hibernate", None), ("GET", "/recording", None),
        ):  # fmt: skip
            status, refused = await served.ask(method, path + below, body)
            assert (status, refused["error"]["code"]) == (404, "session_not_found"), below
        assert not await asyncio.to_thread(directory.exists)
        assert await listed(served, limit=9) == [[]]


async def test_deleting_a_session_ends_its_streams_and_its_turn(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        path = f"/api/v1/sessions/{session_id}"
        chat = asyncio.ensure_future(
            served.ask("POST", "/api/v1/chat", {"message": "slow 60", "session_id": session_id})
        )
        await served.until(f"{path}/events", lambda event: event["type"] == "message.delta")
        stream = asyncio.ensure_future(served.until(f"{path}/events?after=1", ends))
        assert (await served.ask("DELETE", path))[0] == 204
        status, refused = await asyncio.wait_for(chat, TIMEOUT)
        assert (status, refused["error"]["code"]) == (404, "session_not_found")
        done, _ = await asyncio.wait({stream}, timeout=TIMEOUT)
        assert done
        stream.exception()


async def test_sessions_outlive_the_server(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = (await served.chat("remember the heron"))["session_id"]
        await served.ask("PATCH", f"/api/v1/sessions/{session_id}", {"title": "kept"})
        _, before = await served.ask("GET", f"/api/v1/sessions/{session_id}")
    async with serve_demo() as served:
        _, after = await served.ask("GET", f"/api/v1/sessions/{session_id}")
        assert after == {**before, "state": "hibernated"}
        assert (await served.chat("recall", session_id))["text"] == "You told me: the heron"
