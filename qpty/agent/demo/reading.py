"""`fs_read`: lines of a file, a directory, a search in a file, pictures; one operation or several."""
# ruff: noqa: PTH110, PTH111, PTH112, PTH113, PTH122, PTH123 - `store` says why there is no pathlib here

import json
import os
import stat
import time

from .terminal import GREEN, GREY, RESET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Painter = Callable[[str], None]

Json = dict[str, object]
NO_SUCH_FILE = "No such file or directory (os error 2)"
_DONE = f"{GREEN} ✓ {RESET}"
_FORMATS = {".png": "Png", ".jpg": "Jpeg", ".jpeg": "Jpeg", ".gif": "Gif", ".webp": "Webp"}


class ToolFailedError(Exception):
    """A tool could not do its work; the text is what the model and the user are told."""


def operations(arguments: Json) -> list[Json]:
    """The operations that were asked for. Raises ToolFailedError for arguments that q could not read."""
    given = arguments.get("operations")
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise ToolFailedError("missing field `operations`")
    return given


def validate(operation: Json) -> None:
    """Raise ToolFailedError for an operation on something that is not there."""
    mode = operation.get("mode")
    if mode == "Image":
        for path in _images(operation):
            if not os.path.exists(path):
                raise ToolFailedError(NO_SUCH_FILE)
        return
    path = _path(operation)
    if not os.path.exists(path):
        raise ToolFailedError(f"'{operation.get('path')}' does not exist")
    if mode == "Line" and not os.path.isfile(path):
        raise ToolFailedError(f"'{operation.get('path')}' is not a file")
    if mode == "Directory" and not os.path.isdir(path):
        raise ToolFailedError(f"'{operation.get('path')}' is not a directory")


def paths(operation: Json) -> list[str]:
    """The files that an operation reads."""
    return _images(operation) if operation.get("mode") == "Image" else [_path(operation)]


def is_image(operation: Json) -> bool:
    """Whether an operation reads pictures."""
    return operation.get("mode") == "Image"


def _path(operation: Json) -> str:
    return os.path.expanduser(str(operation.get("path", "")))


def _images(operation: Json) -> list[str]:
    given = operation.get("image_paths")
    return [os.path.expanduser(str(path)) for path in given] if isinstance(given, list) else []


def describe(given: list[Json]) -> str:
    """What the header says is about to be read."""
    if len(given) == 1:
        return " ● " + _described(given[0])
    numbered = "".join(f"↱ Operation {i}: {_described(one)}\n" for i, one in enumerate(given, 1))
    return f" ● Batch fs_read operation with {GREEN}{len(given)}{RESET} operations:\n\n{numbered}"


def _described(operation: Json) -> str:
    mode, name = operation.get("mode"), f"{GREEN}{operation.get('path')}{RESET}"
    if mode == "Directory":
        return f"Reading directory: {name} with maximum depth of {operation.get('depth') or 0}"
    if mode == "Search":
        return f"Searching: {name} for pattern: {GREEN}{operation.get('pattern')}{RESET}"
    if mode == "Image":
        return "Reading images: " + "\n".join(f"{GREEN}{path}\n{RESET}" for path in _images(operation))
    first, last = _span(operation)
    if not operation.keys() & {"start_line", "end_line"} or (first, last) == (1, -1):
        return f"Reading file: {name}, all lines"
    end = f"to {GREEN}{last}{RESET}" if last >= 0 else "to end of file"
    return f"Reading file: {name}, from line {GREEN}{first}{RESET} {end}"


def _span(operation: Json) -> tuple[int, int]:
    first, last = operation.get("start_line", 1), operation.get("end_line", -1)
    return (first if isinstance(first, int) else 1), (last if isinstance(last, int) else -1)


