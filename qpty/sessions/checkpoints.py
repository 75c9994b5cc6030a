"""Named places in a session's life where a test may kill something: the worker, or the whole server.

A crash test that sleeps and then kills hits whatever happens to be going on; one that is called at a named place hits
that place every time. In the running program nobody listens and a checkpoint costs one attribute look-up and a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Callable

Checkpoint = Literal[
    "session.inserted",  # the row is durable, nobody was told the id
    "turn.accepted",  # the message is durable, its sender wasn't told
    "worker.starting",  # a place is taken, the process isn't started
    "worker.started",  # the first prompt was seen
    "worker.taken_up",  # the conversation was restored
    "turn.marked",  # durably `running`, nothing typed
    "turn.typed",  # the message was written to the terminal
    "turn.streaming",  # the first text of the answer is in the journal
    "turn.asking",  # a question is open
    "turn.ended",  # the end was seen, and isn't durable
    "turn.durable",  # the end is durable, nobody acted on it
    "worker.hibernating",  # idle, about to be ended
    "session.deleting",  # marked as deleted, everything still there
    "directory.removed",  # the directory is gone, the row is still there
]

CHECKPOINTS: Final[tuple[Checkpoint, ...]] = get_args(Checkpoint)


class Checkpoints:
    """`reached(name, session_id)` is called at each place; by default nothing is."""

    def __init__(self, reached: Callable[[Checkpoint, str], None] | None = None) -> None:
        self._reached = reached

    def __call__(self, name: Checkpoint, session_id: str) -> None:
        """Say that a place was reached."""
        if self._reached is not None:
            self._reached(name, session_id)
