"""What a line at the prompt means: a message, `!` a shell command, `/` a command, `@` a saved prompt."""

import shlex

COMMANDS = {
    "agent": "Manage agents",
    "changelog": "View changelog",
    "clear": "Clear the conversation history",
    "compact": "Summarize the conversation to free up context space",
    "context": "Manage context files for the chat session",
    "editor": "Open $EDITOR to compose a prompt",
    "experiment": "Toggle experimental features",
    "help": "Print this message",
    "hooks": "View context hooks",
    "issue": "Report a fault",
    "load": "Load a previous conversation",
    "logdump": "Create a zip file with logs",
    "mcp": "See mcp server loaded",
    "model": "Select a model for the current conversation session",
    "paste": "Paste an image from clipboard",
    "prompts": "View and retrieve prompts",
    "quit": "Quit the application",
    "reply": "Open $EDITOR with the most recent assistant message",
    "save": "Save the current conversation",
    "subscribe": "Upgrade the subscription",
    "todos": "View, manage, and resume to-do lists",
    "tools": "View tools and permissions",
    "usage": "Show current session's context window usage",
}
"""q's commands; the demo carries out clear, help, load, model, quit and save."""

_ALIASES = {"q": "quit", "exit": "quit"}
_PATHS = {"load": 1, "save": 1}

_INVISIBLE = frozenset(
    [*range(0x200B, 0x2010), *range(0x2028, 0x2030), *range(0x205F, 0x2070), *range(0xE0000, 0xE0080)]
    + [point for point in range(0xFFF0, 0x10000) if point != 0xFFFD]
)  # fmt: skip


class CommandError(Exception):
    """A `/` command that q could not read; the text is how it says so."""


def visible(text: str) -> str:
    """A line without the characters that q deletes before it looks at it: this is what a model is sent."""
    return text if text.isascii() else text.translate(dict.fromkeys(_INVISIBLE))


def looks_like_path(line: str) -> bool:
    """Whether a line that begins with a slash names a file, so that q reads it without the slash."""
    return "/" in line[1:].partition(" ")[0]


def command(line: str) -> tuple[str, list[str]]:
    """The command of a line that begins with a slash, and its arguments. Raises CommandError."""
    try:
        words = shlex.split(line[1:])
    except ValueError:
        words = line[1:].split()
    if not words:
        return "help", []
    name = _ALIASES.get(words[0], words[0])
    if name not in COMMANDS:
        raise CommandError(_error(f"unrecognized subcommand '\x1b[33m{words[0]}\x1b[0m'", "/<COMMAND>"))
    arguments = [word for word in words[1:] if word not in ("-f", "--force")] if name == "save" else words[1:]
    wanted = _PATHS.get(name, 0)
    usage = f"/{name}\x1b[0m <PATH>" if wanted else f"/{name}\x1b[0m"
    if len(arguments) > wanted:
        raise CommandError(_error(f"unexpected argument '\x1b[33m{arguments[wanted]}\x1b[0m' found", usage))
    if len(arguments) < wanted:
        missing = "the following required arguments were not provided:\n  \x1b[32m<PATH>\x1b[0m"
        raise CommandError(_error(missing, usage))
    return name, words[1:]


def _error(what: str, usage: str) -> str:
    head = f"\x1b[1m\x1b[31merror:\x1b[0m {what}\n\n\x1b[1m\x1b[4mUsage:\x1b[0m \x1b[1m{usage}\n"
    return f"{head}\nFor more information, try '\x1b[1m--help\x1b[0m'.\n\n"


def help_text(about: str) -> str:
    """The list of commands, after a line about the program."""
    shown = "".join(f"  \x1b[1m{name}\x1b[0m{'':{12 - len(name)}}{what}\n" for name, what in COMMANDS.items())
    usage = "\x1b[1m\x1b[4mUsage:\x1b[0m \x1b[1m/<COMMAND>\n\n\x1b[1m\x1b[4mCommands:\x1b[0m\n"
    return f"{about}\n\n{usage}{shown}\n"
