"""Killing a server at named places or from outside, starting the next one on the same data, and what must hold then."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from qpty.storage.database import Database
from tests.crashes.agreement import ENDS, disagreements, journal
from tests.crashes.processes import marked
from tests.lab import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from random import Random

    from qpty.agent.process_tree import ProcessIdentity
    from qpty.sessions.checkpoints import Checkpoint

DIARY: Final = "diary.txt"
START_TIMEOUT: Final = 60.0
IDLE_TIMEOUT: Final = 90.0
"""Seconds that a server may take to be ready, and to see every turn to its end."""

WARM: Final = 1
"""Workers in stock."""

LINE_LIMIT: Final = 4 << 20


class ServerKilledError(Exception):
    """A request was not answered: the server is gone."""


@dataclass
class Ledger:
    """What servers told before they were killed: none of it may ever be otherwise.

    `sessions` were acknowledged and not asked to be deleted since; `turns` are acknowledged messages by their ids, with
    their sessions; `events` are all that readers got, by session and number.
    """

    sessions: set[str] = field(default_factory=set)
    doomed: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    turns: dict[str, tuple[str, str]] = field(default_factory=dict)
    events: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    problems: list[str] = field(default_factory=list)

    def note_event(self, session_id: str, seq: int | None, body: str) -> None:
        """A reader got an event."""
        if seq is None:
            self.problems.append(f"session {session_id}: a reader was reset: {body}")
            return
        known = self.events[session_id]
        if known.setdefault(seq, body) != body:
            self.problems.append(f"session {session_id}: event {seq} was {known[seq]} and became {body}")
        if seq > 1 and seq - 1 not in known:
            self.problems.append(f"session {session_id}: a reader got {seq} and never {seq - 1}")


class ServerProcess:
    """A `tests.sessions.server_process`; use as `async with`. Leaving the block kills it."""

    def __init__(self, work: Path, ledger: Ledger, *, kill: Checkpoint | None = None, **config: Any) -> None:
        self.work = work
        self.events = 0
        self.killed: tuple[str, str] | None = None
        self.recovery: Mapping[str, int] = {}
        self.server_id = ""
        self._ledger = ledger
        self.command = [
            *(sys.executable, "-m", "tests.sessions.server_process", str(work), "--config"),
            json.dumps({"warm_workers": 0, **config}),
            *(["--kill", kill] if kill is not None else []),
        ]
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._requests = 0
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self.command,
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
        )
        self._ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())
        async with asyncio.timeout(START_TIMEOUT):
            await self._ready
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.kill()

    @property
    def alive(self) -> bool:
        """Whether it became ready and runs still."""
        return not self._reader.done()

    async def kill(self) -> None:
        """Kill it, if it lives, and take in the last that it told."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)  # asyncio's own way may take the exit status from asyncio
        await self.gone()

    async def gone(self) -> None:
        """Wait until it has killed itself."""
        async with asyncio.timeout(START_TIMEOUT):
            await self._process.wait()
        await self._reader
        if self._process.returncode != -signal.SIGKILL:
            self._ledger.problems.append(f"the server ended by itself: {self._process.returncode}")

    async def request(self, do: str, **fields: Any) -> Any:
        """Have something done; the result. Raises ServerKilledError if the answer never comes, AssertionError."""
        assert self._process.stdin is not None
        self._requests += 1
        answer = self._answers[self._requests] = asyncio.get_running_loop().create_future()
        if not self.alive:
            raise ServerKilledError
        line = json.dumps({"id": self._requests, "do": do, **fields})
        try:
            self._process.stdin.write(line.encode() + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise ServerKilledError from None
        return await answer

    async def told(self, count: int) -> None:
        """Wait until readers got so many events, or the server is gone."""
        while self.events < count and self.alive:
            self._changed.clear()
            await self._changed.wait()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while (line := await self._process.stdout.readline()).endswith(b"\n"):
            self._take(json.loads(line))
            self._changed.set()
        if not self._ready.done():
            self._ready.set_result(False)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ServerKilledError())
                answer.exception()  # nobody may wait for it any more
        self._changed.set()

    def _take(self, line: dict[str, Any]) -> None:
        if "body" in line:
            self.events += 1
            self._ledger.note_event(line["session"], line["seq"], line["body"])
        elif "ready" in line:
            self.recovery, self.server_id = line["ready"], line["server_id"]
            self._ready.set_result(True)
        elif "killed" in line:
            self.killed = line["killed"], line["session"]
        elif "error" in line:
            self._answers.pop(line["id"]).set_exception(AssertionError(line["error"]))
        else:
            self._answers.pop(line["id"]).set_result(line["result"])


