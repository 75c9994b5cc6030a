"""Rows for tests: all fields filled with something, any of them to be given."""

from __future__ import annotations

from typing import Any

from qpty.storage.rows import MessageRow, SessionRow, TurnRow


def session(session_id: str = "s1", **fields: Any) -> SessionRow:
    given: dict[str, Any] = {
        "id": session_id,
        "owner": "local",
        "created_at": 1_700_000_000.25,
        "last_activity": 1_700_000_000.5,
        "directory": f"/sessions/{session_id}",
        "account": "default",
        "title": "A title",
        "profile": {"agent": None, "model": "m", "trusted": ["fs_read"]},
        "columns": 80,
        "lines": 24,
        "message_count": 3,
        "parent_id": "s0",
        "record_mark": {"length": 4, "id": "r"},
    }
    return SessionRow(**{**given, **fields})


def turn(turn_id: str = "t1", session_id: str = "s1", **fields: Any) -> TurnRow:
    given: dict[str, Any] = {
        "id": turn_id,
        "session_id": session_id,
        "position": 1,
        "state": "completed",
        "stop_reason": "end_turn",
        "code": "timeout",
        "detail": "why",
        "retryable": True,
        "created_at": 1.5,
        "started_at": 2.5,
        "ended_at": 3.5,
        "started_seq": 2**40,
        "ended_seq": 2**40 + 1,
        "record_length": 7,
        "record_message_id": "m-7",
        "usage": {"model_calls": 2},
        "timings": {"first_text": 0.125},
    }
    return TurnRow(**{**given, **fields})


def message(message_id: str = "m1", session_id: str = "s1", **fields: Any) -> MessageRow:
    given: dict[str, Any] = {
        "id": message_id,
        "session_id": session_id,
        "turn_id": "t1",
        "position": 1,
        "role": "user",
        "text": "Hello",
        "exact": True,
        "tools": [{"name": "fs_read", "arguments": {"path": "a"}}],
        "created_at": 4.5,
    }
    return MessageRow(**{**given, **fields})
