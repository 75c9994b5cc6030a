"""OpenAI's and Anthropic's clients over HTTP, on the real q and on the demo agent: what they send and what they get."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from qpty.agent import spec
from qpty.compat.chat.reading import read_chat
from qpty.compat.messages.reading import read_messages
from qpty.compat.responses.reading import read_responses
from tests.compat.schemas import check as check_shape
from tests.compat.schemas import check_event
from tests.server.served import serving

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.lab import Lab
    from tests.server.conftest import Serve
    from tests.server.served import Served

ADD = {
    "name": "add",
    "description": "Adds two numbers.",
    "parameters": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
}

ROUTES_OF = {
    "/v1/chat/completions": read_chat, "/v1/responses": read_responses, "/v1/messages": read_messages,
}  # fmt: skip
"""Who reads the bodies of a route."""

Json = dict[str, Any]


def plan(*steps: Json) -> str:
    """A message that has the scripted model take these steps."""
    return f"PLAN: {json.dumps(steps)}"


def said(*texts: str) -> list[Json]:
    """A conversation: user and assistant in turns, as both families' clients send it."""
    return [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]


async def chat(served: Served, messages: list[Json], **more: Any) -> Json:
    status, answer = await served.ask("POST", "/v1/chat/completions", {"model": "gpt-5", "messages": messages, **more})
    assert status == 200, answer
    found: Json = answer
    return found


async def messages(served: Served, conversation: list[Json], **more: Any) -> Json:
    body = {"model": "claude-sonnet-4-5", "max_tokens": 10_000, "messages": conversation, **more}
    status, answer = await served.ask("POST", "/v1/messages", body)
    assert status == 200, answer
    found: Json = answer
    return found


async def stream(served: Served, path: str, body: Json) -> list[tuple[str | None, Any]]:
    """The frames of a stream: names and data."""
    frames: list[tuple[str | None, Any]] = []
    async with (
        asyncio.timeout(60),
        served.http.post(served.url + path, json={**body, "stream": True}, headers=served.headers) as response,
    ):
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        name = None
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = line[6:]
                frames.append((name, data if data == "[DONE]" else json.loads(data)))
                name = None
    return frames


def serving_q(lab: Lab, work: Path, **settings: Any) -> AbstractAsyncContextManager[Served]:
    """A service with the real q, for what only it can show."""
    environment = {**os.environ, "HOME": str(lab.home)}
    found = spec.locate(str(lab.q), environment=environment, data_directory=work / "data")
    return serving(found, work, **settings)


async def sessions(served: Served) -> list[Json]:
    _, listed = await served.ask("GET", "/api/v1/sessions")
    found: list[Json] = listed["sessions"]
    return found


def text_of(message: Json) -> str:
    return "".join(block["text"] for block in message["content"] if block["type"] == "text")


async def test_a_chat_completion(serve: Serve) -> None:
    async with serve() as served:
        answer = await chat(served, said("echo naïve\n  café 你好"))
        assert answer["object"] == "chat.completion"
        (choice,) = answer["choices"]
        assert choice["finish_reason"] == "stop"
        assert choice["message"]["content"] == "naïve\n  café 你好"
        assert answer["usage"]["total_tokens"] == sum(
            answer["usage"][name] for name in ("prompt_tokens", "completion_tokens")
        )


