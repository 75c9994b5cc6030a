"""Answers as HTML blocks over a session's WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.page.journals import answer
from tests.server.served import ends

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.server.conftest import Serve
    from tests.server.served import Event, Frames

ANSWER = "# A title\n\nSome *words* and `code`.\n\n- one\n- two\n\n```python\nprint('x')\n```\n\nThe end.\n"


def page_of(frames: Sequence[Event]) -> list[str]:
    """The blocks that a page has at the end, as it puts them together."""
    blocks: list[str] = []
    for frame in frames:
        if frame["type"] == "rendered":
            assert frame["first"] <= len(blocks), "a block is missing"
            blocks[frame["first"] :] = frame["blocks"]
    return blocks


def is_complete(frame: Event) -> bool:
    """Whether a segment is rendered to its end."""
    return frame["type"] == "rendered" and bool(frame["complete"])


async def whole(client: Frames, **frame: Any) -> list[Event]:
    """Follow a session with rendered answers until one is rendered to its end; the frames."""
    await client.tell(type="follow", rendered=True, **frame)
    return await client.until(is_complete)


async def test_an_answer_comes_rendered_as_it_is_said_and_whole_at_its_end(serve: Serve) -> None:
    async with serve() as served:
        session_id = await served.session()
        async with served.socket(session_id) as client:
            await client.tell(type="follow", after=0, rendered=True)
            await client.tell(type="message", text="slow 2")
            frames = await client.until(is_complete)
        early = [frame for frame in frames if frame["type"] == "rendered" and not frame["complete"]]
        assert "part 1" in "".join(block for frame in early for block in frame["blocks"])
        _, rendered = await served.ask("POST", "/api/v1/markdown", {"text": (await texts(served, session_id))[-1]})
        assert page_of(frames) == rendered["blocks"]


async def texts(served: Any, session_id: str) -> list[str]:
    """What was said in a session."""
    _, found = await served.ask("GET", f"/api/v1/sessions/{session_id}/messages")
    return [message["text"] for message in found["messages"]]


async def test_who_comes_back_in_the_middle_of_a_segment_gets_all_of_it(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        await answer(served, session_id, "say it", [ANSWER[at : at + 3] for at in range(0, len(ANSWER), 3)])
        _, rendered = await served.ask("POST", "/api/v1/markdown", {"text": ANSWER})
        for compact in (False, True):
            async with served.socket(session_id) as client:
                frames = await whole(client, after=0, compact=compact)
                assert page_of(frames) == rendered["blocks"]
                deltas = [frame for frame in frames if frame["type"] == "message.delta"]
                assert bool(deltas) is not compact
                numbers = [frame["seq"] for frame in frames if "seq" in frame and frame["type"] != "ack"]
                assert numbers == sorted(numbers)


async def test_a_turn_that_fails_in_the_middle_of_a_segment_leaves_nothing_raw(serve_demo: Serve) -> None:
    async with serve_demo() as served:
        session_id = await served.session()
        journal = (await served.loaded(session_id)).journal
        journal.append({"type": "message.delta", "turn_id": "t", "segment": 0, "text": "half of **it"})
        journal.append(
            {"type": "turn.failed", "turn_id": "t", "code": "agent_crashed", "message": "", "retryable": True}
        )
        await journal.durable()
        async with served.socket(session_id) as client:
            frames = await whole(client, after=0)
        assert page_of(frames) == ['<p dir="auto">half of **it</p>']
        assert frames[-1]["upto"] == len("half of **it")


async def test_a_message_with_a_key_that_was_used_is_the_same_message(serve: Serve) -> None:
    async with serve() as served:
        session_id = await served.session()
        async with served.socket(session_id, "?after=0") as client:
            first = await client.ask(type="message", text="echo once", idempotency_key="k1")
            again = await client.ask(type="message", text="echo once", idempotency_key="k1")
            assert (again["turn_id"], again["seq"]) == (first["turn_id"], first["seq"])
            if not any(ends(event) for event in client.got):
                await client.until(ends)
            late = await client.ask(type="message", text="echo once", idempotency_key="k1")
            assert late["turn_id"] == first["turn_id"]
            refused = await client.ask(type="message", text="echo other", idempotency_key="k1")
            assert (refused["type"], refused["error"]["code"]) == ("error", "key_reused")
            other = await client.ask(type="message", text="echo twice", idempotency_key="k2")
            await client.until(lambda event: ends(event) and event["turn_id"] == other["turn_id"])
        queued = [event for event in client.events if event["type"] == "turn.queued"]
        assert [(event["text"], event["idempotency_key"]) for event in queued] == [
            ("echo once", "k1"),
            ("echo twice", "k2"),
        ]
        assert await texts(served, session_id) == ["echo once", "once", "echo twice", "twice"]
