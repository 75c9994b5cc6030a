"""What was said before, as the history that a session takes up; one entry for each answer of the model.

The CLI's history is of pairs: something that the model was sent, and what it answered. Where a client's conversation
doesn't fit, words of ours stand in, as few as can be:

- `YOU_BEGIN` before an answer that nothing came before;
- `GOES_ON` after results that no session waits for any more, and `GO_ON` as the message that follows (see `typed`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qpty.compat.requests import File, Image, Text, ToolCall, ToolResult
from qpty.core.record import RecordedEntry, RecordedImage, RecordedResult, RecordedTool

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qpty.compat.client_tools.names import Offer
    from qpty.compat.requests import Message, Part

YOU_BEGIN: Final = "(The conversation begins with your words.)"
GOES_ON: Final = "(I have the results.)"
GO_ON: Final = "Go on."

NOTHING: Final = "(nothing)"
"""An empty result, or prompt."""

PICTURED: Final = "(a picture)"
"""A result that is nothing else."""


def history_of(messages: Sequence[Message], offer: Offer) -> Sequence[RecordedEntry]:
    """Return all messages but the last one as entries, and of the last one the results that nothing waits for.

    Each of the assistant's messages makes one entry, in their order. `offer` has the names of tools as the CLI knows
    them; those of tools that aren't offered any more are left as they are.
    """
    entries: list[RecordedEntry] = []
    asked: Message | None = None
    for message in messages[:-1]:
        if message.role == "user":
            asked = message
        else:
            entries.append(_entry(asked, message.parts, offer))
            asked = None
    results = [part for part in messages[-1].parts if isinstance(part, ToolResult)]
    if results:
        entries.append(_results_entry(results, (), (Text(GOES_ON),), offer))
    return entries


def _entry(asked: Message | None, answer: Sequence[Part], offer: Offer) -> RecordedEntry:
    parts = asked.parts if asked is not None else (Text(YOU_BEGIN),)
    results = [part for part in parts if isinstance(part, ToolResult)]
    if results:
        beside = [part for part in parts if isinstance(part, Text | Image | File)]
        return _results_entry(results, beside, answer, offer)
    return RecordedEntry(
        message_id=None,
        prompt=plain_text(parts) or NOTHING,
        text=plain_text(answer),
        tools=_calls(answer, offer),
        images=_images(parts),
    )


def _results_entry(
    results: Sequence[ToolResult], beside: Sequence[Text | Image | File], answer: Sequence[Part], offer: Offer
) -> RecordedEntry:
    told = with_texts(results, beside)
    return RecordedEntry(
        message_id=None,
        prompt=None,
        results=tuple(
            RecordedResult(tool_id=result.call_id, ok=not result.is_error, text=_result_text(result)) for result in told
        ),
        text=plain_text(answer),
        tools=_calls(answer, offer),
        images=_images([part for result in told for part in result.parts]),
    )


def with_texts(results: Sequence[ToolResult], beside: Sequence[Text | Image | File]) -> Sequence[ToolResult]:
    """Return results with what was said beside them as further parts of the last one: the model gets both at once."""
    if not beside:
        return results
    last = results[-1]
    return [*results[:-1], ToolResult(last.call_id, (*last.parts, *beside), last.is_error)]


def _result_text(result: ToolResult) -> str:
    pictured = any(isinstance(part, Image) for part in result.parts)
    return plain_text(result.parts) or (PICTURED if pictured else NOTHING)


def _images(parts: Iterable[Part]) -> tuple[RecordedImage, ...]:
    return tuple(
        RecordedImage(format=part.media_type.removeprefix("image/"), data=part.data)
        for part in parts
        if isinstance(part, Image)
    )


def plain_text(parts: Iterable[Part]) -> str:
    """Return the texts of parts, a line each; of a file, that there was one."""
    texts: list[str] = []
    for part in parts:
        match part:
            case Text():
                texts.append(part.text)
            case File():
                texts.append(f"(A file: {part.name or part.media_type})")
            case _:
                pass
    return "\n".join(texts)


def _calls(parts: Sequence[Part], offer: Offer) -> tuple[RecordedTool, ...]:
    return tuple(
        RecordedTool(
            tool_id=part.id,
            name=offer.name_of(part.name, part.namespace) or part.name,
            arguments=part.arguments,
        )
        for part in parts
        if isinstance(part, ToolCall)
    )
