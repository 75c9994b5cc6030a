"""Which of the CLI's models a client's name for a model means.

`config/models.toml` has rules, read from the top: a pattern of names (`*` and `?` as in file names, whatever the case)
and the model that it means, `default` for the CLI's own choice. A name that the CLI itself has is that model; a rule
whose model the CLI doesn't have is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from qpty.compat.requests import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT: Final = "default"
"""In a rule: the CLI's own choice."""


@dataclass(frozen=True, slots=True)
class ModelRule:
    """Names that match `pattern` mean `model`."""

    pattern: str
    model: str


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """The CLI's model, None for its own choice; `matched` is False where nothing was known of the name."""

    model: str | None
    matched: bool

    @property
    def told(self) -> str:
        """What a client is told of it."""
        return self.model or DEFAULT


class ModelNames:
    """The rules. `default` is the model for names that nothing is known of, None for the CLI's own choice."""

    def __init__(self, rules: Sequence[ModelRule], *, default: str | None, strict: bool) -> None:
        self._rules = tuple(rules)
        self._default = default
        self._strict = strict

    def resolve(self, name: str, available: Sequence[str] | None) -> ResolvedModel:
        """Return the model for a name; `available` are the CLI's, None where it doesn't say.

        Raises RequestError (404) for a name that nothing is known of, where the settings want that.
        """
        if found := self._known(name, available):
            return found
        if self._strict:
            names = ", ".join(self.listed(available))
            raise RequestError(
                f"there is no model {name[:80]!r}: there are {names}", param="model", code="model_not_found", status=404
            )
        return ResolvedModel(self._default, matched=False)

    def knows(self, name: str, available: Sequence[str] | None) -> bool:
        """Whether a name means something."""
        return self._known(name, available) is not None

    def listed(self, available: Sequence[str] | None) -> Sequence[str]:
        """Return the names that a client may be shown: the CLI's, or the one that stands for its own choice."""
        return list(available) if available else [DEFAULT]

    def _known(self, name: str, available: Sequence[str] | None) -> ResolvedModel | None:
        if available is not None and name in available:
            return ResolvedModel(name, matched=True)
        if name == DEFAULT:
            return ResolvedModel(self._default, matched=True)
        for rule in self._rules:
            if not fnmatchcase(name.lower(), rule.pattern.lower()):
                continue
            if rule.model == DEFAULT:
                return ResolvedModel(self._default, matched=True)
            if available is None or rule.model in available:
                return ResolvedModel(rule.model, matched=True)
        return None
