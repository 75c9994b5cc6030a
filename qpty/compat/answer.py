"""One answer to a client: the events of a turn as texts, calls and an ending."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Literal, Protocol

from qpty.compat.errors import AnswerError, AnswerFailedError, AnswerNotJsonError, AnswerStoppedError
from qpty.compat.json_answers import JsonAnswerError, json_of
from qpty.compat.live_text import SegmentText
from qpty.compat.replies import Calls, Ending, Usage
from qpty.compat.shaping import Shaper
from qpty.compat.typed import NOT_JSON
from qpty.compat.usage import TokenCount, call_tokens
from qpty.sessions.errors import ClosingError, QuestionGoneError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from qpty.compat.live_text import Fidelity
    from qpty.compat.replies import EndingReason, Piece
    from qpty.compat.requests import ToolCall
    from qpty.compat.run import Run
    from qpty.compat.shaping import Cut
    from qpty.sessions.journal import JournalEvent
    from qpty.sessions.manager import SessionManager

Answered = Literal["allow", "refuse"]

SERVER: Final = "client"
"""The name under which the CLI knows the client's tools."""

ARRIVAL: Final = 20.0
"""Seconds from a call's header on the terminal to the call itself; the header comes first, or at the same moment."""

BETWEEN: Final = "\n\n"
"""Between two segments of one answer."""

JSON_TIMEOUT: Final = 10.0

BEHIND: Final = "the answer was read so slowly that its beginning is not kept any more: the session has it as a message"

_log: Final = logging.getLogger(__name__)


class RunKeeper(Protocol):
    """What an answer tells of its run."""

    def pause(self, run: Run, reply_id: str, text: str, calls: Sequence[ToolCall]) -> None:
        """The client was told of these calls under this id, after a text, and is to come back with results."""

    def stop(self, run: Run) -> None:
        """Nobody wants more of this turn: end it."""

    async def end(self, run: Run, reply_id: str, text: str | None) -> None:
        """The turn is over; `text` is what the client was told last, None where it isn't what the model said."""

    async def ask_again(self, run: Run, text: str) -> None:
        """Have another message typed in this run."""


