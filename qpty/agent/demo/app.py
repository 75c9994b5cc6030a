"""The command line: `chat`, and the few other commands of q that a program around it calls."""

import contextlib
import json
import os
import sys
import threading

from .terminal import BLUE, CYAN, GREEN, RED, RESET, YELLOW, Terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .agentfile import AgentFile
    from .mcp import McpServer
    from .signals import Signals

VERSION = "1"
USAGE = "Usage: qpty-demo chat [OPTIONS] [INPUT] | whoami [--format json] | login | logout | --version\n"

_STACK_BYTES = 128 * 1024
"""The spinner's thread needs no more, and there may be hundreds of it."""

_BANNER = f"""\x1b[38;5;6mThis is the demo agent of qpty: it behaves like `q chat`, but there is no model behind it.
Write `help` for what it can answer.{RESET}

"""
_TRUST_WARNING = (
    f"\x1b[32mAll tools are now trusted ({RESET}\x1b[31m!{RESET}\x1b[32m). "
    f"The demo agent will execute tools without asking for confirmation.{RESET}\n"
    "Agents can sometimes do unexpected things so understand the risks.\n\n\n"
)


class UsageError(Exception):
    """An option that there isn't, or one without its value."""


class ChatOptions:
    """What `chat` was asked for."""

    __slots__ = ("agent", "first", "interactive", "model", "resume", "trust_all", "trusted")

    def __init__(self, arguments: list[str]) -> None:
        self.agent: str | None = None
        self.model: str | None = None
        self.first: str | None = None
        self.resume = self.trust_all = False
        self.interactive = True
        self.trusted: set[str] = set()
        self._parse(arguments)

    def _parse(self, arguments: list[str]) -> None:
        left, plain = list(arguments), False
        while left:
            word = left.pop(0)
            if word == "--" and not plain:
                plain = True
            elif plain or not word.startswith("-"):
                if self.first is not None:
                    raise UsageError(f"unexpected argument '{word}' found")
                self.first = word
            else:
                self._option(word, left)

    def _option(self, word: str, left: list[str]) -> None:
        name, given, value = word.partition("=")
        if name in ("--agent", "--profile", "--model", "--wrap", "--trust-tools", "-w"):
            if not given:
                if not left:
                    raise UsageError(f"a value is required for '{name}' but none was supplied")
                value = left.pop(0)
            if name == "--wrap" and value not in ("never", "always", "auto"):
                raise UsageError(f"invalid value '{value}' for '--wrap <WRAP>'")
            if name == "--trust-tools":
                self.trusted = {one for one in value.split(",") if one}
            elif name == "--model":
                self.model = value
            elif name in ("--agent", "--profile"):
                self.agent = value
        elif name in ("--resume", "-r"):
            self.resume = True
        elif name in ("--trust-all-tools", "-a"):
            self.trust_all = True
        elif name == "--no-interactive":
            self.interactive = False
        elif name not in ("--legacy-mode", "-v", "--verbose"):
            raise UsageError(f"unexpected argument '{name}' found")


def main(arguments: list[str]) -> int:
    """Run the program; its exit status."""
    if arguments in (["--version"], ["-V"]):
        sys.stdout.write(f"qpty-demo {VERSION}\n")
        return 0
    name, rest = (arguments[0], arguments[1:]) if arguments else ("chat", [])
    try:
        return _run(name, rest)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n\n{USAGE}")
        return 2
    except OSError as error:
        with contextlib.suppress(OSError):  # the terminal itself may be what is gone
            sys.stderr.write(f"error: {error}\n")
        return 1


def _run(name: str, rest: list[str]) -> int:
    if name == "chat":
        return _chat(ChatOptions(rest))
    if name in ("whoami", "login", "logout"):
        return _account(name, rest)
    raise UsageError(f"unrecognized subcommand '{name}'")


def _account(name: str, rest: list[str]) -> int:
    """The pretended sign-in: nothing is asked, nobody is called."""
    from .store import Store  # each command imports only what it uses

    store = Store()
    as_json = "json" in " ".join(rest).replace("=", " ").split()
    if name == "whoami":
        account = {"accountType": "BuilderId", "startUrl": None, "region": "us-east-1"}
        if not store.signed_in():
            sys.stdout.write('{"account":null}\n' if as_json else "Not logged in\n")
            return 1
        shown = json.dumps(account, separators=(",", ":")) if as_json else "Logged in with Builder ID (demo)"
        sys.stdout.write(f"{shown}\n")
    elif name == "logout":
        store.sign(signed_in=False)
        sys.stdout.write("You are now logged out\nRun q login to log back in to Amazon Q\n")
    else:
        if store.signed_in():
            sys.stderr.write("error: Already logged in, please logout with q logout first\n")
            return 1
        code = os.urandom(4).hex().upper()
        address = f"https://demo.invalid/device?user_code={code[:4]}-{code[4:]}"
        sys.stdout.write(f"\nConfirm the following code in the browser\nCode: {code[:4]}-{code[4:]}\n\n")
        sys.stdout.write(f"Open this URL: {address}\n")
        sys.stdout.flush()
        sys.stderr.write("\x1b[?25l▰▱▱▱▱▱▱ Logging in...\r\x1b[2K\x1b[?25h")
        store.sign(signed_in=True)
        sys.stdout.write("Logged in\n")
    return 0


