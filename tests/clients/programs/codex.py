"""Codex, the program `codex`, by `codex exec`, over Responses."""

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

CONFIG = f"""
model = {json.dumps(MODEL)}
model_provider = "qpty"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.qpty]
name = "qpty"
base_url = {json.dumps(f"{URL}/v1")}
wire_api = "responses"
env_key = "QPTY_KEY"
supports_websockets = false
request_max_retries = 0
stream_max_retries = 0
"""
OPEN = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
"""The place was made for the purpose: nothing is asked, and the sandbox, which needs the kernel's help, is off."""
KNOWN_MODEL = "gpt-5.5"
"""A model of Codex's own catalogue, for which it offers its tool of free text, `apply_patch`."""
PATCH = "*** Begin Patch\n*** Update File: a.txt\n@@\n-one\n+two — zwei\n*** End Patch\n"

with place() as empty:
    version = empty.run("codex", "--version").stdout.strip()
scenario = Scenarios(client="codex", version=version)


def codex(here: Place, *arguments: str) -> tuple[str, list[dict[str, Any]]]:
    """Its last message, and the items that it tells of (commands, changes of files, messages), each as JSON."""
    configuration = here.home / ".codex" / "config.toml"
    configuration.parent.mkdir(exist_ok=True)
    configuration.write_text(CONFIG)
    last = here.home / "last.txt"
    told = ("--json", "--output-last-message", str(last))
    ran = here.run("codex", "exec", *arguments, *told, *OPEN, QPTY_KEY=KEY or "none")
    assert ran.returncode == 0, f"it ended with {ran.returncode}: {ran.stdout[-2000:]} {ran.stderr[-2000:]}"
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    return last.read_text(), [event["item"] for event in events if event["type"] == "item.completed"]


def catalogue(here: Place) -> str:
    """An option that has Codex know our model, as it knows one of its own."""
    known = json.loads(here.run("codex", "debug", "models", "--bundled").stdout)["models"]
    (model,) = (model for model in known if model["slug"] == KNOWN_MODEL)
    file = here.home / "models.json"
    file.write_text(json.dumps({"models": [model | {"slug": MODEL, "upgrade": None}]}))
    return f"model_catalog_json={json.dumps(str(file))}"


@scenario
def answer() -> Facts:
    with place() as here:
        text, items = codex(here, f"PLAN: {json.dumps([say(expected.UNICODE)])}")
    equal(text, expected.UNICODE)
    return {"items": [item["type"] for item in items]}


@scenario
def task() -> Facts:
    """It reads a file, patches it, and runs a command: three calls of `exec_command`, one after the other."""
    with place() as here:
        file = here.work / "a.txt"
        file.write_text("one\n世界\n")
        steps = plan(
            call("exec_command", cmd="cat a.txt"),
            {**call("exec_command", cmd=f"apply_patch <<'EOF'\n{PATCH}EOF\n"), "say": "I will edit it."},
            call("exec_command", cmd="cat a.txt > seen.txt && cat seen.txt", workdir=str(here.work)),
            say("It is done."),
            ask="Change one to two in a.txt.",
        )
        text, items = codex(here, steps)
        equal(file.read_text(), "two — zwei\n世界\n")
        equal((here.work / "seen.txt").read_text(), "two — zwei\n世界\n")
    equal(text, "It is done.")
    kinds = [item["type"] for item in items if item["type"] != "error"]
    return {"items": kinds}


@scenario
def custom_tool() -> Facts:
    """The patch through its tool of free text: the model's input is the patch itself, not JSON."""
    with place() as here:
        file = here.work / "a.txt"
        file.write_text("one\n")
        steps = plan(
            call("apply_patch", input=PATCH), call("exec_command", cmd="cp a.txt seen.txt"), say("It is done.")
        )
        text, items = codex(here, "-c", catalogue(here), steps)
        equal((here.work / "seen.txt").read_text(), "two — zwei\n")
    equal(text, "It is done.")
    assert "file_change" in {item["type"] for item in items}, items
    return {}


@scenario
def image() -> Facts:
    """A picture that it looks at by a tool: the picture is the tool's result."""
    with place() as here:
        (here.work / "red.png").write_bytes(expected.picture())
        text, _ = codex(here, plan(call("view_image", path=str(here.work / "red.png")), say("It is red.")))
    equal(text, "It is red.")
    return {}


@scenario
def resumed() -> Facts:
    """Another process goes on with the conversation, calls of tools included."""
    with place() as here:
        command = call("exec_command", cmd="echo once >> runs.txt")
        first, _ = codex(here, plan(command, say("I ran it.")))
        second, _ = codex(here, "resume", "--last", plan(command, say("I ran it again.")))
        equal((here.work / "runs.txt").read_text(), "once\nonce\n")
    equal((first, second), ("I ran it.", "I ran it again."))
    return {}


if __name__ == "__main__":
    sys.exit(scenario.main())
