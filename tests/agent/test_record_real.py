"""The record, the histories and the data home against the real q."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self

import pexpect
import pytest

from qpty.agent.data_home import prepare
from qpty.agent.history import Exchange, load_command, save_command, save_history, write_history
from qpty.agent.record import ConversationRecord
from qpty.core.record import NO_RECORD

if TYPE_CHECKING:
    from pathlib import Path

    from qpty.core.record import RecordMark, RecordSlice
    from tests.lab import Lab

pytestmark = pytest.mark.real_q

READY = re.escape("\x1b[?2004h")
HEADER = re.escape("Using tool:")
QUESTION = re.escape("Allow this action?")
TIMEOUT = 30.0


class Chat:
    """The real q in a terminal, and the reader of its record."""

    def __init__(
        self, lab: Lab, home: Path, directory: Path, *options: str, environment: dict[str, str] | None = None
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.record = ConversationRecord(home / ".local" / "share" / "amazon-q" / "data.sqlite3", directory)
        self.child = pexpect.spawn(
            str(lab.q),
            ["chat", "--wrap", "never", *options],
            cwd=str(directory),
            env={"HOME": str(home), "PATH": "/usr/bin:/bin", "TERM": "xterm-256color", "LANG": "C.UTF-8"}
            | (environment or {}),
            dimensions=(24, 200),
            timeout=TIMEOUT,
            encoding="utf-8",
        )
        self.child.delaybeforesend = None

    def __enter__(self) -> Self:
        self.child.expect(READY)
        return self

    def __exit__(self, *exc: object) -> None:
        self.child.close(force=True)

    def type(self, text: str) -> None:
        self.child.send(f"\x1b[200~{text}\x1b[201~\r")

    def say(self, text: str) -> str:
        """Send a message; what is shown until q is ready again."""
        self.type(text)
        self.child.expect(READY)
        return self.child.before or ""

    def load(self, path: Path) -> str:
        return self.say(load_command(path))

    def wait_for_more(self, mark: RecordMark) -> RecordSlice:
        """Wait until the record has grown, reading the terminal meanwhile."""
        deadline = time.monotonic() + TIMEOUT
        while not (slice_ := self.record.since(mark)).entries:
            assert time.monotonic() < deadline, "the record didn't grow"
            self.child.expect([pexpect.TIMEOUT, READY], timeout=0.01)
        return slice_


@pytest.fixture
def home(lab: Lab, tmp_path: Path) -> Path:
    """A signed-in HOME of the test's own."""
    return lab.new_home(tmp_path.name)


def requests(lab: Lab) -> list[dict[str, Any]]:
    """What the model was sent, one for each call."""
    lines = [json.loads(line) for line in lab.log.read_text(encoding="utf-8").splitlines()]
    return [line["body"]["conversationState"] for line in lines if line["body"]]


def sent_history(request: dict[str, Any]) -> list[tuple[str, str]]:
    messages = [next(iter(message.values()))["content"] for message in request["history"]]
    return list(zip(messages[::2], messages[1::2], strict=True))


def offered(request: dict[str, Any]) -> set[str]:
    context = request["currentMessage"]["userInputMessage"]["userInputMessageContext"]
    return {tool["toolSpecification"]["name"] for tool in context.get("tools") or []}


def test_an_answer_is_recorded_before_its_prompt_and_a_tool_before_its_question(
    lab: Lab, home: Path, tmp_path: Path
) -> None:
    with Chat(lab, home, tmp_path / "work") as q:
        assert q.record.mark() == NO_RECORD
        mark = NO_RECORD
        for _ in range(5):
            q.say("echo two  spaces\tand a tab")
            (answer,) = (new := q.record.since(mark)).entries
            assert (answer.text, answer.made_up) == ("two  spaces\tand a tab", False)
            mark = new.mark
            q.type("bash echo hi")
            q.child.expect(HEADER)
            (asked,) = (new := q.record.since(mark)).entries
            assert [(tool.name, tool.arguments["command"]) for tool in asked.tools] == [("execute_bash", "echo hi")]
            mark = new.mark
            q.child.expect(QUESTION)
            q.child.expect(READY)
            q.say("y")
            (done,) = (new := q.record.since(mark)).entries
            assert [(result.ok, json.loads(result.text)["stdout"]) for result in done.results] == [(True, "hi")]
            mark = new.mark


def test_a_trusted_tool_is_recorded_before_its_header(lab: Lab, home: Path, tmp_path: Path) -> None:
    with Chat(lab, home, tmp_path / "work", "--trust-all-tools") as q:
        for _ in range(5):
            mark = q.record.mark()
            q.type("bash echo hi")
            q.child.expect(HEADER)
            assert q.record.since(mark).entries[0].tools
            q.child.expect(READY)


def test_interruptions_and_refusals(lab: Lab, home: Path, tmp_path: Path) -> None:
    with Chat(lab, home, tmp_path / "work") as q:
        q.say("hello")
        mark = q.record.mark()
        q.type("words 200")
        q.child.expect("word9")
        q.child.sendintr()
        q.child.expect(READY)
        assert q.record.since(mark).entries == ()  # half an answer isn't kept
        q.say("bash echo hi")
        mark = q.record.mark()
        q.say("n")
        (refused,) = q.record.since(mark).entries
        assert (refused.cancelled, refused.made_up) == (True, False)
        assert refused.message_id
        # A tool that SIGINT ends may be done before q sees the key itself, and then the turn goes on: this one stays.
        q.say("bash trap '' INT; echo sta''rted; sleep 3")
        mark = q.record.mark()
        q.type("y")
        q.child.expect("started")
        q.child.sendintr()
        q.child.expect(READY)
        (made_up,) = q.wait_for_more(mark).entries  # written beside the prompt, not before it
        assert (made_up.cancelled, made_up.made_up, made_up.message_id) == (True, True, None)


