"""Agents for other interfaces' clients: their tools, none of the CLI's own, pictures, and a history that was brought.

Each case runs on the real q and on the demo agent. The real q's person has switched on whatever can be.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from qpty.agent.history import Exchange, cut_document
from qpty.agent.profile import Profile
from qpty.agent.provider import TerminalProvider
from qpty.agent.record import ConversationRecord
from qpty.core.events import PermissionRequested
from qpty.core.record import NO_RECORD, RecordedEntry, RecordedImage, RecordedResult, RecordedTool, RecordMark
from tests.agent.mcp_server import McpServer
from tests.captured.scenarios import FORGERIES, hooking
from tests.conftest import require_lab
from tests.lab import Lab, lab_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.agent.conftest import Bench
    from tests.agent.conversation import Conversation, Happened

TOKEN = "a-token-that-nobody-can-guess_1"
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
EXPERIMENTS = ("Knowledge", "Thinking", "TodoList", "Delegate", "TangentMode", "Checkpoint")

ONLY_Q = pytest.mark.parametrize("bench", [pytest.param("q", marks=pytest.mark.real_q)], indirect=True)
"""What the demo's model is sent can't be looked at."""

# The lab's stand-in answers with one call at a time, or with two of the same built-in tool.
STAND_IN = """
import importlib.util, json
spec = importlib.util.spec_from_file_location("backend", {path!r})
backend = importlib.util.module_from_spec(spec)
spec.loader.exec_module(backend)
plain = backend.script


def script(body):
    message = body["conversationState"]["currentMessage"]["userInputMessage"]
    word, _, rest = backend.strip(message.get("content", "")).partition(" ")
    if word != "calls" or (message.get("userInputMessageContext") or {{}}).get("toolResults"):
        return plain(body)
    return backend.text("Several. ") + [event for call in json.loads(rest) for event in backend.tool(*call)]


backend.script = script
backend.main()
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The real q, with a model that can call several tools at once and a person who tries what can be tried."""
    require_lab()
    directory, real = tmp_path_factory.mktemp("stand-in"), lab_directory()
    assert real is not None
    for file in real.iterdir():
        (directory / file.name).symlink_to(file)
    (directory / "backend.py").unlink()
    (directory / "backend.py").write_text(STAND_IN.format(path=str(real / "backend.py")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QPTY_LAB", str(directory))
        running = Lab(work=tmp_path_factory.mktemp("lab"))
        running.__enter__()
    try:
        settings = running.home / ".local/share/amazon-q/settings.json"
        settings.write_text(json.dumps({f"chat.enable{name}": True for name in EXPERIMENTS}))
        yield running
    finally:
        running.close()


class ClientTools(McpServer):
    """The server of `add`, at an address that has the session's token."""

    def __init__(self) -> None:
        super().__init__()
        self._server.app.router.add_post(f"/mcp/{TOKEN}", self._handle)


def provider_of(bench: Bench, *, tools_url: str | None = None) -> TerminalProvider:
    provider = TerminalProvider(bench.spec, server_id="test")
    provider.tools_url = tools_url
    return provider


def conversation(bench: Bench, profile: Profile, *, tools_url: str | None = None) -> Conversation:
    """A conversation with the files that the profile needs."""
    quick = {"QPTY_DEMO_PACE": "0"} if bench.kind == "demo" else {}
    bench = replace(bench, spec=replace(bench.spec, environment={**bench.spec.environment, **quick}))
    for path, content in provider_of(bench, tools_url=tools_url).files(profile, bench.directory).items():
        (bench.directory / path).parent.mkdir(parents=True, exist_ok=True)
        (bench.directory / path).write_bytes(content)
    return bench.conversation(options=profile.options())


async def call(chat: Conversation, name: str, arguments: object) -> tuple[Happened, bool]:
    """Have the model call a tool, and refuse it if it asks; what happened, and whether it asked."""
    turn = await chat.say(f"mcp {name} {json.dumps(arguments)}")
    asked = isinstance(turn.last, PermissionRequested)
    return (await chat.answer("refuse") if asked else turn), asked


