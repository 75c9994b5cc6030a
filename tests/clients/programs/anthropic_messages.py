"""The anthropic package, Messages."""

from __future__ import annotations

import json
import sys
from typing import Any

import anthropic
from pydantic import BaseModel

from tests.clients.programs import expected
from tests.clients.programs.expected import call, plan, say
from tests.clients.programs.scenarios import KEY, MODEL, TIMEOUT, URL, Facts, Scenarios, SkipScenario, equal

scenario = Scenarios(client="anthropic", version=anthropic.__version__)
OPTIONS: dict[str, Any] = {"base_url": URL, "api_key": KEY or "none", "max_retries": 0, "timeout": TIMEOUT}
client = anthropic.Anthropic(**OPTIONS)
LIMIT: dict[str, Any] = {"model": MODEL, "max_tokens": 4096}
ADD = {"name": "add", "description": "Add two numbers.", "input_schema": expected.ADD_SCHEMA}
WEATHER = {"name": "get_weather", "description": "The weather at a place.", "input_schema": expected.WEATHER_SCHEMA}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def ask(messages: list[Any], **options: Any) -> Any:
    return client.messages.create(messages=messages, **LIMIT | options)


def text_of(answer: Any) -> str:
    return "".join(block.text for block in answer.content if block.type == "text")


def blocks_of(answer: Any) -> list[dict[str, Any]]:
    """The blocks of an answer, as they go back into the conversation."""
    return [block.model_dump(exclude_none=True) for block in answer.content]


def loop(task: str, tools: list[Any], *, stream: bool = False) -> tuple[str, list[Any], int]:
    """Carry out what is called until an answer has no call: its text, the calls, and the number of requests."""
    messages, calls = [user(task)], list[Any]()
    for requests in range(1, 7):
        if stream:
            with client.messages.stream(messages=messages, tools=tools, **LIMIT) as events:
                answer = events.get_final_message()
        else:
            answer = ask(messages, tools=tools)
        made = [block for block in answer.content if block.type == "tool_use"]
        equal(answer.stop_reason, "tool_use" if made else "end_turn")
        if not made:
            return text_of(answer), calls, requests
        calls += [(block.name, block.input) for block in made]
        messages.append(
            {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]}
        )
        messages.append(user([result_of(block) for block in made]))
    raise AssertionError(f"no end of calls: {calls}")


def result_of(made: Any) -> dict[str, Any]:
    given = made.input
    content = str(given["a"] + given["b"]) if made.name == "add" else expected.DEGREES[given["location"]]
    return {"type": "tool_result", "tool_use_id": made.id, "content": [{"type": "text", "text": content}]}


@scenario
def create() -> Facts:
    answer = ask([user("hello")])
    equal(text_of(answer), expected.HELLO)
    equal((answer.type, answer.role), ("message", "assistant"))
    equal((answer.stop_reason, answer.stop_sequence), ("end_turn", None))
    assert answer.usage.input_tokens > 0, answer.usage
    assert answer.usage.output_tokens > 0, answer.usage
    return {"model": answer.model, "usage": answer.usage.model_dump(exclude_none=True), "request": answer._request_id}


@scenario
async def create_async() -> Facts:
    async with anthropic.AsyncAnthropic(**OPTIONS) as client:
        answer = await client.messages.create(messages=[user(f"echo {expected.UNICODE}")], **LIMIT)
    equal(text_of(answer), expected.UNICODE)
    return {}


