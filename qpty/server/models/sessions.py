"""Sessions, and their files."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from qpty.server.models.common import IN_DIGITS, Body, Json, Model, QueryFlag, Time

Name = Annotated[str, Field(max_length=128, json_schema_extra={"pattern": "^[A-Za-z0-9@_][A-Za-z0-9@_.:/-]{0,127}$"})]


class SessionCreate(Body):
    """A new session. Everything is optional; the server's settings fill in what is left out."""

    title: Annotated[str, Field(max_length=500)] | None = None
    """Without one, the beginning of the first message becomes it."""
    agent: Name | None = None
    """The name of an agent file of the CLI's. It has its own system prompt: not together with `system_prompt`."""
    model: Name | None = None
    """A model's name, as the CLI has it."""
    system_prompt: Annotated[str, Field(max_length=262144)] | None = None
    trusted_tools: Annotated[list[Name], Field(max_length=200)] | None = None
    """Tools that run without a question; an empty list trusts none, null leaves the CLI's own defaults."""
    trust_all_tools: bool = False
    """Whether every tool runs without a question."""
    columns: Annotated[int, Field(ge=20, le=500)] = 80
    lines: Annotated[int, Field(ge=5, le=500)] = 24


class SessionChange(Body):
    """What is to be changed; what is left out stays as it is."""

    title: Annotated[str, Field(max_length=500)] | None = None
    columns: Annotated[int, Field(ge=20, le=500)] | None = None
    lines: Annotated[int, Field(ge=5, le=500)] | None = None


class SessionFork(Body):
    """Where to fork."""

    turn_id: Annotated[str, Field(max_length=64)] | None = None
    """A completed turn; the newest one if left out."""
    before_turn_id: Annotated[str, Field(max_length=64)] | None = None
    """Any turn: go on from the last completed one before it, or with nothing said. Not with `turn_id`."""
    copy_files: bool = False
    """Whether the new session gets copies of the files. Links, pipes and the like are left out."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.turn_id is not None and self.before_turn_id is not None:
            raise ValueError("give turn_id or before_turn_id, not both")
        return self


class SessionCreated(Model):
    """A session that was made."""

    session_id: str
    created_at: Time


class FilesCopied(Model):
    """What a fork took with it."""

    files: int
    directories: int
    bytes: int
    skipped: list[str]
    """Paths of links, pipes and the like, and of what could not be read; the first hundred."""
    skipped_count: int
    """How many there were in all."""


class SessionForked(SessionCreated):
    """A session that was forked from another one."""

    files: FilesCopied | None
    """Null where no files were to be copied."""


class Session(Model):
    """One session."""

    session_id: str
    created_at: Time
    last_activity: Time
    message_count: int
    work_directory: str
    """The session's directory, from the directory that the sessions' one is in."""
    absolute_work_directory: str
    state: str
    """`hibernated`, `waiting` for a worker, or its terminal's: `starting`, `ready`, `busy`, `permission`, `menu`, …"""
    title: str | None
    agent: str | None
    model: str | None
    system_prompt: str | None
    trusted_tools: list[str] | None
    trust_all_tools: bool
    columns: int
    lines: int
    turn_id: str | None
    """The turn that runs, or is prepared."""
    queued: int
    """Messages that wait behind it."""
    question: Json | None
    """The open question, as the journal has it."""
    parent_id: str | None
    """The session that this one was forked from."""
    client: str | None
    """`chat`, `responses` or `messages`: the interface of OpenAI's or Anthropic's whose client's conversation it is."""
    expired: bool


class SessionList(Model):
    """A page of sessions, newest activity first."""

    sessions: list[Session]
    next: str | None
    """The next page's `cursor`; null on the last one."""


class SessionQuery(Model):
    """Which page."""

    limit: Annotated[int, Field(ge=1, le=200), IN_DIGITS] = 50
    cursor: Annotated[str, Field(max_length=500)] | None = None
    """`next` of the page before, with the same `search`."""
    search: Annotated[str, Field(max_length=200)] = ""
    """Only sessions with this text in their title, whatever its case, in any script."""


class ExportQuery(Model):
    """Which document."""

    format: Literal["markdown", "json"] = "markdown"


class File(Model):
    """One file of a session."""

    name: str
    path: str
    """From the session's directory on; what `files/{path}` takes."""
    size: int
    """Bytes."""
    modified_time: Time


class Directory(Model):
    """One directory below a session's."""

    name: str
    path: str
    modified_time: Time


class FileList(Model):
    """What is in a session's directory."""

    session_id: str
    work_directory: str
    absolute_work_directory: str
    files: list[File]
    file_count: int
    directories: list[Directory]
    other: list[str]
    """Paths of links, pipes and the like, which are never followed or opened."""
    truncated: bool
    """Whether there is more than a listing holds."""
    unreadable: list[str]
    """Paths of directories that could not be looked into."""


class FileQuery(Model):
    """What to list."""

    path: Annotated[str, Field(max_length=4096)] = ""
    """A directory below the session's; by default that one itself."""
    recursive: QueryFlag = True


Colour = Annotated[str, Field(exclude_if=lambda colour: colour == "default")]
Mark = Annotated[bool, Field(exclude_if=lambda mark: not mark)]


class Run(Model):
    """Neighbouring cells of one look; what is left out is `default` or false."""

    text: str
    fg: Colour = "default"
    bg: Colour = "default"
    bold: Mark = False
    italic: Mark = False
    underline: Mark = False
    reverse: Mark = False


class Cursor(Model):
    """Where the cursor is, from 0."""

    column: int
    line: int
    hidden: bool


class Screen(Model):
    """What a person would see on the session's terminal now."""

    session_id: str
    columns: int
    lines: int
    cursor: Cursor
    title: str
    text: str
    """The rows without colours, one a line."""
    rows: list[list[Run]]


class Hibernated(Model):
    """Whether there was an idle worker to end."""

    hibernated: bool
