"""The openai package, Responses."""

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
    return {"type": "function", "name": name, "description": description, "parameters": schema, "strict": True}


ADD = function("add", expected.ADD_SCHEMA, "Add two numbers.")
WEATHER = function("get_weather", expected.WEATHER_SCHEMA, "The weather at a place.")


def ask(given: Any, **options: Any) -> Any:
    return client.responses.create(model=MODEL, input=given, **options)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def calls_of(answer: Any) -> list[Any]:
    return [item for item in answer.output if item.type == "function_call"]


def result_of(made: Any) -> dict[str, Any]:
    given = json.loads(made.arguments)
    output = str(given["a"] + given["b"]) if made.name == "add" else expected.DEGREES[given["location"]]
    return {"type": "function_call_output", "call_id": made.call_id, "output": output}


def loop(task: str, tools: list[Any], *, linked: bool) -> tuple[str, list[Any], int]:
    """Carry out what is called: the last text, the calls, the requests. `linked`: by `previous_response_id`."""
    items: list[Any] = [user(task)]
    calls: list[Any] = []
    answer = ask(items, tools=tools)
    for requests in range(1, 7):
        made = calls_of(answer)
        if not made:
            return answer.output_text, calls, requests
        calls += [(item.name, json.loads(item.arguments)) for item in made]
        results = [result_of(item) for item in made]
        items += [*(item.model_dump(exclude_none=True) for item in answer.output), *results]
        answer = ask(results, tools=tools, previous_response_id=answer.id) if linked else ask(items, tools=tools)
    raise AssertionError(f"no end of calls: {calls}")


@scenario
def create() -> Facts:
    answer = ask("hello")
    equal(answer.output_text, expected.HELLO)
    equal((answer.object, answer.status, answer.error), ("response", "completed", None))
    equal(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens)
    return {"model": answer.model, "usage": answer.usage.model_dump(exclude_none=True)}


@scenario
async def create_async() -> Facts:
    async with openai.AsyncOpenAI(**OPTIONS) as client:
        answer = await client.responses.create(model=MODEL, input=f"echo {expected.UNICODE}", instructions="Be brief.")
    equal(answer.output_text, expected.UNICODE)
    return {}


@scenario
def stream() -> Facts:
    """The events of the wire: their order, their numbers, and that the parts are the whole."""
    events: list[Any] = list(ask("count 30", stream=True))
    kinds = [event.type.removeprefix("response.") for event in events]
    equal([event.sequence_number for event in events], list(range(len(events))))
    equal("".join(event.delta for event in events if event.type == "response.output_text.delta"), expected.COUNT)
    order = [kind for kind in kinds if kind != "output_text.delta"]
    text = ["output_item.added", "content_part.added", "output_text.done", "content_part.done", "output_item.done"]
    equal(order, ["created", "in_progress", *text, "completed"])
    equal(events[-1].response.output_text, expected.COUNT)
    return {"events": len(events)}


@scenario
def stream_helper() -> Facts:
    with client.responses.stream(model=MODEL, input=f"echo {expected.UNICODE}") as events:
        kinds = [event.type for event in events]
        final = events.get_final_response()
    equal(final.output_text, expected.UNICODE)
    return {"deltas": kinds.count("response.output_text.delta")}


@scenario
async def stream_async() -> Facts:
    async with openai.AsyncOpenAI(**OPTIONS) as client, client.responses.stream(model=MODEL, input="hello") as events:
        final = await events.get_final_response()
    equal(final.output_text, expected.HELLO)
    return {}


@scenario
def stream_tools() -> Facts:
    """A call's arguments in a stream, through the helper, which holds the parts against each other."""
    task = plan({**call("add", a=2, b=40), "say": "Let me add. "}, say("done"))
    with client.responses.stream(model=MODEL, input=task, tools=[ADD]) as events:
        kinds = [event.type for event in events]
        (made,) = calls_of(events.get_final_response())
    equal((made.name, json.loads(made.arguments)), ("add", {"a": 2, "b": 40}))
    equal(kinds.count("response.function_call_arguments.done"), 1)
    return {}


