"""Tables, as GitHub's markdown has them, in a token of their own.

markdown-it's rule makes six tokens for each cell, also for cells that a row leaves out: a header of 300 columns and
rows of `|` grow two characters to 1,800 tokens. Here a row stays a line until it is rendered, so a table costs what
its text costs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qpty.rendering.limits import MAX_TABLE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.rules_block import StateBlock

TOKEN: Final = "pipe_table"  # noqa: S105
"""The token's type; its `meta["table"]` is a `Table`."""

_DELIMITER_LINE: Final = re.compile(r"[-:|][-:| \t]*\Z")
_DELIMITER: Final = re.compile(r"(:?)-+(:?)\Z")
_PIPE: Final = re.compile(r"\\.|\|", re.DOTALL)
_BLANK: Final = " \t"


@dataclass(frozen=True, slots=True)
class Table:
    """A table's columns by their alignments (`""`: none), its header's cells, and the rest by lines.

    `rows` has the number of each row's line in the source, and its text.
    """

    alignments: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[int, str], ...]


def split_row(line: str) -> tuple[str, ...]:
    r"""Return the cells of a row, trimmed; `\|` is a pipe inside a cell."""
    cells: list[str] = []
    at = 0
    for found in _PIPE.finditer(line):
        if found[0] == "|":
            cells.append(line[at : found.start()])
            at = found.end()
    cells.append(line[at:])
    if cells and not cells[0]:
        del cells[0]
    if cells and not cells[-1]:
        del cells[-1]
    return tuple(cell.replace("\\|", "|").strip(_BLANK) for cell in cells)


def table_rule(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Read a table that begins at a line; a rule of markdown-it, with its arguments."""
    if start_line + 2 > end_line or state.sCount[start_line + 1] < state.blkIndent:
        return False
    if state.is_code_block(start_line) or state.is_code_block(start_line + 1):
        return False
    alignments = _alignments(_line(state, start_line + 1))
    if alignments is None:
        return False
    first = _line(state, start_line)
    if "|" not in first or first.count("|") > 2 * MAX_TABLE_COLUMNS:
        return False
    header = split_row(first)
    if len(header) != len(alignments):
        return False
    if silent:
        return True
    token = state.push(TOKEN, "table", 0)
    rows = _rows(state, start_line + 2, end_line)
    state.line = start_line + 2 + len(rows)
    token.map = [start_line, state.line]
    token.meta = {"table": Table(alignments, header, tuple(rows))}
    return True


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]].strip(_BLANK)


def _alignments(line: str) -> tuple[str, ...] | None:
    """Return the columns that a line of dashes and colons gives; None if it isn't one."""
    if len(line) < 2 or not _DELIMITER_LINE.match(line) or (line[0] == "-" and line[1] in _BLANK):
        return None
    if line.count("|") > MAX_TABLE_COLUMNS + 1:
        return None
    parts: Sequence[str] = line.split("|")
    if not parts[0].strip():
        parts = parts[1:]
    if parts and not parts[-1].strip():
        parts = parts[:-1]
    found: list[str] = []
    for part in parts:
        match = _DELIMITER.match(part.strip())
        if match is None:
            return None
        found.append({(":", ":"): "center", (":", ""): "left", ("", ":"): "right"}.get((match[1], match[2]), ""))
    return tuple(found) if 0 < len(found) <= MAX_TABLE_COLUMNS else None


def _rows(state: StateBlock, line: int, end_line: int) -> list[tuple[int, str]]:
    """Return the rows from a line on, up to a blank line or one that begins something else."""
    enders = state.md.block.ruler.getRules("blockquote")  # what ends a quote's lazy line ends a table, too
    parent, state.parentType = state.parentType, "table"
    rows: list[tuple[int, str]] = []
    while line < end_line and state.sCount[line] >= state.blkIndent and not state.is_code_block(line):
        text = _line(state, line)
        if not text or any(rule(state, line, end_line, True) for rule in enders):
            break
        rows.append((line, text))
        line += 1
    state.parentType = parent
    return rows
