"""What coding agents sent for a task, reduced: see `tests/clients/recording.py`, which made these files.

`NAME.json` is `{"client", "headers", "path", "requests"}`: the headers and the path are those of every request;
`requests` are the bodies in order. A later body leaves out each field that equals the first one's: `bodies` puts them
back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent


def bodies(name: str) -> list[dict[str, Any]]:
    """The whole bodies of a recording's requests, in the order in which they came."""
    requests = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))["requests"]
    return [requests[0] | later for later in requests]
