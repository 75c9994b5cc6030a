"""The toolboxes of sessions, by the tokens in their addresses."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from qpty.compat.client_tools.toolbox import Toolbox

KEPT: Final = 256
"""Toolboxes that nobody is attached to: for a session that is taken up again and lists its tools before it is."""


class Toolboxes:
    """Toolboxes by token. One that is unknown (any more) is empty: its session has no tools until a client comes."""

    def __init__(self) -> None:
        self._by_token: OrderedDict[str, Toolbox] = OrderedDict()

    def get(self, token: str, *, keep: bool = False) -> Toolbox:
        """Return the toolbox of a token; with `keep` it is found from now on."""
        found = self._by_token.get(token)
        if found is None:
            found = Toolbox()
            if keep:
                self._by_token[token] = found
        elif keep:
            self._by_token.move_to_end(token)
        self._forget()
        return found

    def _forget(self) -> None:
        for token in [token for token, toolbox in self._by_token.items() if not toolbox.attached][:-KEPT]:
            del self._by_token[token]
