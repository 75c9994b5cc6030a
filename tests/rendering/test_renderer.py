"""The helper process: it answers, and whatever happens to it, everybody gets blocks."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from qpty.rendering.blocks import render_blocks
from qpty.rendering.errors import RendererClosedError, WorkerProtocolError
from qpty.rendering.limits import MAX_SOURCE
from qpty.rendering.messages import HEADER, MAX_MESSAGE, decode_block, encode, length_of
from qpty.rendering.plain import plain_blocks
from qpty.rendering.process import COMMAND
from qpty.rendering.renderer import RenderedPlainly, Renderer
from qpty.rendering.worker import serve

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "# a\n\n*b* \ud800 \U0001f600\n"
HANGS = (sys.executable, "-c", "import sys\nwhile sys.stdin.buffer.read(1): pass")
DIES = (sys.executable, "-c", "import sys; sys.stdin.buffer.read(4)")
BABBLES = (sys.executable, "-c", "import sys; sys.stdin.buffer.read(4); sys.stdout.write('hello, world\\n')")


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def pid_of(renderer: Renderer) -> int:
    """Wait until the renderer has a process, and return its number."""
    while renderer.worker_pid is None:  # noqa: ASYNC110 -- it announces its start to nobody
        await asyncio.sleep(0)
    return renderer.worker_pid


async def test_renders_as_the_pure_function_does() -> None:
    long = "".join(f"{n}. *item* {n}\n" for n in range(5_000))
    async with Renderer() as renderer:
        assert await renderer.render(TEXT) == render_blocks(TEXT)
        pid = await pid_of(renderer)
        assert await renderer.render(long) == render_blocks(long)
        assert renderer.worker_pid == pid, "one process for all"
    assert not is_there(pid)


async def test_many_get_their_own_in_order() -> None:
    done: list[int] = []

    async def ask(number: int) -> None:
        blocks = await renderer.render(f"text {number}")
        assert blocks[0].html == f'<p dir="auto">text {number}</p>'
        done.append(number)

    async with Renderer() as renderer:
        await asyncio.gather(*(ask(number) for number in range(50)))
    assert done == list(range(50))


async def test_a_killed_process_is_replaced() -> None:
    facts: list[RenderedPlainly] = []
    async with Renderer(on_plain=facts.append) as renderer:
        await renderer.render(TEXT)
        first = renderer.worker_pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert await renderer.render(TEXT) == render_blocks(TEXT)
        assert renderer.worker_pid != first
    assert facts == []


@pytest.mark.parametrize("command", [DIES, BABBLES, ("/nonexistent/python",)])
async def test_who_gets_no_answer_gets_plain_text(command: tuple[str, ...], caplog: pytest.LogCaptureFixture) -> None:
    facts: list[RenderedPlainly] = []
    with caplog.at_level(logging.WARNING):
        async with Renderer(command=command, on_plain=facts.append) as renderer:
            assert await renderer.render(TEXT) == plain_blocks(TEXT)
            assert renderer.worker_pid is None
    assert facts == [RenderedPlainly("worker_crashed", len(TEXT))]
    assert "shown plain" in caplog.text


async def test_a_text_that_takes_too_long_is_plain_and_its_process_gone() -> None:
    facts: list[RenderedPlainly] = []
    async with Renderer(command=HANGS, render_timeout=0.2, on_plain=facts.append) as renderer:
        task = asyncio.create_task(renderer.render(TEXT))
        pid = await pid_of(renderer)
        assert await task == plain_blocks(TEXT)
        assert not is_there(pid)
    assert facts == [RenderedPlainly("timeout", len(TEXT))]


async def test_a_text_beyond_the_limit_is_plain_without_a_process() -> None:
    facts: list[RenderedPlainly] = []
    source = "x" * (MAX_SOURCE + 1)
    async with Renderer(on_plain=facts.append) as renderer:
        assert await renderer.render(source) == plain_blocks(source)
        assert renderer.worker_pid is None
    assert facts == [RenderedPlainly("too_large", len(source))]


async def test_who_is_cancelled_disturbs_nobody() -> None:
    async with Renderer() as renderer:
        await renderer.render(TEXT)
        pid = renderer.worker_pid
        tasks = [asyncio.create_task(renderer.render(f"- item {n}\n" * 2000)) for n in range(4)]
        await asyncio.sleep(0)  # they have asked, the first is being rendered
        for task in tasks[:3]:
            task.cancel()
        assert (await tasks[3])[0].html.startswith('<ul dir="auto"><li dir="auto">item 3</li>')
        assert await renderer.render("after") == render_blocks("after")
        assert renderer.worker_pid == pid


async def test_who_is_cancelled_while_rendered_disturbs_nobody() -> None:
    async with Renderer(command=HANGS, render_timeout=0.2) as renderer:
        task = asyncio.create_task(renderer.render("first"))
        await pid_of(renderer)
        task.cancel()
        assert await renderer.render("second") == plain_blocks("second")


async def test_closing_ends_the_process_and_who_waits() -> None:
    renderer = Renderer(command=HANGS)
    tasks = [asyncio.create_task(renderer.render(TEXT)) for _ in range(3)]
    pid = await pid_of(renderer)
    await asyncio.gather(renderer.close(), renderer.close())
    assert not is_there(pid)
    for error in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(error, RendererClosedError)
    with pytest.raises(RendererClosedError):
        await renderer.render(TEXT)
    await renderer.close()


async def test_nothing_runs_before_it_is_needed() -> None:
    async with Renderer() as renderer:
        assert await renderer.render("") == ()
        assert renderer.worker_pid is None


async def test_the_loop_is_not_held() -> None:
    """While a large text is taken from the process, others get their turn after every few blocks."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    source = "```\n" + "some line of code\n" * 20_000
    async with Renderer() as renderer:
        task = asyncio.create_task(other())
        blocks = await renderer.render(source)
        task.cancel()
    assert turns > len(blocks) / 8


def test_the_worker_ends_with_its_input_and_not_by_ctrl_c() -> None:
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stderr is not None
        worker.stdin.write(encode("*a*") + encode(None))
        worker.stdin.flush()
        read_one(worker.stdout)
        worker.send_signal(signal.SIGINT)
        worker.stdin.write(encode("b") + encode(None))
        worker.stdin.close()
        read_one(worker.stdout)  # the end of the first answer
        body = read_one(worker.stdout)
        assert b"<p dir" in body
        assert worker.wait(30) == 0
        assert worker.stderr.read() == b""


def read_one(stream: object) -> bytes:
    assert isinstance(stream, io.BufferedReader)
    return stream.read(length_of(stream.read(HEADER.size)))


def test_the_worker_gets_none_of_the_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QPTY_SECRET", "x")
    told = tmp_path / "environment"

    async def look() -> None:
        code = f"import os, pathlib; pathlib.Path({str(told)!r}).write_text(' '.join(os.environ))"
        async with Renderer(command=(sys.executable, "-c", code)) as renderer:
            await renderer.render("x")

    asyncio.run(look())
    assert "QPTY_SECRET" not in told.read_text()
    assert "PATH" in told.read_text()


def test_serving_stops_where_the_input_is_cut() -> None:
    sink = io.BytesIO()
    serve(io.BytesIO(encode("a") + encode(None) + encode("b")[:6]), sink)
    assert sink.getvalue().count(b"<p") == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b'[0, "1", "", false]', b'[0, 1, "", null]'])
def test_what_is_no_block_is_refused(body: bytes) -> None:
    with pytest.raises(WorkerProtocolError):
        decode_block(body)


def test_a_message_that_is_too_long_is_refused() -> None:
    with pytest.raises(WorkerProtocolError):
        length_of(HEADER.pack(MAX_MESSAGE + 1))


async def test_clients_take_turns() -> None:
    order: list[str] = []

    async def ask(renderer: Renderer, client: str, number: int) -> None:
        await renderer.render(f"text {number}", client=client)
        order.append(f"{client}{number}")

    async with Renderer() as renderer:
        asked = [("many", number) for number in range(5)] + [("one", 0), ("two", 0)]
        await asyncio.gather(*(ask(renderer, client, number) for client, number in asked))
    assert order[:4] == ["many0", "one0", "two0", "many1"]
    assert order[4:] == ["many2", "many3", "many4"]