async def test_a_conversation_stays_in_one_session(serve: Serve) -> None:
    async with serve() as served:
        conversation = said("remember blue")
        for message in ("recall", "history", "hello"):
            answer = await messages(served, conversation, system="You are terse.")
            conversation += [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": message}]
        answer = await messages(served, conversation, system="You are terse.")
        assert text_of({"content": conversation[3]["content"]}) == "You told me: blue"
        assert text_of({"content": conversation[5]["content"]}).endswith("remember blue | recall")
        (session,) = await sessions(served)
        assert session["client"] == "messages"
        assert session["message_count"] == 8
        assert session["system_prompt"] == "You are terse."


async def test_a_stream_is_the_answer_in_pieces(serve: Serve) -> None:
    async with serve() as served:
        body: Json = {"model": "gpt-5", "messages": said("words 60"), "stream_options": {"include_usage": True}}
        frames = await stream(served, "/v1/chat/completions", body)
        assert frames[-1] == (None, "[DONE]")
        chunks = [data for _, data in frames[:-1]]
        text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
        assert text == " ".join(f"word{at}" for at in range(1, 61))
        assert len(chunks) >= 4
        assert chunks[-1]["usage"]["completion_tokens"] > 60
        body = {"model": "claude", "max_tokens": 1000, "messages": said("words 60")}
        frames = await stream(served, "/v1/messages", body)
        assert [name for name, _ in frames if name not in {"content_block_delta", "ping"}] == [
            "message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop",
        ]  # fmt: skip
        assert "".join(data["delta"]["text"] for name, data in frames if name == "content_block_delta") == text


@pytest.mark.parametrize("fidelity", ["auto", "live", "exact"])
async def test_how_exact_a_stream_is(serve: Serve, fidelity: str) -> None:
    async with serve(stream_fidelity=fidelity) as served:
        exact = (await chat(served, said("markdown")))["choices"][0]["message"]["content"]
        frames = await stream(served, "/v1/chat/completions", {"model": "m", "messages": said("markdown")})
        pieces = [data["choices"][0]["delta"].get("content") or "" for _, data in frames[:-1]]
        text = "".join(pieces)
        assert "".join(text.split()) == "".join(exact.split())
        if fidelity == "exact":
            assert text == exact
        if fidelity == "auto":
            assert text[text.index("```") :] == exact[exact.index("```") :]
            assert sum(map(bool, pieces)) >= 2
        # whatever it lost, the conversation goes on in the session that had it
        on = [*said("markdown", text), {"role": "user", "content": "hello"}]
        await chat(served, on)
        assert len(await sessions(served)) == 2


@pytest.mark.parametrize("interface", ["chat", "responses", "messages"])
async def test_the_clients_own_tools(serve: Serve, interface: str) -> None:
    steps = plan({"tool": "add", "input": {"a": 1, "b": 2}, "say": "Adding. "}, {"text": "it is three"})
    async with serve() as served:
        if interface == "chat":
            tools = [{"type": "function", "function": ADD}]
            conversation: list[Json] = said(steps)
            answer = await chat(served, conversation, tools=tools)
            (choice,) = answer["choices"]
            assert choice["finish_reason"] == "tool_calls"
            assert choice["message"]["content"] == "Adding. "
            (call,) = choice["message"]["tool_calls"]
            assert call["function"]["name"] == "add"
            assert json.loads(call["function"]["arguments"]) == {"a": 1, "b": 2}
            conversation += [
                {"role": "assistant", "content": choice["message"]["content"], "tool_calls": [call]},
                {"role": "tool", "tool_call_id": call["id"], "content": "3"},
            ]
            answer = await chat(served, conversation, tools=tools)
            assert answer["choices"][0]["message"]["content"] == "it is three"
            conversation += [answer["choices"][0]["message"], {"role": "user", "content": "hello"}]
            answer = await chat(served, conversation, tools=tools)
        elif interface == "messages":
            tool = {"name": "add", "description": ADD["description"], "input_schema": ADD["parameters"]}
            conversation = said(steps)
            answer = await messages(served, conversation, tools=[tool])
            assert answer["stop_reason"] == "tool_use"
            text, use = answer["content"]
            assert text["text"] == "Adding. "
            assert (use["type"], use["name"], use["input"]) == ("tool_use", "add", {"a": 1, "b": 2})
            rewritten = {**use, "input": {"b": 2, "a": 1, "carry": False}}
            conversation += [
                {"role": "assistant", "content": [text, rewritten]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use["id"], "content": "3"}]},
            ]
            answer = await messages(served, conversation, tools=[tool])
            assert text_of(answer) == "it is three"
            conversation += [
                {"role": "assistant", "content": answer["content"]}, {"role": "user", "content": "hello"},
            ]  # fmt: skip
            answer = await messages(served, conversation, tools=[tool])
        else:
            tool = {"type": "function", **ADD}
            status, answer = await served.ask("POST", "/v1/responses", {"model": "m", "input": steps, "tools": [tool]})
            assert status == 200, answer
            said_first, call = answer["output"]
            assert said_first["content"][0]["text"] == "Adding. "
            assert (call["type"], call["name"], json.loads(call["arguments"])) == (
                "function_call", "add", {"a": 1, "b": 2},
            )  # fmt: skip
            returned = {"type": "function_call_output", "call_id": call["call_id"], "output": "3"}
            body = {"model": "m", "previous_response_id": answer["id"], "input": [returned], "tools": [tool]}
            status, answer = await served.ask("POST", "/v1/responses", body)
            assert status == 200, answer
            assert answer["output"][0]["content"][0]["text"] == "it is three"
            body = {"model": "m", "previous_response_id": answer["id"], "input": "hello", "tools": [tool]}
            status, answer = await served.ask("POST", "/v1/responses", body)
            assert status == 200, answer
        assert "How can I help you today?" in json.dumps(answer)
        assert len(await sessions(served)) == 1


@pytest.mark.parametrize("message", ["words 40", "markdown", plan({"tool": "add", "input": {"a": 1}, "say": "So. "})])
async def test_everything_that_openais_clients_get_is_as_the_schema_says(serve: Serve, message: str) -> None:
    async with serve() as served:
        chats: Json = {"model": "m", "messages": said(message), "tools": [{"type": "function", "function": ADD}]}
        check_shape("CreateChatCompletionResponse", await chat(served, chats["messages"], tools=chats["tools"]))
        frames = await stream(served, "/v1/chat/completions", {**chats, "stream_options": {"include_usage": True}})
        for _, chunk in frames[:-1]:
            check_shape("CreateChatCompletionStreamResponse", chunk)
        asked: Json = {"model": "m", "input": message, "tools": [{"type": "function", **ADD}]}
        status, answer = await served.ask("POST", "/v1/responses", asked)
        assert status == 200
        check_shape("Response", answer)
        frames = await stream(served, "/v1/responses", asked)
        assert [data["sequence_number"] for _, data in frames] == list(range(len(frames)))
        for name, event in frames:
            assert name == event["type"]
            check_event(event)
        assert frames[-1][0] == "response.completed"
        check_shape("ListModelsResponse", (await served.ask("GET", "/v1/models"))[1])


