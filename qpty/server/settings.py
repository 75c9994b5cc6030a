"""The settings: one table of names, defaults and meanings, and where their values come from.

From the strongest: the command line, the environment, `.env`, `config/qpty.toml`, the default. A value that can't be
used is refused by name, all of them at once; nothing falls back to a default in silence.
"""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dotenv.parser import parse_stream
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from qpty.core.deadlines import Deadlines
from qpty.server.setting_types import (
    AGENTS,
    Agent,
    Directory,
    FilePath,
    Host,
    Hosts,
    Keys,
    LogFormat,
    LogLevel,
    MaybeDatabase,
    MaybeProxy,
    MaybeSeconds,
    MaybeTools,
    MaybeWord,
    Origins,
    Seconds,
    StreamFidelity,
    Switch,
    Whole,
    advice,
    default_text,
)
from qpty.server.settings_errors import Problem, SettingsError
from qpty.sessions.config import SMALLEST_RECORDING, SessionsConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX: Final = "QPTY_"
OLDER_NAMES: Final = frozenset(
    {
        "HOST", "PORT", "DEBUG", "SESSION_EXPIRY", "QCLI_TIMEOUT", "MAX_HISTORY_LENGTH", "FORCE_CHINESE",
        "SESSIONS_BASE_DIR", "AUTO_CLEANUP_SESSIONS", "OPENAI_KEYS", "MAX_ERROR_COUNT", "HTTP_PROXY",
    }
)  # fmt: skip
"""Names that are older than qpty and have no prefix."""

SECRET: Final = frozenset({"openai_keys", "database_url", "http_proxy"})
"""Fields whose values are never shown: a URL may have a password in it."""

COMMAND_LINE: Final = "command line"
ENVIRONMENT: Final = "environment"
DOTENV: Final = ".env"
TOML: Final = "config/qpty.toml"

MOST_BYTES: Final = 1 << 40
MOST_EVENTS: Final = 1_000_000_000
SHOWN: Final = 100
"""Characters of a wrong value that are shown."""


