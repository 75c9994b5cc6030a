"""Talking: whole answers, questions and their answers, queues, interrupts, failures, over the socket."""

from __future__ import annotations

import asyncio
import io
import json
import re
from typing import TYPE_CHECKING, Any

from tests.server.served import TIMEOUT, asks, ends

if TYPE_CHECKING:
    from tests.server.conftest import Serve
    from tests.server.served import Event, Served

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

ANSWERED = {
    "session_id", "turn_id", "text", "exact", "stop_reason", "tools", "usage", "timings", "timestamp",
}  # fmt: skip
ASKED = ANSWERED - {"stop_reason"} | {"question"}


async def end_of(served: Served, session_id: str, *, after: int = 0) -> Event:
    """The end of the turn that is running, by the session's events."""
    found = await served.until(f"/api/v1/sessions/{session_id}/events?after={after}", ends)
    return found[-1]


async def state_of(served: Served, session_id: str, wanted: str) -> None:
    """Wait until the session says that it is in a state."""
    events = f"/api/v1/sessions/{session_id}/events"
    await served.until(events, lambda event: event["type"] == "session.state" and event["state"] == wanted)


async def said(served: Served, session_id: str, text: str) -> None:
    """Wait until a text was typed in the session's running turn."""
    typed: list[str] = []

    def complete(event: Event) -> bool:
        typed.append(event["text"] if event["type"] == "message.delta" else "")
        return text in "".join(typed)

    await served.until(f"/api/v1/sessions/{session_id}/events", complete)


# -- answers


async def test_an_answer_has_every_field_and_the_session_remembers(serve: Serve) -> None:
    async with serve() as served:
        answer = await served.chat("remember the heron")
        assert set(answer) == ANSWERED
        assert answer["text"] == "I will remember that."
        assert (answer["exact"], answer["stop_reason"], answer["tools"]) == (True, "end_turn", [])
        assert answer["usage"]["model_calls"] == 1
        assert 0 < answer["timings"]["total"] < TIMEOUT
        assert TIMESTAMP.fullmatch(answer["timestamp"])

        again = await served.chat("recall", answer["session_id"])
        assert again["session_id"] == answer["session_id"]
        assert again["turn_id"] != answer["turn_id"]
        assert again["text"] == "You told me: the heron"
        other = await served.chat("recall")
        assert other["session_id"] != answer["session_id"]
        assert "heron" not in other["text"]

        status, found = await served.ask("GET", f"/api/v1/sessions/{answer['session_id']}/messages")
        assert status == 200
        assert [(message["role"], message["text"]) for message in found["messages"]] == [
            ("user", "remember the heron"), ("assistant", "I will remember that."),
            ("user", "recall"), ("assistant", "You told me: the heron"),
        ]  # fmt: skip
        assert [message["position"] for message in found["messages"]] == [1, 2, 3, 4]
        assert found["messages"][1]["turn_id"] == answer["turn_id"]
        status, turn = await served.ask("GET", f"/api/v1/sessions/{answer['session_id']}/turns/{answer['turn_id']}")
        assert status == 200
        assert (turn["state"], turn["stop_reason"], turn["code"]) == ("completed", "end_turn", None)
        assert TIMESTAMP.fullmatch(turn["ended_at"])
        assert turn["usage"] == answer["usage"]
        status, _ = await served.ask("GET", f"/api/v1/sessions/{other['session_id']}/turns/{answer['turn_id']}")
        assert status == 404


async def test_what_looks_like_a_command_is_said_to_the_model(serve: Serve) -> None:
    texts = ["!id", "/quit", "/clear\n", "\\x", "@nobody", "$(id)", "#"]
    async with serve() as served:
        session_id = await served.session()
        for text in texts:
            answer = await served.chat(text, session_id)
            assert text.strip() in answer["text"]
            assert "uid=" not in answer["text"]
        status, found = await served.ask("GET", f"/api/v1/sessions/{session_id}/messages")
        assert (status, len(found["messages"])) == (200, 2 * len(texts))