def sent(lab: Lab) -> list[dict[str, Any]]:
    """What the model was sent, call by call."""
    bodies = [json.loads(line)["body"] for line in lab.log.read_text().splitlines()]
    return [body["conversationState"] for body in bodies if body]


def names_in(directory: Path) -> set[str]:
    return {
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if not str(path.relative_to(directory)).startswith(".amazonq/.subagents")  # an empty one that q itself makes
    }


def read(mode: str, *paths: object) -> dict[str, Any]:
    """An operation of fs_read."""
    if mode == "Image":
        return {"mode": mode, "image_paths": [str(path) for path in paths]}
    return {"mode": mode, "path": str(paths[0]), "pattern": "e"}


# -- the client's tools, and nobody else's


async def test_a_clients_tool_runs_unasked(bench: Bench) -> None:
    async with ClientTools() as server:
        profile = Profile(client_tools=TOKEN, builtin_tools=False)
        url = server.url
        async with conversation(bench, profile, tools_url=url) as chat:
            turn = await chat.say('mcp add {"a": 40, "b": 2}')
            assert server.calls == [{"a": 40, "b": 2}]
            assert "the sum is 42" in turn.last.text


FORBIDDEN: list[tuple[str, object]] = [
    ("execute_bash", {"command": "touch made"}),
    ("execute_bash", {"command": "ls"}),
    ("execute_bash", {"command": "touch made\ntouch made"}),
    ("fs_write", {"command": "create", "path": "made", "file_text": "x"}),
    ("fs_read", {"operations": [read("Line", "secret.txt")]}),
    ("fs_read", {"operations": [read("Directory", ".")]}),
    ("fs_read", {"operations": [read("Image", "secret.png")]}),
    ("use_aws", {"service_name": "s3", "operation_name": "ls", "parameters": {}, "region": "us-east-1", "label": "l"}),
    ("report_issue", {"title": "t"}),
    ("introspect", {"query": "what can you do"}),
    ("thinking", {"thought": "hm"}),
    ("knowledge", {"command": "show"}),
    ("todo_list", {"command": "create", "tasks": ["made"], "todo_list_description": "made"}),
    ("delegate", {"operation": "launch", "agent": "q_cli_default", "task": "touch made"}),
    ("delegate", {"operation": "list"}),
]


@pytest.mark.parametrize("attachments", [False, True])
async def test_none_of_the_clis_own_tools_does_anything(bench: Bench, attachments: bool) -> None:
    (bench.directory / "secret.txt").write_text("the secret\n")
    (bench.directory / "secret.png").write_bytes(PICTURE)
    async with conversation(bench, Profile(builtin_tools=False, attachments=attachments)) as chat:
        before = names_in(bench.directory)
        for name, arguments in FORBIDDEN:
            turn, _ = await call(chat, name, arguments)
            assert turn.last.type == "turn.completed", (name, turn.last)
            assert "status error" in turn.last.text, (name, turn.last.text)
            assert "secret" not in turn.last.text.partition("Result")[2], (name, turn.last.text)
            assert not turn.output, (name, turn.output)
        assert names_in(bench.directory) == before


@ONLY_Q
@pytest.mark.parametrize("rules", ["hooks", "toolsSettings"])
async def test_each_kind_of_rule_holds_by_itself(bench: Bench, rules: str) -> None:
    profile = Profile(builtin_tools=False)
    ((path, content),) = provider_of(bench).files(profile, bench.directory).items()
    file = bench.directory / path
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(json.loads(content) | {rules: {}}))
    async with bench.conversation(options=profile.options()) as chat:
        for name, arguments in FORBIDDEN[:4]:
            turn, asked = await call(chat, name, arguments)
            assert "status error" in turn.last.text, (name, turn.last.text)
            assert not asked, name
    assert names_in(bench.directory) == {".amazonq", ".amazonq/cli-agents", path}


