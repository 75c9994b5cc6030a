"""Recordings: one valid asciicast at any moment, bounded, over all workers, and no disk is any turn's concern."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qpty.sessions import recording, recording_file
from qpty.sessions.config import SMALLEST_RECORDING, SessionsConfig
from qpty.sessions.errors import NoRecordingError, SessionNotFoundError
from qpty.sessions.recording import PENDING_BYTES, Recordings
from tests.sessions.casts import Cast, collected, parse, text_of
from tests.sessions.house import COLD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from qpty.sessions.recording import Recorder
    from tests.sessions.house import House

    Make = Callable[..., House]

ID = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"
LIMIT = SMALLEST_RECORDING


@pytest.fixture
async def recordings(tmp_path: Path) -> AsyncIterator[Recordings]:
    found = await Recordings.open(tmp_path / "recordings", limit=LIMIT)
    yield found
    await found.close()


async def worker(recordings: Recordings, session_id: str = ID, *, columns: int = 80, lines: int = 24) -> Recorder:
    """A recorder whose worker was started."""
    recorder = await recordings.recorder(session_id, columns=columns, lines=lines)
    assert recorder is not None
    recorder.started(columns=columns, lines=lines, now=now())
    return recorder


def now() -> float:
    return asyncio.get_running_loop().time()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def cast_of(recordings: Recordings, session_id: str = ID) -> Cast:
    return await collected(recordings.read(session_id))


# -- with agents


async def test_a_session_is_recorded_over_all_its_workers(house: Make) -> None:
    async with house() as home:
        session = await home.manager.create(columns=90, lines=30)
        with pytest.raises(NoRecordingError, match="nothing was recorded"):
            await collected(home.manager.recording(session.id))
        await home.say(session.id, "hello")
        screen = await home.manager.screen(session.id)
        first = await collected(home.manager.recording(session.id))
        assert (first.header["width"], first.header["height"]) == (90, 30)
        assert abs(first.header["timestamp"] - home.manager.now()) < 60
        assert first.markers == ["worker started"]
        assert "How can I help you today?" in text_of(first.played())
        assert first.played().cursor_line == screen.cursor_line

        await home.manager.hibernate(session.id)
        assert (await collected(home.manager.recording(session.id))).markers == ["worker started", "worker ended"]
        await home.manager.resize(session.id, columns=70, lines=20)
        await home.say(session.id, "hello")
        second = await collected(home.manager.recording(session.id))
        assert second.events[: len(first.events)] == first.events
        assert second.markers == ["worker started", "worker ended", "worker started"]
        begun = max(at for at, (_, kind, data) in enumerate(second.events) if (kind, data) == ("m", "worker started"))
        assert [event[1:] for event in second.events[begun - 2 : begun]] == [("o", "\x1bc"), ("r", "70x20")]
        played = second.played()
        assert (played.columns, played.lines) == (70, 20)

    async with house() as home:
        await home.say(session.id, "hello")
        third = await collected(home.manager.recording(session.id))
        assert third.markers[:4] == ["worker started", "worker ended", "worker started", "worker ended"]
        assert third.header == second.header


async def test_a_warm_worker_is_recorded_from_its_start(demo_house: Make) -> None:
    async with demo_house(config=SessionsConfig(warm_workers=1)) as home:
        await home.warm()
        session = await home.manager.create()
        cast = await collected(home.manager.recording(session.id))
        assert cast.markers == ["worker started"]
        assert cast.played().rows == (await home.manager.screen(session.id)).rows


async def test_a_size_that_changes_is_recorded(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create()
        await home.say(session.id, "hello")
        await home.manager.resize(session.id, columns=100, lines=40)
        await home.say(session.id, "hello")
        cast = await collected(home.manager.recording(session.id))
        assert ("r", "100x40") in [event[1:] for event in cast.events]


async def test_a_recording_goes_with_its_session_and_no_fork_has_one(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create(owner="ada")
        await home.say(session.id, "hello")
        fork = await home.manager.fork(session.id)
        with pytest.raises(NoRecordingError):
            await collected(home.manager.recording(fork.id))
        with pytest.raises(SessionNotFoundError):
            await collected(home.manager.recording(session.id, owner="bob"))
        file = home.work / "data" / "recordings" / f"{session.id}.cast"
        assert (await collected(home.manager.recording(session.id, owner="ada"))).size == file.stat().st_size
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700
        await home.manager.delete(session.id)
        assert list(file.parent.iterdir()) == []


async def test_what_a_kill_left_is_cleaned_away_at_the_next_start(demo_house: Make) -> None:
    async with demo_house() as home:
        kept, deleted = await home.manager.create(), await home.manager.create()
        for session in (kept, deleted):
            await home.say(session.id, "hello")
        directory = home.work / "data" / "recordings"

    class KilledError(BaseException):
        pass

    def kill(name: str, session_id: str) -> None:
        if name == "directory.removed":
            raise KilledError

    async with demo_house(reached=kill) as home:
        with pytest.raises(KilledError):
            await home.manager.delete(deleted.id)
        (directory / f"{OTHER}.cast").write_text("an id that was never handed out")
        (directory / f".{ID}.cast.abc").write_text("half of a new generation")
        (directory / "mine.txt").write_text("somebody else's")
    async with demo_house() as home:
        assert sorted(path.name for path in directory.iterdir()) == sorted([f"{kept.id}.cast", "mine.txt"])
        assert (await collected(home.manager.recording(kept.id))).markers == ["worker started", "worker ended"]


async def test_nothing_is_recorded_where_that_is_switched_off(demo_house: Make) -> None:
    async with demo_house() as home:
        session = await home.manager.create()
        await home.say(session.id, "hello")
        file = home.work / "data" / "recordings" / f"{session.id}.cast"
        await home.manager.hibernate(session.id)
        await collected(home.manager.recording(session.id))
        before = file.read_bytes()
    async with demo_house(config=SessionsConfig(warm_workers=0, recording_bytes=0)) as home:
        await home.say(session.id, "hello")
        with pytest.raises(NoRecordingError, match="records nothing"):
            await collected(home.manager.recording(session.id))
        assert file.read_bytes() == before
        await home.manager.delete(session.id)
        assert not file.exists()


@pytest.mark.parametrize("bad", [-1, 1, SMALLEST_RECORDING - 1])
def test_a_bound_that_holds_nothing_is_refused(bad: int) -> None:
    with pytest.raises(ValueError, match="recording_bytes"):
        SessionsConfig(recording_bytes=bad)


async def test_a_disk_that_fails_hurts_no_turn(
    demo_house: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with demo_house(config=COLD) as home:
        session = await home.manager.create()
        await home.say(session.id, "hello")
        before = await collected(home.manager.recording(session.id))

        def full(*_: Any, **__: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(recording_file, "append", full)
        with caplog.at_level(logging.WARNING, logger="qpty.sessions.recording"):
            for _ in range(3):
                assert (await home.say(session.id, "hello"))["type"] == "turn.completed"
                await collected(home.manager.recording(session.id))
        assert len([record for record in caplog.records if "No space left" in record.getMessage()]) == 1
        assert (await collected(home.manager.recording(session.id))).events == before.events

        monkeypatch.undo()  # there is room again: the next worker is recorded
        await home.manager.hibernate(session.id)
        assert (await home.say(session.id, "echo recorded again"))["type"] == "turn.completed"
        assert "recorded again" in (await collected(home.manager.recording(session.id))).output


# -- the files


async def test_characters_that_are_cut_or_broken_come_out_whole(recordings: Recordings) -> None:
    recorder = await worker(recordings)
    for byte in "né🙂".encode():
        recorder.output(bytes([byte]), now())
    recorder.output(b"\xff|\xc3", now())
    recorder.output(b"|\xf0\x9f", now())
    recorder.ended(now())
    assert (await cast_of(recordings)).output == "né🙂�|�|�"


async def test_the_file_stays_within_its_bound_and_has_the_newest(recordings: Recordings, tmp_path: Path) -> None:
    recorder = await worker(recordings)
    file = tmp_path / "recordings" / f"{ID}.cast"
    sizes = []
    for number in range(600):
        recorder.output(f"{number:06} {'.' * 500}\r\n".encode(), now())
        if number == 150:
            recorder.resized(columns=100, lines=30, now=now())
        if number % 7 == 0:
            cast = await cast_of(recordings)
            sizes.append(file.stat().st_size)
            assert cast.size == sizes[-1]
            assert f"{number:06}" in cast.output
            columns = 80 if number < 150 else 100
            assert cast.played().columns == columns
            if "the beginning was cut off" in cast.markers:
                assert [event[1:] for event in cast.events[:2]] == [("o", "\x1bc"), ("m", "the beginning was cut off")]
                first = int(cast.output.removeprefix("\x1bc")[:6])
                said = cast.output.removeprefix("\x1bc").splitlines()
                assert said == [f"{at:06} {'.' * 500}" for at in range(first, number + 1)]
    assert max(sizes) <= LIMIT
    assert min(sizes[40:]) >= LIMIT // 2
    recorder.ended(now())


async def test_a_recording_goes_on_where_a_kill_cut_a_line(tmp_path: Path) -> None:
    directory = tmp_path / "recordings"
    first = await Recordings.open(directory, limit=LIMIT, clock=lambda: 1000.25)
    recorder = await worker(first)
    recorder.output(b"before", now() + 50)
    await first.close()
    file = directory / f"{ID}.cast"
    whole = file.read_bytes()
    file.write_bytes(whole + b'[50.9, "o", "cut o')
    second = await Recordings.open(
        directory, limit=LIMIT, clock=lambda: 1010.0
    )  # before the last event: clocks are set
    assert (await cast_of(second)).output == "before"
    recorder = await worker(second)
    recorder.output(b"after", now())
    cast = await cast_of(second)
    await second.close()
    assert cast.output == "before\x1bcafter"
    assert cast.header["timestamp"] == 1000
    assert file.read_bytes().startswith(whole)


@pytest.mark.parametrize(
    "content", [b"", b"no", b"{}\n", b'{"version": 1}\n', b'{"version": 2, "width": 1}\n', b"\xff\xfe\n" * 9]
)
async def test_what_is_no_recording_is_replaced(recordings: Recordings, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "recordings" / f"{ID}.cast"
    file.write_bytes(content)
    recorder = await worker(recordings)
    recorder.output(b"fresh", now())
    assert (await cast_of(recordings)).output == "fresh"
    recorder.ended(now())


async def test_a_link_is_not_followed(recordings: Recordings, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("not ours")
    (tmp_path / "recordings" / f"{ID}.cast").symlink_to(elsewhere)
    assert await recordings.recorder(ID, columns=80, lines=24) is None
    with pytest.raises(NoRecordingError):
        await cast_of(recordings)
    assert elsewhere.read_text() == "not ours"


async def test_a_reader_has_the_recording_as_it_was(recordings: Recordings) -> None:
    recorder = await worker(recordings)
    for number in range(200):
        recorder.output(f"first {number} {'x' * 500}\r\n".encode(), now())
    reader = recordings.read(ID)
    content = await anext(reader)
    for number in range(600):
        recorder.output(f"second {number} {'x' * 500}\r\n".encode(), now())
    assert "second 599" in (await cast_of(recordings)).output
    recorder.ended(now())
    await recordings.remove(ID)
    async for chunk in reader:
        content += chunk
    assert parse(content).output.endswith(f"first 199 {'x' * 500}\r\n")
    with pytest.raises(NoRecordingError):
        await cast_of(recordings)


async def test_a_slow_disk_costs_the_oldest_output_and_no_memory(
    recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    append = recording_file.append

    def slow(*given: Any, **options: Any) -> None:
        loop.call_soon_threadsafe(begun.set)
        gate.wait(30)
        append(*given, **options)

    monkeypatch.setattr(recording_file, "append", slow)
    monkeypatch.setattr(recordings, "_limit", 8 << 20)
    recorder = await worker(recordings)
    recorder.output(b"first|", now())
    reading = asyncio.create_task(cast_of(recordings))
    await begun.wait()  # its lines are in the thread
    printed = 0
    for number in range(30_000):
        data = f"{number:06} {'.' * 38}".encode()
        recorder.output(data, now())
        printed += len(data)
    assert sum(tape.pending for tape in recordings._tapes.values()) <= PENDING_BYTES
    gate.set()
    assert (await reading).output == "first|"
    cast = await cast_of(recordings)
    lost = next(int(text.split()[0]) for text in cast.markers if "not recorded" in text)
    kept = cast.output.removeprefix("first|\x1bc")
    assert lost + len(kept) == printed
    assert kept.endswith(f"029999 {'.' * 38}")
    assert lost > 0
    recorder.ended(now())


async def test_nothing_is_kept_of_a_session_whose_worker_is_gone(recordings: Recordings) -> None:
    descriptors = open_files()
    for number in range(20):
        session_id = f"{number:08}-0000-4000-8000-000000000000"
        recorder = await worker(recordings, session_id)
        recorder.output(b"hello", now())
        recorder.ended(now())
        await cast_of(recordings, session_id)
    assert recordings._tapes == {}
    assert open_files() == descriptors


async def test_lines_are_written_without_anybody_asking(
    recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    append = recording_file.append

    def counted(path: Path, data: bytes, *, limit: int) -> None:
        append(path, data, limit=limit)
        loop.call_soon_threadsafe(written.put_nowait, len(data))

    monkeypatch.setattr(recording_file, "append", counted)
    async with asyncio.timeout(20):
        monkeypatch.setattr(recording, "FLUSH_PAUSE", 0.01)  # soon
        recorder = await worker(recordings)
        recorder.output(b"hello", now())
        assert await written.get() > 0
        monkeypatch.setattr(recording, "FLUSH_PAUSE", 1e6)  # at once, where much waits
        recorder.output(b"begin", now())
        for _ in range(100):
            recorder.output(b"x" * 1000, now())
        assert await written.get() >= recording.FLUSH_BYTES
        recorder.ended(now())  # and at the end of a worker
        await written.get()


def test_events_are_json_whatever_was_printed() -> None:
    for text in ("plain", '"quoted" \\ \x00\x1b\x7f\u2028', "né 🙂", ', "r", "1x1'):
        assert json.loads(recording_file.event_line(1.5, "o", text)) == [1.5, "o", text]
