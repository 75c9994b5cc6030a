"""Errors ↔ HTTP: the one place that knows which error is which status and code.

`RULES` is read from the top; the first whose type fits counts. `facts` are the attributes that the answer's `details`
carry, in their own words, `retry` the one that becomes `Retry-After`. The text of an error that could name a place of
this machine isn't told: a rule with `message` says that instead, and of one that `quotes` the agent, which prints what
it likes, absolute paths are left out.

A failed turn is one error type with many codes: `FAILURES` has their statuses.
"""

from __future__ import annotations

import errno
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from qpty.agent.history import HistoryError, HistoryTooLargeError
from qpty.agent.provider import ProfileError
from qpty.compat.errors import (
    AnswerFailedError,
    AnswerNotJsonError,
    AnswerStoppedError,
    CallsAnsweredError,
    PreviousReplyError,
)
from qpty.compat.requests import RequestError
from qpty.core.errors import PromptError, PromptTooLongError
from qpty.core.states import AnswerError, ChoiceError
from qpty.server import errors as own
from qpty.server.access.origin import HostRefusedError, OriginRefusedError
from qpty.server.access.rate import TooManyStreamsError
from qpty.server.models.common import ErrorAnswer, ErrorDetail
from qpty.sessions import errors as sessions
from qpty.sessions.files import copying as copies
from qpty.sessions.files import errors as files
from qpty.sessions.files.errors import printable
from qpty.storage.errors import StorageBusyError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one type of error is told."""

    error: type[Exception]
    status: int
    code: str
    facts: tuple[str, ...] = ()
    retry: str | None = None
    retry_after: float | None = None
    message: str | None = None
    quotes: bool = False


def _rule(error: type[Exception], status: int, code: str, *facts: str, **more: Any) -> Rule:
    return Rule(error=error, status=status, code=code, facts=facts, **more)


BUSY: Final = "the database is busy: try again"
DIRECTORY: Final = "the session's directory can't be used; the log says why"
TROUBLE: Final = "the server's storage failed; its log says how. Nothing that was accepted is lost"

RULES: Final = (
    # what was asked
    _rule(own.InvalidRequestError, 400, "invalid_request", "problems"),
    _rule(own.MediaTypeError, 415, "unsupported_media_type", "media_type", "wanted"),
    _rule(own.BodyEncodingError, 415, "unsupported_encoding", "encoding"),
    _rule(own.BodyTooLargeError, 413, "body_too_large", "limit_bytes"),
    _rule(PromptTooLongError, 413, "message_too_long", "limit_bytes", "size_bytes"),
    _rule(PromptError, 400, "invalid_message"),
    _rule(ProfileError, 400, "invalid_profile", "field"),
    _rule(AnswerError, 400, "invalid_answer"),
    _rule(ChoiceError, 400, "invalid_choice"),
    _rule(sessions.ValueRefusedError, 400, "invalid_value", "field"),
    _rule(sessions.CursorError, 400, "invalid_cursor"),
    _rule(RequestError, 400, "invalid_request", "param"),
    _rule(PreviousReplyError, 404, "previous_response_not_found", "reply_id"),
    _rule(CallsAnsweredError, 409, "calls_answered", "call_ids"),
    _rule(HistoryTooLargeError, 413, "history_too_large", "limit", "unit"),
    _rule(HistoryError, 400, "invalid_history"),
    # who asked
    _rule(own.KeyRequiredError, 401, "key_required"),
    _rule(own.KeyRefusedError, 401, "key_refused"),
    _rule(own.NoKeysError, 409, "no_keys"),
    _rule(own.NotAllowedError, 403, "not_allowed"),
    _rule(HostRefusedError, 403, "host_refused"),
    _rule(OriginRefusedError, 403, "origin_refused"),
    _rule(own.RateLimitedError, 429, "rate_limited", "retry_after", retry="retry_after"),
    _rule(TooManyStreamsError, 429, "too_many_streams", "limit", retry_after=5),
    # sessions
    _rule(sessions.SessionNotFoundError, 404, "session_not_found"),
    _rule(sessions.TurnNotFoundError, 404, "turn_not_found"),
    _rule(sessions.QuestionOpenError, 409, "question_open"),
    _rule(sessions.QuestionGoneError, 409, "question_gone", "request_id", "open_request_id"),
    _rule(sessions.MessageKeyError, 409, "key_reused", "turn_id"),
    _rule(sessions.QueueFullError, 429, "queue_full", "limit", retry_after=5),
    _rule(sessions.NoCapacityError, 503, "no_capacity", "retry_after", retry="retry_after"),
    _rule(sessions.AgentUnavailableError, 503, "agent_unavailable", retry="retry_after", quotes=True),
    _rule(sessions.NotLiveError, 409, "not_live"),
    _rule(sessions.KeyboardTakenError, 409, "keyboard_taken"),
    _rule(sessions.KeyboardNotTakenError, 409, "keyboard_not_taken"),
    _rule(sessions.KeyboardBlockedError, 409, "keyboard_blocked"),
    _rule(sessions.NoRecordingError, 404, "no_recording"),
    _rule(sessions.ForkError, 409, "not_forkable", "turn_id"),
    _rule(sessions.ClosingError, 503, "stopping", retry_after=5),
    _rule(sessions.JournalFailedError, 500, "journal_failed"),
    # files
    _rule(files.FilePathError, 400, "invalid_path", "path", "reason"),
    _rule(files.FileMissingError, 404, "file_not_found", "path"),
    _rule(files.NotAFileError, 409, "not_a_file", "path", "kind"),
    _rule(files.DirectoryExpectedError, 409, "not_a_directory", "path", "kind"),
    _rule(files.NameTakenError, 412, "name_taken", "path", "kind"),
    _rule(files.DirectoryNotEmptyError, 409, "directory_not_empty", "path"),
    _rule(files.FileTooLargeError, 413, "file_too_large", "path", "limit_bytes"),
    _rule(copies.TreeTooLargeError, 413, "files_too_large", "limit_entries", "limit_bytes"),
    _rule(files.FileRangeError, 416, "invalid_range", "path", "size"),
    _rule(files.FileChangedError, 409, "file_changed", "path"),
    _rule(files.StorageFullError, 507, "storage_full", "path"),
    _rule(files.FileAccessError, 403, "file_refused", "path"),
    _rule(files.DirectoryError, 500, "directory_unusable", message=DIRECTORY),
    # turns that failed
    _rule(own.TurnFailedError, 502, "turn_failed", "session_id", "turn_id", "retryable", quotes=True),
    _rule(AnswerFailedError, 502, "turn_failed", "retryable", quotes=True),
    _rule(AnswerStoppedError, 409, "answer_stopped"),
    _rule(AnswerNotJsonError, 502, "answer_not_json"),
    # the storage
    _rule(StorageBusyError, 503, "storage_busy", message=BUSY, retry_after=1),
    _rule(StorageError, 503, "storage_failed", message=TROUBLE, retry_after=5),
)

FAILURES: Final[Mapping[str, int]] = {
    "not_signed_in": 503,
    "sign_in_expired": 503,
    "rate_limited": 429,
    "monthly_limit": 429,
    "context_overflow": 413,
    "account_suspended": 503,
    "access_denied": 503,
    "upstream_error": 502,
    "model_overloaded": 503,
    "agent_crashed": 502,
    "worker_lost": 502,
    "timeout": 504,
    "unknown": 502,
    "no_capacity": 503,
}
"""A failed turn's code → the status of an answer that waited for it; the answer's code is the turn's."""

