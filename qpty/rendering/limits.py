"""How large things may be: what a browser lays out within a frame, and what is parsed within a moment.

Sizes are in code points. The page replaces blocks whole, so a block is the unit of its work: 32 KiB of html with 2,000
elements is parsed, styled and laid out by Chromium in 10 to 25 ms on one slow core, whether it is code, a table, a list
or emphasis, and 100 ms have room for some of them. Much smaller blocks would cut what a person sees as one.
"""

from __future__ import annotations

from typing import Final

MAX_SOURCE: Final = 4 * 1024 * 1024
"""The longest text that is read as markdown; a longer one is shown as plain text."""

MAX_BLOCK_HTML: Final = 32 * 1024
"""No block's html is longer."""

MAX_BLOCK_ELEMENTS: Final = 2000
"""No block has more elements."""

MAX_PIECE_HTML: Final = 24 * 1024
"""What can't be cut further (a paragraph, a row) is no longer. The rest of a block is for what it stands in."""

MAX_PIECE_ELEMENTS: Final = 1500
"""What can't be cut further has no more elements."""

MAX_BLOCKS: Final = 12_000
"""What comes after so many blocks is plain text. 4 MB of an ordinary answer has 9,000, of `# a` a million."""

MAX_NESTING: Final = 16
"""How deep markdown may be nested: a quote counts one, a list two. What is deeper is shown as plain text."""

MAX_INLINE: Final = 8192
"""The longest paragraph, heading or cell that is searched for emphasis and links.

The parser's time is quadratic in it for some texts, such as `*_~` over and over: 0.04 s for this length.
"""

MAX_BRACKETS: Final = 512
"""A paragraph, heading or cell with more `[` is not searched either: each looks for its `]` in all that follows."""

PLAIN_PIECE: Final = 3500
"""The length of a piece of plain text. Escaped (`&nbsp;`) it is six times as long, and still fits a piece."""

MAX_LINES: Final = 400
"""The most lines of code or plain text in one block: a line costs layout even when it is empty."""

MAX_CODE_LINE: Final = 3500
"""A longer line of code is cut."""

MAX_TABLE_ROWS: Final = 100
"""The most rows of a table in one block."""

MAX_TABLE_COLUMNS: Final = 64
"""A table with more columns is shown as plain text."""

MAX_REPEATED_HEADER: Final = 4096
"""A table's header that is longer is not repeated, but stands as its first row."""

MAX_REPEATED_HEADER_ELEMENTS: Final = 200
"""As `MAX_REPEATED_HEADER`, in elements."""

MAX_HIGHLIGHTED: Final = 32 * 1024
"""How much of one piece of code is highlighted; the lines after that are plain."""

MAX_HIGHLIGHTED_TOTAL: Final = 256 * 1024
"""How much code of one text is highlighted."""

MAX_ADDRESS: Final = 2048
"""The longest address of a link, or path of a file."""
