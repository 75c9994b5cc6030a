"""The second barrier: whatever the rendering wrote, only these elements, attributes and addresses get out.

The first barrier is that every text is escaped where it is written. This one doesn't trust that: it parses the HTML as
a browser does and writes it anew from a list of what is allowed. There is no `style`, no `id`, no `src`, no event
handler and no class that isn't ours, so an answer can neither load anything nor dress up as a part of the page.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import nh3
from pygments.token import STANDARD_TYPES  # type: ignore[import-untyped]

PREFIX: Final = "hl-"
"""What the classes of highlighted code begin with."""

REL: Final = "noopener noreferrer nofollow"

SCHEMES: Final = frozenset({"http", "https", "mailto"})

ALIGNMENTS: Final = ("left", "center", "right")

_DIRECTED: Final = ("p", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "li", "td", "th", "pre")
_CELL_CLASSES: Final = frozenset({"plain", *(f"align-{name}" for name in ALIGNMENTS)})

ATTRIBUTES: Final[dict[str, frozenset[str]]] = {
    "a": frozenset({"href", "data-file"}),
    "br": frozenset(),
    "code": frozenset(),
    "div": frozenset(),
    "em": frozenset(),
    "hr": frozenset(),
    "img": frozenset({"data-file", "alt"}),
    "input": frozenset({"disabled", "checked"}),
    "ol": frozenset({"start"}),
    "pre": frozenset({"data-language"}),
    "s": frozenset(),
    "span": frozenset({"title"}),
    "strong": frozenset(),
    "table": frozenset(),
    "tbody": frozenset(),
    "td": frozenset({"colspan"}),
    "th": frozenset({"colspan"}),
    "thead": frozenset(),
    "tr": frozenset(),
    **{name: frozenset[str]() for name in ("p", "h3", "h4", "h5", "h6", "blockquote", "ul", "li")},
}
"""element → its attributes with free values. Those with fixed values are `VALUES`, classes are `CLASSES`."""

VALUES: Final[dict[str, dict[str, frozenset[str]]]] = {
    "a": {"target": frozenset({"_blank"}), "rel": frozenset({REL})},
    "input": {"type": frozenset({"checkbox"})},
    **{name: {"dir": frozenset({"auto", "ltr"})} for name in _DIRECTED},
}
"""element → attribute → its values."""

CLASSES: Final[dict[str, frozenset[str]]] = {
    "a": frozenset({"file"}),
    "img": frozenset({"file"}),
    "p": frozenset({"plain"}),
    "div": frozenset({"table-scroll"}),
    "table": frozenset({"table-part"}),
    "td": _CELL_CLASSES,
    "th": _CELL_CLASSES,
    "ul": frozenset({"list-part", "task-list"}),
    "ol": frozenset({"list-part", "task-list"}),
    "li": frozenset({"task", "continued"}),
    "blockquote": frozenset({"quote-part"}),
    "pre": frozenset({"code", "part", "first", "middle", "last"}),
    "span": frozenset({"hidden-character", *(PREFIX + name for name in STANDARD_TYPES.values() if name)}),
}
"""element → its classes."""


@lru_cache(maxsize=1)
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(ATTRIBUTES),
        clean_content_tags={"script", "style"},
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        tag_attribute_values={tag: {k: set(v) for k, v in values.items()} for tag, values in VALUES.items()},
        allowed_classes={tag: set(names) for tag, names in CLASSES.items()},
        generic_attribute_prefixes=None,
        strip_comments=True,
        link_rel=None,
        url_schemes=set(SCHEMES),
        url_relative="deny",
    )


def sanitised(html: str) -> str:
    """Return the HTML with nothing in it but what is allowed."""
    return _cleaner().clean(html)
