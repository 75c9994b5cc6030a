"""What is taken out of the log: secrets, always; message texts, unless they are asked for; whatever could forge a line.

Everything that is logged comes through here last, exceptions' texts too, so that no caller has to think of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, MutableMapping

MASK: Final = "…"

TEXT_KEYS: Final = frozenset({"text", "message_text"})
"""Fields with what a person or a model wrote."""

LONGEST: Final = 16_384
"""Characters of one value."""

LOOKED_AT: Final = 4 * LONGEST
"""Characters of one value that are searched for secrets; more are never shown, not even in part."""

DEEPEST: Final = 6
"""Levels of lists and mappings in a value."""

MOST_ITEMS: Final = 200
"""Members of one list or mapping."""

_SECRET_KEY: Final = re.compile(
    r"(?:.*_)?(?:authorization|cookies?|key|api_?keys?|tokens?|passwords?|passwd|secrets?|credentials?)"
)
"""Names of fields whose values are secret, in lower case with `_` for `-`."""

_COUNTED: Final = (bool, int, float, type(None))
"""A secret is never one of these; numbers of tokens are."""

_PATTERNS: Final = (
    (re.compile(r"\b((?:bearer|basic)\s+)[^\s\"',;]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"(?<![A-Za-z0-9])(qpty_)[A-Za-z0-9_.-]{16,}"), rf"\1{MASK}"),
    (re.compile(r"(?<![A-Za-z0-9])(sk-)[A-Za-z0-9_-]{8,}"), rf"\1{MASK}"),
    (
        re.compile(r"([?&;](?:access_)?(?:token|key|api_?key|password|secret)=)[^&;\s\"'#]+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (re.compile(r"(/login/)[^\s/?\"'#]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"(://[^\s/:@\"']*:)[^\s/@\"']+(?=@)"), rf"\1{MASK}"),
    (
        re.compile(
            r"(\b(?:x-api-key|set-cookie|cookie|authorization)['\"]?\s*[:=]\s*b?['\"]?)[^\s'\"]+", re.IGNORECASE
        ),
        rf"\1{MASK}",
    ),
)
"""What a secret looks like inside a text → what is left of it."""


class Redactor:
    """A structlog processor. `secrets` are further texts to be masked wherever they stand, such as configured keys."""

    def __init__(self, *, log_text: bool = False, secrets: Collection[str] = ()) -> None:
        self._log_text = log_text
        longest_first = sorted((secret for secret in secrets if secret), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Return the event with nothing secret in it."""
        return self._mapping(event, 0)

    def text(self, text: str) -> str:
        """Return a text with what looks like a secret masked, and cut to `LONGEST` characters."""
        looked_at = text[:LOOKED_AT]
        if self._known is not None:
            looked_at = self._known.sub(MASK, looked_at)
        for pattern, left in _PATTERNS:
            looked_at = pattern.sub(left, looked_at)
        if len(text) <= LONGEST and len(looked_at) <= LONGEST:
            return looked_at
        return f"{looked_at[:LONGEST]}{MASK} ({len(text)} characters)"

    def _mapping(self, values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, value in values.items():
            name = self.text(str(key))
            if len(kept) >= MOST_ITEMS:
                kept[MASK] = f"{len(values)} in all"
                break
            if name in TEXT_KEYS and not self._log_text:
                continue
            secret = _SECRET_KEY.fullmatch(name.lower().replace("-", "_")) is not None
            kept[name] = MASK if secret and not isinstance(value, _COUNTED) else self._value(value, depth + 1)
        return kept

    def _value(self, value: Any, depth: int) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return repr(value)  # JSON has no such number
        if isinstance(value, _COUNTED):
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth < DEEPEST and isinstance(value, Mapping):
            return self._mapping(value, depth)
        if depth < DEEPEST and isinstance(value, Sequence | Set) and not isinstance(value, bytes | bytearray):
            members = [self._value(member, depth + 1) for _, member in zip(range(MOST_ITEMS), value, strict=False)]
            return members if len(value) <= MOST_ITEMS else [*members, f"{MASK} {len(value)} in all"]
        return self.text(str(value) if isinstance(value, BaseException) else repr(value))
