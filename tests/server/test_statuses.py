"""Errors ↔ statuses: none forgotten, each documented, and none tells a secret or a place of this machine."""

from __future__ import annotations

import errno
import importlib
import inspect
import json
import logging
import pkgutil
import re
from typing import TYPE_CHECKING, Any, get_args

import pytest

import qpty
from qpty.agent import agent_file, capture, data_home, dialects, driver, record
from qpty.agent import errors as agent
from qpty.compat import errors as clients
from qpty.compat import json_answers
from qpty.core import errors as core
from qpty.core import states
from qpty.core.events import FailureCode
from qpty.server import errors as own
from qpty.server import model_files, serving, settings_errors, statuses
from qpty.server.access import cookies, keys, origin
from qpty.server.access.rate import RateLimiter
from qpty.server.api import OPERATIONS
from qpty.sessions import errors as sessions
from qpty.sessions.errors import AgentUnavailableError, NoCapacityError
from qpty.sessions.files import errors as files
from qpty.storage import errors as storage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.conftest import Serve

for found in pkgutil.walk_packages(qpty.__path__, "qpty."):
    if ".demo" not in found.name and not found.name.endswith("__main__"):
        importlib.import_module(found.name)


def every_error() -> list[type[core.QptyError]]:
    """Every error of ours that there is."""
    found: list[type[core.QptyError]] = []
    left = [core.QptyError]
    while left:
        error = left.pop()
        found.append(error)
        left.extend(error.__subclasses__())
    return found


BASES = {
    core.QptyError,
    own.ServerError,
    origin.OriginError,
    sessions.SessionsError,
    files.FileError,
    agent.AgentError,
    clients.AnswerError,
}
"""Never raised themselves."""

AT_START_OR_BY_THE_COMMAND_LINE = {
    keys.KeysError, cookies.SecretFileError, serving.AddressInUseError, settings_errors.SettingsError,
    model_files.ModelFileError,
    sessions.DataDirectoryInUseError, data_home.DataHomeError, capture.CaptureError, dialects.DialectError,
    agent.AgentNotFoundError, *(error for error in every_error() if error.__module__.startswith("qpty.cli.")),
}  # fmt: skip
"""Before there is anybody to answer, or to somebody at a terminal."""

HANDLED_BY_SESSIONS = {
    agent.StartError, agent.TerminalError, agent.ProcessGoneError, agent.ExitTimeoutError, driver.AgentStartError,
    driver.TakeUpError, driver.AgentGoneError, record.RecordError, states.NotReadyError,
    states.QuestionMismatchError, json_answers.JsonAnswerError, agent_file.AgentFileError,
}  # fmt: skip
"""What happens to an agent is told as a turn's end, a revival, or another error of a session's."""


def test_every_error_has_a_status_or_is_known_not_to_reach_anybody() -> None:
    internal = tuple(AT_START_OR_BY_THE_COMMAND_LINE | HANDLED_BY_SESSIONS)
    told = tuple(rule.error for rule in statuses.RULES)
    for error in every_error():
        if error not in BASES:
            assert issubclass(error, told) != issubclass(error, internal), error


def test_every_error_of_the_storage_has_a_status() -> None:
    for name, error in inspect.getmembers(storage, inspect.isclass):
        if name.endswith("Error"):
            assert issubclass(error, tuple(rule.error for rule in statuses.RULES)), name


def test_no_rule_is_hidden_by_one_above_it() -> None:
    for position, rule in enumerate(statuses.RULES):
        assert not any(issubclass(rule.error, above.error) for above in statuses.RULES[:position]), rule


def test_every_failure_of_a_turn_has_a_status() -> None:
    assert set(statuses.FAILURES) == {*get_args(FailureCode), "no_capacity"}
    for code, status in statuses.FAILURES.items():
        assert status in {413, 429, 502, 503, 504}, code


def test_every_code_of_the_table_of_operations_is_one() -> None:
    raised = {rule.code for rule in statuses.RULES} | set(statuses.FAILURES) | set(statuses.OTHERS)
    for operation in OPERATIONS:
        assert set(operation.errors) <= raised, operation.id
    assert all(re.fullmatch(r"[a-z_]+", code) for code in raised)


@pytest.mark.parametrize(
    ("seconds", "header"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.01, "2"), (30.0, "30"), (1e9, "3600")]
)
def test_retry_after_is_whole_seconds_and_never_zero(seconds: float, header: str) -> None:
    told = statuses.refusal(NoCapacityError(seconds), request_id="r")
    assert told is not None
    assert told.headers["Retry-After"] == header


def test_a_fault_tells_nothing(tmp_path: Path) -> None:
    assert statuses.refusal(FileNotFoundError(f"{tmp_path}/secret"), request_id="r") is None
    told = statuses.fault(request_id="r")
    assert (told.status, told.answer.error.code) == (500, "internal_error")


