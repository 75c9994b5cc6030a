"""When a terminal's size may change: a program that is told of it too often, while it doesn't listen, hangs for good.

The CLI's line editor notes every change of the size (SIGWINCH) by a byte in a socket pair, and its signal handler waits
for room there: at some 280 bytes that nobody took the process hangs, and not even an interrupt helps. The editor takes
bytes out only when such a signal comes while it waits for a key, 64 at once (all measured). So the signals that may not
have been heard are counted:

- while the editor waits for keys a new size is applied at once, then not again for `PAUSE`;
- otherwise `BUSY_LIMIT` signals may be unheard; the newest size waits until the editor listens;
- when it has listened for `PAUSE` it gets one more signal, for those that it has not heard;
- a menu gets none: it takes any signal for its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE: Final = 0.05
"""Seconds between two signals; an editor that listened for so long after one has heard it."""

BUSY_LIMIT: Final = 32
"""Signals that may be unheard before no more are sent to a CLI that doesn't listen."""

UNHEARD_LIMIT: Final = 96
"""Signals that may be unheard at all: messages may come so fast that it is never certain that one was heard."""

HEARD_AT_ONCE: Final = 64
"""Signals that the editor is rid of with each that it hears."""


class Timer(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """Don't call."""


class Window(Protocol):
    """The terminal, as far as its size matters."""

    @property
    def listens(self) -> bool:
        """Whether the line editor waits for keys."""

    @property
    def deaf(self) -> bool:
        """Whether no signal may come now."""

    def apply(self, columns: int, lines: int) -> None:
        """Change the size; the CLI gets a signal."""

    def remind(self) -> None:
        """Send the signal alone."""


class Resizing:
    """Decides when the size that is wanted is applied. `call_later` is the loop's."""

    def __init__(
        self,
        window: Window,
        *,
        columns: int,
        lines: int,
        call_later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self._window = window
        self._size = self._wanted = (columns, lines)
        self._call_later = call_later
        self._unheard = 0
        self._pause: Timer | None = None
        self._signalled = False
        self._attentive = False
        self._over = False

    def want(self, columns: int, lines: int) -> None:
        """Have this size: now, or as soon as that is safe."""
        self._wanted = (columns, lines)
        self._act()

    def state_changed(self) -> None:
        """The CLI began or ceased to listen: what was sent just now may have come too early or too late."""
        self._attentive = False
        self._act()
        self._watch()

    def close(self) -> None:
        """The terminal is over: nothing is done any more."""
        self._over = True
        if self._pause is not None:
            self._pause.cancel()

    def _act(self) -> None:
        """Apply the size that is wanted, if that may be done now."""
        if self._over or self._pause is not None or self._window.deaf:
            return
        limit = UNHEARD_LIMIT if self._window.listens else BUSY_LIMIT
        if self._wanted != self._size and self._unheard < limit:
            self._size = self._wanted
            self._unheard += 1
            self._window.apply(*self._size)
            self._wait(signalled=True)

    def _watch(self) -> None:
        """See whether the CLI goes on listening, if it has something to hear."""
        if self._window.listens and self._unheard and self._pause is None and not self._over:
            self._wait(signalled=False)

    def _wait(self, *, signalled: bool) -> None:
        self._signalled, self._attentive = signalled, self._window.listens
        self._pause = self._call_later(PAUSE, self._paused)

    def _paused(self) -> None:
        self._pause = None
        attentive = self._attentive  # it listened all the time
        if attentive and self._signalled:
            self._unheard = max(0, self._unheard - HEARD_AT_ONCE)
        self._act()
        if attentive and self._unheard and self._pause is None:
            # Sure to be heard, so it needs no limit.
            self._unheard += 1
            self._window.remind()
            self._wait(signalled=True)
        self._watch()
