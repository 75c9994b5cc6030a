"""Sessions, their turns, messages, seeds and journals, and the accounts' use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "m001"
down_revision = None

# Compared by bytes on both databases, so that no locale, and no update of one, changes an index's order.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade(op: Operations) -> None:
    """From a blank database."""
    op.create_table(
        "sessions",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_activity", sa.Double(), nullable=False),
        sa.Column("directory", TEXT),
        sa.Column("account", TEXT),
        sa.Column("title", TEXT),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("message_count", sa.Integer(), nullable=False),
        sa.Column("parent_id", TEXT),
        sa.Column("record_mark", sa.Text()),
        sa.Column("journal_floor", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    listed = sa.text("deleted_at IS NULL")
    op.create_index(
        "ix_sessions_activity",
        "sessions",
        [sa.text("last_activity DESC"), "id"],
        sqlite_where=listed,
        postgresql_where=listed,
    )
    op.create_index(
        "ix_sessions_owner_activity",
        "sessions",
        ["owner", sa.text("last_activity DESC"), "id"],
        sqlite_where=listed,
        postgresql_where=listed,
    )
    op.create_table(
        "seeds",
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("document", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_seeds"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], ondelete="CASCADE", name="fk_seeds_session_id_sessions"
        ),
    )
    op.create_table(
        "turns",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("stop_reason", TEXT),
        sa.Column("code", TEXT),
        sa.Column("detail", TEXT),
        sa.Column("retryable", sa.Boolean()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("ended_at", sa.Double()),
        sa.Column("started_seq", sa.BigInteger()),
        sa.Column("ended_seq", sa.BigInteger()),
        sa.Column("record_length", sa.Integer()),
        sa.Column("record_message_id", TEXT),
        sa.Column("usage", sa.Text()),
        sa.Column("timings", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_turns"),
        sa.UniqueConstraint("session_id", "position", name="uq_turns_session_id_position"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], ondelete="CASCADE", name="fk_turns_session_id_sessions"
        ),
    )
    unfinished = sa.text("state IN ('queued', 'running')")
    op.create_index(
        "ix_turns_unfinished",
        "turns",
        ["session_id", "position"],
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
    op.create_table(
        "messages",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("turn_id", TEXT, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("exact", sa.Boolean(), nullable=False),
        sa.Column("tools", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("session_id", "position", name="uq_messages_session_id_position"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], ondelete="CASCADE", name="fk_messages_session_id_sessions"
        ),
    )
    op.create_index("ix_messages_turn_id", "messages", ["turn_id"])
    op.create_table(
        "account_use",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("day", TEXT, nullable=False),
        sa.Column("turns", sa.BigInteger(), nullable=False),
        sa.Column("failed_turns", sa.BigInteger(), nullable=False),
        sa.Column("model_calls", sa.BigInteger(), nullable=False),
        sa.Column("prompt_characters", sa.BigInteger(), nullable=False),
        sa.Column("answer_characters", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "day", name="pk_account_use"),
    )
    op.create_table(
        "journal",
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "seq", name="pk_journal"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], ondelete="CASCADE", name="fk_journal_session_id_sessions"
        ),
    )
