"""The texts of a session's answers as HTML blocks, for one reader of its journal.

The reader hands over the events that it sends; `run` renders the text in them, the newest first, and sends frames:
`{"type": "rendered", "turn_id", "segment", "first", "blocks", "upto", "complete"}`, see `qpty.rendering.live.Patch`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from qpty.rendering.live import LiveDocument
from qpty.server.models.socket import RenderedFrame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from qpty.rendering.live import Renders
    from qpty.sessions.journal import JournalEvent

PAUSE: Final = 0.03
"""Seconds between two renderings of a text that grows: about what the eye tells apart."""

MOST_CHARACTERS: Final = 2 << 20
"""Of the texts that wait to be rendered; beyond, the reader waits."""

Segment = tuple[str, int]
"""A turn's id, and the number of a segment in it."""


class _Text:
    """One segment's text, until it is rendered to its end."""

    def __init__(self, client: str) -> None:
        self.document = LiveDocument(client=client)
        self.parts: list[str] = []
        self.characters = 0
        self.complete = False


class Renderings:
    """`take` each event before it is sent on, after waiting for `room`; `run` is a task of the reader's."""

    def __init__(self, renderer: Renders, send: Callable[[str], Awaitable[None]], *, client: str) -> None:
        self._client = client
        self._renderer = renderer
        self._send = send
        self._texts: dict[Segment, _Text] = {}
        self._due: dict[Segment, _Text] = {}
        self._wanted = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._characters = 0

    async def room(self) -> None:
        """Wait until not too much waits to be rendered."""
        await self._room.wait()

    def take(self, event: JournalEvent) -> None:
        """Note the text of an event."""
        match event.type:
            case "message.delta":
                body = event.data
                text = self._text((body["turn_id"], body["segment"]))
                if not text.complete:
                    text.document.append(body["text"])
                    text.parts.append(body["text"])
                    self._count(text, len(body["text"]))
            case "message.completed":
                body = event.data
                self._complete((body["turn_id"], body["segment"]), body["text"])
            case "turn.completed" | "turn.failed":
                turn_id = event.data["turn_id"]
                for segment, text in list(self._texts.items()):
                    if segment[0] == turn_id and not text.complete:  # there is no more to come
                        self._complete(segment, "".join(text.parts))
            case "journal.reset":
                self._texts.clear()
                self._due.clear()
                self._characters = 0
                self._room.set()
            case _:
                return

    def _text(self, segment: Segment) -> _Text:
        text = self._texts.setdefault(segment, _Text(self._client))
        self._due.pop(segment, None)
        self._due[segment] = text  # the last is rendered first
        self._wanted.set()
        return text

    def _complete(self, segment: Segment, whole: str) -> None:
        text = self._text(segment)
        if text.complete:
            return
        text.complete = True
        text.parts.clear()
        text.document.complete(whole)
        self._count(text, len(whole) - text.characters)

    def _count(self, text: _Text, characters: int) -> None:
        text.characters += characters
        self._characters += characters
        if self._characters > MOST_CHARACTERS and len(self._texts) > 1:
            self._room.clear()

    async def run(self) -> None:
        """Render and send for ever. Raises what `send` raises, and RendererClosedError when the server stops."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._due:
                segment = next(reversed(self._due))
                await self._advance(segment, self._due[segment])

    async def _advance(self, segment: Segment, text: _Text) -> None:
        patch = await text.document.advance(self._renderer)
        if self._texts.get(segment) is not text:
            return  # the journal was reset
        if patch is None:
            self._due.pop(segment, None)
            return
        turn_id, number = segment
        frame = RenderedFrame(
            turn_id=turn_id,
            segment=number,
            first=patch.first,
            blocks=list(patch.blocks),
            upto=patch.upto,
            complete=patch.complete,
        )
        await self._send(frame.model_dump_json())
        if patch.complete:
            self._due.pop(segment, None)
            del self._texts[segment]
            self._characters -= text.characters
            if self._characters <= MOST_CHARACTERS:
                self._room.set()
        else:
            await asyncio.sleep(PAUSE)
