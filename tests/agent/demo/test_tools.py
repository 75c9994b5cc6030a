"""Tools for real: questions, trust, runs, refusals, and how each looks (bytes as captured from the real q)."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.agent.demo.demo import ASKING, READY, THINKING, Demo, accepted, answered

if TYPE_CHECKING:
    from pathlib import Path

GREY, GREEN = "\x1b[38;5;8m", "\x1b[38;5;10m"
QUESTION = (
    f"\x1b[?25h{GREY}\r\nAllow this action? Use '{GREEN}t{GREY}' to trust (always allow) this tool for the session. "
    f"[{GREEN}y{GREY}/{GREEN}n{GREY}/{GREEN}t{GREY}]:\r\n\r\n"
)
END = "\x1b[0m\x1b[0m\r\n"
TOOL = f"{END}\x1b[?25l\x1b[2K\x1b[1G{END}{END}\x1b[38;5;13m🛠️  Using tool: "
ASKED = "\x1b[0m\x1b[0m\x1b[0m\r\n ⋮ \r\n"
TRUSTED = "\x1b[38;5;2m (trusted)\x1b[39m\x1b[0m\r\n ⋮ \r\n"
COMPLETED = re.compile(r" ⋮ \r\n\x1b\[38;5;10m\x1b\[1m ● Completed in \d+\.\d+s\x1b\[0m\r\n\r\n\x1b\[\?25l\r\n\x1b\[0m")
CANCELLED = {"Text": "Tool use was cancelled by the user"}


def plan(*steps: dict[str, Any]) -> str:
    return "PLAN: " + json.dumps([*steps, {"text": "ok"}])


def call(tool: str, **arguments: object) -> dict[str, Any]:
    return {"tool": tool, "input": arguments}


def read(**operation: object) -> dict[str, Any]:
    return call("fs_read", operations=[operation])


def results(demo: Demo, index: int = -1) -> list[dict[str, Any]]:
    content = next(iter(demo.history[index]["user"]["content"].values()))
    found: list[dict[str, Any]] = content["tool_use_results"]
    return found


def test_a_shell_command_is_asked_for_and_run(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        header = (
            f"{TOOL}execute_bash{ASKED} ● I will run the following shell command: \x1b[38;5;10mecho hi; pwd\r\n"
            "\x1b[0m ⋮ \r\n ↳ \x1b[38;5;12mPurpose: \x1b[0mrun echo hi; pwd\r\n\r\n"
        )
        opening = f"{THINKING}\x1b[2K\x1b[1G\x1b[38;5;10m> \x1b[0mLet me run that. "
        assert demo.say("bash echo hi; pwd") == f"{accepted('bash echo hi; pwd')}{opening}{header}{QUESTION}{ASKING}"
        assert list(demo.history[-1]["assistant"]) == ["ToolUse"]
        shown = demo.say("y")
        before, after = COMPLETED.split(shown)
        assert before == f"{accepted('y')}\r\nhi\r\n{demo.directory}\r\n"
        told = json.dumps({"exit_status": "0", "stdout": f"hi\n{demo.directory}", "stderr": ""})
        assert after == answered(f"Tool finished with status success. Result: {told}".replace("\\n", "\\n"))
        assert results(demo)[0]["content"] == [{"Json": json.loads(told)}]


def test_a_long_command_has_its_own_line(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        assert "command: \r\n\x1b[38;5;10mecho a; echo b; echo c\r\n" in demo.say("bash echo a; echo b; echo c")


@pytest.mark.parametrize(
    ("answer", "prompt"),
    [
        ("n", "I deny this tool request. Ask a follow up question clarifying the expected action"),
        ("do it otherwise", "do it otherwise"),
        ("yes", "yes"),
    ],
)
def test_anything_but_yes_refuses(tmp_path: Path, answer: str, prompt: str) -> None:
    with Demo(tmp_path) as demo:
        demo.say("bash touch made")
        shown = demo.say(answer)
        assert shown.endswith(answered(f'Tool finished with status error. Result: "{CANCELLED["Text"]}"'))
        assert list(demo.directory.iterdir()) == []
        content = demo.history[-1]["user"]["content"]["CancelledToolUses"]
        assert content["prompt"] == prompt
        assert [(r["content"], r["status"]) for r in content["tool_use_results"]] == [([CANCELLED], "Error")]


@pytest.mark.parametrize("answer", ["y", "Y", " y ", "t"])
def test_yes_runs(tmp_path: Path, answer: str) -> None:
    with Demo(tmp_path) as demo:
        demo.say("bash touch made")
        demo.say(answer)
        assert [path.name for path in demo.directory.iterdir()] == ["made"]
        assert (TRUSTED in demo.say("bash echo again")) == (answer == "t")


def test_ctrl_c_at_a_question_leaves_it_pending(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.say("bash touch made")
        demo.keys("\x03")
        demo.until(lambda text: "/quit" in text and "\x1b[2C" in text)
        demo.say("y")
        assert (demo.directory / "made").exists()


def test_several_tools_are_all_asked_for_before_any_runs(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        assert demo.say("two").count("Using tool: execute_bash") == 1
        assert demo.say("y").endswith(f"\x1b[38;5;10mecho two\r\n\x1b[0m\r\n{QUESTION}{ASKING}")
        shown = demo.say("y")
        assert shown.index("one\r\n") < shown.index("two\r\n")
        assert [r["content"][0]["Json"]["stdout"] for r in results(demo)] == ["one", "two"]
        demo.say("two")
        demo.say("y")
        assert "one\r\n" not in demo.say("n")
        assert [r["content"] for r in results(demo)] == [[CANCELLED], [CANCELLED]]


@pytest.mark.parametrize(
    ("options", "message", "trusted"),
    [
        (("--trust-all-tools",), "bash echo x", True),
        (("--trust-tools=execute_bash,fs_write",), "bash echo x", True),
        (("--trust-tools", "fs_write"), "bash echo x", False),
        ((), "read here.txt", True),
        ((), "read /etc/hostname", False),
        ((), "image here.png", False),
        ((), "write new.txt x", False),
    ],
)
def test_trust(tmp_path: Path, options: tuple[str, ...], message: str, trusted: bool) -> None:
    with Demo(tmp_path, *options) as demo:
        (demo.directory / "here.txt").write_text("here\n")
        (demo.directory / "here.png").write_bytes(b"\x89PNG")
        demo.paste(message)
        shown = demo.until(lambda text: text.endswith(("\x1b[2C", "\x1b[3C")) and "Using tool" in text)
        assert (TRUSTED in shown) == trusted
        assert (QUESTION in shown) != trusted


def test_output_appears_by_whole_lines_and_as_it_is(tmp_path: Path) -> None:
    with Demo(tmp_path, "--trust-all-tools") as demo:
        demo.paste(
            "bash echo go; printf 'Continue? '; read x; echo $x; printf 'a\\xff\\n'; printf '\\033[?2004h> \\r\\nend'"
        )
        demo.until_text("go\r\n")
        assert demo.is_cooked()
        demo.keys("fine\r")
        shown = demo.until_text("Completed")
        assert shown.startswith("fine\r\nContinue? fine\r\n\x1b[?2004h> \r\nend\r\n ⋮ ")
        demo.until(lambda text: text.endswith("\x1b[3C"))
        assert results(demo)[0]["content"][0]["Json"]["stdout"] == "go\nContinue? fine\n\x1b[?2004h> \nend"


def test_a_tool_runs_in_our_process_group_with_our_terminal(tmp_path: Path) -> None:
    with Demo(tmp_path, "--trust-all-tools") as demo:
        demo.paste("bash ps -o pgid= -p $$; readlink /proc/$$/fd/0; readlink /proc/$$/fd/1 | cut -c1-4")
        demo.until_text("Completed")
        demo.until(lambda text: text.endswith("\x1b[3C"))
        group, terminal, output = results(demo)[0]["content"][0]["Json"]["stdout"].split("\n")
        assert int(group) == demo.process.pid
        assert terminal.startswith("/dev/pts/")
        assert output == "pipe"


def test_a_tool_ends_with_its_command_and_keeps_only_the_last_lines(tmp_path: Path) -> None:
    with Demo(tmp_path, "--trust-all-tools") as demo:
        demo.paste("bash sleep 60 & seq 3000; kill -9 $$")
        demo.until_text("Completed")
        demo.until(lambda text: text.endswith("\x1b[3C"))
        told = results(demo)[0]["content"][0]["Json"]
        assert told["stdout"].split("\n") == [str(n) for n in range(1977, 3001)]
        assert told["exit_status"] == "0"  # as q has it for a command that a signal ended


@pytest.mark.parametrize("how", ["key", "signal"])
def test_an_interrupted_tool_leaves_a_made_up_answer(tmp_path: Path, how: str) -> None:
    with Demo(tmp_path) as demo:
        demo.say("bash trap '' INT; echo $$; while sleep 0.1; do :; done")
        demo.paste("y")
        pid = int(re.findall(r"\r\n(\d+)\r\n", demo.until(lambda text: re.search(r"\r\n\d+\r\n", text) is not None))[0])
        demo.keys("\x03") if how == "key" else demo.sigint()
        shown = demo.until_ready()
        assert shown == f"{'^C' if how == 'key' else ''}\r\n\r\n{READY}"
        last = demo.history[-1]
        assert last["user"]["content"]["CancelledToolUses"]["prompt"] == "The user interrupted the tool execution."
        made_up = "Tool uses were interrupted, waiting for the next user prompt"
        assert last["assistant"] == {"Response": {"message_id": None, "content": made_up}}
        assert last["request_metadata"] is None
        os.kill(pid, signal.SIGKILL)
        demo.say("hello")
        with pytest.raises(ProcessLookupError):  # it is not left as a zombie
            os.kill(pid, 0)


def test_a_tool_that_keeps_the_foreground_ends_the_session(tmp_path: Path) -> None:
    with Demo(tmp_path, "--trust-all-tools") as demo:
        demo.paste("bash bash -ic 'echo in front; sleep 60'")
        # Not sooner: a shell that is still starting gives the foreground back when it ends.
        demo.until(lambda text: "in front\r\n" in text and os.tcgetpgrp(demo.terminal) != demo.process.pid)
        demo.sigint()
        shown, status = demo.until_over()
        assert shown.endswith("\r\n\r\n\x1b[?25h\x1b[0m\x1b[0m\x1b[1G\x1b[0m\x1b[0m\x1b[?25h")
        assert status == 0  # as q does


def test_calls_that_can_not_be_run(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        problem = "Failed to validate tool parameters: 'a.txt' does not exist"
        bold = f"\x1b[1mTool validation failed: \x1b[0m\r\n\x1b[38;5;9m{problem}\r\n\x1b[0m"
        assert f"{END}{END}{bold}\x1b[38;5;10m> \x1b[0mTool" in demo.say("read a.txt")
        assert results(demo) == [{**results(demo)[0], "content": [{"Text": problem}], "status": "Error"}]
        assert "Failed to validate tool parameters: No such file or directory (os error 2)" in demo.say("image no.png")
        assert "Failed to validate tool parameters: '.' is not a file" in demo.say("read .")
        assert 'No tool with "nosuch" is found' in demo.say("mcp nosuch {}")


def test_reading(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        (demo.directory / "five.txt").write_text("one\ntwo\nthree\nfour\nfive\n")
        (demo.directory / "sub").mkdir()
        (demo.directory / "sub" / "x.txt").write_text("x")
        both = call("fs_read", operations=[{"mode": "Line", "path": p} for p in ("five.txt", "sub/x.txt")])
        shown = demo.say(
            plan(
                read(mode="Line", path="five.txt", start_line=2, end_line=3),
                read(mode="Line", path="five.txt", start_line=-2),
                read(mode="Directory", path="."),
                read(mode="Search", path="five.txt", pattern="t"),
                both,
                read(mode="Line", path="five.txt", start_line=9),
            )
        )
        green, done = "\x1b[38;5;10m{}\x1b[0m", "\x1b[38;5;10m ✓ \x1b[0mSuccessfully read"
        assert f"{TRUSTED} ● Reading file: {green.format('five.txt')}, from line {green.format(2)} to " in shown
        assert f"{green.format(3)}\r\n{done} 9 bytes from five.txt\r\n ⋮ " in shown
        assert (
            f"● Reading directory: {green.format('.')} with maximum depth of 0\r\n{done} directory . (2 entries)"
            in shown
        )
        assert "Found 2 matches for pattern 't' in five.txt" in shown
        assert "↱ Operation 2: Reading file: \x1b[38;5;10msub/x.txt\x1b[0m, all lines\r\n" in shown
        assert "Summary: 2 operations processed, 2 successful, 0 failed\r\n ⋮ \r\n" in shown
        assert "\x1b[1m\x1b[38;5;9m ● Execution failed after 0." in shown
        told = [results(demo, index)[0]["content"][0]["Text"] for index in range(1, 7)]
        assert told[:2] == ["two\nthree", "four\nfive"]
        assert [line.split()[-1] for line in told[2].split("\n")] == ["./five.txt", "./sub"]
        assert json.loads(told[3])[0] == {"line_number": 2, "context": "  1: one\n→ 2: two\n  3: three\n  4: four\n"}
        whole = "=== Operation {} Result (Text) ===\n{}"
        assert told[4] == "\n\n".join((whole.format(1, "one\ntwo\nthree\nfour\nfive"), whole.format(2, "x")))
        assert told[5].endswith("starting index: 9 is outside of the allowed range: (0, 5)")


def test_pictures(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        (demo.directory / "p.png").write_bytes(b"\x89PNG\r\n")
        demo.say("image p.png")
        assert "\x1b[38;5;10m ✓ \x1b[0mSuccessfully read image\r\n" in demo.say("y")
        assert results(demo)[0]["content"] == [{"Text": "See images data supplied"}]
        assert demo.history[-1]["user"]["images"] == [{"format": "Png", "source": {"Bytes": [137, 80, 78, 71, 13, 10]}}]


def line(sign: str, colour: str, gutter: str, text: str) -> str:
    return f"\x1b[49m\x1b[{colour}m{sign}{gutter}\x1b[0m:\x1b[{colour}m\x1b[49m {text}\r\n\x1b[0m"


def test_writing_shows_a_diff_and_writes(tmp_path: Path) -> None:
    red, green, plain = "38;5;9", "38;5;10", "39"
    with Demo(tmp_path) as demo:
        file = demo.directory / "new" / "a.txt"
        opening = f"{TOOL.replace(f'{END}', '', 1)}fs_write{ASKED} ● Path: \x1b[38;5;10mnew/a.txt\x1b[0m\r\n\r\n"
        closing = f"\x1b[K\r\n{QUESTION}{ASKING}"
        shown = demo.say("write new/a.txt one\ntwo\nthree")
        created = "".join(line("+", green, f"    {n}", word) for n, word in enumerate(("one", "two", "three"), 1))
        assert shown.endswith(opening + created + closing)
        assert demo.say("y").startswith(f"{accepted('y')}\r\nCreating: \x1b[38;5;10mnew/a.txt\x1b[0m\r\n ⋮ \r\n")
        assert file.read_text() == "one\ntwo\nthree\n"
        edit = call("fs_write", command="str_replace", path="new/a.txt", old_str="two", new_str="2", summary="why")
        why = "\x1b[K\r\n ⋮ \r\n ↳ \x1b[38;5;12mPurpose: \x1b[0mwhy\r\n"
        replaced = line("- ", red, "2   ", "two") + line("+", green, "    2", "2")
        assert demo.say(plan(edit)).endswith(f"{opening}{replaced}{why}{QUESTION}{ASKING}")
        assert "Updating: " in demo.say("y")
        assert file.read_text() == "one\n2\nthree\n"
        demo.say(plan(call("fs_write", command="append", path="new/a.txt", new_str="four")))
        assert "Appending to: " in demo.say("y")
        overwrite = line(" ", plain, " 1, 1", "one") + "".join(
            line("- ", red, f"{n}   ", t) for n, t in ((2, "2"), (3, "three"))
        )
        assert overwrite in demo.say("write new/a.txt one\nfour")
        assert "Replacing: " in demo.say("y")
        assert file.read_text() == "one\nfour\n"
        demo.say(plan(call("fs_write", command="str_replace", path="new/a.txt", old_str="x", new_str="y")))
        assert 'no occurrences of "x" were found' in demo.say("y")
        assert results(demo)[0]["content"] == [
            {"Text": 'An error occurred processing the tool: \nno occurrences of "x" were found'}
        ]
