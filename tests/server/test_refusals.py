"""What is refused before anything happens, on every route; and every refusal has one shape."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yarl

from qpty.server.access.identity import FAILURES_A_MINUTE
from qpty.server.api import OPERATIONS

if TYPE_CHECKING:
    from tests.server.conftest import Serve
    from tests.server.served import Served

Answered = tuple[aiohttp.ClientResponse, bytes]

NO_SESSION = "00000000-0000-4000-8000-000000000000"
PARTS = {"session_id": NO_SESSION, "turn_id": NO_SESSION, "request_id": "x.1", "path": "a/b.txt"} | {
    "view": "files", "token": "no-token", "model_id": "no-model",
}  # fmt: skip

ROUTES = [(operation.method, operation.path.format(**PARTS)) for operation in OPERATIONS] + [
    ("GET", "/no/such/route"),
    ("POST", "/no/such/route"),
    ("OPTIONS", "/api/v1/sessions"),
    ("TRACE", "/api/v1/sessions"),
]

KEY = "the-key-of-one"
OTHER = "the-key-of-another"
BEARER = {"Authorization": f"Bearer {KEY}"}

JSON = {"Content-Type": "application/json"}

ANTHROPIC_CODES = {"permission_error": "refused", "authentication_error": "key_required"}
OPENAI_CODES = {"host_refused": "refused", "origin_refused": "refused", "invalid_api_key": "key_required"}
"""How the families tell of what is told here as …"""

ERROR_FIELDS = {"code", "message", "request_id", "details"}


async def answered(served: Served, method: str, path: str | yarl.URL, **options: Any) -> Answered:
    """Make one request as it is; the answer, and its body."""
    options.setdefault("allow_redirects", False)
    url = path if isinstance(path, yarl.URL) else served.url + path
    async with served.http.request(method, url, **options) as response:
        return response, await response.read()


def told(response: aiohttp.ClientResponse, body: bytes) -> str:
    """The code of an error, which must have the one shape; on the paths of other families' clients, theirs."""
    assert response.content_type == "application/json", body
    answer = json.loads(body)
    if response.url.path.startswith("/v1/messages"):
        assert (answer["type"], answer["request_id"]) == ("error", response.headers["X-Request-Id"])
        return ANTHROPIC_CODES[answer["error"]["type"]]
    if response.url.path.startswith("/v1/"):
        assert set(answer["error"]) == {"message", "type", "param", "code"}
        code = str(answer["error"]["code"])
        return OPENAI_CODES.get(code, code)
    assert set(answer) == {"error"}
    error = answer["error"]
    assert set(error) - {"question"} == ERROR_FIELDS
    assert error["request_id"] == response.headers["X-Request-Id"]
    assert error["message"]
    return str(error["code"])


# -- where it comes from

FOREIGN = [
    ({"Host": "evil.example"}, "host_refused"),
    ({"Host": "evil.example:8080"}, "host_refused"),
    ({"Host": "localhost.evil.example"}, "host_refused"),
    ({"Host": "127.0.0.1.evil.example"}, "host_refused"),
    ({"Host": "user@127.0.0.1"}, "host_refused"),
    ({"Host": ""}, "host_refused"),
    ({"Origin": "http://evil.example"}, "origin_refused"),
    ({"Origin": "https://127.0.0.1"}, "origin_refused"),
    ({"Origin": "http://127.0.0.1:1"}, "origin_refused"),
    ({"Origin": "null"}, "origin_refused"),
    ({"Origin": "file://"}, "origin_refused"),
    ({"Sec-Fetch-Site": "cross-site"}, "origin_refused"),
    ({"Sec-Fetch-Site": "same-site"}, "origin_refused"),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, "origin_refused"),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, "origin_refused"),
]


