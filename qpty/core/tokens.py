r"""Terminal text → tokens: runs of printable text, and control sequences each in one piece.

The grammar is that of the VT500 parser (https://vt100.net/emu/dec_ansi_parser), with these decisions:

- ESC anywhere begins anew, CAN and SUB abort; what was begun is dropped. ESC inside a string ends the string: it counts
  only when the ESC belongs to a string terminator (`ESC \`; BEL too for OSC).
- C0 controls (and DEL) inside a CSI or an escape sequence come out first, as tokens of their own; then the sequence.
- U+0080–U+009F are single tokens that mean nothing, never introducers or terminators. Modern terminals in UTF-8 mode
  ignore them or can be told to, nothing on a UTF-8 system sends them, and a stray U+009D would swallow what follows.
- A character beyond ASCII aborts a CSI or an escape sequence and is text.
- Charset selections and the like (`ESC ( B`, `ESC % @`, `ESC # 8`) are single tokens.
- Bounds: a string of more than `STRING_LIMIT` characters is dropped, and what follows it is skipped up to its
  terminator, an ESC, a CAN, a SUB or the next line feed, whichever comes first. A sequence of more than
  `SEQUENCE_LIMIT` parameter characters is dropped whole. So nothing a program prints can swallow more than
  `STRING_LIMIT` characters and the rest of one line, and nothing more than that is ever kept.

Whole chunks are cut by one compiled expression in C; only what it finds odd is looked at again, one token at a time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

STRING_LIMIT = 4096
"""The longest body of an OSC, DCS, APC, PM or SOS string, in characters."""

SEQUENCE_LIMIT = 256
"""The most parameter and intermediate characters of a CSI sequence."""

_ESCAPE_LIMIT = 16
_PIECE = 4096  # what odd text is cut into, so that rewriting it costs the same per character however much there is

_C0 = r"\x00-\x17\x19\x1c-\x1f\x7f"
_OSC = r"[^\x07\x18\x1a\x1b]"
_DCS = r"[^\x18\x1a\x1b]"
_INCOMPLETE = rf"""\x1b(?:
    \[[ -?]*
  | [ -/]*
  | \]{_OSC}{{0,{STRING_LIMIT}}}\x1b?
  | \]{_OSC}{{{STRING_LIMIT + 1}}}[^\x07\x18\x1a\x1b\n]*\x1b?
  | [PX^_]{_DCS}{{0,{STRING_LIMIT}}}\x1b?
  | [PX^_]{_DCS}{{{STRING_LIMIT + 1}}}[^\x18\x1a\x1b\n]*\x1b?
)"""
_token = re.compile(
    rf"""
    (
        [^\x00-\x1f\x7f-\x9f]+
      | [\x00-\x1a\x1c-\x1f\x7f-\x9f]
      | \x1b\[[ -?]{{0,{SEQUENCE_LIMIT}}}[@-~]
      | \x1b(?:[ -/]{{1,{_ESCAPE_LIMIT}}}[0-~] | [0-OQ-WYZ\\`-~])
      | \x1b\]{_OSC}{{0,{STRING_LIMIT}}}(?:\x07 | \x1b\\)
      | \x1b[PX^_]{_DCS}{{0,{STRING_LIMIT}}}\x1b\\
      | {_INCOMPLETE}\Z
    )
    # From here on: dropped. Too long, or aborted by what follows.
  | \x1b\[[ -?]*[@-~]?
  | \x1b[ -/]{{{_ESCAPE_LIMIT + 1},}}[0-~]?
  | \x1b\]{_OSC}{{{STRING_LIMIT + 1}}}[^\x07\x18\x1a\x1b\n]*(?:\x07 | \x1b\\)?
  | \x1b\]{_OSC}*
  | \x1b[PX^_]{_DCS}{{{STRING_LIMIT + 1}}}[^\x18\x1a\x1b\n]*(?:\x1b\\)?
  | \x1b[PX^_]{_DCS}*
  | \x1b[ -/]*
    """,
    re.VERBOSE,
)
_find = _token.findall
_incomplete = re.compile(_INCOMPLETE, re.VERBOSE)
_controls = re.compile(f"[{_C0}]")
_head = re.compile(rf"\x1b(?:[{_C0}]*\[[ -?{_C0}]*|[ -/{_C0}]*)")


class Tokeniser:
    """Cuts decoded text into tokens, whatever the pieces it comes in.

    A token is a run of printable characters (no C0, DEL or C1), one control character, or one complete sequence in its
    raw spelling. Cuts can split runs, nothing else.
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept = ""

    def feed(self, text: str) -> list[str]:
        """The tokens that `text` completes. Never raises; keeps at most `STRING_LIMIT` characters and a few."""
        if self._kept:
            text = self._kept + text
        tokens: list[str] = _find(text)
        if "" in tokens:  # something was dropped, or a control stands inside a sequence
            return self._feed_odd(text)
        self._kept = ""
        if tokens and tokens[-1][0] == "\x1b" and _incomplete.fullmatch(tokens[-1]):
            self._keep(tokens.pop())
        return tokens

    def _keep(self, begun: str) -> None:
        """Keep the beginning of a sequence: no more of it than shows that it is too long."""
        match begun[1:2]:
            case "[":
                self._kept = begun[: 2 + SEQUENCE_LIMIT + 1]
            case "]" | "P" | "X" | "^" | "_":
                body = begun.removesuffix("\x1b")
                self._kept = body[: 2 + STRING_LIMIT + 1] + begun[len(body) :]
            case _:
                self._kept = begun[: 1 + _ESCAPE_LIMIT + 1]

    def _feed_odd(self, text: str) -> list[str]:
        self._kept = ""
        tokens: list[str] = []
        for start in range(0, len(text), _PIECE):
            self._read(self._kept + text[start : start + _PIECE], tokens)
        return tokens

    def _read(self, text: str, tokens: list[str]) -> None:
        """Token by token: take the controls out of a sequence, pass over what is dropped."""
        self._kept = ""
        position = 0
        while (found := _token.match(text, position)) is not None:
            token, position = found[1], found.end()
            if token is None:
                head = _head.match(text, found.start())
                controls = _controls.findall(head[0]) if head is not None else []
                if head is not None and controls:
                    tokens += controls
                    text = _controls.sub("", head[0]) + text[head.end() :]
                    position = 0
            elif token[0] == "\x1b" and position == len(text) and _incomplete.fullmatch(token):
                self._keep(token)
            else:
                tokens.append(token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    r"""A control token, read.

    - `control`: one C0, DEL or C1 character, in `final`.
    - `csi`: `final` and `intermediates` (`"!"` in `CSI ! p`), the `private` marker (one of `<=>?` or empty) and
      `params`, each with its subparameters: `CSI 4:3;1 m` has `((4, 3), (1,))`. A missing number is 0, none is above
      9,999.
    - `escape`: `final` and `intermediates`: `ESC ( B` has `"B"` and `"("`.
    - `string`: `final` is the introducer (`]` OSC, `P` DCS, `_` APC, `^` PM, `X` SOS), `text` the body.
    - `ignored`: a CSI that breaks the grammar, such as `CSI 1 ? m`.
    """

    kind: Literal["control", "csi", "escape", "string", "ignored"]
    final: str
    params: tuple[tuple[int, ...], ...] = ()
    private: str = ""
    intermediates: str = ""
    text: str = ""

    @property
    def numbers(self) -> tuple[int, ...]:
        """The parameters without their subparameters."""
        return tuple(param[0] for param in self.params)


_csi = re.compile(r"\x1b\[([<-?]?)([0-9:;]*)([ -/]*)([@-~])")
_MAX_NUMBER = 9999
_MAX_DIGITS = 4
_CACHED_LENGTH = 64  # longer ones are rare, and each its own


def sequence(raw: str) -> Sequence:
    """What a control token says. `raw` is a token of `Tokeniser.feed` that is not text; anything else is `ignored`."""
    return _cached(raw) if len(raw) <= _CACHED_LENGTH else _parse(raw)


def _number(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits or 0) if len(digits) <= _MAX_DIGITS else _MAX_NUMBER


def _parse(raw: str) -> Sequence:
    if len(raw) == 1:
        return Sequence(kind="control", final=raw)
    if raw[:1] != "\x1b":
        return Sequence(kind="ignored", final=raw[-1:])
    introducer = raw[1]
    if introducer == "[":
        found = _csi.fullmatch(raw)
        if found is None:
            return Sequence(kind="ignored", final=raw[-1])
        private, numbers, intermediates, final = found.groups()
        params = tuple(tuple(map(_number, param.split(":"))) for param in numbers.split(";")) if numbers else ()
        return Sequence(kind="csi", final=final, params=params, private=private, intermediates=intermediates)
    if introducer in "]PX^_":
        return Sequence(kind="string", final=introducer, text=raw[2:].removesuffix("\x07").removesuffix("\x1b\\"))
    return Sequence(kind="escape", final=raw[-1], intermediates=raw[1:-1])


_cached = lru_cache(maxsize=2048)(_parse)
