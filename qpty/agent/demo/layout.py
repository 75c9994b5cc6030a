"""Where text ends up on a terminal: widths of characters, rows and columns of a line that is edited."""

TAB_STOP = 8


def char_width(ch: str) -> int | None:
    """How many columns a character takes; None for a control character, which is never shown."""
    if " " <= ch <= "~":
        return 1
    if ch < " " or "\x7f" <= ch <= "\x9f":
        return None
    import unicodedata  # a megabyte that ASCII never pays for

    if ch == "\u00ad":
        return 1
    if unicodedata.category(ch) in ("Mn", "Me", "Cf") or "\u1160" <= ch <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(ch) in ("W", "F") else 1


def place_after(text: str, row: int, column: int, columns: int) -> tuple[int, int]:
    """The row and column after text that starts at a place, in a window of so many columns.

    A character that doesn't fit moves to the next row whole. Text that ends in the last column ends in the next row.
    """
    for index, line in enumerate(text.split("\n")):
        if index:
            row, column = row + 1, 0
        if line.isascii() and line.isprintable():
            if line:
                last = column + len(line) - 1
                row, column = row + last // columns, last % columns + 1
            continue
        for ch in line:
            width = TAB_STOP - column % TAB_STOP if ch == "\t" else char_width(ch) or 0
            column += width
            if column > columns:
                row, column = row + 1, width
    return (row + 1, 0) if column == columns else (row, column)
