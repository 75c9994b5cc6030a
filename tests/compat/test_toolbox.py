"""Calls of the client's tools: told all at once, made one after the other."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from qpty.compat.client_tools import toolbox as module
from qpty.compat.client_tools.names import offer_of
from qpty.compat.client_tools.toolbox import ALONE, LEFT, NO_RESULT, NOT_NOW, Toolbox
from qpty.compat.client_tools.toolboxes import KEPT, Toolboxes
from qpty.compat.requests import Text, ToolCall, ToolChoice, ToolResult, ToolSpec
from qpty.core.record import RecordedTool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from qpty.compat.requests import Interface

OFFER = offer_of(
    [
        ToolSpec("look.at", "Looks.", {"type": "object"}),
        ToolSpec("go", "Goes.", {"type": "object"}, namespace="feet"),
        ToolSpec("patch", "Patches.", None, custom=True),
    ]
)
SOON = 20.0
"""Seconds for what comes at once."""

NEVER = 0.0


def attached(interface: Interface = "chat", choice: ToolChoice | None = None) -> Toolbox:
    toolbox = Toolbox()
    toolbox.attach(OFFER, interface=interface, choice=choice or ToolChoice())
    return toolbox


def recorded(tool_id: str, arguments: Mapping[str, Any], name: str = "look_at") -> RecordedTool:
    return RecordedTool(tool_id=tool_id, name=name, arguments=arguments)


def returned(call: ToolCall, text: str) -> ToolResult:
    return ToolResult(call.id, (Text(text),))


def text_of(result: ToolResult) -> str:
    return "".join(part.text for part in result.parts if isinstance(part, Text))


@asynccontextmanager
async def calling(toolbox: Toolbox, arguments: Mapping[str, Any], name: str = "look_at") -> AsyncIterator[Any]:
    """Have the CLI call a tool; yields the task, once the call is there."""
    task = asyncio.create_task(toolbox.call(name, arguments))
    try:
        await asyncio.sleep(0)
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def result_of(task: asyncio.Task[ToolResult]) -> ToolResult:
    async with asyncio.timeout(SOON):
        return await task


async def test_a_call_is_told_and_its_result_returned() -> None:
    toolbox = attached()
    async with calling(toolbox, {"at": "it"}) as task:
        assert await toolbox.arrival(within=SOON)
        assert not toolbox.is_issued("t1")
        (call,) = toolbox.issue([recorded("t1", {"at": "it"})])
        assert (call.name, call.arguments, call.custom, call.namespace) == ("look.at", {"at": "it"}, False, None)
        assert toolbox.is_issued("t1")
        assert not task.done()
        toolbox.deliver([returned(call, "red")])
        assert await result_of(task) == returned(call, "red")
        assert not toolbox.is_issued("t1")


async def test_a_call_is_told_once() -> None:
    toolbox = attached()
    async with calling(toolbox, {}):
        assert await toolbox.arrival(within=SOON)
        assert len(toolbox.issue([recorded("t1", {})])) == 1
        assert not await toolbox.arrival(within=NEVER)
        assert toolbox.issue([recorded("t1", {})]) == []


async def test_a_call_that_the_record_does_not_have_is_told_too() -> None:
    toolbox = attached()
    async with calling(toolbox, {"at": 1}) as task:
        (call,) = toolbox.issue([])
        assert (call.name, call.arguments) == ("look.at", {"at": 1})
        toolbox.deliver([returned(call, "red")])
        assert text_of(await result_of(task)) == "red"


async def test_all_calls_of_an_answer_are_told_at_once_and_made_one_after_the_other() -> None:
    toolbox = attached()
    tools = [recorded(f"t{number}", {"at": number}) for number in range(3)]
    async with calling(toolbox, {"at": 0}) as first:
        calls = toolbox.issue(tools)
        assert [call.arguments["at"] for call in calls] == [0, 1, 2]
        assert len({call.id for call in calls}) == 3
        # The client returns all results before the CLI makes the second call.
        toolbox.deliver([returned(call, f"result {call.arguments['at']}") for call in reversed(calls)])
        assert text_of(await result_of(first)) == "result 0"
    for number in (1, 2):
        assert toolbox.is_issued(f"t{number}")
        result = await result_of(asyncio.create_task(toolbox.call("look_at", {"at": number})))
        assert (result.call_id, text_of(result)) == (calls[number].id, f"result {number}")
        assert not toolbox.is_issued(f"t{number}")
    assert not await toolbox.arrival(within=NEVER)


async def test_results_find_their_calls_whatever_the_order_of_calls() -> None:
    toolbox = attached()
    async with calling(toolbox, {"at": 0}) as first:
        calls = toolbox.issue([recorded(f"t{number}", {"at": number}) for number in range(3)])
        toolbox.deliver([returned(call, str(call.arguments["at"])) for call in calls])
        await result_of(first)
    for number in (2, 1):
        assert text_of(await result_of(asyncio.create_task(toolbox.call("look_at", {"at": number})))) == str(number)


async def test_an_expected_call_whose_arguments_came_otherwise_is_still_the_one() -> None:
    toolbox = attached()
    async with calling(toolbox, {"at": 0, "as": "sent"}) as first:
        calls = toolbox.issue([recorded("t0", {"at": 0}), recorded("t1", {"at": 1})])
        assert [call.arguments for call in calls] == [{"at": 0, "as": "sent"}, {"at": 1}]
        toolbox.deliver([returned(calls[0], "zero"), returned(calls[1], "one")])
        assert text_of(await result_of(first)) == "zero"
    assert text_of(await result_of(asyncio.create_task(toolbox.call("look_at", {"at": "one"})))) == "one"


async def test_two_identical_calls_each_have_their_own_result() -> None:
    toolbox = attached()
    async with calling(toolbox, {"at": "it"}) as first:
        one, two = toolbox.issue([recorded("t1", {"at": "it"}), recorded("t2", {"at": "it"})])
        assert one.id != two.id
        toolbox.deliver([returned(one, "first"), returned(two, "second")])
        assert text_of(await result_of(first)) == "first"
    assert toolbox.is_issued("t2")
    assert text_of(await result_of(asyncio.create_task(toolbox.call("look_at", {"at": "it"})))) == "second"


async def test_two_identical_calls_that_are_made_at_once_are_both_told() -> None:
    toolbox = attached()
    async with calling(toolbox, {}) as first, calling(toolbox, {}) as second:
        one, two = toolbox.issue([recorded("t1", {}), recorded("t2", {})])
        toolbox.deliver([returned(one, "first"), returned(two, "second")])
        assert [text_of(await result_of(first)), text_of(await result_of(second))] == ["first", "second"]


async def test_two_identical_calls_wait_beside_each_other() -> None:
    toolbox = attached()
    async with calling(toolbox, {}) as first:
        one, two = toolbox.issue([recorded("t1", {}), recorded("t2", {})])
        async with calling(toolbox, {}) as second:
            toolbox.deliver([returned(two, "second"), returned(one, "first")])
            assert [text_of(await result_of(first)), text_of(await result_of(second))] == ["first", "second"]


async def test_a_call_after_the_results_is_a_new_one() -> None:
    toolbox = attached()
    async with calling(toolbox, {}) as first:
        (one,) = toolbox.issue([recorded("t1", {})])
        toolbox.deliver([returned(one, "first")])
        await result_of(first)
    async with calling(toolbox, {}) as second:
        assert await toolbox.arrival(within=SOON)
        (two,) = toolbox.issue([recorded("t2", {})])
        assert two.id != one.id
        toolbox.deliver([returned(two, "second")])
        assert text_of(await result_of(second)) == "second"


async def test_a_call_without_a_result_gets_an_error() -> None:
    toolbox = attached()
    async with calling(toolbox, {"at": 0}) as task:
        one, two = toolbox.issue([recorded("t0", {"at": 0}), recorded("t1", {"at": 1})])
        toolbox.deliver([returned(two, "one"), ToolResult("call_of_nobody", (Text("?"),))])
        result = await result_of(task)
        assert (result.call_id, result.is_error, text_of(result)) == (one.id, True, NO_RESULT)
    assert text_of(await result_of(asyncio.create_task(toolbox.call("look_at", {"at": 1})))) == "one"


async def test_what_the_client_has_not_is_left_to_the_cli() -> None:
    toolbox = attached()
    async with calling(toolbox, {}):
        calls = toolbox.issue([recorded("t1", {}, "fs_read"), recorded("t2", {}), recorded("t3", {}, "execute_bash")])
        assert [call.name for call in calls] == ["look.at"]
        assert not toolbox.is_issued("t1")


async def test_a_tool_of_a_namespace_is_told_with_it() -> None:
    toolbox = attached()
    async with calling(toolbox, {}, "feet__go"):
        (call,) = toolbox.issue([])
        assert (call.name, call.namespace) == ("go", "feet")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"input": "*** patch"}, "*** patch"),
        ({}, "{}"),
        ({"text": "é"}, '{"text": "é"}'),
        ({"input": 1}, '{"input": 1}'),
    ],
)
async def test_a_custom_tool_is_always_told_a_text(arguments: Mapping[str, Any], told: str) -> None:
    toolbox = attached()
    async with calling(toolbox, arguments, "patch"):
        (call,) = toolbox.issue([])
        assert (call.custom, call.arguments) == (True, {"input": told})
        assert told == arguments.get("input") or json.loads(told) == arguments


@pytest.mark.parametrize(("interface", "prefix"), [("chat", "call_"), ("responses", "call_"), ("messages", "toolu_")])
async def test_ids_look_like_those_of_the_interface(interface: Interface, prefix: str) -> None:
    toolbox = attached(interface)
    async with calling(toolbox, {}):
        (call,) = toolbox.issue([])
        assert re.fullmatch(prefix + "[0-9a-f]{24}", call.id)


# -- refusals


async def refusal(toolbox: Toolbox, name: str) -> str:
    """Call what has to be refused at once; returns what the model is told."""
    assert toolbox.refuses(name)
    result = await result_of(asyncio.create_task(toolbox.call(name, {})))
    assert result.is_error
    assert not await toolbox.arrival(within=NEVER)
    return text_of(result)


async def test_an_unknown_tool_is_refused_with_those_there_are() -> None:
    told = await refusal(attached(), "fs_read")
    assert "look_at, feet__go, patch" in told
    assert "none" in await refusal(Toolbox(), "look_at")


async def test_nobody_to_ask() -> None:
    toolbox = attached()
    toolbox.detach()
    assert await refusal(toolbox, "look_at") == ALONE


async def test_a_choice_of_no_tools() -> None:
    assert await refusal(attached(choice=ToolChoice("none")), "look_at") == NOT_NOW


async def test_a_choice_of_one_tool() -> None:
    toolbox = attached(choice=ToolChoice("named", "look.at"))
    assert "the tool look_at is" in await refusal(toolbox, "patch")
    assert not toolbox.refuses("look_at")
    async with calling(toolbox, {}):
        assert [call.name for call in toolbox.issue([recorded("t1", {}, "patch"), recorded("t2", {})])] == ["look.at"]


@pytest.mark.parametrize("choice", [ToolChoice(), ToolChoice("required")])
def test_a_choice_that_refuses_nothing(choice: ToolChoice) -> None:
    toolbox = attached(choice=choice)
    assert not any(toolbox.refuses(name) for name in OFFER.tools)


# -- who leaves


async def test_a_client_that_leaves_before_it_was_told() -> None:
    toolbox = attached()
    async with calling(toolbox, {}) as task:
        toolbox.detach()
        result = await result_of(task)
        assert (result.is_error, text_of(result)) == (True, LEFT)
    toolbox.attach(OFFER, interface="chat", choice=ToolChoice())
    assert not await toolbox.arrival(within=NEVER)
    assert toolbox.issue([]) == []


async def test_a_client_that_comes_at_once_is_not_told_what_the_last_one_left() -> None:
    toolbox = attached()
    async with calling(toolbox, {}):
        toolbox.detach()
        toolbox.attach(OFFER, interface="chat", choice=ToolChoice())
        assert toolbox.issue([]) == []


async def test_a_client_that_leaves_before_it_returned_anything() -> None:
    toolbox = attached()
    async with calling(toolbox, {"at": 0}) as task:
        calls = toolbox.issue([recorded("t0", {"at": 0}), recorded("t1", {"at": 1})])
        toolbox.detach()
        assert text_of(await result_of(task)) == LEFT
        assert not toolbox.is_issued("t1")
    toolbox.attach(OFFER, interface="chat", choice=ToolChoice())
    async with calling(toolbox, {"at": 1}):
        (call,) = toolbox.issue([])
        assert call.id not in {call.id for call in calls}


async def test_a_client_that_leaves_ends_the_waiting_for_calls() -> None:
    toolbox = attached()
    waiting = asyncio.create_task(toolbox.arrival(within=600))
    await asyncio.sleep(0)
    toolbox.detach()
    async with asyncio.timeout(SOON):
        assert await waiting is False


async def test_a_call_ends_the_waiting_for_calls() -> None:
    toolbox = attached()
    waiting = asyncio.create_task(toolbox.arrival(within=600))
    await asyncio.sleep(0)
    async with calling(toolbox, {}), asyncio.timeout(SOON):
        assert await waiting is True


async def test_a_call_that_is_cancelled_before_it_was_told_is_gone() -> None:
    toolbox = attached()
    async with calling(toolbox, {}):
        assert await toolbox.arrival(within=SOON)
    assert not await toolbox.arrival(within=NEVER)
    assert toolbox.issue([]) == []


async def test_a_call_that_is_cancelled_after_it_was_told_takes_no_result() -> None:
    toolbox = attached()
    async with calling(toolbox, {"at": 0}):
        one, two = toolbox.issue([recorded("t0", {"at": 0}), recorded("t1", {"at": 1})])
    assert not toolbox.is_issued("t0")
    toolbox.deliver([returned(one, "zero"), returned(two, "one")])
    assert text_of(await result_of(asyncio.create_task(toolbox.call("look_at", {"at": 1})))) == "one"


async def test_a_call_that_nobody_passes_on_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOLD_WITHIN", 0.0)
    toolbox = attached()
    result = await result_of(asyncio.create_task(toolbox.call("look_at", {})))
    assert (result.is_error, text_of(result)) == (True, ALONE)
    assert not await toolbox.arrival(within=NEVER)


async def test_a_call_that_was_passed_on_may_take_as_long_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    toolbox = attached()
    async with calling(toolbox, {"at": 0}) as first:
        one, two = toolbox.issue([recorded("t0", {"at": 0}), recorded("t1", {"at": 1})])
        monkeypatch.setattr(module, "TOLD_WITHIN", 0.0)
        async with calling(toolbox, {"at": 1}) as second:
            for _ in range(10):
                await asyncio.sleep(0)
            assert not first.done()
            assert not second.done()
            toolbox.deliver([returned(one, "zero"), returned(two, "one")])
            assert [text_of(await result_of(first)), text_of(await result_of(second))] == ["zero", "one"]


# -- toolboxes


def test_a_toolbox_is_found_by_its_token_once_it_is_kept() -> None:
    toolboxes = Toolboxes()
    assert toolboxes.get("a") is not toolboxes.get("a")
    kept = toolboxes.get("a", keep=True)
    assert toolboxes.get("a") is toolboxes.get("a", keep=True) is kept
    assert toolboxes.get("b") is not kept


def test_those_in_use_are_kept_and_of_the_others_the_latest() -> None:
    toolboxes = Toolboxes()
    used = toolboxes.get("used", keep=True)
    used.attach(OFFER, interface="chat", choice=ToolChoice())
    kept = [toolboxes.get(str(number), keep=True) for number in range(KEPT + 5)]
    assert toolboxes.get("used") is used
    assert toolboxes.get("4") is not kept[4]
    assert toolboxes.get("5") is kept[5]
    assert toolboxes.get("5", keep=True) is kept[5]
    toolboxes.get("new", keep=True)
    assert toolboxes.get("5") is kept[5], "it was used last"
    assert toolboxes.get("6") is not kept[6]
