"""Keys: made once, found by their text, revoked from elsewhere, never taken for absent."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from qpty.server.access import keys
from qpty.server.access.keys import (
    KeyConfiguredError,
    KeyFileError,
    KeyLimitError,
    KeyNameError,
    KeyNotFoundError,
    KeyStore,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_is_found_by_its_text_also_after_a_restart(path: Path) -> None:
    new = KeyStore(path).create("laptop")
    assert new.key.startswith("qpty_")
    assert len(new.key) >= 5 + 43
    found = KeyStore(path).find(new.key)
    assert found is not None
    assert (found.id, found.name, found.owner) == (new.id, "laptop", f"key:{new.id}")
    assert found.created_at is not None
    assert abs(datetime.now(UTC) - found.created_at) < timedelta(minutes=1)
    assert KeyStore(path).get(new.id) == found


def test_other_texts_find_nothing(path: Path) -> None:
    store = KeyStore(path, configured=["configured-key"])
    new = store.create("a")
    for text in ("", new.key[:-1], new.key + "x", new.key.upper(), new.id, "\ud800", "é", found_hash(new.key)):
        assert store.find(text) is None
    assert store.get("unknown") is None


def found_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_text_is_kept_nowhere(path: Path) -> None:
    store = KeyStore(path)
    new = store.create("a")
    assert new.key not in path.read_text()
    assert new.key not in repr(store.list()) + repr(new) + repr(vars(store))
    assert found_hash(new.key) not in repr(store.list())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_key_is_compared_whichever_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = KeyStore(path, configured=["configured-1"])
    made = [store.create(str(i)).key for i in range(3)]
    compared: list[bytes] = []

    def counting(left: bytes, right: bytes) -> bool:
        compared.append(left)
        return hmac_compare(left, right)

    hmac_compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", counting)
    for text in ("configured-1", made[0], made[2], "nothing"):
        compared.clear()
        store.find(text)
        assert len(compared) == 4


def test_configured_keys_are_keys_and_not_stored(path: Path) -> None:
    store = KeyStore(path, configured=["configured-1", "configured-2", "configured-1"])
    assert len(store.list()) == 2
    found = store.find("configured-2")
    assert found is not None
    assert found.id == found_hash("configured-2")[:16]
    assert (found.name, found.created_at) == ("OPENAI_KEYS", None)
    assert store.has_keys
    assert not path.exists()
    with pytest.raises(KeyConfiguredError, match="OPENAI_KEYS"):
        store.revoke(found.id)


def test_a_revoked_key_is_gone_for_good(path: Path) -> None:
    store = KeyStore(path)
    first, second = store.create("first"), store.create("second")
    assert store.revoke(first.id).name == "first"
    assert store.find(first.key) is None
    assert KeyStore(path).find(first.key) is None
    assert KeyStore(path).find(second.key) is not None
    with pytest.raises(KeyNotFoundError):
        store.revoke(first.id)


def test_a_running_server_hears_of_another_process(path: Path) -> None:
    server = KeyStore(path)
    assert not server.refresh()
    assert not server.has_keys
    new = KeyStore(path).create("made elsewhere")
    assert server.find(new.key) is None
    assert server.refresh()
    assert server.find(new.key) is not None
    assert not server.refresh()
    KeyStore(path).revoke(new.id)
    assert server.refresh()
    assert server.find(new.key) is None


def test_writers_do_not_lose_each_others_keys(path: Path) -> None:
    one, other = KeyStore(path), KeyStore(path)
    made = [one.create("a"), other.create("b"), one.create("c")]
    other.revoke(made[0].id)
    assert [key.name for key in KeyStore(path).list()] == ["b", "c"]
    assert {key.name for key in one.list()} == {"a", "b", "c"}
    assert one.refresh()
    assert {key.name for key in one.list()} == {"b", "c"}


def test_many_processes_may_make_keys_at_once(path: Path) -> None:
    code = "import sys; from pathlib import Path; from qpty.server.access.keys import KeyStore\n"
    code += "for i in range(5): KeyStore(Path(sys.argv[1])).create(f'{sys.argv[2]}-{i}')"

    def run(name: str) -> int:
        return subprocess.run([sys.executable, "-c", code, str(path), name], check=False, timeout=60).returncode

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(run, "abcd")) == [0] * 4
    assert {key.name for key in KeyStore(path).list()} == {f"{name}-{i}" for name in "abcd" for i in range(5)}


def test_revoking_the_last_key_lets_nobody_in(path: Path) -> None:
    server = KeyStore(path)
    new = server.create("only")
    KeyStore(path).revoke(new.id)
    server.refresh()
    assert server.list() == ()
    assert server.has_keys
    path.unlink()
    server.refresh()
    assert server.has_keys
    assert server.find(new.key) is None
    assert not KeyStore(path).has_keys


ROW: dict[str, Any] = {"id": "0" * 16, "name": "n", "sha256": "0" * 64, "created_at": "2026-01-01T00:00:00+00:00"}

BROKEN = {
    "empty": "",
    "cut": '{"version": 1, "keys": [',
    "no object": "[]",
    "no keys": '{"version": 1}',
    "a newer version": '{"version": 2, "keys": []}',
    "keys of another kind": '{"version": 1, "keys": {}}',
    "deep": "[" * 100_000,
    "too large": '{"version": 1, "keys": []}' + " " * (1 << 20),
    "no row": json.dumps({"version": 1, "keys": [5]}),
    "the same id twice": json.dumps({"version": 1, "keys": [ROW, ROW]}),
    **{
        f"{field}: {value!r}": json.dumps({"version": 1, "keys": [{**ROW, field: value}]})
        for field, value in [
            ("id", None), ("id", "x"), ("id", 5), ("name", ""), ("name", "a\nb"), ("name", 5), ("sha256", "0" * 63),
            ("sha256", "G" * 64), ("sha256", None), ("created_at", "yesterday"), ("created_at", 5),
        ]
    },
}  # fmt: skip


def test_the_row_is_good(path: Path) -> None:
    path.write_text(json.dumps({"version": 1, "keys": [ROW]}))
    assert [key.name for key in KeyStore(path).list()] == ["n"]


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_never_taken_for_no_keys(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(KeyFileError) as caught:
        KeyStore(path)
    assert caught.value.path == path
    assert "remove the file" in str(caught.value)
    assert path.read_text() == text


def test_a_file_that_breaks_meanwhile_keeps_the_known_keys_and_is_told_each_time(path: Path) -> None:
    store = KeyStore(path)
    new = store.create("a")
    good = path.read_bytes()
    path.write_bytes(good[:-10])
    for _ in range(2):
        with pytest.raises(KeyFileError):
            store.refresh()
    assert store.find(new.key) is not None
    with pytest.raises(KeyFileError):
        store.create("b")
    with pytest.raises(KeyFileError):
        store.revoke(new.id)
    assert path.read_bytes() == good[:-10]
    path.write_bytes(good)
    store.refresh()
    store.revoke(new.id)


@pytest.mark.parametrize("put", [os.mkdir, os.mkfifo])
def test_what_is_not_a_plain_file_is_refused_at_once(path: Path, put: Callable[[Path], None]) -> None:
    put(path)
    with pytest.raises(KeyFileError, match="not a plain file"):
        KeyStore(path)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store_path = tmp_path / "file" / "keys.json"
    with pytest.raises(KeyFileError, match="Not a directory"):
        KeyStore(store_path)


def test_the_data_directory_is_made_and_private(tmp_path: Path) -> None:
    KeyStore(tmp_path / "data" / "keys.json").create("a")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[31m", "x" * 101, "a\u2028b"])
def test_a_name_must_be_visible(path: Path, name: str) -> None:
    with pytest.raises(KeyNameError):
        KeyStore(path).create(name)
    assert not path.exists()


def test_there_is_a_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MOST_KEYS", 2)
    store = KeyStore(path)
    store.create("a")
    store.create("b")
    with pytest.raises(KeyLimitError):
        store.create("c")


def test_a_lock_that_stays_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr(keys, "LOCK_SECONDS", 0.0)
    store = KeyStore(path)
    lock = os.open(path.with_name("keys.json.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(KeyFileError, match="locked"):
            store.create("a")
    finally:
        os.close(lock)
    store.create("a")


def test_a_key_may_administer_and_one_of_an_older_file_does_not(path: Path) -> None:
    store = KeyStore(path, configured=["configured-key"])
    plain, admin = store.create("plain"), store.create("admin", admin=True)

    def administers() -> dict[str, bool]:
        return {key.name: key.admin for key in KeyStore(path, configured=["configured-key"]).list()}

    assert administers() == {"OPENAI_KEYS": False, "plain": False, "admin": True}
    content = json.loads(path.read_text())
    for row in content["keys"]:
        del row["admin"]  # as it was before there was this field
    path.write_text(json.dumps(content))
    assert administers() == {"OPENAI_KEYS": False, "plain": False, "admin": False}
    assert KeyStore(path).find(plain.key) is not None
    content["keys"][0]["admin"] = "yes"
    path.write_text(json.dumps(content))
    with pytest.raises(KeyFileError, match="admin"):
        KeyStore(path)
    assert admin.key
