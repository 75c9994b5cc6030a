"""The demo's own data directory: settings, the conversation record's database, and whether it is signed in.

It lies beside q's, never in it: `${XDG_DATA_HOME:-$HOME/.local/share}/qpty-demo/`.

Files are handled with `os.path` throughout the demo: pathlib costs a megabyte and milliseconds more in each of hundreds
of processes.
"""
# ruff: noqa: PTH103, PTH111, PTH118, PTH123

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection

BUSY_SECONDS = 8.0
"""How long a save waits for somebody else's lock."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS conversations (key TEXT PRIMARY KEY, value TEXT)",
    "CREATE TABLE IF NOT EXISTS auth_kv (key TEXT PRIMARY KEY, value TEXT)",
)
_SIGNED_OUT = "demo:signed-out"


def data_directory() -> str:
    """Where the demo keeps its data; not created yet."""
    home = os.environ.get("HOME") or os.path.expanduser("~")
    base = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    return os.path.join(base, "qpty-demo")


def settings() -> dict[str, object]:
    """What `settings.json` says; empty where there is none. Raises ValueError for a file that is not a JSON object."""
    path = os.path.join(data_directory(), "settings.json")
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return {}
    if isinstance(found, dict):
        return found
    raise ValueError(f"{path} must hold a JSON object")


class Store:
    """The database, opened for each use: hundreds of processes share it, so none holds it longer than a statement."""

    __slots__ = ("_path",)

    def __init__(self) -> None:
        directory = data_directory()
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self._path = os.path.join(directory, "data.sqlite3")

    def _open(self) -> "Connection":
        import sqlite3  # two megabytes that a demo which says nothing never needs

        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        for statement in _SCHEMA:
            connection.execute(statement)
        return connection

    def _get(self, table: str, key: str) -> str | None:
        connection = self._open()
        try:
            row = connection.execute(f"SELECT value FROM {table} WHERE key = ?", (key,)).fetchone()  # noqa: S608
        finally:
            connection.close()
        return None if row is None else str(row[0])

    def _put(self, table: str, key: str, value: str | None) -> None:
        connection = self._open()
        try:
            if value is None:
                connection.execute(f"DELETE FROM {table} WHERE key = ?", (key,))  # noqa: S608
            else:
                connection.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (key, value))  # noqa: S608
        finally:
            connection.close()

    def conversation(self, directory: str) -> str | None:
        """The JSON text of the directory's conversation; None if there is none."""
        return self._get("conversations", directory)

    def save_conversation(self, directory: str, value: str) -> None:
        """Replace the directory's conversation. Raises sqlite3.OperationalError after BUSY_SECONDS of a lock."""
        self._put("conversations", directory, value)

    def signed_in(self) -> bool:
        """Whether the demo pretends to be signed in: it does unless somebody signed it out."""
        return self._get("auth_kv", _SIGNED_OUT) is None

    def sign(self, signed_in: bool) -> None:
        """Pretend to be signed in, or not."""
        self._put("auth_kv", _SIGNED_OUT, None if signed_in else "{}")
