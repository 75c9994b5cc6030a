"""Measure how exact the text is that comes through the real q: final and live, over two bodies of texts.

The examples of the CommonMark specification and forty source files with tabs are sent as answers by the lab's stand-in
for the cloud. Exit status: 0, or 1 if a final text isn't exact or too few live ones are, or 2 if it can't be measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.fidelity.commonmark import SourcePackageError, examples
from tests.fidelity.sources import sources
from tests.fidelity.through_q import read_through_q
from tests.fidelity.verdicts import Corpus, report
from tests.lab import lab_directory

LEAST_LIVE: Final = 94.0
"""Percent of the specification's examples whose live text has to be exact: what q drops for good leaves 94.8."""

SESSIONS: Final = 6


def sample(texts: list[str], count: int) -> list[str]:
    """`count` of the texts, evenly spread."""
    return [texts[index * len(texts) // count] for index in range(count)]


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.fidelity", description=__doc__)
    parser.add_argument("--quick", type=int, metavar="N", help="only N texts, evenly spread; live texts aren't judged")
    parser.add_argument("--sessions", type=int, default=SESSIONS, metavar="N", help="how many at a time (%(default)s)")
    options = parser.parse_args()
    if options.sessions < 1 or (options.quick is not None and options.quick < 1):
        parser.error("N is at least 1")
    if lab_directory() is None:
        print("no real q here: set QPTY_LAB to the lab's directory", file=sys.stderr)
        return 2
    try:
        spec, code = examples(), sources()
    except SourcePackageError as error:
        print(error, file=sys.stderr)
        return 2
    if options.quick:
        of_code = min(len(code), options.quick // 4)
        spec, code = sample(spec, min(len(spec), options.quick - of_code)), sample(code, of_code)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qpty-fidelity-") as work:
        readings = read_through_q([*spec, *code], work=Path(work), sessions=options.sessions)
    corpora = [
        Corpus(
            name="CommonMark examples",
            readings=readings[: len(spec)],
            least_live=None if options.quick else LEAST_LIVE,
        ),
        Corpus(name="source files with tabs", readings=readings[len(spec) :]),
    ]
    print("\n".join(report(corpora)))
    print(f"\n{len(readings)} texts in {time.monotonic() - began:.0f} s, {options.sessions} sessions")
    shortcomings = [line for corpus in corpora for line in corpus.shortcomings()]
    print("\n".join(shortcomings), end="\n" if shortcomings else "", file=sys.stderr)
    return 1 if shortcomings else 0


if __name__ == "__main__":
    sys.exit(main())
