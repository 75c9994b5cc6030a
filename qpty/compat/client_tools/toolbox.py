"""The client's tools of one session, and the calls of them that wait for the client.

The CLI calls tools one after the other, each when the one before has returned; the client is told of all calls that an
answer ended with, at once, and returns all results at once. So a call is in one of these states:

```
            issued (the client was told)              the CLI calls
 expected ──────────────────────────────▶ expected ─────────────────▶ waiting ──result──▶ over
                     └──────result──────▶ answered ─────────────────────────────────────▶ over
```
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from qpty.compat.client_tools.names import Offer
from qpty.compat.requests import Text, ToolCall, ToolChoice, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from qpty.compat.requests import Interface
    from qpty.core.record import RecordedTool

PREFIXES: Final[Mapping[Interface, str]] = {"chat": "call_", "responses": "call_", "messages": "toolu_"}

TOLD_WITHIN: Final = 60.0
"""Seconds until a call that nobody passes on to the client is given up: then its turn isn't being read."""

ALONE: Final = "The client that has this tool is not connected now. Go on without it."
UNKNOWN: Final = "There is no such tool. The tools on offer are: {names}."
NOT_NOW: Final = "Tools are not to be used for this answer. Answer without them."
NOT_THIS: Final = "Only the tool {name} is to be used now."
NO_RESULT: Final = "The client returned nothing for this call."
LEFT: Final = "The client did not return a result in time."


