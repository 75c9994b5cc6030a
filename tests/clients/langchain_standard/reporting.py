"""A plugin of pytest: a line of JSON for each test on standard output, as the programs beside this folder print it.

Not a conftest, which the project's own run would load as well.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Print a test's line, at its call, or earlier or later where it failed or was skipped."""
    if report.when != "call" and report.passed:
        return
    name = report.nodeid.rpartition("conformance.py::")[2]
    skipped = None
    if report.skipped:
        skipped = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else f"expected: {report.wasxfail}"
    facts = {"error": str(report.longrepr)[-4000:]} if report.failed else {}
    ok = not report.failed
    line = {"name": name, "ok": ok, "skipped": skipped, "seconds": round(report.duration, 2), "facts": facts}
    print(json.dumps(line, ensure_ascii=False), file=sys.__stdout__, flush=True)
