"""Which part of a file a request wants, by the letters of its headers."""

from __future__ import annotations

import pytest

from qpty.server.byte_ranges import Part, Whole, has_already, wanted_range
from qpty.sessions.files.errors import FileRangeError

TAG = '"abc"'


def wanted(header: str | None, *, size: int = 10, if_range: str | None = None) -> Part:
    """What is sent of a file of ten bytes."""
    return wanted_range(header, if_range=if_range, etag=TAG, size=size, path="a.txt")


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-9", 0, 10),
        ("bytes=2-4", 2, 5),
        ("bytes=2-", 2, 10),
        ("bytes=9-", 9, 10),
        ("bytes=5-99", 5, 10),
        ("bytes=5-9999999999999999999", 5, 10),
        ("bytes=-1", 9, 10),
        ("bytes=-10", 0, 10),
        ("bytes=-11", 0, 10),
        ("BYTES=2-4", 2, 5),
        (" bytes= 2 - 4 ", 2, 5),
        ("bytes=02-004", 2, 5),
    ],
)
def test_one_range_is_that_part(header: str, start: int, stop: int) -> None:
    found = wanted(header)
    assert (found.start, found.stop) == (start, stop)
    assert not isinstance(found, Whole)


@pytest.mark.parametrize(
    "header",
    [
        None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=4-2", "bytes=0-1,3-4", "bytes=0-1,", "lines=0-1",
        "bytes=1", "bytes=--1", "bytes=+1-2", "bytes=1-2-3", "bytes=1.0-2", "bytes=\u0661-\u0662",
        f"bytes=0-{'9' * 20}",
    ],
)  # fmt: skip
def test_anything_else_is_the_whole(header: str | None) -> None:
    assert wanted(header) == Whole(0, 10)


@pytest.mark.parametrize(
    "header", ["bytes=10-", "bytes=10-11", "bytes=99-100", "bytes=-0", "bytes=9999999999999999999-"]
)
def test_a_range_that_has_nothing_of_the_file_is_refused(header: str) -> None:
    with pytest.raises(FileRangeError) as refused:
        wanted(header)
    assert refused.value.size == 10


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_an_empty_file_has_no_range(header: str) -> None:
    with pytest.raises(FileRangeError):
        wanted(header, size=0)
    assert wanted(None, size=0) == Whole(0, 0)


@pytest.mark.parametrize(("if_range", "whole"), [
    (TAG, False), (f" {TAG} ", False), (f"W/{TAG}", True), ('"other"', True), ("abc", True), ("", True),
    ("Wed, 21 Oct 2015 07:28:00 GMT", True),
])  # fmt: skip
def test_a_range_holds_for_the_version_that_is_named(if_range: str, whole: bool) -> None:
    assert isinstance(wanted("bytes=2-4", if_range=if_range), Whole) is whole
    assert isinstance(wanted("bytes=99-", if_range='"other"'), Whole)


@pytest.mark.parametrize(("header", "already"), [
    (None, False), ("", False), (TAG, True), (f"W/{TAG}", True), ("*", True), ('"x", W/"abc" ,"y"', True),
    ('"x"', False), ("abc", False), ('"ab"', False), ('"*"', False), ('"abc', False), ('"x,*"', False),
])  # fmt: skip
def test_what_somebody_has_already_is_known_by_its_tag(header: str | None, already: bool) -> None:
    assert has_already(header, etag=TAG) is already