# -- which session


async def test_an_answer_asked_for_again_and_an_edit_get_sessions_of_their_own(serve: Serve) -> None:
    async with serve() as served:
        first = said("remember blue")
        answer = await chat(served, first)
        told = answer["choices"][0]["message"]["content"]
        second = [*first, *said("", told)[1:], {"role": "user", "content": "remember green"}]
        answer = await chat(served, second)
        third = [*second, answer["choices"][0]["message"], {"role": "user", "content": "recall"}]
        assert "green" in json.dumps(await chat(served, third))
        assert len(await sessions(served)) == 1
        again = await chat(served, third)  # the same once more: regenerated
        assert "green" in json.dumps(again)
        assert len(await sessions(served)) == 2
        edited = [*second[:2], {"role": "user", "content": "recall"}]
        assert "blue" in json.dumps(await chat(served, edited))
        assert len(await sessions(served)) == 3
        # each of them goes on from where it is
        on = [*third, again["choices"][0]["message"], {"role": "user", "content": "history"}]
        listed = (await chat(served, on))["choices"][0]["message"]["content"]
        assert listed.endswith("remember blue | remember green | recall")
        assert len(await sessions(served)) == 3


async def test_two_requests_on_one_conversation_at_once_dont_cross(serve: Serve) -> None:
    async with serve() as served:
        first = said("remember blue")
        answer = await chat(served, first)
        conversation = [*first, answer["choices"][0]["message"]]
        one, other = await asyncio.gather(
            chat(served, [*conversation, *said("words 40")]), chat(served, [*conversation, *said("recall")])
        )
        assert one["choices"][0]["message"]["content"].endswith("word40")
        assert other["choices"][0]["message"]["content"] == "You told me: blue"
        assert len(await sessions(served)) == 2


async def test_a_conversation_that_nobody_here_had_is_taken_up(serve: Serve) -> None:
    conversation = [
        *said("remember mauve", "I will.", "what is 1 + 2?"),
        {
            "role": "assistant", "content": "Adding. ",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1,"b":2}'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
        *said("", "It is 3.", "recall")[1:],
    ]  # fmt: skip
    async with serve() as served:
        answer = await chat(served, conversation, tools=[{"type": "function", "function": ADD}])
        assert answer["choices"][0]["message"]["content"] == "You told me: mauve"
        (session,) = await sessions(served)
        _, listed = await served.ask("GET", f"/api/v1/sessions/{session['session_id']}/messages")
        assert [message["text"] for message in listed["messages"]] == [
            "remember mauve", "I will.", "what is 1 + 2?", "Adding. \n\nIt is 3.", "recall", "You told me: mauve",
        ]  # fmt: skip


async def test_ten_turns_are_ten_model_calls_in_one_process_and_the_clients_words(lab: Lab, tmp_path: Path) -> None:
    words = ["echo  two  spaces", "echo\n\na line", "echo 你好 👍🏽", "echo `code` **bold**", "hello"]
    words += ["echo - a\n- b", "count 12", "echo \"quoted\" 'text'", "history", "echo the end"]
    async with serving_q(lab, tmp_path) as served:
        conversation: list[Json] = []
        pids = set()
        for text in words:
            conversation.append({"role": "user", "content": text})
            answer = await messages(served, conversation, system="Be exact.")
            conversation.append({"role": "assistant", "content": answer["content"]})
            (session,) = await sessions(served)
            pids.add((await served.loaded(session["session_id"])).pid)
    calls = [entry["body"] for entry in lab.requests() if entry["op"] in {"SendMessage", "GenerateAssistantResponse"}]
    mine = [call for call in calls if "Be exact." in json.dumps(call)]
    assert len(mine) == 10
    assert len(pids) == 1
    sent = [call["conversationState"]["currentMessage"]["userInputMessage"]["content"] for call in mine]
    for text, content in zip(words, sent, strict=True):
        assert f"--- USER MESSAGE BEGIN ---\n{text}--- USER MESSAGE END ---" in content
    history = json.dumps(mine[-1]["conversationState"]["history"], ensure_ascii=False)
    for text in words[:-1]:
        assert json.dumps(text, ensure_ascii=False)[1:-1] in history


