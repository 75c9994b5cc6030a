"""Hooks: programs of the agent file that run before a call, and how q shows them. Exit code 2 refuses the call."""

import time

from .terminal import BLUE, GREEN, HIDE_CURSOR, RED, RESET, YELLOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spinner import Spinner
    from .terminal import Terminal

TIMEOUT_SECONDS = 30
FIRST_FRAMES = ("⢀⠀", "⡀⠀", "⠄⠀", "⢂⠀", "⡂⠀", "⠅⠀", "⢃⠀", "⡃⠀", "⠍⠀", "⢋⠀")
"""How the spinner of the first hook begins; from the second on it is the usual one."""

_CLEAR = f"\x1b[1G\x1b[2K{HIDE_CURSOR}"
_PLAIN = "\x1b[39m"
_REFUSED = 2


class Hooks:
    """Runs hooks one after the other and paints what becomes of them."""

    __slots__ = ("_spinner", "_terminal")

    def __init__(self, terminal: "Terminal", spinner: "Spinner") -> None:
        self._terminal, self._spinner = terminal, spinner

    def refusal(self, commands: list[str], call: bytes) -> str | None:
        """What the one that refused a call said; None if none did. `call` is given to each. Blocks while they run."""
        began, passed, refusal = time.monotonic(), 0, None
        for number, command in enumerate(commands):
            label = f"{BLUE}{passed}{_PLAIN} of {BLUE}{len(commands)}{_PLAIN} hooks finished"
            self._spinner.start("", label, () if number else FIRST_FRAMES)
            try:
                code, said = _run(command, call)
            finally:
                self._spinner.stop(_CLEAR)
            if code:
                why = f" failed with exit code: {code}, stderr: {said.strip()})"
                self._terminal.note(f'{RED}✗ {RESET}preToolUse "{command}"{RED}{why}\n{RESET}')
            else:
                passed += 1
            if code == _REFUSED:
                refusal = f"PreToolHook blocked the tool execution: {said}"
        if commands:
            mark = f"{GREEN}✓" if passed == len(commands) else f"{RED}✗"
            took = f"{YELLOW}{time.monotonic() - began:.2f} s"
            done = f"{BLUE}{passed}{_PLAIN} of {BLUE}{len(commands)}{_PLAIN}"
            self._terminal.note(f"{BLUE}{mark}{_PLAIN} {done} hooks finished in {took}\n{RESET}")
        return refusal


def refused(refusal: str) -> str:
    """What is shown of a call that a hook refused."""
    return f"\n{RED}{refusal}\n{RESET}"


def _run(command: str, call: bytes) -> tuple[int, str]:
    """A hook's exit code and what it wrote to standard error. One that takes too long is ended and refuses nothing."""
    import subprocess  # only an agent file with hooks pays for it

    try:
        ran = subprocess.run(
            ["bash", "-c", command], input=call, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return 1, f"it took longer than {TIMEOUT_SECONDS} s"
    return ran.returncode, ran.stderr.decode("utf-8", "replace")
