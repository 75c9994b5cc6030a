"""A thousand requests that are wrong, on each route of OpenAI's and Anthropic's clients: none reaches a terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from qpty.compat.requests import RequestError
from tests.compat.schemas import check as check_shape
from tests.compat.test_reading_malformed import CHAT, MESSAGES, RESPONSES, changed
from tests.server.test_clients import ROUTES_OF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qpty.compat.requests import Request
    from tests.server.conftest import Serve

BODIES = 1_000

RAW = [
    b"", b" ", b"{", b"null", b"[]", b"\xff\xfe", b'{"model": NaN}', b'"text"', b"[" * 5_000, b'{"a": "\\ud800"}',
    b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1e999}',
]  # fmt: skip
"""No JSON, or not what is wanted, in bytes."""

ROUTES = [("/v1/chat/completions", CHAT), ("/v1/responses", RESPONSES), ("/v1/messages", MESSAGES)]


def refused(read: Callable[[object], Request], body: Any) -> bool:
    """Whether the reader refuses it."""
    try:
        read(body)
    except RequestError:
        return True
    return False


def wrong_bodies(path: str, body: Any) -> Iterator[bytes]:
    """Bodies that are refused: as they are, or changed ones of the right kind."""
    yield from RAW
    made, seed = len(RAW), 0
    while made < BODIES:
        wrong = changed(body, seed)
        seed += 1
        if refused(ROUTES_OF[path], wrong):
            made += 1
            yield json.dumps(wrong).encode()


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_a_thousand_wrong_bodies(serve_demo: Serve, path: str, body: Any) -> None:
    async with serve_demo() as served:
        count = 0
        for data in wrong_bodies(path, body):
            count += 1
            async with served.http.post(
                served.url + path, data=data, headers={"Content-Type": "application/json"}
            ) as response:
                answer = await response.json()
                assert 400 <= response.status < 500, (response.status, data[:300], answer)
                if path == "/v1/messages":
                    assert (answer["type"], answer["error"]["type"]) == ("error", "invalid_request_error"), answer
                    assert answer["request_id"] == response.headers["request-id"]
                else:
                    check_shape("ErrorResponse", answer)
                    assert answer["error"]["type"] == "invalid_request_error", answer
        assert count == BODIES
        assert (await served.manager.list_sessions()).sessions == []
        assert served.manager.pool.live == 0


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_bodies_of_other_kinds(serve_demo: Serve, path: str, body: Any) -> None:
    async with serve_demo(max_client_body_bytes=2_000) as served:
        for headers, data, status in (
            ({"Content-Type": "text/plain"}, b"{}", 415),
            ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"{}", 415),
            ({"Content-Type": "application/json"}, b'"' + b"x" * 2_000 + b'"', 413),
        ):
            async with served.http.post(served.url + path, data=data, headers=headers) as response:
                assert response.status == status
                assert (await response.json())["error"]["message"]
        assert (await served.manager.list_sessions()).sessions == []
