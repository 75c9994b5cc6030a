"""Where the conversations of clients of other interfaces stand, and whose sessions those are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "m003"
down_revision = "m002"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade(op: Operations) -> None:
    """From m002."""
    op.add_column("sessions", sa.Column("client", TEXT))
    op.create_table(
        "client_turns",
        sa.Column("turn_id", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("conversation", TEXT, nullable=False),
        sa.Column("settings", TEXT, nullable=False),
        sa.Column("reply_id", TEXT, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("turn_id", name="pk_client_turns"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], ondelete="CASCADE", name="fk_client_turns_session_id_sessions"
        ),
    )
    op.create_index("ix_client_turns_conversation", "client_turns", ["owner", "conversation"])
    op.create_index("ix_client_turns_reply", "client_turns", ["owner", "reply_id"])
    op.create_index("ix_client_turns_session_id", "client_turns", ["session_id"])
