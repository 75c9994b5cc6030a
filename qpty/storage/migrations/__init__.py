"""Bring a database's schema to the newest one that this package knows, in one transaction.

`versions/m001_….py` and so on each lead from one schema to the next. There is no way back: a database that a newer qpty
has migrated is refused, never guessed at. A migration is handed its `Operations`: alembic's global `op` would be shared
by two databases that are opened at the same time.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from qpty.storage.errors import SchemaTooNewError

if TYPE_CHECKING:
    from alembic.runtime.migration import RevisionStep
    from sqlalchemy import Connection

_DIRECTORY: Final = Path(__file__).parent


def load_versions() -> ScriptDirectory:
    """Read the migrations from the package's files (this blocks: call it in a thread)."""
    scripts = ScriptDirectory(_DIRECTORY, version_locations=[_DIRECTORY / "versions"])
    scripts.get_heads()  # reads them all now, not at their first use
    return scripts


def upgrade(connection: Connection, scripts: ScriptDirectory, *, to: str = "head") -> None:
    """Migrate the database behind `connection`, which is in a transaction that keeps other migrators out.

    Raises SchemaTooNewError, with nothing changed, where the database's schema is not among those known.
    """

    def steps(revision: str, _context: MigrationContext) -> list[RevisionStep]:
        return scripts._upgrade_revs(to, revision)  # as alembic's own command.upgrade() does

    context = MigrationContext.configure(connection, opts={"fn": steps})
    known = {script.revision for script in scripts.walk_revisions()}
    for found in context.get_current_heads():
        if found not in known:
            raise SchemaTooNewError(found=found, newest=scripts.get_current_head() or "none")
    context.run_migrations(op=Operations(context))
