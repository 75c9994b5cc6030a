"""Names for what is downloaded: of a person's file as it is, of what we make from a title as is safe anywhere."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import quote

NAME_CHARACTERS: Final = 80
"""Of a title in a file's name: with four bytes each, and an extension, it stays below 255 bytes only if cut again."""

NAME_BYTES: Final = 200

_UNSAFE: Final = re.compile(r'[\\/:*?"<>|%~$`\s.]+')
_RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


def attachment(name: str) -> str:
    """Return the Content-Disposition of a download: the name for old clients, and exactly."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"


def file_name(title: str | None, *, otherwise: str, extension: str) -> str:
    """Return a file's name made from a title, for every system; `otherwise` where nothing of the title is left.

    What separates paths, means something to a shell, can't be seen, or begins or ends a name badly is left out.
    """
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in title or "")
    name = _UNSAFE.sub(" ", kept).strip(" -_")[:NAME_CHARACTERS].encode()[:NAME_BYTES].decode("utf-8", "ignore").strip()
    if not name or _RESERVED.fullmatch(name):
        name = otherwise
    return f"{name}.{extension}"