class Settings(BaseSettings):
    """All settings, checked. Made by `load_settings`; made directly, it takes keyword arguments and reads nothing.

    A field's name is the key in `config/qpty.toml`; `name_of` gives the one in the environment. Times are in seconds.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: Host = Field(default="127.0.0.1", description="Address to listen at; one that isn't loopback needs a key.")
    port: Whole = Field(default=8080, ge=0, le=65535, description="Port to listen at; 0 is any free one.")
    debug: Switch = Field(default=False, description="Log at level debug, and have asyncio report slow callbacks.")
    session_expiry: Seconds = Field(default=3600.0, description="Seconds without use until a session is expired.")
    qcli_timeout: Seconds = Field(default=30.0, description="Seconds from a message to the agent's first sign of life.")
    max_history_length: Whole = Field(
        default=200, ge=0, le=100_000, description="Past exchanges carried over when a conversation must be rebuilt."
    )
    force_chinese: Switch = Field(default=False, description="Have the agent reply in Chinese, by its prompt.")
    sessions_base_dir: Directory = Field(
        default=Path("sessions"), description="Directory of the sessions' directories."
    )
    auto_cleanup_sessions: Switch = Field(
        default=False, description="Remove an expired session if its directory is empty."
    )
    openai_keys: Keys = Field(default=(), description="Further keys that callers may show, with commas between them.")
    max_error_count: Whole = Field(
        default=3, ge=1, le=100, description="Starts of the agent that may fail in a row before a turn fails."
    )
    http_proxy: MaybeProxy = Field(default=None, description="Proxy that is handed to the agent as HTTP_PROXY.")
    agent: Agent = Field(
        default="auto", description="auto (q, else kiro-cli, else the demo), q, kiro-cli, demo, or a path."
    )
    model: MaybeWord = Field(
        default=None, description="The agent's model, where a session names none; none is the agent's own."
    )
    trusted_tools: MaybeTools = Field(
        default=None,
        description="Tools that run unasked, with commas between them (a lone comma: no tool); none is the agent's.",
    )
    max_workers: Whole = Field(default=8, ge=1, le=1000, description="Live terminals at a time.")
    warm_workers: Whole = Field(
        default=1, ge=0, le=1000, description="Terminals started ahead; at most QPTY_MAX_WORKERS."
    )
    idle_timeout: Seconds = Field(default=900.0, description="Seconds without a turn until a terminal hibernates.")
    queue_timeout: Seconds = Field(default=30.0, description="Seconds that a turn waits for a terminal.")
    queue_limit: Whole = Field(default=16, ge=1, le=10_000, description="Messages that may wait in one session.")
    question_timeout: Seconds = Field(default=3600.0, description="Seconds until an unanswered question is refused.")
    start_timeout: Seconds = Field(default=30.0, description="Seconds from the agent's start to its first prompt.")
    silence_timeout: Seconds = Field(
        default=600.0, description="Seconds between two outputs in a turn; not while a tool runs."
    )
    turn_timeout: Seconds = Field(default=1800.0, description="Seconds of a whole turn; not while a question is open.")
    delete_after: MaybeSeconds = Field(
        default=None, description="Seconds without use until a session is deleted with its files; none is never."
    )
    journal_events: Whole = Field(default=20_000, ge=1, le=MOST_EVENTS, description="Events kept of each session.")
    journal_bytes: Whole = Field(
        default=32 << 20, ge=1, le=MOST_BYTES, description="Bytes of events kept of each session."
    )
    recording_bytes: Whole = Field(
        default=4 << 20,
        ge=0,
        le=MOST_BYTES,
        description="Bytes kept of each session's terminal recording; 0 is no recording.",
    )
    models_file: FilePath = Field(
        default=Path("config/models.toml"),
        description="File that says which model a name stands for; the one that comes with qpty, if it isn't there.",
    )
    strict_models: Switch = Field(
        default=False, description="Refuse OpenAI and Anthropic clients' models that config/models.toml doesn't know."
    )
    stream_fidelity: StreamFidelity = Field(
        default="auto",
        description="Streams for such clients: live, exact (held until it is), or auto: live up to the first code.",
    )
    client_tool_timeout: Seconds = Field(
        default=600.0, description="Seconds that such a client may take to return the results of its tools."
    )
    client_builtin_tools: Switch = Field(
        default=False,
        description="Let such clients have the agent's own tools used, where no key, or one of OPENAI_KEYS, is shown.",
    )
    keyboard: Switch = Field(
        default=True,
        description="Let people type at a terminal by hand: a local person, or with a key made with --admin.",
    )
    data_dir: Directory = Field(
        default=Path("data"), description="Directory of the database, the keys and the agent's data."
    )
    database_url: MaybeDatabase = Field(
        default=None,
        description="sqlite:////full/path.db or postgresql://user@host/name; none is SQLite in QPTY_DATA_DIR.",
    )
    allowed_hosts: Hosts = Field(
        default=(), description="Further names that this server answers to, with commas between them; * is any."
    )
    allowed_origins: Origins = Field(
        default=(),
        description="Further origins whose pages may call, such as https://example.org, with commas between them.",
    )
    rate_limit: Whole = Field(
        default=1200, ge=0, le=MOST_EVENTS, description="Requests a minute of one key or address; 0 is no limit."
    )
    max_streams: Whole = Field(default=200, ge=1, le=1_000_000, description="Open streams of one key or address.")
    max_body_bytes: Whole = Field(default=8 << 20, ge=1024, le=MOST_BYTES, description="Bytes of a request's body.")
    max_client_body_bytes: Whole = Field(
        default=32 << 20, ge=1024, le=MOST_BYTES, description="Bytes of an OpenAI or Anthropic client's request."
    )
    max_file_bytes: Whole = Field(default=100 << 20, ge=1, le=MOST_BYTES, description="Bytes of an uploaded file.")
    stall_timeout: Seconds = Field(default=60.0, description="Seconds that a stream's reader may take nothing.")
    log_level: LogLevel = Field(default="info", description="debug, info, warning or error.")
    log_format: LogFormat = Field(default="auto", description="json, console, or auto: console on a terminal.")
    log_text: Switch = Field(default=False, description="Log the texts of messages, too.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 — the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments only: `load_settings` reads the rest, and so can say where a wrong value came from."""
        return (init_settings,)

    @field_validator("warm_workers")
    @classmethod
    def _no_more_than_workers(cls, value: int, info: ValidationInfo) -> int:
        if value > info.data.get("max_workers", value):
            raise ValueError("more than the workers")
        return value

    @field_validator("recording_bytes")
    @classmethod
    def _worth_recording(cls, value: int) -> int:
        if 0 < value < SMALLEST_RECORDING:
            raise ValueError("too small")
        return value

    @property
    def loopback(self) -> bool:
        """Whether only programs of this machine can connect: HOST is a loopback address or localhost."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @property
    def lowest_level(self) -> LogLevel:
        """The level of the log, with DEBUG taken into account."""
        return "debug" if self.debug else self.log_level

    @property
    def configured_keys(self) -> tuple[str, ...]:
        """The texts of OPENAI_KEYS. Secret."""
        return tuple(key.get_secret_value() for key in self.openai_keys)

    @property
    def database(self) -> str | None:
        """The text of QPTY_DATABASE_URL. It may hold a password."""
        return None if self.database_url is None else self.database_url.get_secret_value()

    def sessions_config(self) -> SessionsConfig:
        """Return what sessions and the pool need of this."""
        return SessionsConfig(
            max_workers=self.max_workers,
            warm_workers=self.warm_workers,
            idle_timeout=self.idle_timeout,
            queue_timeout=self.queue_timeout,
            queue_limit=self.queue_limit,
            question_timeout=self.question_timeout,
            start_attempts=self.max_error_count,
            history_limit=self.max_history_length,
            journal_events=self.journal_events,
            journal_bytes=self.journal_bytes,
            session_expiry=self.session_expiry,
            auto_cleanup=self.auto_cleanup_sessions,
            delete_after=self.delete_after,
            recording_bytes=self.recording_bytes,
        )

    def deadlines(self) -> Deadlines:
        """Return how long an agent may take."""
        return Deadlines(
            start=self.start_timeout, submit=self.qcli_timeout, silence=self.silence_timeout, turn=self.turn_timeout
        )

    def agent_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return an environment with HTTP_PROXY laid over it, in both spellings, since programs differ in theirs."""
        if self.http_proxy is None:
            return dict(environment)
        proxy = self.http_proxy.get_secret_value()
        return {**environment, "HTTP_PROXY": proxy, "http_proxy": proxy}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A row of the table. `name` is for the environment, `key` for TOML; `takes` is to be read after "give"."""

    name: str
    key: str
    default_text: str
    meaning: str
    takes: str


def name_of(key: str) -> str:
    """Return the name in the environment of a field."""
    name = key.upper()
    return name if name in OLDER_NAMES else PREFIX + name


SETTINGS: Final = tuple(
    Setting(
        name=name_of(key),
        key=key,
        default_text=default_text(field.default),
        meaning=field.description or "",
        takes=advice(field.metadata),
    )
    for key, field in Settings.model_fields.items()
)
"""Every setting, in order: for `--help`, the README and the files of examples."""

_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}
_BY_KEY: Final = {setting.key: setting for setting in SETTINGS}


def load_settings(*, environment: Mapping[str, str], directory: Path, **overrides: Any) -> Settings:
    """Read the settings of a server that runs in `directory`. Blocking: reads two small files, if they are there.

    `overrides` are fields given by the command line; None says not given. Relative paths are below `directory`; `~/` is
    the environment's HOME. Raises SettingsError with everything that is wrong.
    """
    if unknown := overrides.keys() - _BY_KEY.keys():
        raise TypeError(f"no such settings: {', '.join(sorted(unknown))}")
    problems: list[Problem] = []
    layers: dict[str, Mapping[str, Any]] = {
        COMMAND_LINE: {key: value for key, value in overrides.items() if value is not None},
        ENVIRONMENT: _from_environment(environment.items()),
        DOTENV: _from_dotenv(directory / DOTENV, problems),
        TOML: _from_toml(directory / TOML, problems),
    }
    values: dict[str, Any] = {}
    source_of: dict[str, str] = {}
    for source, layer in layers.items():
        for key, value in layer.items():
            if key not in values:
                values[key], source_of[key] = value, source
    try:
        settings = Settings(**values)
    except ValidationError as error:
        wrong = dict.fromkeys(str(detail["loc"][0]) for detail in error.errors(include_input=False, include_url=False))
        problems.extend(_problem(key, values[key], source_of[key], values) for key in wrong)
    if problems:
        raise SettingsError(problems)
    return settings.model_copy(update=_absolute(settings, directory, environment.get("HOME", "")))


def _problem(key: str, value: Any, source: str, values: Mapping[str, Any]) -> Problem:
    """Return what is wrong with a value that was refused."""
    setting = _BY_KEY[key]
    takes = f"give {setting.takes}"
    if key == "warm_workers":
        workers = values.get("max_workers", Settings.model_fields["max_workers"].default)
        takes += f", and at most QPTY_MAX_WORKERS ({str(workers)[:20]!r})"
    if key == "recording_bytes":
        takes += f", but not between 0 and {SMALLEST_RECORDING}"
    shown = None if key in SECRET else repr(value)
    if shown is not None and len(shown) > SHOWN:
        shown = f"{shown[:SHOWN]}…"
    return Problem(source=source, name=key if source == TOML else setting.name, value=shown, advice=takes)


def _from_environment(items: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """Keep the settings of an environment; what is empty isn't set, and other names are none of ours."""
    return {_BY_NAME[name].key: value for name, value in items if name in _BY_NAME and value and value.strip()}


