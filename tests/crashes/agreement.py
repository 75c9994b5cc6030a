"""Whether all that is stored of a session tells the same story: its journal, its turns, its messages, its row."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qpty.storage.database import Database
    from qpty.storage.rows import MessageRow, TurnRow

ENDS: Final = {"turn.completed": "completed", "turn.failed": "failed"}
"""The types of events that end a turn, and the state of its row then."""


async def journal(database: Database, session_id: str) -> list[dict[str, Any]]:
    """Every kept event of a session. Fails where an event isn't stored under the number that it has."""
    events: list[dict[str, Any]] = []
    after = 0
    while page := await database.events(session_id, after=after):
        for seq, body in page:
            events.append(json.loads(body))
            assert events[-1]["seq"] == seq, (seq, body)
        after = page[-1][0]
    return events


async def disagreements(database: Database, session_id: str, *, finished: bool = True) -> list[str]:
    """What contradicts something else, in words; nothing if all is well. `finished` says that no turn is left."""
    row = await database.session(session_id)
    if row is None:
        return [f"there is no session {session_id}"]
    first, last = await database.journal_bounds(session_id)
    events = await journal(database, session_id)
    turns = await _all_turns(database, session_id)
    messages = await _all_messages(database, session_id)
    problems = list(_gaps(events, first, last))
    problems += _turns(events, turns, first=first, finished=finished)
    problems += _messages(turns, messages, events)
    if row.message_count != len(messages):
        problems.append(f"message_count is {row.message_count}, there are {len(messages)} messages")
    return problems


def _gaps(events: Sequence[Mapping[str, Any]], first: int, last: int) -> Iterator[str]:
    numbers = [event["seq"] for event in events]
    # More may have come since the last number was read.
    if numbers != list(range(first, max(last + 1, first + len(numbers)))):
        yield f"the journal should have {first}..{last}, and has {numbers}"


def _turns(
    events: Sequence[Mapping[str, Any]], turns: Sequence[TurnRow], *, first: int, finished: bool
) -> Iterator[str]:
    if [turn.position for turn in turns] != list(range(1, len(turns) + 1)):
        yield f"the turns' positions are {[turn.position for turn in turns]}"
    by_turn: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for event in events:
        if "turn_id" in event:
            by_turn[event["turn_id"]].append(event)
    if unknown := by_turn.keys() - {turn.id for turn in turns}:
        yield f"events of turns that don't exist: {unknown}"
    running_until = 0
    for turn in turns:
        if turn.ended_seq == 0 or (turn.ended_seq is not None and turn.ended_seq < first):
            continue  # of a fork's original, or trimmed
        yield from _turn(turn, by_turn[turn.id], first=first, finished=finished)
        if turn.started_seq is not None and turn.started_seq < running_until:
            yield f"turn {turn.id} was started at {turn.started_seq}, another ran until {running_until}"
        if turn.started_seq is not None and turn.ended_seq is not None:
            running_until = turn.ended_seq


def _turn(turn: TurnRow, events: Sequence[Mapping[str, Any]], *, first: int, finished: bool) -> Iterator[str]:
    numbers = {
        kind: [event["seq"] for event in events if event["type"] == kind] for kind in ("turn.queued", "turn.started")
    }
    if len(numbers["turn.queued"]) != 1 and first == 1:
        yield f"turn {turn.id} was queued at {numbers['turn.queued']}"
    if len(numbers["turn.started"]) > 1:
        yield f"turn {turn.id} was typed more than once: {numbers['turn.started']}"
    if numbers["turn.started"] and turn.started_seq != numbers["turn.started"][0]:
        yield f"turn {turn.id} was started at {numbers['turn.started']}, its row says {turn.started_seq}"
    ends = [event for event in events if event["type"] in ENDS]
    if not ends:
        if finished or turn.state not in {"queued", "running"}:
            yield f"turn {turn.id} is {turn.state} and has no end in the journal"
        return
    end = ends[0]
    if len(ends) > 1 or events[-1] is not end:
        yield f"turn {turn.id} goes on after its end: {[(event['seq'], event['type']) for event in events[-4:]]}"
    said = (ENDS[end["type"]], end.get("stop_reason"), end.get("code"), end["seq"])
    if said != (turn.state, turn.stop_reason, turn.code, turn.ended_seq):
        yield f"turn {turn.id} ended as {said}, its row says {turn}"


def _messages(
    turns: Sequence[TurnRow], messages: Sequence[MessageRow], events: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    if any(here.position >= there.position for here, there in pairwise(messages)):
        yield f"the messages' positions are {[message.position for message in messages]}"
    asked = [message.turn_id for message in messages if message.role == "user"]
    if asked != [turn.id for turn in turns]:
        yield f"the turns {[turn.id for turn in turns]} have the prompts of {asked}"
    if any(before.turn_id != answer.turn_id for before, answer in _answers(messages)):
        yield "an answer stands behind the prompt of another turn"
    answers = {message.turn_id: message for message in messages if message.role == "assistant"}
    if len(answers) + len(asked) != len(messages):
        yield "a turn has more than one answer"
    completed = {turn.id for turn in turns if turn.state == "completed"}
    if wrong := answers.keys() - completed:
        yield f"turns that weren't completed have answers: {wrong}"
    for event in events:
        if event["type"] != "turn.completed":
            continue
        answer = answers.get(event["turn_id"])
        if event["text"] and (answer is None or (answer.text, answer.exact) != (event["text"], event["exact"])):
            yield f"the answer of turn {event['turn_id']} is {answer}, its end says {event['text']!r}"


def _answers(messages: Sequence[MessageRow]) -> Iterator[tuple[MessageRow, MessageRow]]:
    """Each answer, with what stands before it."""
    return ((before, after) for before, after in pairwise(messages) if after.role == "assistant")


async def _all_turns(database: Database, session_id: str) -> list[TurnRow]:
    turns: list[TurnRow] = []
    while page := await database.turns(session_id, after_position=turns[-1].position if turns else 0):
        turns += page
    return turns


async def _all_messages(database: Database, session_id: str) -> list[MessageRow]:
    messages: list[MessageRow] = []
    while page := await database.messages(session_id, after_position=messages[-1].position if messages else 0):
        messages += page
    return messages
