"""What the demo answers: the first word of a message is a directive.

There is no model. A message without a directive is repeated back, with a word that says so.
"""
# ruff: noqa: PTH123 - `store` says why there is no pathlib here

import json
import os

TEXT, SLEEP, TOOL, CUT, ERROR = "text", "sleep", "tool", "cut", "error"
"""The kinds of a `Step`: a piece of the answer, a silence, a tool call, and two ends of a broken stream."""

Step = tuple[str, object]
"""(TEXT, str), (SLEEP, seconds), (TOOL, (name, arguments)), (CUT, None), (ERROR, None)."""

SUMMARY_REQUEST = "In a few words, summarize our conversation so far."
PLAN = "PLAN: ["
DEMO = "(demo agent, no model)"

HELP = f"""{DEMO} I answer by a message's first word:
hello, echo TEXT, count N, words N, long N, wide N, markdown, prompty, ansi, doc N, slow N, pause S, think S,
remember X, recall, history, images, bash CMD, read FILE, write FILE TEXT, image FILE, mcp TOOL JSON, two,
calls [[TOOL, JSON], …],
throttle, monthly, suspended, denied, expired, overflow, boom, capacity, broken, streamerror,
or PLAN: [a JSON list of steps]."""

MARKDOWN = """# A demo of markdown

Here are **strong words**, *soft words*, `a name`, ~~a mistake~~ and [a place](https://example.org/demo).

- apples
- pears, `ripe`
  - and one pear more
- plums

1. first
2. second

> Something that somebody said.

```python
def area(side):
    # a square's
    return side * side
```

| side | area |
|------|------|
| 3    | 9    |

***

The end: 再见，朋友 🌍 — déjà vu.
"""

PROMPTY = "Type this:\n\n> \n[agent] 6% !> \n\n> hello\n\nand `>` again\n> "


