"""`⠋ Thinking...` on a thread of its own: its bytes come between others, as q's do, whoever logically comes first."""

import os
import threading
import time

from .terminal import Terminal

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
FRAME_SECONDS = 0.08
INTERLEAVE_CHANCE = 0.3
"""How often the first frame comes before what was written first (measured on q: about a third of the turns)."""

RACE_CHANCE = 0.2
"""How often, of these, it comes somewhere in the middle of it, inside an escape sequence too."""


class Spinner:
    """A spinner that may be started and stopped again and again; at most one thread at a time."""

    __slots__ = ("_begun", "_chance", "_stopping", "_terminal", "_thread")

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._begun = threading.Event()
        self._chance = float(os.environ.get("QPTY_DEMO_INTERLEAVE") or INTERLEAVE_CHANCE)

    @property
    def running(self) -> bool:
        """Whether frames are being painted."""
        return self._thread is not None

    def start(self, before: str, label: str = "Thinking...", frames: tuple[str, ...] = ()) -> None:
        """Write `before` and start: beside it, now and then, so that frames get between its pieces.

        Without a terminal (`--no-interactive` into a pipe) there is only `before`.
        """
        if not self._terminal.interactive:
            self._terminal.note(before)
            return
        early, racing = os.urandom(1)[0] < 256 * self._chance, os.urandom(1)[0] < 256 * RACE_CHANCE
        if not early:
            self._terminal.note(before)
        self._stopping = False
        self._begun.clear()
        self._thread = threading.Thread(target=self._spin, args=(label, frames or FRAMES), daemon=True)
        self._thread.start()
        if early:
            if not racing:
                self._begun.wait()
            self._terminal.note(before)

    def stop(self, clear: str = "\x1b[2K\x1b[1G") -> None:
        """End after the frame that is due and clear the line; nothing happens if it doesn't run."""
        if self._thread is not None:
            self._stopping = True
            self._thread.join()
            self._thread = None
            self._terminal.note(clear)

    def _spin(self, label: str, frames: "str | tuple[str, ...]") -> None:
        while True:
            for frame in frames:
                self._terminal.frame(("\r", frame, " ", label))
                self._begun.set()
                if self._stopping:
                    return
                time.sleep(FRAME_SECONDS)
