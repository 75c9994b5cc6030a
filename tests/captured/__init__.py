"""Captures of the real q: `NAME.cast` is what the state machine was told, `NAME.events` what it has to say to that.

`python -m tests.captured.make` makes them anew (see there). A `.events` file has one JSON event a line, adjacent text
merged, timings left out; a change in it is a change in what everybody sees, so it is read before it is committed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qpty.agent import dialects
from qpty.agent.capture import Capture, read_capture
from qpty.core import playback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qpty.core.events import Event

DIRECTORY = Path(__file__).parent


def names() -> list[str]:
    """The names of all captures, sorted."""
    return sorted(path.stem for path in DIRECTORY.glob("*.cast"))


def load(name: str) -> Capture:
    """One capture."""
    return read_capture(DIRECTORY / f"{name}.cast")


def golden(name: str) -> list[str]:
    """The events that a capture must give, as lines of JSON."""
    return (DIRECTORY / f"{name}.events").read_text(encoding="utf-8").splitlines()


def played(capture: Capture, cut: Callable[[bytes], Iterable[bytes]] | None = None) -> list[str]:
    """The events that a capture gives now, as lines of JSON."""
    outputs = playback.play(
        capture.inputs, dialects.load(capture.dialect), columns=capture.columns, lines=capture.lines, cut=cut
    )
    return [line(event) for event in playback.events(outputs)]


def line(event: Event) -> str:
    """One event as a line of JSON, without its timings: they depend on how the bytes were read."""
    body: dict[str, Any] = event.to_dict()
    body.pop("timings", None)
    # ASCII, since tools print any character, line separators included.
    return json.dumps(body, ensure_ascii=True)
