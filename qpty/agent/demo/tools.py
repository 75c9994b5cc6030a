"""The tools of a conversation: which there are, which are trusted or denied, how each looks, and running them."""
# ruff: noqa: PTH109, PTH111, PTH118 - `store` says why there is no pathlib here

import json
import os
import re
import time

from . import reading, writing
from .agentfile import AgentFile
from .mcp import McpError, McpServer
from .reading import ToolFailedError
from .record import Json, ToolUse, tool_json, tool_text
from .shell import run_bash
from .signals import Signals
from .terminal import BLUE, BOLD, GREEN, MAGENTA, RED, RESET, YELLOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Painter = Callable[[str], None]

NATIVE = {
    "execute_bash": "Run a shell command in the working directory.",
    "fs_read": "Read lines of files, directories and pictures, or search in a file.",
    "fs_write": "Create a file or change it.",
    "introspect": "Ask about this program.",
    "report_issue": "Report a fault of this program.",
    "use_aws": "Call the AWS command line.",
}
"""The built-in tools that q offers; the demo runs the first three."""

_RUNNABLE = ("execute_bash", "fs_read", "fs_write")
_LONG_COMMAND = 20
"""A command longer than this is shown on a line of its own."""


class Outcome:
    """What came of a tool: its result for the model, the text that ends it on the screen, and pictures."""

    __slots__ = ("ending", "images", "result")

    def __init__(self, result: Json, ending: str, images: list[Json]) -> None:
        self.result, self.ending, self.images = result, ending, images


