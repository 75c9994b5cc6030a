"""The page in a real browser: how soon text is seen, whether typing lags, how long frames take with hostile answers.

*first text* is from the moment at which the server writes an event to its socket until the frame in which the browser
shows the text. *typing* is what the browser itself measures from a key's press to the next picture (in steps of 8 ms),
while an answer of 200 KB streams in. *frames* are the longest that the main thread took between two pictures while an
answer of a megabyte came, beside the same of a page on which nothing happens: the machine's own noise.

Times are of a browser without a graphics processor, on a machine that others may use, too.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qpty.server.socket import Socket
from tests.bench._machine import full_or
from tests.bench._terminals import percentile
from tests.page.driving import ChatPage, chat_page
from tests.page.hostile import LARGE
from tests.page.journals import answer
from tests.server.browser import running_chromium
from tests.server.served import Served, serving
from tests.sessions.house import demo_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_TEXTS: Final = full_or(60, 5)
FIRST_TEXT_TARGET: Final = 50.0
FRAME_TARGET: Final = 100.0
STREAM_BYTES: Final = full_or(200_000, 20_000)
DELTA: Final = 45
"""Characters of an event: what q prints at once."""

STREAM_PAUSE: Final = 0.0025
"""Seconds between two events: about four times q's own pace."""

SEEN: Final = """() => {
    window.seen = {};
    new MutationObserver(() => {
        const now = performance.timeOrigin + performance.now();
        const text = document.querySelector('.conversation').textContent;
        for (const [mark] of text.matchAll(/mark-\\d+-/g)) {
            if (mark in seen) continue;
            seen[mark] = 0;
            requestAnimationFrame(() => setTimeout(() => { seen[mark] = performance.timeOrigin + performance.now(); }));
        }
    }).observe(document.querySelector('.conversation'), {subtree: true, childList: true, characterData: true});
}"""

WATCH: Final = """() => {
    window.watched = {frames: [], gaps: [], keys: []};
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) watched.frames.push(entry.duration);
    }).observe({type: 'long-animation-frame', buffered: false});
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (entry.name === 'keydown') watched.keys.push(entry.duration);
    }).observe({type: 'event', durationThreshold: 16, buffered: false});
    let last = performance.now();
    const tick = (now) => { watched.gaps.push(now - last); last = now; requestAnimationFrame(tick); };
    requestAnimationFrame(tick);
}"""


async def first_texts(served: Served, chat: ChatPage) -> list[float]:
    """Milliseconds from an event's leaving until its text is seen."""
    left: dict[str, float] = {}
    write = Socket._write

    async def noted(self: Socket, text: str) -> None:
        mark = next((part for part in text.split('"') if part.startswith("mark-")), None)
        if mark is not None and '"message.delta"' in text:
            left.setdefault(mark.split("-")[1], time.time() * 1000)
        await write(self, text)

    Socket._write = noted  # type: ignore[method-assign]
    try:
        await chat.page.evaluate(SEEN)
        for number in range(FIRST_TEXTS):
            await answer(served, chat.session_id, f"ask {number}", [f"mark-{number}- and so on"])
            await chat.page.wait_for_function("(mark) => window.seen[mark]", arg=f"mark-{number}-")
        seen: dict[str, float] = await chat.page.evaluate("() => seen")
    finally:
        Socket._write = write  # type: ignore[method-assign]
    return sorted(seen[f"mark-{number}-"] - at for number, at in left.items())