async def test_another_system_prompt_or_other_tools_are_another_session_that_knows_all(serve: Serve) -> None:
    async with serve() as served:
        first = said("remember blue")
        answer = await chat(served, first)
        conversation = [*first, answer["choices"][0]["message"], *said("recall")]
        tools = [{"type": "function", "function": ADD}]
        for more in ({}, {"tools": tools}, {"model": "claude-haiku-4.5"}):
            answer = await chat(served, conversation, **more)
            assert answer["choices"][0]["message"]["content"] == "You told me: blue"
        system = {"role": "system", "content": "Be brief."}
        assert "blue" in json.dumps(await chat(served, [system, *conversation]))
        assert len(await sessions(served)) in {3, 4}  # the demo agent names no models


async def test_a_conversation_is_found_again_after_a_restart(serve: Serve) -> None:
    async with serve() as served:
        first = said("remember blue")
        answer = await chat(served, first)
    async with serve() as served:
        conversation = [*first, answer["choices"][0]["message"], *said("recall")]
        assert "blue" in json.dumps(await chat(served, conversation))
        assert len(await sessions(served)) == 1


async def test_a_conversation_is_its_owners(serve_demo: Serve) -> None:
    async with serve_demo(openai_keys="the-key-of-one,the-key-of-another") as served:
        served.headers = {"Authorization": "Bearer the-key-of-one"}
        answer = await chat(served, said("remember blue"))
        conversation = [*said("remember blue"), answer["choices"][0]["message"], *said("recall")]
        served.headers = {"x-api-key": "the-key-of-another"}
        assert "blue" in json.dumps(await chat(served, conversation))  # it said so itself
        (mine,) = await sessions(served)
        served.headers = {"Authorization": "Bearer the-key-of-one"}
        (theirs,) = await sessions(served)
        assert mine["session_id"] != theirs["session_id"]


# -- the client's tools


async def test_several_calls_are_told_at_once_and_answered_at_once(lab: Lab, tmp_path: Path) -> None:
    tool = {
        "name": "get_weather", "description": "Tells the weather.",
        "input_schema": {"type": "object", "properties": {"location": {"type": "string"}}},
    }  # fmt: skip
    async with serving_q(lab, tmp_path) as served:
        conversation = said("What is the weather in Lisbon and in Oslo?")
        answer = await messages(served, conversation, tools=[tool])
        uses = [block for block in answer["content"] if block["type"] == "tool_use"]
        assert [use["input"] for use in uses] == [{"location": "Lisbon"}, {"location": "Oslo"}]
        assert uses[0]["id"] != uses[1]["id"]
        results = [
            {"type": "tool_result", "tool_use_id": use["id"], "content": f"{weather} there"}
            for use, weather in zip(uses, ("sun", "snow"), strict=True)
        ]
        conversation += [
            {"role": "assistant", "content": answer["content"]}, {"role": "user", "content": results[::-1]},
        ]  # fmt: skip
        answer = await messages(served, conversation, tools=[tool])
        assert answer["stop_reason"] == "end_turn"
        assert text_of(answer).index("sun there") < text_of(answer).index("snow there")
        # one after the other, if the client wants that
        choice = {"type": "auto", "disable_parallel_tool_use": True}
        conversation = said("What is the weather in Rome and in Cork?")
        for weather in ("warm", "wet"):
            answer = await messages(served, conversation, tools=[tool], tool_choice=choice)
            (use,) = (block for block in answer["content"] if block["type"] == "tool_use")
            result = {"type": "tool_result", "tool_use_id": use["id"], "content": weather}
            conversation += [
                {"role": "assistant", "content": answer["content"]}, {"role": "user", "content": [result]},
            ]  # fmt: skip
        answer = await messages(served, conversation, tools=[tool], tool_choice=choice)
        assert "warm" in text_of(answer)
        assert "wet" in text_of(answer)
        assert len(await sessions(served)) == 2


async def test_results_with_errors_and_words_beside_them(serve: Serve) -> None:
    steps = plan({"tool": "add", "input": {}}, {"tool": "add", "input": {"a": 2}}, {"text": "done"})
    tool = {"name": "add", "description": "", "input_schema": {"type": "object"}}
    async with serve() as served:
        conversation = said(steps)
        for content in ("no such number", [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]):
            answer = await messages(served, conversation, tools=[tool])
            (use,) = answer["content"]
            conversation += [
                {"role": "assistant", "content": answer["content"]},
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": use["id"], "content": content, "is_error": True},
                        {"type": "text", "text": "and one thing more"},
                    ],
                },
            ]
        assert text_of(await messages(served, conversation, tools=[tool])) == "done"
        assert len(await sessions(served)) == 1


async def test_a_client_that_never_returns_leaves_a_session_that_works(serve: Serve) -> None:
    steps = plan({"tool": "add", "input": {"a": 1}}, {"text": "done"})
    tools = [{"type": "function", "function": ADD}]
    async with serve(client_tool_timeout=1) as served:
        answer = await chat(served, said(steps), tools=tools)
        message = answer["choices"][0]["message"]
        (session,) = await sessions(served)
        path = f"/api/v1/sessions/{session['session_id']}/events"
        await served.until(path, lambda event: event["type"] == "turn.completed")
        assert (await served.chat("hello", session["session_id"]))["text"] == "Hello! How can I help you today?"
        # it comes back all the same: what it says is the history of another session
        returned = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "3"}
        answer = await chat(served, [*said(steps), message, returned], tools=tools)
        assert answer["choices"][0]["finish_reason"] == "stop"
        assert len(await sessions(served)) == 2


