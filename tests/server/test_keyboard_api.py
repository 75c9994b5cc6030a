"""Taking over a terminal's keyboard, over the WebSocket: who may, who has it, and how it comes back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from qpty.server.models import socket as shapes
from tests.server.served import Served, asks, ends, eventually

if TYPE_CHECKING:
    from tests.server.conftest import Serve
    from tests.server.served import Frames


def code(frame: dict[str, Any]) -> str:
    """The code of a refusal."""
    assert frame["type"] == "error", frame
    return str(frame["error"]["code"])


async def state(socket: Frames, **wanted: bool) -> None:
    """Wait until the socket is told that the keyboard stands so."""
    frame = (await socket.until(lambda frame: frame["type"] == "keyboard"))[-1]
    shapes.KeyboardStateFrame.model_validate(frame)
    assert {name: frame[name] for name in ("taken", "mine")} == wanted


async def test_a_person_answers_by_hand_and_the_chat_goes_on(serve: Serve) -> None:
    async with serve() as served:
        session_id = (await served.chat("hello"))["session_id"]
        async with served.socket(session_id) as socket, served.socket(session_id) as other:
            assert (await socket.hear())["keyboard"] == {"taken": False, "allowed": True}
            await other.hear()
            await socket.tell(type="message", text="bash echo the heron")
            await socket.until(asks)
            await socket.tell(type="keyboard", take=True, ref="take")
            await socket.until(lambda frame: frame.get("ref") == "take")
            await state(socket, taken=True, mine=True)
            await state(other, taken=True, mine=False)
            await socket.tell(type="keys", text="y\r")
            seen = await socket.until(ends)
            assert [frame["answer"] for frame in seen if frame["type"] == "permission.answered"] == ["allow"]
            assert (seen[-1]["type"], seen[-1]["stop_reason"]) == ("turn.completed", "end_turn")
            assert (await socket.ask(type="keyboard", take=False))["type"] == "ack"
            await state(other, taken=False, mine=False)
            await socket.ask(type="message", text="hello")
            seen = await socket.until(ends)
            assert seen[-1]["exact"]
            codes = [event["code"] for event in socket.events if event["type"] == "notice"]
            assert codes == ["keyboard_taken", "keyboard_returned"]


async def test_one_socket_has_it_at_a_time_and_gives_it_back_when_it_goes(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = (await served.chat("hello"))["session_id"]
        async with served.socket(session_id) as other:
            async with served.socket(session_id) as socket:
                assert (await socket.ask(type="keyboard", take=True))["type"] == "ack"
                assert (await socket.ask(type="keyboard", take=True))["type"] == "ack", "again changes nothing"
                assert code(await other.ask(type="keyboard", take=True)) == "keyboard_taken"
                assert code(await other.ask(type="keys", text="x")) == "keyboard_not_taken"
                assert code(await other.ask(type="keyboard", take=False)) == "keyboard_not_taken"
                async with served.socket(session_id) as late:
                    assert (await late.hear())["keyboard"]["taken"]
            await eventually(lambda: not served.manager.keyboard_taken(session_id))
            assert (await other.ask(type="keyboard", take=True))["type"] == "ack"


async def test_it_ends_with_the_terminal(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        async with served.socket(session_id) as socket:
            assert code(await socket.ask(type="keyboard", take=True)) == "not_live"
            await served.chat("hello", session_id)
            assert (await socket.ask(type="keyboard", take=True))["type"] == "ack"
            await state(socket, taken=True, mine=True)
            await served.ask("POST", f"/api/v1/sessions/{session_id}/hibernate")
            await state(socket, taken=False, mine=False)
            assert code(await socket.ask(type="keys", text="x")) == "keyboard_not_taken"


@pytest.mark.parametrize("frame", [{"text": ""}, {"text": "x" * 4097}, {"text": 1}, {}, {"text": "\ud800"}])
async def test_frames_that_are_none(serve_demo: Serve, frame: dict[str, Any]) -> None:
    async with serve_demo() as served:
        session_id = (await served.chat("hello"))["session_id"]
        async with served.socket(session_id) as socket:
            await socket.ask(type="keyboard", take=True)
            assert code(await socket.ask(type="keys", **frame)) in {"invalid_request", "invalid_value"}
            assert code(await socket.ask(type="keyboard", take="yes")) == "invalid_request"


async def test_only_a_key_that_administers_may(serve_demo: Serve) -> None:
    async with serve_demo(openai_keys="configured-key") as served:
        keys = served.service.access.keys
        plain = await asyncio.to_thread(keys.create, "plain")
        admin = await asyncio.to_thread(keys.create, "admin", admin=True)
        for key, may in (("configured-key", False), (plain.key, False), (admin.key, True)):
            caller = Served(served.service, served.url, served.http, {"x-api-key": key})
            session_id = (await caller.chat("hello"))["session_id"]
            async with caller.socket(session_id) as socket:
                assert (await socket.hear())["keyboard"]["allowed"] is may
                answer = await socket.ask(type="keyboard", take=True)
                if may:
                    assert answer["type"] == "ack"
                    continue
                assert code(answer) == "not_allowed"
                assert "--admin" in answer["error"]["message"]
                assert code(await socket.ask(type="keys", text="x")) == "keyboard_not_taken"


async def test_who_watches_the_screen_is_told_how_it_stands(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = (await served.chat("hello"))["session_id"]
        async with served.socket(session_id) as socket, served.socket(session_id) as other:
            await socket.tell(type="screen")
            await state(socket, taken=False, mine=False)
            await socket.ask(type="keyboard", take=True)
            await state(socket, taken=True, mine=True)
            await socket.tell(type="screen")
            await state(socket, taken=True, mine=True)
            await other.hear()
            await other.tell(type="screen")
            await state(other, taken=True, mine=False)


async def test_it_can_be_switched_off(serve_demo: Serve) -> None:
    async with serve_demo(keyboard=False) as served:
        session_id = (await served.chat("hello"))["session_id"]
        async with served.socket(session_id) as socket:
            assert (await socket.hear())["keyboard"]["allowed"] is False
            answer = await socket.ask(type="keyboard", take=True)
            assert code(answer) == "not_allowed"
            assert "QPTY_KEYBOARD" in answer["error"]["message"]