async def test_markdown_and_every_script_come_exactly(serve: Serve) -> None:
    async with serve() as served:
        text = 'naïve 你好 👧🏽 e\u0301 العربية `a` **b** <b>&amp;</b> \\n "quoted"'
        answer = await served.chat(f"echo {text}")
        assert (answer["text"], answer["exact"]) == (text, True)


async def test_a_message_of_many_lines_is_one_message(serve: Serve) -> None:
    async with serve() as served:
        answer = await served.chat("echo one\ntwo\n\n  three\n> four\n")
        assert answer["text"].rstrip() == "one\ntwo\n\n  three\n> four"


# -- questions


async def test_a_permission_comes_first_and_is_answered(serve: Serve) -> None:
    async with serve() as served:
        asked = await served.chat("write notes.txt from a tool")
        assert set(asked) == ASKED
        session_id, question = asked["session_id"], asked["question"]
        assert question["type"] == "permission.requested"
        assert question["turn_id"] == asked["turn_id"]
        assert question["name"] == "fs_write"
        assert question["arguments"]["path"].endswith("notes.txt")
        assert asked["exact"] is True
        assert "I will write it." in asked["text"]
        [tool] = asked["tools"]
        assert (tool["tool_id"], tool["name"], tool["outcome"]) == (question["tool_id"], "fs_write", None)
        status, info = await served.ask("GET", f"/api/v1/sessions/{session_id}")
        assert (status, info["state"]) == (200, "permission")
        assert question.items() >= info["question"].items() >= {"seq": question["seq"], "name": "fs_write"}.items()

        path = f"/api/v1/sessions/{session_id}/permissions/{question['request_id']}"
        for wrong in ({"answer": "yes"}, {"answer": None}, {}):
            status, refused = await served.ask("POST", path, wrong)
            assert (status, refused["error"]["code"]) == (400, "invalid_request")
        status, gone = await served.ask("POST", f"{path}9", {"answer": "allow"})
        assert (status, gone["error"]["code"]) == (409, "question_gone")
        assert gone["error"]["details"]["open_request_id"] == question["request_id"]
        assert (await served.ask("GET", f"/api/v1/sessions/{session_id}/files"))[1]["files"] == []

        status, answered = await served.ask("POST", path, {"answer": "allow"})
        assert (status, answered) == (200, {"request_id": question["request_id"], "answer": "allow"})
        end = await end_of(served, session_id, after=question["seq"])
        assert (end["type"], end["stop_reason"]) == ("turn.completed", "end_turn")
        status, text = await served.ask("GET", f"/api/v1/sessions/{session_id}/files/notes.txt")
        assert (status, text.strip()) == (200, "from a tool")
        status, gone = await served.ask("POST", path, {"answer": "allow"})
        assert (status, gone["error"]["code"]) == (409, "question_gone")
        assert gone["error"]["details"]["open_request_id"] is None
        status, found = await served.ask("GET", f"/api/v1/sessions/{session_id}/messages")
        assert [tool["outcome"] for tool in found["messages"][-1]["tools"]] == ["ok"]


async def test_a_message_does_not_answer_an_open_question(serve: Serve) -> None:
    async with serve() as served:
        asked = await served.chat("write notes.txt x")
        session_id = asked["session_id"]
        body = {"message": "y", "session_id": session_id}
        for path in ("/api/v1/chat", "/api/v1/chat/stream", f"/api/v1/sessions/{session_id}/messages"):
            status, refused = await served.ask("POST", path, body)
            assert (status, refused["error"]["code"]) == (409, "question_open")
            assert refused["error"]["question"]["request_id"] == asked["question"]["request_id"]
            assert asked["question"].items() >= refused["error"]["question"].items()
        status, _ = await served.ask(
            "POST", f"/api/v1/sessions/{session_id}/permissions/{asked['question']['request_id']}", {"answer": "refuse"}
        )
        assert status == 200
        end = await end_of(served, session_id, after=asked["question"]["seq"])
        assert end["type"] == "turn.completed"
        assert (await served.ask("GET", f"/api/v1/sessions/{session_id}/files"))[1]["files"] == []
        assert (await served.chat("echo on", session_id))["text"] == "on"


