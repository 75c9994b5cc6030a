"""Dialects from their files: `config/dialects/*.toml`, checked whole before anything uses them.

An error names the file, the key and the line, so that a person who edits a dialect knows where to look.
"""

from __future__ import annotations

import re
import tomllib
import warnings
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from qpty.core.dialect import Dialect, Failure, NoticePattern
from qpty.core.errors import QptyError
from qpty.core.events import FailureCode
from qpty.core.spinner import FrameLifter

if TYPE_CHECKING:
    from collections.abc import Sequence


class DialectError(QptyError):
    """A dialect file that can't be used. `line` is from 1; 0 where no line can be named."""

    def __init__(self, path: Path, key: str, line: int, reason: str) -> None:
        self.path = path
        self.key = key
        self.line = line
        self.reason = reason
        super().__init__(f"{path.name}:{line}: {key}: {reason}" if line else f"{path.name}: {key}: {reason}")


def dialect_directory() -> Path:
    """Return the directory of the shipped dialects: package data, or `config/dialects` of a checkout."""
    packaged = Path(str(resources.files("qpty"))) / "config" / "dialects"
    return packaged if packaged.is_dir() else packaged.parents[2] / "config" / "dialects"


def available() -> list[str]:
    """Return the names of the shipped dialects, sorted."""
    return sorted(path.stem for path in dialect_directory().glob("*.toml"))


def load(name: str) -> Dialect:
    """Return a shipped dialect by name; raises `DialectError` naming what is wrong, and where."""
    path = dialect_directory() / f"{name}.toml"
    if name not in available():
        raise DialectError(path, "name", 0, f"no such dialect; there are {', '.join(available())}")
    return read(path)


