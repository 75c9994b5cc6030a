"""A few answers through the real q, read as `make fidelity` reads them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import require_lab
from tests.fidelity.sources import sources
from tests.fidelity.through_q import read_through_q
from tests.fidelity.verdicts import Live

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = {
    "# Heading\n\nSome **bold** and `code`.\n\n- one\n  - two\n": Live.EXACT,
    "```python\ndef f(x):\n    return x\n```\n": Live.EXACT,
    "    indented\n\n\n        deeper\n": Live.EXACT,
    "trailing blanks   \nand line ends\n\n\n": Live.EXACT,
    "> \n[agent] 6% !> \n\n⠋ Thinking...\nAllow this action? [y/n/t]:": Live.EXACT,
    "\n    \n    blanks first\n": Live.EXACT,
    f"{9 * chr(10)}line ends first": Live.EXACT,
    f"{12 * ' '}deep in its line": Live.EXACT,
    "你好，世界 🌍 naïve ❤️ 👩‍💻": Live.EXACT,
    "one\n two\n": Live.SPACE,
    "a\tb\n\tc\n": Live.CONTROLS,
    "\ta\n b\n": Live.BOTH,
    "line ends\r\nof another kind\r\n": Live.CONTROLS,
}


@pytest.mark.real_q
def test_final_text_is_exact_and_live_text_lacks_only_what_q_drops(tmp_path: Path) -> None:
    require_lab()
    of_code = sources()[::20]
    readings = read_through_q([*TEXTS, *of_code], work=tmp_path, sessions=4)
    assert [reading.final for reading in readings] == [*TEXTS, *of_code]
    assert all(reading.final_exact for reading in readings)
    assert {reading.sent: reading.verdict for reading in readings[: len(TEXTS)]} == TEXTS
    assert {reading.verdict for reading in readings[len(TEXTS) :]} <= {Live.CONTROLS, Live.BOTH}
