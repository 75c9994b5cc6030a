"""The examples of the CommonMark specification, from the source package of markdown-it-py.

The wheel has no tests, so pip fetches the source package of the very version in the lock file, checked against its
hashes there, into `build/fidelity`. Nothing of it is ever committed.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Final

from tests.lab import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PROJECT: Final = "markdown-it-py"
MEMBER: Final = "tests/test_cmark_spec/commonmark.json"
LOCK: Final = ROOT / "requirements.lock"
CACHE: Final = ROOT / "build" / "fidelity"


class SourcePackageError(Exception):
    """The examples can't be had; the message says why and what to do."""


def examples() -> list[str]:
    """Every example of the specification, in its order: the Markdown text. Raises SourcePackageError."""
    return _read_examples(_fetch(_locked(LOCK.read_text(encoding="utf-8"), PROJECT), CACHE))


def _locked(lock: str, project: str) -> str:
    """One project's requirement in a lock file, with its hashes."""
    match = re.search(rf"^{re.escape(project)}==\S+(?: *\\\n +--hash=\S+)+", lock, re.MULTILINE)
    if match is None:
        raise SourcePackageError(f"{project} is not in the lock file with its hashes: run `make lock`")
    return match[0]


def _fetch(requirement: str, cache: Path) -> Path:
    """The source package of a locked requirement: from the cache, if its hash is in the lock, or by pip."""
    known = _find(requirement, cache)
    if known is not None:
        return known
    cache.mkdir(parents=True, exist_ok=True)
    wanted = cache / "requirement.txt"
    wanted.write_text(requirement + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", PROJECT, "--require-hashes", "--requirement", str(wanted), "--dest", str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SourcePackageError(f"pip could not fetch the source package of {PROJECT}:\n{done.stderr.strip()}")
    fetched = _find(requirement, cache)
    if fetched is None:
        raise SourcePackageError(f"pip fetched no source package of {PROJECT} with a hash of the lock file")
    return fetched


def _find(requirement: str, cache: Path) -> Path | None:
    """The package in the cache that has one of the requirement's hashes."""
    hashes = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", requirement))
    for path in sorted(cache.glob("*.tar.gz")):
        if hashlib.sha256(path.read_bytes()).hexdigest() in hashes:
            return path
    return None


def _read_examples(package: Path) -> list[str]:
    with tarfile.open(package) as archive:
        name = next((name for name in archive.getnames() if name.partition("/")[2] == MEMBER), None)
        member = archive.extractfile(name) if name is not None else None
        if member is None:
            raise SourcePackageError(f"{package.name} has no {MEMBER}: look where its examples are now")
        return [example["markdown"] for example in json.load(member)]