@ONLY_Q
async def test_the_model_is_offered_and_told_nothing_else(lab: Lab, bench: Bench) -> None:
    (bench.directory / "README.md").write_text("context that nobody asked for\n")
    async with ClientTools() as server:
        for profile, told in (
            (Profile(client_tools=TOKEN, builtin_tools=False), None),
            (Profile(client_tools=TOKEN, builtin_tools=False, attachments=True), None),
            (Profile(client_tools=TOKEN, builtin_tools=False, system_prompt="p" * 200_000 + "END"), "END"),
        ):
            async with conversation(bench, profile, tools_url=server.url) as chat:
                await chat.say("hello")
            state = sent(lab)[-1]
            tools = state["currentMessage"]["userInputMessage"]["userInputMessageContext"]["tools"]
            offered = {tool["toolSpecification"]["name"] for tool in tools}
            assert offered == {"dummy", "add"} | ({"fs_read"} if profile.attachments else set())
            assert "nobody asked for" not in json.dumps(state)
            if told is None:
                assert state["history"] == []
            else:
                assert told in state["history"][0]["userInputMessage"]["content"]


# -- attachments


async def test_what_a_client_attached_can_be_read(bench: Bench) -> None:
    attachments = bench.directory / "attachments"
    (attachments / "sub").mkdir(parents=True)
    for path in ("x.png", "sub/y.png"):
        (attachments / path).write_bytes(PICTURE)
    (attachments / "t.txt").write_text("inside\n")
    async with conversation(bench, Profile(builtin_tools=False, attachments=True)) as chat:
        for operation in (
            read("Image", attachments / "x.png"),
            read("Image", attachments / "sub" / "y.png"),
            read("Line", "attachments/t.txt"),
        ):
            turn, asked = await call(chat, "fs_read", {"operations": [operation]})
            assert "status success" in turn.last.text, operation
            assert not asked, operation
        images = [
            entry.images for entry in ConversationRecord(bench.spec.database, bench.directory).since(NO_RECORD).entries
        ]
        assert [image for found in images for image in found] == [RecordedImage(format="png", data=PICTURE)] * 2


async def test_nothing_but_what_a_client_attached_can_be_read(bench: Bench) -> None:
    bench = replace(bench, directory=bench.directory / "a.b_c@d+e=f:g,h%i#j~k -l")
    attachments, own = bench.directory / "attachments", bench.directory
    for directory in (attachments, own / "attachments2", own / "attachment", own / "Attachments"):
        directory.mkdir(parents=True)
        (directory / "secret.png").write_bytes(PICTURE)
    for path in (own / "secret.txt", own.parent / "secret.txt"):
        path.write_text("secret\n")
    (own / "secret.png").write_bytes(PICTURE)
    (attachments / "away").symlink_to("/")
    (attachments / "away.txt").symlink_to(own / "secret.txt")
    (attachments / "away.png").symlink_to(own / "secret.png")
    operations: Sequence[Sequence[dict[str, Any]]] = [
        *([read(mode, path)] for mode in ("Line", "Search") for path in (
            "secret.txt", "../secret.txt", own / "secret.txt", "attachments/../secret.txt", "attachments/away.txt",
            f"attachments/away{own}/secret.txt", "/proc/self/cwd/secret.txt", "/proc/self/environ", "/etc/passwd",
            ".amazonq/cli-agents/qpty-session.json",
        )),
        *([read("Image", path)] for path in (
            "secret.png", own / "secret.png", attachments / ".." / "secret.png", attachments / "away.png",
            own / "attachments2" / "secret.png", own / "attachment" / "secret.png", own / "Attachments" / "secret.png",
            f"{attachments}/away{own}/secret.png",
        )),
        *([read("Directory", path) | {"depth": 3}] for path in (
            ".", "..", "/", "//", "~", own, own.parent, f"{attachments}/away/etc", f"{attachments}/..", "/tmp",
        )),
        [read("Image", attachments / "secret.png"), read("Line", "secret.txt")],
        [read("Image", attachments / "secret.png"), read("Directory", ".")],
        [read("Image", attachments / "secret.png", own / "secret.png")],
    ]  # fmt: skip
    async with conversation(bench, Profile(builtin_tools=False, attachments=True)) as chat:
        for given in operations:
            turn, _ = await call(chat, "fs_read", {"operations": given})
            assert "status error" in turn.last.text, given
            assert not turn.output, given


