"""A growing text: patches applied in order show what was rendered, and the end is the whole."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qpty.rendering.blocks import Block, render_blocks
from qpty.rendering.errors import DocumentCompleteError, RendererClosedError
from qpty.rendering.live import LiveDocument, utf16_units
from tests.rendering.checking import html_of
from tests.rendering.test_untrusted import TEXTS

if TYPE_CHECKING:
    from qpty.rendering.live import Patch

ANSWER = """# Title

A paragraph with *emphasis* and a [link][1] \U0001f469\u200d\U0001f4bb.

1. one

2. two
   ```python
   def f(): pass
   ```

| a | b |
|---|---|
| 1 | 2 |

```sh
ls

ls
```
- x
- y

[1]: https://a.b
"""


@dataclass
class Direct:
    """Renders here, and counts."""

    rendered: int = 0

    async def render(self, source: str, *, client: str = "") -> tuple[Block, ...]:
        self.rendered += len(source)
        return render_blocks(source)


@dataclass
class Page:
    """What a browser does with patches."""

    blocks: list[str] = field(default_factory=list)
    upto: int = 0
    complete: bool = False

    def apply(self, patch: Patch | None) -> None:
        if patch is None:
            return
        assert not self.complete
        assert patch.first <= len(self.blocks)
        self.blocks[patch.first :] = patch.blocks
        self.upto = patch.upto
        self.complete = patch.complete


async def streamed(pieces: list[str], final: str | None = None) -> tuple[Page, int]:
    """Feed pieces, advancing after each, then complete; return the page and how many characters were rendered."""
    document, page, renderer = LiveDocument(), Page(), Direct()
    fed = ""
    for piece in pieces:
        document.append(piece)
        fed += piece
        page.apply(await document.advance(renderer))
        assert page.upto <= utf16_units(fed)
        assert await document.advance(renderer) is None
    before = renderer.rendered
    document.complete(fed if final is None else final)
    page.apply(await document.advance(renderer))
    assert page.complete
    assert await document.advance(renderer) is None
    return page, before


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, max_size=6), st.one_of(st.none(), TEXTS))
async def test_the_end_is_the_whole(pieces: list[str], final: str | None) -> None:
    page, _ = await streamed(pieces, final)
    whole = "".join(pieces) if final is None else final
    assert page.blocks == [block.html for block in render_blocks(whole)]
    assert page.upto == utf16_units(whole)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(ANSWER)), max_size=30))
async def test_any_cuts_of_an_answer_end_the_same(cuts: list[int]) -> None:
    at = [0, *sorted(cuts), len(ANSWER)]
    page, _ = await streamed([ANSWER[a:b] for a, b in pairwise(at)])
    assert page.blocks == [block.html for block in render_blocks(ANSWER)]


async def test_every_step_shows_what_has_come() -> None:
    text = ANSWER.partition("[1]: ")[0].replace("[1]", "")  # no definition that comes later
    document, page = LiveDocument(), Page()
    for end in range(1, len(text) + 1):
        document.append(text[end - 1])
        page.apply(await document.advance(Direct()))
        if page.upto == utf16_units(text[:end]):
            assert "".join(page.blocks) == html_of(render_blocks(text[:end])), text[:end]


async def test_settled_blocks_are_not_rendered_again() -> None:
    document, renderer = LiveDocument(), Direct()
    document.append("one\n\ntwo\n\nthree\n")
    first = await document.advance(renderer)
    assert first is not None
    assert (first.first, len(first.blocks), first.upto) == (0, 3, 16)
    before = renderer.rendered
    document.append("more\n\nfour\n")
    second = await document.advance(renderer)
    assert second is not None
    assert (second.first, second.blocks) == (2, ('<p dir="auto">three\nmore</p>', '<p dir="auto">four</p>'))
    assert renderer.rendered - before == len("three\nmore\n\nfour\n")


async def test_completing_sends_what_differs() -> None:
    document, renderer, page = LiveDocument(), Direct(), Page()
    document.append("one\n\nsee [x]\n\nthree\n\n[x]: https://a.b\n")
    page.apply(await document.advance(renderer))
    document.append("\nsee [y]\n\n[y]: https://c.d\n\nlast\n")
    page.apply(await document.advance(renderer))
    document.append("see [x]\n")
    page.apply(await document.advance(renderer))
    assert "a.b" not in page.blocks[-1]
    document.complete("one\n\nsee [x]\n\nthree\n\n[x]: https://a.b\n\nsee [x]")
    last = await document.advance(renderer)
    assert last is not None
    assert last.first == 3
    assert len(last.blocks) == 1
    assert "https://a.b" in last.blocks[0]
    assert last.complete


async def test_offsets_count_as_javascript_does() -> None:
    document = LiveDocument()
    document.append("\U0001f600 é\n\nb\ud83d")
    patch = await document.advance(Direct())
    assert patch is not None
    assert patch.upto == 8
    document.append("\n\nc\n")
    patch = await document.advance(Direct())
    assert patch is not None
    assert patch.upto == 12
    document.append("d")
    patch = await document.advance(Direct())
    assert patch is not None
    assert patch.upto == 13


@dataclass
class OneBlock:
    """Counts what is rendered, and says that it is all one block: the worst case."""

    rendered: int = 0

    async def render(self, source: str, *, client: str = "") -> tuple[Block, ...]:
        self.rendered += len(source)
        return (Block(0, len(source), str(len(source))),)


@pytest.mark.parametrize("size", [1, 100, 2_000])
async def test_the_work_is_linear_in_the_stream(size: int) -> None:
    """Counted, not timed: with a growth of 1/8 the renderings of one open block add up to nine times its length."""
    length = 500_000
    document, counter = LiveDocument(), OneBlock()
    document.append("x" * 10_000)
    for _ in range(10_000, length, size):
        document.append("x" * size)
        await document.advance(counter)
    assert length < counter.rendered < 10 * length


@pytest.mark.parametrize(
    "text",
    [
        "```\n" + "some line of code\n" * 3_000,
        "- item\n" * 3_000,
        "|a|b|\n|-|-|\n" + "|1|2|\n" * 3_000,
        "a\n\n" * 5_000,
    ],
)
async def test_the_work_is_linear_in_a_real_stream(text: str) -> None:
    page, rendered = await streamed([text[at : at + 500] for at in range(0, len(text), 500)])
    assert rendered < 15 * len(text)
    assert page.upto == len(text)


async def test_small_steps_are_bounded_too() -> None:
    document, renderer = LiveDocument(), Direct()
    text = "word " * 1_500
    for character in text:
        document.append(character)
        await document.advance(renderer)
    assert renderer.rendered < 70 * len(text)


@dataclass
class Held:
    """Renders when it is let, or fails."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    let: asyncio.Event = field(default_factory=asyncio.Event)
    fails: bool = False

    async def render(self, source: str, *, client: str = "") -> tuple[Block, ...]:
        self.started.set()
        await self.let.wait()
        if self.fails:
            raise RendererClosedError
        return render_blocks(source)