@scenario
def stream() -> Facts:
    """The events of the wire, in their order."""
    events = list(ask([user("count 30")], stream=True))
    kinds = [event.type for event in events if event.type not in {"content_block_delta", "ping"}]
    equal(kinds, ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"])
    equal("".join(event.delta.text for event in events if event.type == "content_block_delta"), expected.COUNT)
    assert events[0].message.usage.input_tokens > 0, "clients show it as the context's size"
    return {"events": len(events)}


@scenario
def stream_helper() -> Facts:
    with client.messages.stream(messages=[user(f"echo {expected.UNICODE}")], **LIMIT) as events:
        equal("".join(events.text_stream), expected.UNICODE)
        final = events.get_final_message()
    equal((text_of(final), final.stop_reason), (expected.UNICODE, "end_turn"))
    return {"usage": final.usage.model_dump(exclude_none=True)}


@scenario
async def stream_async() -> Facts:
    async with (
        anthropic.AsyncAnthropic(**OPTIONS) as client,
        client.messages.stream(messages=[user("count 30")], **LIMIT) as events,
    ):
        equal("".join([text async for text in events.text_stream]), expected.COUNT)
    return {}


@scenario
def stream_left() -> Facts:
    """A client that goes away in mid-answer harms nobody: the next one is answered."""
    with client.messages.stream(messages=[user("slow 30")], **LIMIT) as events:
        next(iter(events.text_stream))
    equal(text_of(ask([user("hello")])), expected.HELLO)
    return {}


@scenario
def system() -> Facts:
    more = {"temperature": 0.5, "top_k": 4, "of_the_future": {"a": 1}}
    blocks = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    equal(text_of(ask([user([{"type": "text", "text": "hello"}])], system=blocks)), expected.HELLO)
    equal(text_of(ask([user("hello")], system="Be kind.", metadata={"user_id": "u"}, extra_body=more)), expected.HELLO)
    return {}


@scenario
def conversation() -> Facts:
    messages = [user("remember the red door")]
    messages += [{"role": "assistant", "content": text_of(ask(messages))}, user("recall")]
    equal(text_of(ask(messages)), "You told me: the red door")
    return {}


@scenario
def unknown_history() -> Facts:
    """A conversation that the server never had, with a call in it."""
    messages = [
        user("What is 1 + 2?"),
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "made-up", "name": "add", "input": {"a": 1, "b": 2}}],
        },
        user([{"type": "tool_result", "tool_use_id": "made-up", "content": "3"}]),
        {"role": "assistant", "content": "It is 3."},
        user(plan(say("Still 3."))),
    ]
    equal(text_of(ask(messages, tools=[ADD])), "Still 3.")
    return {}


@scenario
def tools() -> Facts:
    task = plan(call("add", a=2, b=40), call("add", a=42, b=1), say("It is 43."))
    text, calls, requests = loop(task, [ADD, WEATHER])
    equal((text, calls), ("It is 43.", [("add", {"a": 2, "b": 40}), ("add", {"a": 42, "b": 1})]))
    return {"requests": requests}


@scenario
def tools_stream() -> Facts:
    task = plan({**call("add", a=2, b=40), "say": "Let me add. "}, say("It is 42."))
    text, calls, requests = loop(task, [ADD], stream=True)
    equal((text, calls), ("It is 42.", [("add", {"a": 2, "b": 40})]))
    return {"requests": requests}


@scenario
def tools_events() -> Facts:
    """A call on the wire: an empty input in the start, JSON in the deltas, a stop of its own."""
    events = list(ask([user(plan(call("add", a=2, b=40), say("done")))], tools=[ADD], stream=True))
    (start,) = (
        event for event in events if event.type == "content_block_start" and event.content_block.type == "tool_use"
    )
    equal((start.content_block.name, start.content_block.input), ("add", {}))
    deltas = [event.delta for event in events if event.type == "content_block_delta" and event.index == start.index]
    equal({delta.type for delta in deltas}, {"input_json_delta"})
    equal(json.loads("".join(delta.partial_json for delta in deltas)), {"a": 2, "b": 40})
    equal([event.delta.stop_reason for event in events if event.type == "message_delta"], ["tool_use"])
    return {}


@scenario
def parallel_calls() -> Facts:
    """Two calls in one answer of the model. They may come together or one by one; both have to be carried out."""
    text, calls, requests = loop(expected.WEATHER, [WEATHER])
    equal(sorted(given["location"] for _, given in calls), ["Paris", "Rome"])
    assert all(degrees in text for degrees in expected.DEGREES.values()), text
    return {"requests": requests}


