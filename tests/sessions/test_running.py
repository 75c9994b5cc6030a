"""Everything put together: one server at a time, on either database, over restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qpty.sessions.errors import DataDirectoryInUseError
from qpty.sessions.running import running_sessions
from tests.sessions.house import COLD, demo_spec

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from qpty.sessions.manager import SessionManager
    from tests.storage.server import Server


async def test_a_data_directory_has_one_server_at_a_time(tmp_path: Path) -> None:
    found = demo_spec(tmp_path)
    data, base = tmp_path / "data", tmp_path / "sessions"
    async with running_sessions(found, data_directory=data, base=base, config=COLD):
        with pytest.raises(DataDirectoryInUseError, match="stop that one"):
            async with running_sessions(found, data_directory=data, base=base, config=COLD):
                pass
    async with running_sessions(found, data_directory=data, base=base, config=COLD) as manager:
        assert (data / "qpty.db").stat().st_mode & 0o777 == 0o600
        assert manager.agent_kind == "demo"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_session_lives_on_either_database(tmp_path: Path, request: pytest.FixtureRequest, kind: str) -> None:
    url = None
    if kind == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        url = await server.create()
    found = demo_spec(tmp_path)

    def running() -> AbstractAsyncContextManager[SessionManager]:
        return running_sessions(
            found, data_directory=tmp_path / "data", base=tmp_path / "sessions", database_url=url, config=COLD
        )

    text = "an odd text: \x00 \ud83d\ude00 漢字 \x1a".encode("utf-16", "surrogatepass").decode("utf-16")
    async with running() as manager:
        session = await manager.create(title="odd")
        turn = await manager.send(session.id, text)
        end = await turn.wait()
        assert end["type"] == "turn.completed"
        await manager.send(session.id, "hello")
        fork = await manager.fork(session.id, turn_id=turn.id)
    async with running() as manager:
        assert (await manager.messages(session.id))[0].text == text
        numbers = []
        async for event in manager.events(session.id, after=0):
            numbers.append(event.seq)
            if event.type in {"turn.completed", "turn.failed"} and event.data["turn_id"] != turn.id:
                break
        assert numbers == list(range(1, len(numbers) + 1))
        assert (await (await manager.send(fork.id, "hello")).wait())["type"] == "turn.completed"
        await manager.delete(session.id)
        page = await manager.list_sessions()
        assert [info.id for info in page.sessions] == [fork.id]
