"""`qpty keys`: what a person sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from qpty.cli import keys
from qpty.server.access.keys import KeyConfiguredError, KeyNameError, KeyNotFoundError, KeyStore
from qpty.server.settings_errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person in an empty directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_KEYS", "QPTY_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(keys.app, list(arguments))


def test_a_key_is_made_listed_and_revoked(tmp_path: Path) -> None:
    made = run("create", "my laptop")
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert key.startswith("qpty_")
    assert "my laptop" in made.stderr
    assert key not in made.stderr
    found = KeyStore(tmp_path / "data" / "keys.json").find(key)
    assert found is not None

    listed = run("list")
    assert listed.stdout.split(maxsplit=2)[0] == found.id
    assert listed.stdout.endswith("Z  my laptop\n")
    assert key not in listed.output

    revoked = run("revoke", found.id)
    assert (revoked.exit_code, revoked.stdout) == (0, "")
    assert "my laptop" in revoked.stderr
    assert run("list").output == ""
    assert KeyStore(tmp_path / "data" / "keys.json").find(key) is None


def test_the_data_directory_can_be_named(tmp_path: Path) -> None:
    run("create", "a", "--data", "elsewhere")
    assert (tmp_path / "elsewhere" / "keys.json").exists()
    assert not (tmp_path / "data").exists()
    (tmp_path / ".env").write_text("QPTY_DATA_DIR=elsewhere")
    assert run("list").stdout.endswith("  a\n")


def test_configured_keys_are_listed_and_cannot_be_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_KEYS", "configured-key")
    listed = run("list").stdout
    assert listed.endswith("  OPENAI_KEYS\n")
    assert "configured-key" not in listed
    assert isinstance(run("revoke", listed.split()[0]).exception, KeyConfiguredError)


def test_what_cannot_be_done_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run("revoke", "0123456789abcdef").exception, KeyNotFoundError)
    assert isinstance(run("create", "").exception, KeyNameError)
    monkeypatch.setenv("PORT", "x")
    assert isinstance(run("list").exception, SettingsError)


def test_a_key_that_administers_is_listed_as_one(tmp_path: Path) -> None:
    key = run("create", "mine", "--admin").stdout.strip()
    run("create", "other")
    found = KeyStore(tmp_path / "data" / "keys.json").find(key)
    assert found is not None
    assert found.admin
    listed = run("list").stdout.splitlines()
    assert [line.endswith("  (admin)") for line in listed] == [True, False]
