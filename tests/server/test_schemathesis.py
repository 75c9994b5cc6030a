"""Schemathesis over every operation: what the document promises is what the server does, whatever it is sent."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qpty.server.access.rate import RateLimiter
from qpty.server.api import OPERATIONS

if TYPE_CHECKING:
    from tests.server.conftest import Serve
    from tests.server.served import Served

ROOT = Path(__file__).parent.parent.parent

KEY = "a-key-of-this-test-only"

EXAMPLES = 8
"""Of each operation in each of the phases that make requests at random; the same ones each time."""

WELL_FORMED_BUT_REFUSED = {
    "an HTTP client opens no WebSocket": ("connect",),
    "no schema says which texts have a visible character": ("chat", "chat_stream", "send_message"),
    "no schema says which cursors were given out": ("list_sessions",),
    "no schema says that an agent has a system prompt of its own, or what 256 KiB of UTF-8 are": ("create_session",),
    "no schema says what a path is; `..`, a NUL, 64 names, 255 bytes": (
        "list_files", "get_file", "put_file", "delete_file",
    ),
    "no schema says that one place is given, and not two": ("list_messages", "fork_session"),
    "no schema says which calls have results, who speaks last, what base64 holds, and which models there are": (
        "chat_completions", "responses", "messages", "count_tokens", "model",
    ),
    "no schema says which answers an open question has": ("answer_permission", "choose"),
}  # fmt: skip
"""Why a request that fits the document may still get a 400 (or a 413, 416), and where. All else holds there, too."""

MADE_UP = ["interrupt", "get_recording", "get_recorded_screens", "get_turn", "get_file", "delete_file"]
"""Operations on what isn't there in a session that is: a turn, a file, a recording before the first worker."""

NOT_TAKEN = '["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429", "5xx"]'
REFUSED = '["2xx", "3xx", "400", "401", "403", "404", "409", "412", "413", "416", "429", "5xx"]'


def config() -> str:
    """The settings of Schemathesis: all checks, all phases, always the same requests."""
    operations = [operation for found in WELL_FORMED_BUT_REFUSED.values() for operation in found]
    lines = [
        'hooks = "tests.server.schemathesis_hooks"',
        "request-timeout = 20",
        "continue-on-failure = true",
        "warnings = false",
        "[generation]",
        "deterministic = true",
        'database = "none"',
        f"max-examples = {EXAMPLES}",
        "[checks]",
        # More bytes than a body may have are refused before what they say is looked at.
        f"negative_data_rejection.expected-statuses = {NOT_TAKEN}",
        "[[operations]]",
        f"include-operation-id = {json.dumps(operations)}",
        f"checks.positive_data_acceptance.expected-statuses = {REFUSED}",
        "[[operations]]",
        f"include-operation-id = {json.dumps(MADE_UP)}",
        "checks.ensure_resource_availability.enabled = false",
    ]
    return "\n".join(lines)


async def explore(served: Served, work: Path, *options: str) -> str:
    """Run Schemathesis, which must find nothing; what it printed."""
    session_id = await served.session(trust_all_tools=True)
    done = await served.chat("hello", session_id)
    status, _ = await served.ask("PUT", f"/api/v1/sessions/{session_id}/files/notes.txt", data=b"some text")
    assert status == 201
    existing = {
        "url": served.url,
        "headers": served.headers,
        "session_id": session_id,
        "turn_id": done["turn_id"],
        "request_id": f"{done['turn_id']}.1",
    }
    settings = work / "schemathesis.toml"
    settings.write_text(config(), encoding="utf-8")
    status, found = await served.ask("GET", "/openapi.json")
    assert status == 200
    document = work / "openapi.json"  # as a file: read from a URL, the operation at that URL would not be tested
    document.write_text(json.dumps(found), encoding="utf-8")
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run", str(document),
        "--url", served.url, "--no-color", *options,
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(ROOT), "QPTY_TEST_EXISTING": json.dumps(existing)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        printed, _ = await program.communicate()
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    text = printed.decode()
    assert program.returncode == 0, text
    tested = re.search(r"Tested: (\d+)", text)
    assert tested is not None, text
    assert int(tested[1]) == len(OPERATIONS), text
    return text


async def test_without_keys(serve_demo: Serve, tmp_path: Path) -> None:
    async with serve_demo(max_streams=1000) as served:
        await explore(served, tmp_path)


async def test_with_keys(serve_demo: Serve, tmp_path: Path) -> None:
    async with serve_demo(max_streams=1000, openai_keys=KEY) as served:
        served.service.access.failures = RateLimiter(0)  # wrong keys are a part of it, and no flood
        served.headers["Authorization"] = f"Bearer {KEY}"
        await explore(served, tmp_path, "--header", f"Authorization: Bearer {KEY}")
