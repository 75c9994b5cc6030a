"""`config/qpty.toml` and `.env.example` as the table says. `python -m tests.server.setting_files` writes them."""

from __future__ import annotations

import json
from pathlib import Path

from qpty.server.settings import SETTINGS, Setting, Settings

ROOT = Path(__file__).parent.parent.parent

TOML_HEAD = """\
# Settings of the server. Stronger than this file: `.env`, the environment, the command line.
# Each line shows a default; take the # away to set it. A wrong name or value is refused at start.
"""

DOTENV_HEAD = """\
# Copy this to `.env`. Stronger than it: the environment, the command line; weaker: config/qpty.toml.
# Each line shows a default; take the # away to set it. An empty value is not set.
"""


def toml_value(setting: Setting) -> str:
    """The default as TOML writes it."""
    default = Settings.model_fields[setting.key].default
    if default == ():
        return "[]"
    return setting.default_text if isinstance(default, bool | int | float) else json.dumps(setting.default_text)


def toml_text() -> str:
    """What `config/qpty.toml` must be."""
    rows = (f"\n# {row.meaning}\n# Give {row.takes}.\n#{row.key} = {toml_value(row)}\n" for row in SETTINGS)
    return TOML_HEAD + "".join(rows)


def dotenv_text() -> str:
    """What `.env.example` must be."""
    return DOTENV_HEAD + "".join(f"\n# {row.meaning}\n#{row.name}={row.default_text}\n" for row in SETTINGS)


if __name__ == "__main__":
    (ROOT / "config" / "qpty.toml").write_text(toml_text(), encoding="utf-8")
    (ROOT / ".env.example").write_text(dotenv_text(), encoding="utf-8")
