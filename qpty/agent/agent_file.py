"""The agent file of a session: what the CLI is told there of its prompt, its tools and what they may touch.

The CLI takes a system prompt, and a server of tools, from nowhere else. There are two kinds of file:

- **The CLI's default agent with something added** (a prompt, a client's tools): whatever else is written here is what
  the default agent has (measured for q 1.19: the same tools are on offer, the same ones run without a question, the
  same files are read into the context, and the person's MCP servers are there), and what `q agent create` writes.
- **One without the CLI's own tools** (`builtin_tools` False): no file of the person's is read, no server of theirs is
  started, and nothing is offered but the client's tools.

Of two files that claim one name, the one that is called by it counts.

Not to offer a tool forbids nothing: q runs a built-in tool that its model calls by name, most of them without a
question. These do forbid, and each holds where the one before it is missing or fails:

1. A hook before each built-in tool, whose exit code 2 refuses the call. It covers every one of them, also those for
   which q has no rules: `delegate` (where the person has enabled it, a q that may do anything), `todo_list` (writes
   files), `report_issue` (opens a browser), `introspect`, `thinking`. q runs it by `bash -c`; if that can't be started,
   q goes on.
2. Rules for paths and commands. A denial always wins over an allowance. `.*` isn't enough for a command: a dot doesn't
   match a line end.
3. What is left (`use_aws`, `knowledge`) asks first, and nobody says yes in such a session.

**Attachments**: with them `fs_read` is offered, and reads what is below the session's `attachments/`. The rules are
globs that match a path or anything below it, and `*` matches `/`, too; so everything else is denied character by
character (`/[!h]*`, `/h[!o]*`, …), which leaves exactly the paths that begin with that directory's. q resolves links,
`..` and `~` before it compares, and refuses a link as the last part. The directories above can't be denied so: their
rule would cover what is below. So the hook refuses to list any directory; without it q would ask, but for the session's
own. A picture is read without a question by its absolute path; by a relative one q asks.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from qpty.agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from qpty.agent.profile import Profile

SESSION_AGENT: Final = "qpty-session"
"""The agent's name, and its file's."""

ATTACHMENTS: Final = "attachments"
"""Where the files that a client sent are, below the session's directory."""

TOOLS_SERVER: Final = "client"
"""The name of the server that has the client's tools: the CLI calls them all `@client`."""

TOOLS_TIMEOUT: Final = 24 * 60 * 60 * 1000
"""Milliseconds that a call of a client's tool may stay open; the CLI's own default is two minutes."""

_FILE_PREFIX: Final = "file://"
"""A prompt that begins with it names a file, whose content is the prompt."""

_READ: Final = "fs_read"
_EVERYTHING: Final = ("/", "/**", "**")
_EVERY_BUILTIN: Final = "@builtin"
_OFF: Final = "echo 'this tool is switched off in this session' >&2; exit 2"
# The hook reads the call as JSON, in which a quote inside a text is escaped: this can only be the operation's mode.
# Whatever isn't grep's "not found" refuses the call, that there is no grep, too.
_NO_LISTING: Final = (
    """grep -q '"mode":"Directory"'; [ $? = 1 ] || { echo 'directories are not listed' >&2; exit 2; }"""
)

_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9/ ._@+=:,%#~-]*")
"""What means itself in a glob, and to the CLI, which expands variables in rules and in what the model gives."""


class AgentFileError(AgentError):
    """A session's agent file can't be written, for the reason in `detail`."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"the session's agent file can't be written: {detail}")
        self.detail = detail


def agent_file_path(directory: str) -> str:
    """Return the file's path below the session's directory; `directory` is the dialect's `agents_directory`."""
    return f"{directory}/{SESSION_AGENT}.json"


def agent_file(profile: Profile, *, directory: Path, tools_url: str | None = None) -> bytes:
    """Return the content of the agent file for a profile whose `own_agent` is true.

    `directory` is the session's; `tools_url` is the address below which the clients' tools are served
    (`http://127.0.0.1:PORT/mcp`), needed by a profile with `client_tools`. Raises AgentFileError.
    """
    content = _default() if profile.builtin_tools else _confined(profile, directory)
    prompt = profile.system_prompt
    content["prompt"] = f" {prompt}" if prompt is not None and prompt.startswith(_FILE_PREFIX) else prompt
    if profile.client_tools is not None:
        if tools_url is None:
            raise AgentFileError("no server for clients' tools is running: start one before this session")
        url = f"{tools_url.rstrip('/')}/{profile.client_tools}"
        content["mcpServers"] = {TOOLS_SERVER: {"type": "http", "url": url, "timeout": TOOLS_TIMEOUT}}
        content["allowedTools"].append(f"@{TOOLS_SERVER}")
        if not profile.builtin_tools:
            content["tools"].append(f"@{TOOLS_SERVER}")
    return json.dumps(content, ensure_ascii=False, indent=2).encode() + b"\n"


def _default() -> dict[str, Any]:
    """What the CLI's default agent has."""
    return {
        "name": SESSION_AGENT,
        "description": "The default agent with what this session adds",
        "prompt": None,
        "mcpServers": {},
        "tools": ["*"],
        "toolAliases": {},
        "allowedTools": [],
        "resources": ["file://AmazonQ.md", "file://AGENTS.md", "file://README.md", "file://.amazonq/rules/**/*.md"],
        "hooks": {},
        "toolsSettings": {},
        "useLegacyMcpJson": True,
        "model": None,
    }


def _confined(profile: Profile, directory: Path) -> dict[str, Any]:
    """An agent whose built-in tools do nothing, but for reading attachments if the profile has them."""
    hooks, unread = [_hook(_EVERY_BUILTIN, _OFF)], list(_EVERYTHING)
    if profile.attachments:
        # By name, not `@builtin`, which a pattern can't take one tool out of. A server's tools are `@server/tool` here.
        hooks = [_hook(pattern, _OFF) for pattern in all_names_but(_READ)] + [_hook(_READ, _NO_LISTING)]
        unread = list(all_paths_but(directory.resolve() / ATTACHMENTS))
    return _default() | {
        "description": "An agent without the CLI's own tools",
        "tools": [_READ] if profile.attachments else [],
        "resources": [],
        "hooks": {"preToolUse": hooks},
        "toolsSettings": {
            "fs_read": {"deniedPaths": unread},
            "fs_write": {"deniedPaths": list(_EVERYTHING)},
            "execute_bash": {"deniedCommands": ["(?s).*"]},
        },
        "useLegacyMcpJson": False,
    }


def _hook(matcher: str, command: str) -> dict[str, str]:
    return {"matcher": matcher, "command": command}


def all_names_but(name: str) -> Iterator[str]:
    """Yield globs that together match each built-in tool's name but this one; none matches a server's tool."""
    for at, letter in enumerate(name):
        yield f"{name[:at]}[!{letter}{'@' if at == 0 else ''}]*"


def all_paths_but(directory: Path) -> Iterator[str]:
    """Yield globs that, as the CLI uses them, match each absolute path but those below `directory` and above it.

    Raises AgentFileError for a path with a character that has a meaning in a glob or to the CLI.
    """
    path = f"{directory}/"
    if not _PLAIN_PATH.fullmatch(path):
        raise AgentFileError(
            f"attachments can't be read safely below {directory}: keep qpty's data directory at a path of plain letters"
        )
    yield "/{}"  # just `/`: with an empty group at its end, what the CLI adds for "below it" begins with two slashes
    for at, character in enumerate(path[1:], start=1):
        yield f"{path[:at]}[!{character}]*"
