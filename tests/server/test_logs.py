"""The log: one line each, context, no secrets, no texts, nothing that forges, nobody who waits."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qpty.server.log_writing import LineHandler
from qpty.server.logs import MARK, configure_logging, get_logger, printable
from qpty.server.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
KEY = "qpty_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE"


class Log:
    """What was logged since it was made."""

    def __init__(self, **options: Any) -> None:
        self.stream = io.StringIO()
        self.handler = configure_logging(stream=self.stream, **options)
        logging.getLogger().handlers = [self.handler]  # pytest adds its own for each phase of a test

    def text(self) -> str:
        self.handler.flush()
        return self.stream.getvalue()

    def lines(self) -> list[str]:
        text = self.text()
        assert text.endswith("\n")
        return text[:-1].split("\n")

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines()]


@pytest.fixture
def log() -> Iterator[Callable[..., Log]]:
    """Configure logging; afterwards everything is as it was."""
    root = logging.getLogger()
    names = ("qpty", "aiohttp", "asyncio", "sqlalchemy", "aiohttp.access")
    levels = {name: logging.getLogger(name).level for name in names} | {"": root.level}
    yield Log
    for handler in [known for known in root.handlers if isinstance(known, LineHandler)]:
        root.removeHandler(handler)
        handler.close()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def fail(text: str) -> None:
    raise ValueError(text)


def server_log() -> structlog.stdlib.BoundLogger:
    return get_logger("qpty.server")


def test_both_kinds_of_logger_give_the_same_lines(log: Callable[..., Log]) -> None:
    written = log(format="json")
    with structlog.contextvars.bound_contextvars(request_id="r1", session_id="s1", turn_id="t1"):
        server_log().info("request", status=200)
        logging.getLogger("qpty.sessions.manager").warning("session %s is %d", "s1", 5)
    first, second = written.rows()
    assert list(first) == ["timestamp", "level", "event", "logger", "request_id", "session_id", "turn_id", "status"]
    assert re.fullmatch(TIME, first.pop("timestamp"))
    assert re.fullmatch(TIME, second.pop("timestamp"))
    context = {"request_id": "r1", "session_id": "s1", "turn_id": "t1"}
    assert first == {"level": "info", "event": "request", "logger": "qpty.server", **context, "status": 200}
    assert second == {
        "level": "warning", "event": "session s1 is 5", "logger": "qpty.sessions.manager", **context,
    }  # fmt: skip


def test_lines_for_people(log: Callable[..., Log]) -> None:
    written = log(format="console")
    server_log().warning("request", status=200)
    (line,) = written.lines()
    assert re.fullmatch(rf"{TIME} \[warning  \] request \[qpty\.server\] status=200", line)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "form", "color", "no_color", "first"),
    [
        (Terminal, "auto", None, "", "\x1b"), (Terminal, "auto", None, "1", "2"), (Terminal, "auto", False, "", "2"),
        (Terminal, "json", None, "", "{"), (io.StringIO, "auto", None, "", "{"),
        (io.StringIO, "console", None, "", "2"), (io.StringIO, "console", True, "", "\x1b"),
    ],
)  # fmt: skip
def test_a_terminal_gets_lines_for_people_in_colours(
    log: Callable[..., Log],
    monkeypatch: pytest.MonkeyPatch,
    stream: type[io.StringIO],
    form: Any,
    color: bool | None,
    no_color: str,
    first: str,
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    target = stream()
    handler = configure_logging(format=form, stream=target, color=color)
    server_log().info("x")
    handler.flush()
    assert target.getvalue()[0] == first


def test_levels(log: Callable[..., Log]) -> None:
    written = log(level="info", format="json")
    for name in ("qpty.x", "aiohttp.server", "asyncio", "sqlalchemy.engine", "aiohttp.access", "other"):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING):
            logging.getLogger(name).log(level, "%s", level)
    said = [(row["logger"], row["level"]) for row in written.rows()]
    assert said == [
        ("qpty.x", "info"), ("qpty.x", "warning"), ("aiohttp.server", "info"), ("aiohttp.server", "warning"),
        ("asyncio", "warning"), ("sqlalchemy.engine", "warning"), ("aiohttp.access", "warning"), ("other", "warning"),
    ]  # fmt: skip


def test_statements_are_not_logged_even_at_debug(log: Callable[..., Log]) -> None:
    written = log(level="debug", format="json")
    logging.getLogger("sqlalchemy.engine").info("INSERT … said in private")
    server_log().debug("x")
    assert "private" not in written.text()
    assert "x" in written.text()


def test_a_second_call_replaces_the_first(log: Callable[..., Log]) -> None:
    first = log(format="json")
    second = log(format="json")
    server_log().info("x")
    assert first.text() == ""
    assert len(second.rows()) == 1


# Secrets and texts


SECRETS = {
    "a key of ours": (KEY, "AbCdEfGh"),
    "another's key": ("sk-proj-abcdefghijkl", "abcdefgh"),
    "a header": (f"Authorization: Bearer {KEY}", "AbCdEfGh"),
    "a bearer": ("got bearer s3cret!~", "s3cret"),
    "basic": ("Authorization: Basic czNjcmV0OnMzY3JldA==", "czNj"),
    "a header's repr": ("{'x-api-key': 's3cret-key'}", "s3cret"),
    "a raw cookie": ("Cookie: qpty=s3cret; other=1", "s3cret"),
    "a query": ("GET /x?a=1&token=s3cret&b=2", "s3cret"),
    "a key in a query": ("GET /x?key=s3cret", "s3cret"),
    "a login link": ("http://localhost:8080/login/s3cret", "s3cret"),
    "a login path": ("GET /login/s3cret HTTP/1.1", "s3cret"),
    "a password": ("postgresql://me:s3cret@db/name", "s3cret"),
    "a configured key": ("it was plain-configured-key there", "configured"),
    "a browser's cookie": ("qpty_v1.0123456789abcdef.123456.AbCdEf", "AbCdEf"),
}


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(("text", "secret"), SECRETS.values(), ids=SECRETS.keys())
def test_no_secret_is_logged_wherever_it_stands(log: Callable[..., Log], form: str, text: str, secret: str) -> None:
    written = log(format=form, secrets=["plain-configured-key"])
    server_log().info(text)
    server_log().info("x", value=text)
    server_log().info("x", nested={"a": [("b", {"c": text})]})
    server_log().info("x", **{text: 1})
    server_log().info("x", value=ValueError(text), more=text.encode(), other={text})
    logging.getLogger("qpty.x").warning("said %s", text)
    logging.getLogger("qpty.x").warning(text, extra={"value": text})
    try:
        fail(text)
    except ValueError:
        server_log().exception("failed")
        logging.getLogger("asyncio").exception("failed")
    with structlog.contextvars.bound_contextvars(session_id=text):
        server_log().info("x", stack_info=False)
    assert len(written.text()) > 500
    assert secret not in written.text()


@pytest.mark.parametrize(
    "key",
    [
        "authorization", "Authorization", "cookie", "Set-Cookie", "x-api-key", "X_API_KEY", "api_key", "key", "token",
        "access_token", "password", "db_password", "secret", "client-secret",
    ],
)  # fmt: skip
def test_values_of_secret_fields_are_masked(log: Callable[..., Log], key: str) -> None:
    written = log(format="json")
    server_log().info("x", **{key: "hidden", "headers": {key: ["hidden"]}})
    (row,) = written.rows()
    assert row[key] == row["headers"][key] == "…"


def test_what_is_no_secret_stays(log: Callable[..., Log]) -> None:
    written = log(format="json")
    kept = {
        "key_id": "0123456789abcdef", "input_tokens": 12, "tokens": 5, "keys": None,
        "path": "/api/v1/sessions/task-abcdefghij",
        "module": "qpty_server", "monkey": "x", "url": "http://localhost:8080/login",
        "question": "risk-taking-behaviour",
    }  # fmt: skip
    server_log().info("disk-usage-is-fine", **kept)
    (row,) = written.rows()
    assert {key: row[key] for key in kept} == kept
    assert row["event"] == "disk-usage-is-fine"


def test_texts_are_logged_only_when_asked_for(log: Callable[..., Log]) -> None:
    for asked in (False, True):
        written = log(format="json", log_text=asked)
        server_log().info("turn", text="private", message_text="private", turn={"text": "private", "position": 1})
        (row,) = written.rows()
        assert written.text().count("private") == (3 if asked else 0)
        assert row["turn"]["position"] == 1


def test_values_are_bounded(log: Callable[..., Log]) -> None:
    deep: list[Any] = []
    deep.append(deep)
    written = log(format="json")
    server_log().info("x", long="a" * 1_000_000, many=list(range(10_000)), deep=deep, row=dict.fromkeys(range(10_000)))
    assert len(written.text()) < 60_000
    (row,) = written.rows()
    assert row["event"] == "x"
    assert row["many"][-1] == "… 10000 in all"
    assert row["long"].endswith("a… (1000000 characters)")


def test_a_secret_at_the_cut_is_not_shown_in_part() -> None:
    redactor = Redactor()
    for length in range(16_300, 16_400):
        assert "AbCd" not in redactor.text("x " * (length // 2) + KEY + " y" * 40_000)


# Forging


FORGERY = (
    'x\n2026-01-01T00:00:00.000000Z [info     ] forged\r\n{"event": "forged"}\x0b\x0c\x1c\x85\u2028\u2029\x1b[2K\x00'
)


def test_nothing_forges_a_line_of_json(log: Callable[..., Log]) -> None:
    written = log(format="json")
    server_log().info(FORGERY, value=FORGERY, exception=FORGERY, stack=FORGERY, **{FORGERY: FORGERY})
    logging.getLogger("qpty.x").warning("%s", FORGERY)
    try:
        fail(FORGERY)
    except ValueError:
        server_log().exception(FORGERY)
    assert len(written.text().splitlines()) == 3
    assert written.text().replace("\n", "").isprintable()
    assert written.rows()[0]["value"] == FORGERY


def test_nothing_forges_a_line_for_people(log: Callable[..., Log]) -> None:
    written = log(format="console", color=False)
    server_log().info(FORGERY, value=FORGERY, exception=FORGERY, stack=FORGERY, **{FORGERY: FORGERY})
    server_log().info("x", exception=5, stack={"a": FORGERY})
    logging.getLogger("qpty.x").warning("%s", FORGERY)
    try:
        fail(FORGERY)
    except ValueError:
        server_log().exception(FORGERY)
    lines = written.text().splitlines()
    assert all(line.isprintable() for line in lines)
    entries = [line for line in lines if not line.startswith(MARK) and line.strip("=")]
    assert len(entries) == 4
    assert all(re.match(TIME, line) and not line.startswith("2026-01-01") for line in entries)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.text(), st.dictionaries(st.text(), st.text() | st.floats() | st.binary() | st.none(), max_size=3))
def test_any_value_is_one_line_of_json(log: Callable[..., Log], event: str, values: dict[str, Any]) -> None:
    written = log(format="json", log_text=True)
    server_log().warning("values", said=event, values=values)
    (row,) = written.rows()
    assert row["event"] == "values"
    assert "NaN" not in written.text() or "NaN" in f"{event}{values}"


@given(st.text())
def test_anything_becomes_printable(text: str) -> None:
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text


# Writing


class Blocked(io.StringIO):
    """A stream whose reader takes nothing until `open` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.open = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        self.open.wait(20)
        return super().write(text)


