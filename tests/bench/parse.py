"""Tokens, the transcript and the screen against stock pyte's screen alone, in one process.

Input: the captures under `tests/captured`, a generated stream of the same shape, both as they were read and in 4 KiB
reads, and 2 MB of coloured tool output. Each figure is the best of three rounds, in MB/s of processor time.

- *at the end*: painted once, when all was fed; *100 ms*: painted whenever so much time has passed on the capture's
  clock (tool output counts as 1 MB/s); *4 KiB*: painted after so much input; *each read*: after every read.
- The last table is the longest single call of `feed`, of 1 MB, in milliseconds of wall time.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING

import pyte

from qpty.agent import dialects
from qpty.core.reading import TokenReader
from qpty.core.terminal import Terminal
from qpty.core.turn import Need, Phase, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    Reads = list[tuple[float, bytes]]  # seconds since the start, what was read

CAPTURED = Path(__file__).parent.parent / "captured"
DIALECT = dialects.load("q")
FRAMES = "".join(DIALECT.spinner_frames)
MB = 1_000_000
ENOUGH = 200_000  # bytes: shorter captures are repeated
ROUNDS = 3


def captures() -> Reads:
    """The captures, one after the other, repeated to `ENOUGH`; empty where there is none.

    Without the forgeries: an unterminated string makes stock swallow all that follows, which is fast.
    """
    reads: Reads = []
    offset = 0.0
    for path in sorted(CAPTURED.rglob("*.cast")):
        if path.name.startswith("forged-"):
            continue
        last = 0.0
        for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()[1:]:
            when, kind, data = json.loads(line)
            if kind == "o":
                last = float(when)
                reads.append((offset + last, data.encode("utf-8", "surrogateescape")))
        offset += last
    once = list(reads)
    while once and size(reads) < ENOUGH:
        offset = reads[-1][0]
        reads += [(offset + when, data) for when, data in once]
    return reads


def generated_turns() -> Reads:
    """Turns as q types them: a word a write, 9 ms apart, with a prompt and a spinner before each answer."""
    rng = random.Random(3)  # noqa: S311 - the same stream each time
    now = 0.0
    reads: Reads = []

    def write(text: str, seconds: float = 0.009) -> None:
        nonlocal now
        now += seconds
        reads.append((now, text.encode()))

    for turn in range(60):
        write("\x1b[?2004h\r\x1b[K\x1b[35m> \x1b[0m\r\x1b[2C")
        write(f"\r\x1b[K\x1b[35m> \x1b[0mquestion {turn}\r\x1b[13C", 0.2)
        for part in ("\x1b[?2004l\r\n", "\r\n\x1b[38;", "5;13", "m\x1b[0m", "\x1b[?25l"):
            write(part, 0.0001)
        for frame in FRAMES[: rng.randint(2, 9)]:
            write(f"\r{frame} Thinking...", 0.08)
        write("\x1b[2K\x1b[1G\x1b[38;5;10m> \x1b[0mHere")
        for word in range(rng.randint(100, 500)):
            write(" ")
            write(rng.choice(("word", "`code`", "longer-word", "你好", "it's", "**bold**", f"{word}")))
            if not rng.randrange(12):
                write("\x1b[0m\x1b[0m\r\n")
        write("\x1b[0m\x1b[0m\r\n\x1b[?25h\x1b[0m\x1b[0m")
    return reads


def tool_output(length: int) -> bytes:
    """Lines of a coloured `ls`, a compiler and a test runner."""
    rng = random.Random(1)  # noqa: S311 - the same output each time
    bold, purple, off, dot = "\x1b[01m\x1b[K", "\x1b[01;35m\x1b[K", "\x1b[m\x1b[K", "\x1b[32m.\x1b[0m"
    out: list[str] = []
    total = 0
    while total < length:
        number = rng.randrange(10_000)
        line = rng.choice(
            (
                f"drwxr-xr-x 2 root root {number:6} Nov 20 22:35 \x1b[0m\x1b[01;34mdirectory-{number}\x1b[0m",
                f"-rwxr-xr-x 1 root root {number:6} Nov 20 22:35 \x1b[01;32mprogram-{number}\x1b[0m",
                "lrwxrwxrwx 1 root root      7 Nov 20 22:35 \x1b[01;36mlink\x1b[0m -> \x1b[01;34musr/bin\x1b[0m",
                f"{bold}src/file.c:{number}:5:{off} {purple}warning: {off}unused variable ‘{bold}count{off}’",
                f"tests/test_{number}.py {dot}{dot}\x1b[31mF\x1b[0m{dot}\x1b[33m  [{number % 100:3}%]\x1b[0m",
                "    plain output of some program that says what it does, line after line, at some length",
                "",
            )
        )
        out.append(line + "\r\n")
        total += len(out[-1].encode())
    return "".join(out).encode()


HOSTILE = {
    "lone returns": b"\r 45%",
    "frame beginnings": "\r⠋ Thin".encode(),
    "broken sequences": b"\x1b[3\r1m\x1b[3\x1b]0;",
    "unfinished strings": b"\x1bPq" + b"x" * 500 + b"\x1b[m",
    "erase the screen": b"\x1b[2J",
    "many colours": b"".join(b"\x1b[38;2;%d;%d;9mx" % (n % 256, n // 256) for n in range(20_000)),
    "wide characters": "你好世界".encode(),
    "letters": b"x",
    "line feeds": b"\n",
    "repetitions": b"\x1b[9999bx\r",
    "reverse line feeds": b"x\x1bM",
}


def size(reads: Reads) -> int:
    return sum(len(data) for _, data in reads)


def cut(reads: Reads, length: int) -> Reads:
    """The same bytes in reads of `length`, each at the time of its last byte."""
    out: Reads = []
    data = b""
    for when, piece in reads:
        data += piece
        while len(data) >= length:
            out.append((when, data[:length]))
            data = data[length:]
    return [*out, (reads[-1][0], data)]


def timed(data: bytes, length: int) -> Reads:
    """Tool output in reads of `length`, at 1 MB/s."""
    return [(start / MB, data[start : start + length]) for start in range(0, len(data), length)]


def stock(reads: Reads) -> None:
    """What the rest is measured against."""
    stream = pyte.ByteStream(pyte.Screen(80, 24))
    for _, data in reads:
        stream.feed(data)


class Transcript:
    """The transcript as the state machine keeps it: lines, segments and a tool's output, as events."""

    def __init__(self) -> None:
        self.turn = Turn(DIALECT, turn_id="bench", started=0.0)
        self.turn.phase = Phase.WAITING
        self.reader = TokenReader(DIALECT, on_accepted=lambda _turn: None)
        self.reader.turn = self.turn

    def read(self, tokens: list[str], now: float) -> int:
        """Read tokens, with a record that has nothing and no children; how many events they gave."""
        done = self.reader.read(tokens, now)
        while self.turn.need is not None:
            if self.turn.need is Need.RECORD:
                self.turn.record_read((), readable=False)
            else:
                self.turn.children_seen(0)
            done += self.reader.read(tokens[done:], now)
        return len(self.turn.take())


