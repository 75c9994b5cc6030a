"""How texts are compared when somebody searches: without regard to case, width or spacing, in every script.

Neither database can do that alone: SQLite knows the case of ASCII letters only, and so does PostgreSQL in the `C`
collation that the texts are stored with. So what is searched is folded here, stored beside the text, and the search is
folded the same way.
"""

from __future__ import annotations

import unicodedata


def folded(text: str) -> str:
    """Return a text as it is compared: `ÉCOLE`, `école` and `ｅ́cole` are one, a run of white space is one space."""
    composed = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", composed).split())
