"""The data home that the CLI is given: settings of ours, everything else the person's."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from qpty.agent import data_home as module
from qpty.agent.data_home import (
    BrokenSettingsError,
    DataHome,
    NotSetUpError,
    OccupiedError,
    prepare,
)

if TYPE_CHECKING:
    from pathlib import Path

OURS = {"chat.greeting.enabled": False, "chat.disableMarkdownRendering": True}


class Person:
    """A home with a signed-in CLI, and our place for the data home."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.data = self.home / ".local" / "share" / "amazon-q"
        self.data.mkdir(parents=True)
        self.settings = self.data / "settings.json"
        self.database = self.data / "data.sqlite3"
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("CREATE TABLE conversations (key TEXT PRIMARY KEY, value TEXT)")
        self.root = root / "ours"

    def prepare(self, environment: dict[str, str] | None = None, **more: Any) -> DataHome:
        return prepare(
            self.root,
            **{
                "home": self.home,
                "environment": environment or {},
                "directory_name": "amazon-q",
                "database_name": "data.sqlite3",
                "settings": OURS,
                **more,
            },
        )


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


def settings_of(made: DataHome) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(made.settings_file.read_bytes())
    return value


def everything(directory: Path) -> dict[str, tuple[int, bytes]]:
    return {str(p): (p.stat().st_mode, p.read_bytes()) for p in directory.rglob("*") if p.is_file()}


def test_our_settings_lie_over_the_persons_which_are_not_touched(person: Person) -> None:
    person.settings.write_text('{"chat.greeting.enabled":true,\n\n "chat.defaultModel" : "m"}')
    person.settings.chmod(0o644)
    before = everything(person.home)
    made = person.prepare()
    assert settings_of(made) == {"chat.defaultModel": "m", **OURS}
    assert everything(person.home) == before
    assert made.environment() == {"XDG_DATA_HOME": str(person.root)}
    assert made.settings_file == person.root / "amazon-q" / "settings.json"


def test_a_person_without_settings_gets_ours(person: Person) -> None:
    assert settings_of(person.prepare()) == OURS
    assert not person.settings.exists()


def test_the_database_is_the_persons(person: Person) -> None:
    made = person.prepare()
    assert made.database == person.database
    linked = person.root / "amazon-q" / "data.sqlite3"
    with closing(sqlite3.connect(linked)) as through_the_link, through_the_link:
        through_the_link.execute("INSERT INTO conversations VALUES ('/x', '{}')")
        assert [path.name for path in linked.parent.iterdir() if "journal" in path.name] == []
    with closing(sqlite3.connect(person.database)) as direct:
        assert direct.execute("SELECT count(*) FROM conversations").fetchone() == (1,)


def test_only_this_user_can_look_inside(person: Person) -> None:
    person.root.mkdir(mode=0o755)
    made = person.prepare()
    modes = [path.stat().st_mode & 0o777 for path in (person.root, person.root / "amazon-q", made.settings_file)]
    assert modes == [0o700, 0o700, 0o600]


def test_preparing_again_takes_up_what_the_person_changed(person: Person) -> None:
    person.settings.write_text('{"a": 1}')
    made = person.prepare()
    made.settings_file.write_text('{"changed": "in a session"}')
    person.settings.write_text('{"b": 2}')
    assert person.prepare() == made
    assert settings_of(made) == {"b": 2, **OURS}
    assert sorted(path.name for path in (person.root / "amazon-q").iterdir()) == ["data.sqlite3", "settings.json"]


