"""The lab's scripted model, taught the sentences that other people's suites say in plain language.

    python tests/clients/scripted_model.py LAB --port 7400 [any option of backend.py]

`LAB` is the directory of `backend.py`, which is loaded as it is: only its `script` is wrapped. A sentence known here is
answered by its rule, anything else (and whatever answers a tool's result, or carries a `PLAN:`) by the original.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

Event = tuple[str, Any]
Call = tuple[str, dict[str, Any]]
"""A tool's name and its input."""

GO_ON = "Go on."
"""What follows on results that are in the history already."""

JOKE = {"setup": "Why do cats like keyboards?", "punchline": "For the mouse."}


@dataclass(frozen=True)
class Rule:
    """What to call when a message has `pattern`: `calls` are in one answer. Is none offered, `text` is said."""

    pattern: re.Pattern[str]
    calls: Callable[[re.Match[str]], list[Call]]
    text: str | None = None
    """None leaves the message to the original script."""


def rule(pattern: str, *calls: Call, text: str | None = None) -> Rule:
    return Rule(re.compile(pattern), lambda _: list(calls), text)


def sum_of(found: re.Match[str]) -> list[Call]:
    return [("my_adder_tool", {"a": int(found[1]), "b": int(found[2])})]


def weather_at(found: re.Match[str]) -> list[Call]:
    places = [found[1]] if found[2] is None else [found[1], found[2]]
    return [("get_weather", {"location": place}) for place in places]


def look_at(found: re.Match[str]) -> list[Call]:
    paths = re.findall(r"\[picture: ([^\]]+)\]", found["pictures"])
    return [("fs_read", {"operations": [{"mode": "Image", "image_paths": paths}]})]


def joke(pattern: str, **fields: Any) -> Rule:
    """A joke as a tool's input (whatever the tool's schema is called), or as JSON."""
    fields = JOKE | fields
    return rule(pattern, ("Joke", fields), ("JokeDict", fields), text=json.dumps(fields))


RULES = (
    rule(r"value of magic_function\(3\)", ("magic_function", {"input": 3})),
    rule(r"value of magic_function_no_args\(\)", ("magic_function_no_args", {})),
    rule(r"(?<!\w)Hello!(?!\w)", ("magic_function", {"input": 3})),
    rule(r"generate a Pirate greeting", ("greeting_generator", {"answer_style": "pirate"})),
    rule(r"你好啊集团", ("unicode_customer", {"customer_name": "你好啊集团", "description": "中国的科技公司"})),
    rule(
        r"こんにちは株式会社",
        ("unicode_customer", {"customer_name": "こんにちは株式会社", "description": "日本の会社"}),
    ),
    Rule(re.compile(r"What is (\d+) \+ (\d+)"), sum_of),
    Rule(re.compile(r"What is the weather in ([\w ,]+?)(?: and in ([\w ,]+))?\?"), weather_at),
    joke(r"setup to a joke about cats, no punchline", punchline=None),
    joke(r"joke about cats(?!, no punchline)"),
    Rule(re.compile(r"\Aimages\n(?P<pictures>(?:\[picture: [^\]]+\]\n?)+)"), look_at),
)


def before_last(body: dict[str, Any]) -> dict[str, Any]:
    """The request as if the results that the history ends with were its message: a model goes on with them."""
    state = body["conversationState"]
    history = state["history"]
    at = max(index for index, entry in enumerate(history) if "userInputMessage" in entry)
    message = history[at]["userInputMessage"]
    offered = (state["currentMessage"]["userInputMessage"].get("userInputMessageContext") or {}).get("tools")
    context = {**(message.get("userInputMessageContext") or {}), "tools": offered}
    current = {"userInputMessage": {**message, "userInputMessageContext": context}}
    return {**body, "conversationState": {**state, "history": history[:at], "currentMessage": current}}


def offered_name(wanted: str, offered: Iterable[str]) -> str | None:
    """The offered tool of that name; q may put a server's name and three underscores before it."""
    return next((name for name in offered if name == wanted or name.endswith(f"___{wanted}")), None)


def scripted(backend: ModuleType) -> Callable[[dict[str, Any]], list[Event]]:
    """`backend.script` with the rules before it. The rule that matches last in the message is the one that counts."""
    original = backend.script

    def script(body: dict[str, Any]) -> list[Event]:
        raw, message = backend.user_text(body)
        if backend.strip(raw) == GO_ON:
            return script(before_last(body))
        context = message.get("userInputMessageContext") or {}
        planned = backend.planned(body) is not None
        if context.get("toolResults") and message.get("images") and not planned:
            return list(backend.text(f"I got {len(message['images'])} images."))
        if context.get("toolResults") or planned:
            return list(original(body))
        said = backend.strip(raw)
        found = [(match.end(), rule, match) for rule in RULES for match in rule.pattern.finditer(said)]
        if not found:
            return list(original(body))
        _, chosen, match = max(found, key=lambda item: item[0])
        offered = [tool["toolSpecification"]["name"] for tool in context.get("tools") or []]
        events: list[Event] = []
        for wanted, given in chosen.calls(match):
            if (name := offered_name(wanted, offered)) is not None:
                events += backend.tool(name, given)
        if events:
            return events
        return list(original(body)) if chosen.text is None else list(backend.text(chosen.text))

    return script


def load(lab: Path) -> ModuleType:
    """The lab's `backend.py` as a module, with its `script` wrapped."""
    spec = importlib.util.spec_from_file_location("backend", lab / "backend.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"no backend.py in {lab}")
    backend = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(backend)
    vars(backend)["script"] = scripted(backend)
    return backend


if __name__ == "__main__":
    lab_directory = Path(sys.argv.pop(1))
    load(lab_directory).main()