async def test_always_is_not_asked_again(serve: Serve) -> None:
    async with serve() as served:
        asked = await served.chat("write a.txt a")
        session_id = asked["session_id"]
        path = f"/api/v1/sessions/{session_id}/permissions/{asked['question']['request_id']}"
        assert (await served.ask("POST", path, {"answer": "always"}))[0] == 200
        await end_of(served, session_id, after=asked["question"]["seq"])
        answer = await served.chat("write b.txt b", session_id)
        assert answer["stop_reason"] == "end_turn"
        assert [(tool["name"], tool["outcome"]) for tool in answer["tools"]] == [("fs_write", "ok")]


async def test_a_trusted_tool_is_not_asked_for(serve: Serve) -> None:
    async with serve() as served:
        session_id = await served.session(trusted_tools=["execute_bash"])
        answer = await served.chat("bash echo from-the-tool", session_id)
        assert answer["stop_reason"] == "end_turn"
        assert "from-the-tool" in answer["text"]
        [tool] = answer["tools"]
        assert tool["arguments"]["command"] == "echo from-the-tool"
        assert tool["outcome"] == "ok"
        assert "question" in await served.chat("write a.txt a", session_id)


async def test_a_menu_is_chosen_from(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        asked = await served.chat("capacity")
        assert set(asked) == ASKED
        session_id, question = asked["session_id"], asked["question"]
        assert question["type"] == "menu.requested"
        path = f"/api/v1/sessions/{session_id}/menus/{question['request_id']}"
        status, refused = await served.ask("POST", path, {"index": len(question["options"])})
        assert (status, refused["error"]["code"]) == (400, "invalid_choice")
        for wrong in ({}, {"index": -1}, {"index": "0"}, {"index": True}, {"index": 0.5}):
            status, refused = await served.ask("POST", path, wrong)
            assert (status, refused["error"]["code"]) == (400, "invalid_request"), wrong
        permission = f"/api/v1/sessions/{session_id}/permissions/{question['request_id']}"
        status, refused = await served.ask("POST", permission, {"answer": "allow"})
        assert (status, refused["error"]["code"]) == (409, "question_gone")
        status, chosen = await served.ask("POST", path, {"index": None})
        assert (status, chosen) == (200, {"request_id": question["request_id"], "index": None})
        end = await end_of(served, session_id, after=question["seq"])
        assert (end["type"], end["code"]) == ("turn.failed", "model_overloaded")
        assert (await served.chat("echo on", session_id))["text"] == "on"


async def test_a_choice_goes_on_with_the_turn(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        asked = await served.chat("capacity")
        session_id, question = asked["session_id"], asked["question"]
        path = f"/api/v1/sessions/{session_id}/menus/{question['request_id']}"
        assert (await served.ask("POST", path, {"index": 1}))[0] == 200
        events = f"/api/v1/sessions/{session_id}/events?after={question['seq']}"
        found = await served.until(events, lambda event: event["type"] == "menu.answered")
        assert found[-1]["index"] == 1


async def test_a_stream_stops_at_a_question_and_goes_on_by_the_events(serve: Serve) -> None:
    async with serve() as served:
        session_id = await served.session()
        body = {"message": "write notes.txt x", "session_id": session_id}
        first = await served.until("/api/v1/chat/stream", asks, method="POST", body=body)
        question = first[-1]
        assert question["type"] == "permission.requested"
        path = f"/api/v1/sessions/{session_id}/permissions/{question['request_id']}"
        assert (await served.ask("POST", path, {"answer": "allow"}))[0] == 200
        rest = await served.until(
            f"/api/v1/sessions/{session_id}/events", ends, headers={"Last-Event-ID": str(question["seq"])}
        )
        assert [event["seq"] for event in first + rest] == list(range(first[0]["seq"], rest[-1]["seq"] + 1))
        assert rest[-1]["type"] == "turn.completed"


async def test_a_streams_events_are_those_of_its_turn_and_end_with_it(serve: Serve) -> None:
    async with serve() as served:
        found = [
            event async for event in served.events("/api/v1/chat/stream", method="POST", body={"message": "hello"})
        ]
        turn_id = found[0]["turn_id"]
        assert [found[0]["type"], found[-1]["type"]] == ["turn.queued", "turn.completed"]
        assert {event.get("turn_id", turn_id) for event in found} == {turn_id}
        typed = "".join(event["text"] for event in found if event["type"] == "message.delta")
        assert typed.strip() == found[-1]["text"] == "Hello! How can I help you today?"


# -- queues and interrupts


async def test_messages_queue_up_to_a_bound(serve_demo: Serve) -> None:
    async with serve_demo(queue_limit=2, environment={"QPTY_DEMO_SLOW": "0.02"}) as served:
        asked = await served.session()
        path = f"/api/v1/sessions/{asked}/messages"
        status, first = await served.ask("POST", path, {"message": "slow 500"})
        assert status == 202
        assert set(first) == {"session_id", "turn_id", "seq"}
        await state_of(served, asked, "busy")
        accepted = [await served.ask("POST", path, {"text": "hello"}) for _ in range(2)]
        assert [status for status, _ in accepted] == [202, 202]
        status, refused = await served.ask("POST", path, {"message": "one too many"})
        assert (status, refused["error"]["code"], refused["error"]["details"]) == (429, "queue_full", {"limit": 2})
        status, info = await served.ask("GET", f"/api/v1/sessions/{asked}")
        assert (info["state"], info["turn_id"], info["queued"]) == ("busy", first["turn_id"], 2)

        interrupt = f"/api/v1/sessions/{asked}/interrupt"
        queued = accepted[0][1]["turn_id"]
        assert await served.ask("POST", interrupt, {"turn_id": queued}) == (200, {"interrupted": True})
        assert await served.ask("POST", interrupt, {"turn_id": queued}) == (200, {"interrupted": False})
        status, refused = await served.ask("POST", interrupt, {"turn_id": "no such turn"})
        assert (status, refused["error"]["code"]) == (404, "turn_not_found")
        assert await served.ask("POST", interrupt) == (200, {"interrupted": True})
        last = accepted[1][1]
        end = (await served.until(
            f"/api/v1/sessions/{asked}/events?after={last['seq']}",
            lambda event: ends(event) and event["turn_id"] == last["turn_id"],
        ))[-1]  # fmt: skip
        assert (end["type"], end["text"]) == ("turn.completed", "Hello! How can I help you today?")
        status, turn = await served.ask("GET", f"/api/v1/sessions/{asked}/turns/{first['turn_id']}")
        assert (turn["state"], turn["stop_reason"]) == ("completed", "interrupted")


async def test_a_waiting_chat_says_that_it_was_interrupted(serve: Serve) -> None:
    async with serve() as served:
        session_id = await served.session()
        waiting = asyncio.ensure_future(served.chat("slow 30", session_id))
        await said(served, session_id, "part 1")
        assert await served.ask("POST", f"/api/v1/sessions/{session_id}/interrupt") == (200, {"interrupted": True})
        answer = await asyncio.wait_for(waiting, TIMEOUT)
        assert answer["stop_reason"] == "interrupted"
        assert "part 1" in answer["text"]
        assert await served.ask("POST", f"/api/v1/sessions/{session_id}/interrupt") == (200, {"interrupted": False})
        assert (await served.chat("echo on", session_id))["text"] == "on"


async def test_a_client_that_goes_away_does_not_end_the_turn(serve_demo: Serve) -> None:
    async with serve_demo(environment={"QPTY_DEMO_SLOW": "0.05"}) as served:
        session_id = await served.session()
        waiting = asyncio.ensure_future(served.chat("slow 4", session_id))
        await said(served, session_id, "part 1")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        end = await end_of(served, session_id)
        assert (end["type"], end["text"]) == ("turn.completed", "part 1 part 2 part 3 part 4 end.")


# -- failures

FAILURES = [
    ("throttle", 429, "rate_limited"),
    ("monthly", 429, "monthly_limit"),
    ("suspended", 503, "account_suspended"),
    ("denied", 503, "access_denied"),
    ("expired", 503, "sign_in_expired"),
    ("boom", 502, "upstream_error"),
    ("broken", 502, "upstream_error"),
]


async def test_a_turn_that_fails_has_the_status_of_its_code(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        for message, status, code in FAILURES:
            session_id = await served.session()
            got, answer = await served.ask("POST", "/api/v1/chat", {"message": message, "session_id": session_id})
            assert (got, answer["error"]["code"]) == (status, code), answer
            details: dict[str, Any] = answer["error"]["details"]
            assert set(details) == {"session_id", "turn_id", "retryable"}
            assert details["session_id"] == session_id
            path = f"/api/v1/sessions/{session_id}/turns/{details['turn_id']}"
            got, turn = await served.ask("GET", path)
            assert (turn["state"], turn["code"], turn["retryable"]) == ("failed", code, details["retryable"])
            assert (await served.chat("echo on", session_id))["text"] == "on"


async def test_a_failure_in_a_stream_is_its_last_event(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        found = [event async for event in served.events("/api/v1/chat/stream", method="POST", body={"message": "boom"})]
        assert (found[-1]["type"], found[-1]["code"]) == ("turn.failed", "upstream_error")


async def test_no_free_worker_is_said_and_nothing_was_sent(serve_demo: Serve) -> None:
    async with serve_demo(max_workers=1, queue_timeout=0.2, environment={"QPTY_DEMO_SLOW": "0.05"}) as served:
        busy = await served.session()
        assert (await served.ask("POST", f"/api/v1/sessions/{busy}/messages", {"message": "slow 400"}))[0] == 202
        await state_of(served, busy, "busy")
        status, answer = await served.ask("POST", "/api/v1/chat", {"message": "hello"})
        assert (status, answer["error"]["code"], answer["error"]["details"]["retryable"]) == (503, "no_capacity", True)
        assert (await served.ask("POST", f"/api/v1/sessions/{busy}/interrupt"))[0] == 200


async def test_what_cannot_be_sent_leaves_no_session_behind(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        for message, status, code in (
            ("", 400, "invalid_message"),
            (" \n\t\u200b", 400, "invalid_message"),
            ("\x1b\x07", 400, "invalid_message"),
            ("é" * 600_000, 413, "message_too_long"),
            ("x" * ((1 << 20) + 1), 400, "invalid_request"),
        ):
            for path in ("/api/v1/chat", "/api/v1/chat/stream"):
                body = io.BytesIO(json.dumps({"message": message}).encode())
                got, answer = await served.ask("POST", path, data=body, headers={"Content-Type": "application/json"})
                assert (got, answer["error"]["code"]) == (status, code)
        got, answer = await served.ask("POST", "/api/v1/chat", {"message": "hello", "session_id": "no such session"})
        assert (got, answer["error"]["code"]) == (404, "session_not_found")
        assert (await served.ask("GET", "/api/v1/sessions"))[1]["sessions"] == []


# -- what was said


async def test_messages_come_in_pages(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        for number in range(3):
            await served.chat(f"echo {number}", session_id)
        texts: list[str] = []
        after: int | None = 0
        pages = 0
        while after is not None:
            status, page = await served.ask("GET", f"/api/v1/sessions/{session_id}/messages?limit=4&after={after}")
            assert status == 200
            texts += [message["text"] for message in page["messages"]]
            after, pages = page["next"], pages + 1
        assert texts == ["echo 0", "0", "echo 1", "1", "echo 2", "2"]
        assert pages == 2
        status, page = await served.ask("GET", f"/api/v1/sessions/{session_id}/messages?after=2147483647")
        assert (status, page["messages"], page["next"]) == (200, [], None)


async def test_a_message_with_a_key_that_was_used_is_the_same_message(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        body = {"message": "echo once", "idempotency_key": "mine"}
        path = f"/api/v1/sessions/{session_id}/messages"
        answers = [await served.ask("POST", path, body) for _ in range(3)]
        assert [status for status, _ in answers] == [202] * 3
        assert len({answer["turn_id"] for _, answer in answers}) == 1
        _, chat = await served.ask("POST", "/api/v1/chat", {**body, "session_id": session_id})
        assert (chat["turn_id"], chat["text"]) == (answers[0][1]["turn_id"], "once")
        status, refused = await served.ask("POST", path, {**body, "message": "echo another"})
        assert (status, refused["error"]["code"]) == (409, "key_reused")