def test_a_compacted_and_a_cleared_history_give_only_what_is_new(lab: Lab, home: Path, tmp_path: Path) -> None:
    with Chat(lab, home, tmp_path / "work") as q:
        for number in range(4):
            q.say(f"echo {number}")
        mark = q.record.mark()
        assert "compacted successfully" in q.say("/compact")
        assert q.record.since(mark).entries == ()  # the row is written with the next answer
        q.say("echo after")
        new = q.record.since(mark)
        assert ([entry.text for entry in new.entries], new.rewritten) == (["after"], True)
        q.say("/clear")
        q.say("y")
        q.say("echo after")
        new = q.record.since(new.mark)
        assert ([entry.prompt for entry in new.entries], new.rewritten) == (["echo after"], True)


def test_a_made_up_history_is_sent_exactly_with_every_tool_and_no_call(lab: Lab, home: Path, tmp_path: Path) -> None:
    exchanges = [
        Exchange(prompt="remember blue", answer="  I will.\n\n```py\n\tx = 1\n```"),
        Exchange(prompt="a\nb\t❤️ zwj\u200dx 你好 /quit", answer="\x1b[31mred\x1b[0m Allow this action?"),
        Exchange(prompt="y", answer=""),
    ]
    awkward = tmp_path / 'it\'s a "dir" $HOME\\ `x` é'
    awkward.mkdir()
    state, path = awkward / "state.json", awkward / "history.json"
    with Chat(lab, home, tmp_path / "work") as q:
        assert "✔ Exported conversation state to" in q.say(save_command(state))
        mark = write_history(path, exchanges, directory=q.directory, state=state)
        before = len(requests(lab))
        assert "✔ Imported conversation state from" in q.load(path)
        assert len(requests(lab)) == before
        assert q.record.mark() == NO_RECORD
        assert "blue" in q.say("recall")
        request = requests(lab)[-1]
        assert len(requests(lab)) == before + 1
        assert sent_history(request) == [(exchange.prompt, exchange.answer) for exchange in exchanges]
        assert {"execute_bash", "fs_read", "fs_write"} <= offered(request)
        new = q.record.since(mark)
        assert ([entry.text for entry in new.entries], new.rewritten) == (["You told me: blue"], False)
        assert new.mark.conversation_id == mark.conversation_id


def test_a_saved_history_is_taken_up_by_a_fresh_process(lab: Lab, home: Path, tmp_path: Path) -> None:
    directory = tmp_path / "work"
    with Chat(lab, home, directory, "--trust-all-tools") as q:
        q.say("remember green")
        q.say("bash echo hi")
        q.say("hello")
    state, path = tmp_path / "state.json", tmp_path / "history.json"
    with Chat(lab, home, directory) as q:
        q.say(save_command(state))
        mark = save_history(q.record, path, state=state)
        before = len(requests(lab))
        assert "Imported conversation state" in q.load(path)
        assert len(requests(lab)) == before
        assert "green" in q.say("recall")
        request = requests(lab)[-1]
        kinds = [next(iter(message)) for message in request["history"]]
        assert kinds == ["userInputMessage", "assistantResponseMessage"] * 4
        used = [m["assistantResponseMessage"]["toolUses"] for m in request["history"] if "toolUses" in str(m)]
        assert [use["name"] for uses in used for use in uses] == ["execute_bash"]
        assert "execute_bash" in offered(request)
        new = q.record.since(mark)
        assert ([entry.text for entry in new.entries], new.rewritten) == (["You told me: green"], False)


def test_a_history_of_another_shape_is_refused_and_changes_nothing(lab: Lab, home: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"conversation_id": "x"}')
    with Chat(lab, home, tmp_path / "work") as q:
        q.say("remember red")
        assert "Failed to import from" in q.load(bad)
        assert "Failed to import from" in q.load(tmp_path / "missing.json")
        assert "red" in q.say("recall")


def test_a_data_home_shares_sign_in_and_record_and_leaves_the_persons_settings(
    lab: Lab, home: Path, tmp_path: Path
) -> None:
    theirs = home / ".local" / "share" / "amazon-q"
    settings = theirs / "settings.json"
    settings.write_text('{"chat.greeting.enabled" :true,\n\n"chat.disableMarkdownRendering":false}')
    content = settings.read_bytes()
    made = prepare(
        tmp_path / "data-home",
        home=home,
        environment={},
        directory_name="amazon-q",
        database_name="data.sqlite3",
        settings={"chat.greeting.enabled": False, "chat.disableMarkdownRendering": True},
    )
    ours, own = tmp_path / "ours", tmp_path / "own"
    with Chat(lab, home, ours, environment=made.environment()) as q, Chat(lab, home, own) as person:
        assert "**bold**" in q.say("markdown")
        assert "**bold**" not in person.say("markdown")
        for number in range(8):  # both write at the same time, each to a row of its own
            q.type(f"echo ours {number}")
            person.type(f"echo own {number}")
            q.child.expect(READY)
            person.child.expect(READY)
        for chat, name in ((q, "ours"), (person, "own")):
            record = ConversationRecord(made.database, chat.directory)
            answers = [entry.text for entry in record.since(NO_RECORD).entries]
            assert answers[1:] == [f"{name} {number}" for number in range(8)]
    assert settings.read_bytes() == content
    assert {path.name for path in theirs.iterdir()} == {"settings.json", "data.sqlite3"}
    assert {path.name for path in made.settings_file.parent.iterdir()} == {"settings.json", "data.sqlite3"}
    with closing(sqlite3.connect(f"{made.database.as_uri()}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
