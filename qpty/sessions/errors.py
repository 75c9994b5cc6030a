"""What sessions refuse, and why.

```
SessionsError
├── SessionNotFoundError        .session_id
├── TurnNotFoundError           .turn_id
├── QuestionOpenError           .question: a message came while a permission or a menu is open
├── QuestionGoneError           .request_id .open_request_id: an answer came for a question that isn't open
├── MessageKeyError             .turn_id: another message came with the key of one that is known
├── QueueFullError              .limit: as many messages wait in this session as may
├── NoCapacityError             .retry_after: every worker is in use, and stayed so
├── AgentUnavailableError       .code .detail .retry_after: the agent does not start
├── NotLiveError                .session_id: what needs a live terminal came to a hibernated session
├── KeyboardTakenError          somebody else types at the terminal by hand
├── KeyboardNotTakenError       keys came from somebody who doesn't have the keyboard
├── KeyboardBlockedError        the terminal doesn't take the keys that were typed before
├── NoRecordingError            .session_id .why: there is nothing to play
├── ValueRefusedError           .field .why: a title, a size, an owner or the like that can't be
├── JournalFailedError          .session_id: the database refused this session's events for good
├── CursorError                 .cursor: a page was asked for with something that isn't a cursor
├── ForkError                   .turn_id: there is nothing to fork from
├── ClosingError                the server is stopping
└── DataDirectoryInUseError     .path: another server has it
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qpty.core.errors import QptyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class SessionsError(QptyError):
    """Something that a session, or the pool, can't do."""


class SessionNotFoundError(SessionsError):
    """There is no such session, or it belongs to somebody else."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"there is no session {session_id[:64]!r}: list the sessions, or create one")
        self.session_id = session_id


class TurnNotFoundError(SessionsError):
    """The session has no such turn."""

    def __init__(self, turn_id: str) -> None:
        super().__init__(f"the session has no turn {turn_id[:64]!r}")
        self.turn_id = turn_id


class QuestionOpenError(SessionsError):
    """A message came while a question is open: typed, it would answer it. `question` is the journal's event."""

    def __init__(self, question: Mapping[str, Any]) -> None:
        super().__init__(f"a question is open: answer {question['request_id']} first, or interrupt the turn")
        self.question = question


class QuestionGoneError(SessionsError):
    """An answer came for a question that isn't open (any more); `open_request_id` is the one that is, if any."""

    def __init__(self, request_id: str, open_request_id: str | None) -> None:
        what = f"answer {open_request_id}" if open_request_id is not None else "none is"
        super().__init__(f"question {request_id[:64]!r} is not open: {what}")
        self.request_id = request_id
        self.open_request_id = open_request_id


class MessageKeyError(SessionsError):
    """A message came with the key of turn `turn_id`, whose text is another one."""

    def __init__(self, turn_id: str) -> None:
        super().__init__(
            f"another message was sent with this key already (turn {turn_id}): give each message a key of its own"
        )
        self.turn_id = turn_id


class QueueFullError(SessionsError):
    """`limit` messages wait in this session already."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} messages wait in this session already: send again when a turn has ended")
        self.limit = limit


class NoCapacityError(SessionsError):
    """Every worker is in use and stayed so; try again after `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"every worker is in use: try again in {retry_after:.0f} s; nothing was sent")
        self.retry_after = retry_after


class AgentUnavailableError(SessionsError):
    """The agent does not start: `code` is a failure's, `detail` what it printed, `retry_after` seconds or None."""

    def __init__(self, code: str, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"the agent does not start ({code}): {detail or 'it printed nothing'}")
        self.code = code
        self.detail = detail
        self.retry_after = retry_after


class NotLiveError(SessionsError):
    """The session has no live terminal now; a message gives it one."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"session {session_id} has no live terminal: a message to it starts one")
        self.session_id = session_id


class KeyboardTakenError(SessionsError):
    """Somebody else has the keyboard of this session's terminal."""

    def __init__(self) -> None:
        super().__init__("somebody else types at this terminal by hand: wait until the keyboard is given back")


class KeyboardNotTakenError(SessionsError):
    """Keys came from somebody who doesn't have the keyboard, or not any more."""

    def __init__(self) -> None:
        super().__init__("the keyboard is not yours: take it over first")


class KeyboardBlockedError(SessionsError):
    """The terminal doesn't take the keys that were typed before; nothing of these was typed."""

    def __init__(self) -> None:
        super().__init__("the terminal does not take what was typed before: wait, or interrupt the turn")


class NoRecordingError(SessionsError):
    """There is no recording of the session's terminal, for the reason in `why`."""

    def __init__(self, session_id: str, why: str) -> None:
        super().__init__(f"session {session_id} has no recording: {why}")
        self.session_id = session_id
        self.why = why


class ValueRefusedError(SessionsError):
    """A value can't be taken: `field` names it, `why` says what may be given."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} cannot be taken: {why}")
        self.field = field
        self.why = why


class JournalFailedError(SessionsError):
    """The database refused this session's events for good (the log says why), so its journal can't go on."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"events of session {session_id} were refused by the database; its turns up to then are kept")
        self.session_id = session_id


class CursorError(SessionsError):
    """A page was asked for with a cursor that no page gave."""

    def __init__(self, cursor: str) -> None:
        super().__init__(f"{cursor[:80]!r} is not a cursor: use `next` of a page, or none for the first page")
        self.cursor = cursor


class ForkError(SessionsError):
    """The session can't be forked there: the turn didn't end well, or there is none."""

    def __init__(self, turn_id: str | None, why: str) -> None:
        super().__init__(f"the session cannot be forked at turn {turn_id!r}: {why}")
        self.turn_id = turn_id


class ClosingError(SessionsError):
    """The server is stopping and takes nothing new."""

    def __init__(self) -> None:
        super().__init__("the server is stopping: send again when it is back")


class DataDirectoryInUseError(SessionsError):
    """Another server uses this data directory: two would type into the same conversations."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is in use by another qpty: stop that one, or give this one another data directory")
        self.path = path