async def test_a_tool_that_may_not_be_used_now_is_refused(serve: Serve) -> None:
    steps = plan({"tool": "add", "input": {"a": 1}}, {"text": "without it"})
    async with serve() as served:
        tools = [{"type": "function", "function": ADD}]
        answer = await chat(served, said(steps), tools=tools, tool_choice="none")
        assert answer["choices"][0]["message"]["content"] == "without it"
        assert answer["choices"][0]["finish_reason"] == "stop"


async def test_the_agents_own_tools_are_refused(serve: Serve) -> None:
    async with serve() as served:
        for message in ("bash touch ran", "read /etc/passwd", "write made.txt x"):
            answer = await chat(served, said(message))
            assert "root:" not in json.dumps(answer)
        for session in await sessions(served):
            _, listed = await served.ask("GET", f"/api/v1/sessions/{session['session_id']}/files")
            assert [file["path"] for file in listed["files"] if not file["path"].startswith(".amazonq")] == []


async def test_a_key_may_have_them_used(serve: Serve) -> None:
    async with serve(client_builtin_tools=True) as served:
        answer = await chat(served, said("bash echo ran > made.txt"))
        assert answer["choices"][0]["finish_reason"] == "stop"
        (session,) = await sessions(served)
        assert (await served.ask("GET", f"/api/v1/sessions/{session['session_id']}/files/made.txt")) == (200, "ran\n")


# -- what is emulated


async def test_stop_and_max_tokens(serve: Serve) -> None:
    async with serve() as served:
        answer = await chat(served, said("words 200"), stop=["word7 "])
        assert answer["choices"][0]["message"]["content"] == "".join(f"word{at} " for at in range(1, 7))
        assert answer["choices"][0]["finish_reason"] == "stop"
        answer = await messages(served, said("words 200"), max_tokens=12)
        assert answer["stop_reason"] == "max_tokens"
        assert 30 <= len(text_of(answer)) <= 48
        assert answer["usage"]["output_tokens"] == 12
        answer = await messages(served, said("words 200"), stop_sequences=["word9"])
        assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", "word9")


async def test_an_answer_that_has_to_be_json(serve: Serve) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "numbers", "schema": schema}}
    async with serve() as served:
        steps = plan({"text": '```json\n{"n": 3}\n```'})
        answer = await chat(served, said(steps), response_format=form)
        assert json.loads(answer["choices"][0]["message"]["content"]) == {"n": 3}
        body = {"model": "m", "messages": said("hello"), "response_format": form}
        status, answer = await served.ask("POST", "/v1/chat/completions", body)
        assert (status, answer["error"]["code"]) == (500, "answer_not_json"), answer


# -- errors


async def test_errors_are_told_as_each_family_knows_them(serve_demo: Serve) -> None:
    async with serve_demo(openai_keys="the-key-of-one") as served:
        body = {"model": "m", "max_tokens": 5, "messages": said("hello")}
        status, told = await served.ask("POST", "/v1/chat/completions", body)
        assert (status, told["error"]["code"]) == (401, "invalid_api_key")
        status, told = await served.ask("POST", "/v1/messages", body)
        assert (status, told["type"], told["error"]["type"]) == (401, "error", "authentication_error")
        served.headers = {"Authorization": "Bearer the-key-of-one"}
        status, told = await served.ask("POST", "/v1/chat/completions", {"model": "m", "messages": []})
        assert (status, told["error"]["type"], told["error"]["param"]) == (400, "invalid_request_error", "messages")
        status, told = await served.ask("POST", "/v1/messages", {"model": "m", "messages": said("hello")})
        assert (status, told["error"]["type"]) == (400, "invalid_request_error")
        assert told["request_id"]
        for path in ("/v1/none", "/v1/models/none"):
            status, told = await served.ask("GET", path)
            assert (status, set(told["error"])) == (404, {"message", "type", "param", "code"})
            status, told = await served.ask("GET", path, headers={"anthropic-version": "2023-06-01"})
            assert (status, told["error"]["type"]) == (404, "not_found_error")
        assert (await served.ask("GET", "/v1/responses"))[0] == 405
        assert await sessions(served) == []


async def test_a_turn_that_fails_has_the_status_of_its_kind(serve: Serve) -> None:
    async with serve() as served:
        for word, openai, anthropic in (("boom", 500, 500), ("denied", 503, 500), ("monthly", 429, 429)):
            body = {"model": "m", "max_tokens": 100, "messages": said(word)}
            assert (await served.ask("POST", "/v1/chat/completions", body))[0] == openai
            assert (await served.ask("POST", "/v1/chat/completions", {**body, "stream": True}))[0] == openai
            assert (await served.ask("POST", "/v1/messages", body))[0] == anthropic