def test_the_persons_own_variable_says_where_their_data_is(person: Person, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    person.data.parent.rename(elsewhere)
    assert person.prepare({"XDG_DATA_HOME": str(elsewhere)}).database == elsewhere / "amazon-q" / "data.sqlite3"


@pytest.mark.parametrize("value", ["", "relative/path"])
def test_a_variable_that_does_not_count_is_ignored(person: Person, value: str) -> None:
    assert person.prepare({"XDG_DATA_HOME": value}).database == person.database


def test_the_link_follows_when_the_person_moves(person: Person, tmp_path: Path) -> None:
    person.prepare()
    elsewhere = tmp_path / "elsewhere"
    person.data.parent.rename(elsewhere)
    person.prepare({"XDG_DATA_HOME": str(elsewhere)})
    assert (person.root / "amazon-q" / "data.sqlite3").readlink() == elsewhere / "amazon-q" / "data.sqlite3"


@pytest.mark.parametrize("missing", ["database", "directory", "link target"])
def test_without_a_database_it_says_to_sign_in_and_makes_nothing(person: Person, missing: str) -> None:
    person.database.unlink()
    if missing == "directory":
        person.data.rmdir()
    elif missing == "link target":
        person.database.symlink_to(person.home / "gone" / "data.sqlite3")
    with pytest.raises(NotSetUpError, match=r"does not exist: sign in first, .*`q login`") as caught:
        person.prepare()
    assert caught.value.path == person.database
    assert caught.value.home == person.home
    assert not person.root.exists()


@pytest.mark.parametrize("content", ["", "{broken", "[]", '"text"'])
def test_broken_settings_are_named_and_ours_stay_as_they_were(person: Person, content: str) -> None:
    made = person.prepare()
    person.settings.write_text(content)
    with pytest.raises(BrokenSettingsError, match="mend the file or remove it") as caught:
        person.prepare()
    assert caught.value.path == person.settings
    assert settings_of(made) == OURS
    assert person.settings.read_text() == content


def test_settings_that_cannot_be_read_are_named(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    person.settings.mkdir()
    with pytest.raises(BrokenSettingsError, match="Is a directory"):
        person.prepare()
    person.settings.rmdir()
    person.settings.write_text('{"a": "long"}')
    monkeypatch.setattr(module, "MAX_SETTINGS_BYTES", 5)
    with pytest.raises(BrokenSettingsError, match="larger than 5 bytes"):
        person.prepare()


def test_the_persons_own_directory_is_never_taken_for_ours(person: Person, tmp_path: Path) -> None:
    person.settings.write_text('{"a": 1}')
    before = everything(person.home)
    theirs = person.data.parent
    theirs.chmod(0o755)
    (tmp_path / "link").symlink_to(theirs)
    for root in (theirs, tmp_path / "link"):
        person.root = root
        with pytest.raises(OccupiedError, match="the person's own"):
            person.prepare()
    person.root = tmp_path / "nested"
    person.root.mkdir()
    (person.root / "amazon-q").symlink_to(person.data)
    with pytest.raises(OccupiedError, match="link to another directory"):
        person.prepare()
    assert everything(person.home) == before
    assert theirs.stat().st_mode & 0o777 == 0o755


def test_inside_a_session_of_ours_the_real_database_is_found(person: Person, tmp_path: Path) -> None:
    outer = person.prepare()
    person.root = tmp_path / "inner"
    inner = person.prepare(outer.environment())
    assert inner.database == person.database
    with pytest.raises(OccupiedError):
        person.prepare(inner.environment())


def test_a_database_of_its_own_is_not_replaced(person: Person) -> None:
    (person.root / "amazon-q").mkdir(parents=True)
    own = person.root / "amazon-q" / "data.sqlite3"
    own.write_bytes(b"precious")
    with pytest.raises(OccupiedError, match="database of its own") as caught:
        person.prepare()
    assert caught.value.path == own
    assert own.read_bytes() == b"precious"


def test_other_programs_find_the_persons_data_through_the_variable(person: Person) -> None:
    theirs = person.data.parent
    (theirs / "uv").mkdir()
    (theirs / "uv" / "tool").write_text("x")
    (theirs / "later-gone").mkdir()
    person.prepare()
    assert (person.root / "uv" / "tool").read_text() == "x"
    (theirs / "later-gone").rmdir()
    (theirs / "new").mkdir()
    (person.root / "made-by-a-tool").mkdir()
    person.prepare()
    names = {path.name for path in person.root.iterdir()}
    assert names == {"amazon-q", "uv", "new", "made-by-a-tool"}


def test_a_root_inside_the_persons_data_does_not_contain_itself(person: Person) -> None:
    (person.data.parent / "uv").mkdir()
    person.root = person.data.parent / "qpty" / "data-home"
    person.prepare()
    assert {path.name for path in person.root.iterdir()} == {"amazon-q", "uv"}


def test_too_many_entries_are_refused(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINKS", 2)
    for name in "abc":
        (person.data.parent / name).mkdir()
    with pytest.raises(OccupiedError, match="more than 2 entries"):
        person.prepare()


def test_two_who_prepare_at_the_same_time_both_get_a_whole_one(person: Person) -> None:
    person.settings.write_text(json.dumps({f"key {n}": "x" * 50 for n in range(200)}))
    for name in ("uv", "fnm"):
        (person.data.parent / name).mkdir()
    failures: list[BaseException] = []
    together = threading.Barrier(4)

    def run() -> None:
        try:
            together.wait(timeout=10)
            for _ in range(10):
                made = person.prepare()
                assert len(settings_of(made)) == 202
                assert (person.root / "amazon-q" / "data.sqlite3").samefile(person.database)
        except BaseException as error:  # noqa: BLE001 — given to the test
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert failures == []
    assert {path.name for path in person.root.iterdir()} == {"amazon-q", "uv", "fnm"}
    assert {path.name for path in (person.root / "amazon-q").iterdir()} == {"data.sqlite3", "settings.json"}
