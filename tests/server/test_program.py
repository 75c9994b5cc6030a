"""The program: started as a person starts it, with settings from its environment, and stopped by a signal."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.server.program import program, refused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab import Lab

DEMO = {"QPTY_AGENT": "demo", "QPTY_DEMO_PACE": "0"}


def test_it_answers_at_loopback_and_says_that_it_is_the_demo(tmp_path: Path) -> None:
    with program(tmp_path) as server:
        status, health, _ = server.ask("GET", "/health")
        assert (status, health["status"], health["agent"]["kind"]) == (200, "ok", "demo")
        assert not health["qcli_available"]
        status, answer, _ = server.ask("POST", "/api/v1/chat", {"message": "hello"})
        assert (status, answer["stop_reason"], answer["exact"]) == (200, "end_turn", True)
        assert answer["text"]
        assert any("demo agent: no q was found" in line for line in server.said)


@pytest.mark.real_q
def test_with_a_path_and_a_home_it_runs_that_q_as_that_person(tmp_path: Path, lab: Lab) -> None:
    with program(tmp_path, QPTY_AGENT=str(lab.q), HOME=str(lab.home)) as server:
        status, health, _ = server.ask("GET", "/health")
        assert (status, health["agent"]["kind"], health["qcli_available"]) == (200, "q", True)
        assert re.fullmatch(r"\d+\.\d+\.\d+", health["agent"]["version"])
        status, answer, _ = server.ask("POST", "/api/v1/chat", {"message": "echo it is q"})
        assert (status, answer["text"], answer["exact"]) == (200, "it is q", True)


@pytest.mark.real_q
def test_replies_are_in_chinese_where_that_is_set(tmp_path: Path, lab: Lab) -> None:
    with program(tmp_path, QPTY_AGENT=str(lab.q), HOME=str(lab.home), FORCE_CHINESE="true") as server:
        _, made, _ = server.ask("POST", "/api/v1/sessions", {"system_prompt": "Be brief, Zarathustra."})
        before = lab.log.stat().st_size
        for body in ({"message": "hello"}, {"message": "hello", "session_id": made["session_id"]}):
            assert server.ask("POST", "/api/v1/chat", body)[0] == 200
        with lab.log.open("rb") as log:
            log.seek(before)
            sent = [line.decode() for line in log]
    texts = [json.dumps(json.loads(line), ensure_ascii=False) for line in sent]
    told = [text for text in texts if "中文" in text]
    assert len(told) == 2
    assert "Zarathustra" not in told[0]
    assert "Zarathustra" in told[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_and_nothing_is_lost(tmp_path: Path, number: int) -> None:
    with program(tmp_path, **DEMO) as server:
        _, answer, _ = server.ask("POST", "/api/v1/chat", {"message": "remember blue"})
        assert server.stop(number) == 0
    with program(tmp_path, **DEMO) as server:
        path = f"/api/v1/sessions/{answer['session_id']}"
        assert server.ask("GET", path)[1]["message_count"] == 2
        _, again, _ = server.ask("POST", "/api/v1/chat", {"message": "recall", "session_id": answer["session_id"]})
        assert "blue" in again["text"]


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with program(tmp_path / "one", **DEMO) as server:
        status, said = refused(tmp_path / "other", **DEMO, PORT=str(server.port))
    assert status == 1
    told = f"qpty: cannot listen at 127.0.0.1 port {server.port}: Address already in use; "
    assert said == [told + "set HOST and PORT to an address that is free"]


def test_a_data_directory_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with program(tmp_path, **DEMO):
        status, said = refused(tmp_path, **DEMO)
    assert status == 1
    assert len(said) == 1
    assert "is in use by another qpty" in said[0]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"PORT": "eighty"}, "PORT"),
        ({"QPTY_AGENT": "/no/such/q"}, "/no/such/q"),
        ({"QPTY_DATABASE_URL": "mysql://me:hidden@here/db"}, "QPTY_DATABASE_URL"),
        ({"HOST": "no.such.host.invalid"}, "HOST"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(tmp_path: Path, setting: dict[str, str], told: str) -> None:
    status, said = refused(tmp_path, **{**DEMO, **setting})
    assert status == 1
    assert said[0].startswith("qpty: ")
    assert told in "\n".join(said)
    assert "hidden" not in "\n".join(said)
    assert "Traceback" not in "\n".join(said)


def test_at_an_open_address_a_key_is_made_and_shown_once(tmp_path: Path) -> None:
    with program(tmp_path, **DEMO, HOST="0.0.0.0") as server:  # noqa: S104
        link = server.heard("/login/").strip()
        (key,) = [line.strip() for line in server.said if line.strip().startswith("qpty_")]
        assert server.ask("GET", "/api/v1/sessions")[0] == 401
        assert server.ask("GET", "/api/v1/sessions", headers={"Authorization": f"Bearer {key}"})[0] == 200
        path = "/login/" + link.rpartition("/")[2]
        status, _, headers = server.ask("GET", path)
        assert status == 303
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert server.ask("GET", "/api/v1/sessions", headers={"Cookie": cookie})[0] == 200
        assert server.ask("GET", path)[0] == 401
        log = "\n".join(line for line in server.said if line.startswith("{"))
        assert key not in log
        assert path not in log
    written = [path for path in tmp_path.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    assert written == []
    with program(tmp_path, **DEMO, HOST="0.0.0.0") as server:  # noqa: S104
        server.heard("/login/")
        assert not any("qpty_" in line for line in server.said)
        assert server.ask("GET", "/api/v1/sessions", headers={"x-api-key": key})[0] == 200
        assert server.ask("GET", "/api/v1/sessions", headers={"Cookie": cookie})[0] == 200


def test_settings_come_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "qpty.toml").write_text('agent = "demo"\nmax_workers = 3\nsessions_base_dir = "mine"\n')
    (tmp_path / ".env").write_text("QPTY_MAX_WORKERS=2\n")
    with program(tmp_path) as server:
        assert server.ask("GET", "/health")[1]["pool"]["max_workers"] == 2
        _, made, _ = server.ask("POST", "/api/v1/sessions")
        assert (tmp_path / "mine" / made["session_id"]).is_dir()
        _, shown, _ = server.ask("GET", f"/api/v1/sessions/{made['session_id']}")
        assert shown["work_directory"] == f"mine/{made['session_id']}"


def test_the_log_has_ids_and_no_text_of_messages(tmp_path: Path) -> None:
    with program(tmp_path, **DEMO) as server:
        _, answer, headers = server.ask("POST", "/api/v1/chat", {"message": "echo Xanthippe"})
        server.ask("GET", f"/api/v1/sessions/{answer['session_id']}")
        server.stop()
        rows = [json.loads(line) for line in server.said if line.startswith("{")]
    assert "Xanthippe" not in "\n".join(server.said)
    told = {row.get("request_id"): row for row in rows if row["event"] == "request"}
    assert told[headers["X-Request-Id"]]["operation"] == "chat"
    assert any(row.get("session_id") == answer["session_id"] for row in rows)
    assert os.fspath(tmp_path) not in "\n".join(server.said)


def test_what_is_not_http_costs_one_line_of_the_log(tmp_path: Path) -> None:
    with program(tmp_path, **DEMO) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\x01b\r\n\r\n")
            assert b" 400 " in connection.recv(100)
        server.stop()
        rows = [json.loads(line) for line in server.said if line.startswith("{")]
    (told,) = [row for row in rows if "was not HTTP" in row["event"]]
    assert told["level"] == "info"
    assert "exception" not in told
