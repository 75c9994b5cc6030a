"""What can be written, as values: each function builds a `Write` and does nothing else.

Give them to `Writer.write`, or to a `Source` that the writer takes them from. An update or a deletion of what isn't
there changes nothing and is no error.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, insert, text, update

from qpty.storage.folding import folded
from qpty.storage.rows import SessionRow, TurnRow
from qpty.storage.tables import account_use, client_turns, journal, messages, seeds, sessions, turns
from qpty.storage.types import encode_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Executable, Table

    from qpty.storage.rows import ClientTurnRow, MessageRow

JournalRow = tuple[str, int, str]
"""An event as the journal stores it: session's id, seq, body; both texts as `encode_text` returns them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement and its parameters."""

    executable: Executable
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Either `statements` to carry out in order, or events to append (`events`).

    A `fence` is a write that appends given before it may not be moved behind: it takes away what they add.
    """

    statements: tuple[Statement, ...] = ()
    events: tuple[JournalRow, ...] = ()
    fence: bool = False

    @property
    def appends(self) -> bool:
        """Whether this only appends to journals: such writes are merged, whoever gave them."""
        return bool(self.events)


def insert_session(row: SessionRow) -> Write:
    """A new session."""
    return _insert(sessions, row, **_searched(row.title))


def update_session(session_id: str, /, **changes: Any) -> Write:
    """New values for some fields of a `SessionRow`, by their names."""
    derived = _searched(changes["title"]) if "title" in changes else {}
    return _update(sessions, SessionRow, session_id, changes, **derived)


def delete_session(session_id: str) -> Write:
    """A session goes, with its turns, messages, seed and journal."""
    return Write(statements=(Statement(executable=delete(sessions).where(sessions.c.id == session_id)),), fence=True)


def insert_turn(row: TurnRow) -> Write:
    """A new turn."""
    return _insert(turns, row)


def insert_client_turn(row: ClientTurnRow) -> Write:
    """A client knows the conversation up to this turn's end."""
    return _insert(client_turns, row)


def update_turn(turn_id: str, /, **changes: Any) -> Write:
    """New values for some fields of a `TurnRow`, by their names."""
    return _update(turns, TurnRow, turn_id, changes)


def insert_message(row: MessageRow) -> Write:
    """A new message."""
    return _insert(messages, row)


def put_seed(session_id: str, document: str) -> Write:
    """The conversation that a session takes up at its first start; replaces an earlier one."""
    return _statement(_PUT_SEED, session_id=session_id, document=document)


def delete_seed(session_id: str) -> Write:
    """The session has taken its conversation up."""
    return Write(statements=(Statement(executable=delete(seeds).where(seeds.c.session_id == session_id)),))


def add_account_use(
    account: str,
    day: str,
    *,
    turns: int = 0,
    failed_turns: int = 0,
    model_calls: int = 0,
    prompt_characters: int = 0,
    answer_characters: int = 0,
) -> Write:
    """Add to what the account was used for on `day` (YYYY-MM-DD, UTC)."""
    return _statement(
        _ADD_ACCOUNT_USE,
        account=account,
        day=day,
        turns=turns,
        failed_turns=failed_turns,
        model_calls=model_calls,
        prompt_characters=prompt_characters,
        answer_characters=answer_characters,
    )


def append_events(events: Iterable[tuple[str, int, str]]) -> Write:
    """Events to append: session's id, seq (from 1) and body of each. A seq that is taken refuses the write."""
    return Write(events=tuple([(encode_text(session_id), seq, encode_text(body)) for session_id, seq, body in events]))


def trim_journal(session_id: str, below_seq: int) -> Write:
    """Events with a smaller seq go; the session's `journal_floor` remembers the last of them.

    `below_seq` is at most one more than the last seq that was used.
    """
    floor = below_seq - 1
    return Write(
        statements=(
            Statement(executable=delete(journal).where(journal.c.session_id == session_id, journal.c.seq < below_seq)),
            Statement(
                executable=update(sessions)
                .where(sessions.c.id == session_id, sessions.c.journal_floor < floor)
                .values(journal_floor=floor)
            ),
        ),
        fence=True,
    )


def _searched(title: str | None) -> dict[str, Any]:
    """What is stored beside a title, for searches."""
    return {"title_folded": None if title is None else folded(title)}


def _insert(table: Table, row: SessionRow | TurnRow | MessageRow | ClientTurnRow, **derived: Any) -> Write:
    values = {name: getattr(row, name) for name in _names(table) if name not in derived} | derived
    return Write(statements=(Statement(executable=insert(table), parameters=values),))


def _names(table: Table) -> list[str]:
    return [column.name for column in table.c]


def _update(
    table: Table, row: type[SessionRow | TurnRow], row_id: str, changes: Mapping[str, Any], **derived: Any
) -> Write:
    allowed = {item.name for item in fields(row)} - {"id"}
    if not changes or not changes.keys() <= allowed:
        wrong = ", ".join(sorted(changes.keys() - allowed)) or "no field"
        raise TypeError(f"{wrong}: give fields of {row.__name__} that can change ({', '.join(sorted(allowed))})")
    values = {**changes, **derived}
    return Write(statements=(Statement(executable=update(table).where(table.c.id == row_id).values(**values)),))


def _statement(executable: Executable, **values: Any) -> Write:
    return Write(statements=(Statement(executable=executable, parameters=values),))


def _upsert(table: Table, assignments: Sequence[str]) -> Executable:
    """Insert a row, or change the one with its key: the one syntax that both databases share."""
    names = _names(table)
    key = ", ".join(column.name for column in table.primary_key)
    return text(
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)}) "  # noqa: S608
        f"ON CONFLICT ({key}) DO UPDATE SET {', '.join(assignments)}"
    ).bindparams(*(bindparam(column.name, type_=column.type) for column in table.c))


_PUT_SEED: Final = _upsert(seeds, ["document = excluded.document"])
_ADD_ACCOUNT_USE: Final = _upsert(
    account_use,
    [
        f"{name} = {account_use.name}.{name} + excluded.{name}"
        for name in _names(account_use)
        if name not in {"account", "day"}
    ],
)
