"""Characters that can't be seen: named in code, harmless in prose."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qpty.rendering.blocks import render_blocks
from qpty.rendering.text import balanced
from tests.rendering.checking import html_of

HIDDEN = [
    "\u202a",
    "\u202e",
    "\u2066",
    "\u2069",
    "\u200b",
    "\u200e",
    "\u200f",
    "\ufeff",
    "\x1b",
    "\x7f",
    "\x9b",
    "\u2028",
]


@pytest.mark.parametrize("character", HIDDEN)
@pytest.mark.parametrize("place", ["```\na{}b\n```", "```python\n'{}'\n```", "x `a{}b`", "    a{}b"])
def test_hidden_characters_of_code_are_named(place: str, character: str) -> None:
    name = f"U+{ord(character):04X}"
    html = html_of(render_blocks(place.replace("{}", character)))
    assert f'<span class="hidden-character" title="{name}">{name}</span>' in html
    assert character not in html


def test_joiners_of_emoji_and_scripts_stay() -> None:
    html = html_of(render_blocks("`\U0001f469\u200d\U0001f4bb می\u200cخواهم a\u200db`"))
    assert "\U0001f469\u200d\U0001f4bb می\u200cخواهم a<span" in html


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\u202eb", "a\u202eb\u202c"),
        ("a\u2066b\u202ec", "a\u2066b\u202ec\u202c\u2069"),
        ("a\u2069b\u202cc", "abc"),
        ("\u2067a\u2069b", "\u2067a\u2069b"),
        ("\u202ea\u2069b", "\u202eab\u202c"),
        ("plain \u200f", "plain \u200f"),
    ],
)
def test_overrides_are_closed(text: str, expected: str) -> None:
    assert balanced(text) == expected


def test_an_override_ends_with_its_text() -> None:
    html = html_of(render_blocks("[a\u202eb](https://x.y) c *d\u2066* e"))
    assert ">a\u202eb\u202c</a> c <em>d\u2066\u2069</em> e" in html


def test_a_description_of_an_image_cannot_reverse_what_follows() -> None:
    assert 'alt="a\u202eb\u202c"' in html_of(render_blocks("![a\u202eb](c.png)"))


def test_controls_of_prose_are_replaced() -> None:
    assert html_of(render_blocks("a\x1b[31mb\x00c")) == '<p dir="auto">a\ufffd[31mb\ufffdc</p>'


@settings(deadline=None)
@given(st.text(st.sampled_from("ab\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")))
def test_any_text_closes_what_it_opens_and_nothing_else(text: str) -> None:
    open_: list[str] = []
    for character in balanced(text):
        if character in "\u202a\u202b\u202d\u202e":
            open_.append("\u202c")
        elif character in "\u2066\u2067\u2068":
            open_.append("\u2069")
        elif character in "\u202c\u2069":
            assert open_.pop() == character
    assert open_ == []
