"""How a turn ended, decided in one place from what is known when the prompt is back or the process is gone.

| what is known | the turn |
|---|---|
| a question is open that no known call belongs to | failed: `unknown` |
| a deadline had passed | failed: `timeout` |
| the record has a new final answer | completed: `end_turn` |
| the record can't be read, text was typed, nothing was complained of | completed: `end_turn`, not exact |
| it was interrupted | completed: `interrupted` |
| the CLI said something of the dialect's failures | failed with that code |
| a person typed keys by hand, and the prompt is back | completed: `interrupted` |
| the process was killed | failed: `worker_lost` |
| the process ended | failed: `agent_crashed` |
| none of these | failed: `unknown` |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qpty.core.events import FailureCode, StopReason, TurnCompleted, TurnFailed

if TYPE_CHECKING:
    from qpty.core.commands import ProcessExited, RecordRead
    from qpty.core.dialect import Dialect, Failure
    from qpty.core.turn import Turn

Ending = TurnCompleted | TurnFailed

_OPEN_CALL: Final = "The command line waits for keys with a tool call open, but asked nothing that qpty knows."


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """The deadline that passed, in words for a person."""

    text: str


def at_prompt(
    turn: Turn,
    *,
    turn_id: str,
    now: float,
    record: RecordRead | None,
    interrupted: bool,
    overdue: Overdue | None,
    by_hand: bool = False,
    strange: bool = False,
) -> Ending:
    """The prompt is back, with all its witnesses.

    `by_hand`: a person typed keys in this turn. `strange`: a question at the prompt that no known call belongs to.
    """
    evidence = ["prompt", "raw_mode", "no_children"]
    readable = record is not None and record.result is not None and not turn.unplaced
    if record is not None and record.problem is not None:
        evidence.append(f"record_{record.problem}")
    elif turn.unplaced:
        evidence.append("record_unplaced")
    elif turn.finished is not None:
        evidence.append(f"record:{turn.finished.message_id}")
    said = turn.failure
    if strange:
        return _failed(turn_id, "unknown", _OPEN_CALL, [*evidence, "open_question"], recycle=True)
    if overdue is not None:
        return _failed(turn_id, "timeout", overdue.text, evidence)
    if turn.finished is not None:
        return _completed(turn, turn_id, "end_turn", evidence, now)
    if interrupted:
        return _completed(turn, turn_id, "interrupted", [*evidence, "interrupt_sent"], now, readable=readable)
    if said is not None:
        return _said(turn_id, said, [*evidence, _quoted(turn.remarks)])
    if not readable and turn.segments.first_text_at is not None:
        return _completed(turn, turn_id, "end_turn", evidence, now)
    if turn.unanswered:
        return _failed(turn_id, "unknown", _OPEN_CALL, [*evidence, "open_tool_call"], recycle=True)
    if by_hand:
        return _completed(turn, turn_id, "interrupted", [*evidence, "typed_by_hand"], now, readable=readable)
    text = "The prompt came back, but the record has no answer to this message."
    return _failed(turn_id, "unknown", text, [*evidence, _quoted(turn.remarks)])


def at_exit(
    turn: Turn, dialect: Dialect, *, turn_id: str, now: float, exited: ProcessExited, said: str, overdue: Overdue | None
) -> Ending:
    """The process is gone; `said` is what it said last."""
    how = f"signal:{exited.signal}" if exited.signal is not None else f"exit:{exited.code}"
    if turn.finished is not None:
        return _completed(turn, turn_id, "end_turn", [how, f"record:{turn.finished.message_id}"], now)
    if overdue is not None:
        return _failed(turn_id, "timeout", overdue.text, [how], recycle=True)
    if exited.signal is not None:
        text = "The process of this session was lost in the middle of the turn. The message was not sent again."
        return _failed(turn_id, "worker_lost", text, [how], recycle=True)
    failure = failure_in(said, dialect)
    if failure is not None:
        return _said(turn_id, failure, [how, _quoted(said)])
    text = "The command line ended in the middle of the turn."
    return _failed(turn_id, "agent_crashed", text, [how, _quoted(said)], recycle=True)


def failure_in(said: str, dialect: Dialect) -> Failure | None:
    """Return the dialect's most specific failure in what the CLI said; None when it said none."""
    return next((failure for failure in dialect.failures if failure.pattern.search(said)), None)


def _completed(
    turn: Turn, turn_id: str, reason: StopReason, evidence: list[str], now: float, *, readable: bool = False
) -> TurnCompleted:
    timings = {"total": now - turn.started}
    if turn.accepted_at is not None:
        timings["accepted"] = turn.accepted_at - turn.started
    if turn.segments.first_text_at is not None:
        timings["first_text"] = turn.segments.first_text_at - turn.started
    return TurnCompleted(
        turn_id=turn_id,
        stop_reason=reason,
        evidence=tuple(evidence),
        text=turn.segments.text,
        exact=turn.segments.exact and (turn.finished is not None or (reason == "interrupted" and readable)),
        usage={
            "model_calls": sum(1 for entry in turn.entries if not entry.made_up),
            "prompt_characters": sum(entry.prompt_length or 0 for entry in turn.entries),
            "answer_characters": sum(entry.response_size or len(entry.text) for entry in turn.entries),
        },
        timings=timings,
    )


def _failed(turn_id: str, code: FailureCode, text: str, evidence: list[str], *, recycle: bool = False) -> TurnFailed:
    return TurnFailed(
        turn_id=turn_id, code=code, message=text, retryable=True, evidence=tuple(evidence), recycle=recycle
    )


def _said(turn_id: str, failure: Failure, evidence: list[str]) -> TurnFailed:
    return TurnFailed(
        turn_id=turn_id,
        code=failure.code,
        message=failure.message,
        retryable=failure.retryable,
        recycle=failure.recycle,
        evidence=tuple(evidence),
    )


def _quoted(said: str) -> str:
    """Return what was said as one line of evidence."""
    return f"said: {' / '.join(said.split(chr(10)))[:400]}"
