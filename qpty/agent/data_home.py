"""A data directory for the CLI that has settings of our own and shares everything else with the person's.

The CLI keeps its settings and its database (sign-in, conversations) in one directory below `$XDG_DATA_HOME`, or below
`~/.local/share` without that variable. We hand it a data home of our own:

```
ROOT/                       → XDG_DATA_HOME
├── amazon-q/
│   ├── settings.json       the person's settings with ours on top; never theirs
│   └── data.sqlite3        → the person's database
└── (anything else)         → the person's: the variable reaches the CLI's tools, and other programs follow it too
```

SQLite resolves the link first: its journal lies beside the real file, and locks are on the real file, so the person's
own CLI may run at the same time. What the CLI keeps under `$HOME` (`~/.aws/amazonq`: agents, prompts, knowledge bases,
checkpoints, the line editor's history) doesn't follow the variable and is shared as it is. Settings that a session
changes land in our file, not in the person's, and last until the next `prepare`.

```
DataHomeError          .path
├── NotSetUpError          the person has no database yet: the CLI has to be signed in first
├── BrokenSettingsError    .detail: the person's settings aren't a JSON object, or can't be read
└── OccupiedError          .detail: our directory is the person's own, or holds something that isn't ours to replace
```
"""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qpty.agent.errors import AgentError
from qpty.agent.files import link, write_private

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "XDG_DATA_HOME"

MAX_SETTINGS_BYTES: Final = 1 << 20
"""The CLI's own settings are a few hundred bytes."""

MAX_LINKS: Final = 1_000
"""Entries of the person's data home that are linked; beyond it something else is wrong with that directory."""


class DataHomeError(AgentError):
    """The CLI's data directory can't be prepared; `path` is the file or directory at fault."""

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(message)
        self.path = path


class NotSetUpError(DataHomeError):
    """There is no database: the CLI was never signed in with this data directory.

    The CLI must not be started then: with a link whose directory is missing it hangs without a word.
    """

    def __init__(self, *, path: Path, home: Path) -> None:
        super().__init__(f"{path} does not exist: sign in first, with HOME={home} (for q: `q login`)", path=path)
        self.home = home


class BrokenSettingsError(DataHomeError):
    """The person's settings can't be carried over, for the reason in `detail`. The CLI wouldn't start with them."""

    def __init__(self, *, path: Path, detail: str) -> None:
        super().__init__(f"{path} cannot be used as settings ({detail}): mend the file or remove it", path=path)
        self.detail = detail


class OccupiedError(DataHomeError):
    """A place that should be ours isn't, for the reason in `detail`."""

    def __init__(self, *, path: Path, detail: str) -> None:
        super().__init__(f"{path} cannot be qpty's own: {detail}", path=path)
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class DataHome:
    """A prepared data home: `data_home` for the environment, the person's real `database`, and our `settings_file`."""

    data_home: Path
    database: Path
    settings_file: Path

    def environment(self) -> dict[str, str]:
        """Give the variables to set for the CLI, over all others."""
        return {VARIABLE: str(self.data_home)}


def prepare(
    root: Path,
    *,
    home: Path,
    environment: Mapping[str, str],
    directory_name: str,
    database_name: str,
    settings_name: str = "settings.json",
    settings: Mapping[str, Any],
) -> DataHome:
    """Make or renew the data home `root` for the person at `home`; other processes may do the same at the same time.

    `environment` is the person's own (its `XDG_DATA_HOME` says where their data is), `directory_name`, `database_name`
    and `settings_name` are the CLI's, `settings` (JSON values) are put over the person's. Nothing of the person's is
    written to. Directories are made with mode 0700, the settings with 0600. Raises `DataHomeError`, `OSError`.
    """
    root = root.absolute()
    theirs = _their_data_home(home, environment)
    database = theirs / directory_name / database_name
    ours = root / directory_name
    if root == theirs or (root.exists() and theirs.exists() and root.samefile(theirs)):
        raise OccupiedError(path=root, detail=f"it is the person's own {VARIABLE}; start without that variable")
    if not database.is_file():
        raise NotSetUpError(path=database, home=home)
    if ours.is_symlink() or (ours.exists() and ours.samefile(database.parent)):
        raise OccupiedError(path=ours, detail="it is a link to another directory; remove the link")
    _make_private(root)
    _make_private(ours)
    merged = _read_settings(theirs / directory_name / settings_name) | dict(settings)
    settings_file = ours / settings_name
    write_private(settings_file, json.dumps(merged, indent=2, ensure_ascii=False).encode() + b"\n")
    _link_database(ours / database_name, database)
    _link_rest(root, theirs, apart_from=directory_name)
    return DataHome(data_home=root, database=database.resolve(), settings_file=settings_file)


def _their_data_home(home: Path, environment: Mapping[str, str]) -> Path:
    """Where the person's data is. A relative value doesn't count, by the convention and for the CLI."""
    named = environment.get(VARIABLE, "")
    return Path(named) if Path(named).is_absolute() else home.absolute() / ".local" / "share"


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_mode & 0o077:
        directory.chmod(0o700)


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SETTINGS_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BrokenSettingsError(path=path, detail=error.strerror or str(error)) from error
    if len(data) > MAX_SETTINGS_BYTES:
        raise BrokenSettingsError(path=path, detail=f"it is larger than {MAX_SETTINGS_BYTES} bytes")
    try:
        settings = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BrokenSettingsError(path=path, detail=str(error)) from error
    if not isinstance(settings, dict):
        raise BrokenSettingsError(path=path, detail="it is not a JSON object")
    return settings


def _link_database(path: Path, target: Path) -> None:
    linked, there = _look(path)
    if there and linked is None:
        raise OccupiedError(path=path, detail="it is a database of its own; move it away if it isn't needed")
    if linked != target:
        link(path, target)


def _look(path: Path) -> tuple[Path | None, bool]:
    """Where a link leads, None if it is none, and whether anything is there: one look, as another may be linking."""
    try:
        return path.readlink(), True
    except FileNotFoundError:
        return None, False
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: something else than a link
            raise
        return None, True


def _link_rest(root: Path, theirs: Path, *, apart_from: str) -> None:
    """Link every other program's data. What a program made here itself stays; a link of ours without a target goes."""
    for path in root.iterdir():
        linked, _ = _look(path)
        if linked is not None and linked.name == path.name and not linked.exists():
            path.unlink(missing_ok=True)
    real_root = root.resolve()
    targets = [  # without a directory that we lie in: a loop
        target
        for target in theirs.iterdir()
        if target.name != apart_from and not real_root.is_relative_to(target.resolve())
    ]
    if len(targets) > MAX_LINKS:
        raise OccupiedError(path=root, detail=f"{theirs} has more than {MAX_LINKS} entries to link")
    for target in targets:
        path = root / target.name
        linked, there = _look(path)
        if linked != target and (linked is not None or not there):
            link(path, target)
