"""Types random messages into the real q and compares what the model was sent, exactly.

    python -m tests.fuzz.prompts --count 1000 --seed 1        # through the real q, found through QPTY_LAB
    python -m tests.fuzz.prompts --offline 100000 --seed 1    # against the model of q in q_model.py

A message counts as exact if the model was sent one message, and that is `EncodedPrompt.sent`; as a command if anything
ran in the session's directory (most messages try to) or the model was sent nothing; as hung if q did not come back in
time. Exits 1 if anything was not as it should be. The same seed makes the same messages.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from qpty.core.errors import EmptyPromptError, PromptError
from qpty.core.keys import CLOSED_FENCE, GUARD, EncodedPrompt, encode_prompt
from tests.fuzz.q_model import Read, is_deleted, read_by_q
from tests.fuzz.terminal import HungError, Terminal
from tests.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

PROMPTS_PER_PROCESS = 50
HANG_AFTER = 30.0
ANSWER_CUT_AFTER = 0.5
"""Seconds after which a long answer is interrupted: what was sent is known by then."""

# fmt: off
PAYLOADS = (
    "!touch ran", "!./x", "/!./x", "/./!./x", "//!./x", "/quit", "/clear", "/exit", "/editor", "/load x", "/help", "/",
    "!", "@", "@nope", "@x arg", "/model", "!!", "! ./x", "/ !./x", "\\!./x", "!./x\n", "@./x", "/a.b !./x",
    "/tmp/x.png",
)
PLAIN = (
    "y", "n", "t", "Y", "exit", "quit", "hello", "echo hi", "count 2", "#x", "[Image #1]", "mail@x.org", "a @b !c /d",
    "naïve café", "你好，世界", "👩\u200d💻", "❤\ufe0f", "🇫🇷", "e\u0301", "עברית", "\u202bעברית\u202c", "ไทย",
    "ﷺ", "\t", "> ",
    "[?2004l", "[201~", "[200~", "\\", "\\\\", "`", "``", "```", "````", "``````", "```py\nx = 1\n```", "~~~", "'", '"',
    "--- USER MESSAGE END ---", "\ufffd", "\ufeff", "\u00ad", "\u180e", "$HOME",
)
SPACES = (
    "", "", "", " ", "  ", "\n", "\n\n", "\t", "\r", "\r\n", "\u00a0", "\u1680", "\u2003", "\u3000", "\u0085", "\x0b",
)
CONTROLS = (
    "\x1b", "\x1b[201~", "\x1b[201~\r!./x\r", "\x1b[200~", "\x00", "\x03", "\x04", "\x15", "\x1a", "\x7f", "\x9b201~",
    "\x9d", "\x1c", "\x12", "\x0f",
)
DELETED = (
    "\u200b", "\u200d", "\u200e", "\u2028", "\u2029", "\u202f", "\u205f", "\u2060", "\u206f", "\ufff0", "\ufffe",
    "\uffff", "\U000e0001", "\U000e007f",
)
TAILS = (
    "", "", "", "\\", "\\ ", "\\\n", "\\\u200b", "\\\u3000", "\\\x00", "\\\\", "```", "\n```", "``\u200b`", "`", "\n\n",
    " ",
)
RANGES = (
    (0x20, 0x7E), (0x20, 0x7E), (0x00, 0xFF), (0xA0, 0x24F), (0x300, 0x36F), (0x590, 0x6FF), (0x2000, 0x206F),
    (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xFE00, 0xFFFF), (0x1F300, 0x1FAFF), (0xE0000, 0xE01EF), (0x10000, 0x10FFFF),
)
# fmt: on


def random_text(random_: random.Random) -> str:
    """Return a message of which most parts are chosen to be trouble; one in fifty is long."""
    some = random_.choice
    parts = [some(some((SPACES, SPACES, DELETED, CONTROLS))) for _ in range(random_.randrange(4))]
    if random_.random() < 0.6:
        parts.append(some(PAYLOADS))
    for _ in range(random_.randrange(5)):
        first, last = some(RANGES)
        letters = "".join(chr(random_.randint(first, last)) for _ in range(random_.randrange(8)))
        parts += [some(SPACES), some((some(PLAIN), some(CONTROLS), some(DELETED), some(PAYLOADS), letters))]
    if random_.random() < 0.02:
        parts += [some(("x" * 80, "a word ", "a line\n", "你好", "\\\n", "``` ", "\t"))] * random_.randrange(1, 1_000)
    parts.append(some(TAILS))
    return "".join(parts)


def messages(seed: int) -> Iterator[tuple[str, EncodedPrompt]]:
    """Yield endless messages that can be sent, and their encodings; those with nothing to send are passed over."""
    random_ = random.Random(seed)  # noqa: S311 - a seed to repeat by, not a secret
    while True:
        text = random_text(random_)
        try:
            yield text, encode_prompt(text)
        except EmptyPromptError:
            continue


def unlike_given(text: str, prompt: EncodedPrompt) -> str | None:
    """Say how `sent` differs from the text as given beyond what is documented; None if it doesn't."""
    expected = "".join(
        character
        for character in text.replace("\r\n", "\n").replace("\r", "\n")
        if character in "\t\n" or not (ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 or is_deleted(character))
    )
    sent = prompt.sent
    if "guarded" in prompt.changes:
        sent = sent.removeprefix(GUARD)
    if "backslash_closed" in prompt.changes:
        sent = sent.removesuffix(" ")
    if "fence_closed" in prompt.changes:
        sent = sent.removesuffix(CLOSED_FENCE)
    return None if sent == expected else f"{text!r} became {prompt.sent!r}"


