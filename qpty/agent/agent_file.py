"""The agent file that carries a session's system prompt: the CLI's default agent, and a prompt.

The CLI takes a system prompt from nowhere else. What is written here besides it is what the CLI's own default agent has
(measured for q 1.19: the same tools are on offer, the same ones run without a question, the same files are read into
the context, and the person's MCP servers are there), and what `q agent create` writes. Of two files that claim one
name, the one that is called by it counts.
"""

from __future__ import annotations

import json
from typing import Any, Final

SESSION_AGENT: Final = "qpty-session"
"""The agent's name, and its file's."""

_FILE_PREFIX: Final = "file://"
"""A prompt that begins with it names a file, whose content is the prompt."""


def agent_file_path(directory: str) -> str:
    """Return the file's path below the session's directory; `directory` is the dialect's `agents_directory`."""
    return f"{directory}/{SESSION_AGENT}.json"


def agent_file(prompt: str) -> bytes:
    """Return the content of the agent file that has this system prompt."""
    content: dict[str, Any] = {
        "name": SESSION_AGENT,
        "description": "The default agent with this session's system prompt",
        "prompt": f" {prompt}" if prompt.startswith(_FILE_PREFIX) else prompt,
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
    return json.dumps(content, ensure_ascii=False, indent=2).encode() + b"\n"
