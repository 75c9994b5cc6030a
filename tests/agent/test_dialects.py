"""Dialects: the shipped ones load, and an error in one names the file, the key and the line."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, get_args

import pytest

from qpty.agent import dialects
from qpty.agent.dialects import DialectError
from qpty.core.dialect import Dialect
from qpty.core.events import FailureCode

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = (dialects.dialect_directory() / "q.toml").read_text(encoding="utf-8")


def line_number(start: str) -> int:
    """The line of the shipped dialect that starts so."""
    return next(number for number, line in enumerate(SHIPPED.splitlines(), start=1) if line.startswith(start))


def changed(path: Path, before: str, after: str) -> DialectError:
    """The error that the shipped dialect gives with a change."""
    assert SHIPPED.count(before) >= 1
    path.write_text(SHIPPED.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(DialectError) as caught:
        dialects.read(path)
    return caught.value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


# -- what is shipped


def test_two_dialects_are_shipped_and_only_one_is_verified() -> None:
    assert dialects.available() == ["kiro-cli", "q"]
    assert dialects.load("q").verified
    kiro = dialects.load("kiro-cli")
    assert not kiro.verified
    assert not any(failure.verified for failure in kiro.failures)


@pytest.mark.parametrize("name", ["q", "kiro-cli"])
def test_a_shipped_dialect_is_whole(name: str) -> None:
    dialect = dialects.load(name)
    assert dialect.name == name
    assert all(getattr(dialect, item.name) is not None for item in fields(Dialect))
    assert dialect.settings["chat.disableMarkdownRendering"] is True
    assert dialect.answers == {"allow": "y", "refuse": "n", "always": "t"}


@pytest.mark.parametrize("name", ["q", "kiro-cli"])
def test_every_failure_that_a_screen_can_tell_has_a_pattern(name: str) -> None:
    """The others are told by the process and the clock, not by words."""
    codes = {failure.code for failure in dialects.load(name).failures}
    assert codes == set(get_args(FailureCode)) - {"worker_lost", "timeout", "unknown"}


def test_the_most_specific_failure_stands_first() -> None:
    order = [failure.code for failure in dialects.load("q").failures]
    for special in ("account_suspended", "sign_in_expired"):
        assert order.index(special) < order.index("access_denied") < order.index("upstream_error")


@pytest.mark.parametrize(
    ("text", "is_prompt"),
    [
        ("> ", True),
        ("[agent] > ", True),
        ("[agent] 6% > ", True),
        ("[agent] 6% ↯ !> ", True),
        ("100% ↯ > ", True),
        ("!> ", True),
        (">", False),
        ("text > ", False),
        ("[agent > ", False),
        ("", False),
    ],
)
def test_the_prompts_of_q_are_known(text: str, is_prompt: bool) -> None:
    assert (dialects.load("q").prompt.fullmatch(text) is not None) == is_prompt


@pytest.mark.parametrize(
    ("line", "loading", "settled"),
    [
        ("⠋ 0 of 1 mcp servers initialized. ctrl-c to start chatting now", True, False),
        ("✓ 1 of 1 mcp servers initialized.", False, True),
        ("✗ 0 of 1 mcp servers initialized.", False, True),
        ("⚠ 1 of 3 mcp servers initialized. Servers still loading:", False, True),
        ("✓ client loaded in 0.04 s", False, False),
        ("🤖 You are chatting with claude-sonnet-4.5", False, False),
    ],
)
def test_what_q_tells_of_its_servers_is_known(line: str, loading: bool, settled: bool) -> None:
    dialect = dialects.load("q")
    assert (dialect.servers_loading.search(line) is not None) == loading
    assert (dialect.servers_settled.search(line) is not None) == settled


# -- what is wrong is named


@pytest.mark.parametrize(
    ("before", "after", "key", "line", "reason"),
    [
        (
            '".amazonq/cli-agents"',
            '"../agents"',
            "start.agents_directory",
            "agents_directory",
            "below the working directory",
        ),
        ("colour = 10", "colour = 256", "answer.colour", "colour = 10", "less than or equal to 255"),
        ("colour = 10", 'colour = "green"', "answer.colour", "colour = 10", "valid integer"),
        ("header_colour = 13", "header_colour = -1", "tool.header_colour", "header_colour", "greater than or equal"),
        ("pattern = '(?:\\[", "pattern = '((?:\\[", "prompt.pattern", "pattern = '(?:", "not a regular expression"),
        ('repaint = "\\f"', 'repaint = "\\r"', "prompt.repaint", "repaint =", "one control character"),
        ('repaint = "\\f"', 'repaint = "l"', "prompt.repaint", "repaint =", "one control character"),
        ('repaint = "\\f"', 'repaint = "\\f\\f"', "prompt.repaint", "repaint =", "one control character"),
        ("title = '\\?", "title = '[[a]", "menu.title", "title = '", "not a regular expression: Possible nested set"),
        ("title = '\\?", "title = '?", "menu.title", "title = '", "not a regular expression"),
        ("verified = true", 'verified = "yes"', "verified", "verified = true", "valid boolean"),
        ('prefix = "> "', 'prefix = ""', "answer.prefix", "prefix =", "at least 1 character"),
        ('prefix = "> "', 'prefiks = "> "', "answer.prefix", "[answer]", "Field required"),
        ('prefix = "> "', 'prefix = "> "\nnews = 1', "answer.news", "colour = 10", "not permitted"),
        ('versions = "1.19"', "", "versions", "", "Field required"),
        ("[menu]", "[menus]", "menu", "", "Field required"),
        ("(?P<name>.+?)", "(.+?)", "tool", "[tool]", "header needs the named groups name"),
        ("(?P<option>\\S.*)", "(\\S.*)", "menu", "[menu]", "option needs the named groups option"),
        ("in (?P<seconds>\\d+", "in (\\d+", "tool", "[tool]", "completed needs the named groups seconds"),
        ('code = "monthly_limit"', 'code = "monthly"', "failure.1.code", 'code = "monthly', "not a failure code"),
        ("pattern = 'TEMPORARILY_SUSPENDED'", "", "failure.5.pattern", "[[failure]] 5", "Field required"),
        ("frames = [", "frames = 5\nfrom = [", "spinner.frames", "frames =", "valid list"),
        (
            "closing_line_ends = 2",
            "closing_line_ends = true",
            "answer.closing_line_ends",
            "closing_line_ends",
            "integer",
        ),
    ],
)
def test_an_error_names_file_key_and_line(
    path: Path, before: str, after: str, key: str, line: str, reason: str
) -> None:
    error = changed(path, before, after)
    assert (error.path, error.key) == (path, key)
    assert reason in error.reason
    if line == "[[failure]] 5":
        number = [index for index, row in enumerate(SHIPPED.splitlines(), start=1) if row == "[[failure]]"][5]
    else:
        number = line_number(line) if line else 0
    if key == "answer.news":
        number = line_number('prefix = "> "') + 1
    assert error.line == number
    where = f"mine.toml:{number}" if number else "mine.toml"
    assert str(error) == f"{where}: {key}: {error.reason}"


@pytest.mark.parametrize(
    ("text", "line"),
    [("name = 'q'\nversions = \n", 2), ("[start\n", 1), ("a = 1\na = 2\n", 2), ('name = "q\n', 1), ("x = 1 ! 2\n", 1)],
)
def test_a_syntax_error_names_its_line(path: Path, text: str, line: int) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DialectError) as caught:
        dialects.read(path)
    assert (caught.value.key, caught.value.line) == ("(syntax)", line)


def test_the_first_error_in_the_file_is_named_not_the_last(path: Path) -> None:
    path.write_text(SHIPPED.replace("colour = 10", "colour = 999").replace("colour = 8\n", "colour = 999\n"))
    with pytest.raises(DialectError) as caught:
        dialects.read(path)
    assert caught.value.key == "answer.colour"


@pytest.mark.parametrize("kind", ["missing", "directory", "not text"])
def test_a_file_that_can_not_be_read_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mine.toml"
    if kind == "directory":
        path.mkdir()
    elif kind == "not text":
        path.write_bytes(b"name = '\xff'")
    with pytest.raises(DialectError, match="can't be read"):
        dialects.read(path)


@pytest.mark.parametrize("name", ["", "nosuch", "../dialects/q", "q.toml"])
def test_a_name_that_is_not_shipped_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(DialectError, match=re.escape("there are kiro-cli, q")):
        dialects.load(name)


def test_words_of_the_spinner_that_can_not_be_told_apart_are_an_error(path: Path) -> None:
    error = changed(path, '"Loading...",', '"Thinking... more",')
    assert error.key == "spinner"
    assert "begins with" in error.reason


@pytest.mark.parametrize("letter", ["", "yes", "é", " "])
def test_an_answer_is_one_letter_that_can_be_typed(path: Path, letter: str) -> None:
    error = changed(path, 'allow = "y"', f'allow = "{letter}"')
    assert error.key == "permission.allow"
    assert error.line == line_number("allow =")