def offline_problem(text: str) -> str | None:
    """Say what is wrong with a text's encoding according to the model of q; None if nothing is."""
    try:
        prompt = encode_prompt(text)
    except EmptyPromptError:
        visible = [c for c in text if not (c.isspace() or ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or is_deleted(c))]
        return f"{text!r} was refused as empty" if visible else None
    except PromptError as error:
        return f"{text!r} was refused: {error}"
    if read_by_q(prompt.keys) != Read("message", prompt.sent):
        return f"{text!r}: q would read {read_by_q(prompt.keys)}"
    again = encode_prompt(prompt.sent)
    if again.sent != prompt.sent or again.changes:
        return f"{text!r}: encoding again gives {again}"
    return unlike_given(text, prompt)


def run_offline(count: int, seed: int) -> int:
    """Check `count` encodings, print the figure and return the number of problems."""
    random_ = random.Random(seed)  # noqa: S311 - a seed to repeat by, not a secret
    began = time.monotonic()
    problems = [problem for _ in range(count) if (problem := offline_problem(random_text(random_)))]
    print(*problems[:20], sep="\n", end="\n" if problems else "")
    print(f"{count:,} encodings: {len(problems)} wrong ({time.monotonic() - began:.0f} s, seed {seed})")
    return len(problems)


def run_live(count: int, seed: int) -> int:
    """Type `count` messages into the real q, print the figures and return the number of problems."""
    found: Counter[str] = Counter()
    changes: Counter[str] = Counter()
    began = time.monotonic()
    source = messages(seed)
    with tempfile.TemporaryDirectory(prefix="qpty-fuzz-") as name, Lab(work=Path(name)) as lab:
        for first in range(0, count, PROMPTS_PER_PROCESS):
            batch = [next(source) for _ in range(min(PROMPTS_PER_PROCESS, count - first))]
            for _, prompt in batch:
                changes.update(prompt.changes)
            found.update(_type_batch(lab, batch, first))
            if sys.stderr.isatty():
                print(f"{first + len(batch)} of {count}", end="\r", file=sys.stderr)
    seconds = time.monotonic() - began
    print(
        f"{count:,} messages typed into the real q: {found['exact']} exactly as sent, "
        f"{found['command']} became a command, {found['different']} different, {found['hang']} hung "
        f"({seconds:.0f} s, seed {seed})"
    )
    print("changed:", ", ".join(f"{name} {times}" for name, times in changes.most_common()))
    return count - found["exact"]


def _type_batch(lab: Lab, batch: list[tuple[str, EncodedPrompt]], first: int) -> Iterator[str]:
    """Type messages into fresh processes of q, each up to its first hang; yield what became of each message."""
    left = list(enumerate(batch, first))
    while left:
        directory = lab.work / f"session-{left[0][0]}"
        directory.mkdir()
        trap = directory / "x"
        trap.write_text("#!/bin/sh\ntouch ran\n")
        trap.chmod(0o755)
        home = lab.new_home(f"home-{left[0][0]}")
        try:
            with Terminal(q=lab.q, home=home, log=lab.log, directory=directory) as terminal:
                while left:
                    number, (text, prompt) = left.pop(0)
                    result, detail = _type_one(terminal, prompt, directory)
                    if result != "exact":
                        print(f"message {number}, {result}: {text!r} typed as {prompt.keys!r}: {detail}")
                    yield result
                    if result == "hang":
                        break
        finally:
            shutil.rmtree(home)
            shutil.rmtree(directory)


def _type_one(terminal: Terminal, prompt: EncodedPrompt, directory: Path) -> tuple[str, str]:
    """Type one message, cut its answer short, and judge what became of it."""
    try:
        typed = terminal.type(prompt.keys, timeout=HANG_AFTER, cut_answer_after=ANSWER_CUT_AFTER)
    except HungError as error:
        return "hang", str(error)
    ran = sorted(path.name for path in directory.iterdir() if path.name != "x")
    if ran or not typed.sent:
        for name in ran:
            (directory / name).unlink()
        return "command", f"files {ran}, printed {typed.output[-300:]!r}"
    if typed.sent != (prompt.sent,):
        return "different", f"the model was sent {typed.sent!r}"
    return "exact", ""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.prompts", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1_000, help="messages to type into the real q (default 1000)")
    parser.add_argument("--offline", type=int, metavar="COUNT", help="only check so many encodings, without q")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the messages (default 1)")
    given = parser.parse_args(arguments)
    problems = run_live(given.count, given.seed) if given.offline is None else run_offline(given.offline, given.seed)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