async def test_models_and_tokens(serve: Serve) -> None:
    async with serve() as served:
        _, listed = await served.ask("GET", "/v1/models")
        names = [model["id"] for model in listed["data"]]
        assert names
        _, model = await served.ask("GET", f"/v1/models/{names[0]}")
        assert (model["object"], model["type"], model["id"]) == ("model", "model", names[0])
        body = {"model": names[0], "messages": said("hello there")}
        status, counted = await served.ask("POST", "/v1/messages/count_tokens", body)
        assert status == 200
        assert 3 <= counted["input_tokens"] <= 20


# -- pictures and files

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def read_image(path: str) -> Json:
    return {"tool": "fs_read", "input": {"operations": [{"mode": "Image", "image_paths": [path]}]}}


def read_lines(path: str) -> Json:
    return {"tool": "fs_read", "input": {"operations": [{"mode": "Line", "path": path}]}}


def with_picture(text: str, data: bytes) -> Json:
    """A user's message with a picture."""
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    return {
        "role": "user",
        "content": [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}],
    }


async def test_a_picture_is_read_by_the_agent_and_nothing_else_is(serve: Serve) -> None:
    path = f"attachments/{hashlib.sha256(PIXEL).hexdigest()[:16]}.png"
    async with serve() as served:
        conversation = [with_picture("hello", PIXEL)]
        answer = await chat(served, conversation)
        (session,) = await sessions(served)
        session_id, directory = session["session_id"], session["absolute_work_directory"]
        assert (await served.ask("HEAD", f"/api/v1/sessions/{session_id}/files/{path}"))[0] == 200
        agent_file = f"{directory}/.amazonq/cli-agents/qpty-session.json"
        for step, may in (
            (read_image(f"{directory}/{path}"), True),
            (read_lines("/etc/passwd"), False),
            (read_lines(agent_file), False),
            (read_lines(f"{directory}/attachments/../.amazonq/cli-agents/qpty-session.json"), False),
        ):
            before = (await served.manager.get(session_id)).last_seq
            conversation += [
                answer["choices"][0]["message"],
                {"role": "user", "content": plan(step, {"text": "seen"})},
            ]
            answer = await chat(served, conversation)
            assert answer["choices"][0]["message"]["content"] == "seen"
            events = await served.until(
                f"/api/v1/sessions/{session_id}/events?after={before}", lambda event: event["type"] == "turn.completed"
            )
            ended = [event["outcome"] for event in events if event["type"] == "tool.completed"]
            assert [outcome == "ok" for outcome in ended] == [may], (step, ended)
        assert len(await sessions(served)) == 1


async def test_a_picture_reaches_the_model_as_a_picture(lab: Lab, tmp_path: Path) -> None:
    async with serving_q(lab, tmp_path) as served:
        conversation = [with_picture("images", PIXEL)]
        answer = await chat(served, conversation)
        assert answer["choices"][0]["message"]["content"] == "I got 1 images."
        # and those of a conversation that nobody here had are in its history
        other = [with_picture("look at this", PIXEL), *said("", "A pixel.", "hello")[1:]]
        await chat(served, other)
        last = [entry["body"] for entry in lab.requests() if entry["body"]][-1]
        history = last["conversationState"]["history"]
        assert [len(entry["userInputMessage"].get("images") or []) for entry in history if "userInputMessage" in entry][
            -1
        ] == 1


async def test_a_picture_that_a_tool_returned_reaches_the_model_as_one(lab: Lab, tmp_path: Path) -> None:
    steps = plan({"tool": "add", "input": {"a": 1}}, {"text": "seen"})
    tool = {"name": "add", "description": "Adds.", "input_schema": {"type": "object"}}
    async with serving_q(lab, tmp_path) as served:
        conversation = said(steps)
        answer = await messages(served, conversation, tools=[tool])
        (use,) = answer["content"]
        source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PIXEL).decode()}
        result = {"type": "tool_result", "tool_use_id": use["id"], "content": [{"type": "image", "source": source}]}
        conversation += [
            {"role": "assistant", "content": answer["content"]}, {"role": "user", "content": [result]},
        ]  # fmt: skip
        await messages(served, conversation, tools=[tool])
        last = [entry["body"] for entry in lab.requests() if entry["body"]][-1]
        sent = json.dumps(last)
        assert base64.b64encode(PIXEL).decode() in sent
        assert '"format": "png"' in sent


async def test_turns_that_wait_for_their_clients_make_room(serve: Serve) -> None:
    steps = plan({"tool": "add", "input": {"a": 1}}, {"text": "done"})
    tools = [{"type": "function", "function": ADD}]
    async with serve(max_workers=2, queue_timeout=20) as served:
        for number in range(4):  # each is told of a call, and never comes back
            answer = await chat(served, said(f"{number} {steps}"), tools=tools)
            assert answer["choices"][0]["finish_reason"] == "tool_calls"
        assert (await served.chat("hello"))["text"] == "Hello! How can I help you today?"


