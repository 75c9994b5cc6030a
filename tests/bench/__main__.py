"""Run the `main()` of every module beside this one, or of those named as arguments."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import tests.bench


def main() -> None:
    """Each benchmark in turn, under its first line of documentation."""
    wanted = set(sys.argv[1:])
    for found in pkgutil.iter_modules(tests.bench.__path__):
        if found.name.startswith("_") or (wanted and found.name not in wanted):
            continue
        module = importlib.import_module(f"tests.bench.{found.name}")
        print(f"== {found.name}: {(module.__doc__ or '').strip().splitlines()[0]}")
        module.main()
        print()


if __name__ == "__main__":
    main()
