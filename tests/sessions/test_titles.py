"""Titles that sessions get from their first messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qpty.sessions.titles import TITLE_LENGTH, title_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sessions.house import House

    Make = Callable[..., House]


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("hello", "hello"),
        ("\n \t\n\u200b\n  write   a\tparser \nin Python", "write a parser"),
        ("a\x1b[31m b\x00c\x07", "a[31m bc"),
        ("pay \u202etxt.exe\u2066!\u200f", "pay txt.exe!"),
        ("a\ud800b", "ab"),
        ("👩\u200d💻 \u200d", "👩\u200d💻"),
        ("\u202e\u2066", None),
        ("", None),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 79 + "…"),
        ("word " * 30, "word " * 15 + "word…"),
        ("数" * 100, "数" * 79 + "…"),
        ("e\u0301" * 60, "e\u0301" * 39 + "…"),
        ("x" * 77 + "👩\u200d💻" * 3, "x" * 77 + "…"),
    ],
)
def test_a_title_is_the_beginning_of_what_was_said(message: str, title: str | None) -> None:
    found = title_of(message)
    assert found == title
    assert found is None or len(found) <= TITLE_LENGTH


async def test_the_first_message_gives_a_title_and_no_later_one(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create()
        await home.say(session.id, "hello\nthere")
        assert (await home.manager.get(session.id)).title == "hello"
        await home.say(session.id, "echo something else")
        assert (await home.manager.get(session.id)).title == "hello"
        await home.manager.rename(session.id, None)
        await home.say(session.id, "hello again")
        assert (await home.manager.get(session.id)).title is None
    async with demo_house() as home:
        assert (await home.manager.get(session.id)).title is None


async def test_a_title_that_was_given_stays(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create(title="mine")
        await home.say(session.id, "hello")
        assert (await home.manager.get(session.id)).title == "mine"


async def test_a_title_is_as_durable_as_the_message(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create()
        turn = await home.manager.send(session.id, "hello")
        row = await home.database.session(session.id)
        assert row is not None
        assert (row.title, row.message_count >= 1) == ("hello", True)
        await home.ended(turn)
