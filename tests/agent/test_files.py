"""Files of our own: whole or not at all, whoever looks meanwhile."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from qpty.agent.files import link, write_private

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROUNDS = 50


def while_changing(change: Callable[[int], None], look: Callable[[], object]) -> None:
    """Look again and again while another thread changes things; what `look` raises fails the test."""
    over = threading.Event()

    def run() -> None:
        for number in range(ROUNDS):
            change(number)
        over.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        while not over.is_set():
            look()
    finally:
        thread.join(timeout=30)


def test_a_reader_sees_the_old_content_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, b"0" * 10_000)

    def look() -> None:
        content = path.read_bytes()
        assert content == content[:1] * 10_000

    while_changing(lambda number: write_private(path, b"%d" % (number % 10) * 10_000), look)
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_never_missing_while_it_is_replaced(tmp_path: Path) -> None:
    path, targets = tmp_path / "link", [tmp_path / "a", tmp_path / "b"]
    link(path, targets[0])

    def look() -> None:
        assert path.readlink() in targets

    while_changing(lambda number: link(path, targets[number % 2]), look)
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_rather_than_written_through(tmp_path: Path) -> None:
    theirs, path = tmp_path / "theirs", tmp_path / "ours"
    theirs.write_text("theirs")
    path.symlink_to(theirs)
    write_private(path, b"ours")
    assert theirs.read_text() == "theirs"
    assert not path.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600


def test_where_nothing_can_be_written_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_private(tmp_path / "none" / "file", b"")
    with pytest.raises(FileNotFoundError):
        link(tmp_path / "none" / "link", tmp_path)