UNEXPECTED: Final = "an error inside the server; its log has this request's id"

RETRY_LIMIT: Final = 3600.0

FACT_CHARACTERS: Final = 4096
"""Of one text among the facts."""

_PLACE: Final = re.compile(r"""(?<![\w/:.])/(?:[^\s/'"]+/)+[^\s'"]*""")
"""An absolute path of two names and more, and not the end of a URL."""

HTTP_CODES: Final[Mapping[int, str]] = {
    400: "invalid_request",
    404: "route_not_found",
    405: "method_not_allowed",
    411: "length_required",
    413: "body_too_large",
    416: "invalid_range",
    417: "expectation_failed",
}
"""Codes of what aiohttp itself refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error as it is told: the body, the status, and further headers."""

    status: int
    answer: ErrorAnswer
    headers: Mapping[str, str]


OVERLOADED: Final = _rule(
    OSError,
    503,
    "overloaded",
    message="the server has no descriptor left at this moment: try again",
    retry_after=1,
)
"""How any error is told whose cause is that the system gives this process no more descriptors."""

OTHERS: Final[Mapping[str, int]] = {
    "model_not_found": 404,
    "route_not_found": 404,
    "method_not_allowed": 405,
    "internal_error": 500,
    OVERLOADED.code: OVERLOADED.status,
}


