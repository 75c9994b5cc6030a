"""Whether a session still takes anything, and whether anything of it is still written.

```
 open ──refuse──▶ closing        the server stops; what was accepted stays for the next one
   └───condemn──▶ condemned ──delete──▶ deleted
                  it is about     nothing of it is
                  to be deleted   written any more
```

A server that stops may find a session condemned: it is both, then, and nobody finds it.
"""

from __future__ import annotations

from qpty.sessions.errors import ClosingError, SessionNotFoundError


class Lifecycle:
    """Where one session is between its loading and its end."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self.closing = False
        self.condemned = False
        self.deleted = False

    def check_open(self) -> None:
        """Raise SessionNotFoundError, or ClosingError, where the session takes nothing any more."""
        if self.condemned:
            raise SessionNotFoundError(self._session_id)
        if self.closing:
            raise ClosingError

    def refuse(self) -> None:
        """Take nothing new: the server is stopping."""
        self.closing = True

    def condemn(self) -> None:
        """Take nothing any more: the session is about to be deleted."""
        self.condemned = True

    def delete(self) -> None:
        """Write nothing any more, either."""
        self.closing = self.condemned = self.deleted = True
