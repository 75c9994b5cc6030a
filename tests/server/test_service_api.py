"""What the service says of itself: what it is, whether it can serve, its figures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qpty import __version__
from tests.server.served import ends

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.server.conftest import Serve
    from tests.server.served import Served


async def active(served: Served) -> int:
    """How many sessions are in use."""
    status, found = await served.ask("GET", "/health")
    assert status == 200
    return int(found["active_sessions"])


async def test_health_says_which_agent_runs(serve: Serve, request: pytest.FixtureRequest) -> None:
    real = "demo" not in request.node.callspec.id
    async with serve() as served:
        for path in ("/health", "/healthz"):
            status, found = await served.ask("GET", path)
            assert status == 200
            assert set(found) == {
                "status", "qcli_available", "active_sessions", "timestamp", "version", "agent", "pool", "problems",
            }  # fmt: skip
            assert (found["status"], found["version"], found["problems"]) == ("ok", __version__, [])
            assert found["qcli_available"] is real
            assert found["agent"]["kind"] == ("q" if real else "demo")
            assert not real or re.fullmatch(r"\d+\.\d+\.\d+", found["agent"]["version"])
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["timestamp"])
            assert set(found["pool"]) == {"max_workers", "live", "idle", "warm", "running", "waiting"}


async def test_active_sessions_are_those_in_use(serve_demo: Serve) -> None:
    async with serve_demo(warm_workers=1, max_workers=4, environment={"QPTY_DEMO_SLOW": "0.02"}) as served:
        assert await active(served) == 0, "a spare worker is no session"
        first = await served.session()
        await served.session()
        path = f"/api/v1/sessions/{first}"
        status, sent = await served.ask("POST", f"{path}/messages", {"message": "slow 100"})
        assert status == 202
        assert 1 <= await active(served) <= 2  # the other one may have got the spare worker
        await served.until(f"{path}/events", lambda event: event["type"] == "turn.started")
        await served.ask("POST", f"{path}/interrupt")
        await served.until(f"{path}/events?after={sent['seq']}", ends)
        assert await active(served) >= 1, "a live terminal is in use"
    async with serve_demo() as served:
        assert await active(served) == 0
        session_id = (await served.chat("hello"))["session_id"]
        await served.session()
        assert await active(served) == 1
        await served.ask("POST", f"/api/v1/sessions/{session_id}/hibernate")
        assert await active(served) == 0


async def test_a_service_that_cannot_serve_says_so(serve_demo: Serve, tmp_path: Path) -> None:
    broken = {"QPTY_DEMO_PACE": "no number"}  # it dies at its start
    async with serve_demo(warm_workers=1, start_timeout=5, environment=broken) as served:
        status, found = 200, dict[str, Any]()
        while status == 200:  # until the spare worker has failed
            status, found = await served.ask("GET", "/health")
        assert (status, found["status"]) == (503, "unavailable")
        assert found["problems"][0].startswith("agent: ")
        assert str(tmp_path) not in str(found)


async def test_the_root_is_information_for_programs_and_a_page_for_people(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        status, found = await served.ask("GET", "/")
        assert status == 200
        assert (found["name"], found["version"], found["agent"]["kind"]) == ("qpty", __version__, "demo")
        for name in ("documentation", "openapi", "health", "sessions"):
            async with served.http.get(served.url + found[name]) as response:
                assert response.status == 200, name
        async with served.http.get(f"{served.url}/", headers={"Accept": "text/html,*/*;q=0.8"}) as response:
            page = await response.text()
            assert (response.status, response.content_type) == (200, "text/html")
            assert 'data-agent="demo"' in page
            assert __version__ in page
            assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        for path in set(re.findall(r'(?:src|href)="([^"]*)"', page)) - {"data:,"}:
            async with served.http.get(served.url + path) as response:
                assert response.status == 200, path


async def test_the_figures_are_for_prometheus(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        await served.chat("hello")
        async with served.http.get(f"{served.url}/metrics") as response:
            assert response.content_type == "text/plain"
            text = await response.text()
        assert 'qpty_requests_total{method="POST",operation="chat",status="200"} 1.0' in text
        assert 'qpty_requests_total{method="GET",operation="metrics"' not in text, "not yet answered"


async def test_head_is_answered_without_a_body(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        for path in (
            "/",
            "/health",
            "/openapi.json",
            "/docs",
            "/api/v1/sessions",
            f"/api/v1/sessions/{session_id}/files",
        ):
            async with served.http.head(served.url + path) as response:
                assert (response.status, await response.read()) == (200, b""), path
        async with served.http.head(f"{served.url}/api/v1/sessions/none") as response:
            assert response.status == 404
        text = (await served.ask("GET", "/metrics"))[1]
        assert 'qpty_requests_total{method="HEAD",operation="health",status="200"} 1.0' in text
    async with serve_demo(openai_keys="a-key-of-this-test") as served:
        for path, status in (("/health", 200), ("/api/v1/sessions", 401)):
            async with served.http.head(served.url + path) as response:
                assert response.status == status
