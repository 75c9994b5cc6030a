"""The tables as they are now; `migrations` says how a database gets there.

Times are seconds since the epoch, UTC. Everything but the accounts' use belongs to a session and goes with its row.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from qpty.storage.types import AnyText, JsonText

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _of_session(**options: Any) -> Column[str]:
    return Column("session_id", AnyText(), ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False, **options)


sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", AnyText(), primary_key=True),
    Column("owner", AnyText(), nullable=False),
    Column("created_at", Double(), nullable=False),
    Column("last_activity", Double(), nullable=False),
    Column("directory", AnyText()),
    Column("account", AnyText()),
    Column("title", AnyText()),
    Column("profile", JsonText(), nullable=False),
    Column("columns", Integer(), nullable=False),
    Column("lines", Integer(), nullable=False),
    Column("message_count", Integer(), nullable=False),
    Column("parent_id", AnyText()),  # no foreign key: a fork outlives what it was forked from
    Column("record_mark", JsonText()),
    Column("journal_floor", BigInteger(), nullable=False),
    Column("deleted_at", Double()),
    Column("client", AnyText()),  # the interface whose client it belongs to; none is the person's own
    Column("title_folded", AnyText()),  # the title as it is searched; the writes set it with the title
)

# Both lists of sessions are read from an index in their order, whatever the number of sessions. Those being deleted are
# in neither.
Index(
    "ix_sessions_activity",
    sessions.c.last_activity.desc(),
    sessions.c.id,
    sqlite_where=text("deleted_at IS NULL"),
    postgresql_where=text("deleted_at IS NULL"),
)
Index(
    "ix_sessions_owner_activity",
    sessions.c.owner,
    sessions.c.last_activity.desc(),
    sessions.c.id,
    sqlite_where=text("deleted_at IS NULL"),
    postgresql_where=text("deleted_at IS NULL"),
)

seeds: Final = Table(
    "seeds",
    metadata,
    _of_session(primary_key=True),
    Column("document", AnyText(), nullable=False),
)

client_turns: Final = Table(
    "client_turns",
    metadata,
    Column("turn_id", AnyText(), primary_key=True),
    _of_session(),
    Column("owner", AnyText(), nullable=False),
    Column("conversation", AnyText(), nullable=False),
    Column("settings", AnyText(), nullable=False),
    Column("reply_id", AnyText(), nullable=False),
    Column("created_at", Double(), nullable=False),
    Index("ix_client_turns_conversation", "owner", "conversation"),
    Index("ix_client_turns_reply", "owner", "reply_id"),
    Index("ix_client_turns_session_id", "session_id"),
)

turns: Final = Table(
    "turns",
    metadata,
    Column("id", AnyText(), primary_key=True),
    _of_session(),
    Column("position", Integer(), nullable=False),
    Column("state", AnyText(), nullable=False),
    Column("stop_reason", AnyText()),
    Column("code", AnyText()),
    Column("detail", AnyText()),
    Column("retryable", Boolean()),
    Column("created_at", Double(), nullable=False),
    Column("started_at", Double()),
    Column("ended_at", Double()),
    Column("started_seq", BigInteger()),
    Column("ended_seq", BigInteger()),
    Column("record_length", Integer()),
    Column("record_message_id", AnyText()),
    Column("usage", JsonText()),
    Column("timings", JsonText()),
    UniqueConstraint("session_id", "position"),
)

UNFINISHED: Final = text("state IN ('queued', 'running')")
"""Which turns are unfinished. A query must use these very words to be answered from the index."""

# A restart looks for what was not finished among all turns ever.
Index(
    "ix_turns_unfinished",
    turns.c.session_id,
    turns.c.position,
    sqlite_where=UNFINISHED,
    postgresql_where=UNFINISHED,
)

messages: Final = Table(
    "messages",
    metadata,
    Column("id", AnyText(), primary_key=True),
    _of_session(),
    Column("turn_id", AnyText(), nullable=False, index=True),
    Column("position", Integer(), nullable=False),
    Column("role", AnyText(), nullable=False),
    Column("text", AnyText(), nullable=False),
    Column("exact", Boolean(), nullable=False),
    Column("tools", JsonText()),
    Column("created_at", Double(), nullable=False),
    UniqueConstraint("session_id", "position"),
)

account_use: Final = Table(
    "account_use",
    metadata,
    Column("account", AnyText(), nullable=False),
    Column("day", AnyText(), nullable=False),
    Column("turns", BigInteger(), nullable=False),
    Column("failed_turns", BigInteger(), nullable=False),
    Column("model_calls", BigInteger(), nullable=False),
    Column("prompt_characters", BigInteger(), nullable=False),
    Column("answer_characters", BigInteger(), nullable=False),
    PrimaryKeyConstraint("account", "day"),
)

# A plain table on SQLite, not one clustered by its key: events of many sessions are appended side by side, and a commit
# writes few pages for their bodies (0.35 ms for fifty sessions, against 0.6 ms; reading 500 costs 0.9 ms, against 0.5).
journal: Final = Table(
    "journal",
    metadata,
    _of_session(),
    Column("seq", BigInteger(), nullable=False),
    Column("body", AnyText(), nullable=False),
    PrimaryKeyConstraint("session_id", "seq"),
)
