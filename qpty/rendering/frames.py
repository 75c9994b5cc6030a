"""The elements that go around pieces: lists, items, quotes, tables and code, whole or in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qpty.rendering.pages import Frame, Place
from qpty.rendering.text import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable

_TAG = 80
"""More than the longest opening and closing tag of an element here."""


def list_frame(*, ordered: bool, start: int, tasks: bool) -> Frame:
    """A list; its `number` is that of the item that comes next, or of the one that is open."""

    def opening(place: Place) -> str:
        classes = _classes(("list-part", place.continues), ("task-list", tasks))
        numbered = f' start="{place.number}"' if ordered and place.number != 1 else ""
        return f'<{tag}{classes} dir="auto"{numbered}>'

    tag = "ol" if ordered else "ul"
    return Frame(opening, f"</{tag}>", _TAG, number=start)


def item_frame(*, task: bool) -> Frame:
    """An item of a list."""

    def opening(place: Place) -> str:
        return f'<li{_classes(("continued", place.continues), ("task", task))} dir="auto">'

    return Frame(opening, "</li>", _TAG)


def quote_frame() -> Frame:
    """A quotation."""

    def opening(place: Place) -> str:
        return f'<blockquote{_classes(("quote-part", place.continues))} dir="auto">'

    return Frame(opening, "</blockquote>", _TAG)


def code_frame(language: str) -> Frame:
    """A piece of code; always from left to right."""

    def opening(place: Place) -> str:
        part = {(False, True): "first", (True, True): "middle", (True, False): "last"}.get(
            (place.continues, place.goes_on)
        )
        return f'<pre class="code{f" part {part}" if part else ""}"{named} dir="ltr"><code>'

    named = f' data-language="{escaped(language)}"' if language else ""
    return Frame(opening, "</code></pre>", 2 * _TAG + len(named), elements=2)


def table_frame(header: str, elements: int) -> Frame:
    """A table's rows, under its header (`""`: none), which every part repeats."""

    def opening(place: Place) -> str:
        head = f"<thead>{header}</thead>" if header else ""
        classes = _classes(("table-part", place.continues or place.goes_on))
        return f'<div class="table-scroll"><table{classes}>{head}<tbody>'

    return Frame(opening, "</tbody></table></div>", 2 * _TAG + len(header), elements=elements + 4)


def _classes(*names: tuple[str, bool]) -> str:
    given: Iterable[str] = [name for name, is_given in names if is_given]
    return f' class="{" ".join(given)}"' if given else ""