class Answer:
    """One answer. `pieces` is read once; who stops before its end has to `leave`."""

    def __init__(
        self,
        run: Run,
        manager: SessionManager,
        keeper: RunKeeper,
        *,
        reply_id: str,
        fidelity: Fidelity,
        input_tokens: int,
    ) -> None:
        self.reply_id: Final = reply_id
        self.input_tokens: Final = input_tokens
        self.session_id: Final = run.session_id
        self._run = run
        self._manager = manager
        self._keeper = keeper
        self._request = run.request
        self._fidelity: Fidelity = "exact" if run.request.json is not None else fidelity
        self._shaper = Shaper(stop=run.request.stop, max_tokens=run.request.max_tokens)
        self._tokens = TokenCount()
        self._call_tokens = 0
        self._text: list[str] = []
        self._segment: SegmentText | None = None
        self._between = False
        self._over = False
        self.exact = True

    def leave(self) -> None:
        """Be done with it: what the client didn't wait for is stopped."""
        if not self._over:
            self._over = True
            self._keeper.stop(self._run)

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """Yield the answer.

        Raises AnswerFailedError, AnswerNotJsonError, ClosingError, SessionNotFoundError; the run is over then.
        """
        run = self._run
        tries = 0
        while True:
            async with aclosing(self._turn()) as pieces:
                async for piece in pieces:
                    yield piece
            if self._over:
                return
            if self._request.json is None:
                break
            try:
                text = await self._checked("".join(self._text))
            except JsonAnswerError as error:
                tries += 1
                if tries > 1:
                    self._over = True
                    await self._keeper.end(run, self.reply_id, None)
                    raise AnswerNotJsonError(error.why) from error
                self._text.clear()
                await self._keeper.ask_again(run, NOT_JSON.format(why=error.why))
                continue
            self._text = [text]
            self._tokens.add(text)
            yield text
            break
        self._over = True
        await self._keeper.end(run, self.reply_id, "".join(self._text))
        yield self._ending("end")

    async def _turn(self) -> AsyncGenerator[Piece, None]:
        """Yield what comes up to the end of the turn, or of the answer: then `_over` is set."""
        run = self._run
        async with aclosing(self._manager.events(run.session_id, after=run.seq, owner=run.owner)) as events:
            async for event in events:
                if event.seq is None:
                    await self._fail(AnswerFailedError(BEHIND, code="unknown", retryable=False))
                run.seq = event.seq or run.seq
                if event.data.get("turn_id") != run.turn.id:
                    continue
                for text in self._texts(event):
                    yield text
                if self._cut() is not None:
                    break
                match event.type:
                    case "tool.started" if event.data.get("server") == SERVER:
                        calls = await self._calls(event)
                        if calls:
                            for piece in self._paused(calls):
                                yield piece
                            return
                    case "permission.requested" | "menu.requested":
                        await self._answer_question(event)
                    case "turn.completed":
                        await run.turn.wait()
                        if event.data["stop_reason"] == "interrupted":
                            await self._fail(AnswerStoppedError())
                        for text in self._released(self._shaper.finish()):
                            yield text
                        if self._cut() is None:
                            return
                        break
                    case "turn.failed":
                        await run.turn.wait()
                        await self._fail(
                            AnswerFailedError(
                                event.data["message"], code=event.data["code"], retryable=event.data["retryable"]
                            )
                        )
            else:
                await self._fail(None)
        if (cut := self._cut()) is not None:
            for piece in self._cut_off(cut):
                yield piece

    def _cut(self) -> Cut | None:
        """Why the text ends where it does, if its limits are reached."""
        return self._shaper.cut

    def _cut_off(self, cut: Cut) -> Sequence[Piece]:
        """End the answer where its limits are reached, and the turn."""
        self._over = True
        self._keeper.stop(self._run)
        return [*self._whole(), self._ending(cut.reason, cut.stop_text)]

    def _paused(self, calls: Sequence[ToolCall]) -> Sequence[Piece]:
        """End the answer with calls, unless its limits are reached with the text before them."""
        texts = self._released(self._shaper.finish())
        if (cut := self._cut()) is not None:
            return [*texts, *self._cut_off(cut)]
        self._call_tokens = sum(map(call_tokens, calls))
        whole = self._whole()
        self._over = True
        self._keeper.pause(self._run, self.reply_id, "".join(self._text), calls)
        return [*texts, *whole, Calls(calls), self._ending("tools")]

    async def _fail(self, error: AnswerError | None) -> None:
        """End the run, and raise why; None for a journal that ended."""
        self._over = True
        await self._keeper.end(self._run, self.reply_id, None)
        if error is not None:
            raise error
        await self._manager.get(self._run.session_id, owner=self._run.owner)  # raises, if the session was deleted
        raise ClosingError

    # -- text

    def _texts(self, event: JournalEvent) -> Sequence[str]:
        """Return what an event adds to the text."""
        match event.type:
            case "message.delta":
                return self._shaped(self._current().feed(event.data["text"]))
            case "message.completed":
                segment, self._segment = self._current(), None
                self.exact = self.exact and event.data["exact"]
                rest = segment.complete(event.data["text"])
                if rest is None:
                    self.exact = False
                    _log.warning("live text of session %s was not the beginning of its exact text", self.session_id)
                texts = self._shaped(rest or "")
                self._between = bool(self._text)
                return texts
            case _:
                return ()

    def _current(self) -> SegmentText:
        if self._segment is None:
            self._segment = SegmentText(self._fidelity)
        return self._segment

    def _shaped(self, text: str) -> Sequence[str]:
        if not text:
            return ()
        if self._between:
            text, self._between = BETWEEN + text, False
        return self._released(self._shaper.feed(text))

    def _released(self, text: str) -> Sequence[str]:
        if not text:
            return ()
        self._text.append(text)
        if self._request.json is not None:
            return ()
        self._tokens.add(text)
        return (text,)

    def _whole(self) -> Sequence[str]:
        """Return the text that was held because it was to be JSON, where it isn't looked at any more."""
        text = "".join(self._text) if self._request.json is not None else ""
        self._tokens.add(text)
        return (text,) if text else ()

    async def _checked(self, text: str) -> str:
        """Return the JSON of the answer. Raises JsonAnswerError."""
        wanted = self._request.json
        if wanted is None:
            return text
        try:
            async with asyncio.timeout(JSON_TIMEOUT):
                return await asyncio.to_thread(json_of, text, wanted)
        except TimeoutError:
            raise JsonAnswerError("it takes too long to hold it against the schema") from None

    # -- tools and questions

    async def _calls(self, event: JournalEvent) -> Sequence[ToolCall]:
        """Return the calls that the answer ends with; none where this one was told before, or is refused here."""
        toolbox = self._run.toolbox
        if toolbox.was_told(event.data["tool_id"]) or toolbox.refuses(event.data["name"]):
            return ()
        if not await toolbox.arrival(within=ARRIVAL):
            return ()  # the CLI didn't make the call after all, and goes on
        recorded = await self._manager.clients.last_calls(self.session_id)
        if not self._request.parallel_tool_calls:
            recorded = [tool for tool in recorded if tool.tool_id == event.data["tool_id"]]
        return toolbox.issue(recorded)

    async def _answer_question(self, event: JournalEvent) -> None:
        """Answer at once: nobody is there to be asked."""
        run, request_id = self._run, event.data["request_id"]
        try:
            if event.type == "menu.requested":
                await self._manager.choose(run.session_id, request_id, None, owner=run.owner)
            else:
                answer: Answered = "allow" if run.allows_tools else "refuse"
                await self._manager.answer(run.session_id, request_id, answer, owner=run.owner)
        except QuestionGoneError:
            _log.info("a question of session %s was answered by somebody else", run.session_id)

    def _ending(self, reason: EndingReason, stop_text: str | None = None) -> Ending:
        usage = Usage(input_tokens=self.input_tokens, output_tokens=self._tokens.with_more() + self._call_tokens)
        return Ending(reason=reason, usage=usage, stop_text=stop_text)