# -- what hooks show


def shown(turn: Happened) -> list[str]:
    """The live text of each segment."""
    deltas = turn.of("message.delta")
    segments = sorted({event.segment for event in deltas})
    return ["".join(event.text for event in deltas if event.segment == segment) for segment in segments]


def assert_exact(bench: Bench, turn: Happened, *, mark: RecordMark = NO_RECORD) -> None:
    """What was told of a turn, live too, is what the record has of it: nothing of the hooks', nothing of the CLI's."""
    said = [entry.text for entry in ConversationRecord(bench.spec.database, bench.directory).since(mark).entries]
    completed = turn.of("message.completed")
    assert [event.text for event in completed] == [text for text in said if text]
    assert shown(turn) == [event.text for event in completed]
    assert all(event.exact for event in completed)
    assert (turn.last.type, turn.last.exact) == ("turn.completed", True)
    assert turn.last.text == "\n\n".join(event.text for event in completed)


@pytest.mark.parametrize("attachments", [False, True])
async def test_a_refused_call_is_told_between_exact_texts(bench: Bench, attachments: bool) -> None:
    (bench.directory / "secret.txt").write_text("the secret\n")
    record = ConversationRecord(bench.spec.database, bench.directory)
    async with conversation(bench, Profile(builtin_tools=False, attachments=attachments)) as chat:
        mark = NO_RECORD
        for message, segments, name, arguments in (
            ("bash touch made", 2, "execute_bash", {"command": "touch made", "summary": "run touch made"}),
            ("read secret.txt", 1, "fs_read", {"operations": [{"mode": "Line", "path": "secret.txt"}]}),
            ("write made no", 2, "fs_write", {"command": "create", "path": "made", "file_text": "no"}),
            ('mcp thinking {"thought": "hm"}', 2, "thinking", {"thought": "hm"}),
        ):
            turn = await chat.say(message)
            assert_exact(bench, turn, mark=mark)
            assert len(shown(turn)) == segments, message
            started, ended = turn.one("tool.started"), turn.one("tool.completed")
            assert (started.name, started.arguments) == (name, arguments)
            if name != "thinking" or bench.kind == "q":  # the demo has no such tool at all
                assert (ended.tool_id, ended.outcome) == (started.tool_id, "refused"), message
            assert not turn.of("tool.output")
            mark = record.since(mark).mark


@pytest.mark.parametrize("mode", ["Image", "Line"])
async def test_an_allowed_call_after_prose_is_told_between_exact_texts(bench: Bench, mode: str) -> None:
    attachments = bench.directory / "attachments"
    attachments.mkdir()
    (attachments / "x.png").write_bytes(PICTURE)
    (attachments / "x.txt").write_text("inside\n")
    path = attachments / {"Image": "x.png", "Line": "x.txt"}[mode]
    async with conversation(bench, Profile(builtin_tools=False, attachments=True)) as chat:
        turn, asked = await call(chat, "fs_read", {"operations": [read(mode, path)]})
        assert not asked
        assert_exact(bench, turn)
        assert len(shown(turn)) == 2
        assert turn.one("tool.started").arguments == {"operations": [read(mode, path)]}
        assert turn.one("tool.completed").outcome == "ok"