@scenario
def tools() -> Facts:
    task = plan(call("add", a=2, b=40), call("add", a=42, b=1), say("It is 43."))
    text, calls, requests = loop(task, [ADD, WEATHER], linked=False)
    equal((text, calls), ("It is 43.", [("add", {"a": 2, "b": 40}), ("add", {"a": 42, "b": 1})]))
    return {"requests": requests}


@scenario
def tools_linked() -> Facts:
    task = plan(call("add", a=2, b=40), call("add", a=42, b=1), say("It is 43."))
    text, calls, requests = loop(task, [ADD], linked=True)
    equal((text, calls), ("It is 43.", [("add", {"a": 2, "b": 40}), ("add", {"a": 42, "b": 1})]))
    return {"requests": requests}


@scenario
def parallel_calls() -> Facts:
    text, calls, requests = loop(expected.WEATHER, [WEATHER], linked=False)
    equal(sorted(given["location"] for _, given in calls), ["Paris", "Rome"])
    assert all(degrees in text for degrees in expected.DEGREES.values()), text
    return {"requests": requests}


@scenario
def custom_tool() -> Facts:
    """A tool that takes free text, not JSON."""
    tool = {"type": "custom", "name": "note", "description": "Write a note."}
    items: list[Any] = [user(plan(call("note", input="first\nsecond"), say("Noted.")))]
    answer = ask(items, tools=[tool])
    (made,) = (item for item in answer.output if item.type == "custom_tool_call")
    equal((made.name, made.input), ("note", "first\nsecond"))
    items += [item.model_dump(exclude_none=True) for item in answer.output]
    items.append({"type": "custom_tool_call_output", "call_id": made.call_id, "output": "ok"})
    equal(ask(items, tools=[tool]).output_text, "Noted.")
    return {}


@scenario
def previous_response() -> Facts:
    first = ask("remember the red door")
    second = ask("recall", previous_response_id=first.id)
    equal(second.output_text, "You told me: the red door")
    equal(second.previous_response_id, first.id)
    return {}


@scenario
def conversation() -> Facts:
    """The whole conversation in each request, as the clients that store nothing send it."""
    items: list[Any] = [user([{"type": "input_text", "text": "remember the red door"}])]
    items += [item.model_dump(exclude_none=True) for item in ask(items, store=False).output]
    equal(ask([*items, user("recall")], store=False).output_text, "You told me: the red door")
    return {}


@scenario
def image() -> Facts:
    parts = [{"type": "input_text", "text": "images"}, {"type": "input_image", "image_url": expected.PICTURE_URL}]
    equal(ask([user(parts)]).output_text, "I got 1 images.")
    return {}


@scenario
def parse() -> Facts:
    class Person(BaseModel):
        name: str
        age: int

    task = plan(say(json.dumps(expected.PERSON)))
    equal(
        client.responses.parse(model=MODEL, input=task, text_format=Person).output_parsed,
        Person(name="Ada Lovelace", age=36),
    )
    return {}


@scenario
def unknown_previous() -> Facts:
    try:
        ask("hello", previous_response_id="resp_of_nobody")
    except (openai.BadRequestError, openai.NotFoundError) as error:
        return told(error)
    raise AssertionError("it was taken")


@scenario
def wrong_key() -> Facts:
    if not KEY:
        raise SkipScenario("the server asks for no key")
    try:
        client.with_options(api_key="sk-of-somebody-else").responses.create(model=MODEL, input="hello")
    except openai.AuthenticationError as error:
        return told(error)
    raise AssertionError("any key is taken")


@scenario
def bad_requests() -> Facts:
    facts: Facts = {}
    for name, given in {"input": 42, "content": [user(42)]}.items():
        try:
            ask(given)
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
    return {"status": error.status_code, **body}


if __name__ == "__main__":
    sys.exit(scenario.main())
