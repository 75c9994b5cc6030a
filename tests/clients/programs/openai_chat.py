"""The openai package, Chat Completions."""

from __future__ import annotations

import json
import sys
from typing import Any

import openai
from pydantic import BaseModel

from tests.clients.programs import expected
from tests.clients.programs.expected import call, plan, say
from tests.clients.programs.scenarios import KEY, MODEL, TIMEOUT, URL, Facts, Scenarios, SkipScenario, equal

scenario = Scenarios(client="openai", version=openai.__version__)
OPTIONS: dict[str, Any] = {"base_url": f"{URL}/v1", "api_key": KEY or "none", "max_retries": 0, "timeout": TIMEOUT}
client = openai.OpenAI(**OPTIONS)


def function(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


ADD = function("add", expected.ADD_SCHEMA, "Add two numbers.")
WEATHER = function("get_weather", expected.WEATHER_SCHEMA, "The weather at a place.")


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def ask(messages: list[Any], **options: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=messages, **options)


def text_of(answer: Any) -> str:
    return str(answer.choices[0].message.content)


def gather(chunks: list[Any]) -> str:
    """The text of a stream's chunks, held against the rules that all streams keep."""
    equal({chunk.object for chunk in chunks}, {"chat.completion.chunk"})
    assert len({chunk.id for chunk in chunks}) == 1, "one id"
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    equal(choices[0].delta.role, "assistant")
    equal([choice.finish_reason for choice in choices if choice.finish_reason], ["stop"])
    assert choices[-1].finish_reason == "stop", "the reason comes last"
    return "".join(choice.delta.content or "" for choice in choices)


def loop(messages: list[Any], tools: list[Any], stream: bool = False) -> tuple[str, list[tuple[str, Any]], int]:
    """Carry out what is called until an answer has no call: its text, the calls, and the number of requests."""
    calls: list[tuple[str, Any]] = []
    for requests in range(1, 7):
        if stream:
            with client.chat.completions.stream(model=MODEL, messages=messages, tools=tools) as events:
                message = events.get_final_completion().choices[0].message
        else:
            message = ask(messages, tools=tools).choices[0].message
        if not message.tool_calls:
            return str(message.content), calls, requests
        messages = [*messages, message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"})]
        for made in message.tool_calls:
            given = json.loads(made.function.arguments)
            calls.append((made.function.name, given))
            messages.append({"role": "tool", "tool_call_id": made.id, "content": carry_out(made.function.name, given)})
    raise AssertionError(f"no end of calls: {calls}")


def carry_out(name: str, given: dict[str, Any]) -> str:
    return str(given["a"] + given["b"]) if name == "add" else expected.DEGREES[given["location"]]


@scenario
def create() -> Facts:
    answer = ask([user("hello")])
    equal(text_of(answer), expected.HELLO)
    equal(answer.object, "chat.completion")
    equal(answer.choices[0].finish_reason, "stop")
    equal(answer.choices[0].message.role, "assistant")
    equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
    return {"model": answer.model, "usage": answer.usage.model_dump(exclude_none=True), "request": answer._request_id}


@scenario
async def create_async() -> Facts:
    async with openai.AsyncOpenAI(**OPTIONS) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=[user(f"echo {expected.UNICODE}")])
    equal(text_of(answer), expected.UNICODE)
    return {}


@scenario
def stream() -> Facts:
    chunks = list(ask([user("count 30")], stream=True))
    equal(gather(chunks), expected.COUNT)
    assert not any(chunk.usage for chunk in chunks), "usage was not asked for"
    return {"chunks": len(chunks)}


@scenario
def stream_usage() -> Facts:
    chunks = list(ask([user(f"echo {expected.UNICODE}")], stream=True, stream_options={"include_usage": True}))
    equal(gather(chunks), expected.UNICODE)
    equal(chunks[-1].choices, [])
    assert chunks[-1].usage.total_tokens > 0
    return {"usage": chunks[-1].usage.model_dump(exclude_none=True)}


@scenario
async def stream_async() -> Facts:
    async with openai.AsyncOpenAI(**OPTIONS) as client:
        events = await client.chat.completions.create(model=MODEL, messages=[user("count 30")], stream=True)
        equal(gather([chunk async for chunk in events]), expected.COUNT)
    return {}


@scenario
def stream_helper() -> Facts:
    with client.chat.completions.stream(model=MODEL, messages=[user("count 30")]) as events:
        kinds = [event.type for event in events]
        final = events.get_final_completion()
    equal(text_of(final), expected.COUNT)
    assert "content.done" in kinds, kinds
    return {"deltas": kinds.count("content.delta")}


@scenario
def stream_left() -> Facts:
    """A client that goes away in mid-answer harms nobody: the next one is answered."""
    events = ask([user("slow 30")], stream=True)
    next(iter(events))
    events.close()
    equal(text_of(ask([user("hello")])), expected.HELLO)
    return {}


@scenario
def conversation() -> Facts:
    messages = [user("remember the red door")]
    messages += [{"role": "assistant", "content": text_of(ask(messages))}, user("recall")]
    equal(text_of(ask(messages)), "You told me: the red door")
    return {}


@scenario
def unknown_history() -> Facts:
    """A conversation that the server never had, and messages of every role."""
    before = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        user("My name is Ada."),
        {"role": "assistant", "content": "Hello, Ada."},
    ]
    equal(text_of(ask([*before, user(plan(say("Your name is Ada.")))])), "Your name is Ada.")
    return {}


