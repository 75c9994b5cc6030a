"""Agent files: `.amazonq/cli-agents/NAME.json` in the working directory, then in the home."""
# ruff: noqa: PTH109, PTH111, PTH118, PTH123 - `store` says why there is no pathlib here

import json
import os

Json = dict[str, object]


class AgentFileError(Exception):
    """An agent file that is there but can't be used; the text says which and why."""


class AgentFile:
    """What an agent file asks for; everything is optional but the name."""

    __slots__ = ("allowed", "before_tools", "model", "name", "prompt", "servers", "settings", "tools")

    def __init__(self, name: str | None = None, content: Json | None = None) -> None:
        content = content or {}
        self.name = name
        self.prompt = _string(content.get("prompt"))
        self.model = _string(content.get("model"))
        self.tools = _names(content.get("tools", ["*"]))
        self.allowed = _names(content.get("allowedTools"))
        self.servers = _objects(content.get("mcpServers"))
        self.settings = _objects(content.get("toolsSettings"))
        hooks = content.get("hooks")
        self.before_tools = _hooks(hooks.get("preToolUse") if isinstance(hooks, dict) else None)

    def listed(self, tool: str, setting: str) -> list[str]:
        """A list of a tool's settings, such as ("execute_bash", "deniedCommands")."""
        return _names(self.settings.get(tool, {}).get(setting))


def _string(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _names(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _hooks(value: object) -> list[tuple[str, str]]:
    """Hooks as pairs: which tools' names they are for, and the command."""
    given = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    return [(str(one.get("matcher") or "*"), str(one.get("command", ""))) for one in given]


def _objects(value: object) -> dict[str, Json]:
    return {str(k): v for k, v in value.items() if isinstance(v, dict)} if isinstance(value, dict) else {}


def find_agent(name: str) -> AgentFile | None:
    """The agent of that name; None if there is none. Raises AgentFileError."""
    home = os.environ.get("HOME") or os.path.expanduser("~")
    for directory in (os.path.join(os.getcwd(), ".amazonq"), os.path.join(home, ".aws", "amazonq")):
        path = os.path.join(directory, "cli-agents", f"{name}.json")
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise AgentFileError(f"Json supplied at {path} is invalid: {error}") from error
        if not isinstance(content, dict):
            raise AgentFileError(f"Json supplied at {path} is invalid: it must be an object")
        return AgentFile(name, content)
    return None
