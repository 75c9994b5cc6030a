r"""Takes this machine out of a capture: directories, the host's and the user's names, random ids.

Every replacement has as many characters as what it replaces, all ASCII, so columns, cursor movements and the places
where reads were cut stay as they were. Output is looked at as one text, since a name can be cut by reads.
"""

from __future__ import annotations

import getpass
import json
import re
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
TOOL_ID = r"tooluse_[0-9a-f]{16}"
TAKE_UP = r"take-up-[a-z0-9_]{8}"

FORBIDDEN = re.compile(
    r"/tmp\b|/root\b|/home\b|/Users\b|\broot@|"  # of whoever made the captures
    rf"@{re.escape(socket.gethostname())}\b|\b{re.escape(getpass.getuser())}@"
)
"""What no capture may have. A host's or a user's name may be a common word: it is looked for as shells write it."""


class MachineNameError(Exception):
    """Something of this machine is left in a capture."""


class Sanitiser:
    """Replaces in one capture: the same thing by the same thing everywhere. `root` is the directory of the run."""

    def __init__(self, root: Path) -> None:
        self._seen: dict[str, str] = {}
        self._root = str(root)
        self._pattern = re.compile("|".join([re.escape(self._root), UUID, TOOL_ID, TAKE_UP]))

    def capture(self, text: str) -> str:
        """A whole capture's text, sanitised; raises MachineNameError when something is left."""
        header, *rows = text.rstrip("\n").split("\n")
        parsed = [json.loads(row) for row in rows]
        pieces = [row[2].encode("utf-8", "surrogateescape") for row in parsed if row[1] == "o"]
        output = b"".join(pieces)
        clean = self(output.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        if len(clean) != len(output):
            raise AssertionError("a replacement has another length")
        position = 0
        for row in parsed:
            if row[1] == "o":
                size = len(row[2].encode("utf-8", "surrogateescape"))
                row[2] = clean[position : position + size].decode("utf-8", "surrogateescape")
                position += size
            else:
                row[2] = self(row[2])
        left = FORBIDDEN.search(clean.decode("utf-8", "replace")) or FORBIDDEN.search(
            "\n".join(row[2] for row in parsed if row[1] == "m")
        )
        if left is not None:
            around = left.string[max(0, left.start() - 60) : left.end() + 60]
            raise MachineNameError(f"{left.group()!r} in {around!r}")
        return "\n".join([header, *(json.dumps(row, ensure_ascii=True) for row in parsed)]) + "\n"

    def __call__(self, text: str) -> str:
        """One text, sanitised."""
        return self._pattern.sub(self._replace, text)

    def _replace(self, match: re.Match[str]) -> str:
        found = match.group()
        if found not in self._seen:
            number = len(self._seen) + 1
            if found == self._root:
                self._seen[found] = "/srv/" + "captured".ljust(len(found) - 5, "-")
            elif found.startswith("tooluse_"):
                self._seen[found] = f"tooluse_{number:016d}"
            elif found.startswith("take-up-"):
                self._seen[found] = f"take-up-{number:08d}"
            else:
                self._seen[found] = f"00000000-0000-4000-8000-{number:012d}"
        return self._seen[found]