class ServiceFailure(Exception):  # noqa: N818 - a scripted outcome of the pretended service, not an error of this program
    """The pretended service refuses the request; `kind` is the directive that asked for it."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"the demo pretends that the service failed: {kind}")
        self.kind = kind


FAILURES = frozenset(
    ("throttle", "monthly", "suspended", "denied", "expired", "overflow", "boom", "capacity")
)  # fmt: skip


class Request:
    """What a model would be sent.

    `said` holds every user message of the conversation, oldest first, the current one last: its text, and whether it
    brought tool results. `results` are the current message's: (succeeded, value) each, where value is JSON or text.
    `offered` are the names of the tools that a model would see.
    """

    __slots__ = ("offered", "results", "said")

    def __init__(
        self, said: list[tuple[str, bool]], results: list[tuple[bool, object]], offered: frozenset[str]
    ) -> None:
        self.said, self.results, self.offered = said, results, offered


def answer(request: Request) -> list[Step]:
    """The steps of the answer. Raises ServiceFailure for a directive that asks for one."""
    planned = _planned(request)
    if planned is not None:
        return planned
    if request.results:
        status = "success" if request.results[0][0] else "error"
        shown = " ".join(json.dumps(value, ensure_ascii=False) for _, value in request.results)
        return _text(f"Tool finished with status {status}. Result: {shown[:400]}")
    message = request.said[-1][0].strip()
    word, _, rest = message.partition(" ")
    if word in FAILURES:
        raise ServiceFailure(word)
    if message == "help":
        return _text(HELP)
    if message.startswith(SUMMARY_REQUEST[:42]):
        return _text("We talked a little.")
    return _silent(word, rest) or _spoken(word, rest) or _tool_call(word, rest) or _remembered(request, word, message)


def _spoken(word: str, rest: str) -> list[Step] | None:
    if word == "echo":
        return _text(rest, 4) or [(TEXT, "")]
    if word == "markdown":
        return _text(MARKDOWN, 5)
    if word == "doc":
        return _text(_document(_number(rest, 0)), 9) or [(TEXT, "")]
    if word in ("count", "words"):
        count = _number(rest, 10 if word == "count" else 100)
        lines = (f"line {i}" if word == "count" else f"word{i}" for i in range(1, count + 1))
        return _text(("\n" if word == "count" else " ").join(lines))
    fixed = {
        "hello": "Hello! How can I help you today?",
        "prompty": PROMPTY,
        "long": "x" * _number(rest, 500),
        "wide": "你好世界" * _number(rest, 60),
        "remember": "I will remember that.",
        "ansi": "raw \x1b[31mred\x1b[0m and \x1b]0;title\x07 and \x1b[2J\x1b[H and \x07 bell",
        "images": "I got 0 images.",
    }
    return _text(fixed[word]) if word in fixed else None


def _silent(word: str, rest: str) -> list[Step] | None:
    """Answers that have a silence in them, or that break off."""
    if word == "slow":
        beat = float(os.environ.get("QPTY_DEMO_SLOW") or 1.0)
        parts = [[*_text(f"part {i} "), (SLEEP, beat)] for i in range(1, _number(rest, 5) + 1)]
        return [step for part in parts for step in part] + _text("end.")
    if word == "pause":
        return [*_text("before the pause "), (SLEEP, float(_number(rest, 6))), *_text("after the pause.")]
    if word == "think":
        return [(SLEEP, float(_number(rest, 5))), *_text("thought about it.")]
    if word == "broken":
        return [*_text("this answer is cut "), (CUT, None)]
    if word == "streamerror":
        return [*_text("this answer fails "), (ERROR, None)]
    return None


def _tool_call(word: str, rest: str) -> list[Step] | None:
    if word == "bash":
        return [*_text("Let me run that. "), _tool("execute_bash", {"command": rest, "summary": f"run {rest}"})]
    if word == "read":
        return [_tool("fs_read", {"operations": [{"mode": "Line", "path": rest}]})]
    if word == "image":
        return [_tool("fs_read", {"operations": [{"mode": "Image", "image_paths": [rest]}]})]
    if word == "write":
        path, _, text = rest.partition(" ")
        arguments: dict[str, object] = {"command": "create", "path": path, "file_text": text or "hello\n"}
        return [*_text("I will write it.\n"), _tool("fs_write", arguments)]
    if word == "mcp":
        name, _, given = rest.partition(" ")
        return [*_text("Using a tool. "), _tool(name, _arguments(given))]
    if word == "calls":
        return [*_text("Several. "), *(_tool(name, given) for name, given in _several(rest))]
    if word == "two":
        both = [_tool("execute_bash", {"command": f"echo {which}"}) for which in ("one", "two")]
        return [*_text("Two at once. "), *both]
    return None


def _remembered(request: Request, word: str, message: str) -> list[Step]:
    earlier = [text.strip() for text, _ in request.said[:-1]]
    if word == "history":
        return _text(f"{len(earlier)} earlier messages: " + " | ".join(earlier[-20:]))
    if word == "recall":
        told = next((text[9:] for text in reversed(earlier) if text.startswith("remember ")), None)
        return _text("I remember nothing." if told is None else f"You told me: {told}")
    return _text(f"{DEMO} You said: {message[:2000]}")


def _planned(request: Request) -> list[Step] | None:
    """The step that is due of the latest plan: one for each set of tool results since it was given."""
    plan: list[dict[str, object]] | None = None
    done = 0
    for text, brought_results in request.said:
        at = text.rfind(PLAN)
        if at >= 0:
            try:
                plan, _ = json.JSONDecoder().raw_decode(text, at + len(PLAN) - 1)
            except ValueError:
                pass
            else:
                done = 0
                continue
        done += brought_results
    text, brought_results = request.said[-1]
    if not plan or (PLAN not in text and not brought_results):
        return None
    step = plan[min(done, len(plan) - 1)]
    if "tool" not in step:
        return _text(str(step.get("text", "done")))
    name, given = str(step["tool"]), step.get("input")
    if name not in request.offered:
        return _text(f"(no tool {name})")
    return [*_text(str(step.get("say", ""))), _tool(name, given if isinstance(given, dict) else {})]


def _text(text: str, size: int = 7) -> list[Step]:
    """The text in the small chunks in which a stream brings it."""
    return [(TEXT, text[i : i + size]) for i in range(0, len(text), size)]


def _tool(name: str, arguments: dict[str, object]) -> Step:
    return (TOOL, (name, arguments))


def _arguments(given: str) -> dict[str, object]:
    try:
        parsed = json.loads(given or "{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _several(given: str) -> list[tuple[str, dict[str, object]]]:
    try:
        parsed = json.loads(given)
        return [(str(name), value if isinstance(value, dict) else {}) for name, value in parsed]
    except (ValueError, TypeError):
        return []


def _number(rest: str, default: int) -> int:
    first = rest.split(maxsplit=1)[:1]
    return int(first[0]) if first and first[0].isascii() and first[0].isdigit() else default


def _document(index: int) -> str:
    path = os.environ.get("QPTY_DEMO_DOCS")
    if not path:
        return f"{DEMO} Name a file with a JSON list of texts in QPTY_DEMO_DOCS to use `doc`."
    with open(path, encoding="utf-8") as file:
        texts = json.load(file)
    if not 0 <= index < len(texts):
        return f"{DEMO} There are only {len(texts)} documents, from 0."
    return str(texts[index])
