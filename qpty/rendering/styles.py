"""The style sheet of highlighted code.

    python -m qpty.rendering.styles > qpty/web/styles/highlight.css

The colours are those of two of Pygments' styles, each as far darkened or lightened as it takes to be readable (WCAG AA)
on the page's background of code. The dark ones hold where the system is dark, unless the page's `data-theme` says
otherwise.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from pygments.styles import get_style_by_name  # type: ignore[import-untyped]
from pygments.token import STANDARD_TYPES  # type: ignore[import-untyped]

from qpty.rendering.contrast import parse, readable, text_of
from qpty.rendering.highlighting import class_of

if TYPE_CHECKING:
    from collections.abc import Mapping

LIGHT_STYLE: Final = "default"
LIGHT_BACKGROUND: Final = "#f6f8fa"
DARK_STYLE: Final = "github-dark"
DARK_BACKGROUND: Final = "#161b22"

Rules = dict[str, tuple[str, ...]]
"""Declarations → the classes that they are for."""


def highlight_css(light_style: str = LIGHT_STYLE, dark_style: str = DARK_STYLE) -> str:
    """Return the style sheet of two of Pygments' styles."""
    light = _rules(light_style, LIGHT_BACKGROUND)
    dark = _rules(dark_style, DARK_BACKGROUND)
    return "\n".join(
        [
            "/* Written by `python -m qpty.rendering.styles`; a test holds it up to date. */",
            "",
            *_written(light, ""),
            "",
            "@media (prefers-color-scheme: dark) {",
            *(f"  {line}" for line in _written(dark, ":root:not([data-theme=light]) ")),
            "}",
            "",
            *_written(dark, ":root[data-theme=dark] "),
            "",
        ]
    )


def _rules(style_name: str, background: str) -> Rules:
    style = get_style_by_name(style_name)
    on = parse(background)
    classes: dict[str, str] = {}
    for token in STANDARD_TYPES:
        name = class_of(token)
        if not name:
            continue
        given = style.style_for_token(token)
        colour = text_of(readable(parse(given["color"]), on)) if given["color"] else "inherit"
        # every property, so that the dark rules undo all of the light ones
        classes[name] = (
            f"color: {colour}; font-weight: {'bold' if given['bold'] else 'normal'}; "
            f"font-style: {'italic' if given['italic'] else 'normal'}"
        )
    return _grouped(classes)


def _grouped(classes: Mapping[str, str]) -> Rules:
    rules: Rules = {}
    for name, declarations in sorted(classes.items()):
        rules[declarations] = (*rules.get(declarations, ()), name)
    return rules


def _written(rules: Rules, scope: str) -> list[str]:
    return [
        f"{scope}:is({', '.join(f'.{name}' for name in names)}) {{ {declarations} }}"
        if len(names) > 1
        else f"{scope}.{names[0]} {{ {declarations} }}"
        for declarations, names in rules.items()
    ]


if __name__ == "__main__":
    sys.stdout.write(highlight_css())
