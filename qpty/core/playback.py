"""Playing inputs into a fresh state machine: captures replayed, cut in any way, give the same events.

The output between two other inputs is one stretch of bytes, as the driver may read it in any pieces. A prompt is judged
only where the capture has a look, and the record is read only where it has a reading, so the cut can't matter.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeGuard

from qpty.core.commands import DataReceived, Input
from qpty.core.events import Event, MessageDelta, ToolOutput
from qpty.core.machine import Machine, Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from qpty.core.dialect import Dialect


def play(
    inputs: Iterable[Input],
    dialect: Dialect,
    *,
    columns: int = 80,
    lines: int = 24,
    cut: Callable[[bytes], Iterable[bytes]] | None = None,
) -> Iterator[tuple[Input, Output]]:
    """Yield each output with the input that made it. `cut` splits each stretch's bytes; None keeps the reads."""
    machine: Machine | None = None
    for given in _stretched(inputs, cut):
        if machine is None:
            machine = Machine(dialect, now=given.now, columns=columns, lines=lines)
        for output in machine.receive(given):
            yield given, output


def events(outputs: Iterable[tuple[Input, Output]]) -> list[Event]:
    """Return the events alone, adjacent text merged: what must not depend on how the bytes were cut."""
    merged: list[Event] = []
    for _, output in outputs:
        if not isinstance(output, Event):
            continue
        last = merged[-1] if merged else None
        if isinstance(output, MessageDelta | ToolOutput) and last is not None and _goes_on(last, output):
            merged[-1] = replace(output, text=last.text + output.text)
        else:
            merged.append(output)
    return merged


def _goes_on(last: Event, event: MessageDelta | ToolOutput) -> TypeGuard[MessageDelta | ToolOutput]:
    """Whether text goes on with the text of the event before it."""
    if last.turn_id != event.turn_id:
        return False
    if isinstance(event, MessageDelta):
        return isinstance(last, MessageDelta) and last.segment == event.segment
    return isinstance(last, ToolOutput) and last.tool_id == event.tool_id


def _stretched(inputs: Iterable[Input], cut: Callable[[bytes], Iterable[bytes]] | None) -> Iterator[Input]:
    """Join the reads of each stretch and cut them anew; leave them alone without `cut`."""
    if cut is None:
        yield from inputs
        return
    stretch: list[DataReceived] = []
    for given in inputs:
        if isinstance(given, DataReceived):
            stretch.append(given)
            continue
        yield from _pieces(stretch, cut)
        stretch = []
        yield given
    yield from _pieces(stretch, cut)


def _pieces(stretch: list[DataReceived], cut: Callable[[bytes], Iterable[bytes]]) -> Iterator[Input]:
    if stretch:
        now = stretch[-1].now
        for piece in cut(b"".join(given.data for given in stretch)):
            yield DataReceived(data=piece, now=now)
