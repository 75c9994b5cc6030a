"""Problems as OpenAI's and Anthropic's clients know them: the one place that knows which code is told how.

Clients act on what they are told: on the status (the SDKs try again after 408, 409, 429 and 5xx, unless
`x-should-retry` says no), on OpenAI's `code`, on the code in a Response that failed (Codex tries again after any that
it doesn't know), and, in a text, on `prompt is too long` (Claude Code then makes its conversation shorter). `TELLINGS`
says for each of this server's codes which of these ways fits; a code that isn't there is OpenAI's own, set by who read
the request, and goes by its status.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qpty.compat.replies import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One way to tell a problem.

    A status of None is the problem's own, and so is a `code`. `failed` is the code in a Response that failed. `retry`:
    False where trying again can't help, None where the client may do what it does.
    """

    openai: str
    anthropic: str
    failed: str
    openai_status: int | None = None
    anthropic_status: int | None = None
    code: str | None = None
    retry: bool | None = None


INVALID: Final = Telling(
    openai="invalid_request_error",
    anthropic="invalid_request_error",
    failed="invalid_prompt",
    retry=False,
)
"""The request is wrong; its status says in which way."""

TOO_LONG: Final = Telling(
    openai="invalid_request_error",
    anthropic="invalid_request_error",
    failed="context_length_exceeded",
    openai_status=400,
    anthropic_status=400,
    code="context_length_exceeded",
    retry=False,
)
"""More than the model, or the CLI, takes in one conversation: a client that can makes it shorter."""

TOO_LARGE: Final = Telling(
    openai="invalid_request_error",
    anthropic="request_too_large",
    failed="invalid_prompt",
    openai_status=413,
    anthropic_status=413,
    retry=False,
)
"""More bytes than the server takes."""

BAD_KEY: Final = Telling(
    openai="authentication_error",
    anthropic="authentication_error",
    failed="invalid_prompt",
    openai_status=401,
    anthropic_status=401,
    code="invalid_api_key",
    retry=False,
)

FORBIDDEN: Final = Telling(
    openai="permission_error",
    anthropic="permission_error",
    failed="invalid_prompt",
    openai_status=403,
    anthropic_status=403,
    retry=False,
)

MISSING: Final = Telling(
    openai="not_found_error",
    anthropic="not_found_error",
    failed="invalid_prompt",
    openai_status=404,
    anthropic_status=404,
    retry=False,
)

CONFLICT: Final = Telling(
    openai="invalid_request_error",
    anthropic="conflict_error",
    failed="invalid_prompt",
    openai_status=409,
    anthropic_status=409,
    retry=False,
)
"""Not as things are. They don't change within the second in which an SDK would try again."""

LIMITED: Final = Telling(
    openai="rate_limit_error",
    anthropic="rate_limit_error",
    failed="rate_limit_exceeded",
    openai_status=429,
    anthropic_status=429,
    code="rate_limit_exceeded",
)

USED_UP: Final = Telling(
    openai="insufficient_quota",
    anthropic="rate_limit_error",
    failed="insufficient_quota",
    openai_status=429,
    anthropic_status=429,
    code="insufficient_quota",
    retry=False,
)
"""Nothing more until next month."""

BUSY: Final = Telling(
    openai="server_error",
    anthropic="overloaded_error",
    failed="server_is_overloaded",
    openai_status=503,
    anthropic_status=529,
    code="server_is_overloaded",
)
"""Too much to do, or not for long any more; later, or another server, will do."""

BROKEN: Final = Telling(
    openai="server_error",
    anthropic="api_error",
    failed="server_error",
    openai_status=500,
    anthropic_status=500,
)
"""Something failed that may not fail the next time."""

UNAVAILABLE: Final = Telling(
    openai="server_error",
    anthropic="api_error",
    failed="server_error",
    openai_status=503,
    anthropic_status=500,
)
"""Not to be had now; Anthropic has no status for that."""

NOT_WHAT_WAS_ASKED: Final = Telling(
    openai="server_error",
    anthropic="api_error",
    failed="invalid_prompt",
    openai_status=500,
    anthropic_status=500,
    retry=False,
)
"""The model was asked again already."""

TIMED_OUT: Final = Telling(
    openai="server_error",
    anthropic="timeout_error",
    failed="server_error",
    openai_status=504,
    anthropic_status=504,
)

HOPELESS: Final = Telling(
    openai="server_error",
    anthropic="api_error",
    failed="invalid_prompt",
    openai_status=503,
    anthropic_status=500,
    retry=False,
)
"""Until a person does something about this server. `invalid_prompt` isn't what it is, but of the codes that clients
show, and don't try again after, the only one that brings its own message."""

