r"""What is typed into q: messages, answers, menu choices and commands, as bytes for its terminal.

A message is a bracketed paste followed by Enter. q's line editor then decides what it was, and a text that is pasted as
it came could run a shell command, leave the paste, or wait for ever. `encode_prompt` closes each way (measured on q
1.19.7; the tests hold it to the real one):

    given                                   q would                       typed instead, and the change's name
    --------------------------------------  ----------------------------  ---------------------------------------------
    CR, CR LF                               read a line's end             LF: line_ends_normalised
    ESC; other C0 but tab and LF, DEL, C1   end the paste; garble the     nothing: control_characters_removed
                                            echo
    U+200B–200F, 2028–202F, 205F–206F,      delete them, *then* look at   nothing, so that the rows below see what q
    FFF0–FFFF but FFFD, E0000–E007F         the first character           sees: invisible_characters_removed
    after white space `!`, `/` or `@`       run a shell; run a command    `GUARD` before the text: guarded
                                            (or a path's rest again as a
                                            message); wait for ever
    an odd count of ``` anywhere            only add a line               a line of ``` after the text: fence_closed
    `\` at the very end                     only add a line               a space after it: backslash_closed

Everything else reaches the model as given: white space at both ends, tabs, combining characters, no normalisation.
`EncodedPrompt.sent` is exactly what is pasted, what the model is sent and what q's record holds. Encoding `sent` again
gives the same `sent`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from qpty.core.errors import EmptyPromptError, PromptEncodingError, PromptTooLongError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qpty.core.events import Answer as Answer  # part of this module's interface too

PASTE_BEGIN: Final = b"\x1b[200~"
PASTE_END: Final = b"\x1b[201~"
ENTER: Final = b"\r"

GUARD: Final = ":\n"
"""What is put before a message that q would take for a command.

A line of its own, so that every line of the message stays what it was (code, indentation, a path); one character that
means nothing to q or in Markdown. Visible on purpose: U+FEFF or U+00AD would do today, and run a shell on the day that
q deletes one character more.
"""

FENCE: Final = "```"
CLOSED_FENCE: Final = f"\n{FENCE}"
"""What is put after a message with an odd number of fences: a line of its own, so that no backticks run together."""

MAX_PROMPT_BYTES: Final = 1 << 20
"""The most UTF-8 that one message may have: 1 MiB, which q takes in whole."""

CLEAR_LINE: Final = PASTE_END + b"\x05\x15"
"""Empties an editor of one line from whatever is left in it; on an empty one it does nothing and prints nothing.

The paste end closes a paste that was cut off, Ctrl-E goes to the end of the line and Ctrl-U removes it. A leftover of n
lines needs Ctrl-U 2n - 1 times.
"""

MENU_CANCEL: Final = b"\x03"
"""Leaves a menu for the prompt. ESC and Enter are not the same: they may send the failed request again."""

MAX_MENU_MOVES: Final = 1_000
"""The most steps that a menu may be walked: no menu is so long, and what is typed stays bounded."""

_COMMAND_STARTS: Final = ("!", "/", "@")
_MENU_UP: Final = b"\x1b[A"
_MENU_DOWN: Final = b"\x1b[B"

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_INVISIBLE: Final = re.compile(
    "[\u200b-\u200f\u2028-\u202f\u205f-\u206f\ufff0-\ufffc\ufffe-\uffff\U000e0000-\U000e007f]"  # U+FFFD stays: it shows
)
_NOT_IN_A_COMMAND: Final = re.compile(rf"[\t\n\ud800-\udfff]|{_CONTROL.pattern}|{_INVISIBLE.pattern}")

PromptChange = Literal[
    "line_ends_normalised",
    "control_characters_removed",
    "invisible_characters_removed",
    "guarded",
    "fence_closed",
    "backslash_closed",
]
"""The name of one way in which what is sent differs from what was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPrompt:
    """One message, ready to be typed at a ready prompt.

    `keys` are the bytes to write; `sent` is the exact text that the model is sent and that the record will hold;
    `changes` names what differs from the text as given, in the order in which it was done: empty for most messages.
    """

    keys: bytes
    sent: str
    changes: tuple[PromptChange, ...]