async def test_what_a_foreign_page_sends_is_refused_on_every_route(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        wrong = []
        for method, path in ROUTES:
            for headers, code in FOREIGN:
                response, body = await answered(served, method, path, headers=headers)
                if response.status != 403 or told(response, body) not in {code, "refused"}:
                    wrong.append((method, path, headers, response.status))
                assert "Access-Control-Allow-Origin" not in response.headers
        assert wrong == []
        assert (await served.manager.list_sessions()).sessions == []


async def test_a_foreign_page_can_lead_a_person_here_by_a_link_but_not_post(serve_demo: Serve) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    async with serve_demo() as served:
        response, _ = await answered(served, "GET", "/", headers={**link, "Accept": "text/html"})
        assert response.status == 200
        response, body = await answered(served, "POST", "/api/v1/sessions", headers=link)
        assert (response.status, told(response, body)) == (403, "origin_refused")


async def test_two_hosts_are_refused(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        port = served.url.rpartition(":")[2]
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        head = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert head.split()[1] in {b"400", b"403"}


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
async def test_a_foreign_pages_websocket_is_refused(serve_demo: Serve, headers: dict[str, str]) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await served.http.ws_connect(f"{served.url}/api/v1/sessions/{session_id}/ws", headers=headers)
        assert refused.value.status == 403
        at_home = {"Origin": served.url}
        async with served.http.ws_connect(f"{served.url}/api/v1/sessions/{session_id}/ws", headers=at_home) as socket:
            assert (await socket.receive_json())["type"] == "hello"


async def test_an_allowed_origin_gets_cors_headers_and_nobody_else(serve_demo: Serve) -> None:
    friend = "https://friend.example"
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    async with serve_demo(allowed_origins=friend, openai_keys=KEY) as served:
        headers = {"Origin": friend, "Sec-Fetch-Site": "cross-site"}
        preflight, body = await answered(served, "OPTIONS", "/api/v1/chat", headers={**headers, **ask})
        assert (preflight.status, body) == (204, b"")
        assert preflight.headers["Access-Control-Allow-Origin"] == friend
        assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
        assert "Content-Type" in preflight.headers["Access-Control-Allow-Headers"]
        answer, _ = await answered(served, "GET", "/api/v1/sessions", headers={**headers, **BEARER})
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == friend
        assert "Origin" in answer.headers["Vary"]
        assert "X-Request-Id" in answer.headers["Access-Control-Expose-Headers"]
        refused, body = await answered(served, "GET", "/api/v1/sessions", headers=headers)
        assert (refused.status, told(refused, body)) == (401, "key_required")
        assert refused.headers["Access-Control-Allow-Origin"] == friend  # so that the page may read why
        for origin in ("https://enemy.example", f"{friend}:444", "http://friend.example"):
            other, body = await answered(served, "OPTIONS", "/api/v1/chat", headers={**ask, "Origin": origin})
            assert (other.status, told(other, body)) == (403, "origin_refused")
            assert "Access-Control-Allow-Origin" not in other.headers


async def test_a_name_is_answered_if_it_is_allowed(serve_demo: Serve) -> None:
    async with serve_demo(allowed_hosts="q.example") as served:
        response, _ = await answered(served, "GET", "/health", headers={"Host": "q.example"})
        assert response.status == 200
        response, _ = await answered(served, "GET", "/health", headers={"Host": "p.example"})
        assert response.status == 403


# -- who it is


async def test_without_a_key_only_public_routes_answer(serve_demo: Serve) -> None:
    async with serve_demo(openai_keys=KEY) as served:
        for operation in OPERATIONS:
            if operation.public:
                continue
            path = operation.path.format(**PARTS)
            response, body = await answered(served, operation.method, path)
            assert (response.status, told(response, body)) == (401, "key_required"), path
            assert response.headers["WWW-Authenticate"].startswith("Bearer ")
        response, body = await answered(served, "GET", "/no/such/route")
        assert (response.status, told(response, body)) == (401, "key_required")


async def test_a_key_opens_it(serve_demo: Serve) -> None:
    async with serve_demo(openai_keys=f"{OTHER},{KEY}") as served:
        for headers in (
            BEARER, {"Authorization": f"bearer  {KEY} "}, {"x-api-key": KEY},
            {"X-API-Key": KEY, "Authorization": "Basic eA=="},
        ):  # fmt: skip
            response, _ = await answered(served, "GET", "/api/v1/sessions", headers=headers)
            assert response.status == 200, headers


async def test_a_wrong_key_does_not(serve_demo: Serve) -> None:
    async with serve_demo(openai_keys=KEY) as served:
        for headers in (
            {"Authorization": f"Bearer {KEY}x"},
            {"Authorization": f"Bearer {KEY[:-1]}"},
            {"x-api-key": KEY.upper()},
            {"Cookie": "qpty=nonsense"},
            {"Cookie": f"qpty={KEY}"},
            {"Authorization": "Bearer \xe9"},
            {"Authorization": "Bearer wrong", "x-api-key": KEY},
        ):
            response, body = await answered(served, "GET", "/api/v1/sessions", headers=headers)
            assert (response.status, told(response, body)) == (401, "key_refused"), headers
            assert KEY.encode() not in body


async def test_a_flood_of_wrong_keys_waits_and_the_right_one_with_it(serve_demo: Serve) -> None:
    async with serve_demo(openai_keys=KEY) as served:
        statuses = []
        for number in range(FAILURES_A_MINUTE + 1):
            response, body = await answered(served, "GET", "/api/v1/sessions", headers={"x-api-key": f"guess {number}"})
            statuses.append(response.status)
        assert statuses == [401] * FAILURES_A_MINUTE + [429]
        assert told(response, body) == "rate_limited"
        assert int(response.headers["Retry-After"]) >= 1
        response, _ = await answered(served, "GET", "/api/v1/sessions", headers=BEARER)
        assert response.status == 429  # otherwise the one right guess would be told
        response, _ = await answered(served, "GET", "/health")
        assert response.status == 200


async def test_another_keys_session_is_not_there(serve_demo: Serve) -> None:
    async with serve_demo(openai_keys=f"{KEY},{OTHER}") as served:
        served.headers = dict(BEARER)
        session_id = await served.session()
        status, _ = await served.ask("PUT", f"/api/v1/sessions/{session_id}/files/mine.txt", data=b"mine")
        assert status == 201
        bodies: dict[str, Any] = {
            "change_session": {"title": "theirs"}, "send_message": {"message": "hello"},
            "answer_permission": {"answer": "allow"}, "choose": {"index": 0}, "chat": {}, "chat_stream": {},
        }  # fmt: skip
        other = {"Authorization": f"Bearer {OTHER}"}
        for operation in OPERATIONS:
            if "{session_id}" in operation.path:
                path = operation.path.format(**PARTS | {"session_id": session_id, "path": "mine.txt"})
                body = bodies.get(operation.id)
            elif operation.id in {"chat", "chat_stream"}:
                path, body = operation.path, {"message": "hello", "session_id": session_id}
            else:
                continue
            headers = {
                **other,
                **({"Connection": "Upgrade", "Upgrade": "websocket"} if operation.id == "connect" else {}),
            }
            response, read = await answered(served, operation.method, path, json=body, headers=headers)
            assert (response.status, told(response, read)) == (404, "session_not_found"), operation.id
        status, found = await served.ask("GET", "/api/v1/sessions", headers=other)
        assert (status, found["sessions"]) == (200, [])
        status, found = await served.ask("GET", f"/api/v1/sessions/{session_id}")
        assert (status, found["title"], found["message_count"]) == (200, None, 0)
        assert (await served.ask("GET", f"/api/v1/sessions/{session_id}/files/mine.txt"))[0] == 200


async def test_a_revoked_key_stops_working(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        keys = served.service.access.keys
        kept = await asyncio.to_thread(keys.create, "kept")
        revoked = await asyncio.to_thread(keys.create, "revoked")
        theirs = {"x-api-key": revoked.key}
        assert (await answered(served, "GET", "/api/v1/sessions", headers=theirs))[0].status == 200
        await asyncio.to_thread(keys.revoke, revoked.id)
        assert (await answered(served, "GET", "/api/v1/sessions", headers=theirs))[0].status == 401
        assert (await answered(served, "GET", "/api/v1/sessions", headers={"x-api-key": kept.key}))[0].status == 200
        await asyncio.to_thread(keys.revoke, kept.id)
        assert (await answered(served, "GET", "/api/v1/sessions"))[0].status == 401  # the last one opens nothing


# -- how much


async def test_the_rate_is_limited(serve_demo: Serve) -> None:
    async with serve_demo(rate_limit=5) as served:
        answers = [await answered(served, "GET", "/health") for _ in range(6)]
        assert [response.status for response, _ in answers] == [200] * 5 + [429]
        response, body = answers[-1]
        assert told(response, body) == "rate_limited"
        assert 1 <= int(response.headers["Retry-After"]) <= 60


async def test_the_rate_is_counted_for_each_key(serve_demo: Serve) -> None:
    async with serve_demo(rate_limit=2, openai_keys=f"{KEY},{OTHER}") as served:
        for key in (KEY, OTHER):
            statuses = [
                (await answered(served, "GET", "/api/v1/sessions", headers={"x-api-key": key}))[0].status
                for _ in range(3)
            ]
            assert statuses == [200, 200, 429]


async def chunks(*given: bytes) -> Any:
    """A body whose length isn't told."""
    for chunk in given:
        yield chunk


async def test_a_body_that_is_too_large_is_refused(serve_demo: Serve) -> None:
    async with serve_demo(max_body_bytes=1024) as served:
        large = json.dumps({"title": "x" * 1024}).encode()
        for body in (large, chunks(*[b"x" * 512] * 4)):
            response, read = await answered(served, "POST", "/api/v1/sessions", data=body, headers=JSON)
            assert (response.status, told(response, read)) == (413, "body_too_large")
            assert json.loads(read)["error"]["details"] == {"limit_bytes": 1024}
        large = b"key=" + b"x" * 5000
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        for body in (large, chunks(large[:2000], large[2000:])):
            response, read = await answered(served, "POST", "/login", data=body, headers=form)
            assert (response.status, told(response, read)) == (413, "body_too_large")
        assert (await served.manager.list_sessions()).sessions == []


# -- what it says


async def test_only_json_is_taken(serve_demo: Serve) -> None:
    """A form of a page elsewhere can send the others without asking first."""
    form = "application/x-www-form-urlencoded"
    async with serve_demo() as served:
        for content_type in ("text/plain", form, "multipart/form-data; boundary=x", "application/jsonx", "", "\xff/y"):
            headers = {"Content-Type": content_type} if content_type else {}
            skip = {} if content_type else {"skip_auto_headers": ["Content-Type"]}
            data = b'{"message": "hello"}'
            response, body = await answered(served, "POST", "/api/v1/chat", data=data, headers=headers, **skip)
            assert (response.status, told(response, body)) == (415, "unsupported_media_type"), content_type
        assert (await served.manager.list_sessions()).sessions == []


NOT_JSON = {
    "nothing": b"",
    "half": b'{"message": "hello"',
    "not UTF-8": b'{"message": "\xff"}',
    "UTF-16": '{"message": "hello"}'.encode("utf-16"),
    "NaN": b'{"message": NaN}',
    "infinite": b'{"message": "hello", "x": Infinity}',
    "deep": b"[" * 100_000,
    "deep and whole": b'{"x":' * 20_000 + b"1" + b"}" * 20_000,
    "a list": b'["message"]',
    "a string": b'"message"',
    "null": b"null",
    "a long number": b'{"message": "hello", "x": ' + b"1" * 10_000 + b"}",
    "no message": b"{}",
    "a number": b'{"message": 1}',
    "null message": b'{"message": null}',
    "half a pair": b'{"message": "\\ud800"}',
    "a session that is a number": b'{"message": "hello", "session_id": 1}',
}


async def test_what_is_not_the_json_that_is_meant_is_refused(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        for name, data in NOT_JSON.items():
            response, body = await answered(served, "POST", "/api/v1/chat", data=data, headers=JSON)
            assert (response.status, told(response, body)) == (400, "invalid_request"), name
        for encoding in ("gzip", "deflate"):
            headers = {**JSON, "Content-Encoding": encoding}
            response, body = await answered(served, "POST", "/api/v1/chat", data=b"no such thing", headers=headers)
            assert (response.status, told(response, body)) == (415, "unsupported_encoding")
        assert (await served.manager.list_sessions()).sessions == []


async def test_a_field_that_is_wrong_is_named(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        response, body = await answered(
            served, "POST", "/api/v1/sessions", json={"columns": "80", "lines": 4, "trust_all_tools": 1}
        )
        assert response.status == 400
        problems = json.loads(body)["error"]["details"]["problems"]
        assert {problem["field"] for problem in problems} == {"columns", "lines", "trust_all_tools"}


async def test_a_query_that_is_wrong_is_refused(serve_demo: Serve) -> None:
    limits = ["0", "201", "-1", "ten", "1.0", "", "1_0", "%201", "1%20", "1e2", "٣", "1&limit=1", "9" * 5000]
    queries = [("limit", f"limit={limit}") for limit in limits] + [("cursor", f"cursor={'x' * 501}")]
    async with serve_demo() as served:
        for field, query in queries:
            response, body = await answered(served, "GET", f"/api/v1/sessions?{query}")
            assert (response.status, told(response, body)) == (400, "invalid_request"), query[:40]
            assert field in json.loads(body)["error"]["message"]
        session_id = await served.session()
        for follow in ("1", "yes", "True", "FALSE", "", "null"):
            response, body = await answered(served, "GET", f"/api/v1/sessions/{session_id}/events?follow={follow}")
            assert (response.status, told(response, body)) == (400, "invalid_request"), follow


async def test_unknown_fields_and_parameters_are_passed_over(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        assert (await served.ask("POST", "/api/v1/sessions", {"from": "a newer client"}))[0] == 201
        assert (await served.ask("GET", "/api/v1/sessions?x=1&x=2"))[0] == 200


async def test_there_is_one_shape_of_errors_and_each_has_its_headers(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        for method, path, status, code in (
            ("GET", "/no/such/route", 404, "route_not_found"),
            ("GET", "/api/v1/sessions/", 404, "route_not_found"),
            ("PUT", "/api/v1/sessions", 405, "method_not_allowed"),
            ("DELETE", "/health", 405, "method_not_allowed"),
            ("GET", "/assets/no-such.js", 404, "route_not_found"),
            ("GET", f"/api/v1/sessions/{NO_SESSION}", 404, "session_not_found"),
            ("GET", "/api/v1/sessions/%00", 404, "session_not_found"),
            ("GET", "/api/v1/sessions/..%2f..%2fetc", 404, "session_not_found"),
            ("GET", f"/api/v1/sessions/{NO_SESSION}/ws", 400, "invalid_request"),
        ):
            response, body = await answered(served, method, path)
            assert (response.status, told(response, body)) == (status, code), path
            assert response.headers["Server"] == "qpty"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Cache-Control"] == "no-store"
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            if status == 405:
                assert method not in response.headers["Allow"].split(",")


async def test_bytes_that_are_no_text_get_an_error_like_any_other(serve_demo: Serve) -> None:
    """A path and a header may hold any bytes; they must not break the answer that repeats them."""
    async with serve_demo() as served:
        session_id = await served.session()
        session = f"/api/v1/sessions/{session_id}"
        for path, code in (
            ("/api/v1/sessions/%FF", "session_not_found"),
            (f"{session}/turns/%ED%A0%80", "turn_not_found"),
            (f"{session}/files/%FF%FE", "file_not_found"),
            (f"{session}/files/%00", "invalid_path"),
            ("/api/v1/sessions?cursor=%FF", "invalid_cursor"),
        ):
            response, body = await answered(served, "GET", yarl.URL(served.url + path, encoded=True))
            assert told(response, body) == code
        reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
        head = b"POST /api/v1/chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n"
        writer.write(head + b"Content-Type: \xff\r\n\r\n{}")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert answer.split()[1] == b"415"
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["details"]["media_type"] == "\\udcff"


async def test_a_request_id_is_taken_over_if_it_is_one(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        response, _ = await answered(served, "GET", "/health", headers={"X-Request-Id": "mine.1_2-3"})
        assert response.headers["X-Request-Id"] == "mine.1_2-3"
        for wrong in ("", "a b", "x" * 65, "<script>", "ä"):
            response, _ = await answered(served, "GET", "/health", headers={"X-Request-Id": wrong})
            assert response.headers["X-Request-Id"] != wrong
