"""Where a page of sessions ends, as an opaque text that the next request brings back."""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING

from qpty.sessions.errors import CursorError
from qpty.storage.rows import SessionCursor

if TYPE_CHECKING:
    from qpty.storage.rows import SessionRow


def encode_cursor(row: SessionRow) -> str:
    """Return the cursor after a row."""
    return base64.urlsafe_b64encode(json.dumps([row.last_activity, row.id]).encode()).decode()


def decode_cursor(text: str) -> SessionCursor:
    """Return what a cursor says. Raises CursorError for what is none."""
    try:
        last_activity, session_id = json.loads(base64.urlsafe_b64decode(text.encode()))
        if not (isinstance(last_activity, float) and math.isfinite(last_activity) and isinstance(session_id, str)):
            raise CursorError(text)
    except (ValueError, TypeError, RecursionError):
        raise CursorError(text) from None
    return SessionCursor(last_activity=last_activity, id=session_id)