def _chat(options: ChatOptions) -> int:
    from .record import Conversation
    from .session import Session
    from .signals import Signals
    from .store import Store, settings
    from .tools import Toolbox
    from .turns import MODELS, Turns

    threading.stack_size(_STACK_BYTES)
    store = Store()
    if not store.signed_in():
        sys.stderr.write("error: You are not logged in, please log in with q login\n")
        return 1
    try:
        wanted = settings()
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    if options.model is not None and options.model not in MODELS:
        sys.stderr.write(f"error: Model '{options.model}' does not exist. Available models: {', '.join(MODELS)}\n")
        return 1
    if not options.interactive and options.first is None:
        sys.stderr.write("error: Input must be supplied when running in non-interactive mode\n")
        return 1
    terminal, signals = Terminal(), Signals()
    agent = _agent(options, terminal)
    if options.trust_all:
        terminal.note(_TRUST_WARNING)
    servers = _servers(agent, terminal, signals)
    toolbox = Toolbox(agent, servers, options.trust_all, options.trusted)
    default = str(wanted.get("chat.defaultModel") or "")
    model = next((m for m in (options.model, agent.model, default) if m in MODELS), MODELS[0])
    conversation = Conversation(store, model, toolbox.specs, agent=agent.name, instruction=agent.prompt)
    first = options.first
    if options.resume and conversation.resume() and first is None:
        from .script import SUMMARY_REQUEST

        first = SUMMARY_REQUEST
    if wanted.get("chat.greeting.enabled", True):
        terminal.note(_BANNER)
    terminal.note(f"{CYAN}🤖 You are chatting with {model} (demo agent, no model)\n{RESET}\n")
    turns = Turns(terminal, signals, conversation, toolbox, options.interactive)
    return Session(terminal, signals, turns, agent.name, options.trust_all).run(first, options.interactive)


def _agent(options: ChatOptions, terminal: Terminal) -> "AgentFile":
    from .agentfile import AgentFile, AgentFileError, find_agent

    if options.agent is None:
        return AgentFile()
    try:
        agent = find_agent(options.agent)
    except AgentFileError as error:
        terminal.note(f"{RED}Error: {RESET}{error}\n")
        agent = None
    if agent is None:
        missing = f": no agent with name {options.agent} found. Falling back to user specified default"
        terminal.note(f"{RED}Error{YELLOW}{missing}\n{RESET}")
        return AgentFile()
    return agent


def _servers(agent: "AgentFile", terminal: Terminal, signals: "Signals") -> "list[McpServer]":
    """The agent's servers, started one after the other, with q's report of it."""
    if not agent.servers:
        return []
    import time

    from .mcp import McpError, McpServer
    from .signals import TurnInterruptedError

    started: list[McpServer] = []
    count = len(agent.servers)

    def progress() -> None:
        state = f"⠋{BLUE} {len(started)}{RESET} of {BLUE}{count} {RESET}mcp servers initialized."
        terminal.note(f"{state}{BLUE} ctrl-c {RESET}to start chatting now\n")

    progress()
    for name, definition in agent.servers.items():
        began, server = time.monotonic(), McpServer(name, definition, signals)
        try:
            server.start()
        except TurnInterruptedError:
            signals.forget()
            break
        except (McpError, OSError) as error:
            terminal.note(f"\x1b[1G\x1b[1A\x1b[2K{RED}✗ {BLUE}{name}{RESET} has failed to load: {error}\n")
        else:
            started.append(server)
            took = f"{YELLOW}{time.monotonic() - began:.2f} s\n{RESET}"
            terminal.note(f"\x1b[1G\x1b[1A\x1b[2K{GREEN}✓ {BLUE}{name}{RESET} loaded in {took}")
        if len(started) < count:
            progress()
    terminal.note(f"{GREEN}✓{RESET}{BLUE} {len(started)}{RESET} of {BLUE}{count} {RESET}mcp servers initialized.\n")
    terminal.note("\x1b[1G\x1b[1A\x1b[2K\n")
    return started
