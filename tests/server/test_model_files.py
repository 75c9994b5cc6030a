"""The file of models' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qpty.compat.requests import RequestError
from qpty.server.model_files import MOST_RULES, ModelFileError, load_model_names

if TYPE_CHECKING:
    from pathlib import Path

AVAILABLE = ["claude-sonnet-4.5", "claude-haiku-4.5", "claude-sonnet-4"]


def rule(pattern: str, model: str) -> str:
    return f'[[model]]\npattern = "{pattern}"\nmodel = "{model}"\n'


def resolved(path: Path, name: str, *, default: str | None = None) -> tuple[str | None, bool]:
    found = load_model_names(path, default=default, strict=False).resolve(name, AVAILABLE)
    return found.model, found.matched


def test_rules_are_read_from_the_top(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(rule("gpt-?", "not-there") + rule("GPT-*", "claude-haiku-4.5") + rule("*", "default"))
    assert resolved(path, "gpt-4") == ("claude-haiku-4.5", True)
    assert resolved(path, "gPt-4-turbo") == ("claude-haiku-4.5", True)
    assert resolved(path, "other") == (None, True)
    assert resolved(path, "other", default="claude-sonnet-4") == ("claude-sonnet-4", True)
    assert resolved(path, "claude-sonnet-4") == ("claude-sonnet-4", True)


def test_an_empty_file_has_no_rules(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text("# nothing\n")
    assert resolved(path, "gpt-4") == (None, False)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("claude-haiku-4-5-20251001", "claude-haiku-4.5"),
        ("claude-3-5-sonnet-latest", "claude-sonnet-4.5"),
        ("claude-opus-4-1", None),
        ("gpt-5-mini", "claude-haiku-4.5"),
        ("gpt-5", None),
        ("o3", None),
        ("codex-mini-latest", None),
        ("Claude-Sonnet-4", "claude-sonnet-4.5"),
    ],
)
def test_the_file_that_comes_along_knows_clients_names(tmp_path: Path, name: str, model: str | None) -> None:
    assert resolved(tmp_path / "nothing.toml", name) == (model, True)


def test_strict_names_are_refused(tmp_path: Path) -> None:
    names = load_model_names(tmp_path / "nothing.toml", default=None, strict=True)
    with pytest.raises(RequestError) as caught:
        names.resolve("llama", AVAILABLE)
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[[model]\n", "it is not TOML"),
        (b"\xff\xfe", "it can't be read"),
        (b"x = " + b"[" * 100_000, "it is not TOML"),
        (b"models = []", "models: "),
        (b"model = 1", "model: "),
        (b"[[model]]\npattern = 'a'\n", "model.0.model: "),
        (b"[[model]]\npattern = ''\nmodel = 'a'\n", "model.0.pattern: "),
        (b"[[model]]\npattern = 1\nmodel = 'a'\n", "model.0.pattern: "),
        (b"[[model]]\npattern = 'a'\nmodel = '-rf'\n", "model.0.model: "),
        (b"[[model]]\npattern = 'a'\nmodel = 'a b'\n", "model.0.model: "),
        (b"[[model]]\npattern = 'a'\nmodel = 'a\\n'\n", "model.0.model: "),
        (b"[[model]]\npattern = 'a'\nmodel = \"a\\n\"\n", "model.0.model: "),
        (b"[[model]]\npattern = 'a'\nmodel = 'a'\nmore = 1\n", "model.0.more: "),
        ((rule("a", "b") * (MOST_RULES + 1)).encode(), "model: "),
    ],
)
def test_a_file_that_can_not_be_used_says_why(tmp_path: Path, text: bytes, reason: str) -> None:
    path = tmp_path / "models.toml"
    path.write_bytes(text)
    with pytest.raises(ModelFileError) as caught:
        load_model_names(path, default=None, strict=False)
    assert caught.value.path == path
    assert caught.value.reason.startswith(reason)
    assert str(path) in str(caught.value)


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="it can't be read"):
        load_model_names(tmp_path, default=None, strict=False)
