"""A session's WebSocket: every frame is answered, events come in order, and each end has a code that says why."""

from __future__ import annotations

import asyncio
import gc
import json
import struct
import time
import weakref
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from qpty.server import socket as module
from qpty.server.models import socket as shapes
from qpty.storage.errors import WriterClosedError
from tests.server.served import ends, eventually, no_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import Serve
    from tests.server.served import Event, Frames, Logged, Served


@pytest.fixture(autouse=True)
def logged() -> Iterator[Logged]:
    """What the server logs; nothing of these tests may be a fault."""
    with no_faults() as found:
        yield found


def numbers(events: list[Event]) -> list[int | None]:
    return [event.get("seq") for event in events]


def ready_again(event: Event) -> bool:
    return bool(event["type"] == "session.state" and event["state"] == "ready")


async def gone(served: Served) -> None:
    """Wait until the server is done with every socket."""
    await eventually(lambda: served.figure('qpty_streams{kind="websocket"}') == 0)
    assert served.service.streams.held("127.0.0.1") == 0
    await eventually(lambda: not sockets_tasks())


def sockets_tasks() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() in {"receiver", "follower", "watcher"}]


# -- frames and what is said to them


async def test_it_greets_with_where_the_session_stands(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        async with served.socket(session_id) as client:
            assert await client.hear() == {
                "type": "hello",
                "session_id": session_id,
                "state": "hibernated",
                "last_seq": 0,
                "turn_id": None,
                "question": None,
                "keyboard": {"taken": False, "allowed": True},
            }
        answer = await served.chat("bash echo hi", session_id)
        async with served.socket(session_id) as client:
            hello = await client.hear()
            assert hello["turn_id"] == answer["turn_id"]
            assert hello["question"].items() <= answer["question"].items()
            assert hello["question"]["request_id"]
            assert hello["last_seq"] >= answer["question"]["seq"]


async def test_a_message_is_acknowledged_and_then_its_turn_followed(serve: Serve) -> None:
    async with serve() as served, served.socket(await served.session()) as client:
        await client.hear()
        ack = await client.ask(type="message", text="count 3")
        found = await client.until(ends)

        assert ack.keys() == {"type", "ref", "of", "turn_id", "seq"}
        assert (ack["type"], ack["of"]) == ("ack", "message")
        assert (found[0]["type"], found[0]["seq"], found[0]["turn_id"]) == ("turn.queued", ack["seq"], ack["turn_id"])
        assert numbers(found) == list(range(found[0]["seq"], found[-1]["seq"] + 1))
        assert found[-1]["text"] == "line 1\nline 2\nline 3"


async def test_two_messages_one_after_the_other_are_two_turns_and_nothing_comes_twice(serve_demo: Serve) -> None:
    async with serve_demo() as served, served.socket(await served.session()) as client:
        await client.hear()
        for ref in ("a", "b"):
            await client.tell(type="message", text=f"echo {ref}", ref=ref)
        await client.until(ends)
        await client.until(ends)

        acks = [event for event in client.got if event["type"] == "ack"]
        texts = [event["text"] for event in client.events if event["type"] == "turn.completed"]
        assert [ack["ref"] for ack in acks] == ["a", "b"]
        assert acks[0]["turn_id"] != acks[1]["turn_id"]
        assert texts == ["a", "b"]
        assert numbers(client.events) == list(range(1, len(client.events) + 1))


async def test_a_question_is_answered_through_it(serve: Serve) -> None:
    async with serve() as served, served.socket(await served.session()) as client:
        await client.hear()
        await client.ask(type="message", text="bash echo hi")
        question = (await client.until(lambda event: event["type"] == "permission.requested"))[-1]

        wrong = await client.ask(type="answer", request_id="another", answer="allow")
        asked_again = await client.ask(type="message", text="hello")
        ack = await client.ask(type="answer", request_id=question["request_id"], answer="allow")
        end = (await client.until(ends))[-1]
        too_late = await client.ask(type="answer", request_id=question["request_id"], answer="allow")

        assert wrong["error"]["code"] == "question_gone"
        assert wrong["error"]["details"] == {"request_id": "another", "open_request_id": question["request_id"]}
        assert asked_again["error"]["code"] == "question_open"
        assert asked_again["error"]["question"]["request_id"] == question["request_id"]
        assert ack == {"type": "ack", "ref": ack["ref"], "of": "answer"}
        assert end["type"] == "turn.completed"
        assert too_late["error"]["code"] == "question_gone"
        assert numbers(client.events) == list(range(1, len(client.events) + 1))


async def test_a_menu_is_chosen_from_through_it(serve_demo: Serve) -> None:
    async with serve_demo() as served, served.socket(await served.session()) as client:
        await client.hear()
        await client.ask(type="message", text="capacity")
        question = (await client.until(lambda event: event["type"] == "menu.requested" or ends(event)))[-1]
        assert question["type"] == "menu.requested"

        refused = await client.ask(type="choose", request_id=question["request_id"], index=9999)
        ack = await client.ask(type="choose", request_id=question["request_id"], index=None)
        answered = (await client.until(lambda event: event["type"] == "menu.answered"))[-1]

        assert refused["error"]["code"] == "invalid_choice"
        assert ack["of"] == "choose"
        assert (answered["request_id"], answered["index"]) == (question["request_id"], None)


async def test_a_turn_is_interrupted_through_it(serve_demo: Serve) -> None:
    async with serve_demo() as served, served.socket(await served.session()) as client:
        await client.hear()
        nothing = await client.ask(type="interrupt")
        sent = await client.ask(type="message", text="pause 30")
        await client.until(lambda event: event["type"] == "message.delta")
        unknown = await client.ask(type="interrupt", turn_id="another")
        stopped = await client.ask(type="interrupt", turn_id=sent["turn_id"])
        end = (await client.until(ends))[-1]

        assert nothing["interrupted"] is False
        assert unknown["error"]["code"] == "turn_not_found"
        assert stopped["interrupted"] is True
        assert end["stop_reason"] == "interrupted"


async def test_the_terminal_is_resized_through_it(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        async with served.socket(session_id) as client:
            await client.hear()
            assert (await client.ask(type="resize", columns=100, lines=30))["type"] == "ack"
            assert (await client.ask(type="resize", columns=1, lines=30))["error"]["code"] == "invalid_request"
        info = await served.manager.get(session_id)

    assert (info.columns, info.lines) == (100, 30)


async def test_a_reference_is_repeated_as_it_was(serve_demo: Serve) -> None:
    async with serve_demo() as served, served.socket(await served.session()) as client:
        await client.hear()
        for ref in ("", "x" * 200, 0, -1, 10**30, "é\u0000\n"):
            await client.tell(type="interrupt", ref=ref)
            assert (await client.hear())["ref"] == ref
            await client.tell(type="answer", ref=ref)
            refused = await client.hear()
            assert (refused["type"], refused["ref"]) == ("error", ref)
        await client.tell(type="interrupt")
        assert "ref" not in await client.hear()


BAD = {
    "not JSON": "{",
    "an array": "[]",
    "null": "null",
    "nothing": "",
    "too deep": "[" * 100_000,
    "a huge number": '{"type":"follow","after":1' + "0" * 5000 + "}",
    "not a number": '{"type":"follow","after":NaN}',
    "negative": '{"type":"follow","after":-1}',
    "a text for a number": '{"type":"follow","after":"1"}',
    "no type": "{}",
    "an unknown type": '{"type":"dance"}',
    "a type of half a surrogate pair": '{"type":"\\ud800"}',
    "half a surrogate pair as the message": '{"type":"message","text":"\\ud800"}',
    "half a surrogate pair as the reference": '{"type":"interrupt","ref":"\\ud800"}',
    "a long reference": json.dumps({"type": "interrupt", "ref": "x" * 201}),
    "a reference that is true": '{"type":"interrupt","ref":true}',
    "a reference that is a list": '{"type":"interrupt","ref":[]}',
    "a question without its id": '{"type":"answer","answer":"allow"}',
    "an unknown answer": '{"type":"answer","request_id":"1","answer":"perhaps"}',
    "a message that is a number": '{"type":"message","text":1}',
    "a true index": '{"type":"choose","request_id":"1","index":true}',
}


async def test_what_cannot_be_taken_is_refused_and_the_socket_lives(serve_demo: Serve) -> None:
    async with serve_demo() as served, served.socket(await served.session()) as client:
        await client.hear()
        for name, text in BAD.items():
            await client.socket.send_str(text)
            refused = await client.hear()
            assert refused["type"] == "error", name
            assert refused["error"]["code"] == "invalid_request", name
            assert len(json.dumps(refused)) < 2000, name
        await client.socket.send_bytes(b'{"type":"interrupt"}')
        assert (await client.hear())["error"]["code"] == "invalid_request"

        assert (await client.ask(type="interrupt"))["type"] == "ack"


async def test_frames_beyond_the_rate_are_refused_by_name(serve_demo: Serve) -> None:
    async with serve_demo(rate_limit=5) as served, served.socket(await served.session()) as client:
        await client.hear()
        for ref in range(10):
            await client.tell(type="interrupt", ref=ref)
        said = [await client.hear() for _ in range(10)]

        assert [frame["ref"] for frame in said] == list(range(10))
        assert [frame["type"] for frame in said] == ["ack"] * 3 + ["error"] * 7
        assert {frame["error"]["code"] for frame in said[3:]} == {"rate_limited"}
        assert said[-1]["error"]["details"]["retry_after"] > 0


async def test_a_ping_is_answered(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        address = f"{served.url}/api/v1/sessions/{session_id}/ws"
        async with served.http.ws_connect(address, autoping=False) as socket:
            await socket.receive()
            await socket.ping(b"are you there")
            pong = await socket.receive(timeout=5)
            await socket.pong(b"nobody asked")
            await socket.send_str('{"type":"interrupt"}')
            ack = await socket.receive(timeout=5)

    assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"are you there")
    assert json.loads(ack.data)["type"] == "ack"


async def test_a_flood_of_frames_is_taken_one_by_one(serve_demo: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is answered, in order, and everybody else has a turn of the loop after each."""
    taken = at_once = 0

    def count(*_: object) -> None:
        nonlocal taken
        taken += 1

    async def look_on() -> None:
        nonlocal at_once
        while True:
            before = taken
            await asyncio.sleep(0)
            at_once = max(at_once, taken - before)

    monkeypatch.setattr(module, "check_rate", count)
    async with serve_demo() as served, served.socket(await served.session()) as client:
        await client.hear()
        looking_on = asyncio.create_task(look_on())
        _flood(client, 20_000)
        refs = [(await client.hear())["ref"] for _ in range(20_000)]
        looking_on.cancel()

    assert refs == list(range(20_000))
    assert at_once == 1


def _flood(client: Frames, count: int) -> None:
    transport = client.socket._writer.transport
    mask = bytes(4)
    frames = bytearray()
    for ref in range(count):
        body = b'{"type":1,"ref":%d}' % ref
        frames += bytes((0x81, 0x80 | len(body))) + mask + body
    transport.write(bytes(frames))


# -- following


async def test_following_begins_after_the_number(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        async with served.socket(session_id) as client:
            await client.hear()
            await client.ask(type="message", text="hello")
            await client.until(ends)
            everything = [*client.events, *await client.until(ready_again)]

        async with served.socket(session_id, "?after=3") as client:
            await client.until(lambda event: event.get("seq") == everything[-1]["seq"])
            assert client.events == everything[3:]
        async with served.socket(session_id) as client:
            await client.hear()
            ack = await client.ask(type="follow", after=0)
            await client.until(lambda event: event.get("seq") == everything[-1]["seq"])
            assert ack == {"type": "ack", "ref": ack["ref"], "of": "follow"}
            assert client.events == everything


async def test_following_again_begins_anew_and_nothing_of_before_comes_after_it(serve_demo: Serve) -> None:
    async with serve_demo(max_workers=1) as served, served.socket(await served.session()) as client:
        await client.hear()
        await client.ask(type="message", text="bash seq 1 2000")
        question = (await client.until(lambda event: event["type"] == "permission.requested"))[-1]
        await client.ask(type="answer", request_id=question["request_id"], answer="allow")
        for after in (0, 3, 1, 2, 0):
            ack = await client.ask(type="follow", after=after)
            first = await client.hear()
            assert ack["type"] == "ack"
            assert first["seq"] == after + 1
        place = len(client.got) - 1
        await client.until(ends)
        assert numbers(client.got[place:]) == list(range(1, client.got[-1]["seq"] + 1))


async def test_following_ahead_of_the_last_number_begins_with_a_reset(serve_demo: Serve) -> None:
    async with serve_demo() as served, served.socket(await served.session()) as client:
        await client.hear()
        await client.ask(type="follow", after=(1 << 53) - 1)
        reset = await client.hear()
        sent = await client.ask(type="message", text="hello")
        await client.until(ends)

        assert (reset["type"], reset["first_seq"]) == ("journal.reset", 1)
        assert "seq" not in reset
        assert client.events[1]["seq"] == sent["seq"] == 1
        assert numbers(client.events[1:]) == list(range(1, len(client.events)))


async def test_half_a_surrogate_pair_is_spelt_as_json_does(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        async with served.socket(session_id, "?after=0") as client:
            await client.hear()
            session = await served.loaded(session_id)
            session.journal.append({"type": "notice", "code": "half", "text": "a\ud800b"})
            assert (await client.hear())["text"] == "a\ud800b"


# -- the screen


async def test_the_screen_is_watched_and_no_more(serve_demo: Serve) -> None:
    async with serve_demo() as served, served.socket(await served.session()) as client:
        await client.hear()
        ack = await client.ask(type="screen")
        keyboard = await client.hear()
        assert keyboard == {"type": "keyboard", "taken": False, "mine": False, "allowed": True}
        blank = await client.hear()
        shapes.ScreenUpdateFrame.model_validate(blank)
        assert ack["of"] == "screen"
        assert (blank["type"], blank["full"], blank["live"]) == ("screen", True, False)
        assert (blank["columns"], blank["lines"]) == (80, 24)
        assert blank["rows"] == {str(line): [] for line in range(24)}

        await client.ask(type="message", text="echo look here")
        found = await client.until(lambda event: event["type"] == "screen" and "look here" in json.dumps(event["rows"]))
        screens = [event for event in found if event["type"] == "screen"]
        assert screens[0]["full"]
        assert screens[0]["live"]

        await client.ask(type="screen", watch=True)  # again: all of it
        again = (await client.until(lambda event: event["type"] == "screen"))[-1]
        assert again["full"]

        await client.ask(type="screen", watch=False)
        await client.ask(type="screen", watch=False)
        place = len(client.got)
        sent = await client.ask(type="message", text="echo and there")
        await client.until(lambda event: ends(event) and event["turn_id"] == sent["turn_id"])
        assert [event for event in client.got[place:] if event["type"] == "screen"] == []


# -- the end


async def test_a_socket_that_is_closed_in_order_is_logged_as_one(serve_demo: Serve, logged: Logged) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        async with served.socket(session_id, "?after=0") as client:
            await client.hear()
            await client.ask(type="screen")
            assert served.figure('qpty_streams{kind="websocket"}') == 1
            await client.socket.close(code=4321, message=b"enough")
        await gone(served)

    [line] = [line for line in logged.lines if line.get("operation") == "connect"]
    assert line["status"] == 101
    assert "client_left" not in line


async def test_a_client_that_vanishes_leaves_nothing_behind(serve_demo: Serve, logged: Logged) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        async with served.socket(session_id) as client:
            await client.hear()
            await client.ask(type="screen")
            await client.ask(type="message", text="pause 30")
            client.socket._response.close()
            await gone(served)

        assert (await served.manager.get(session_id)).turn_id is not None  # the turn goes on
    [line] = [line for line in logged.lines if line.get("operation") == "connect"]
    assert (line["status"], line["client_left"]) == (101, True)


async def test_what_served_a_client_that_vanished_goes_with_it(
    serve_demo: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No timer keeps it, though its next ping would be due only in half a minute."""
    made: list[weakref.ref[Any]] = []

    class Known(module._WebSocket):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(weakref.ref(self))

    monkeypatch.setattr(module, "_WebSocket", Known)
    async with serve_demo() as served:
        async with served.socket(await served.session()) as client:
            await client.hear()
            client.socket._response.close()
            await gone(served)
        await eventually(lambda: gc.collect() >= 0 and made[0]() is None)


@pytest.mark.parametrize("query", ["", "?after=0"])
async def test_a_deleted_session_closes_it(serve_demo: Serve, query: str) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        async with served.socket(session_id, query) as client:
            await client.hear()
            await client.ask(type="screen")
            await served.manager.delete(session_id)
            assert await client.end() == (4004, "the session was deleted")
        await gone(served)


async def test_a_session_deleted_by_its_own_turns_client_closes_it(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        async with served.socket(session_id) as client:
            await client.hear()
            await client.ask(type="message", text="pause 30")
            await client.until(lambda event: event["type"] == "message.delta")
            await served.manager.delete(session_id)
            assert await client.end() == (4004, "the session was deleted")


async def test_a_server_that_stops_closes_them_all_soon(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        connections = [served.socket(session_id, query) for query in ("", "?after=0", "", "?after=0")]
        clients = [await connection.__aenter__() for connection in connections]
        for number, client in enumerate(clients):
            await client.hear()
            if number == 3:
                await client.ask(type="screen")
        await clients[0].ask(type="message", text="pause 30")
        await clients[0].until(lambda event: event["type"] == "message.delta")
        ended = [asyncio.create_task(client.end()) for client in clients]
        began = time.monotonic()
    took = time.monotonic() - began

    assert [await end for end in ended] == [(1001, "the server is stopping")] * 4
    assert clients[0].events[-2]["code"] == "worker_lost" or clients[0].events[-1]["code"] == "worker_lost"
    assert took < 4
    assert sockets_tasks() == []


async def test_a_journal_that_fails_closes_it(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        async with served.socket(session_id, "?after=0") as client:
            await client.hear()
            session = await served.loaded(session_id)
            session.journal.refused(WriterClosedError())
            assert await client.end() == (1011, "the journal can't be read now: come back")
            assert client.got[-1]["error"]["code"] == "journal_failed"


async def test_a_fault_of_ours_closes_it_and_is_logged(
    serve_demo: Serve, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        async with served.socket(session_id) as client:
            await client.hear()

            def broken(*_: Any, **__: Any) -> Any:
                raise ZeroDivisionError

            monkeypatch.setattr(served.manager, "interrupt", broken)
            await client.tell(type="interrupt")
            assert await client.end() == (1011, "an error inside the server; its log has it")
        await gone(served)

    [fault] = logged.faults
    assert "ZeroDivisionError" in fault
    logged.faults.clear()


@pytest.mark.parametrize("size", [1025, 70_000, 3_000_000])
async def test_a_frame_that_is_too_large_closes_it(serve_demo: Serve, size: int) -> None:
    async with serve_demo(max_body_bytes=1024) as served:
        session_id = await served.session()
        async with served.socket(session_id, "?after=0") as client:
            await client.hear()
            sending = asyncio.create_task(client.socket.send_str("x" * size))
            assert await client.end() == (1009, "a frame was too large: at most 1,024 bytes are taken")
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        await gone(served)


async def test_what_still_comes_of_a_frame_that_is_too_large_is_read_for_a_while(serve_demo: Serve) -> None:
    """Otherwise the connection is reset, and on a real network a client may never see why."""
    async with serve_demo(max_body_bytes=1024) as served, served.socket(await served.session()) as client:
        await client.hear()
        transport = client.socket._writer.transport
        transport.write(struct.pack("!BBQ", 0x81, 0x80 | 127, 1 << 20) + bytes(4))
        assert (await client.socket.receive()).type is aiohttp.WSMsgType.CLOSE
        transport.write(bytes(1 << 20))
        await eventually(lambda: transport.get_write_buffer_size() == 0)
        assert not transport.is_closing()


async def test_a_frame_of_the_greatest_size_is_read(serve_demo: Serve) -> None:
    async with serve_demo(max_body_bytes=1024) as served, served.socket(await served.session()) as client:
        await client.hear()
        await client.socket.send_str('{"type":"interrupt","more":""}'.replace('""', '"' + "x" * (1024 - 30) + '"'))
        assert (await client.hear())["type"] == "ack"


async def test_a_text_that_is_not_utf_8_closes_it(serve_demo: Serve) -> None:
    async with serve_demo() as served, served.socket(await served.session()) as client:
        await client.hear()
        await client.socket.send_frame(b'{"type":"\xff"}', aiohttp.WSMsgType.TEXT)
        assert await client.end() == (1007, "a text frame was not UTF-8")
        await gone(served)


async def test_what_is_no_frame_closes_it(serve_demo: Serve) -> None:
    async with serve_demo() as served, served.socket(await served.session()) as client:
        await client.hear()
        client.socket._writer.transport.write(struct.pack("!BB", 0x83, 0x80) + bytes(4))
        assert await client.end() == (1002, "a frame was malformed")
        await gone(served)


async def test_a_client_that_answers_no_ping_is_gone(serve_demo: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.05)
    async with serve_demo() as served:
        address = f"{served.url}/api/v1/sessions/{await served.session()}/ws"
        async with served.http.ws_connect(address, autoping=False) as socket:
            await socket.receive()
            assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.PING
            await gone(served)


async def test_what_is_no_handshake_is_refused(serve_demo: Serve) -> None:
    headers: dict[str, str] = {}
    async with serve_demo() as served:
        path = f"/api/v1/sessions/{await served.session()}/ws"
        for more in ({}, {"Upgrade": "websocket"}, {"Connection": "Upgrade"}, {"Sec-WebSocket-Version": "13"}):
            headers |= more
            status, told = await served.ask("GET", path, headers=headers)
            assert (status, told["error"]["code"]) == (400, "invalid_request"), headers

        assert served.service.streams.held("127.0.0.1") == 0
        assert served.figure('qpty_streams{kind="websocket"}') == 0


async def test_a_socket_of_no_session_is_refused(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await served.http.ws_connect(f"{served.url}/api/v1/sessions/none/ws")
        assert refused.value.status == 404
