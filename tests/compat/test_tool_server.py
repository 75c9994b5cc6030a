"""The tools' side of the Model Context Protocol: what the CLI sends, and whatever else may come."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import mcp_types as mcp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty import __version__
from qpty.compat.client_tools.names import offer_of
from qpty.compat.client_tools.server import EMPTY, VERSIONS, respond
from qpty.compat.client_tools.toolbox import Toolbox
from qpty.compat.requests import File, Image, Text, ToolChoice, ToolResult, ToolSpec
from tests.compat.reading_samples import PNG

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}, "$defs": {}, "additionalProperties": False}

SOON = 20.0


def attached() -> Toolbox:
    toolbox = Toolbox()
    offer = offer_of([ToolSpec("look.at", "Looks.", SCHEMA), ToolSpec("patch", "", None, custom=True)])
    toolbox.attach(offer, interface="chat", choice=ToolChoice())
    return toolbox


def request(method: str, params: Any = None, message_id: Any = 1) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": message_id, "method": method}
    return message if params is None else {**message, "params": params}


async def asked(message: object, toolbox: Toolbox | None = None) -> Mapping[str, Any]:
    """Return the answer to what has one, as it arrives."""
    answer = await respond(toolbox or attached(), message)
    assert answer is not None
    read: Mapping[str, Any] = json.loads(json.dumps(answer))
    assert read["jsonrpc"] == "2.0"
    assert ("result" in read) != ("error" in read)
    return read


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_initialize_of_the_clis(version: str) -> None:
    params = {
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "Q DEV CLI", "version": "1.0.0"},
    }
    assert await asked(request("initialize", params, 0)) == {
        "jsonrpc": "2.0",
        "id": 0,
        "result": {
            "protocolVersion": version,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "qpty", "version": __version__},
        },
    }


async def test_an_unknown_version_is_answered_with_ours() -> None:
    params = {"protocolVersion": "2031-01-01", "capabilities": {"new": {}}, "clientInfo": {"name": "x", "version": "1"}}
    assert (await asked(request("initialize", params)))["result"]["protocolVersion"] == VERSIONS[0]


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3, "reason": "timeout"}},
        {"jsonrpc": "2.0", "method": "notifications/of the future", "params": []},
    ],
)
async def test_notifications_have_no_answer(message: object) -> None:
    assert await respond(attached(), message) is None


@pytest.mark.parametrize("message_id", [0, 7, "a", ""])
async def test_a_ping_keeps_its_id(message_id: int | str) -> None:
    assert await asked(request("ping", message_id=message_id)) == {"jsonrpc": "2.0", "id": message_id, "result": {}}


@pytest.mark.parametrize("params", [None, {}, {"cursor": None}, {"_meta": {"progressToken": 0}}])
async def test_the_list_of_tools(params: Any) -> None:
    result = (await asked(request("tools/list", params)))["result"]
    mcp.ListToolsResult.model_validate(result)
    assert [tool["name"] for tool in result["tools"]] == ["look_at", "patch"]
    assert result["tools"][0] == {"name": "look_at", "description": "Looks.", "inputSchema": SCHEMA}
    assert result["tools"][1]["inputSchema"]["required"] == ["input"]
    assert "nextCursor" not in result


async def test_without_a_client_there_are_no_tools() -> None:
    assert (await asked(request("tools/list"), Toolbox()))["result"] == {"tools": []}


async def called(parts: tuple[Text | Image | File, ...], *, is_error: bool = False) -> Mapping[str, Any]:
    """Have a tool called that returns this."""
    toolbox = attached()
    params = {"name": "look_at", "arguments": {"at": "it"}, "_meta": {"progressToken": 2}}
    task = asyncio.create_task(asked(request("tools/call", params, 3), toolbox))
    assert await toolbox.arrival(within=SOON)
    (call,) = toolbox.issue([])
    assert call.arguments == {"at": "it"}
    toolbox.deliver([ToolResult(call.id, parts, is_error)])
    async with asyncio.timeout(SOON):
        answer = await task
    assert answer["id"] == 3
    result: Mapping[str, Any] = answer["result"]
    mcp.CallToolResult.model_validate(result)
    assert result["isError"] is is_error
    return result


async def test_texts_and_pictures_come_back_as_they_are() -> None:
    result = await called((Text("red"), Image("image/png", PNG), Text("")))
    assert result["content"] == [
        {"type": "text", "text": "red"},
        {"type": "image", "data": base64.b64encode(PNG).decode(), "mimeType": "image/png"},
        {"type": "text", "text": ""},
    ]


async def test_a_file_is_at_least_named() -> None:
    (content,) = (await called((File("application/pdf", b"%PDF-1.7\n", "a.pdf"),)))["content"]
    assert "application/pdf, 9 bytes" in content["text"]


async def test_nothing_is_said_to_be_nothing() -> None:
    assert (await called(()))["content"] == [{"type": "text", "text": EMPTY}]


async def test_an_error_of_the_client_is_one_of_the_tool() -> None:
    assert (await called((Text("no such file"),), is_error=True))["content"][0]["text"] == "no such file"


@pytest.mark.parametrize("params", [{"name": "fs_read", "arguments": {}}, {"name": "look_at "}, {"name": ""}])
async def test_a_call_of_what_is_not_there_is_told_to_the_model(params: Any) -> None:
    result = (await asked(request("tools/call", params)))["result"]
    assert result["isError"] is True
    assert "look_at, patch" in result["content"][0]["text"]


async def test_a_call_without_arguments_is_one_with_none() -> None:
    toolbox = attached()
    task = asyncio.create_task(asked(request("tools/call", {"name": "look_at"}), toolbox))
    assert await toolbox.arrival(within=SOON)
    assert [call.arguments for call in toolbox.issue([])] == [{}]
    toolbox.detach()
    async with asyncio.timeout(SOON):
        assert (await task)["result"]["isError"] is True


@pytest.mark.parametrize("method", ["prompts/list", "resources/list", "tools/", "", "logging/setLevel", "Ping"])
async def test_what_is_not_offered_is_said_to_be_so(method: str) -> None:
    answer = await asked(request(method, {}, "x"))
    assert (answer["id"], answer["error"]["code"]) == ("x", mcp.METHOD_NOT_FOUND)


@pytest.mark.parametrize(
    "message",
    [
        None,
        1,
        "ping",
        [request("ping")],
        {"id": 1},
        {"id": 1, "method": "ping"},
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": None, "method": "ping"},
        {"jsonrpc": "2.0", "id": {"a": 1}, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1.5, "method": "ping"},
        {"jsonrpc": "2.0", "id": True, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1, "method": 1},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
    ],
)
async def test_what_is_no_request_is_refused_without_an_id(message: object) -> None:
    answer = await asked(message)
    assert (answer["id"], answer["error"]["code"]) == (None, mcp.INVALID_REQUEST)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("initialize", None),
        ("initialize", {"protocolVersion": 1}),
        ("tools/call", None),
        ("tools/call", {"arguments": {}}),
        ("tools/call", {"name": None}),
        ("tools/call", {"name": "look_at", "arguments": []}),
        ("tools/call", {"name": "look_at", "arguments": "{}"}),
    ],
)
async def test_parameters_of_another_shape_are_refused(method: str, params: Any) -> None:
    answer = await asked(request(method, params, 5))
    assert (answer["id"], answer["error"]["code"]) == (5, mcp.INVALID_PARAMS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=8,
)
METHODS = st.sampled_from(["initialize", "ping", "tools/list", "tools/call", "notifications/initialized", "x"])
PARAMS = JSON | st.fixed_dictionaries(
    {},
    optional={
        "name": JSON,
        "arguments": JSON,
        "cursor": JSON,
        "protocolVersion": JSON,
        "capabilities": JSON,
        "_meta": JSON,
    },
)
MESSAGES = JSON | st.fixed_dictionaries(
    {},
    optional={"jsonrpc": st.just("2.0") | JSON, "id": st.integers() | JSON, "method": METHODS | JSON, "params": PARAMS},
)


@given(MESSAGES)
async def test_whatever_comes_is_answered(message: Any) -> None:
    # No tool of the toolbox is called: `look_at` would wait for a client.
    answer = await respond(Toolbox(), message)
    if isinstance(message, dict) and "id" not in message:
        assert answer is None
        return
    assert answer is not None
    assert json.loads(json.dumps(answer)) == answer
    assert ("result" in answer) != ("error" in answer)
    assert answer["id"] is None or answer["id"] == message["id"]
    if "result" in answer:
        assert message["method"] in {"initialize", "ping", "tools/list", "tools/call"}
