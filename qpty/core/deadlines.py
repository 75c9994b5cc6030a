"""How long things may take, and the timers that say so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long, in seconds, may pass.

    `start`: from the process's start to its first prompt. `submit`: from Enter to the first sign of life. `silence`:
    between two outputs in a turn, not counted while a tool or a question is open. `turn`: a whole turn, begun anew
    after a question and after a tool of a server, and not counted while one is open: such a tool may wait for people.
    """

    start: float = 30.0
    submit: float = 30.0
    silence: float = 600.0
    turn: float = 1800.0


class Timers:
    """Named times. The owner asks to be woken for the earliest, and then takes what is due."""

    __slots__ = ("_times", "_woken_for")

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        self._woken_for: float | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._times

    def __str__(self) -> str:
        return ", ".join(f"{name} at {time:.3f}" for name, time in sorted(self._times.items())) or "none"

    def set(self, name: str, time: float) -> None:
        """Have `name` come at `time`, in place of any earlier setting."""
        self._times[name] = time

    def cancel(self, *names: str) -> None:
        """Forget these; all of them when none is named."""
        if not names:
            self._times.clear()
        for name in names:
            self._times.pop(name, None)

    def due(self, now: float) -> list[str]:
        """Take the names whose time has come, earliest first."""
        self._woken_for = None
        names = sorted((name for name, time in self._times.items() if time <= now), key=self._times.__getitem__)
        for name in names:
            del self._times[name]
        return names

    def wake(self) -> float | None:
        """Return the time to be woken at, None when an earlier wake was asked for already, or nothing waits."""
        wanted = min(self._times.values(), default=None)
        if wanted is None or (self._woken_for is not None and self._woken_for <= wanted):
            return None
        self._woken_for = wanted
        return wanted
