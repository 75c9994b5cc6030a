"""What may be given for a session's title, owner and size."""

from __future__ import annotations

from typing import Final

from qpty.sessions.errors import ValueRefusedError

COLUMNS: Final = range(20, 501)
LINES: Final = range(5, 501)
"""Below, the CLI's own questions don't fit; above, a screen costs memory that nobody looks at."""

TITLE_CHARACTERS: Final = 500
OWNER_CHARACTERS: Final = 200


def check_size(*, columns: object, lines: object) -> None:
    """Refuse what can't be a terminal's size. Raises ValueRefusedError."""
    for field, value, allowed in (("columns", columns, COLUMNS), ("lines", lines, LINES)):
        if type(value) is not int or value not in allowed:
            raise ValueRefusedError(field, f"give a whole number from {allowed.start} to {allowed.stop - 1}")


def check_title(title: object) -> None:
    """Refuse what can't be a title. Raises ValueRefusedError."""
    if title is not None and not (isinstance(title, str) and len(title) <= TITLE_CHARACTERS):
        raise ValueRefusedError("title", f"give a text of at most {TITLE_CHARACTERS} characters, or none")


def check_owner(field: str, value: object) -> None:
    """Refuse what can't be an owner or an account. Raises ValueRefusedError."""
    if not (isinstance(value, str) and 0 < len(value) <= OWNER_CHARACTERS):
        raise ValueRefusedError(field, f"give a text of 1 to {OWNER_CHARACTERS} characters")
