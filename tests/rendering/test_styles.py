"""The style sheet of code: up to date, complete, and readable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import qpty
from qpty.rendering.contrast import AA, contrast, parse, readable, text_of
from qpty.rendering.highlighting import LANGUAGES, highlighted
from qpty.rendering.styles import DARK_BACKGROUND, LIGHT_BACKGROUND, highlight_css

FILE = Path(qpty.__file__).parent / "web" / "styles" / "highlight.css"


def test_the_file_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == highlight_css(), (
        "run: python -m qpty.rendering.styles > qpty/web/styles/highlight.css"
    )


def test_every_colour_is_readable() -> None:
    light, _, dark = highlight_css().partition("@media")
    for css, background in ((light, LIGHT_BACKGROUND), (dark, DARK_BACKGROUND)):
        colours = set(re.findall(r"color: (#[0-9a-f]{6})", css))
        assert len(colours) > 4
        assert [c for c in colours if contrast(parse(c), parse(background)) < AA] == []


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_is_known_and_keeps_its_code(language: str) -> None:
    code = 'x = 1 # "a"\n<b c="d">e</b>\n\n  if (y) { z("1") }\n\t* - + 12.5e3'
    words = highlighted(code, language)
    assert words is not None
    found = list(words)
    assert "".join(word for _, word in found) == code
    for css_class, _ in found:
        assert not css_class or re.search(rf"\.{css_class}[,) ]", highlight_css()), css_class


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast(parse("#777777"), parse("#ffffff")) == pytest.approx(4.48, abs=0.005)
    assert text_of(readable(parse("#777777"), parse("#ffffff"))) == "#767676"
    assert readable(parse("#000000"), parse("#ffffff")) == (0, 0, 0)


def test_no_shade_may_be_readable() -> None:
    with pytest.raises(ValueError, match="choose a lighter or a darker background"):
        readable((0, 0, 0), (118, 118, 118), 7)
