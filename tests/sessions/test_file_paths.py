"""Texts of paths and the file names that they mean."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.sessions.files.errors import FilePathError
from qpty.sessions.files.paths import is_escaped, name_text, parse_directory, parse_path, path_text

NAMES = st.one_of(
    st.binary(min_size=1, max_size=255),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=60).map(lambda data: b"%raw:" + data),
).filter(lambda name: 0 < len(name) < 256 and name not in (b".", b"..") and not set(name) & {0, ord("/")})
"""Every name that a file can have."""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "name a file"),
        ("/etc/passwd", "leading"),
        ("/", "leading"),
        ("a//b", "empty"),
        ("a/", "empty"),
        (".", "not followed"),
        ("..", "not followed"),
        ("a/../b", "not followed"),
        ("a/./b", "not followed"),
        ("a\0b", "NUL"),
        ("a" * 256, "255 bytes"),
        ("é" * 128, "255 bytes"),
        ("/".join("a" * 65), "64 names"),
        ("a\ud800", "surrogate"),
        ("\udcc3\udca9", "surrogate"),  # spells é
        ("%raw:", "spells"),
        ("%raw:plain", "spells"),
        ("%raw:%2e%2e", "spells"),
        ("%raw:%2E%2E", "spells"),
        ("%raw:%2F%FF", "spells"),
        ("%raw:%FF%00", "spells"),
        ("%raw:%ff", "spells"),
        ("%raw:%FF%", "spells"),
        ("%raw:%FF%4", "spells"),
        ("%raw:%41%FF", "spells"),
        ("%raw:\udcff", "spells"),
    ],
)
def test_what_is_no_path_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(FilePathError) as caught:
        parse_path(text)
    assert reason in caught.value.reason
    json.dumps([caught.value.path, str(caught.value)], ensure_ascii=False).encode()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", (b"a",)),
        ("a/b c/…", (b"a", b"b c", b"\xe2\x80\xa6")),
        ("back\\slash", (b"back\\slash",)),
        ("C:\\x", (b"C:\\x",)),
        ("...", (b"...",)),
        ("line\nend", (b"line\nend",)),
        ("100%", (b"100%",)),
        ("%41", (b"%41",)),
        ("%raw:caf%E9.txt", (b"caf\xe9.txt",)),
        ("caf\udce9.txt", (b"caf\xe9.txt",)),
        ("%raw:%25raw:x", (b"%raw:x",)),
        ("/".join("a" * 64), (b"a",) * 64),
        ("a" * 255, (b"a" * 255,)),
    ],
)
def test_a_path_means_its_names(text: str, names: tuple[bytes, ...]) -> None:
    assert parse_path(text) == names


def test_the_empty_text_is_the_directory_itself() -> None:
    assert parse_directory("") == ()
    assert parse_directory("a/b") == (b"a", b"b")


@given(st.lists(NAMES, min_size=1, max_size=64))
def test_every_name_has_a_text_that_json_can_carry_and_that_leads_back(names: list[bytes]) -> None:
    text = path_text(names)
    assert parse_path(json.loads(json.dumps(text, ensure_ascii=False).encode())) == tuple(names)


@given(NAMES)
def test_names_of_python_are_understood(name: bytes) -> None:
    if not name.startswith(b"%raw:"):
        assert parse_path(os.fsdecode(name)) == (name,)


@given(NAMES)
def test_ordinary_names_are_their_own_text(name: bytes) -> None:
    if not is_escaped(name):
        assert name_text(name).encode() == name


@given(st.text(st.characters(), max_size=40).map(lambda text: "%raw:" + text) | st.text(st.characters(), max_size=40))
def test_one_text_for_each_name(text: str) -> None:
    """A text is refused, or it is the text of what it means (or a name as Python gives it)."""
    try:
        names = parse_path(text)
    except FilePathError:
        return
    assert path_text(names) == text or any("\udc80" <= character <= "\udcff" for character in text)