async def typing(served: Served, chat: ChatPage) -> tuple[list[float], int]:
    """What keys took while a long answer streamed in, those of at least 16 ms; and how many were pressed."""
    pieces = (f"Words of line {number} **go on** here, `x = {number}`.\n" for number in itertools.count())
    text = "".join(itertools.islice(pieces, STREAM_BYTES // 48))

    async def slowly() -> None:
        for part in parts(text):
            await journal_delta(part)
            await asyncio.sleep(STREAM_PAUSE)

    journal = (await served.loaded(chat.session_id)).journal
    journal.append({"type": "turn.started", "turn_id": "typing", "text": "type", "changes": []})

    async def journal_delta(part: str) -> None:
        journal.append({"type": "message.delta", "turn_id": "typing", "segment": 0, "text": part})

    await chat.page.evaluate(WATCH)
    streaming = asyncio.ensure_future(slowly())
    pressed = 0
    await chat.field.focus()
    while not streaming.done():
        await chat.page.keyboard.press("x")
        pressed += 1
        await asyncio.sleep(0.05)
    await streaming
    journal.append({"type": "message.completed", "turn_id": "typing", "segment": 0, "text": text, "exact": True})
    journal.append(
        {"type": "turn.completed", "turn_id": "typing", "stop_reason": "end_turn", "text": text, "exact": True}
    )
    await chat.page.locator('[data-turn-id="typing"][data-status="completed"]').wait_for()
    watched = await chat.page.evaluate("() => watched")
    return sorted(watched["keys"]), pressed


def parts(text: str) -> Iterator[str]:
    """A text as q prints it."""
    return (text[at : at + DELTA] for at in range(0, len(text), DELTA))


async def frames(served: Served, chat: ChatPage, text: str) -> tuple[float, float, float]:
    """The longest frame and the longest gap between two pictures, in ms, while an answer comes; and its seconds."""
    session_id = await served.session()
    await chat.visit(f"/sessions/{session_id}")
    await chat.page.evaluate(WATCH)
    began = time.monotonic()
    large = [text[at : at + 20_000] for at in range(0, len(text), 20_000)]
    turn_id = await answer(served, session_id, "large", large)
    turn = chat.page.locator(f'[data-turn-id="{turn_id}"]')
    await turn.and_(chat.page.locator('[data-status="completed"]')).wait_for()
    await chat.page.wait_for_function("() => document.querySelector('.tail')?.textContent === ''")
    await chat.page.wait_for_timeout(300)
    return await longest(chat, time.monotonic() - began)


async def idle(chat: ChatPage) -> tuple[float, float, float]:
    """As `frames`, of a page on which nothing happens."""
    await chat.visit()
    await chat.page.evaluate(WATCH)
    await chat.page.wait_for_timeout(3000)
    return await longest(chat, 3.0)


async def longest(chat: ChatPage, seconds: float) -> tuple[float, float, float]:
    """What the page watched."""
    watched: dict[str, Any] = await chat.page.evaluate("() => watched")
    return max(watched["frames"], default=0.0), max(watched["gaps"], default=0.0), seconds


async def measure(work: Path) -> None:
    """All of it."""
    with running_chromium(work / "chromium") as address:
        async with serving(demo_spec(work), work) as served, chat_page(address, served.url) as chat:
            session_id = await served.session()
            await chat.visit(f"/sessions/{session_id}")
            await chat.field.wait_for()
            taken = await first_texts(served, chat)
            soon = sum(value <= FIRST_TEXT_TARGET for value in taken)
            print(
                f"first text seen after its event left: p50 {percentile(taken, 50):.1f} ms, p99 "
                f"{percentile(taken, 99):.1f} ms; {soon} of {len(taken)} within {FIRST_TEXT_TARGET:.0f} ms"
            )
            keys, pressed = await typing(served, chat)
            slow = [key for key in keys if key > 50]
            print(
                f"typing while {STREAM_BYTES // 1000} KB stream in: {pressed} keys, {len(keys)} took 16 ms or more, "
                f"{len(slow)} more than 50 ms, the longest {max(keys, default=0):.0f} ms"
            )
            frame, gap, _ = await idle(chat)
            print(f"frames: nothing happens: longest frame {frame:.0f} ms, longest gap {gap:.0f} ms")
            for name, text in LARGE.items():
                frame, gap, seconds = await frames(served, chat, text)
                print(
                    f"frames: {name}, {len(text) / 1e6:.1f} MB in {seconds:.1f} s: longest frame {frame:.0f} ms, "
                    f"longest gap {gap:.0f} ms (target {FRAME_TARGET:.0f})"
                )


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as work:
        asyncio.run(measure(Path(work)))
