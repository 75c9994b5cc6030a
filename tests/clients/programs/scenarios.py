"""Scenarios of one client: registered by a decorator, run in order, told as a line of JSON each.

A line is `{"name", "ok", "skipped", "seconds", "facts"}`. `skipped` is the reason, or null; `facts` is what the
scenario returned, or `{"error": …, "at": …}`. The program ends with 0 only when nothing failed.

    QPTY_URL=http://127.0.0.1:8080 [QPTY_KEY=…] [QPTY_MODEL=…] PYTHON -m tests.clients.programs.NAME [SCENARIO …]
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Facts = dict[str, Any]

URL = os.environ.get("QPTY_URL", "http://127.0.0.1:8080").rstrip("/")
KEY = os.environ.get("QPTY_KEY", "")
"""A key that the server takes; empty says that it asks for none."""
MODEL = os.environ.get("QPTY_MODEL", "claude-sonnet-4.5")
TIMEOUT = 60.0
"""Seconds that one request may take."""


class SkipScenario(Exception):  # noqa: N818
    """The scenario cannot be tried; the message is the reason."""


class Scenarios:
    """The scenarios of one program. `about` goes into every line's facts: the client and its version."""

    def __init__(self, **about: str) -> None:
        self.about = about
        self._all: dict[str, Callable[[], Any]] = {}

    def __call__(self, scenario: Callable[[], Any]) -> Callable[[], Any]:
        """Register a function, plain or async, that returns its facts, raises AssertionError, or `SkipScenario`."""
        self._all[scenario.__name__] = scenario
        return scenario

    def main(self) -> int:
        """Run those named by the arguments, by default all; the exit code."""
        names = sys.argv[1:] or list(self._all)
        went_well = [self._run(name) for name in names]
        return 0 if all(went_well) else 1

    def _run(self, name: str) -> bool:
        started = time.monotonic()
        ok, skipped, facts = True, None, self.about
        try:
            found = self._all[name]()
            facts = facts | (asyncio.run(found) if iscoroutine(found) else found)
        except SkipScenario as reason:
            skipped = str(reason)
        except Exception as error:  # noqa: BLE001 - told in the line, and by the exit code
            frames = traceback.extract_tb(error.__traceback__)
            ours = [frame for frame in frames if "site-packages" not in frame.filename][-1]
            ok, facts = (
                False,
                facts | {"error": f"{type(error).__name__}: {error}", "at": f"{ours.lineno}: {ours.line}"},
            )
        line = {"name": name, "ok": ok, "skipped": skipped, "seconds": round(time.monotonic() - started, 2)}
        print(json.dumps({**line, "facts": facts}, ensure_ascii=False), flush=True)
        return ok


def equal(found: object, expected: object) -> None:
    """Fail with both, unless they are equal."""
    assert found == expected, f"{found!r} instead of {expected!r}"
