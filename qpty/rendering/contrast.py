"""Colours and whether they can be read, as the Web Content Accessibility Guidelines measure it."""

from __future__ import annotations

from typing import Final

AA: Final = 4.5
"""The least contrast of text of ordinary size (WCAG 2.2, 1.4.3)."""

Colour = tuple[int, int, int]


def parse(colour: str) -> Colour:
    """Return red, green and blue of `#rrggbb` or `rrggbb`, each 0 to 255."""
    digits = colour.removeprefix("#")
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def text_of(colour: Colour) -> str:
    """Return a colour as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def luminance(colour: Colour) -> float:
    """Return the relative luminance, 0 to 1."""
    red, green, blue = (
        part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio of two colours, 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def readable(colour: Colour, background: Colour, least: float = AA) -> Colour:
    """Return the colour, mixed with as little black or white as makes it readable on a background."""
    goal = 255 if luminance(background) < 0.18 else 0
    for percent in range(101):
        red, green, blue = (round(part + (goal - part) * percent / 100) for part in colour)
        if contrast((red, green, blue), background) >= least:
            return red, green, blue
    raise ValueError(f"no shade is readable on {text_of(background)}; choose a lighter or a darker background")