def encode_prompt(text: str) -> EncodedPrompt:
    r"""Turn a message into what is typed for it, so that the model is sent the message and nothing else happens.

    A lone surrogate is refused, not replaced: what is sent must be what was given, and who cut an emoji in half should
    know. Any other text with something to see in it can be sent.

    Only for a ready prompt: at an open question every message is an answer, and `y` allows.

    Raises:
        EmptyPromptError: nothing is left to send.
        PromptTooLongError: what would be sent is longer than `MAX_PROMPT_BYTES`.
        PromptEncodingError: the text has a lone surrogate.

    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PromptEncodingError(position=error.start, code_point=ord(text[error.start])) from None

    changes: list[PromptChange] = []
    sent = text
    if "\r" in sent:
        sent = sent.replace("\r\n", "\n").replace("\r", "\n")
        changes.append("line_ends_normalised")
    sent, removed = _CONTROL.subn("", sent)
    if removed:
        changes.append("control_characters_removed")
    sent, removed = _INVISIBLE.subn("", sent)
    if removed:
        changes.append("invisible_characters_removed")

    # q trims Unicode's white space. Python's idea of it differs only in U+001C–001F, which are gone by now.
    visible = sent.strip()
    if not visible:
        raise EmptyPromptError
    if visible.startswith(_COMMAND_STARTS):
        sent = GUARD + sent
        changes.append("guarded")
    if _is_unfinished_block(sent):
        sent += CLOSED_FENCE
        changes.append("fence_closed")
    if sent.endswith("\\"):
        sent += " "
        changes.append("backslash_closed")

    data = sent.encode()
    if len(data) > MAX_PROMPT_BYTES:
        raise PromptTooLongError(limit_bytes=MAX_PROMPT_BYTES, size_bytes=len(data))
    return EncodedPrompt(keys=_paste(data), sent=sent, changes=tuple(changes))


def encode_answer(answer: Answer, letters: Mapping[str, str]) -> bytes:
    """Turn a person's answer to a tool's question into keys; `letters` are the dialect's, one for each answer.

    Raises:
        ValueError: the dialect's letter is not exactly one printable ASCII character.

    """
    letter = letters[answer]
    if len(letter) != 1 or not "!" <= letter <= "~":
        raise ValueError(f"the dialect's letter for {answer!r} must be one printable ASCII character, not {letter!r}")
    return letter.encode() + ENTER


def encode_menu(moves: int) -> bytes:
    """Choose a menu's item: `moves` steps down from the marked one (negative: up), then Enter.

    Raises:
        ValueError: more than `MAX_MENU_MOVES` steps.

    """
    if abs(moves) > MAX_MENU_MOVES:
        raise ValueError(f"a menu can be walked {MAX_MENU_MOVES} steps at most, not {moves}")
    return (_MENU_DOWN if moves > 0 else _MENU_UP) * abs(moves) + ENTER


def encode_command(line: str) -> bytes:
    """Turn a command of qpty's own, such as `/load "path"`, into keys. Never for a text that came from outside.

    q splits the line as a POSIX shell would: quote arguments accordingly.

    Raises:
        ValueError: not one line that starts with `/` and a command's name, or one that q would change or not accept: it
            has control or invisible characters or lone surrogates, an odd number of ``` or a backslash at its end.

    """
    if not re.match(r"/[a-z]", line):
        raise ValueError(f"a command starts with / and its name, not {line[:20]!r}")
    if bad := _NOT_IN_A_COMMAND.search(line):
        raise ValueError(f"a command is one line without control or invisible characters: {bad[0]!r} at {bad.start()}")
    if _is_unfinished_block(line) or line.endswith("\\"):
        raise ValueError("a command with an odd number of ``` or with a backslash at its end is never accepted")
    return _paste(line.encode())


def _is_unfinished_block(text: str) -> bool:
    """Whether q would wait for the end of a code block: it counts every ``` anywhere, runs of backticks by threes."""
    return text.count(FENCE) % 2 == 1


def _paste(data: bytes) -> bytes:
    return PASTE_BEGIN + data + PASTE_END + ENTER