async def test_text_that_comes_during_a_rendering_is_kept() -> None:
    document, held, page = LiveDocument(), Held(), Page()
    document.append("one ")
    task = asyncio.create_task(document.advance(held))
    await held.started.wait()
    document.append("two")
    held.let.set()
    page.apply(await task)
    assert (page.blocks, page.upto) == (['<p dir="auto">one</p>'], 4)
    page.apply(await document.advance(held))
    assert page.blocks == ['<p dir="auto">one two</p>']


async def test_completion_during_a_rendering_wins() -> None:
    document, held = LiveDocument(), Held()
    document.append("one")
    task = asyncio.create_task(document.advance(held))
    await held.started.wait()
    document.complete("other")
    held.let.set()
    patch = await task
    assert patch is not None
    assert (patch.first, patch.blocks, patch.complete) == (0, ('<p dir="auto">other</p>',), True)


async def test_two_who_advance_get_each_patch_once() -> None:
    document, held = LiveDocument(), Held()
    document.append("one")
    tasks = [asyncio.create_task(document.advance(held)) for _ in range(2)]
    await held.started.wait()
    held.let.set()
    patches = await asyncio.gather(*tasks)
    assert [patch is None for patch in patches] == [False, True]


@pytest.mark.parametrize("final", [False, True])
async def test_a_failed_rendering_loses_nothing(final: bool) -> None:
    document, held = LiveDocument(), Held(fails=True)
    held.let.set()
    document.append("one")
    if final:
        document.complete("one")
    with pytest.raises(RendererClosedError):
        await document.advance(held)
    held.let.clear()
    task = asyncio.create_task(document.advance(held))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    patch = await document.advance(Direct())
    assert patch is not None
    assert patch.blocks == ('<p dir="auto">one</p>',)


def test_a_complete_document_takes_no_more() -> None:
    document = LiveDocument()
    document.complete("")
    with pytest.raises(DocumentCompleteError):
        document.append("x")
    with pytest.raises(DocumentCompleteError):
        document.complete("x")


async def test_an_empty_answer_completes() -> None:
    document = LiveDocument()
    assert await document.advance(Direct()) is None
    document.complete("")
    patch = await document.advance(Direct())
    assert patch is not None
    assert (patch.first, patch.blocks, patch.upto, patch.complete) == (0, (), 0, True)
