"""The client's tools as the CLI can offer them, and the way back.

The CLI takes names of letters, digits and underscores that begin with a letter, at most 64 of them, and rewrites
others; a tool named like one of its own is shadowed by that; an empty description is refused, and one of more than
10,004 bytes cut in the middle of a character (measured). So names are translated both ways, and what is too long of a
description goes to the system prompt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qpty.compat.requests import ToolSpec

NAME_CHARACTERS: Final = 64
DESCRIPTION_BYTES: Final = 9_000

BUILT_IN: Final = frozenset(
    {
        "execute_bash", "execute_cmd", "fs_read", "fs_write", "use_aws", "gh_issue", "report_issue", "introspect",
        "knowledge", "thinking", "todo_list", "todo", "delegate", "dummy",
    }
)  # fmt: skip
"""Names of the CLI's own tools, of every version known."""

_ODD: Final = re.compile(r"[^a-zA-Z0-9_]+")

CONTINUED: Final = "\n\n(The rest of this description is in the system prompt.)"

INPUT_SCHEMA: Final = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The tool's whole input, as free text."}},
    "required": ["input"],
}
"""Of a custom tool, whose input is a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTool:
    """A tool as the CLI is told of it; `spec` is the client's."""

    name: str
    description: str
    schema: Mapping[str, Any]
    spec: ToolSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """All tools of a request, by the CLI's names; `notes` (perhaps "") is what the system prompt has to say of them."""

    tools: Mapping[str, OfferedTool]
    notes: str

    def name_of(self, name: str, namespace: str | None = None) -> str | None:
        """Return the CLI's name for a client's tool; None if it isn't offered.

        Without a namespace it is the tool that has none, or else the first of that name.
        """
        named = [offered for offered in self.tools.values() if offered.spec.name == name]
        exact = [offered for offered in named if offered.spec.namespace == namespace]
        found = exact or (named if namespace is None else [])
        return found[0].name if found else None


def offer_of(specs: Sequence[ToolSpec]) -> Offer:
    """Return a request's tools as the CLI can offer them. The same tools get the same names."""
    tools: dict[str, OfferedTool] = {}
    notes: list[str] = []
    for spec in specs:
        name = _free_name(spec, tools)
        description, rest = _divided(spec.description.strip() or "(no description)")
        if rest:
            notes.append(f"More about the tool {name}:\n{rest}")
        schema = dict(INPUT_SCHEMA if spec.custom else spec.schema or {"type": "object", "properties": {}})
        tools[name] = OfferedTool(name=name, description=description, schema=schema, spec=spec)
    return Offer(tools=tools, notes="\n\n".join(notes))


def _free_name(spec: ToolSpec, taken: Mapping[str, OfferedTool]) -> str:
    wanted = spec.name if spec.namespace is None else f"{spec.namespace}__{spec.name}"
    name = _ODD.sub("_", wanted)[:NAME_CHARACTERS] or "tool"
    if not name[0].isalpha():
        name = f"t_{name}"[:NAME_CHARACTERS]
    if name in BUILT_IN:
        name = f"client_{name}"
    number = 2
    free = name
    while free in taken:
        end = f"_{number}"
        free = name[: NAME_CHARACTERS - len(end)] + end
        number += 1
    return free


def _divided(description: str) -> tuple[str, str]:
    """Return what the CLI is told of a description, and what is left of it."""
    data = description.encode()
    if len(data) <= DESCRIPTION_BYTES:
        return description, ""
    first = data[: DESCRIPTION_BYTES - len(CONTINUED)].decode("utf-8", "ignore")
    return first + CONTINUED, description[len(first) :]
