"""A client's message as it is typed: its own words, and what has to be said with them, if anything.

Pictures and files are put into the session's directory first, below `attachments/`, and their paths stand in the text.
What a client wants of the next answer only (`tool_choice`, `response_format`) is said at the end; that is all that is
ever added.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

from qpty.compat.history import GO_ON
from qpty.compat.requests import File, Image, Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qpty.compat.client_tools.names import Offer
    from qpty.compat.requests import JsonFormat, Message, Part, ToolChoice

DIRECTORY: Final = "attachments"

LOOK: Final = "(Before you answer, look at each picture with fs_read in mode Image, and read each other file.)"

NO_TOOLS: Final = "(Answer without using any tool.)"
SOME_TOOL: Final = "(Use at least one tool before you answer.)"
THIS_TOOL: Final = "(Use the tool {name} now.)"

ANY_JSON: Final = "(Answer with one JSON object, and nothing before or after it.)"
THIS_JSON: Final = (
    "(Answer with one JSON value, and nothing before or after it. It has to be valid by this JSON schema: {schema})"
)
NOT_JSON: Final = "That is not what was asked for: {why}. Answer again, with nothing but the JSON."

_ENDINGS: Final = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}
_PLAIN_ENDING: Final = re.compile(r"\.([A-Za-z0-9]{1,8})\Z")
_SUBTYPE: Final = re.compile(r"[a-z0-9]{1,8}")


def attachments_of(messages: Sequence[Message]) -> Mapping[str, bytes]:
    """Return what the last message brings: paths below the session's directory, and contents."""
    return {path_of(part): part.data for part in messages[-1].parts if isinstance(part, Image | File)}


def has_attachments(messages: Sequence[Message]) -> bool:
    """Whether there is, or was, anything to be looked at."""
    return any(isinstance(part, Image | File) for message in messages for part in message.parts)


def typed_text(
    message: Message, *, directory: str, choice: ToolChoice, offer: Offer, json_format: JsonFormat | None
) -> str:
    """Return what is typed for the last message of a request.

    `directory` is the session's, absolute: the CLI asks before it reads a picture whose path isn't (measured).
    """
    said = "\n".join(_said(part, directory) for part in message.parts if isinstance(part, Text | Image | File))
    lines = [said if said.strip() else GO_ON]
    if has_attachments([message]):
        lines.append(LOOK)
    if offer.tools:
        lines += _about_tools(choice, offer)
    if json_format is not None:
        lines.append(_about_json(json_format))
    return "\n\n".join(lines)


def path_of(part: Image | File) -> str:
    """Return where a picture or file is put: by its content, so that the same one is there once."""
    name = hashlib.sha256(part.data).hexdigest()[:16]
    return f"{DIRECTORY}/{name}.{_ending(part)}"


def _ending(part: Image | File) -> str:
    if isinstance(part, Image):
        return _ENDINGS[part.media_type]
    given = _PLAIN_ENDING.search(part.name or "")
    if given is not None:
        return given[1].lower()
    subtype = part.media_type.partition("/")[2]
    return "txt" if part.media_type.startswith("text/") or not _SUBTYPE.fullmatch(subtype) else subtype


def _said(part: Part, directory: str) -> str:
    match part:
        case Text():
            return part.text
        case Image():
            return f"[picture: {directory}/{path_of(part)}]"
        case File():
            name = f" ({part.name})" if part.name else ""
            return f"[file: {directory}/{path_of(part)}{name}]"
        case _:
            return ""


def _about_tools(choice: ToolChoice, offer: Offer) -> list[str]:
    match choice.mode:
        case "none":
            return [NO_TOOLS]
        case "required":
            return [SOME_TOOL]
        case "named":
            return [THIS_TOOL.format(name=offer.name_of(choice.name or "") or choice.name)]
        case _:
            return []


def _about_json(wanted: JsonFormat) -> str:
    if wanted.schema is None:
        return ANY_JSON
    return THIS_JSON.format(schema=json.dumps(wanted.schema, ensure_ascii=False))
