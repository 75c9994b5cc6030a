"""What a session's terminal shows, and what it showed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.server.conftest import Serve


async def test_the_screen_is_what_a_person_would_see(serve: Serve) -> None:
    async with serve() as served:
        session_id = await served.session(columns=100, lines=30)
        path = f"/api/v1/sessions/{session_id}/screen"
        status, refused = await served.ask("GET", path)
        assert (status, refused["error"]["code"]) == (409, "not_live")
        await served.chat("echo the heron", session_id)
        status, screen = await served.ask("GET", path)
        assert status == 200
        assert set(screen) == {"session_id", "columns", "lines", "cursor", "title", "text", "rows"}
        assert (screen["columns"], screen["lines"], len(screen["rows"])) == (100, 30, 30)
        assert set(screen["cursor"]) == {"column", "line", "hidden"}
        assert "the heron" in screen["text"]
        assert screen["text"].count("\n") == 29
        runs = [run for row in screen["rows"] for run in row]
        assert any(set(run) == {"text"} for run in runs), "what is as usual is left out"
        assert any(run.get("fg", "default") != "default" for run in runs), "the prompt has a colour"
        assert all(value not in ("default", False) for run in runs for value in run.values())
        assert await served.ask("POST", f"/api/v1/sessions/{session_id}/hibernate") == (200, {"hibernated": True})
        assert (await served.ask("GET", path))[0] == 409


async def test_the_recording_is_an_asciicast(serve: Serve) -> None:
    async with serve() as served:
        session_id = await served.session()
        path = f"/api/v1/sessions/{session_id}/recording"
        status, refused = await served.ask("GET", path)
        assert (status, refused["error"]["code"]) == (404, "no_recording")
        await served.chat("echo the heron", session_id)
        async with served.http.get(served.url + path) as response:
            assert response.status == 200
            assert response.content_type == "application/x-asciicast"
            assert response.headers["Content-Disposition"] == f'attachment; filename="{session_id}.cast"'
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            lines = (await response.text()).splitlines()
        head = json.loads(lines[0])
        assert (head["version"], head["width"], head["height"]) == (2, 80, 24)
        shown = "".join(text for _, kind, text in map(json.loads, lines[1:]) if kind == "o")
        assert "the heron" in shown
        async with served.http.head(served.url + path) as response:
            assert (response.status, await response.read()) == (200, b"")
        assert (await served.ask("GET", path))[0] == 200, "the connection is in step after a HEAD"


async def test_nothing_is_recorded_where_that_is_off(serve_demo: Serve) -> None:
    async with serve_demo(recording_bytes=0) as served:
        session_id = (await served.chat("hello"))["session_id"]
        status, refused = await served.ask("GET", f"/api/v1/sessions/{session_id}/recording")
        assert (status, refused["error"]["code"]) == (404, "no_recording")
