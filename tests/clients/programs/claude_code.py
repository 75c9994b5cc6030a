"""Claude Code, the program `claude`, by `claude -p`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from tests.clients.programs import expected
from tests.clients.programs.agents import place
from tests.clients.programs.expected import call, plan, say
from tests.clients.programs.scenarios import KEY, MODEL, URL, Facts, Scenarios, equal

if TYPE_CHECKING:
    from tests.clients.programs.agents import Place

ENVIRONMENT = {
    "ANTHROPIC_BASE_URL": URL,
    "ANTHROPIC_AUTH_TOKEN": KEY or "none",
    "ANTHROPIC_MODEL": MODEL,
    "ANTHROPIC_DEFAULT_OPUS_MODEL": MODEL,
    "ANTHROPIC_DEFAULT_SONNET_MODEL": MODEL,
    "ANTHROPIC_DEFAULT_HAIKU_MODEL": MODEL,
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",
}

with place() as empty:
    version = empty.run("claude", "--version").stdout.strip()
scenario = Scenarios(client="claude", version=version)


def claude(here: Place, prompt: str, *options: str) -> dict[str, Any]:
    """What it tells about a prompt at its end, as JSON."""
    ran = here.run("claude", "-p", prompt, "--output-format", "json", *options, **ENVIRONMENT)
    assert ran.returncode == 0, f"it ended with {ran.returncode}: {ran.stdout[-2000:]} {ran.stderr[-2000:]}"
    told: dict[str, Any] = json.loads(ran.stdout)
    assert not told["is_error"], told
    return told


@scenario
def answer() -> Facts:
    with place() as here:
        told = claude(here, f"PLAN: {json.dumps([say(expected.UNICODE)])}")
    equal(told["result"], expected.UNICODE)
    return {"turns": told["num_turns"], "usage": told["usage"]}


@scenario
def task() -> Facts:
    """It reads a file, edits it, and runs a command: three of its tools, one after the other."""
    with place() as here:
        file = here.work / "a.txt"
        file.write_text("one\n世界\n")
        steps = plan(
            call("Read", file_path=str(file)),
            {**call("Edit", file_path=str(file), old_string="one", new_string="two — zwei"), "say": "I will edit it."},
            call("Bash", command="cat a.txt > seen.txt", description="Keep what is there"),
            say("It is done."),
            ask="Change one to two in a.txt.",
        )
        told = claude(here, steps, "--allowedTools", "Read,Edit,Bash")
        equal(file.read_text(), "two — zwei\n世界\n")
        equal((here.work / "seen.txt").read_text(), "two — zwei\n世界\n")
    equal((told["result"], told["num_turns"]), ("It is done.", 4))
    return {"seconds": told["duration_ms"] / 1000}


@scenario
def refused_tool() -> Facts:
    """A call that nobody allows: the model is told of the refusal, and goes on."""
    with place() as here:
        steps = plan(call("Bash", command="touch made.txt", description="Make it"), say("I may not."))
        told = claude(here, steps, "--allowedTools", "Read")
        assert not (here.work / "made.txt").exists()
    equal((told["result"], told["num_turns"], len(told["permission_denials"])), ("I may not.", 2, 1))
    return {}


@scenario
def continued() -> Facts:
    """Another process goes on with the conversation, calls of tools included."""
    with place() as here:
        file = here.work / "a.txt"
        file.write_text("one\n")
        reads = call("Read", file_path=str(file))
        first = claude(here, plan(reads, say("I read it.")), "--allowedTools", "Read")
        second = claude(here, plan(reads, say("I read it again.")), "--allowedTools", "Read", "--continue")
    equal((first["result"], second["result"]), ("I read it.", "I read it again."))
    equal(second["session_id"], first["session_id"])
    return {}


if __name__ == "__main__":
    sys.exit(scenario.main())
