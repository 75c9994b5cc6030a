"""The rooms and the arrows between them: which part of the package may import which."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "qpty"

ARROWS: dict[str, set[str]] = {
    "core": set(),
    "agent": {"core"},
    "storage": set(),
    "accounts": {"agent", "core"},
    "sessions": {"agent", "core", "storage", "accounts"},
    "cluster": {"sessions", "storage", "core"},
    "compat": {"sessions", "core"},
    "rendering": set(),
    "server": {"compat", "sessions", "agent", "core", "storage", "accounts", "rendering", "web"},
    "web": set(),
    "cli": {"server", "cluster", "compat", "sessions", "agent", "core", "storage", "accounts"},
}
"""room → the rooms that it may import (itself always). `qpty.__main__` only starts `cli`."""

SANS_IO = {"asyncio", "os", "subprocess", "socket", "threading", "select", "signal", "time", "pathlib", "sqlite3", "io"}
"""What `core` may never import: everything that waits, or looks at files, clocks or processes."""


def imports_of(path: Path) -> set[str]:
    """Every absolute module name that a file imports, wherever in the file."""
    found: set[str] = set()
    module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    package = module.removesuffix(".__init__") if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parts, base] if base else parts)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def room_of(module: str) -> str | None:
    """The room that a module of the package belongs to; None outside the package and for its top."""
    parts = module.split(".")
    return parts[1] if parts[0] == "qpty" and len(parts) > 1 and parts[1] in ARROWS else None


def wrong_arrows(files: list[Path]) -> list[str]:
    """One line for each import that goes against the arrows."""
    wrong = []
    for path in files:
        here = room_of("qpty." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts))
        if here is None:
            continue
        for module in imports_of(path):
            there = room_of(module)
            if there is not None and there != here and there not in ARROWS[here]:
                wrong.append(f"{path.relative_to(PACKAGE)}: {here} must not import {module}")
            if here == "core" and module.split(".")[0] in SANS_IO:
                wrong.append(f"{path.relative_to(PACKAGE)}: core must not import {module}")
    return wrong


def test_imports_go_one_way() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert files
    assert wrong_arrows(files) == []


def test_every_room_is_known() -> None:
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert rooms <= set(ARROWS)


@pytest.mark.parametrize(
    ("line", "room"),
    [("from qpty.agent import driver", "core"), ("import asyncio", "core"), ("from ..sessions import x", "agent")],
)
def test_the_check_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, room: str) -> None:
    package = tmp_path / "qpty"
    (package / room).mkdir(parents=True)
    bad = package / room / "bad.py"
    bad.write_text(line)
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", package)
    assert wrong_arrows([bad])
