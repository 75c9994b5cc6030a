"""A dialect: what one CLI's screen looks like, as data. Loaded and checked by `qpty.agent.dialects`.

Colours are indices of the 256-colour palette. Patterns are compiled regular expressions, matched against the visible
text of one line unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from qpty.core.events import FailureCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What the CLI prints when a turn (or the start) fails. `pattern` is searched in all that it said in the turn."""

    code: FailureCode
    pattern: re.Pattern[str]
    message: str
    retryable: bool
    recycle: bool
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticePattern:
    """A line that a person should see and that ends nothing."""

    code: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One CLI's screen, keys and start-up. See config/dialects/q.toml for the meaning of each entry."""

    name: str
    verified: bool
    versions: str

    # start-up
    program: str
    arguments: tuple[str, ...]
    loaded: re.Pattern[str]
    saved: re.Pattern[str]
    process_names: frozenset[str]
    data_directory: str
    database: str
    agents_directory: str
    settings: Mapping[str, object]

    # the line editor
    prompt: re.Pattern[str]
    repaint: bytes

    # the servers that are loaded at a start
    servers_loading: re.Pattern[str]
    servers_settled: re.Pattern[str]

    # the spinner
    spinner_frames: tuple[str, ...]
    spinner_words: tuple[str, ...]

    # an answer
    answer_prefix: str
    answer_colour: int
    closing_line_ends: int
    drops_first_space: bool

    # tools
    tool_header: re.Pattern[str]
    tool_header_colour: int
    tool_description: re.Pattern[str]
    tool_continuation: str
    tool_purpose_argument: str
    tool_description_arguments: tuple[str, ...]
    tool_completed: re.Pattern[str]
    tool_completed_colour: int
    tool_failed: re.Pattern[str]
    tool_failed_colour: int
    tool_invalid: re.Pattern[str]
    tool_forbidden: re.Pattern[str]
    tool_forbidden_colour: int
    permission: re.Pattern[str]
    permission_colour: int
    answers: Mapping[str, str]

    # hooks
    hooks_line: re.Pattern[str]
    hooks_colours: frozenset[int]

    # menus
    menu_title: re.Pattern[str]
    menu_selected: re.Pattern[str]
    menu_option: re.Pattern[str]

    # what it says when something is wrong
    failures: tuple[Failure, ...]
    notices: tuple[NoticePattern, ...]
