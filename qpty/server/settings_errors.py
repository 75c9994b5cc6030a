"""What is wrong with the settings: all of it at once.

SettingsError               .problems
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qpty.core.errors import QptyError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One setting, or one file of settings, that can't be used.

    `name` is the setting's as it stands in `source`; empty if the whole file is meant. `value` is what was given, shown
    by `repr`, and None where it may be secret. `advice` says what may be given.
    """

    source: str
    name: str = ""
    value: str | None = None
    advice: str

    def __str__(self) -> str:
        """Return one line, such as `PORT = '99999' (.env): give a whole number from 0 to 65,535`."""
        if not self.name:
            return f"{self.source}: {self.advice}"
        given = "" if self.value is None else f" = {self.value}"
        return f"{self.name}{given} ({self.source}): {self.advice}"


class SettingsError(QptyError):
    """Settings that can't be used; `problems` holds every one that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            super().__init__(f"a setting can't be used: {self.problems[0]}")
        else:
            lines = "".join(f"\n  {problem}" for problem in self.problems)
            super().__init__(f"{len(self.problems)} settings can't be used:{lines}")