def status_of(code: str) -> int:
    """Return the status that goes with a code. Raises KeyError for what is none."""
    found = next((rule.status for rule in RULES if rule.code == code), None)
    return found if found is not None else FAILURES[code] if code in FAILURES else OTHERS[code]


def rule_of(error: BaseException) -> Rule | None:
    """Return the rule of an error; None for what is a fault of ours."""
    if getattr(error, "errno", None) in {errno.EMFILE, errno.ENFILE}:
        return OVERLOADED
    return next((rule for rule in RULES if isinstance(error, rule.error)), None)


def refusal(error: BaseException, *, request_id: str) -> Refusal | None:
    """Return how an error is told; None for what is a fault of ours (see `fault`)."""
    if isinstance(error, web.HTTPException):
        return _http(error, request_id)
    rule = rule_of(error)
    if rule is None:
        return None
    status, code = rule.status, rule.code
    if isinstance(error, own.TurnFailedError | AnswerFailedError):
        status, code = FAILURES.get(error.code, rule.status), error.code
    elif isinstance(error, RequestError):
        status, code = error.status, error.code
    details = {name: _sendable(getattr(error, name)) for name in rule.facts}
    if isinstance(error, sessions.AgentUnavailableError):
        details["reason"] = error.code
    answer = ErrorAnswer(
        error=ErrorDetail(
            code=code,
            message=_message(error, rule),
            request_id=request_id,
            question=dict(error.question) if isinstance(error, sessions.QuestionOpenError) else None,
            details=details,
        )
    )
    headers: dict[str, str] = {}
    retry_after = rule.retry_after if rule.retry is None else getattr(error, rule.retry)
    if retry_after is not None:
        headers["Retry-After"] = str(math.ceil(min(max(retry_after, 1.0), RETRY_LIMIT)))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="qpty"'
    if isinstance(error, files.FileRangeError):
        headers["Content-Range"] = f"bytes */{error.size}"
    return Refusal(status=status, answer=answer, headers=headers)


def fault(*, request_id: str) -> Refusal:
    """Return what is told of an error inside the server."""
    detail = ErrorDetail(code="internal_error", message=UNEXPECTED, request_id=request_id)
    return Refusal(status=500, answer=ErrorAnswer(error=detail), headers={})


def _http(error: web.HTTPException, request_id: str) -> Refusal:
    """What aiohttp refused by itself: no such route, no such method."""
    code = HTTP_CODES.get(error.status, "refused")
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    message = f"{error.reason}: see the interface at /docs"
    return Refusal(
        status=error.status,
        answer=ErrorAnswer(error=ErrorDetail(code=code, message=message, request_id=request_id)),
        headers=headers,
    )


def _message(error: BaseException, rule: Rule) -> str:
    text = rule.message or printable(str(error))
    return _PLACE.sub("…", text) if rule.quotes else text


def _sendable(fact: Any) -> Any:
    """Return a fact as JSON can hold it: a path or a header may have come as bytes that are no text."""
    return printable(fact[:FACT_CHARACTERS]) if isinstance(fact, str) else fact
