"""Server-sent events: what a program gets that reads them line by line, and how each stream ends."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from qpty.server import streaming
from tests.server.served import Served, ends, eventually, no_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import Serve
    from tests.server.served import Event, Logged

HELLO = b": qpty\nretry: 1000\n\n"


@pytest.fixture(autouse=True)
def logged() -> Iterator[Logged]:
    """What the server logs; nothing of these tests may be a fault."""
    with no_faults() as found:
        yield found


def events_of(session_id: str, query: str = "") -> str:
    return f"/api/v1/sessions/{session_id}/events{query}"


async def stored(served: Served, session_id: str, *, query: str = "") -> list[Event]:
    """What there is, to the newest event."""
    async with aclosing(served.events(events_of(session_id, f"?follow=false{query}"))) as events:
        return [event async for event in events]


async def talk(served: Served, session_id: str, message: str) -> None:
    """A whole turn: nothing more comes of itself afterwards."""
    turn = await served.manager.send(session_id, message)
    path = events_of(session_id, f"?after={turn.seq}")
    end = (await served.until(path, ends))[-1]
    await served.until(events_of(session_id, f"?after={end['seq']}"), lambda event: event.get("state") == "ready")


def numbers(events: list[Event]) -> list[int | None]:
    return [event.get("seq") for event in events]


# -- the format


async def test_the_first_bytes_come_at_once_and_no_proxy_keeps_them(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        async with served.http.get(served.url + events_of(session_id)) as response:
            first = await asyncio.wait_for(response.content.readexactly(len(HELLO)), 2)

            assert first == HELLO
            assert response.status == 200
            assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            assert response.headers["X-Accel-Buffering"] == "no"
            assert response.headers["Cache-Control"] == "no-store"
            assert "Content-Encoding" not in response.headers


async def test_an_event_has_its_number_its_type_and_the_journals_own_body(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        await talk(served, session_id, "echo 你好\nthere")
        _, text = await served.ask("GET", events_of(session_id, "?follow=false"))
        in_journal = [(event.seq, event.type, event.body) async for event in _up_to_now(served, session_id)]

    hello, *blocks = text.removesuffix("\n\n").split("\n\n")
    assert f"{hello}\n\n".encode() == HELLO
    assert blocks == [f"id: {seq}\nevent: {kind}\ndata: {body}" for seq, kind, body in in_journal]
    assert numbers([json.loads(block.partition("data: ")[2]) for block in blocks]) == list(range(1, len(blocks) + 1))


async def _up_to_now(served: Served, session_id: str) -> Any:
    last = (await served.manager.get(session_id)).last_seq
    async with aclosing(served.manager.events(session_id)) as events:
        async for event in events:
            yield event
            if event.seq == last:
                return


async def test_half_a_surrogate_pair_is_spelt_as_json_does(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        session = await served.loaded(session_id)
        session.journal.append({"type": "notice", "code": "half", "text": "a\ud800b"})
        await session.journal.durable()
        async with served.http.get(served.url + events_of(session_id, "?follow=false")) as response:
            data = await response.read()

    assert b'"text":"a\\ud800b"' in data
    assert json.loads(data.decode().rpartition("data: ")[2])["text"] == "a\ud800b"


async def test_a_quiet_stream_is_kept_alive_by_comments(serve_demo: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT", 0.01)
    async with serve_demo() as served:
        session_id = await served.session()
        async with served.http.get(served.url + events_of(session_id)) as response:
            await response.content.readexactly(len(HELLO))
            assert await asyncio.wait_for(response.content.readexactly(12), 5) == b": \n\n: \n\n: \n\n"


# -- where it begins


async def test_it_begins_after_the_last_event_id_or_else_after_the_query(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        await talk(served, session_id, "hello")
        everything = await stored(served, session_id)
        path = events_of(session_id, "?after=2&follow=false")

        async with aclosing(served.events(path)) as events:
            by_query = [event async for event in events]
        async with aclosing(served.events(path, headers={"Last-Event-ID": "4"})) as events:
            by_header = [event async for event in events]
        async with aclosing(served.events(path, headers={"Last-Event-ID": " "})) as events:
            by_empty_header = [event async for event in events]

    assert len(everything) > 4
    assert by_query == by_empty_header == everything[2:]
    assert by_header == everything[4:]


async def test_a_last_event_id_that_is_no_number_is_refused(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        for given in ("abc", "-1", "1.5", "1e3", "0x1", "²", "12345678901234567"):
            status, told = await served.ask("GET", events_of(session_id), headers={"Last-Event-ID": given})
            assert (status, told["error"]["code"]) == (400, "invalid_request"), given
            assert "Last-Event-ID" in told["error"]["message"]

        assert served.service.streams.held("127.0.0.1") == 0


async def test_what_there_is_of_a_session_without_events_is_nothing(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        assert await stored(served, session_id) == []


async def test_what_there_is_ends_with_the_newest_event(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        await talk(served, session_id, "hello")
        last = (await served.manager.get(session_id)).last_seq
        assert last is not None

        assert numbers(await stored(served, session_id)) == list(range(1, last + 1))
        assert numbers(await stored(served, session_id, query=f"&after={last - 1}")) == [last]
        assert await stored(served, session_id, query=f"&after={last}") == []


async def test_what_there_is_after_a_number_that_never_was_begins_anew(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        [reset] = await stored(served, session_id, query="&after=5")
        assert (reset["type"], reset["first_seq"]) == ("journal.reset", 1)

        await talk(served, session_id, "hello")
        everything = await stored(served, session_id)
        [reset, *rest] = await stored(served, session_id, query="&after=5000")

    assert (reset["type"], reset["first_seq"]) == ("journal.reset", 1)
    assert rest == everything


async def test_what_there_is_of_a_trimmed_journal_begins_with_a_snapshot(serve_demo: Serve) -> None:
    async with serve_demo(journal_events=20) as served:
        session_id = await served.session()
        for number in range(5):
            await talk(served, session_id, f"echo {number}")
        session = await served.loaded(session_id)
        await session.journal.trim()
        [reset, *rest] = await stored(served, session_id)
        _, text = await served.ask("GET", events_of(session_id, "?follow=false"))

    first = reset["first_seq"]
    assert first > 1
    assert reset.keys() == {"type", "time", "first_seq", "snapshot"}
    assert reset["snapshot"].keys() == {"state", "question", "turn_id", "messages"}
    assert reset["snapshot"]["messages"][0] | {"turn_id": ""} == {
        "turn_id": "", "role": "user", "text": "echo 0", "exact": True,
    }  # fmt: skip
    assert numbers(rest) == list(range(first, first + len(rest)))
    assert rest[-1]["state"] == "ready"
    assert text.split("\n\n")[1].startswith("event: journal.reset\ndata: {")  # without an id: a client keeps its own


async def test_what_there_is_of_a_journal_that_keeps_nothing_is_a_snapshot(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        await talk(served, session_id, "hello")
        session = await served.loaded(session_id)
        session.journal.first_seq = session.journal.last_seq + 1

        [reset] = await stored(served, session_id)

    assert reset["first_seq"] > 1


# -- the stream of one chat


async def test_a_chat_streams_until_its_turn_is_completed(serve: Serve) -> None:
    async with serve() as served:
        session_id = await served.session()
        body = {"message": "count 3", "session_id": session_id}
        async with served.http.post(served.url + "/api/v1/chat/stream", json=body) as response:
            assert response.headers["X-Session-Id"] == session_id
            turn_id = response.headers["X-Turn-Id"]
            text = await response.text()
        everything = await stored(served, session_id)

    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert events[0]["type"] == "turn.queued"
    assert events[-1]["type"] == "turn.completed"
    assert events[-1]["text"] == "line 1\nline 2\nline 3"
    assert {event["turn_id"] for event in events if "turn_id" in event} == {turn_id}
    assert events == everything[everything.index(events[0]) : everything.index(events[-1]) + 1]


async def test_a_chat_streams_until_its_turn_fails(serve_demo: Serve) -> None:
    async with (
        serve_demo() as served,
        served.http.post(served.url + "/api/v1/chat/stream", json={"message": "suspended"}) as response,
    ):
        assert response.status == 200
        text = await response.text()

    last = json.loads(text.rpartition("data: ")[2])
    assert (last["type"], last["code"]) == ("turn.failed", "account_suspended")


async def test_a_chat_streams_until_a_question_and_goes_on_by_the_events(serve: Serve) -> None:
    async with serve() as served:
        session_id = await served.session()
        body = {"message": "bash echo hi", "session_id": session_id}
        async with aclosing(served.events("/api/v1/chat/stream", method="POST", body=body)) as events:
            first = [event async for event in events]
        question = first[-1]
        assert question["type"] == "permission.requested"

        path = f"/api/v1/sessions/{session_id}/permissions/{question['request_id']}"
        status, _ = await served.ask("POST", path, {"answer": "allow"})
        rest = await served.until(events_of(session_id, f"?after={question['seq']}"), ends)

    assert status == 200
    assert rest[0]["type"] == "permission.answered"
    assert rest[-1]["type"] == "turn.completed"
    assert numbers(rest) == list(range(question["seq"] + 1, rest[-1]["seq"] + 1))


async def test_a_chat_behind_another_turns_question_ends_with_that(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        earlier = await served.manager.send(session_id, "bash echo hi")  # its agent is only being started
        body = {"message": "hello", "session_id": session_id}
        async with aclosing(served.events("/api/v1/chat/stream", method="POST", body=body)) as events:
            found = [event async for event in events]

        assert found[0]["type"] == "turn.queued"
        assert found[-1]["type"] == "permission.requested"
        assert found[-1]["turn_id"] == earlier.id != found[0]["turn_id"]
        assert not [event for event in found[:-1] if event.get("turn_id") == earlier.id]


# -- the end


@pytest.mark.parametrize("route", ["events", "chat"])
async def test_a_stream_of_a_deleted_session_says_so(serve_demo: Serve, route: str) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        if route == "events":
            await served.manager.send(session_id, "pause 30")
            stream = served.events(events_of(session_id))
        else:
            body = {"message": "pause 30", "session_id": session_id}
            stream = served.events("/api/v1/chat/stream", method="POST", body=body)
        found: list[Event] = []
        deleted = False
        async with asyncio.timeout(20), aclosing(stream) as events:
            async for event in events:
                found.append(event)
                if not deleted and event.get("type") == "message.delta":
                    deleted = True
                    status, _ = await served.ask("DELETE", f"/api/v1/sessions/{session_id}")
                    assert status == 204

    assert found[-1]["error"]["code"] == "session_not_found"
    assert found[-2].get("seq") is not None


async def test_what_waits_ends_soon_when_the_server_stops(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        busy, asking, quiet = [await served.session() for _ in range(3)]
        following = asyncio.create_task(_all(served.events(events_of(quiet))))
        in_question = asyncio.create_task(_all(served.events(events_of(asking))))
        await served.chat("bash echo hi", asking)
        streaming_chat = asyncio.create_task(
            _all(served.events("/api/v1/chat/stream", method="POST", body={"message": "pause 30", "session_id": busy}))
        )
        await served.until(events_of(busy), lambda event: event["type"] == "message.delta")
        queued = asyncio.create_task(served.ask("POST", "/api/v1/chat", {"message": "hello", "session_id": busy}))
        await served.until(events_of(busy), lambda event: event["type"] == "turn.queued" and event["position"] == 1)
        began = time.monotonic()
    took = time.monotonic() - began

    assert took < 4
    assert (await following)[-1]["error"]["code"] == "stopping"
    assert (await in_question)[-1]["error"]["code"] == "stopping"
    end = (await streaming_chat)[-1]
    assert (end["type"], end["code"]) == ("turn.failed", "worker_lost")
    status, told = await queued
    assert (status, told["error"]["code"]) == (503, "stopping")


async def _all(events: Any) -> list[Event]:
    async with aclosing(events):
        return [event async for event in events]


async def test_a_client_that_leaves_frees_its_place(serve_demo: Serve, logged: Logged) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        async with served.http.get(served.url + events_of(session_id)) as response:
            await response.content.readexactly(len(HELLO))
            assert served.service.streams.held("127.0.0.1") == 1
            assert served.figure('qpty_streams{kind="sse"}') == 1
            response.close()  # cut, as a client does that is killed
        await eventually(lambda: served.service.streams.held("127.0.0.1") == 0)

        assert served.figure('qpty_streams{kind="sse"}') == 0
        assert served.figure("qpty_stalled_readers_total") == 0
        assert served.figure('qpty_requests_total{method="GET",operation="events",status="200"}') == 1
    [line] = [line for line in logged.lines if line.get("operation") == "events"]
    assert (line["status"], line["client_left"], line["level"]) == (200, True, "info")


async def test_a_stream_that_ends_by_itself_is_nobodys_leaving(serve_demo: Serve, logged: Logged) -> None:
    async with serve_demo() as served:
        await stored(served, await served.session())

        assert served.figure('qpty_streams{kind="sse"}') == 0
    [line] = [line for line in logged.lines if line.get("operation") == "events"]
    assert line["status"] == 200
    assert "client_left" not in line


async def test_a_chat_whose_client_leaves_goes_on_without_it(serve_demo: Serve, logged: Logged) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        chatting = asyncio.create_task(served.chat("pause 30", session_id))
        await served.until(events_of(session_id), lambda event: event["type"] == "message.delta")
        chatting.cancel()
        await eventually(lambda: any(line.get("operation") == "chat" for line in logged.lines))

        assert (await served.manager.get(session_id)).turn_id is not None
    [line] = [line for line in logged.lines if line.get("operation") == "chat"]
    assert (line["status"], line["client_left"]) == (499, True)


async def test_a_client_has_so_many_streams_and_no_more(serve_demo: Serve) -> None:
    async with serve_demo(max_streams=2) as served:
        session_id = await served.session()
        path = served.url + events_of(session_id)
        async with served.http.get(path) as first, served.http.get(path) as second:
            assert (first.status, second.status) == (200, 200)
            async with served.http.get(path) as third:
                assert third.status == 429
                assert third.headers["Retry-After"] == "5"
                told = await third.json()
            assert told["error"]["code"] == "too_many_streams"
            assert told["error"]["details"] == {"limit": 2}
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await served.http.ws_connect(f"{served.url}/api/v1/sessions/{session_id}/ws")
            assert refused.value.status == 429
            second.close()
            await eventually(lambda: served.service.streams.held("127.0.0.1") == 1)
            async with served.http.get(path) as again:
                assert again.status == 200