@scenario
def tools() -> Facts:
    task = plan(call("add", a=2, b=40), say("It is 42."))
    first = ask([user(task)], tools=[ADD, WEATHER])
    equal(first.choices[0].finish_reason, "tool_calls")
    (made,) = first.choices[0].message.tool_calls
    equal((made.type, made.function.name, json.loads(made.function.arguments)), ("function", "add", {"a": 2, "b": 40}))
    text, calls, requests = loop([user(task)], [ADD, WEATHER])
    equal((text, calls, requests), ("It is 42.", [("add", {"a": 2, "b": 40})], 2))
    return {}


@scenario
def tools_stream() -> Facts:
    task = plan({**call("add", a=2, b=40), "say": "Let me add. "}, call("add", a=42, b=1), say("It is 43."))
    text, calls, requests = loop([user(task)], [ADD], stream=True)
    equal((text, calls), ("It is 43.", [("add", {"a": 2, "b": 40}), ("add", {"a": 42, "b": 1})]))
    return {"requests": requests}


@scenario
def tools_chunks() -> Facts:
    """The chunks of a call, as the wire has them."""
    chunks = list(ask([user(plan(call("add", a=2, b=40), say("done")))], tools=[ADD], stream=True))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    parts = [part for choice in choices for part in choice.delta.tool_calls or []]
    equal({part.index for part in parts}, {0})
    assert parts[0].id, "the first part has the id"
    equal((parts[0].type, parts[0].function.name), ("function", "add"))
    equal(json.loads("".join(part.function.arguments or "" for part in parts)), {"a": 2, "b": 40})
    equal(choices[-1].finish_reason, "tool_calls")
    return {"parts": len(parts)}


@scenario
def parallel_calls() -> Facts:
    """Two calls in one answer of the model. They may come together or one by one; both have to be carried out."""
    text, calls, requests = loop([user(expected.WEATHER)], [WEATHER])
    equal(sorted(given["location"] for _, given in calls), ["Paris", "Rome"])
    assert all(degrees in text for degrees in expected.DEGREES.values()), text
    return {"requests": requests}


@scenario
def tool_choice_none() -> Facts:
    answer = ask([user(plan(call("add", a=1, b=2), say("done")))], tools=[ADD], tool_choice="none")
    equal(answer.choices[0].message.tool_calls, None)
    assert text_of(answer) in {"(no tool add)", "done"}  # not offered, or refused
    return {}


@scenario
def image() -> Facts:
    parts = [{"type": "text", "text": "images"}, {"type": "image_url", "image_url": {"url": expected.PICTURE_URL}}]
    equal(text_of(ask([user(parts)])), "I got 1 images.")
    return {}


@scenario
def parse() -> Facts:
    class Person(BaseModel):
        name: str
        age: int

    message = user(plan(say(json.dumps(expected.PERSON))))
    answer = client.chat.completions.parse(model=MODEL, messages=[message], response_format=Person)
    equal(answer.choices[0].message.parsed, Person(name="Ada Lovelace", age=36))
    return {}


@scenario
def json_object() -> Facts:
    answer = ask([user(plan(say(json.dumps(expected.PERSON))))], response_format={"type": "json_object"})
    equal(json.loads(text_of(answer)), expected.PERSON)
    return {}


@scenario
def stop() -> Facts:
    answer = ask([user("echo one two STOP three")], stop=["STOP"])
    equal((text_of(answer).strip(), answer.choices[0].finish_reason), ("one two", "stop"))
    return {}


@scenario
def max_tokens() -> Facts:
    answer = ask([user("words 300")], max_tokens=10)
    equal(answer.choices[0].finish_reason, "length")
    assert text_of(answer).startswith("word1 ")
    assert len(text_of(answer)) < 300, text_of(answer)
    return {"text": text_of(answer)}


@scenario
def models() -> Facts:
    listed = [model.id for model in client.models.list()]
    assert listed, "no models"
    one = client.models.retrieve(listed[0])
    equal((one.id, one.object), (listed[0], "model"))
    return {"models": listed, "owned_by": one.owned_by}


@scenario
def unknown_model() -> Facts:
    try:
        client.models.retrieve("no-such-model")
    except openai.NotFoundError as error:
        return {"code": error.code}
    raise AssertionError("it was found")


@scenario
def wrong_key() -> Facts:
    if not KEY:
        raise SkipScenario("the server asks for no key")
    try:
        client.with_options(api_key="sk-of-somebody-else").chat.completions.create(
            model=MODEL, messages=[user("hello")]
        )
    except openai.AuthenticationError as error:
        return told(error)
    raise AssertionError("any key is taken")


@scenario
def bad_requests() -> Facts:
    """Each is refused with a 400 in the form that the package reads."""
    picture = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    bad: dict[str, dict[str, Any]] = {
        "messages": {"messages": "hello"},
        "no_messages": {"messages": []},
        "content": {"messages": [user(42)]},
        "role": {"messages": [{"role": "nobody", "content": "hello"}]},
        "n": {"messages": [user("hello")], "n": 2},
        "logprobs": {"messages": [user("hello")], "logprobs": True},
        "audio": {"messages": [user([picture])]},
    }
    facts: Facts = {}
    for name, options in bad.items():
        try:
            client.chat.completions.create(model=MODEL, **options)
        except openai.BadRequestError as error:
            facts[name] = told(error)
        else:
            raise AssertionError(f"{name}: it was taken")
    return facts


def told(error: openai.APIStatusError) -> Facts:
    body = error.body
    assert isinstance(body, dict), body
    equal(set(body), {"message", "type", "param", "code"})
    assert error.request_id, "no x-request-id"
    return {key: body[key] for key in ("message", "type", "param", "code")}


if __name__ == "__main__":
    sys.exit(scenario.main())