@pytest.mark.parametrize(
    "error",
    [
        files.BaseDirectoryError(__import__("pathlib").Path("/home/canary"), 13),
        files.DirectoryReplacedError("canary", "symbolic link"),
        storage.StorageFailedError("canary: disk I/O error at /home/canary", retryable=True),
        storage.StorageOpenError("postgresql://canary:***@host/db", "canary"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_trouble_of_the_machine_is_told_without_its_words(error: Exception) -> None:
    told = statuses.refusal(error, request_id="r")
    assert told is not None
    assert told.status in {500, 503}
    assert "canary" not in told.answer.model_dump_json()


SECRETS = {
    "key": "canary-key-0a1b2c3d4e5f",
    "other": "canary-wrong-9f8e7d6c5b",
    "environment": "canary-environment-77",
    "cookie": "canary-cookie-1122334455",
    "query": "canary-query-5544332211",
    "text": "canary-words-of-a-person",
}


async def test_no_answer_and_no_line_of_the_log_has_a_secret_or_a_place(
    serve_demo: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything is asked for, rightly and wrongly; what comes back, and what is logged, is searched."""
    caplog.set_level(logging.DEBUG, logger="qpty")
    environment = {"AWS_SECRET_ACCESS_KEY": SECRETS["environment"]}
    answers: list[str] = []
    async with serve_demo(openai_keys=SECRETS["key"], environment=environment) as served:
        served.service.access.failures = RateLimiter(0)  # so that each wrong key gets its own answer
        right = {"Authorization": f"Bearer {SECRETS['key']}"}
        served.headers = dict(right)
        session_id = await served.session()
        parts = {
            "session_id": session_id, "turn_id": "none", "request_id": "none", "path": "no/such", "view": "files",
            "token": "none", "model_id": "none",
        }  # fmt: skip
        bodies: list[Any] = [None, {"message": SECRETS["text"], "session_id": session_id}, {"message": 1, "answer": 2}]
        for operation in OPERATIONS:
            if operation.id in {"events", "delete_session", "get_session", "change_session", "list_files"}:
                continue  # without an end; wanted until the end; with its directory, as asked for
            path = operation.path.format(**parts)
            for body in bodies:
                for headers in (
                    right,
                    {"Authorization": f"Bearer {SECRETS['other']}"},
                    {"Cookie": f"qpty={SECRETS['cookie']}"},
                    {**right, "Host": "evil.example"},
                    {**right, "Content-Type": "text/plain"},
                ):
                    async with served.http.request(
                        operation.method, f"{served.url}{path}?cursor={SECRETS['query']}&limit=x&follow=x",
                        data=json.dumps(body) if body is not None else None,
                        headers={"Content-Type": "application/json", **headers},
                    ) as response:  # fmt: skip
                        text = await response.text(errors="replace")
                        if operation.id in {"asset", "docs", "openapi"}:
                            text = ""
                        answers.append(f"{operation.id} {dict(response.headers)} {text}")
        assert (await served.ask("DELETE", f"/api/v1/sessions/{session_id}"))[0] == 204
    places = {str(tmp_path), str(tmp_path.parent), "/work/", "/usr/lib", "site-packages", "Traceback"}
    said = {SECRETS["text"]}  # what a person said comes back to that person
    for answer in answers:
        for canary in (*SECRETS.values(), *places):
            if canary not in said or not answer.startswith(
                ("chat ", "chat_stream ", "list_messages ", "get_screen ", "get_recording ", "get_recorded_screens ")
            ):
                assert canary not in answer, answer[:500]
    assert len(caplog.records) > 100
    for entry in caplog.records:
        line = f"{entry.getMessage()} {entry.exc_info}"
        for canary in SECRETS.values():
            assert canary not in line, line[:500]
    assert not [entry for entry in caplog.records if entry.levelno >= logging.ERROR]


async def test_an_agent_that_does_not_start_is_told_without_places(serve_demo: Serve, tmp_path: Path) -> None:
    broken = {"QPTY_DEMO_PACE": "no number"}  # it dies at its start, and prints where
    async with serve_demo(environment=broken, start_timeout=10, max_error_count=1) as served:
        status, answer = await served.ask("POST", "/api/v1/chat", {"message": "hello"})
        assert status in {502, 503}
        assert "agent" in answer["error"]["message"]
        assert "Traceback" in answer["error"]["message"], "what it printed is told"
        for place in (str(tmp_path), "/demo/", ".py"):
            assert place not in answer["error"]["message"]


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ('File "/srv/q/app.py", line 3', 'File "…", line 3'),
        ("cannot open /etc/q/settings.json: denied", "cannot open … denied"),
        ("see https://example.org/a/b and /tmp/x/y", "see https://example.org/a/b and …"),
        ("1/2 of a/b/c, and/or, /help", "1/2 of a/b/c, and/or, /help"),
    ],
)
def test_places_in_an_agents_words_are_left_out(printed: str, told: str) -> None:
    refusal = statuses.refusal(AgentUnavailableError("agent_crashed", printed), request_id="r")
    assert refusal is not None
    assert refusal.answer.error.message == f"the agent does not start (agent_crashed): {told}"


@pytest.mark.parametrize("error", [files.FileAccessError("note.txt", errno.EMFILE), OSError(errno.ENFILE, "too many")])
def test_the_lack_of_descriptors_is_nobodys_fault(error: Exception) -> None:
    told = statuses.refusal(error, request_id="r")
    assert told is not None
    assert (told.status, told.answer.error.code) == (503, "overloaded")
    assert told.headers["Retry-After"] == "1"