def test_a_stream_that_takes_nothing_holds_nobody_up_and_what_was_dropped_is_counted() -> None:
    stream = Blocked()
    handler = LineHandler(stream, most_lines=5)

    def say(text: str) -> None:
        handler.emit(logging.makeLogRecord({"msg": text}))

    say("first")
    assert stream.entered.wait(20)
    for number in range(100):
        say(str(number))
    stream.open.set()
    handler.flush()
    say("last")
    handler.close()
    lines = stream.getvalue().splitlines()
    assert lines[:6] == ["first", "0", "1", "2", "3", "4"]
    assert lines[6:] == ["95 lines of the log were dropped: whoever reads it is too slow", "last"]


def test_a_stream_that_has_gone_is_no_error() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    handler = LineHandler(Gone())
    handler.emit(logging.makeLogRecord({"msg": "x"}))
    handler.flush()
    handler.close()
    handler.close()
    handler.emit(logging.makeLogRecord({"msg": "late"}))


def test_a_value_that_cannot_be_rendered_is_told_without_it(log: Callable[..., Log]) -> None:
    class Bad:
        def __repr__(self) -> str:
            raise RuntimeError("s3cret")

    written = log(format="json")
    server_log().warning("x", value=Bad())
    logging.getLogger("qpty.x").warning("%d", "s3cret")
    server_log().warning("after")
    rows = written.rows()
    assert len(rows) == 3
    assert "could not be rendered: RuntimeError" in rows[0]["event"]
    assert "could not be rendered: TypeError" in rows[1]["event"]
    assert "s3cret" not in written.text()


def test_what_waits_is_written_at_the_end() -> None:
    stream = io.StringIO()
    handler = LineHandler(stream)
    for number in range(1000):
        handler.emit(logging.makeLogRecord({"msg": str(number)}))
    handler.close()
    assert stream.getvalue().splitlines() == [str(number) for number in range(1000)]


def test_the_lack_of_descriptors_is_said_now_and_then_without_tracebacks(log: Callable[..., Log]) -> None:
    written = log(format="json")
    for _ in range(1000):
        error = OSError(24, "Too many open files")
        logging.getLogger("asyncio").error("socket.accept() out of system resource\nsocket: x", exc_info=error)
    logging.getLogger("asyncio").error("something else")
    first, second = written.rows()
    assert "no descriptor left" in first["event"]
    assert "exception" not in first
    assert second["event"] == "something else"