# -- clients that leave, or come twice


async def test_a_client_that_leaves_has_its_turn_stopped(serve: Serve) -> None:
    async with serve() as served:
        body = {"model": "m", "messages": said("pause 20"), "stream": True}
        async with served.http.post(served.url + "/v1/chat/completions", json=body) as response:
            assert response.status == 200
            await response.content.readuntil(b"before")
        (session,) = await sessions(served)
        path = f"/api/v1/sessions/{session['session_id']}/events"
        events = await served.until(path, lambda event: event["type"] == "turn.completed")
        assert events[-1]["stop_reason"] == "interrupted"
        answer = await chat(served, said("hello"))
        assert answer["choices"][0]["finish_reason"] == "stop"


async def test_results_that_come_twice_are_taken_once(serve_demo: Serve) -> None:
    steps = plan({"tool": "add", "input": {"a": 1}}, {"text": " ".join(f"word{at}" for at in range(300))})
    tools = [{"type": "function", "function": ADD}]
    async with serve_demo() as served:
        message = (await chat(served, said(steps), tools=tools))["choices"][0]["message"]
        returned = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "1"}
        body = {"model": "gpt-5", "messages": [*said(steps), message, returned], "tools": tools}
        first = asyncio.create_task(served.ask("POST", "/v1/chat/completions", body))
        status, told = await served.ask("POST", "/v1/chat/completions", body)
        (other, answer) = await first
        statuses = {status, other}
        assert statuses == {200, 409}, (told, answer)
        assert len(await sessions(served)) == 1


async def test_another_tool_may_be_called_once_the_client_says_so(serve_demo: Serve) -> None:
    steps = plan({"tool": "add", "input": {"a": 1}}, {"tool": "take", "input": {"a": 2}}, {"text": "done"})
    tools = [{"type": "function", "function": ADD}, {"type": "function", "function": {**ADD, "name": "take"}}]
    async with serve_demo() as served:
        named = {"type": "function", "function": {"name": "add"}}
        message = (await chat(served, said(steps), tools=tools, tool_choice=named))["choices"][0]["message"]
        returned = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "1"}
        message = (await chat(served, [*said(steps), message, returned], tools=tools))["choices"][0]["message"]
        assert [call["function"]["name"] for call in message["tool_calls"]] == ["take"]


async def test_anthropics_threads_are_refused_as_its_client_knows_it(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        body = {"model": "m", "max_tokens": 5, "messages": said("hello"), "thread": {"type": "create"}}
        status, told = await served.ask("POST", "/v1/messages", body)
        assert (status, told["error"]["details"]["error_code"]) == (400, "thread_unsupported_request")


async def test_what_has_no_effect_is_named(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        body = {"model": "no-such", "messages": said("hello"), "temperature": 0, "seed": 7, "tools": [{"type": "x"}]}
        async with served.http.post(served.url + "/v1/chat/completions", json=body) as response:
            assert response.status in {200, 400}
        body.pop("tools")
        async with served.http.post(served.url + "/v1/chat/completions", json=body) as response:
            assert response.headers["x-qpty-ignored"] == "seed, temperature"
            assert response.headers["x-qpty-usage"] == "estimated"
            assert response.headers["x-qpty-model"] == "default; not-known"
            assert response.headers["x-qpty-exact"] == "true"
            (session,) = [one for one in await sessions(served) if one["message_count"]][:1]
            assert response.headers["x-qpty-session-id"] == session["session_id"]
            before = len(await sessions(served))
    async with serve_demo(strict_models=True) as served:
        status, told = await served.ask("POST", "/v1/chat/completions", body)
        assert (status, told["error"]["code"], told["error"]["param"]) == (404, "model_not_found", "model")
        assert len(await sessions(served)) == before


# -- what a client must not be able to do to others, or to itself


async def test_results_go_on_only_with_the_conversation_that_their_calls_were_told_in(serve: Serve) -> None:
    steps = plan({"tool": "add", "input": {"a": 1}}, {"text": "done"})
    tools = [{"type": "function", "function": ADD}]
    cats = [{"role": "system", "content": "Only cats."}, *said("remember cats", "I will."), *said(steps)]
    dogs = [{"role": "system", "content": "Only dogs."}, *said("remember dogs", "I will."), *said("something else")]
    async with serve() as served:
        message = (await chat(served, cats, tools=tools))["choices"][0]["message"]
        returned = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "1"}
        (first,) = await sessions(served)
        answer = await chat(served, [*dogs, message, returned], tools=tools)
        listed = await sessions(served)
        assert len(listed) == 2
        on = [*dogs, message, returned, answer["choices"][0]["message"], *said("recall")]
        assert "dogs" in json.dumps(await chat(served, on, tools=tools))
        assert {session["session_id"] for session in await sessions(served)} > {first["session_id"]}


async def test_a_turn_that_ended_without_its_client_is_taken_up_by_another_session(serve: Serve) -> None:
    steps = plan({"tool": "add", "input": {"a": 1}}, {"text": "done"})
    tools = [{"type": "function", "function": ADD}]
    async with serve() as served:
        for number, end in enumerate(("interrupt", "delete")):
            conversation = said(f"{number} {steps}")
            message = (await chat(served, conversation, tools=tools))["choices"][0]["message"]
            returned = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "1"}
            session_id = (await sessions(served))[0]["session_id"]
            if end == "interrupt":
                await served.ask("POST", f"/api/v1/sessions/{session_id}/interrupt")
                path = f"/api/v1/sessions/{session_id}/events"
                await served.until(path, lambda event: event["type"] == "turn.completed")
            else:
                assert (await served.ask("DELETE", f"/api/v1/sessions/{session_id}"))[0] == 204
            answer = await chat(served, [*conversation, message, returned], tools=tools)
            assert answer["choices"][0]["message"]["content"]
            assert (await sessions(served))[0]["session_id"] != session_id