def ours(due: Callable[[float, int], bool] | None, reads: Reads) -> None:
    """Tokens, the transcript, and the screen painted when `due(seconds, bytes)` since the last time; and at the end."""
    terminal = Terminal(frames=DIALECT.spinner_frames, words=DIALECT.spinner_words)
    transcript = Transcript()
    painted = 0.0
    since = 0
    for when, data in reads:
        transcript.read(terminal.feed(data), when)
        since += len(data)
        if due is not None and due(when - painted, since):
            terminal.screen  # noqa: B018 - looking is what paints
            painted, since = when, 0
    terminal.screen  # noqa: B018


PAINTED: dict[str, Callable[[float, int], bool] | None] = {
    "at the end": None,
    "100 ms": lambda seconds, _: seconds >= 0.1,
    "4 KiB": lambda _, length: length >= 4096,
    "each read": lambda _seconds, _length: True,
}


def speed(run: Callable[[], None], length: int) -> float:
    """MB/s, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = process_time()
        run()
        best = min(best, process_time() - begin)
    return length / best / MB


def longest_feed(data: bytes, length: int) -> tuple[float, float]:
    """Milliseconds of the longest and of all calls of `feed` in the best of some rounds."""
    best = (float("inf"), 0.0)
    for _ in range(ROUNDS):
        terminal = Terminal(frames=FRAMES, words=DIALECT.spinner_words)
        calls: list[float] = []
        for _, piece in timed(data, length):
            begin = perf_counter()
            terminal.feed(piece)
            calls.append((perf_counter() - begin) * 1000)
        best = min(best, (max(calls), sum(calls)))
    return best


def main() -> None:
    """Print the tables."""
    recorded, generated = captures(), generated_turns()
    coloured = tool_output(2 * MB)
    corpora = {
        "captures, as read": recorded,
        "captures, 4 KiB reads": cut(recorded, 4096) if recorded else [],
        "generated turns, as read": generated,
        "generated turns, 4 KiB reads": cut(generated, 4096),
        "tool output, 4 KiB reads": timed(coloured, 4096),
        "tool output, 64 KiB reads": timed(coloured, 65536),
    }
    print(f"{'MB/s (times stock)':40}{'stock':>8}" + "".join(f"{painted:>16}" for painted in PAINTED))
    for title, reads in corpora.items():
        if not reads:
            print(f"{title:40}there are none under {CAPTURED.name}/")
            continue
        length = size(reads)
        base = speed(lambda reads=reads: stock(reads), length)  # type: ignore[misc]
        line = f"{title + f' ({length // 1000} KB)':40}{base:8.2f}"
        for due in PAINTED.values():
            rate = speed(lambda due=due, reads=reads: ours(due, reads), length)  # type: ignore[misc]
            line += f"{rate:9.2f} ({rate / base:.1f})".rjust(16)
        print(line)
    print(f"\n{'ms, 1 MB in reads of':40}{'64 KiB':>16}{'4,095 bytes':>16}   longest feed (all)")
    samples = {
        "tool output": coloured[:MB],
        **{f"hostile: {k}": (v * (MB // len(v) + 1))[:MB] for k, v in HOSTILE.items()},
    }
    for title, data in samples.items():
        line = f"{title:40}"
        for length in (65536, 4095):
            longest, total = longest_feed(data, length)
            line += f"{longest:8.1f} ({total:.0f})".rjust(16)
        print(line)


if __name__ == "__main__":
    main()
