"""Tokens → lines and text for the running turn.

Which tokens matter depends on where the turn is: its echo is skipped, its answer is passed on as it is typed,
everything else is read by whole lines. Outside turns the last lines are kept, to say why a start failed or what was
said last.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from qpty.core.lines import CURSOR_HOME, ERASE_LINE, LINE_LIMIT, PASTE_OFF, PASTE_ON, LineReader
from qpty.core.turn import Phase, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from qpty.core.dialect import Dialect

KEPT_LINES: Final = 40
"""Lines printed outside turns that are kept."""


class TokenReader:
    """Reads a terminal's tokens in order into `turn`, the running one (None between turns).

    `on_accepted` is called when the line editor takes what was typed for the turn; `on_entered`, with its prompt and
    line, when it takes a line that nobody announced: one that was typed by hand, or a print of a tool.

    `loading` says that the CLI still has to tell, outside a turn, what became of the servers that it loads.
    """

    __slots__ = ("_dialect", "_kept", "_now", "_on_accepted", "_on_entered", "lines", "loading", "turn")

    def __init__(
        self,
        dialect: Dialect,
        *,
        on_accepted: Callable[[Turn], None],
        on_entered: Callable[[Turn, str], None] | None = None,
    ) -> None:
        self.lines = LineReader()
        self.turn: Turn | None = None
        self.loading = False
        self._dialect = dialect
        self._on_accepted = on_accepted
        self._on_entered = on_entered
        self._kept: deque[str] = deque(maxlen=KEPT_LINES)
        self._now = 0.0

    def read(self, tokens: list[str], now: float) -> int:
        """Read tokens; return how many were, fewer than all when the turn needs to know something before the next."""
        self._now = now
        lines = self.lines
        for index, token in enumerate(tokens):
            first = token[0]
            if lines.watching:
                lines.note(token)
            if first >= " " and first != "\x7f" and not "\x80" <= first <= "\x9f":
                self._text(token)
            elif first == "\n":
                self._line_end()
            elif first == "\r":
                lines.carriage_return()
            elif first == "\x1b":
                self._sequence(token)
            elif first == "\b":
                lines.backspace()
            if self.turn is not None and self.turn.need is not None:
                return index + 1
        return len(tokens)

    def said(self) -> str:
        """Return the kept lines, with the one that has not ended."""
        tail = self.lines.end_line().text.strip()
        if tail:
            self._kept.append(tail)
        return "\n".join(self._kept)

    def _text(self, token: str) -> None:
        turn, lines = self.turn, self.lines
        if turn is not None and turn.phase is Phase.ANSWER:
            if lines.painting:
                return  # the line editor paints its prompt
            if lines.plain:
                turn.segments.draw(token, self._now)
                return
            turn.end_answer()
            lines.restart()
        elif turn is not None and turn.phase is Phase.ECHO:
            return
        lines.draw(token)
        if lines.column > LINE_LIMIT:
            self._line_end()

    def _line_end(self) -> None:
        turn = self.turn
        line = self.lines.end_line()
        if turn is None:
            if line.text.strip():
                self._kept.append(line.text.strip())
                self._hear_of_servers(line.text)
        elif turn.phase is Phase.ANSWER:
            if not self.lines.painting:
                turn.segments.end_line()
        elif turn.phase is not Phase.ECHO:
            turn.line(line, self._now)

    def _hear_of_servers(self, text: str) -> None:
        if self._dialect.servers_loading.search(text):
            self.loading = True
        elif self._dialect.servers_settled.search(text):
            self.loading = False

    def _sequence(self, token: str) -> None:
        turn, lines = self.turn, self.lines
        if token == PASTE_ON:
            lines.paste_on()
        elif token == PASTE_OFF:
            was_on = lines.paste
            lines.paste_off()
            if turn is not None and turn.phase is Phase.ECHO and was_on:
                lines.restart()
                self._on_accepted(turn)
            elif turn is not None and was_on and self._on_entered is not None:
                self._on_entered(turn, lines.text)
        elif token == CURSOR_HOME:
            lines.cursor_home()
        elif token == ERASE_LINE:
            lines.sequence(token)
            if turn is not None:
                turn.line_erased()
        else:
            colour = lines.colour
            if lines.sequence(token) and turn is not None and turn.phase is Phase.WAITING and lines.plain:
                self._answer_begins(turn, colour)

    def _answer_begins(self, turn: Turn, colour: int | None) -> None:
        """Begin the answer if its prefix was just drawn, in its colour, with nothing but blanks before it."""
        if colour != self._dialect.answer_colour:
            return
        before, prefix, after = self.lines.text.partition(self._dialect.answer_prefix)
        if prefix and not after and not before.strip():
            self.lines.paste_off()  # the line editor is off while the model speaks, whatever a tool has printed
            self.lines.restart()
            turn.begin_answer(self._now, before=before)