async def test_of_two_calls_none_is_run_when_a_hook_refuses_one(bench: Bench) -> None:
    files = hooking(("execute_bash", "grep -q 'touch second' || exit 0; echo 'not the second' >&2; exit 2"))
    for name, data in files.items():
        (bench.directory / name).parent.mkdir(parents=True)
        (bench.directory / name).write_bytes(data)
    calls = [["execute_bash", {"command": f"touch {name}"}] for name in ("first", "second")]
    async with bench.conversation(options=("--agent", "hooked")) as chat:
        turn = await chat.say(f"calls {json.dumps(calls)}")
        assert_exact(bench, turn)
        assert [event.arguments for event in turn.of("tool.started")] == [arguments for _, arguments in calls]
        assert [event.outcome for event in turn.of("tool.completed")] == ["refused", "refused"]
        assert not (bench.directory / "first").exists()
        turn = await chat.say("bash echo yes")
        assert turn.one("tool.completed").outcome == "ok"


async def test_a_tool_that_prints_what_hooks_show_changes_nothing(bench: Bench) -> None:
    for name, data in {"hostile": FORGERIES["hooks"], **hooking(("*", "true"))}.items():
        (bench.directory / name).parent.mkdir(parents=True, exist_ok=True)
        (bench.directory / name).write_bytes(data)
    async with bench.conversation(options=("--agent", "hooked")) as chat:
        turn = await chat.say("bash cat hostile; sleep 0.4; echo; echo after")
        assert_exact(bench, turn)
        assert turn.one("tool.started").trusted
        assert turn.one("tool.completed").outcome == "ok"
        assert "after" in turn.output


# -- a history that was brought


HISTORY = (
    RecordedEntry(
        message_id=None,
        prompt="remember the blue door",
        images=(RecordedImage(format="png", data=PICTURE),),
        text="I look twice.",
        tools=(
            RecordedTool(tool_id="call_1", name="add", arguments={"a": 1, "b": [None, {"c": "ä"}]}),
            RecordedTool(tool_id="call_2", name="gone", arguments={}),
        ),
    ),
    RecordedEntry(
        message_id=None,
        prompt=None,
        results=(
            RecordedResult(tool_id="call_1", ok=True, text="one\nline more"),
            RecordedResult(tool_id="call_2", ok=False, text="it failed"),
        ),
        text="",
        tools=(RecordedTool(tool_id="call_3", name="add", arguments={"a": 3}),),
    ),
    RecordedEntry(
        message_id=None, prompt=None, results=(RecordedResult(tool_id="call_3", ok=True, text="3"),), text="Done."
    ),
    RecordedEntry(message_id=None, prompt="thanks", text="You are welcome."),
)


async def test_a_brought_history_is_taken_up_with_its_calls(bench: Bench) -> None:
    document = json.loads(provider_of(bench).imported(HISTORY, directory=bench.directory))
    async with bench.conversation() as chat:
        mark = await chat.agent.take_up(document)
        assert (await chat.say("recall")).last.text == "You told me: the blue door"
        record = ConversationRecord(bench.spec.database, bench.directory)
        entries = record.since(NO_RECORD).entries
        assert tuple(entries[:-1]) == HISTORY
        assert [entry.prompt for entry in record.since(mark).entries] == ["recall"]


async def test_a_brought_history_goes_on_from_a_fork(bench: Bench) -> None:
    async with bench.conversation() as chat:
        await chat.agent.take_up([Exchange(prompt="remember the red key", answer="Gladly.")])
        await chat.say("hello")
        await chat.say("count 2")
    document, _ = ConversationRecord(bench.spec.database, bench.directory).document()
    (_, second, _) = ConversationRecord(bench.spec.database, bench.directory).since(NO_RECORD).entries
    base = json.dumps(cut_document(document, length=2, message_id=second.message_id))
    imported = provider_of(bench).imported(HISTORY[3:], directory=bench.directory, base=base)
    async with bench.conversation() as chat:
        await chat.agent.take_up(json.loads(imported))
        turn = await chat.say("history")
        assert turn.last.text == "3 earlier messages: remember the red key | hello | thanks"


