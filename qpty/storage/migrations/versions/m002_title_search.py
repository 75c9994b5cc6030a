"""Titles as they are searched, beside the titles (see `qpty.storage.folding`)."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import sqlalchemy as sa

from qpty.storage.types import decode_text, encode_text

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "m002"
down_revision = "m001"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade(op: Operations) -> None:
    """From m001."""
    op.add_column("sessions", sa.Column("title_folded", TEXT))
    connection = op.get_bind()
    titled = connection.execute(sa.text("SELECT id, title FROM sessions WHERE title IS NOT NULL")).all()
    values = [{"id": row.id, "folded": encode_text(_folded(decode_text(row.title)))} for row in titled]
    if values:
        connection.execute(sa.text("UPDATE sessions SET title_folded = :folded WHERE id = :id"), values)


def _folded(text: str) -> str:
    """As the code did when this schema was new."""
    composed = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", composed).split())
