"""The signed cookie, and the file with its secret."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.server.access.cookies import LIFETIME, CookieSigner, SecretFileError, load_secret

if TYPE_CHECKING:
    from pathlib import Path

SIGNER = CookieSigner(b"s" * 32)
KEY_ID = "0123456789abcdef"


def test_a_cookie_names_its_key_until_it_expires() -> None:
    cookie = SIGNER.issue(KEY_ID, 1000.5, lifetime=60)
    assert SIGNER.key_id_of(cookie, 1000.5) == KEY_ID
    assert SIGNER.key_id_of(cookie, 1059.9) == KEY_ID
    assert SIGNER.key_id_of(cookie, 1060.0) is None
    assert SIGNER.key_id_of(SIGNER.issue(KEY_ID, 0.0), LIFETIME - 1) == KEY_ID


def test_a_cookie_needs_no_quotes() -> None:
    cookie = SIGNER.issue(KEY_ID, 1000.0)
    assert SimpleCookie(f"qpty={cookie}")["qpty"].coded_value == cookie


def test_another_secret_signs_differently() -> None:
    assert CookieSigner(b"t" * 32).key_id_of(SIGNER.issue(KEY_ID, 1.0), 2.0) is None


COOKIE = SIGNER.issue(KEY_ID, 1000.0)


@given(st.integers(0, len(COOKIE) - 1), st.characters())
def test_no_character_can_be_changed(position: int, character: str) -> None:
    changed = COOKIE[:position] + character + COOKIE[position + 1 :]
    assert SIGNER.key_id_of(changed, 1001.0) == (KEY_ID if changed == COOKIE else None)


@given(st.text(max_size=100))
def test_nonsense_is_no_cookie(text: str) -> None:
    assert SIGNER.key_id_of(text, 0.0) is None
    assert SIGNER.key_id_of(COOKIE + text, 1001.0) == (None if text else KEY_ID)


def test_parts_of_two_cookies_are_no_cookie() -> None:
    version, key_id, _, signature = COOKIE.split(".")
    _, _, later, _ = SIGNER.issue(KEY_ID, 9e9).split(".")
    assert SIGNER.key_id_of(f"{version}.{key_id}.{later}.{signature}", 1001.0) is None
    other = SIGNER.issue("fedcba9876543210", 1000.0).split(".")
    assert SIGNER.key_id_of(f"{version}.{other[1]}.{other[2]}.{signature}", 1001.0) is None


@pytest.mark.parametrize("key_id", ["", "a.b", "A", "a b", "ä", "a" * 65, "a\n"])
def test_an_id_that_would_not_come_back_is_refused(key_id: str) -> None:
    with pytest.raises(ValueError):
        SIGNER.issue(key_id, 0.0)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError):
        CookieSigner(b"short")


def test_the_secret_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "cookie.secret"
    secret = load_secret(path)
    assert len(secret) == 32
    assert load_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert load_secret(tmp_path / "another") != secret


def test_all_who_come_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        for round_ in range(20):
            path = tmp_path / str(round_)
            assert len(set(threads.map(load_secret, [path] * 8))) == 1


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_broken_secret_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(SecretFileError, match="remove the file"):
        load_secret(path)
    assert path.read_bytes() == content


def test_a_secret_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError, match="No such file or directory"):
        load_secret(tmp_path / "missing" / "secret")
