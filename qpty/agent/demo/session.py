"""A session at the terminal: prompt after prompt, until the user leaves."""
# ruff: noqa: PTH110, PTH111, PTH123 - `store` says why there is no pathlib here

import contextlib
import json
import os

from . import commands, failures
from .commands import COMMANDS, CommandError
from .editor import END_OF_FILE, LINE, Editor
from .record import DENIED_BY_USER, Conversation
from .script import DEMO
from .shell import run_at_prompt
from .signals import Signals, TurnInterruptedError
from .terminal import GREEN, GREY, RED, RESET, SHOW_CURSOR, YELLOW, Terminal, TerminalGoneError
from .turns import ApprovalNeededError, Turns

LEAVING = f"\x1b[1G{RESET}{RESET}{SHOW_CURSOR}"
_SETTLING_SECONDS = 0.005
"""What q takes at least from its last words to being ready."""

_EXIT_HINT = f"\n(To exit the CLI, press Ctrl+C or Ctrl+D again or type {GREEN}/quit\x1b[39m)\n\n"
_CLEAR_QUESTION = (
    f"{GREY}\nAre you sure? This will erase the conversation history and context from hooks for the current session. "
    f"[{GREEN}y{GREY}/{GREEN}n{GREY}]:\n\n{RESET}{SHOW_CURSOR}"
)


class Leave(Exception):  # noqa: N818 - the end of a session, not an error
    """The session is over; `status` is the exit status."""

    def __init__(self, status: int = 0) -> None:
        super().__init__(f"the session ended with status {status}")
        self.status = status


class Session:
    """The prompt, what is typed at it, and the turns that follow."""

    __slots__ = ("_conversation", "_editor", "_prompt", "_signals", "_terminal", "_turns")

    def __init__(self, terminal: Terminal, signals: Signals, turns: Turns, agent: str | None, trust_all: bool) -> None:
        self._terminal, self._signals, self._turns = terminal, signals, turns
        self._conversation: Conversation = turns.conversation
        self._editor = Editor(terminal, signals, tuple(f"/{name}" for name in COMMANDS))
        name = f"[{agent}] " if agent else ""
        painted = f"\x1b[36m{name}{RESET}" if name else ""
        mark = f"\x1b[31m!{RESET}" if trust_all else ""
        self._prompt = (f"{name}{'!' if trust_all else ''}> ", f"{painted}{mark}\x1b[35m> {RESET}")

    def run(self, first: str | None, interactive: bool) -> int:
        """Take the first message, if there is one, then what is typed; the exit status."""
        try:
            if first is not None:
                self._take(first)
            while interactive:
                self._take(self._ask())
        except TerminalGoneError:  # q says nothing of it either
            self._terminal.note(LEAVING)
            return 0
        except Leave as leaving:
            self._terminal.note(LEAVING)
            return leaving.status
        except ApprovalNeededError:
            needed = "Tool approval required but --no-interactive was specified."
            self._terminal.note(f"{LEAVING}error: {needed} Use --trust-all-tools to automatically approve tools.\n")
            return 1
        self._terminal.note(LEAVING)
        return 0

    def _ask(self) -> str:
        """Be ready, and read until there is a message. Raises Leave."""
        self._signals.forget()
        with contextlib.suppress(TurnInterruptedError):
            self._signals.sleep(_SETTLING_SECONDS)
        self._terminal.note(f"{RESET}{RESET}" if self._turns.pending else f"{SHOW_CURSOR}{RESET}{RESET}")
        warned, notice = False, ""
        while True:
            how, text = self._editor.read(*self._prompt, notice)
            notice = ""
            if how == LINE:
                if commands.visible(text).strip():
                    return text
            elif warned or (how == END_OF_FILE and not self._terminal.interactive):
                raise Leave
            else:
                warned, notice = True, _EXIT_HINT

    def _take(self, text: str) -> None:
        """Do what a line asks for. Raises Leave."""
        self._conversation.note_prompt(text)
        message = commands.visible(text)
        line = message.strip()
        if line.startswith("/") and commands.looks_like_path(line):
            self._terminal.note("\n")
            message = line = line[1:]
        if line.startswith("!"):
            self._shell(line[1:])
        elif line.startswith("/"):
            self._command(line)
        elif line.startswith("@") and len(line) > 1:
            name = line[1:].split(maxsplit=1)[0]
            self._terminal.note(f"\n{RED}Error{RESET}: prompt {YELLOW}{name}{RESET} not found.\n\n")
        else:
            self._message(message, line)

    def _message(self, message: str, line: str) -> None:
        if self._turns.doomed:
            self._terminal.note("\n" + failures.PANIC)
            raise Leave(failures.PANIC_STATUS)
        if self._turns.pending and line in ("y", "Y", "t", "T"):
            self._turns.approve(always=line in ("t", "T"))
        elif self._turns.pending and line in ("n", "N"):
            self._turns.send(DENIED_BY_USER)
        else:
            self._turns.send(message)

    def _shell(self, command: str) -> None:
        self._terminal.note("\n")
        code = run_at_prompt(command)
        if code:
            status = f"exit status: {code}" if code > 0 else f"signal: {-code}"
            self._terminal.note(f"{YELLOW}Self exited with status: {status}\n{RESET}")

    def _command(self, line: str) -> None:
        self._terminal.note("\n")
        try:
            name, arguments = commands.command(line)
        except CommandError as error:
            self._terminal.note(str(error))
            return
        if name == "quit":
            raise Leave
        if name == "clear":
            self._clear()
        elif name == "help":
            self._terminal.note(commands.help_text(f"{DEMO} It is not q. Write `help` for what it answers."))
        elif name == "model":
            self._terminal.note("\n")
            self._turns.choose_model()
        elif name == "save":
            self._save(arguments)
        elif name == "load":
            self._load(arguments[0])
        else:
            self._terminal.note(f"\n{DEMO} /{name} does nothing here.\n\n")

    def _clear(self) -> None:
        yellow = ("> ", "\x1b[38;5;11m> \x1b[39m")
        how, text = self._editor.read(*yellow, _CLEAR_QUESTION)
        if how == LINE and text.strip() in ("y", "Y"):
            self._turns.pending = None
            self._conversation.clear()
            self._told(GREEN, "Conversation history cleared.")
        else:
            self._terminal.note("\n")

    def _told(self, colour: str, text: str) -> None:
        self._terminal.note(f"{colour}\n{text}\n\n{RESET}\n")

    def _save(self, arguments: list[str]) -> None:
        force = {"-f", "--force"}
        path = next(one for one in arguments if one not in force)
        if os.path.exists(path) and force.isdisjoint(arguments):
            self._told(RED, f"File at {path} already exists. To overwrite, use -f or --force")
            return
        try:
            with open(os.path.expanduser(path), "w", encoding="utf-8") as file:
                json.dump(self._conversation.as_json(), file, ensure_ascii=False, indent=2)
        except OSError as error:
            self._told(RED, f"Failed to export to {path}: {error.strerror} (os error {error.errno})")
            return
        self._told(GREEN, f"✔ Exported conversation state to {path}")

    def _load(self, path: str) -> None:
        try:
            with open(os.path.expanduser(path), encoding="utf-8") as file:
                self._conversation.load(file.read())
        except OSError as error:
            self._told(RED, f"Failed to import from {path}: {error.strerror} (os error {error.errno})")
            return
        except ValueError as error:
            self._told(RED, f"Failed to import from {path}: {error}")
            return
        self._turns.pending = None
        self._told(GREEN, f"✔ Imported conversation state from {path}")