TELLINGS: Final[Mapping[str, Telling]] = {
    # what was asked
    "invalid_request": INVALID,
    "unsupported_media_type": INVALID,
    "unsupported_encoding": INVALID,
    "body_too_large": TOO_LARGE,
    "message_too_long": TOO_LONG,
    "invalid_message": INVALID,
    "invalid_profile": INVALID,
    "invalid_answer": INVALID,
    "invalid_choice": INVALID,
    "invalid_value": INVALID,
    "invalid_cursor": INVALID,
    "route_not_found": MISSING,
    "method_not_allowed": INVALID,
    "length_required": INVALID,
    "expectation_failed": INVALID,
    "previous_response_not_found": MISSING,
    "calls_answered": CONFLICT,
    "history_too_large": TOO_LONG,
    "invalid_history": INVALID,
    # who asked
    "key_required": BAD_KEY,
    "key_refused": BAD_KEY,
    "no_keys": CONFLICT,
    "not_allowed": FORBIDDEN,
    "host_refused": FORBIDDEN,
    "origin_refused": FORBIDDEN,
    "rate_limited": LIMITED,
    "too_many_streams": LIMITED,
    # sessions
    "session_not_found": MISSING,
    "turn_not_found": MISSING,
    "question_open": CONFLICT,
    "question_gone": CONFLICT,
    "key_reused": CONFLICT,
    "queue_full": LIMITED,
    "no_capacity": BUSY,
    "agent_unavailable": UNAVAILABLE,
    "not_live": CONFLICT,
    "keyboard_taken": CONFLICT,
    "keyboard_not_taken": CONFLICT,
    "keyboard_blocked": CONFLICT,
    "no_recording": MISSING,
    "not_forkable": CONFLICT,
    "stopping": BUSY,
    "journal_failed": BROKEN,
    # files
    "invalid_path": INVALID,
    "file_not_found": MISSING,
    "not_a_file": CONFLICT,
    "not_a_directory": CONFLICT,
    "name_taken": CONFLICT,
    "directory_not_empty": CONFLICT,
    "file_too_large": TOO_LARGE,
    "files_too_large": TOO_LARGE,
    "invalid_range": INVALID,
    "file_changed": CONFLICT,
    "storage_full": HOPELESS,
    "file_refused": FORBIDDEN,
    "directory_unusable": HOPELESS,
    # turns that failed
    "turn_failed": BROKEN,
    "answer_stopped": CONFLICT,
    "answer_not_json": NOT_WHAT_WAS_ASKED,
    "not_signed_in": HOPELESS,
    "sign_in_expired": HOPELESS,
    "monthly_limit": USED_UP,
    "context_overflow": TOO_LONG,
    "account_suspended": HOPELESS,
    "access_denied": HOPELESS,
    "upstream_error": BROKEN,
    "model_overloaded": BUSY,
    "agent_crashed": BROKEN,
    "worker_lost": BROKEN,
    "timeout": TIMED_OUT,
    "unknown": BROKEN,
    # the server
    "storage_busy": BUSY,
    "storage_failed": UNAVAILABLE,
    "overloaded": BUSY,
    "internal_error": BROKEN,
    # OpenAI's own, where the status doesn't say it all
    "context_length_exceeded": TOO_LONG,
    "model_not_found": MISSING,
}

DETAILED: Final = frozenset({"thread_unsupported_request"})
"""Codes that Anthropic's clients look for in an error's details."""

BY_STATUS: Final[Mapping[int, Telling]] = {
    401: BAD_KEY,
    403: FORBIDDEN,
    404: MISSING,
    409: CONFLICT,
    413: TOO_LARGE,
    429: LIMITED,
    503: UNAVAILABLE,
    504: TIMED_OUT,
}

SHORTEN: Final = "prompt is too long"
"""Anthropic's words for a conversation that doesn't fit; clients look for them."""


def telling_of(problem: Problem) -> Telling:
    """Return how a problem is told: by its code, else by its status."""
    known = TELLINGS.get(problem.code) or BY_STATUS.get(problem.status)
    if known is not None:
        return known
    return BROKEN if problem.status >= 500 else INVALID


def openai_status(problem: Problem) -> int:
    """Return the HTTP status for a client of OpenAI's interfaces."""
    return telling_of(problem).openai_status or problem.status


def anthropic_status(problem: Problem) -> int:
    """Return the HTTP status for a client of Anthropic's interface."""
    return telling_of(problem).anthropic_status or problem.status


def should_retry(problem: Problem) -> bool | None:
    """Return what the header `x-should-retry` says; None where there is none, and the client decides."""
    return telling_of(problem).retry


def openai_error(problem: Problem) -> Mapping[str, Any]:
    """Return the body for a client of OpenAI's interfaces; also what a stream of chunks ends with."""
    telling = telling_of(problem)
    return {
        "error": {
            "message": problem.message,
            "type": telling.openai,
            "param": problem.param,
            "code": telling.code or problem.code,
        }
    }


def response_error(problem: Problem) -> Mapping[str, Any]:
    """Return `error` of a Response that failed."""
    return {"code": telling_of(problem).failed, "message": problem.message}


def anthropic_error(problem: Problem) -> Mapping[str, Any]:
    """Return the body for a client of Anthropic's interface; also the event that a stream ends with.

    The text has what this form of error has no field for: which part of the request is meant.
    """
    telling = telling_of(problem)
    message = problem.message
    if problem.param is not None and problem.param not in message:
        message = f"{problem.param}: {message}"
    if telling is TOO_LONG and SHORTEN not in message.lower():
        message = f"{SHORTEN}: {message}"
    error: dict[str, Any] = {"type": telling.anthropic, "message": message}
    if problem.code in DETAILED:
        error["details"] = {"error_code": problem.code}
    return {"type": "error", "error": error, "request_id": problem.request_id}