async def test_an_answer_that_somebody_stops_says_so(serve: Serve) -> None:
    async with serve() as served:
        body = {"model": "m", "messages": said("pause 20"), "stream": True}
        async with served.http.post(served.url + "/v1/chat/completions", json=body) as response:
            await response.content.readuntil(b"before")
            (session,) = await sessions(served)
            await served.ask("POST", f"/api/v1/sessions/{session['session_id']}/interrupt")
            last = (await response.content.read()).decode().rstrip().rpartition("data: ")[2]
        assert json.loads(last)["error"]["code"] == "answer_stopped"


async def test_responses_by_the_id_of_an_answer_with_calls(serve: Serve) -> None:
    steps = plan({"tool": "add", "input": {"a": 1}}, {"text": "done"})
    tool = {"type": "function", **ADD}
    async with serve() as served:

        async def ask(**body: Any) -> tuple[int, Json]:
            return await served.ask("POST", "/v1/responses", {"model": "m", "tools": [tool], **body})

        _, first = await ask(input=steps)
        (call,) = first["output"]
        returned = {"type": "function_call_output", "call_id": call["call_id"], "output": "1"}
        for wrong in ("hello", [{**returned, "call_id": "call_of_nobody"}]):
            status, told = await ask(previous_response_id=first["id"], input=wrong)
            assert status == 400, told
            assert "function call" in told["error"]["message"]
        for _ in range(2):  # a client whose connection broke asks again
            status, answer = await ask(previous_response_id=first["id"], input=[returned])
            assert status == 200, answer
            assert answer["previous_response_id"] == first["id"]
            assert answer["output"][0]["content"][0]["text"]
        status, answer = await ask(previous_response_id=answer["id"], input="hello")
        assert status == 200
        assert "How can I help" in json.dumps(answer)
        status, told = await ask(previous_response_id="resp_none", input="hello")
        assert (status, told["error"]["code"]) == (404, "previous_response_not_found")


async def test_a_schema_that_is_too_large_is_refused_at_once(serve_demo: Serve) -> None:
    many = {"type": "object", "properties": {"a": {"anyOf": [{"type": "number"}] * 40_000}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": many}}
    async with serve_demo() as served:
        body = {"model": "m", "messages": said("hello"), "response_format": form}
        status, told = await served.ask("POST", "/v1/chat/completions", body)
        assert (status, told["error"]["code"]) == (400, "invalid_schema")
        assert await sessions(served) == []


async def test_more_pictures_than_are_read_are_refused(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        message = with_picture("look", PIXEL)
        message["content"] += message["content"][1:] * 10
        status, told = await served.ask("POST", "/v1/chat/completions", {"model": "m", "messages": [message]})
        assert (status, told["error"]["code"]) == (400, "too_many_images")


async def test_the_id_of_an_answer_with_calls_is_its_owners(serve_demo: Serve) -> None:
    tool = {"type": "function", **ADD}
    steps = plan({"tool": "add", "input": {"a": 1}}, {"text": "done"})
    async with serve_demo(openai_keys="the-key-of-one,the-key-of-another") as served:
        served.headers = {"Authorization": "Bearer the-key-of-one"}
        body: Json = {"model": "m", "tools": [tool], "input": steps}
        _, first = await served.ask("POST", "/v1/responses", body)
        (call,) = first["output"]
        returned = {"type": "function_call_output", "call_id": call["call_id"], "output": "1"}
        body |= {"previous_response_id": first["id"], "input": [returned]}
        served.headers = {"Authorization": "Bearer the-key-of-another"}
        status, told = await served.ask("POST", "/v1/responses", body)
        assert (status, told["error"]["code"]) == (404, "previous_response_not_found")
        served.headers = {"Authorization": "Bearer the-key-of-one"}
        assert (await served.ask("POST", "/v1/responses", body))[0] == 200
