"""Problems, as clients of either family understand them."""

from __future__ import annotations

from typing import get_args

import pytest

from qpty.compat.replies import Problem
from qpty.compat.writing.problems import (
    TELLINGS,
    anthropic_error,
    anthropic_status,
    openai_error,
    openai_status,
    response_error,
    should_retry,
)
from qpty.core.events import FailureCode
from qpty.server.statuses import FAILURES, HTTP_CODES, OTHERS, RULES
from tests.compat.schemas import check, require_schema

SERVER: dict[str, int] = (
    {code: status for status, code in HTTP_CODES.items()}
    | {rule.code: rule.status for rule in RULES}
    | dict(OTHERS)
    | dict(FAILURES)
)
"""Every code that this server has → its status."""

ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""What Anthropic publishes."""

OPENAI = {
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "rate_limit_error",
    "insufficient_quota",
    "server_error",
}

FAILED = {
    "context_length_exceeded",
    "insufficient_quota",
    "invalid_prompt",
    "server_is_overloaded",
    "rate_limit_exceeded",
    "server_error",
}
"""Codes of a Response that failed which Codex knows, and one for the rest."""

HOPELESS = {
    "not_signed_in",
    "sign_in_expired",
    "account_suspended",
    "access_denied",
    "monthly_limit",
    "storage_full",
    "directory_unusable",
    "answer_not_json",
}
"""Codes of 429 and 5xx after which the next try goes as the first did."""


def problem(code: str, status: int | None = None, message: str = "no", param: str | None = None) -> Problem:
    return Problem(
        status=SERVER[code] if status is None else status,
        code=code,
        message=message,
        request_id="req_1",
        param=param,
    )


@pytest.mark.parametrize("code", sorted(SERVER))
def test_every_code_of_the_server_is_told_on_purpose(code: str) -> None:
    assert code in TELLINGS, f"say in qpty.compat.writing.problems how {code} is told"


def test_every_failure_of_a_turn_is_told_on_purpose() -> None:
    assert set(get_args(FailureCode)) <= set(TELLINGS)


@pytest.mark.parametrize("code", sorted(SERVER))
def test_every_code_is_told_in_published_words(code: str) -> None:
    told = problem(code)
    status = anthropic_status(told)
    if status in ANTHROPIC:
        assert anthropic_error(told)["error"]["type"] == ANTHROPIC[status]
    else:
        assert (status, anthropic_error(told)["error"]["type"]) == (SERVER[code], "invalid_request_error")
        assert 405 <= status <= 417, "Anthropic has words for this"
    assert openai_error(told)["error"]["type"] in OPENAI
    assert response_error(told)["code"] in FAILED


@pytest.mark.parametrize("code", sorted(SERVER))
def test_a_status_stays_in_its_hundred(code: str) -> None:
    assert {openai_status(problem(code)) // 100, anthropic_status(problem(code)) // 100} == {SERVER[code] // 100}


@pytest.mark.parametrize("code", sorted(SERVER))
def test_a_client_tries_again_where_that_can_help(code: str) -> None:
    told = problem(code)
    retry = should_retry(told)
    if code in HOPELESS:
        assert retry is False
    elif SERVER[code] >= 500 or SERVER[code] == 429:
        assert retry is None, "the SDKs try again by themselves"
    else:
        assert retry is False
    if retry is False:
        assert response_error(told)["code"] in {"invalid_prompt", "context_length_exceeded", "insufficient_quota"}, (
            "Codex would try again"
        )


@pytest.mark.parametrize("code", sorted(SERVER))
def test_an_error_is_one_by_the_schema(code: str) -> None:
    require_schema()
    check("ErrorResponse", openai_error(problem(code)))


@pytest.mark.parametrize(
    ("code", "openai", "kind", "word", "anthropic"),
    [
        ("context_overflow", 400, "invalid_request_error", "context_length_exceeded", 400),
        ("message_too_long", 400, "invalid_request_error", "context_length_exceeded", 400),
        ("body_too_large", 413, "invalid_request_error", "body_too_large", 413),
        ("invalid_value", 400, "invalid_request_error", "invalid_value", 400),
        ("method_not_allowed", 405, "invalid_request_error", "method_not_allowed", 405),
        ("key_required", 401, "authentication_error", "invalid_api_key", 401),
        ("key_refused", 401, "authentication_error", "invalid_api_key", 401),
        ("not_allowed", 403, "permission_error", "not_allowed", 403),
        ("session_not_found", 404, "not_found_error", "session_not_found", 404),
        ("question_open", 409, "invalid_request_error", "question_open", 409),
        ("rate_limited", 429, "rate_limit_error", "rate_limit_exceeded", 429),
        ("queue_full", 429, "rate_limit_error", "rate_limit_exceeded", 429),
        ("monthly_limit", 429, "insufficient_quota", "insufficient_quota", 429),
        ("no_capacity", 503, "server_error", "server_is_overloaded", 529),
        ("stopping", 503, "server_error", "server_is_overloaded", 529),
        ("model_overloaded", 503, "server_error", "server_is_overloaded", 529),
        ("not_signed_in", 503, "server_error", "not_signed_in", 500),
        ("agent_unavailable", 503, "server_error", "agent_unavailable", 500),
        ("upstream_error", 500, "server_error", "upstream_error", 500),
        ("timeout", 504, "server_error", "timeout", 504),
        ("internal_error", 500, "server_error", "internal_error", 500),
    ],
)
def test_how_it_is_told(code: str, openai: int, kind: str, word: str, anthropic: int) -> None:
    told = problem(code)
    assert (openai_status(told), anthropic_status(told)) == (openai, anthropic)
    assert openai_error(told) == {"error": {"message": "no", "type": kind, "param": None, "code": word}}


@pytest.mark.parametrize(
    ("code", "status", "kind", "retry"),
    [
        ("unsupported_parameter", 400, "invalid_request_error", False),
        ("unprocessable", 422, "invalid_request_error", False),
        ("model_not_found", 404, "not_found_error", False),
        ("context_length_exceeded", 400, "invalid_request_error", False),
        ("odd", 409, "invalid_request_error", False),
        ("odd", 502, "server_error", None),
        ("odd", 503, "server_error", None),
    ],
)
def test_a_code_of_openai_s_own_goes_by_its_status(code: str, status: int, kind: str, retry: bool | None) -> None:
    told = problem(code, status)
    assert openai_error(told)["error"] == {"message": "no", "type": kind, "param": None, "code": code}
    assert openai_status(told) == (500 if status == 502 else status)
    assert should_retry(told) is retry


@pytest.mark.parametrize("status", sorted(ANTHROPIC))
def test_anthropic_s_word_for_an_unknown_code_is_that_of_its_status(status: int) -> None:
    told = problem("odd", 503 if status == 529 else status)
    assert anthropic_error(told)["error"]["type"] == ANTHROPIC[anthropic_status(told)]
    assert anthropic_status(told) == (500 if status == 529 else status)


def test_openai_names_the_field() -> None:
    told = problem("invalid_value", message="too long", param="messages.0.content")
    assert openai_error(told)["error"]["param"] == "messages.0.content"
    assert openai_error(told)["error"]["message"] == "too long"


@pytest.mark.parametrize(
    ("message", "told"),
    [("too long", "tools.0.name: too long"), ("tools.0.name is too long", "tools.0.name is too long")],
)
def test_anthropic_names_the_field_once(message: str, told: str) -> None:
    body = anthropic_error(problem("invalid_value", message=message, param="tools.0.name"))
    assert body == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": told},
        "request_id": "req_1",
    }


@pytest.mark.parametrize("message", ["too much", "Prompt is too long: 9 > 8"])
def test_claude_code_is_told_to_shorten_its_conversation(message: str) -> None:
    told = anthropic_error(problem("context_overflow", message=message))["error"]["message"]
    assert told.lower().count("prompt is too long") == 1
    assert message in told
    assert "prompt is too long" not in anthropic_error(problem("body_too_large"))["error"]["message"]
