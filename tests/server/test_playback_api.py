"""A recording as screens, over HTTP: whole, in step with other answers, bounded for who reads slowly."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from qpty.server.models import socket as shapes
from tests.server.served import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.conftest import Serve


async def test_a_recording_is_played_as_screens(serve: Serve) -> None:
    async with serve() as served:
        session_id = await served.session(columns=100, lines=30)
        path = f"/api/v1/sessions/{session_id}/recording/screens"
        status, refused = await served.ask("GET", path)
        assert (status, refused["error"]["code"]) == (404, "no_recording")
        await served.chat("pause 1", session_id)
        async with served.http.get(served.url + path) as response:
            assert response.status == 200
            assert response.content_type == "application/x-ndjson"
            head, *looks, end = [json.loads(line) for line in (await response.text()).splitlines()]
        assert (head["type"], head["columns"], head["lines"]) == ("recording", 100, 30)
        for look in looks:
            assert look["type"] == "screen"
            shapes.ScreenUpdateFrame.model_validate({name: look[name] for name in look if name != "time"})
        assert looks[0]["full"]
        assert [look["time"] for look in looks] == sorted(look["time"] for look in looks)
        assert end == {"type": "end", "duration": end["duration"], "looks": len(looks)}
        shown = ["\n".join("".join(run["text"] for run in row) for row in look["rows"].values()) for look in looks]
        before, after = (next(at for at, text in enumerate(shown) if words in text) for words in ("before", "after"))
        assert before < after
        async with served.http.head(served.url + path) as response:
            assert (response.status, await response.read()) == (200, b"")
        assert (await served.ask("GET", path))[0] == 200, "the connection is in step after a HEAD"


async def test_a_recording_that_somebody_spoilt_is_not_passed_off_as_whole(serve_demo: Serve, tmp_path: Path) -> None:
    async with serve_demo() as served:
        session_id = (await served.chat("echo the heron"))["session_id"]
        path = f"/api/v1/sessions/{session_id}/recording/screens"
        assert (await served.ask("GET", path))[0] == 200
        file = tmp_path / "data" / "recordings" / f"{session_id}.cast"
        content = await asyncio.to_thread(file.read_bytes)
        await asyncio.to_thread(file.write_bytes, b"{}\n" + content)
        status, refused = await served.ask("GET", path)
        assert (status, refused["error"]["code"]) == (404, "no_recording")


async def test_a_viewer_that_goes_away_ends_the_playing(serve_demo: Serve, tmp_path: Path) -> None:
    async with serve_demo() as served:
        session_id = (await served.chat("echo the heron"))["session_id"]
        await served.ask("POST", f"/api/v1/sessions/{session_id}/hibernate")
        file = tmp_path / "data" / "recordings" / f"{session_id}.cast"
        head = (await asyncio.to_thread(file.read_bytes)).splitlines(keepends=True)[0]
        rows = b"".join(b'[%d.0, "o", "\\r%d"]\n' % (at, at) for at in range(100_000))
        await asyncio.to_thread(file.write_bytes, head + rows)
        path = f"/api/v1/sessions/{session_id}/recording/screens"
        response = await served.http.get(served.url + path)
        assert b'"recording"' in await response.content.readline()
        assert served.service.under_way is not None
        response.close()
        await eventually(lambda: not served.manager._replaying.locked() and not replays())
        assert (await served.ask("GET", "/health"))[0] == 200


def replays() -> list[str]:
    """The tasks that play a recording."""
    return [str(task.get_coro()) for task in asyncio.all_tasks() if "recorded_screens" in str(task.get_stack())]