@dataclass
class Survival:
    """Sessions that outlive their servers: each round has one server, which checks, works and is killed."""

    work: Path
    random: Random
    sessions: int = 20
    max_workers: int = 18
    ledger: Ledger = field(default_factory=Ledger)
    kills: Counter[str] = field(default_factory=Counter)
    tallies: Counter[str] = field(default_factory=Counter)
    orphans: frozenset[ProcessIdentity] = frozenset()
    killed: tuple[str, str] | None = None

    async def round(self, place: Checkpoint | None) -> list[str]:
        """Start a server, check what the last one left, work, and have it killed. What is wrong."""
        async with self._server() as server:
            if not server.alive:
                return ["the server did not start"]
            problems = await self._check(server)
            some = self.sessions + self.random.randrange(3 * self.sessions)
            await self._prepare(server, place)
            if place is not None:
                await server.request("arm", place=place, nth=1 + self.random.randrange(max(1, self.sessions // 4)))
            await self._work(server)
            if place is None:
                await server.told(server.events + some)
            else:
                await self._until_killed(server)
            await self._end(server)
            return problems

    async def start_killed_at(self, place: Checkpoint) -> bool:
        """Start a server that is killed in its start, where that comes by a place; whether it did."""
        async with self._server(kill=place) as server:
            started = server.alive
            await self._end(server)
        return not started

    async def check(self) -> list[str]:
        """Start a last server and check what the one before left."""
        async with self._server() as server:
            problems = await self._check(server)
            await self._end(server)
        return problems

    def _server(self, *, kill: Checkpoint | None = None) -> ServerProcess:
        return ServerProcess(self.work, self.ledger, kill=kill, max_workers=self.max_workers, warm_workers=WARM)

    async def _end(self, server: ServerProcess) -> None:
        await server.kill()
        self.killed = server.killed
        self.tallies["events told"] += server.events
        self.kills[server.killed[0] if server.killed is not None else "outside"] += 1
        server_id = (self.work / "data" / "server.lock").read_text()
        self.orphans = marked(server_id)
        self.tallies["left behind"] += len(self.orphans)

    async def _until_killed(self, server: ServerProcess) -> None:
        """Wait for the kill, or for the end of all turns if none came by the place."""
        with suppress(ServerKilledError):
            async with asyncio.timeout(IDLE_TIMEOUT):
                await server.request("idle")

    # -- work

    async def _work(self, server: ServerProcess) -> None:
        """Create, delete, fork and talk, everything at once; what isn't acknowledged may be done or not."""
        known = sorted(self.ledger.sessions)
        self.random.shuffle(known)
        gone = known[self.sessions * 2 // 3 :]
        kept = known[: self.sessions * 2 // 3]
        with suppress(ServerKilledError):
            created = [self._create(server) for _ in range(self.sessions - len(kept))]
            kept += await asyncio.gather(*created)
            async with asyncio.TaskGroup() as group:
                for session_id in gone:
                    group.create_task(self._delete(server, session_id))
                for session_id in kept:
                    group.create_task(self._talk(server, session_id))

    async def _prepare(self, server: ServerProcess, place: Checkpoint | None) -> None:
        """Have a conversation to lose in some sessions, and (but for its own checkpoint) hibernate them."""
        some = self.random.sample(sorted(self.ledger.sessions), min(3, len(self.ledger.sessions)))
        for session_id in some:
            await server.request("send", session=session_id, text="echo here")
        await server.request("idle")
        for session_id in some:
            if place != "worker.hibernating":
                await server.request("hibernate", session=session_id)

    async def _create(self, server: ServerProcess) -> str:
        self.tallies["sessions"] += 1
        session_id: str = await server.request("create", trusting=self.tallies["sessions"] % 2 == 0)
        self.ledger.sessions.add(session_id)
        return session_id

    async def _delete(self, server: ServerProcess, session_id: str) -> None:
        self.ledger.sessions.discard(session_id)
        self.ledger.doomed.add(session_id)
        with suppress(ServerKilledError):
            await server.request("delete", session=session_id)
            self.ledger.deleted.add(session_id)

    async def _talk(self, server: ServerProcess, session_id: str) -> None:
        with suppress(ServerKilledError):
            for _ in range(1 + (self.random.random() < 0.4)):
                number = self.tallies["messages"] = self.tallies["messages"] + 1
                errand = f"bash echo errand-{number} >> {DIARY}; seq {self.random.randrange(60)}"
                daemon = f"{errand}; setsid sleep 600 > /dev/null 2>&1 &"
                text = (errand, daemon, f"words {20 + self.random.randrange(60)}")[number % 3]
                turn_id = await server.request("send", session=session_id, text=text)
                self.ledger.turns[turn_id] = (session_id, text)
            if self.random.random() < 0.2:
                with suppress(AssertionError):  # nothing to fork from yet
                    self.ledger.sessions.add(await server.request("fork", session=session_id))
                    self.tallies["forks"] += 1

    # -- what must hold

    async def _check(self, server: ServerProcess) -> list[str]:
        problems = [f"an orphan lives on: {process}" for process in self.orphans & marked(server.server_id)]
        for name, count in server.recovery.items():
            self.tallies[name] += count
        async with asyncio.timeout(IDLE_TIMEOUT):
            await server.request("idle")
            listed = set(await server.request("list"))
        problems += [f"session {lost} is lost" for lost in self.ledger.sessions - listed]
        problems += [f"session {back} was deleted, and is back" for back in self.ledger.deleted & listed]
        match self.killed:
            case ("session.inserted", session_id) if session_id not in listed:
                problems.append(f"session {session_id} was created, and is lost")
            case ("session.deleting" | "directory.removed", session_id) if session_id in listed:
                problems.append(f"the deletion of session {session_id} was begun, and isn't finished")
        directories = {path.name for path in (self.work / "sessions").iterdir()}
        if len(extra := directories - listed) > WARM:  # of those that earlier servers had in stock none is left
            problems.append(f"directories of nobody: {extra}")
        database = await Database.open(f"sqlite:///{self.work / 'data' / 'qpty.db'}")
        try:
            for session_id in listed:
                problems += [
                    f"session {session_id}: {each}" for each in await self._check_session(database, session_id)
                ]
            for session_id in self.ledger.doomed - listed:
                if await database.session(session_id) is not None or await journal(database, session_id):
                    problems.append(f"session {session_id} is deleted, and not gone")
                self._forget(session_id)
            for turn_id, (session_id, text) in self.ledger.turns.items():
                row = await database.turn(turn_id)
                said = await database.prompt_of(turn_id)
                if row is None or said is None or (row.session_id, said.text) != (session_id, text):
                    problems.append(f"turn {turn_id} of {session_id} is lost: {text!r}, {row}")
        finally:
            await database.close()
        # Some were created, and nobody was told; of others the deletion had not begun.
        self.ledger.sessions = set(listed)
        self.ledger.doomed.clear()
        problems += self.ledger.problems
        self.ledger.problems.clear()
        return problems

    def _forget(self, session_id: str) -> None:
        self.ledger.events.pop(session_id, None)
        self.ledger.turns = {key: turn for key, turn in self.ledger.turns.items() if turn[0] != session_id}

    async def _check_session(self, database: Database, session_id: str) -> list[str]:
        problems = await disagreements(database, session_id)
        stored: dict[int, str] = {}
        while page := await database.events(session_id, after=max(stored, default=0)):
            stored.update(page)
        told = self.ledger.events.get(session_id, {})
        problems += [
            f"event {seq} was told as {body}, and is stored as {stored.get(seq)}"
            for seq, body in told.items()
            if stored.get(seq) != body
        ]
        file = self.work / "sessions" / session_id / DIARY
        runs = Counter(file.read_text().split()) if file.exists() else Counter()
        position = 0
        ends = {}
        for body in stored.values():
            event = json.loads(body)
            if event["type"] in ENDS:
                ends[event["turn_id"]] = event
        while messages := await database.messages(session_id, after_position=position):
            position = messages[-1].position
            for message in messages:
                if message.role == "user" and message.turn_id in ends:
                    problems += self._check_turn(message.text, ends[message.turn_id], runs)
        return problems

    def _check_turn(self, text: str, end: Mapping[str, Any], runs: Counter[str]) -> list[str]:
        completed = end["type"] == "turn.completed"
        if not completed and end["code"] != "worker_lost":
            return [f"turn {end['turn_id']} failed: {end}"]
        errand = re.search(r"errand-\d+", text)
        times = runs[errand[0]] if errand else int(completed)
        # A tool call that an earlier turn left open is cancelled with the next message, and the demo answers to that.
        cancelled = completed and "cancelled by the user" in end["text"]
        if times > 1 or (completed and not cancelled and times == 0):
            return [f"{text!r} was executed {times} times, and ended as {end}"]
        return []
