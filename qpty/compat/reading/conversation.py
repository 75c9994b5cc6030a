"""A conversation as it is read: messages put together, and what they must be to each other.

Readers add parts in the order of the wire, with the path of each. Parts of one role that follow each other are one
message. The result alternates between user and assistant and ends with the user. It begins with the user, but for a
greeting: a conversation whose first words are the assistant's stays as it is, and then so does its first message.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from qpty.compat.reading.fields import shown
from qpty.compat.requests import Message, RequestError, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qpty.compat.requests import Part

_SHOWN_IDS = 8


@dataclass(frozen=True, slots=True)
class Wording:
    """How an interface calls its fields and problems, so that clients see what they know.

    `field` is the top-level one that holds the messages. `{ids}` and `{id}` are filled in.
    """

    field: str
    unanswered: str
    unasked: str


@dataclass(slots=True)
class _Turn:
    role: Literal["user", "assistant"]
    parts: list[Part] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def calls(self) -> dict[str, str]:
        """Return the ids of the calls, with the path of each."""
        return {part.id: path for part, path in self._placed() if isinstance(part, ToolCall)}

    def results(self) -> dict[str, str]:
        """Return the ids that results answer, with the path of each."""
        return {part.call_id: path for part, path in self._placed() if isinstance(part, ToolResult)}

    def _placed(self) -> Iterable[tuple[Part, str]]:
        return zip(self.parts, self.paths, strict=True)


class Conversation:
    """The messages of one request, while they are read."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording
        self._system: list[str] = []
        self._turns: list[_Turn] = []

    @property
    def system(self) -> str:
        """What was said before the first message of the user or the assistant."""
        return "\n\n".join(self._system)

    def add_system(self, text: str, path: str) -> None:
        """Add a system text: the system's own as long as nobody else has spoken, from then on the user's."""
        if self._turns:
            self.add("user", Text(text), path)
        elif text:
            self._system.append(text)

    def add(self, role: Literal["user", "assistant"], part: Part, path: str) -> None:
        """Add what one side said; an empty text is nothing."""
        if isinstance(part, Text) and not part.text:
            return
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role))
        self._turns[-1].parts.append(part)
        self._turns[-1].paths.append(path)

    def messages(self, *, open_start: bool = False, open_end: bool = False) -> tuple[Message, ...]:
        """Return the messages. Raises `RequestError` if they don't fit together.

        `open_start`: results in the first message answer calls that aren't here. `open_end`: the last message may be
        the assistant's.
        """
        before: _Turn | None = None
        for turn in self._turns:
            self._check_ids(turn)
            if not (open_start and before is None):
                self._check_answers(before, turn)
            before = turn
        if before is None:
            raise self._problem("there is nothing to answer; send at least one message of the user with a text")
        if not open_end:
            self._check_end(before)
        return tuple(Message(turn.role, tuple(turn.parts)) for turn in self._turns)

    def _check_ids(self, turn: _Turn) -> None:
        for kind, what in ((ToolCall, "two calls have"), (ToolResult, "two results are for")):
            ids = [
                (part.id if isinstance(part, ToolCall) else part.call_id, path)
                for part, path in zip(turn.parts, turn.paths, strict=True)
                if isinstance(part, (ToolCall, ToolResult)) and isinstance(part, kind)
            ]
            counted = Counter(name for name, _ in ids)
            for name, path in ids:
                if counted[name] > 1:
                    raise RequestError(f"{path}: {what} the id {shown(name)}; give each its own", param=path)

    def _check_answers(self, before: _Turn | None, turn: _Turn) -> None:
        """Refuse results that nothing asked for, and calls of the message before that have none."""
        calls = before.calls() if before is not None else {}
        results = turn.results()
        for name, path in results.items():
            if name not in calls:
                raise RequestError(f"{path}: {self._wording.unasked.format(id=shown(name))}", param=path)
        self._check_answered(calls, results)

    def _check_answered(self, calls: dict[str, str], results: dict[str, str]) -> None:
        missing = [name for name in calls if name not in results]
        if missing:
            path = calls[missing[0]]
            names = ", ".join(shown(name) for name in missing[:_SHOWN_IDS])
            raise RequestError(f"{path}: {self._wording.unanswered.format(ids=names)}", param=path)

    def _check_end(self, last: _Turn) -> None:
        if last.role == "assistant":
            self._check_answered(last.calls(), {})
            raise self._problem(
                "the conversation ends with the assistant, and beginning its answer for it (prefill) isn't supported; "
                "end with a message of the user"
            )
        if all(isinstance(part, Text) and not part.text.strip() for part in last.parts):
            raise self._problem("the last message has only white space; give it a text")

    def _problem(self, advice: str) -> RequestError:
        return RequestError(f"{self._wording.field}: {advice}", param=self._wording.field)