def run(given: list[Json], paint: "Painter") -> tuple[str, list[Json]]:
    """Read: what the model is told, and the pictures that go with it. Raises ToolFailedError."""
    if len(given) == 1:
        paint("\n")
        return _run_one(given[0], paint)
    shown, pictures, failed = [], [], 0
    for number, operation in enumerate(given, 1):
        try:
            text, images = _run_one(operation, paint)
        except ToolFailedError as error:
            failed += 1
            shown.append(f"=== Operation {number} Error ===\n{error}\n")
            continue
        paint("\n")
        shown.append(f"=== Operation {number} Result ({'Images' if images else 'Text'}) ===\n{text}")
        pictures += images
    good = len(given) - failed
    paint(f" ⋮ \n\n{GREY} ● {RESET}Summary: {len(given)} operations processed, {good} successful, {failed} failed\n")
    return "\n\n".join(shown), pictures


def _run_one(operation: Json, paint: "Painter") -> tuple[str, list[Json]]:
    mode = operation.get("mode")
    try:
        if mode == "Directory":
            return _directory(operation, paint), []
        if mode == "Search":
            return _search(operation, paint), []
        if mode == "Image":
            return "See images data supplied", _pictures(operation, paint)
        return _lines(operation, paint), []
    except OSError as error:
        raise ToolFailedError(f"{error.strerror} (os error {error.errno})") from error


def _text(operation: Json) -> str:
    with open(_path(operation), encoding="utf-8", newline="") as file:
        try:
            return file.read()
        except UnicodeDecodeError:
            raise ToolFailedError("stream did not contain valid UTF-8") from None


def _lines(operation: Json, paint: "Painter") -> str:
    text = _text(operation)
    lines = text.split("\n")
    if lines[-1] == "" and len(lines) > 1:
        lines.pop()
    first, last = (number + len(lines) + 1 if number < 0 else number for number in _span(operation))
    if not text or not 1 <= first <= len(lines):
        raise ToolFailedError(
            f"starting index: {first} is outside of the allowed range: (0, {len(lines) if text else 0})"
        )
    found = "\n".join(lines[first - 1 : last])
    paint(f"{_DONE}Successfully read {len(found.encode())} bytes from {operation.get('path')}\n")
    return found


def _directory(operation: Json, paint: "Painter") -> str:
    top, depth = _path(operation), operation.get("depth") or 0
    found = []
    todo = [(top, 0)]
    while todo:
        here, level = todo.pop(0)
        for entry in sorted(os.scandir(here), key=lambda one: one.name):
            status = entry.stat(follow_symlinks=False)
            when = time.strftime("%b %d %H:%M", time.gmtime(status.st_mtime))
            facts = (
                f"{stat.filemode(status.st_mode)} {status.st_nlink} {status.st_uid} {status.st_gid} {status.st_size}"
            )
            found.append(f"{facts} {when} {entry.path}")
            if entry.is_dir(follow_symlinks=False) and isinstance(depth, int) and level < depth:
                todo.append((entry.path, level + 1))
    paint(f"{_DONE}Successfully read directory {operation.get('path')} ({len(found)} entries)\n")
    return "\n".join(found)


def _search(operation: Json, paint: "Painter") -> str:
    pattern, lines = str(operation.get("pattern", "")), _text(operation).splitlines()
    context = operation.get("context_lines", 2)
    around = context if isinstance(context, int) else 2
    found = []
    for number, line in enumerate(lines):
        if pattern.lower() in line.lower():
            near = range(max(0, number - around), min(len(lines), number + around + 1))
            shown = "".join(f"{'→' if i == number else ' '} {i + 1}: {lines[i]}\n" for i in near)
            found.append({"line_number": number + 1, "context": shown})
    paint(f"{_DONE}Found {len(found)} matches for pattern '{pattern}' in {operation.get('path')}\n")
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def _pictures(operation: Json, paint: "Painter") -> list[Json]:
    pictures: list[Json] = []
    for path in _images(operation):
        kind = _FORMATS.get(os.path.splitext(path)[1].lower())
        if kind is None:
            raise ToolFailedError(f"'{path}' is not a supported image type")
        with open(path, "rb") as file:
            pictures.append({"format": kind, "source": {"Bytes": list(file.read())}})
    paint(f"{_DONE}Successfully read image\n")
    return pictures