@ONLY_Q
async def test_the_model_is_sent_what_was_brought_once_and_in_order(lab: Lab, bench: Bench) -> None:
    async with ClientTools() as server:
        profile = Profile(client_tools=TOKEN, builtin_tools=False)
        async with conversation(bench, profile, tools_url=server.url) as chat:
            await chat.agent.take_up(json.loads(provider_of(bench).imported(HISTORY, directory=bench.directory)))
            await chat.say("hello")
    history = sent(lab)[-1]["history"]
    users = [entry["userInputMessage"] for entry in history[::2]]
    answers = [entry["assistantResponseMessage"] for entry in history[1::2]]
    assert [user["content"] for user in users] == ["remember the blue door", "", "", "thanks"]
    assert [len(user.get("images", ())) for user in users] == [1, 0, 0, 0]
    assert [user["userInputMessageContext"].get("toolResults") for user in users] == [
        None,
        [
            {"toolUseId": "call_1", "status": "success", "content": [{"text": "one\nline more"}]},
            {"toolUseId": "call_2", "status": "error", "content": [{"text": "it failed"}]},
        ],
        [{"toolUseId": "call_3", "status": "success", "content": [{"text": "3"}]}],
        None,
    ]
    assert [answer["content"] for answer in answers] == ["I look twice.", "", "Done.", "You are welcome."]
    assert [answer.get("toolUses") for answer in answers] == [
        [
            {"toolUseId": "call_1", "name": "add", "input": {"a": 1, "b": [None, {"c": "ä"}]}},
            {"toolUseId": "call_2", "name": "dummy", "input": {}},  # it is no longer on offer
        ],
        [{"toolUseId": "call_3", "name": "add", "input": {"a": 3}}],
        None,
        None,
    ]


async def test_calls_that_nobody_answered_are_cancelled_by_the_next_message(bench: Bench) -> None:
    entries = [replace(HISTORY[0], images=()), HISTORY[3]]
    document = json.loads(provider_of(bench).imported(entries, directory=bench.directory))
    async with bench.conversation() as chat:
        await chat.agent.take_up(document)
        await chat.say("hello")
    _, refused, _ = ConversationRecord(bench.spec.database, bench.directory).since(NO_RECORD).entries
    assert (refused.cancelled, refused.prompt) == (True, "thanks")
    assert [(result.tool_id, result.ok, result.text) for result in refused.results] == [
        ("call_1", False, "Tool use was cancelled by the user"),
        ("call_2", False, "Tool use was cancelled by the user"),
    ]


# -- calls that wait


async def test_the_calls_of_an_answer_are_known_while_the_first_is_held(bench: Bench) -> None:
    async with ClientTools() as server:
        profile = Profile(client_tools=TOKEN, builtin_tools=False)
        provider = provider_of(bench)
        async with conversation(bench, profile, tools_url=server.url) as chat:
            assert list(provider.last_calls(bench.directory)) == []
            server.gate.clear()
            await chat.begin('calls [["add", {"a": 1}], ["add", {"a": 2}]]')
            await asyncio.wait_for(server.called.wait(), 30)
            calls = await asyncio.to_thread(provider.last_calls, bench.directory)
            assert [(tool.name, tool.arguments) for tool in calls] == [("add", {"a": 1}), ("add", {"a": 2})]
            assert len({tool.tool_id for tool in calls}) == 2
            assert server.calls == [{"a": 1}]  # one after the other
            server.gate.set()
            turn = await chat.waits()
            assert server.calls == [{"a": 1}, {"a": 2}]
            assert [event.outcome for event in turn.of("tool.completed")] == ["ok", "ok"]
            assert list(provider.last_calls(bench.directory)) == []