class Toolbox:
    """The built-in tools and those of the agent file's servers, under the trust that was given to them."""

    __slots__ = ("_agent", "_servers", "_trust_all", "_trusted", "offered", "specs")

    def __init__(self, agent: AgentFile, servers: list[McpServer], trust_all: bool, trusted: set[str]) -> None:
        self._agent, self._servers, self._trust_all = agent, servers, trust_all
        self._trusted = {*trusted, *agent.allowed}
        native = [n for n in NATIVE if "*" in agent.tools or "@builtin" in agent.tools or n in agent.tools]
        offered = [(server, [t for t in server.tools if self._offers(server.name, t)]) for server in servers]
        self.offered = frozenset([*native, *(tool for _, tools in offered for tool in tools)])
        self.specs: Json = {"native___": [_spec(name, NATIVE[name], {"type": "object"}) for name in native]}
        for server, tools in offered:
            known = [server.tools[tool] for tool in tools]
            self.specs[server.name] = [
                _spec(tool, str(d.get("description", "")), d.get("inputSchema"))
                for tool, d in zip(tools, known, strict=True)
            ]

    def _offers(self, server: str, tool: str) -> bool:
        return bool({"*", tool, f"@{server}", f"@{server}/{tool}"} & {*self._agent.tools})

    def _server_of(self, use: ToolUse) -> McpServer | None:
        if use.orig_name in _RUNNABLE:
            return None
        return next((server for server in self._servers if use.orig_name in server.tools), None)

    def trust(self, name: str) -> None:
        """Run this tool without a question from now on."""
        self._trusted.add(name)

    def problem(self, use: ToolUse) -> str | None:
        """Why a call can't be run at all; None if it can."""
        if use.orig_name not in _RUNNABLE and self._server_of(use) is None:
            return f'No tool with "{use.orig_name}" is found'
        try:
            if use.orig_name == "fs_read":
                for operation in reading.operations(use.arguments):
                    reading.validate(operation)
            elif use.orig_name == "fs_write":
                writing.validate(use.arguments)
            elif use.orig_name == "execute_bash" and not isinstance(use.arguments.get("command"), str):
                return "Failed to validate tool parameters: missing field `command`"
        except ToolFailedError as error:
            return f"Failed to validate tool parameters: {error}"
        return None

    def hooks(self, use: ToolUse) -> tuple[list[str], bytes]:
        """The agent file's hooks before a call, and what they are told of it."""
        commands = [command for matcher, command in self._agent.before_tools if self._hooked(matcher, use)]
        call = {
            "hook_event_name": "preToolUse", "cwd": os.getcwd(), "tool_name": use.orig_name,
            "tool_input": use.arguments,
        }  # fmt: skip
        return commands, json.dumps(call, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    def _hooked(self, matcher: str, use: ToolUse) -> bool:
        from fnmatch import fnmatchcase

        server = self._server_of(use)
        if server is not None:
            return fnmatchcase(f"@{server.name}/{use.orig_name}", matcher)
        return matcher == "@builtin" or fnmatchcase(use.orig_name, matcher)

    def denied(self, use: ToolUse) -> list[str]:
        """The rules of the agent file that forbid a call."""
        name = use.orig_name
        if name == "execute_bash":
            command = str(use.arguments.get("command"))
            rules = [rf"\A{rule}\z" for rule in self._agent.listed(name, "deniedCommands")]
            return [rule for rule in rules if re.fullmatch(rule[2:-2], command, re.DOTALL)]
        if name not in _RUNNABLE:
            return []
        files = [os.path.realpath(path) for path in self._paths(use)]
        return [rule for rule in self._agent.listed(name, "deniedPaths") if any(_covers(rule, file) for file in files)]

    def _paths(self, use: ToolUse) -> list[str]:
        if use.orig_name == "fs_write":
            return [writing.target(use.arguments)]
        return [path for operation in reading.operations(use.arguments) for path in reading.paths(operation)]

    def trusted(self, use: ToolUse) -> bool:
        """Whether a call runs without a question."""
        server, name = self._server_of(use), use.orig_name
        if self._trust_all or name in self._trusted:
            return True
        if server is not None:
            return not self._trusted.isdisjoint((f"@{server.name}", f"@{server.name}/*", f"@{server.name}/{name}"))
        if name == "execute_bash":
            allowed = self._agent.listed(name, "allowedCommands")
            return any(re.fullmatch(rule, str(use.arguments.get("command")), re.DOTALL) for rule in allowed)
        allowed = self._agent.listed(name, "allowedPaths")
        if name == "fs_read":
            allowed = [*allowed, os.getcwd()]
            # As q does: the paths of pictures are compared as they were given, and one of them is enough.
            if any(reading.is_image(one) for one in reading.operations(use.arguments)):
                return any(_covers(rule, path) for rule in allowed for path in self._paths(use))
        return all(any(_covers(rule, os.path.realpath(path)) for rule in allowed) for path in self._paths(use))

    def header(self, use: ToolUse, trusted: bool) -> str:
        """How a call is announced, before it is asked for or run."""
        server, arguments = self._server_of(use), use.arguments
        text = f"{MAGENTA}🛠️  Using tool: {use.orig_name}"
        text += f"\x1b[38;5;2m (trusted)\x1b[39m{RESET}" if trusted else RESET * 3
        if server is not None:
            text += f"{RESET} from mcp server {MAGENTA}{server.name}{RESET}"
        text += "\n ⋮ \n"
        purpose = arguments.get("summary")
        why = f" ⋮ \n ↳ {BLUE}Purpose: {RESET}{purpose}\n" if purpose and server is None else ""
        if server is not None:
            shown = json.dumps(arguments, indent=2, ensure_ascii=False).split("\n")
            body = "".join(f" ⋮  {line}\n" for line in shown)
            return f"{text} ● Running {GREEN}{use.orig_name}{RESET} with the param:\n{body}{RESET}"
        if use.orig_name == "fs_read":
            return text + reading.describe(reading.operations(arguments))
        if use.orig_name == "fs_write":
            return text + writing.describe(arguments) + why
        command = str(arguments.get("command"))
        line = "\n" if len(command) > _LONG_COMMAND else ""
        return f"{text} ● I will run the following shell command: {line}{GREEN}{command}\n{RESET}{why}\n"

    def run(self, use: ToolUse, signals: Signals, paint: "Painter") -> Outcome:
        """Run a call and paint its output. Raises TurnInterruptedError."""
        began = time.monotonic()
        images: list[Json] = []
        try:
            server = self._server_of(use)
            if server is not None:
                result = tool_json(server.call(use.orig_name, use.arguments), True, use.tool_id)
            elif use.orig_name == "execute_bash":
                command = str(use.arguments.get("command"))
                result = tool_json(run_bash(command, signals, paint), True, use.tool_id)
            elif use.orig_name == "fs_read":
                text, images = reading.run(reading.operations(use.arguments), paint)
                result = tool_text(text, True, use.tool_id)
            else:
                writing.run(use.arguments, paint)
                result = tool_text("", True, use.tool_id)
        except (ToolFailedError, McpError, OSError) as error:
            told = f"An error occurred processing the tool: \n{error}"
            ending = f" ⋮ \n{BOLD}{RED} ● Execution failed after {_duration(began)}:\n{RESET}{RED}{error}{RESET}\n\n"
            return Outcome(tool_text(told, False, use.tool_id), ending, [])
        ending = f" ⋮ \n{GREEN}{BOLD} ● Completed in {_duration(began)}{RESET}\n\n"
        return Outcome(result, ending, images)


QUESTION = (
    "\x1b[38;5;8m\nAllow this action? Use '{g}t{d}' to trust (always allow) this tool for the session."
    " [{g}y{d}/{g}n{d}/{g}t{d}]:\n\n"
).format(g=GREEN, d="\x1b[38;5;8m") + RESET  # fmt: skip
"""The question before a tool that is not trusted."""


def rejection(use: ToolUse, rules: list[str]) -> str:
    """What is shown of a call that the agent file forbids."""
    shown = "".join(f"  - {rule}\n" for rule in rules)
    why = "is rejected because it matches one or more rules on the denied list:"
    return f"{RED}Command {YELLOW}{use.orig_name}{RED} {why}\n{shown}{RESET}"


def invalid(problem: str) -> str:
    """What is shown of a call that can't be run."""
    return f"{BOLD}Tool validation failed: {RESET}\n{RED}{problem}\n{RESET}"


def _duration(began: float) -> str:
    """Seconds and milliseconds as q writes them: the milliseconds are not padded (`5.4s` is 5.004 seconds)."""
    seconds, millis = divmod(int((time.monotonic() - began) * 1000), 1000)
    return f"{seconds}.{millis}s"


def _covers(rule: str, path: str) -> bool:
    """Whether a path, or a directory above it, matches a rule, which may be a glob."""
    from fnmatch import fnmatchcase  # only for rules

    rule = os.path.expanduser(rule)
    if not rule.startswith(("/", "**")):
        rule = os.path.join(os.getcwd(), rule)
    return path == rule or path.startswith(rule.rstrip("/") + "/") or fnmatchcase(path, rule)


def _spec(name: str, description: str, schema: object) -> Json:
    return {"ToolSpecification": {"name": name, "description": description, "input_schema": {"json": schema}}}
