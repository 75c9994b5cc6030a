"""Clients of other interfaces, and the sessions behind them.

A client sends its whole conversation with each request. What it says is looked up (see `digests`): the session that
stands where the request goes on is given just the new message; otherwise a new session takes the conversation up, from
a session's own record as far as one has it, and from what the client sent beyond that. A session serves one request at
a time: a second one with the same conversation gets a session of its own.

What is remembered of a conversation is in the database. Only a turn that runs, or waits for the client's tools, is
known to this object alone: after a restart the results of tools begin a new session that has them as its history.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qpty.compat.answer import Answer
from qpty.compat.client_tools.names import offer_of
from qpty.compat.client_tools.server import respond
from qpty.compat.client_tools.toolbox import Toolbox
from qpty.compat.client_tools.toolboxes import Toolboxes
from qpty.compat.digests import BEGINNING, conversation_digests, extended, settings_digest
from qpty.compat.errors import CallsAnsweredError, PreviousReplyError
from qpty.compat.history import history_of, with_texts
from qpty.compat.json_answers import JsonAnswerError, check_schema
from qpty.compat.paused_replies import PausedReplies
from qpty.compat.requests import Image, Message, RequestError, Text, ToolResult
from qpty.compat.run import Phase, Run
from qpty.compat.typed import attachments_of, has_attachments, typed_text
from qpty.compat.usage import input_tokens_of
from qpty.sessions.client_sessions import ClientTurnRow, Continuation, NewClientSession, Profile
from qpty.sessions.errors import ClosingError, ForkError, SessionNotFoundError
from qpty.sessions.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from qpty.compat.client_tools.names import Offer
    from qpty.compat.live_text import Fidelity
    from qpty.compat.requests import Interface, Request, ToolCall
    from qpty.sessions.manager import SessionManager
    from qpty.sessions.turns import Turn

REPLY_PREFIXES: Final[Mapping[Interface, str]] = {"chat": "chatcmpl-", "responses": "resp_", "messages": "msg_"}

CANDIDATES: Final = 400
"""Places of a conversation, the latest, at which a session is looked for."""

PICTURES: Final = 10
"""In one message."""

TOKEN_BYTES: Final = 32

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """How clients are served. `instruction` is put at the end of every system prompt; times are in seconds."""

    fidelity: Fidelity = "auto"
    client_tool_timeout: float = 600.0
    instruction: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms a request is served.

    Whose it is, the CLI's model for it (None: its own choice), and whether the CLI's own tools may do something.
    """

    owner: str
    model: str | None
    builtin_tools: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setup:
    """How a session has to be set up for a request (`digest` is of that), and what else is measured of it, at once.

    `digests` are those of the conversation up to each message, if it begins with the first of them.
    """

    offer: Offer
    system: str
    attachments: bool
    digest: str
    digests: Sequence[str]
    input_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a request goes on: after a turn's end that stands for the first `entries` answers.

    `rows` are the turns' ends there, those of sessions that are set up as is wanted first; none is the beginning.
    `start` is the digest that the request's messages go on from, `conversation` that of everything up to and with its
    last message. `whole` says that nothing but that message is new.
    """

    rows: Sequence[ClientTurnRow]
    entries: int
    start: str
    conversation: str
    whole: bool
    required: bool = False


class Gateway:
    """Serves clients. All methods are of the event loop's thread."""

    def __init__(
        self, manager: SessionManager, config: GatewayConfig | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._manager = manager
        self._config = config or GatewayConfig()
        self._clock = clock
        self._toolboxes = Toolboxes()
        self._busy: set[str] = set()
        """Sessions that a request is served by, or that are being made ready for one."""
        self._waiting: dict[str, Run] = {}
        """Id of a call that the client was told of → the run that waits for its result, or is being answered."""
        self._runs: set[Run] = set()
        self._replies = PausedReplies()
        self._paused: dict[Run, None] = {}
        """Runs that wait for results, the one that has waited longest first."""
        manager.when_crowded(self._relieve)
        self._tasks = Tasks("the gateway")

    # -- what the server asks

    async def answer(self, request: Request, terms: Terms) -> Answer:
        """Begin to answer a request; what was begun is seen to its end by whoever reads the answer.

        Raises RequestError, AnswerError, and what `SessionManager.send` raises.
        """
        await _check_form(request)
        request = self._replies.whole(request, owner=terms.owner)
        _check_pictures(request)
        setup = await asyncio.to_thread(self._setup, request, terms)
        run = await self._resumed(request, terms, setup)
        if run is None:
            run = await self._begun_wholly(request, terms, setup)
        reply_id = REPLY_PREFIXES[request.interface] + secrets.token_hex(16)
        return Answer(
            run,
            self._manager,
            self,
            reply_id=reply_id,
            fidelity=self._config.fidelity,
            input_tokens=setup.input_tokens,
        )

    async def respond(self, token: str, message: object) -> Mapping[str, object] | None:
        """Answer a message that the CLI sends to its session's tools; None for what has no answer."""
        return await respond(self._toolboxes.get(token), message)

    async def close(self) -> None:
        """Let go of every turn: the sessions are about to end them."""
        self._manager.when_crowded(None)
        for run in list(self._runs):
            self._release(run)
        await self._tasks.ended()

    # -- going on with a turn that waits for the client's tools

    async def _resumed(self, request: Request, terms: Terms, setup: _Setup) -> Run | None:
        """Give a run the results that it waits for; None if the request has none that any run waits for.

        Raises CallsAnsweredError.
        """
        message = request.messages[-1]
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        run = self._run_of(results, terms)
        if run is None:
            return None
        digests = setup.digests
        if run.start != BEGINNING:
            digests = await asyncio.to_thread(conversation_digests, request.messages, start=run.start)
        if self._run_of(results, terms) is not run:  # its turn has ended meanwhile
            return None
        goes_on = len(digests) > 2 and digests[-3] == run.conversation and setup.digest == run.settings
        beside = [part for part in message.parts if not isinstance(part, ToolResult)]
        texts = [part for part in beside if isinstance(part, Text)]
        brought = [*beside, *(part for result in results for part in result.parts)]
        if not goes_on or not all(isinstance(part, Text) for part in brought):
            # What was said before isn't what it was, or there is a picture: the CLI passes one that a tool returned on
            # as a text (measured), while in a history it is a picture.
            self.stop(run)
            return None
        self._resume(run)
        run.conversation = digests[-1]
        run.request = request
        run.answered_ids.update(run.call_ids)
        run.toolbox.choose(request.tool_choice)
        run.toolbox.deliver(with_texts(results, texts))
        return run

    def _run_of(self, results: Sequence[ToolResult], terms: Terms) -> Run | None:
        """Return the run that waits for all of these results. Raises CallsAnsweredError."""
        runs = {self._waiting.get(result.call_id) for result in results}
        run = runs.pop() if len(runs) == 1 else None
        if run is None or run.owner != terms.owner:
            return None
        given = [result.call_id for result in results if result.call_id in run.answered_ids]
        if given and run.phase is Phase.READING:
            raise CallsAnsweredError(given)
        return run if run.phase is Phase.PAUSED else None

    # -- beginning a turn

    async def _begun_wholly(self, request: Request, terms: Terms, setup: _Setup) -> Run:
        """Begin a turn; if whoever asked goes away meanwhile, it is stopped as soon as it has begun."""
        beginning = asyncio.get_running_loop().create_task(self._begun(request, terms, setup), name="a client's turn")
        self._tasks.keep(beginning)
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            beginning.add_done_callback(self._stop_what_began)
            raise

    def _stop_what_began(self, beginning: asyncio.Task[Run]) -> None:
        if not beginning.cancelled() and beginning.exception() is None:
            self.stop(beginning.result())

    async def _begun(self, request: Request, terms: Terms, setup: _Setup) -> Run:
        place = await self._place(request, terms, setup)
        session_id = await self._claimed(place, terms, setup)
        if session_id is None:
            session_id = await self._made(request, terms, setup, place)
        try:
            return await self._sent(request, terms, setup, place, session_id)
        except BaseException:
            self._busy.discard(session_id)
            raise

    def _setup(self, request: Request, terms: Terms) -> _Setup:
        offer = offer_of(request.tools)
        texts = (request.system, offer.notes, self._config.instruction or "")
        system = "\n\n".join(text for text in texts if text.strip())
        attachments = has_attachments(request.messages)
        digest = settings_digest(
            model=terms.model,
            system=system,
            tools=request.tools,
            attachments=attachments,
            builtin_tools=terms.builtin_tools,
        )
        return _Setup(
            offer=offer,
            system=system,
            attachments=attachments,
            digest=digest,
            digests=conversation_digests(request.messages),
            input_tokens=input_tokens_of(request),
        )

    async def _place(self, request: Request, terms: Terms, setup: _Setup) -> _Place:
        """Find the latest place of the conversation that a session was at. Raises PreviousReplyError."""
        if request.previous_response_id is not None:
            return await self._place_after(request.previous_response_id, request, terms)
        digests = setup.digests
        answers = [at for at, message in enumerate(request.messages) if message.role == "assistant"]
        at_digest = {digests[at]: count for count, at in enumerate(answers, 1)}
        candidates = [digests[at] for at in reversed(answers)][:CANDIDATES]
        rows = await self._manager.clients.find(terms.owner, candidates)
        entries = max((at_digest[row.conversation] for row in rows), default=0)
        there = [row for row in rows if at_digest[row.conversation] == entries]
        there.sort(key=lambda row: (row.settings == setup.digest, row.created_at), reverse=True)
        return _Place(
            rows=there, entries=entries, start=BEGINNING, conversation=digests[-1], whole=entries == len(answers)
        )

    async def _place_after(self, reply_id: str, request: Request, terms: Terms) -> _Place:
        row = await self._manager.clients.find_reply(terms.owner, reply_id)
        if row is None:
            raise PreviousReplyError(reply_id)
        conversation = conversation_digests(request.messages, start=row.conversation)[-1]
        return _Place(
            rows=[row],
            entries=0,
            start=row.conversation,
            conversation=conversation,
            whole=len(request.messages) == 1,
            required=True,
        )

    async def _claimed(self, place: _Place, terms: Terms, setup: _Setup) -> str | None:
        """Take a session that stands at a place, if one is set up as is wanted and nobody uses it."""
        if not place.whole:
            return None
        for row in place.rows:
            if row.settings != setup.digest or row.session_id in self._busy:
                continue
            self._busy.add(row.session_id)
            try:
                if await self._manager.clients.stands_at(row.session_id, row.turn_id, owner=terms.owner):
                    return row.session_id
            except BaseException:
                self._busy.discard(row.session_id)
                raise
            self._busy.discard(row.session_id)
        return None

    async def _made(self, request: Request, terms: Terms, setup: _Setup, place: _Place) -> str:
        """Make a session that has the conversation up to the request's last message."""
        profile = Profile(
            model=terms.model,
            system_prompt=setup.system or None,
            builtin_tools=terms.builtin_tools,
            attachments=setup.attachments,
            client_tools=secrets.token_urlsafe(TOKEN_BYTES) if setup.offer.tools else None,
        )
        after = None
        if place.rows:
            after = Continuation(
                session_id=place.rows[0].session_id,
                turn_id=place.rows[0].turn_id,
                entries=place.entries,
                required=place.required,
            )
        new = NewClientSession(
            owner=terms.owner,
            client=request.interface,
            profile=profile,
            history=history_of(request.messages, setup.offer),
            after=after,
            title=_title(request),
        )
        try:
            session_id = await self._manager.clients.create(new)
        except (ForkError, SessionNotFoundError) as error:
            raise PreviousReplyError(request.previous_response_id or "") from error
        self._busy.add(session_id)
        return session_id

    async def _sent(self, request: Request, terms: Terms, setup: _Setup, place: _Place, session_id: str) -> Run:
        manager = self._manager
        info = await manager.get(session_id, owner=terms.owner)
        toolbox = Toolbox()
        if info.profile.client_tools is not None:
            toolbox = self._toolboxes.get(info.profile.client_tools, keep=True)
        toolbox.attach(setup.offer, interface=request.interface, choice=request.tool_choice)
        try:
            files = await manager.files(session_id, owner=terms.owner)
            for path, content in attachments_of(request.messages).items():
                await files.write(path, content)
            message = request.messages[-1]
            text = typed_text(
                message,
                directory=str(info.directory.resolve()),
                choice=request.tool_choice,
                offer=setup.offer,
                json_format=request.json,
            )
            turn = await manager.send(session_id, text, owner=terms.owner)
        except BaseException:
            toolbox.detach()
            raise
        run = Run(
            session_id=session_id,
            owner=terms.owner,
            toolbox=toolbox,
            request=request,
            start=place.start,
            conversation=place.conversation,
            settings=setup.digest,
            allows_tools=terms.builtin_tools,
            turn=turn,
            seq=turn.seq - 1,
        )
        self._runs.add(run)
        return run

    # -- what answers tell (`RunKeeper`)

    def pause(self, run: Run, reply_id: str, text: str, calls: Sequence[ToolCall]) -> None:
        """The client was told of these calls under this id, after a text, and is to come back with results."""
        run.phase = Phase.PAUSED
        self._replies.remember(reply_id, run.request, text, calls, owner=run.owner)
        self._tasks.spawn(self._watched(run, run.turn))
        self._paused[run] = None
        run.call_ids = tuple(call.id for call in calls)
        self._waiting.update(dict.fromkeys(run.call_ids, run))
        run.pause = asyncio.get_running_loop().call_later(self._config.client_tool_timeout, self._given_up, run)

    async def _watched(self, run: Run, turn: Turn) -> None:
        """Let go of a paused run whose turn ends without it: it was stopped, its process or its session is gone."""
        try:
            await turn.wait()
        except ClosingError:
            return  # so is everything
        if run.phase is Phase.PAUSED:
            self._release(run)

    def _resume(self, run: Run) -> None:
        """The results came."""
        run.phase = Phase.READING
        self._no_longer_paused(run)

    def _no_longer_paused(self, run: Run) -> None:
        self._paused.pop(run, None)
        if run.pause is not None:
            run.pause.cancel()

    def _relieve(self) -> None:
        """Stop the turn that has waited longest for its client: many ask for a call, and never return its result."""
        run = next(iter(self._paused), None)
        if run is not None:
            _log.info("a turn of session %s that waits for its client's tools makes room for another", run.session_id)
            self.stop(run)

    def _given_up(self, run: Run) -> None:
        _log.info("nobody came back with the results of tools for session %s: its turn is stopped", run.session_id)
        self.stop(run)

    def stop(self, run: Run) -> None:
        """Nobody wants more of this turn: end it."""
        if run.phase in {Phase.STOPPING, Phase.OVER}:
            return
        run.phase = Phase.STOPPING
        self._no_longer_paused(run)
        self._tasks.spawn(self._stopped(run))

    async def _stopped(self, run: Run) -> None:
        try:
            await self._manager.interrupt(run.session_id, turn_id=run.turn.id, owner=run.owner)
            await run.turn.wait()
        except (SessionNotFoundError, ClosingError):
            return  # it is over all the more
        finally:
            self._release(run)

    async def end(self, run: Run, reply_id: str, text: str | None) -> None:
        """The turn is over; `text` is what the client was told last, None where it isn't what the model said."""
        try:
            end = run.turn.end
            if text is not None and end is not None and end.get("stop_reason") == "end_turn":
                answered = extended(run.conversation, Message("assistant", (Text(text),)))
                row = ClientTurnRow(
                    turn_id=run.turn.id,
                    session_id=run.session_id,
                    owner=run.owner,
                    conversation=answered,
                    settings=run.settings,
                    reply_id=reply_id,
                    created_at=self._clock(),
                )
                await self._manager.clients.remember(row)
        finally:
            self._release(run)

    async def ask_again(self, run: Run, text: str) -> None:
        """Have another message typed in this run."""
        run.turn = await self._manager.send(run.session_id, text, owner=run.owner)
        run.seq = run.turn.seq - 1

    def _release(self, run: Run) -> None:
        run.phase = Phase.OVER
        self._no_longer_paused(run)
        run.toolbox.detach()
        for call_id in (*run.call_ids, *run.answered_ids):
            self._waiting.pop(call_id, None)
        self._busy.discard(run.session_id)
        self._runs.discard(run)


async def _check_form(request: Request) -> None:
    """Refuse a schema that no answer could be held against. Raises RequestError."""
    if request.json is None or request.json.schema is None:
        return
    try:
        await asyncio.to_thread(check_schema, request.json.schema)
    except JsonAnswerError as error:
        raise RequestError(error.why, code="invalid_schema") from error


def _check_pictures(request: Request) -> None:
    """Refuse more pictures than the CLI reads of one message; it drops the others (measured). Raises RequestError."""
    pictures = sum(isinstance(part, Image) for part in request.messages[-1].parts)
    if pictures > PICTURES:
        raise RequestError(
            f"the last message has {pictures} pictures: at most {PICTURES} are taken", code="too_many_images"
        )


@asynccontextmanager
async def running_gateway(manager: SessionManager, config: GatewayConfig) -> AsyncIterator[Gateway]:
    """Serve clients for as long as the context lasts."""
    gateway = Gateway(manager, config)
    try:
        yield gateway
    finally:
        await gateway.close()


def _title(request: Request) -> str | None:
    """Return what a conversation is about: its first message, without what clients put around a person's words."""
    first = next((message for message in request.messages if message.role == "user"), None)
    texts = [part.text for part in first.parts if isinstance(part, Text)] if first is not None else []
    plain = [text for text in texts if not text.lstrip().startswith("<")]
    found = plain or texts
    return found[-1] if found else None