@scenario
def error_result() -> Facts:
    """A tool that failed: the model is told, and goes on."""
    task = user("What is the weather in Paris?")
    answer = ask([task], tools=[WEATHER])
    (made,) = (block for block in answer.content if block.type == "tool_use")
    failed = {"type": "tool_result", "tool_use_id": made.id, "content": "no such town", "is_error": True}
    after = ask([task, {"role": "assistant", "content": blocks_of(answer)}, user([failed])], tools=[WEATHER])
    equal(after.stop_reason, "end_turn")
    assert "no such town" in text_of(after), text_of(after)
    return {"text": text_of(after)}


@scenario
def tool_runner() -> Facts:
    """The package's own loop over Python functions."""
    made: list[tuple[int, int]] = []

    @anthropic.beta_tool  # type: ignore[untyped-decorator]
    def add(a: int, b: int) -> str:
        """Add two numbers."""
        made.append((a, b))
        return str(a + b)

    task = user(plan(call("add", a=2, b=40), say("It is 42.")))
    runner = client.beta.messages.tool_runner(messages=[task], tools=[add], **LIMIT)
    equal((text_of(runner.until_done()), made), ("It is 42.", [(2, 40)]))
    return {}


@scenario
def image() -> Facts:
    source = {"type": "base64", "media_type": "image/png", "data": expected.PICTURE}
    parts = [{"type": "text", "text": "images"}, {"type": "image", "source": source}]
    equal(text_of(ask([user(parts)])), "I got 1 images.")
    return {}


@scenario
def parse() -> Facts:
    class Person(BaseModel):
        name: str
        age: int

    task = user(plan(say(json.dumps(expected.PERSON))))
    answer = client.messages.parse(messages=[task], output_format=Person, **LIMIT)
    equal(answer.parsed_output, Person(name="Ada Lovelace", age=36))
    return {}


@scenario
def stop_sequences() -> Facts:
    answer = ask([user("echo one two STOP three")], stop_sequences=["STOP"])
    equal((text_of(answer).strip(), answer.stop_reason, answer.stop_sequence), ("one two", "stop_sequence", "STOP"))
    return {}


@scenario
def max_tokens() -> Facts:
    answer = ask([user("words 300")], max_tokens=10)
    equal(answer.stop_reason, "max_tokens")
    assert len(text_of(answer)) < 300, text_of(answer)
    return {"text": text_of(answer)}


@scenario
def count_tokens() -> Facts:
    short = client.messages.count_tokens(model=MODEL, messages=[user("hello")]).input_tokens
    long = client.messages.count_tokens(
        model=MODEL, messages=[user("hello " * 500)], system="Be brief.", tools=[ADD]
    ).input_tokens
    assert 0 < short < long, (short, long)
    return {"short": short, "long": long}


@scenario
def models() -> Facts:
    listed = [model.id for model in client.models.list()]
    assert listed, "no models"
    one = client.models.retrieve(listed[0])
    equal((one.id, one.type), (listed[0], "model"))
    return {"models": listed, "display_name": one.display_name}


@scenario
def wrong_key() -> Facts:
    if not KEY:
        raise SkipScenario("the server asks for no key")
    try:
        client.with_options(api_key="sk-of-somebody-else").messages.create(messages=[user("hello")], **LIMIT)
    except anthropic.AuthenticationError as error:
        return told(error, "authentication_error")
    raise AssertionError("any key is taken")


@scenario
def bad_requests() -> Facts:
    """Each is refused with a 400 in the form that the package reads."""
    bad = {
        "messages": "hello",
        "no_messages": [],
        "content": [user(42)],
        "role": [{"role": "nobody", "content": "hello"}],
    }
    facts: Facts = {}
    for name, messages in bad.items():
        try:
            client.messages.create(messages=messages, **LIMIT)
        except anthropic.BadRequestError as error:
            facts[name] = told(error, "invalid_request_error")
        else:
            raise AssertionError(f"{name}: it was taken")
    return facts


def told(error: anthropic.APIStatusError, kind: str) -> Facts:
    body = error.body
    assert isinstance(body, dict), body
    equal((body["type"], body["error"]["type"]), ("error", kind))
    assert error.request_id, "no request-id"
    return {"message": body["error"]["message"]}


if __name__ == "__main__":
    sys.exit(scenario.main())
