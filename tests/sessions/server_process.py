"""A server for tests, to be killed: a manager of demo agents that is told what to do in lines of JSON.

    python -m tests.sessions.server_process WORK [--kill CHECKPOINT] [--config JSON]

Requests come on standard input, `{"id": 1, "do": "send", "session": …, "text": …}`, and are answered on standard
output, `{"id": 1, "result": …}` or `{"id": 1, "error": …}`. Every session is read from its beginning, and every event
is told as soon as a reader gets it: `{"session": …, "seq": …, "body": …}`. The first line is `{"ready": {…}}`, what the
start mended. Permissions are given. Lines are written at once and whole, so what was told before a kill is known.

With `--kill` the process kills itself at the first visit to a checkpoint, which may be in its start; a request
`{"do": "arm", "place": CHECKPOINT, "nth": N}` has it kill itself at the nth visit from then on.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import signal
import sys
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qpty.agent.provider import Profile, TerminalProvider
from qpty.core.errors import QptyError
from qpty.sessions.checkpoints import CHECKPOINTS, Checkpoints
from qpty.sessions.config import SessionsConfig
from qpty.sessions.data_lock import DataLock
from qpty.sessions.errors import QuestionGoneError
from qpty.sessions.manager import SessionManager
from qpty.storage.database import Database
from tests.sessions.house import demo_spec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from qpty.sessions.checkpoints import Checkpoint


def tell(line: dict[str, Any]) -> None:
    """Write a line, whole, before anything else happens."""
    data = (json.dumps(line) + "\n").encode()
    while data:
        data = data[os.write(1, data) :]


class Executioner:
    """Kills this process at the nth visit to a checkpoint."""

    def __init__(self, place: str | None) -> None:
        self.arm(place, 1)

    def arm(self, place: str | None, nth: int) -> None:
        """Wait for a checkpoint."""
        self._place = place
        self._left = nth

    def __call__(self, place: Checkpoint, session_id: str) -> None:
        if place == self._place:
            self._left -= 1
            if self._left == 0:
                tell({"killed": place, "session": session_id})
                os.kill(os.getpid(), signal.SIGKILL)


class Server:
    """The manager and who reads from it."""

    def __init__(self, manager: SessionManager, database: Database, executioner: Executioner) -> None:
        self._manager = manager
        self._executioner = executioner
        self._database = database
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Carry out requests, each as a task, until standard input ends."""
        loop = asyncio.get_running_loop()
        lines = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        while line := await lines.readline():
            self._spawn(self._carry_out(json.loads(line)))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def read_all(self) -> None:
        """Read every session there is."""
        cursor = None
        while True:
            page = await self._manager.list_sessions(limit=200, cursor=cursor)
            for info in page.sessions:
                self.read(info.id)
            cursor = page.next
            if cursor is None:
                return

    def read(self, session_id: str) -> None:
        """Tell what happens in a session, from its first event on."""
        self._spawn(self._read(session_id))

    async def _read(self, session_id: str) -> None:
        async with aclosing(self._manager.events(session_id)) as events:
            async for event in events:
                tell({"session": session_id, "seq": event.seq, "body": event.body})
                if event.type == "permission.requested":
                    with suppress(QuestionGoneError):  # of an earlier turn
                        await self._manager.answer(session_id, event.data["request_id"], "allow")

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, request: dict[str, Any]) -> None:
        do: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
            "arm": self._arm,
            "create": self._create,
            "send": self._send,
            "fork": self._fork,
            "delete": self._delete,
            "hibernate": self._hibernate,
            "list": self._list,
            "idle": self._idle,
        }
        try:
            result = await do[request["do"]](request)
        except QptyError as error:
            tell({"id": request["id"], "error": f"{type(error).__name__}: {error}"})
        else:
            tell({"id": request["id"], "result": result})

    async def _arm(self, request: dict[str, Any]) -> None:
        self._executioner.arm(request["place"], request["nth"])

    async def _create(self, request: dict[str, Any]) -> str:
        info = await self._manager.create(profile=Profile(trust_all_tools=request.get("trusting", True)))
        self.read(info.id)
        return info.id

    async def _send(self, request: dict[str, Any]) -> str:
        turn = await self._manager.send(request["session"], request["text"])
        return turn.id

    async def _fork(self, request: dict[str, Any]) -> str:
        info = await self._manager.fork(request["session"])
        self.read(info.id)
        return info.id

    async def _delete(self, request: dict[str, Any]) -> None:
        await self._manager.delete(request["session"])

    async def _hibernate(self, request: dict[str, Any]) -> bool:
        return await self._manager.hibernate(request["session"])

    async def _list(self, request: dict[str, Any]) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            page = await self._manager.list_sessions(limit=200, cursor=cursor)
            found += [info.id for info in page.sessions]
            cursor = page.next
            if cursor is None:
                return found

    async def _idle(self, request: dict[str, Any]) -> None:
        """Return when every turn of every session has ended, durably."""
        while await self._database.unfinished_turns():  # noqa: ASYNC110 — of those before this start nobody tells
            await asyncio.sleep(0.02)


async def main() -> None:
    """Serve one data directory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("--kill", choices=CHECKPOINTS)
    parser.add_argument("--config", type=json.loads, default={})
    options = parser.parse_args()
    executioner = Executioner(options.kill)
    data = options.work / "data"
    lock = await asyncio.to_thread(DataLock, data)
    spec = await asyncio.to_thread(demo_spec, options.work, QPTY_DEMO_PACE="0.002")
    database = await Database.open(f"sqlite:///{data / 'qpty.db'}")
    manager = SessionManager(
        TerminalProvider(spec, server_id=lock.server_id),
        database,
        base=options.work / "sessions",
        config=SessionsConfig(**options.config),
        checkpoints=Checkpoints(executioner),
    )
    try:
        recovery = await manager.start()
        tell({"ready": dataclasses.asdict(recovery), "server_id": lock.server_id})
        server = Server(manager, database, executioner)
        await server.read_all()
        await server.serve()
    finally:
        await manager.close()
        await database.close()
        lock.release()


if __name__ == "__main__":
    asyncio.run(main())
