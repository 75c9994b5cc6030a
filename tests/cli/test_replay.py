"""`qpty replay`: a capture in, one line an event out, each with what made it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from qpty import cli
from tests import captured

if TYPE_CHECKING:
    from pathlib import Path

HEADER = '{"version": 2, "width": 80, "height": 24}\n'


def replay(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command in this process; return its exit status."""
    monkeypatch.setattr(sys, "argv", ["qpty", "replay", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code is None or isinstance(caught.value.code, int)
    return caught.value.code or 0


def cast(name: str) -> str:
    return str(captured.DIRECTORY / f"{name}.cast")


def test_it_runs_as_a_module() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "qpty", "replay", cast("hello")], capture_output=True, text=True, check=True, timeout=60
    )
    assert '"type": "turn.completed"' in run.stdout
    assert not run.stderr


def test_one_event_a_line_with_its_time_and_its_cause(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(monkeypatch, cast("hello")) == 0
    lines = capsys.readouterr().out.splitlines()
    events = []
    for line in lines:
        time, _, rest = line.strip().partition("  ")
        body, _, cause = rest.rpartition("  ← ")
        assert float(time) >= 0
        assert cause
        events.append((json.loads(body), cause))
    types = [event["type"] for event, _ in events]
    assert types[:4] == ["session.state", "session.state", "turn.started", "message.delta"]
    causes = {event["type"]: cause for event, cause in events}
    assert causes["turn.started"].startswith("MessageSubmitted(")
    assert causes["message.delta"] == "b'today?'"
    assert causes["turn.completed"].startswith("RecordRead(")
    assert causes["agent.exited"].startswith("ProcessExited(")


@pytest.mark.parametrize("name", ["bash", "forged-bytes", "markdown"])
def test_the_events_are_the_golden_ones(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(monkeypatch, cast(name)) == 0
    lines = capsys.readouterr().out.splitlines()
    found = [json.loads(line.strip().partition("  ")[2].rpartition("  ← ")[0]) for line in lines]
    types = [event["type"] for event in found if not event["type"].endswith((".delta", ".output"))]
    golden = [json.loads(line)["type"] for line in captured.golden(name)]
    assert types == [kind for kind in golden if not kind.endswith((".delta", ".output"))]


def test_what_a_tool_printed_does_nothing_to_this_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exact text keeps its escapes: they are shown, not sent."""
    assert replay(monkeypatch, cast("ansi")) == 0
    out = capsys.readouterr().out
    assert r"raw \u001b[31mred" in out
    assert all(character.isprintable() or character == "\n" for character in out)


def test_commands_are_shown_when_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    replay(monkeypatch, cast("hello"))
    assert "ReadRecord(" not in capsys.readouterr().out
    replay(monkeypatch, "--commands", cast("hello"))
    out = capsys.readouterr().out
    assert "ReadRecord(" in out
    assert "SendKeys(data=b'\\x1b[200~hello\\x1b[201~\\r')" in out


def test_a_capture_of_the_demo_is_read_as_qs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "demo.cast"
    path.write_text(
        captured.DIRECTORY.joinpath("hello.cast").read_text().replace('"dialect": "q"', '"dialect": "demo"')
    )
    assert replay(monkeypatch, str(path)) == 0
    assert "turn.completed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no capture at all\n", "bad.cast:1: not the header of an asciicast"),
        (HEADER + '[0, "o", "fine"]\n[oops\n', "bad.cast:3: not an event of a capture"),
        ('{"version": 2, "width": 80, "height": 24, "qpty": {"dialect": "klingon"}}\n', "no such dialect"),
        (HEADER + '[0, "m", "{\\"kind\\": \\"message\\", \\"turn_id\\": \\"t\\", \\"text\\": \\"x\\"}"]\n', "starting"),
        (HEADER + '[0, "m", "{\\"kind\\": \\"command\\", \\"line\\": \\"x\\"}"]\n', "starting"),
    ],
)
def test_a_bad_file_is_one_line_on_standard_error(
    text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.cast"
    path.write_text(text)
    assert replay(monkeypatch, str(path)) == 1
    captured_text = capsys.readouterr()
    assert says in captured_text.err
    assert captured_text.err.startswith("qpty: ")
    assert captured_text.err.count("\n") == 1


def test_an_input_that_never_fitted_is_one_line_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A capture that somebody edited: the menu of this one has two options."""
    path = tmp_path / "edited.cast"
    path.write_text(captured.DIRECTORY.joinpath("capacity.cast").read_text().replace('index\\": null', 'index\\": 7'))
    assert replay(monkeypatch, str(path)) == 1
    assert "edited.cast: an input doesn't fit where it stands: option 7" in capsys.readouterr().err


def test_a_missing_file_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(monkeypatch, "missing.cast") == 1
    assert capsys.readouterr().err == "qpty: missing.cast: can't be read: No such file or directory\n"


def test_a_dialect_can_be_chosen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(monkeypatch, "--dialect", "kiro-cli", cast("hello")) == 0
    assert "turn.completed" in capsys.readouterr().out