@dataclass(eq=False, slots=True, kw_only=True)
class ClientCall:
    """One call. `agent_id` is the CLI's own id of it, None where it can't be known."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    agent_id: str | None
    called: bool = False
    told: asyncio.Event = field(default_factory=asyncio.Event)
    result: asyncio.Future[ToolResult] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Toolbox:
    """One session's tools. A client is `attached` while a turn of its runs; without one, calls are refused at once."""

    def __init__(self) -> None:
        self.offer = Offer(tools={}, notes="")
        self._interface: Interface = "chat"
        self._choice = ToolChoice()
        self.attached = False
        self._arrived: list[ClientCall] = []
        """Called by the CLI; the client wasn't told yet."""
        self._issued: list[ClientCall] = []
        """The client was told, and the CLI didn't get the result yet."""
        self._told: set[str] = set()
        """The CLI's ids of all calls that the client was told of in this turn."""
        self._news = asyncio.Event()

    # -- the client's side

    def attach(self, offer: Offer, *, interface: Interface, choice: ToolChoice) -> None:
        """Have a client's tools on offer, for one turn."""
        self.offer = offer
        self._interface = interface
        self._choice = choice
        self.attached = True
        self._told.clear()

    def choose(self, choice: ToolChoice) -> None:
        """Say which tools may be called from now on, in the same turn."""
        self._choice = choice

    def detach(self) -> None:
        """The turn is over: whatever still waits gets no answer from the client."""
        self.attached = False
        for call in (*self._arrived, *self._issued):
            _settle(call, error_result(call.id, LEFT))
            call.told.set()
        self._arrived.clear()
        self._issued.clear()
        self._news.set()

    def is_issued(self, agent_id: str) -> bool:
        """Whether the client was told of this call, by the CLI's id of it."""
        return any(call.agent_id == agent_id for call in self._issued)

    def was_told(self, agent_id: str) -> bool:
        """Whether the client was told of this call in this turn, whatever became of it."""
        return agent_id in self._told

    def refuses(self, name: str) -> bool:
        """Whether a call of this tool is refused without asking the client."""
        return self._refusal(name) is not None

    async def arrival(self, *, within: float) -> bool:
        """Wait until the CLI has called something that the client wasn't told of; whether it has in so many seconds."""
        try:
            async with asyncio.timeout(within):
                while not self._arrived and self.attached:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return bool(self._arrived)

    def issue(self, recorded: Iterable[RecordedTool]) -> Sequence[ToolCall]:
        """Return what the client is to be told: the calls that arrived, and those of the same answer still to come.

        `recorded` are the calls that the model's answer ended with, as the CLI's record has them.
        """
        arrived, self._arrived = self._arrived, []
        told: list[ClientCall] = []
        for tool in recorded:
            if tool.name not in self.offer.tools or self.refuses(tool.name) or self.was_told(tool.tool_id):
                continue
            call = _taken(arrived, tool.name, tool.arguments)
            if call is None:
                call = self._new(tool.name, tool.arguments)
            call.agent_id = tool.tool_id
            self._told.add(tool.tool_id)
            told.append(call)
        told += arrived
        for call in told:
            call.told.set()
        self._issued += told
        return [self._as_told(call) for call in told]

    def deliver(self, results: Iterable[ToolResult]) -> None:
        """Pass the client's results on; a call without one gets an error."""
        by_id = {result.call_id: result for result in results}
        for call in self._issued:
            _settle(call, by_id.get(call.id) or error_result(call.id, NO_RESULT))

    # -- the CLI's side

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Have the client run a tool, and wait for its result."""
        refusal = self._refusal(name)
        if refusal is not None:
            return error_result("", refusal)
        expected = next((call for call in self._issued if not call.called and call.name == name), None)
        exact = _first(self._issued, lambda call: not call.called and (call.name, call.arguments) == (name, arguments))
        call = exact or expected
        if call is None:
            call = self._new(name, arguments)
            self._arrived.append(call)
            self._news.set()
        call.called = True
        try:
            try:
                async with asyncio.timeout(TOLD_WITHIN):
                    await call.told.wait()
            except TimeoutError:
                return error_result(call.id, ALONE)
            return await asyncio.shield(call.result)
        finally:
            if call in self._issued:
                self._issued.remove(call)
            if call in self._arrived:
                self._arrived.remove(call)

    def _refusal(self, name: str) -> str | None:
        offered = self.offer.tools.get(name)
        if offered is None:
            return UNKNOWN.format(names=", ".join(self.offer.tools) or "none")
        if not self.attached:
            return ALONE
        if self._choice.mode == "none":
            return NOT_NOW
        if self._choice.mode == "named" and offered.spec.name != self._choice.name:
            return NOT_THIS.format(name=self.offer.name_of(self._choice.name or "") or self._choice.name)
        return None

    def _new(self, name: str, arguments: Mapping[str, Any]) -> ClientCall:
        return ClientCall(
            id=PREFIXES[self._interface] + secrets.token_hex(12), name=name, arguments=arguments, agent_id=None
        )

    def _as_told(self, call: ClientCall) -> ToolCall:
        spec = self.offer.tools[call.name].spec
        return ToolCall(
            id=call.id,
            name=spec.name,
            arguments=_free_text(call.arguments) if spec.custom else call.arguments,
            custom=spec.custom,
            namespace=spec.namespace,
        )


def error_result(call_id: str, text: str) -> ToolResult:
    """Return a result that tells the model what went wrong."""
    return ToolResult(call_id=call_id, parts=(Text(text),), is_error=True)


def _free_text(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of a custom tool, whatever the model made of the one it is offered."""
    given = arguments.get("input")
    return {"input": given if isinstance(given, str) else json.dumps(dict(arguments), ensure_ascii=False)}


def _settle(call: ClientCall, result: ToolResult) -> None:
    if not call.result.done():
        call.result.set_result(result)


def _taken(calls: list[ClientCall], name: str, arguments: Mapping[str, Any]) -> ClientCall | None:
    """Take the first of the calls that is this one."""
    found = _first(calls, lambda call: (call.name, call.arguments) == (name, arguments))
    found = found or _first(calls, lambda call: call.name == name)
    if found is not None:
        calls.remove(found)
    return found


def _first(calls: Iterable[ClientCall], wanted: Callable[[ClientCall], bool]) -> ClientCall | None:
    return next((call for call in calls if wanted(call)), None)
