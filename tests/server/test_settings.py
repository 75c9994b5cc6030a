"""Settings: the table, the sources and their order, and what is said of wrong values."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from qpty.server.settings import SETTINGS, Settings, load_settings
from qpty.server.settings_errors import SettingsError
from qpty.sessions.config import SessionsConfig
from tests.server import setting_files

EVERY_NAME = [
    "HOST", "PORT", "DEBUG", "SESSION_EXPIRY", "QCLI_TIMEOUT", "MAX_HISTORY_LENGTH", "FORCE_CHINESE",
    "SESSIONS_BASE_DIR", "AUTO_CLEANUP_SESSIONS", "OPENAI_KEYS", "MAX_ERROR_COUNT", "HTTP_PROXY", "QPTY_AGENT",
    "QPTY_MODEL", "QPTY_TRUSTED_TOOLS", "QPTY_MAX_WORKERS", "QPTY_WARM_WORKERS", "QPTY_IDLE_TIMEOUT",
    "QPTY_QUEUE_TIMEOUT", "QPTY_QUEUE_LIMIT", "QPTY_QUESTION_TIMEOUT", "QPTY_START_TIMEOUT", "QPTY_SILENCE_TIMEOUT",
    "QPTY_TURN_TIMEOUT", "QPTY_DELETE_AFTER", "QPTY_JOURNAL_EVENTS", "QPTY_JOURNAL_BYTES", "QPTY_RECORDING_BYTES",
    "QPTY_MODELS_FILE",
    "QPTY_STRICT_MODELS", "QPTY_STREAM_FIDELITY", "QPTY_CLIENT_TOOL_TIMEOUT", "QPTY_CLIENT_BUILTIN_TOOLS",
    "QPTY_KEYBOARD", "QPTY_DATA_DIR", "QPTY_DATABASE_URL", "QPTY_ALLOWED_HOSTS", "QPTY_ALLOWED_ORIGINS",
    "QPTY_RATE_LIMIT", "QPTY_MAX_STREAMS", "QPTY_MAX_BODY_BYTES", "QPTY_MAX_CLIENT_BODY_BYTES",
    "QPTY_MAX_FILE_BYTES", "QPTY_STALL_TIMEOUT",
    "QPTY_LOG_LEVEL", "QPTY_LOG_FORMAT", "QPTY_LOG_TEXT",
]  # fmt: skip


def load(directory: Path, environment: dict[str, str] | None = None, **overrides: Any) -> Settings:
    return load_settings(environment=environment or {}, directory=directory, **overrides)


def write(directory: Path, *, dotenv: str | None = None, toml: str | None = None) -> None:
    if dotenv is not None:
        (directory / ".env").write_text(dotenv)
    if toml is not None:
        (directory / "config").mkdir(exist_ok=True)
        (directory / "config" / "qpty.toml").write_text(toml)


def problems(directory: Path, environment: dict[str, str] | None = None, **overrides: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(directory, environment, **overrides)
    assert all(str(problem) in str(caught.value) for problem in caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


# The table


def test_every_setting_is_in_the_table_with_a_meaning() -> None:
    assert [setting.name for setting in SETTINGS] == EVERY_NAME
    for setting in SETTINGS:
        assert setting.meaning.endswith("."), setting
        assert setting.takes, setting
        assert setting.default_text, setting


def test_the_default_texts_are_the_defaults(tmp_path: Path) -> None:
    spelled_out = {setting.name: setting.default_text for setting in SETTINGS}
    assert load(tmp_path, spelled_out) == load(tmp_path)


def test_the_files_of_examples_are_the_table() -> None:
    again = "write them anew with: python -m tests.server.setting_files"
    assert (setting_files.ROOT / "config" / "qpty.toml").read_text() == setting_files.toml_text(), again
    assert (setting_files.ROOT / ".env.example").read_text() == setting_files.dotenv_text(), again


def test_the_examples_can_be_switched_on_as_they_stand(tmp_path: Path) -> None:
    def switched_on(text: str) -> str:
        return "\n".join(line.removeprefix("#") for line in text.splitlines() if not line.startswith("# "))

    toml = switched_on(setting_files.toml_text())
    assert set(tomllib.loads(toml)) == {setting.key for setting in SETTINGS}
    defaults = load(tmp_path)
    write(tmp_path, toml=toml)
    assert load(tmp_path) == defaults
    write(tmp_path, dotenv=switched_on(setting_files.dotenv_text()), toml="")
    assert load(tmp_path) == defaults


# Sources


def test_the_stronger_source_wins(tmp_path: Path) -> None:
    assert load(tmp_path).port == 8080
    write(tmp_path, toml="port = 1\nmax_workers = 3")
    assert load(tmp_path).port == 1
    write(tmp_path, dotenv="PORT=2")
    assert load(tmp_path).port == 2
    assert load(tmp_path, {"PORT": "3"}).port == 3
    assert load(tmp_path, {"PORT": "3"}, port=4).port == 4
    assert load(tmp_path, {"PORT": "3"}, port=None).port == 3
    assert load(tmp_path, {"PORT": "3"}, port=4).max_workers == 3


def test_what_is_empty_is_not_set(tmp_path: Path) -> None:
    write(tmp_path, dotenv="QPTY_MODEL=\nHOST=''\n", toml='host = "::1"')
    settings = load(tmp_path, {"PORT": "", "QPTY_MODEL": " "})
    assert (settings.host, settings.port, settings.model) == ("::1", 8080, None)


def test_none_takes_back_what_a_weaker_source_said(tmp_path: Path) -> None:
    write(tmp_path, toml='model = "m"\ndelete_after = 60\nallowed_hosts = ["a.example"]\ntrusted_tools = ["fs_read"]')
    settings = load(tmp_path)
    assert (settings.model, settings.delete_after, settings.allowed_hosts) == ("m", 60.0, ("a.example",))
    assert settings.trusted_tools == ("fs_read",)
    names = ("QPTY_MODEL", "QPTY_DELETE_AFTER", "QPTY_ALLOWED_HOSTS", "QPTY_TRUSTED_TOOLS")
    settings = load(tmp_path, dict.fromkeys(names, "none"))
    assert (settings.model, settings.delete_after, settings.allowed_hosts) == (None, None, ())
    assert settings.trusted_tools is None
    assert load(tmp_path, {"QPTY_TRUSTED_TOOLS": ","}).trusted_tools == ()


def test_the_environment_of_this_process_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("WORD", "substituted")
    monkeypatch.chdir(tmp_path)
    write(tmp_path, dotenv="PORT=2\nQPTY_MODEL='a${WORD}b'")
    assert Settings().port == 8080
    assert load(tmp_path / "elsewhere").port == 8080
    assert load(tmp_path).model == "a${WORD}b"


def test_other_names_of_the_environment_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, dotenv="COMPOSE_PROJECT_NAME=x\nexport PORT=5 # why\n\n# a comment\n")
    assert load(tmp_path, {"QPTY_DEMO_PACE": "0", "QPTY_LAB": "none", "PATH": "/bin"}).port == 5


def test_paths_are_below_the_directory_and_absolute(tmp_path: Path) -> None:
    settings = load(tmp_path, {"QPTY_DATA_DIR": "/var/lib/qpty", "QPTY_AGENT": "bin/q", "HOME": "/home/p"})
    assert settings.sessions_base_dir == tmp_path / "sessions"
    assert settings.data_dir == Path("/var/lib/qpty")
    assert settings.agent == str(tmp_path / "bin" / "q")
    settings = load(tmp_path, {"QPTY_DATA_DIR": "~/qpty", "QPTY_AGENT": "~/bin/q", "HOME": "/home/p"})
    assert (settings.data_dir, settings.agent) == (Path("/home/p/qpty"), "/home/p/bin/q")
    assert load(tmp_path, {"QPTY_AGENT": "demo"}).agent == "demo"


def test_lists_are_split_at_commas(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        {
            "OPENAI_KEYS": "first-key-1, second-key,",
            "QPTY_ALLOWED_HOSTS": "a.example, B.example:81",
            "QPTY_ALLOWED_ORIGINS": "https://a.example",
        },
    )
    assert settings.configured_keys == ("first-key-1", "second-key")
    assert settings.allowed_hosts == ("a.example", "B.example:81")
    assert settings.allowed_origins == ("https://a.example",)


# Refusals


WRONG = {
    "HOST": ["not a host", "a/b", "[::1]", "-x", "http://x"],
    "PORT": ["-1", "65536", "8080.5", "eighty", "65,535"],
    "DEBUG": ["perhaps"],
    "SESSION_EXPIRY": ["0", "-1", "nan", "inf", "1e300", "1h"],
    "MAX_HISTORY_LENGTH": ["-1"],
    "OPENAI_KEYS": ["short", "has a space in it", "long-enough,no", "ключ-ключ"],
    "MAX_ERROR_COUNT": ["0"],
    "HTTP_PROXY": ["ftp://proxy", "two words"],
    "QPTY_AGENT": ["dem", "Q"],
    "QPTY_MODEL": ["a\nb"],
    "QPTY_MAX_WORKERS": ["0"],
    "QPTY_WARM_WORKERS": ["9"],
    "QPTY_DELETE_AFTER": ["0", "never"],
    "QPTY_RECORDING_BYTES": ["1", "-1"],
    "QPTY_DATABASE_URL": ["mysql://x", "/a/path", "sqlite"],
    "QPTY_ALLOWED_HOSTS": ["https://a.example", "a b", "a.example/x", "a.example:0"],
    "QPTY_ALLOWED_ORIGINS": ["a.example", "*", "null", "https://a.example/path", "chrome-extension://abc"],
    "QPTY_RATE_LIMIT": ["-1"],
    "QPTY_MAX_STREAMS": ["0"],
    "QPTY_LOG_LEVEL": ["loud"],
    "QPTY_LOG_FORMAT": ["xml"],
    "QPTY_LOG_TEXT": ["2"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    (said,) = problems(tmp_path, {name: value})
    assert said.startswith(f"{name} ")
    assert "(environment): give " in said


def test_everything_wrong_is_told_at_once_with_its_source(tmp_path: Path) -> None:
    write(
        tmp_path,
        dotenv="QPTY_MAX_WORKER=2\nQPTY_QUEUE_LIMIT=none\nthis is no setting\n",
        toml='log_level = "loud"\nqpty_max_workers = 3\nworkers = 1\n',
    )
    warm = "give a whole number from 0 to 1000, and at most QPTY_MAX_WORKERS ('2')"
    said = problems(tmp_path, {"PORT": "99999", "QPTY_MAX_WORKERS": "2"}, host="", warm_workers=3)
    assert sorted(said) == sorted(
        [
            ".env: line 3 is not NAME=VALUE: mend or remove it",
            "QPTY_MAX_WORKER (.env): there is no such setting; do you mean QPTY_MAX_WORKERS?",
            "qpty_max_workers (config/qpty.toml): there is no such setting; do you mean max_workers?",
            "workers (config/qpty.toml): there is no such setting; do you mean max_workers?",
            "PORT = '99999' (environment): give a whole number from 0 to 65535",
            "QPTY_QUEUE_LIMIT = 'none' (.env): give a whole number from 1 to 10000",
            "log_level = 'loud' (config/qpty.toml): give debug, info, warning or error",
            "HOST = '' (command line): give an address such as 127.0.0.1, 0.0.0.0 or ::1, or a host's name",
            f"QPTY_WARM_WORKERS = 3 (command line): {warm}",
        ]
    )


def test_fewer_workers_than_the_default_leave_the_default_of_warm_ones(tmp_path: Path) -> None:
    settings = load(tmp_path, {"QPTY_MAX_WORKERS": "1"})
    assert (settings.max_workers, settings.warm_workers) == (1, 1)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("OPENAI_KEYS", "s3cret with spaces", "s3cret"),
        ("QPTY_DATABASE_URL", "mysql://me:s3cret@h/d", "s3cret"),
        ("HTTP_PROXY", "ftp://me:s3cret@proxy", "s3cret"),
    ],
)
def test_a_secret_is_never_shown(tmp_path: Path, name: str, value: str, secret: str) -> None:
    (said,) = problems(tmp_path, {name: value})
    assert name in said
    assert secret not in said
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({name.lower().removeprefix("qpty_"): value})
    assert secret not in str(caught.value)


def test_good_secrets_are_not_in_the_representation(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        {
            "OPENAI_KEYS": "s3cret-key-1",
            "QPTY_DATABASE_URL": "postgresql://me:s3cret@h/d",
            "HTTP_PROXY": "http://me:s3cret@p:3128",
        },
    )
    assert settings.database == "postgresql://me:s3cret@h/d"
    assert "s3cret" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_a_hostile_value_is_shown_escaped_and_cut(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, {"QPTY_LOG_LEVEL": "\x1b[2J\nforged" + "x" * 1000})
    assert said.isprintable()
    assert len(said) < 250


@pytest.mark.parametrize("text", ["port = ", "port = 1\nport = 2", "\xff"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, toml="")
    (tmp_path / "config" / "qpty.toml").write_bytes(text.encode("latin-1"))
    (said,) = problems(tmp_path)
    assert said.startswith("config/qpty.toml: it ")


@pytest.mark.parametrize("name", [".env", "config/qpty.toml"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    (said,) = problems(tmp_path)
    assert said == f"{name}: it can't be read (Is a directory): mend it, or remove the file"


@pytest.mark.parametrize("toml", ["port = true", "port = [1]", "max_workers = {a = 1}", "host = 5", "debug = 7"])
def test_toml_of_another_type_is_refused(tmp_path: Path, toml: str) -> None:
    write(tmp_path, toml=toml)
    (said,) = problems(tmp_path)
    assert said.startswith(f"{toml.partition(' ')[0]} = ")


def test_an_unknown_override_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="no such settings: prot"):
        load(tmp_path, prot=1)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


# What is made of them


def test_sessions_and_deadlines_get_their_numbers(tmp_path: Path) -> None:
    given = {
        "QPTY_MAX_WORKERS": "5", "QPTY_WARM_WORKERS": "2", "QPTY_IDLE_TIMEOUT": "11", "QPTY_QUEUE_TIMEOUT": "12",
        "QPTY_QUEUE_LIMIT": "13", "QPTY_QUESTION_TIMEOUT": "14", "MAX_ERROR_COUNT": "4", "MAX_HISTORY_LENGTH": "16",
        "QPTY_JOURNAL_EVENTS": "17", "QPTY_JOURNAL_BYTES": "18", "QPTY_RECORDING_BYTES": "190000",
        "SESSION_EXPIRY": "20", "AUTO_CLEANUP_SESSIONS": "yes", "QPTY_DELETE_AFTER": "21",
        "QPTY_START_TIMEOUT": "22", "QCLI_TIMEOUT": "23", "QPTY_SILENCE_TIMEOUT": "24", "QPTY_TURN_TIMEOUT": "25.5",
    }  # fmt: skip
    settings = load(tmp_path, given)
    assert settings.sessions_config() == SessionsConfig(
        max_workers=5, warm_workers=2, idle_timeout=11.0, queue_timeout=12.0, queue_limit=13, question_timeout=14.0,
        start_attempts=4, history_limit=16, journal_events=17, journal_bytes=18, recording_bytes=190_000,
        session_expiry=20.0, auto_cleanup=True, delete_after=21.0,
    )  # fmt: skip
    deadlines = settings.deadlines()
    assert (deadlines.start, deadlines.submit, deadlines.silence, deadlines.turn) == (22.0, 23.0, 24.0, 25.5)


def test_the_defaults_are_those_of_the_sessions(tmp_path: Path) -> None:
    defaults = load(tmp_path).sessions_config()
    assert dataclasses.asdict(defaults) == dataclasses.asdict(SessionsConfig())


def test_the_proxy_is_laid_over_the_agents_environment(tmp_path: Path) -> None:
    environment = {"HOME": "/h", "http_proxy": "http://old:1"}
    assert load(tmp_path).agent_environment(environment) == environment
    settings = load(tmp_path, http_proxy="http://new:2")
    assert settings.agent_environment(environment) == {
        "HOME": "/h", "http_proxy": "http://new:2", "HTTP_PROXY": "http://new:2",
    }  # fmt: skip
    assert environment == {"HOME": "/h", "http_proxy": "http://old:1"}


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("LocalHost", True),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False), ("192.168.1.1", False), ("localhost.evil.example", False),
        ("127.0.0.1.example", False), ("example.org", False),
    ],
)  # fmt: skip
def test_loopback_is_known(tmp_path: Path, host: str, loopback: bool) -> None:
    assert load(tmp_path, {"HOST": host}).loopback is loopback


def test_debug_lowers_the_level(tmp_path: Path) -> None:
    assert load(tmp_path, {"QPTY_LOG_LEVEL": "WARNING"}).lowest_level == "warning"
    assert load(tmp_path, {"QPTY_LOG_LEVEL": "warning", "DEBUG": "1"}).lowest_level == "debug"
