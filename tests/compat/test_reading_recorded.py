"""What Claude Code and Codex really sent is read, whole; and each request goes on with the conversation before it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from qpty.compat.client_tools.names import NAME_CHARACTERS, offer_of
from qpty.compat.digests import conversation_digests
from qpty.compat.messages.reading import read_messages
from qpty.compat.requests import ToolCall
from qpty.compat.responses.reading import read_responses
from tests.clients.recorded import bodies

READ = {
    "claude-code-task": read_messages,
    "claude-code-refused": read_messages,
    "claude-code-continued": read_messages,
    "codex-task": read_responses,
    "codex-custom-tool": read_responses,
    "codex-image": read_responses,
    "codex-resumed": read_responses,
}


@pytest.mark.parametrize("name", READ)
def test_every_recorded_request_is_taken(name: str) -> None:
    requests = [READ[name](body) for body in bodies(name)]
    assert requests
    for request in requests:
        assert request.system
        assert request.stream
        offer = offer_of(request.tools)
        assert len(offer.tools) == len(request.tools) > 3
        assert all(len(tool) <= NAME_CHARACTERS and tool.isascii() for tool in offer.tools)


@pytest.mark.parametrize("name", READ)
def test_a_request_begins_with_the_conversation_before_it(name: str) -> None:
    """What a client rewrites of it doesn't count: arguments with defaults, markers of caches."""
    requests = [READ[name](body) for body in bodies(name)]
    followed = 0
    for before, after in pairwise(requests):
        if len(after.messages) <= len(before.messages):
            continue  # another conversation
        asked = conversation_digests(before.messages)[-1]
        assert asked == conversation_digests(after.messages)[len(before.messages) - 1]
        assert [tool.name for tool in before.tools] == [tool.name for tool in after.tools]
        answer = after.messages[len(before.messages)]
        followed += any(isinstance(part, ToolCall) for part in answer.parts)
    assert followed or name == "claude-code-continued"
