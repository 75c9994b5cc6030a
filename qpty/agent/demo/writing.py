"""`fs_write`: create, append, str_replace and insert, with the diff that q shows before it asks."""
# ruff: noqa: PTH103, PTH110, PTH111, PTH113, PTH120, PTH123 - `store` says why there is no pathlib here

import os

from .reading import Json, ToolFailedError
from .terminal import GREEN, RED, RESET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Painter = Callable[[str], None]

_CONTEXT = 3
"""Lines shown around an insertion."""


def target(arguments: Json) -> str:
    """The file that is to be written."""
    return os.path.expanduser(str(arguments.get("path", "")))


def validate(arguments: Json) -> None:
    """Raise ToolFailedError for arguments that make no sense."""
    command = arguments.get("command")
    if command not in ("create", "append", "str_replace", "insert"):
        raise ToolFailedError(
            f"unknown variant `{command}`, expected one of `create`, `str_replace`, `insert`, `append`"
        )
    if not arguments.get("path"):
        raise ToolFailedError("Path must not be empty")
    if command in ("str_replace", "insert") and not os.path.isfile(target(arguments)):
        raise ToolFailedError("The provided path must exist in order to replace or insert contents into it")


def _old(path: str) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def describe(arguments: Json) -> str:
    """The path and the diff."""
    path = str(arguments.get("path", ""))
    return f" ● Path: {GREEN}{path}{RESET}\n\n{_diff(*_change(arguments))}\x1b[K\n"


def _change(arguments: Json) -> tuple[str, str, int]:
    """The part that changes, before and after, and the number of its first line."""
    command, old = arguments.get("command"), _old(target(arguments))
    if command == "create":
        return old, str(arguments.get("file_text", "")), 1
    new = str(arguments.get("new_str", ""))
    if command == "append":
        return "", new, len(old.splitlines()) + 1
    if command == "str_replace":
        wanted = str(arguments.get("old_str", ""))
        at = old.find(wanted)
        return wanted, new, 0 if at < 0 else old.count("\n", 0, at) + 1
    lines, at = old.splitlines(keepends=True), _insertion(arguments)
    first = max(0, at - _CONTEXT)
    before, after = lines[first:at], lines[at : at + _CONTEXT]
    return "".join(before + after), "".join([*before, new, *after]), first + 1


def _insertion(arguments: Json) -> int:
    line = arguments.get("insert_line", 0)
    return max(0, line) if isinstance(line, int) else 0


def _diff(old: str, new: str, start: int) -> str:
    import difflib  # only a demo that writes pays for it

    before, after = old.splitlines(), new.splitlines()
    width = len(str(start + max(len(before), len(after), 1) - 1))
    shown = []

    def line(gutter: str, colour: str, text: str) -> None:
        shown.append(f"\x1b[49m{colour}{gutter}{RESET}:{colour}\x1b[49m {text}\n{RESET}")

    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "equal":
            for i, j in zip(range(a, b), range(c, d), strict=True):
                line(f"  {i + start:>{width}}, {j + start:>{width}}", "\x1b[39m", before[i])
            continue
        for i in range(a, b):
            line(f"- {i + start:>{width}}  {'':{width}}", RED, before[i])
        for j in range(c, d):
            line(f"+ {'':{width}}  {j + start:>{width}}", GREEN, after[j])
    return "".join(shown)


def run(arguments: Json, paint: "Painter") -> None:
    """Write. Raises ToolFailedError."""
    command, path = arguments.get("command"), target(arguments)
    existed = os.path.exists(path)
    verbs = {"create": "Replacing: " if existed else "Creating: ", "append": "Appending to: "}
    paint(f"{verbs.get(str(command), 'Updating: ')}{GREEN}{arguments.get('path')}{RESET}\n")
    try:
        text = _written(arguments, _old(path))
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text if text.endswith("\n") else f"{text}\n")
    except OSError as error:
        raise ToolFailedError(f"{error.strerror} (os error {error.errno})") from error


def _written(arguments: Json, old: str) -> str:
    command, new = arguments.get("command"), str(arguments.get("new_str", ""))
    if command == "create":
        return str(arguments.get("file_text", ""))
    if command == "append":
        return old + ("\n" if old and not old.endswith("\n") else "") + new
    if command == "insert":
        lines, at = old.splitlines(keepends=True), _insertion(arguments)
        return "".join([*lines[:at], new, *lines[at:]])
    wanted = str(arguments.get("old_str", ""))
    count = old.count(wanted)
    if count != 1:
        number = "no" if not count else str(count)
        more = "" if not count else " when only 1 is expected"
        raise ToolFailedError(f'{number} occurrences of "{wanted}" were found{more}')
    return old.replace(wanted, new)
