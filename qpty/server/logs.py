"""The log: structlog's events and the standard library's records, rendered alike, one line each.

    configure_logging(level="info", format="auto", stream=sys.stderr)
    structlog.contextvars.bind_contextvars(request_id="…", session_id="…", turn_id="…")
    get_logger("qpty.server").info("request", status=200)

Modules below the server use `logging.getLogger(__name__)`; their records get the same context, times and redaction.
A line is JSON, or for people. In both, what isn't printable is escaped, and a traceback's further lines are marked, so
nothing that is logged can look like another line. Times are RFC 3339, in UTC.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog
from aiohttp.http_exceptions import HttpProcessingError

from qpty.server.log_writing import LineHandler
from qpty.server.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Collection, MutableMapping
    from typing import TextIO

    from structlog.typing import Processor

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]

FIRST: Final = ("timestamp", "level", "event", "logger", "request_id", "session_id", "turn_id")
"""The order of fields; all others follow as they were given."""

MARK: Final = "    | "
"""Before each line of a traceback, for people."""

_QUIET: Final = {"asyncio": logging.WARNING, "sqlalchemy": logging.WARNING, "aiohttp.access": logging.WARNING}
"""Loggers that say less than the level: SQLAlchemy's statements hold messages, aiohttp's lines whole paths."""

SILENCE: Final = 10.0
"""Seconds in which the lack of descriptors is said once."""

_MULTILINE: Final = frozenset({"exception", "stack"})

_SHARED: Final[list[Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger for events with fields. Until it is configured, it says as little as the standard library's."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return logger


def configure_logging(
    *,
    level: Level = "info",
    format: Format = "auto",  # noqa: A002 — what everybody calls it
    stream: TextIO,
    color: bool | None = None,
    log_text: bool = False,
    secrets: Collection[str] = (),
) -> LineHandler:
    """Send all logs of this process to `stream`; a second call takes the place of the first.

    `format` auto is console on a terminal, else JSON. `color` None is in colours on a terminal, unless NO_COLOR is set.
    `log_text` keeps fields with what people and models wrote. `secrets` are masked wherever they stand.

    Returns the handler: its `flush` waits until all is written. Python closes it when it ends.
    """
    terminal = stream.isatty()
    people = format == "console" or (format == "auto" and terminal)
    if color is None:
        color = terminal and not os.environ.get("NO_COLOR")
    handler = LineHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                Redactor(log_text=log_text, secrets=secrets),
                _in_order,
                *([_escaped, _console(color=color)] if people else [_json]),
            ],
        )
    )
    _install(handler, logging.getLevelNamesMapping()[level.upper()])
    return handler


def _install(handler: LineHandler, level: int) -> None:
    root = logging.getLogger()
    for earlier in [known for known in root.handlers if isinstance(known, LineHandler)]:
        root.removeHandler(earlier)
        earlier.close()
    root.addHandler(handler)
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("qpty").setLevel(level)
    logging.getLogger("aiohttp").setLevel(max(level, logging.INFO))
    logging.getLogger("aiohttp.server").addFilter(_tell_in_short)
    logging.getLogger("asyncio").addFilter(_NO_DESCRIPTORS)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, least))


def _tell_in_short(record: logging.LogRecord) -> bool:
    """Say in one line what aiohttp has a traceback for: somebody sent what isn't HTTP, which is no fault of ours."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args = "a request was not HTTP: %s", (type(error).__name__,)  # its text quotes the request
        record.exc_info = record.exc_text = None
    return True


class _NoDescriptors(logging.Filter):
    """Says now and then, in one line, that connections can't be accepted; asyncio has a traceback for each attempt."""

    def __init__(self) -> None:
        super().__init__()
        self._silent_until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass everything else, and one of these in `SILENCE` seconds."""
        if "socket.accept() out of system resource" not in str(record.msg):
            return True
        if time.monotonic() < self._silent_until:
            return False
        self._silent_until = time.monotonic() + SILENCE
        record.msg, record.args = "no connection can be accepted: this process has no descriptor left", ()
        record.exc_info = record.exc_text = None
        return True


_NO_DESCRIPTORS: Final = _NoDescriptors()


def _in_order(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    first = {key: event[key] for key in FIRST if key in event}
    return first | {key: value for key, value in event.items() if key not in first}


def _json(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """Render one line of JSON; what isn't printable is escaped inside its strings, so the line stays one."""
    text = json.dumps(event, ensure_ascii=False, default=repr)
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _escaped(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Make every value printable; a traceback keeps its lines, each marked as part of one."""
    escaped: dict[str, Any] = {}
    for key, value in event.items():
        if key in _MULTILINE:
            escaped[key] = "\n".join(MARK + printable(line) for line in str(value).split("\n"))
        elif isinstance(value, str):
            escaped[printable(key)] = printable(value)
        else:
            escaped[printable(key)] = value if value is None else printable(str(value))
    return escaped


def printable(text: str) -> str:
    r"""Return a text for any terminal: `\n`, `\x1b`, `\u2028` for what isn't printable, surrogates too."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _console(*, color: bool) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=color, sort_keys=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
    )
