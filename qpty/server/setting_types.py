"""The kinds of values that settings have: how each is read, what it takes, and how it is written down.

Values come as text from the environment and `.env`, and as TOML's own types from `config/qpty.toml`. The word `none`
says, in either, that a setting which may be missing is missing (a stronger source can so take back what a weaker one
said), and that a list is empty.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from qpty.server.access.origin import parse_authority, parse_origin

NONE: Final = "none"
AGENTS: Final = ("auto", "q", "kiro-cli", "demo")
TEN_YEARS: Final = 315_360_000.0
SHORTEST_KEY: Final = 8

_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Takes:
    """What may be given, to be read after "give". Bounds of numbers are added from the field."""

    text: str


def _not_a_switch(value: Any) -> Any:
    """Keep TOML's `true` from being read as the number 1."""
    if isinstance(value, bool):
        raise ValueError("a switch")  # noqa: TRY004 — pydantic takes ValueError for a wrong value
    return value


def _maybe_none(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip().lower() == NONE else value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _items(value: Any) -> Any:
    """Split a comma list; a list of TOML stays one."""
    if isinstance(value, str):
        value = [] if _maybe_none(value) is None else value.split(",")
    if isinstance(value, list | tuple):
        stripped = (item.strip() if isinstance(item, str) else item for item in value)
        return tuple(item for item in stripped if item != "")
    return value


def _host(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        if not _HOST_NAME.fullmatch(value):
            raise
    return value


def _printable(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("not printable")
    return value


def _proxy(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not re.fullmatch(r"[!-~]+", text) or ("://" in text and not text.lower().startswith(("http://", "https://"))):
        raise ValueError("no proxy")
    return value


def _agent(value: str) -> str:
    if value not in AGENTS and "/" not in value:
        raise ValueError("neither a known agent nor a path")
    return _printable(value)


def _keys(values: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for value in values:
        if not re.fullmatch(rf"[!-~]{{{SHORTEST_KEY},}}", value.get_secret_value()):
            raise ValueError("a bad key")
    return values


def _database(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"(sqlite|postgres|postgresql)(\+[a-z]+)?://[!-~]+", value.get_secret_value()):
        raise ValueError("neither kind of database")
    return value


def _hosts(values: tuple[str, ...]) -> tuple[str, ...]:
    if not all(value == "*" or parse_authority(value) for value in values):
        raise ValueError("not a host's name")
    return values


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    if not all(map(parse_origin, values)):
        raise ValueError("not an origin")
    return values


def _tools(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_printable, values))


def _path(value: Path) -> Path:
    if "\0" in str(value):
        raise ValueError("a null byte")
    return value


_Number = BeforeValidator(_not_a_switch)
_Optional = BeforeValidator(_maybe_none)
_List = BeforeValidator(_items)

Switch = Annotated[bool, Takes("true or false")]
Whole = Annotated[int, _Number, Takes("a whole number")]
Seconds = Annotated[float, Field(gt=0, le=TEN_YEARS, allow_inf_nan=False), _Number, Takes("seconds")]
MaybeSeconds = Annotated[
    Annotated[float, Field(gt=0, le=TEN_YEARS, allow_inf_nan=False), _Number] | None,
    _Optional,
    Takes(f"seconds, more than 0 and at most {TEN_YEARS:.0f}, or none"),
]
Directory = Annotated[Path, AfterValidator(_path), Takes("the path of a directory")]
FilePath = Annotated[Path, AfterValidator(_path), Takes("the path of a file")]
Host = Annotated[str, AfterValidator(_host), Takes("an address such as 127.0.0.1, 0.0.0.0 or ::1, or a host's name")]
Agent = Annotated[str, AfterValidator(_agent), Takes(f"{', '.join(AGENTS)}, or the path of a program (with a /)")]
MaybeWord = Annotated[
    str | None, AfterValidator(lambda v: v if v is None else _printable(v)), _Optional, Takes("a name")
]
MaybeProxy = Annotated[
    Annotated[SecretStr, AfterValidator(_proxy)] | None,
    _Optional,
    Takes("a proxy's URL such as http://proxy.example:3128, or none"),
]
MaybeDatabase = Annotated[
    Annotated[SecretStr, AfterValidator(_database)] | None,
    _Optional,
    Takes("sqlite:////full/path.db, postgresql://user@host/name, or none"),
]
MaybeTools = Annotated[
    Annotated[tuple[str, ...], AfterValidator(_tools), _List] | None,
    _Optional,
    Takes("names of tools with commas between them, a lone comma for no tool, or none"),
]
Keys = Annotated[
    tuple[SecretStr, ...],
    AfterValidator(_keys),
    _List,
    Takes(
        f"keys with commas between them, each of at least {SHORTEST_KEY} printable ASCII characters without spaces, "
        "or none"
    ),
]
Hosts = Annotated[
    tuple[str, ...],
    AfterValidator(_hosts),
    _List,
    Takes("host names with commas between them, each with :PORT if only that is meant; * for all; or none"),
]
Origins = Annotated[
    tuple[str, ...],
    AfterValidator(_origins),
    _List,
    Takes("origins such as https://example.org with commas between them, or none"),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"], BeforeValidator(_lower), Takes("debug, info, warning or error")
]
StreamFidelity = Annotated[Literal["auto", "live", "exact"], BeforeValidator(_lower), Takes("auto, live or exact")]
LogFormat = Annotated[Literal["auto", "json", "console"], BeforeValidator(_lower), Takes("auto, json or console")]


def advice(metadata: list[Any]) -> str:
    """Return what a field with these marks takes, with its bounds, to be read after "give"."""
    text = next(mark.text for mark in metadata if isinstance(mark, Takes))
    least = next((str(mark.ge) for mark in metadata if isinstance(mark, Ge)), None)
    above = next((str(mark.gt) for mark in metadata if isinstance(mark, Gt)), None)
    most = next((f"{mark.le:.0f}" for mark in metadata if isinstance(mark, Le)), None)
    if least is not None:
        return f"{text} from {least} to {most}" if most is not None else f"{text}, at least {least}"
    if above is not None:
        return f"{text}, more than {above}" + (f" and at most {most}" if most is not None else "")
    return text


def default_text(value: Any) -> str:
    """Return a default as it would be written in the environment."""
    if value is None or value == ():
        return NONE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
