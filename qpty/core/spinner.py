r"""The spinner's frames, lifted out of the text before anything else reads it.

The CLI waits on one thread and writes on another. A frame is four writes (`\r`, the frame character, a space, the
words), and whatever the other thread writes can land before, after or between them; a frame can land inside an escape
sequence that the other thread writes in pieces. Drawn as they come, frames would tear sequences apart and stand in the
text.

What counts as a frame:

- `\r`, one or more frame characters, a space and one of the words, with nothing between: by far the most;
- the same with output of the other thread between the parts: it is passed on, the frame's own characters are not.
  Inside the words only sequences that a line editor or a colour change writes can stand (`CSI … h`, `l`, `m`, whole or
  broken off);
- a frame whose `\r` was already passed on because text followed it: for the next `REACH` characters a frame may still
  go on. The `\r` stays in the output; it moves the cursor to where the CLI's other thread already is.

A `\r` before `\n` never begins a frame, so a line of an answer that looks like a frame stays text; neither does one
that is followed by a cursor movement or an erasure, as in a painted prompt.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

REACH = 128
"""How many characters of other output a frame can be torn apart by, between two of its parts."""

_SWITCH = r"\x1b\[[0-?]{0,32}[hlm]"
_BEGUN = r"\x1b(?:\[[0-?]{0,32})?"
_FOREIGN = rf"(?:{_SWITCH}){{0,8}}(?:{_BEGUN})?"
_MOVEMENT = r"\x1b\[[0-?]{0,64}[ -/]{0,4}[@-gi-kn-~]"
_LONE_RETURN = r"\r(?!\n)"

_return = re.compile(_LONE_RETURN)
_return_and_more = re.compile(rf"\r{_FOREIGN}\Z")


_ATOM = re.compile(r"\{n\}|\x1b\[[0-?]*[@-~]|.", re.DOTALL)
_NUMBER = r"\d{1,4}"


def _spelled(word: str, gap: str = "") -> str:
    """A pattern for a word, with a gap between its characters; none beside a number or a sequence of its own.

    There a gap could be matched in many ways, and what a tool prints would cost much.
    """
    parts: list[str] = _ATOM.findall(word)
    pattern = ""
    for before, part in zip(["", *parts], parts, strict=False):
        pattern += gap if len(before) == len(part) == 1 else ""
        pattern += _NUMBER if part == "{n}" else re.escape(part)
    return pattern


class _Undecided(Exception):  # noqa: N818 - not an error: more text is needed to decide
    """What stands at the end may become a frame."""


class FrameLifter:
    """Takes spinner frames out of decoded text, whatever the pieces it comes in.

    `frames` are the animation's pictures; every character of theirs counts as a frame character, so both `"⠋"` and
    `"▰▰▱"` are fine. `words` are the texts that follow, such as `"Thinking..."`: they may have whole escape sequences,
    and `{n}` in one stands for a number. None may begin with another, since a piece that ends with the shorter could
    then not be decided. Without frames or words all text passes unchanged.

    Raises ValueError for an empty word and for words of which one begins with another.
    """

    __slots__ = ("_event", "_frame", "_head", "_held", "_reach", "_run", "_stop", "_word")

    def __init__(self, frames: Sequence[str], words: Sequence[str]) -> None:
        for word in words:
            if not word:
                raise ValueError("a spinner's word must not be empty: remove it from the dialect")
            for other in words:
                if word != other and word.startswith(other):
                    raise ValueError(f"the spinner's word {word!r} begins with {other!r}: leave only one of them")
        self._held = ""
        self._reach = 0
        characters = "".join(re.escape(character) for character in sorted(set("".join(frames))))
        if not characters or not words:
            self._frame: re.Pattern[str] | None = None
            return
        pictures = f"[{characters}]"
        self._frame = re.compile(rf"{pictures}{{1,16}} (?:{'|'.join(map(_spelled, words))})")
        self._run = re.compile(rf"{pictures}{{1,16}}")
        self._head = re.compile(rf"\r({_FOREIGN})(?={pictures})")
        # A sequence broken off inside the words seems to end with their next letter: such a letter says nothing.
        finals = "".join(sorted(set("@ABCDEFGHJKLMPSTXZ") - set("".join(words))))
        self._stop = re.compile(rf"{_LONE_RETURN}|{pictures}|\x1b\[[0-?]{{0,64}}[ -/]{{0,4}}[{finals}]")
        self._event = re.compile(
            rf"{_LONE_RETURN}|{pictures}|{_MOVEMENT}|(?P<begun>\x1b(?:\[[0-?]{{0,64}}[ -/]{{0,4}})?\Z)"
        )
        self._word = re.compile("|".join(_spelled(word, f"({_FOREIGN})") for word in words))

    def feed(self, text: str) -> str:
        """The text without frames. What may be the beginning of a frame is held back for the next call or `flush`.

        The joined results don't depend on how the text was cut. At most some 600 characters are held back.
        """
        if self._frame is None:
            return text
        if not self._held and not self._reach and _return.search(text) is None:
            return text
        text = self._held + text
        passed: list[str] = []
        start = position = 0
        reach = self._reach  # where, in `text`, a frame whose `\r` was passed on can no longer go on
        held = len(text)
        while True:
            found = (self._event if position < reach else _return).search(text, position)
            if position < reach and (found is None or found.start() >= reach):
                if reach >= len(text):
                    break
                position, reach = reach, 0
                continue
            if found is None:
                break
            at = found.start()
            if text[at] == "\x1b":
                if found.lastgroup == "begun":
                    held = at
                    break
                position, reach = found.end(), 0
                continue
            try:
                frame = self._frame_at(text, at)
            except _Undecided:
                held = at
                break
            if frame is None:
                if text[at] == "\r":
                    reach = at + 1 + REACH
                position = at + 1
                continue
            end, kept = frame
            passed += (text[start:at], kept)
            start = position = end
            reach = 0
        self._held = text[held:]
        self._reach = max(0, reach - held)
        passed.append(text[start:held])
        return "".join(passed)

    def flush(self) -> str:
        """What was held back, as text: the input has ended, or its reader can't wait for more."""
        held, self._held, self._reach = self._held, "", 0
        return held

    def _frame_at(self, text: str, at: int) -> tuple[int, str] | None:
        """The end of the frame that begins at `at` and what stood inside it; None where none begins there."""
        assert self._frame is not None  # noqa: S101 - `feed` has looked
        kept = ""
        if text[at] == "\r":
            head = self._head.match(text, at)
            if head is None:
                if _return_and_more.match(text, at):
                    raise _Undecided
                return None
            kept, at = head[1], head.end()
        whole = self._frame.match(text, at)
        if whole is not None:
            return whole.end(), kept
        run = self._run.match(text, at)
        if run is None:
            return None
        at = run.end()
        limit = at + REACH
        complete = len(text) >= limit
        stop = self._stop.search(text, at, limit)
        word = self._word.search(text, at, limit)
        if stop is not None and (word is None or stop.start() < word.end()):
            if not complete and stop.group() == "\r" and stop.end() == len(text):
                raise _Undecided  # a line end, perhaps
            return None
        if word is None:
            if not complete:
                raise _Undecided
            return None
        gap = text[at : word.start()]
        space = len(gap) - 1 if gap.endswith(" ") else gap.find(" ")
        if space < 0:
            return None
        return word.end(), kept + gap[:space] + gap[space + 1 :] + "".join(filter(None, word.groups()))