def read(path: Path) -> Dialect:
    """Read and check one dialect file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DialectError(path, "(file)", 0, f"can't be read: {error}") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"line (\d+)", str(error))
        raise DialectError(path, "(syntax)", int(where[1]) if where else 0, str(error)) from error
    try:
        file = _File.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = tuple(part for part in first["loc"])
        key = ".".join(str(part) for part in place) or "(file)"
        raise DialectError(path, key, line_of(text, place), first["msg"]) from error
    return _dialect(file)


def line_of(text: str, place: Sequence[str | int]) -> int:
    """Return the line (from 1) of a key in a TOML text: of the deepest part of its path that is written there.

    `place` is a path as pydantic gives it: table names, indices of arrays of tables, the key.
    """
    table: list[str | int] = []
    counts: dict[str, int] = {}
    best, depth = 0, 0
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.match(r"\s*\[\[\s*([\w.\-]+)\s*\]\]", line):
            name = match[1]
            counts[name] = counts.get(name, -1) + 1
            table = [*name.split("."), counts[name]]
        elif match := re.match(r"\s*\[\s*([\w.\-]+)\s*\]", line):
            table = list(match[1].split("."))
        elif match := re.match(r"""\s*["']?([\w.\-]+)["']?\s*=""", line):
            path = [*table, match[1]]
            if path == list(place)[: len(path)] and len(path) > depth:
                best, depth = number, len(path)
            continue
        else:
            continue
        if table == list(place)[: len(table)] and len(table) > depth:
            best, depth = number, len(table)
    return best


def _compiled(value: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a meaning that is going to change
            re.compile(value)
    except (re.error, Warning) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return value


def _typable(value: str) -> str:
    if len(value) != 1 or not "!" <= value <= "~":
        raise ValueError("give one printable ASCII character: it is typed")
    return value


def _harmless_key(value: str) -> str:
    if len(value) != 1 or value >= " " or value in "\x03\x04\n\r\x11\x13\x1a\x1b\x1c":
        raise ValueError("give one control character that enters, ends and stops nothing: it is typed at a prompt")
    return value


def _below(value: str) -> str:
    if any(name in {"", ".", ".."} for name in value.split("/")):
        raise ValueError("give a path below the working directory, its names separated by /")
    return value


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_compiled)]
Text = Annotated[str, Field(min_length=1)]
Letter = Annotated[str, AfterValidator(_typable)]
Key = Annotated[str, AfterValidator(_harmless_key)]
Colour = Annotated[int, Field(ge=0, le=255)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Start(_Table):
    program: Text
    arguments: list[str]
    loaded: Pattern
    saved: Pattern
    process_names: list[Text]
    data_directory: Text
    database: Text
    agents_directory: Annotated[Text, AfterValidator(_below)]
    settings: dict[str, str | int | float | bool]


class _Prompt(_Table):
    pattern: Pattern
    repaint: Key


class _Servers(_Table):
    loading: Pattern
    settled: Pattern


class _Spinner(_Table):
    frames: Annotated[list[Text], Field(min_length=1)]
    words: Annotated[list[Text], Field(min_length=1)]

    @model_validator(mode="after")
    def _told_apart(self) -> _Spinner:
        FrameLifter(self.frames, self.words)
        return self


class _Answer(_Table):
    prefix: Text
    colour: Colour
    closing_line_ends: Annotated[int, Field(ge=0, le=9)]
    drops_first_space: bool


class _Tool(_Table):
    header: Pattern
    header_colour: Colour
    description: Pattern
    continuation: Text
    purpose_argument: Text
    description_arguments: list[Text]
    completed: Pattern
    completed_colour: Colour
    failed: Pattern
    failed_colour: Colour
    invalid: Pattern
    forbidden: Pattern
    forbidden_colour: Colour

    @model_validator(mode="after")
    def _groups(self) -> _Tool:
        _require_groups(self.header, "header", {"name", "trusted", "server"})
        _require_groups(self.completed, "completed", {"seconds"})
        _require_groups(self.failed, "failed", {"seconds"})
        return self


class _Permission(_Table):
    pattern: Pattern
    colour: Colour
    allow: Letter
    refuse: Letter
    always: Letter


class _Hooks(_Table):
    line: Pattern
    colours: Annotated[list[Colour], Field(min_length=1)]


class _Menu(_Table):
    title: Pattern
    selected: Pattern
    option: Pattern

    @model_validator(mode="after")
    def _groups(self) -> _Menu:
        _require_groups(self.title, "title", {"title"})
        _require_groups(self.selected, "selected", {"option"})
        _require_groups(self.option, "option", {"option"})
        return self


def _known_code(value: str) -> str:
    if value not in get_args(FailureCode):
        raise ValueError(f"not a failure code; choose one of {', '.join(get_args(FailureCode))}")
    return value


class _Failure(_Table):
    code: Annotated[str, AfterValidator(_known_code)]
    pattern: Pattern
    message: Text
    retryable: bool
    recycle: bool
    verified: bool


class _Notice(_Table):
    code: Text
    pattern: Pattern


class _File(_Table):
    name: Text
    verified: bool
    versions: Text
    start: _Start
    prompt: _Prompt
    servers: _Servers
    spinner: _Spinner
    answer: _Answer
    tool: _Tool
    permission: _Permission
    hooks: _Hooks
    menu: _Menu
    failure: list[_Failure]
    notice: list[_Notice]


def _require_groups(pattern: str, key: str, names: set[str]) -> None:
    missing = names - set(re.compile(pattern).groupindex)
    if missing:
        raise ValueError(f"{key} needs the named groups {', '.join(sorted(missing))}")


def _dialect(file: _File) -> Dialect:
    codes: dict[str, FailureCode] = {code: code for code in get_args(FailureCode)}
    return Dialect(
        name=file.name,
        verified=file.verified,
        versions=file.versions,
        program=file.start.program,
        arguments=tuple(file.start.arguments),
        loaded=re.compile(file.start.loaded),
        saved=re.compile(file.start.saved),
        process_names=frozenset(file.start.process_names),
        data_directory=file.start.data_directory,
        database=file.start.database,
        agents_directory=file.start.agents_directory,
        settings=dict(file.start.settings),
        prompt=re.compile(file.prompt.pattern),
        repaint=file.prompt.repaint.encode(),
        servers_loading=re.compile(file.servers.loading),
        servers_settled=re.compile(file.servers.settled),
        spinner_frames=tuple(file.spinner.frames),
        spinner_words=tuple(file.spinner.words),
        answer_prefix=file.answer.prefix,
        answer_colour=file.answer.colour,
        closing_line_ends=file.answer.closing_line_ends,
        drops_first_space=file.answer.drops_first_space,
        tool_header=re.compile(file.tool.header),
        tool_header_colour=file.tool.header_colour,
        tool_description=re.compile(file.tool.description),
        tool_continuation=file.tool.continuation,
        tool_purpose_argument=file.tool.purpose_argument,
        tool_description_arguments=tuple(file.tool.description_arguments),
        tool_completed=re.compile(file.tool.completed),
        tool_completed_colour=file.tool.completed_colour,
        tool_failed=re.compile(file.tool.failed),
        tool_failed_colour=file.tool.failed_colour,
        tool_invalid=re.compile(file.tool.invalid),
        tool_forbidden=re.compile(file.tool.forbidden),
        tool_forbidden_colour=file.tool.forbidden_colour,
        permission=re.compile(file.permission.pattern),
        permission_colour=file.permission.colour,
        answers={
            "allow": file.permission.allow,
            "refuse": file.permission.refuse,
            "always": file.permission.always,
        },
        hooks_line=re.compile(file.hooks.line),
        hooks_colours=frozenset(file.hooks.colours),
        menu_title=re.compile(file.menu.title),
        menu_selected=re.compile(file.menu.selected),
        menu_option=re.compile(file.menu.option),
        failures=tuple(
            Failure(
                code=codes[one.code],
                pattern=re.compile(one.pattern),
                message=one.message,
                retryable=one.retryable,
                recycle=one.recycle,
                verified=one.verified,
            )
            for one in file.failure
        ),
        notices=tuple(NoticePattern(code=one.code, pattern=re.compile(one.pattern)) for one in file.notice),
    )