def _from_dotenv(path: Path, problems: list[Problem]) -> dict[str, str]:
    """Read a `.env`, with nothing substituted in it; `$` is a character like any other."""
    given: dict[str, str | None] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for binding in parse_stream(file):
                line = binding.original.line
                if binding.error or (binding.key is not None and binding.value is None):
                    problems.append(Problem(source=DOTENV, advice=f"line {line} is not NAME=VALUE: mend or remove it"))
                elif binding.key is not None:
                    given[binding.key] = binding.value
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        problems.append(_unreadable(DOTENV, error))
        return {}
    problems.extend(_unknown(DOTENV, name, _BY_NAME) for name in given if _is_ours(name) and name not in _BY_NAME)
    return _from_environment(given.items())


def _from_toml(path: Path, problems: list[Problem]) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            given = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        problems.append(Problem(source=TOML, advice=f"it is not TOML ({error}): mend it"))
        return {}
    except (OSError, UnicodeDecodeError) as error:
        problems.append(_unreadable(TOML, error))
        return {}
    problems.extend(_unknown(TOML, key, _BY_KEY) for key in given if key not in _BY_KEY)
    return {key: value for key, value in given.items() if key in _BY_KEY}


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX)


def _unreadable(source: str, error: OSError | UnicodeDecodeError) -> Problem:
    reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)
    return Problem(source=source, advice=f"it can't be read ({reason}): mend it, or remove the file")


def _unknown(source: str, name: str, known: Mapping[str, Setting]) -> Problem:
    """Return what to say of a name that no setting has."""
    sought = name.upper() if known is _BY_NAME else name.lower().removeprefix(PREFIX.lower())
    near = difflib.get_close_matches(sought, known, n=1)
    meant = f"do you mean {near[0]}?" if near else "remove it"
    return Problem(
        source=source, name=name if name.isprintable() else repr(name), advice=f"there is no such setting; {meant}"
    )


def _absolute(settings: Settings, directory: Path, home: str) -> dict[str, Path | str]:
    """Return the paths of the settings, made absolute."""

    def whole(path: Path) -> Path:
        if home and path.parts[:1] == ("~",):
            path = Path(home, *path.parts[1:])
        return (directory / path).absolute()

    update: dict[str, Path | str] = {
        "sessions_base_dir": whole(settings.sessions_base_dir),
        "data_dir": whole(settings.data_dir),
        "models_file": whole(settings.models_file),
    }
    if settings.agent not in AGENTS:
        update["agent"] = str(whole(Path(settings.agent)))
    return update
