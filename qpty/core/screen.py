"""The screen that a person would see: `pyte.Screen`, made right where pyte 0.8.2 is not, and quick.

What differs from pyte's own screen, beside speed:

- a line is a list of `columns` cells, so text is one slice assignment and a scrolled line one list operation;
- it reads tokens (`qpty.core.tokens`) by pyte's own tables and a few more, and never raises whatever they say;
- zero-width characters join the cell before them; a wide character that doesn't fit goes to the next line; a half of a
  wide character that was overwritten shows as a space;
- colours with subparameters (`4:3`, `38:2::1:2:3`), underline colours, 24-bit values out of range;
- the alternate screen, bracketed paste, saved cursors as terminals have them (one, not a stack), `SU SD REP CHT CBT
  SCOSC DECSTR`, moves outside the margins, `NEL`;
- what a hostile program could make expensive isn't: reverse video is a flag of the whole screen, column mode (132) is
  ignored, repetitions end with the line;
- charsets other than UTF-8 are ignored, as pyte does in UTF-8 mode, so that a binary printed by mistake can't turn the
  letters that follow into line drawing; nothing is ever answered to the program (device reports).

Known and kept from pyte: an erased cell takes all of the cursor's attributes, and a cursor behind the last column
erases nothing. `dirty` isn't kept.
"""

from __future__ import annotations

import unicodedata
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pyte
import pyte.screens
from pyte import modes
from pyte.screens import Char, Cursor, Margins

from qpty.core.cells import BLANK, MAX_CACHED, Style, Widths, rendition
from qpty.core.tokens import sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qpty.core.tokens import Sequence

MAX_COLUMNS = 1000
MAX_LINES = 1000
"""The largest size: a resize beyond it is an error, not a request for memory."""

MAX_TITLE = 256
"""What is kept of a window title, in characters."""

MAX_JOINED = 16
"""The most code points that one cell holds; further zero-width characters are dropped."""

_STUB = ""  # the right half of a wide character

_MAX_STYLES = 256
_BRACKETED_PASTE = 2004
_ALTERNATE = {47, 1047, 1049}
_SAVE_CURSOR = {1048, 1049}
_PRIVATE_MODES = {mode >> 5 for mode in (modes.DECTCEM, modes.DECOM, modes.DECAWM, modes.DECSCNM)}
_PUBLIC_MODES = {modes.IRM, modes.LNM}

_ARITY = {"cursor_position": 2, "set_margins": 2, "save_cursor": 0, "restore_cursor": 0}
"""How many parameters a handler takes, where it isn't one."""

_TAKES_PRIVATE = {"J", "K"}  # selective erasure: as plain erasure, since nothing here is protected
_OURS = {
    "`": "cursor_to_column",
    "b": "repeat",
    "I": "tab_forward",
    "S": "scroll_up",
    "T": "scroll_down",
    "Z": "tab_back",
    "s": "save_cursor",
    "u": "restore_cursor",
}
_UNANSWERED = {"c", "n"}
_CSI = {final: name for final, name in {**pyte.Stream.csi, **_OURS}.items() if final not in _UNANSWERED}
_ESCAPE = {**pyte.Stream.escape, "E": "next_line"}
_SHARP = pyte.Stream.sharp
_BASIC = {raw: name for raw, name in pyte.Stream.basic.items() if raw not in "\x0e\x0f"}

_ROW_FINALS = frozenset("CDGKPX@a`'m")
_ROW_CONTROLS = frozenset("\r\n\t\b\x07\x00\x7f")
_RESETS = frozenset({"\x1b[m", "\x1b[0m", "\x1b[0;0m", "\x1b[00m"})


_widths = Widths()
_width_of = _widths.__getitem__
_NARROW = {1}


class _Saved(NamedTuple):
    """What DECSC keeps."""

    x: int
    y: int
    attributes: Char
    origin: bool
    wrap: bool


class Screen(pyte.Screen):
    """A screen of `columns` × `lines` cells, painted by `apply`.

    `buffer[y][x]` is a `pyte.screens.Char`; `data` is empty in the right half of a wide character. `bracketed_paste`,
    `alternate` and `reversed` are the modes 2004, 47/1047/1049 and 5. `title` is the window's title, printable and
    short.

    Raises ValueError for a size below 1 × 1 or above `MAX_COLUMNS` × `MAX_LINES`.
    """

    default_char = BLANK  # a constant: reverse video is a flag of the whole screen here
    buffer: list[list[Char]]  # type: ignore[assignment]
    bracketed_paste: bool
    _main: list[list[Char]] | None  # while the alternate screen is shown
    _saved: dict[bool, _Saved]
    _style: Style
    _plain: bool  # neither insert mode nor wrapping off

    def __init__(self, columns: int, lines: int) -> None:
        check_size(columns, lines)
        self._actions: dict[str, Callable[[], object]] = {}
        self._rows_only: dict[str, bool] = {}
        self._styles: dict[Char, Style] = {}
        super().__init__(columns, lines)

    # Reading tokens.

    def apply(self, tokens: Iterable[str]) -> None:
        """Paint tokens, in order. Never raises, whatever they are.

        Lines that are sure to have scrolled away by the end of a run of plain output aren't painted.
        """
        tokens = tokens if isinstance(tokens, list) else list(tokens)
        enough = 2 * self.lines
        painted = start = 0
        if len(tokens) > enough:
            known = self._rows_only
            stops = [
                at for at, raw in enumerate(tokens) if raw < " " and not known.get(raw) and not self._row_only(raw)
            ]
            for stop in (*stops, len(tokens)):
                if stop - start > enough:
                    self._paint(tokens[painted:start])
                    painted = self._skip(tokens, start, stop)
                start = stop + 1
        self._paint(tokens[painted:] if painted else tokens)

    def _paint(self, tokens: list[str]) -> None:
        actions = self._actions
        draw = self.draw
        for raw in tokens:
            if raw >= " ":
                draw(raw)
            elif (action := actions.get(raw)) is not None:
                action()
            else:
                self._act(raw)

    def _row_only(self, token: str) -> bool:
        """Whether a control token changes nothing but the cursor's line, its column and its attributes; or feeds."""
        if len(self._rows_only) >= MAX_CACHED:
            self._rows_only.clear()
        said = sequence(token)
        known = self._rows_only[token] = token in _ROW_CONTROLS or (
            said.kind == "csi" and not said.intermediates and not said.private and said.final in _ROW_FINALS
        )
        return known

    def _skip(self, tokens: list[str], start: int, stop: int) -> int:
        """Where to begin painting `tokens[start:stop]`, which are row-only: what is before scrolls away. Moves there.

        From a carriage return on the last line on, as many line feeds as there are lines push out all that was there.
        """
        if self.margins is not None or modes.LNM in self.mode:
            return start
        feeds = 0
        begin = stop
        while feeds < self.lines:
            begin -= 1
            if begin < start:
                return start
            if tokens[begin] == "\n":
                feeds += 1
        while tokens[begin] != "\r":
            begin -= 1
            if begin < start:
                return start
        if self.cursor.y + tokens[start:begin].count("\n") < self.lines - 1:
            return start
        changes: list[str] = []
        for at in range(begin - 1, start - 1, -1):
            raw = tokens[at]
            if raw[-1] == "m" and raw[0] == "\x1b":
                changes.append(raw)
                if raw in _RESETS:
                    break
        self._paint(changes[::-1])
        self.cursor.y = self.lines - 1
        return begin

    def _act(self, token: str) -> None:
        """Find what a control token does, do it, and remember it."""
        action = self._action(token)
        if len(token) <= 64:  # longer ones are titles
            if len(self._actions) >= MAX_CACHED:
                self._actions.clear()
            self._actions[token] = action
        action()

    def _action(self, token: str) -> Callable[[], object]:
        said = sequence(token)
        name: str | None = None
        match said.kind:
            case "control":
                name = _BASIC.get(token)
            case "escape":
                table = {"": _ESCAPE, "#": _SHARP}.get(said.intermediates, {})
                name = table.get(said.final)
            case "csi":
                return self._csi(token, said)
            case "string" if said.final == "]":
                return partial(self._titled, *said.text.partition(";")[::2])
        return getattr(self, name) if name is not None else _nothing

    def _csi(self, token: str, said: Sequence) -> Callable[[], object]:
        final, numbers = said.final, said.numbers
        if said.intermediates or said.private not in ("", "?"):
            return self._soft_reset if (said.intermediates, final) == ("!", "p") else _nothing
        if final in "hl":
            change = self.set_mode if final == "h" else self.reset_mode
            return partial(change, *numbers, private=bool(said.private))
        if said.private and final not in _TAKES_PRIVATE:
            return _nothing
        if final == "m":
            return partial(self._restyle, token, said.params)
        name = _CSI.get(final)
        if name is None or any(len(param) > 1 for param in said.params):
            return _nothing
        return partial(getattr(self, name), *numbers[: _ARITY.get(name, 1)])

    def _titled(self, code: str, text: str) -> None:
        text = "".join(filter(str.isprintable, text))[:MAX_TITLE]
        if code in ("0", "2"):
            self.set_title(text)
        if code in ("0", "1"):
            self.set_icon_name(text)

    # Drawing.

    def draw(self, data: str) -> None:
        """Put text at the cursor, wrapping at the last column."""
        cursor = self.cursor
        style = self._style
        if style.attributes is not cursor.attrs:
            style = self._style = self._style_of(cursor.attrs)
        if not self._plain or not ((data.isascii() and data.isprintable()) or set(map(_width_of, data)) == _NARROW):
            self._draw_each(data, style)
            return
        x, columns = cursor.x, self.columns
        end = x + len(data)
        if end <= columns:
            self.buffer[cursor.y][x:end] = map(style.__getitem__, data)
            cursor.x = end
            return
        cells = [style[character] for character in data]
        done = 0
        while done < len(cells):
            if cursor.x == columns:
                cursor.x = 0
                self.index()
            x = cursor.x
            part = cells[done : done + columns - x]
            cursor.x = x + len(part)
            self.buffer[cursor.y][x : cursor.x] = part
            done += len(part)

    def _draw_each(self, data: str, style: Style) -> None:
        """As `draw`, character by character: wide and zero-width ones, insert mode, no wrapping."""
        cursor, columns = self.cursor, self.columns
        wrap = modes.DECAWM in self.mode
        insert = modes.IRM in self.mode
        for character in data:
            width = min(_widths[character], columns)
            if width <= 0:
                if not width:
                    self._join(character)
                continue
            if cursor.x + width > columns:
                if wrap:
                    cursor.x = 0
                    self.linefeed()
                else:
                    cursor.x = columns - width
            if insert:
                self.insert_characters(width)
            line, x = self.buffer[cursor.y], cursor.x
            line[x] = style[character]
            if width > 1:
                line[x + 1] = style[_STUB]
            cursor.x = x + width

    def _join(self, character: str) -> None:
        """Add a zero-width character to the cell before the cursor."""
        x, y = self.cursor.x - 1, self.cursor.y
        if x < 0:
            x, y = self.columns - 1, y - 1
        if y < 0:
            return
        line = self.buffer[y]
        if line[x].data == _STUB and x:
            x -= 1
        cell = line[x]
        if len(cell.data) < MAX_JOINED:
            data = cell.data + character
            line[x] = cell._replace(
                data=unicodedata.normalize("NFC", data) if unicodedata.combining(character) else data
            )

    def repeat(self, count: int = 1) -> None:
        """Draw the character before the cursor again, up to the end of the line."""
        x = min(self.cursor.x, self.columns) - 1
        if x >= 0 and (data := self.buffer[self.cursor.y][x].data):
            self.draw(data * min(count or 1, self.columns - self.cursor.x))

    def _style_of(self, attributes: Char) -> Style:
        style = self._styles.get(attributes)
        if style is None:
            if len(self._styles) >= _MAX_STYLES:
                self._styles.clear()
            style = self._styles[attributes] = Style(attributes)
        self.cursor.attrs = style.attributes
        return style

    def _restyle(self, token: str, params: tuple[tuple[int, ...], ...]) -> None:
        """A colour change: looked up where the same one was made from the same attributes before."""
        style = self._style
        if style.attributes is not self.cursor.attrs:
            style = self._style_of(self.cursor.attrs)
        after = style.after.get(token)
        if after is None:
            after = self._style_of(rendition(style.attributes, params))
            if len(style.after) >= _MAX_STYLES:
                style.after.clear()
            style.after[token] = after
        self._style = after
        self.cursor.attrs = after.attributes

    def select_graphicrendition(self, *attrs: int) -> None:
        """Set the attributes of what is drawn next."""
        self.cursor.attrs = rendition(self.cursor.attrs, tuple((attr,) for attr in attrs))

    @property
    def display(self) -> list[str]:
        """The lines as text, each `columns` wide as a terminal counts."""
        return ["".join(cell.data for cell in self.cells(y)) for y in range(self.lines)]

    def cells(self, y: int) -> list[Char]:
        """The cells of a line as they are shown: no stubs, and a space for half a wide character."""
        line = self.buffer[y]
        shown: list[Char] = []
        wide = False
        for x, cell in enumerate(line):
            if wide:
                wide = False
                continue
            data = cell.data
            if data == _STUB:
                cell = cell._replace(data=" ")
            elif not data.isascii() and _widths[data[0]] > 1:
                wide = x + 1 < self.columns and line[x + 1].data == _STUB
                if not wide and self.columns > 1:
                    cell = cell._replace(data=" ")
            shown.append(cell)
        return shown

    # Moving and scrolling.

    def _region(self) -> tuple[int, int]:
        return self.margins or (0, self.lines - 1)

    def index(self) -> None:
        """Move down a line; at the bottom margin, scroll."""
        y = self.cursor.y
        top, bottom = self.margins or (0, self.lines - 1)
        if y == bottom:
            buffer = self.buffer
            del buffer[top]
            buffer.insert(bottom, [BLANK] * self.columns)
        elif y < self.lines - 1:
            self.cursor.y = y + 1

    def reverse_index(self) -> None:
        """Move up a line; at the top margin, scroll down."""
        top, bottom = self._region()
        if self.cursor.y == top:
            self._scroll(top, bottom, -1)
        elif self.cursor.y:
            self.cursor.y -= 1

    def _scroll(self, top: int, bottom: int, count: int) -> None:
        """Move the lines from `top` to `bottom` up by `count`, or down where it is negative."""
        count = max(-(bottom - top + 1), min(count, bottom - top + 1))
        new = [[BLANK] * self.columns for _ in range(abs(count))]
        if count > 0:
            self.buffer[top : bottom + 1] = self.buffer[top + count : bottom + 1] + new
        else:
            self.buffer[top : bottom + 1] = new + self.buffer[top : bottom + 1 + count]

    def scroll_up(self, count: int = 1) -> None:
        """SU: move the lines inside the margins up."""
        self._scroll(*self._region(), count or 1)

    def scroll_down(self, count: int = 1) -> None:
        """SD: move the lines inside the margins down."""
        self._scroll(*self._region(), -(count or 1))

    def insert_lines(self, count: int | None = None) -> None:
        """IL: insert lines at the cursor's."""
        top, bottom = self._region()
        if top <= self.cursor.y <= bottom:
            self._scroll(self.cursor.y, bottom, -(count or 1))
            self.carriage_return()

    def delete_lines(self, count: int | None = None) -> None:
        """DL: delete lines from the cursor's on."""
        top, bottom = self._region()
        if top <= self.cursor.y <= bottom:
            self._scroll(self.cursor.y, bottom, count or 1)
            self.carriage_return()

    def next_line(self) -> None:
        """NEL: the beginning of the next line."""
        self.carriage_return()
        self.index()

    def cursor_up(self, count: int | None = None) -> None:
        """Move up, not past the top margin when below it."""
        top, _ = self._region()
        y = self.cursor.y
        self.cursor.y = max(y - (count or 1), top if y >= top else 0)

    def cursor_down(self, count: int | None = None) -> None:
        """Move down, not past the bottom margin when above it."""
        _, bottom = self._region()
        y = self.cursor.y
        self.cursor.y = min(y + (count or 1), bottom if y <= bottom else self.lines - 1)

    def cursor_to_line(self, line: int | None = None) -> None:
        """Move to a line (from 1), inside the margins in origin mode."""
        y = (line or 1) - 1
        if modes.DECOM in self.mode and self.margins is not None:
            y += self.margins.top
        self.cursor.y = y
        self.ensure_vbounds()

    def tab_forward(self, count: int = 1) -> None:
        """CHT: move over `count` tab stops."""
        for _ in range(min(count or 1, self.columns)):
            self.tab()

    def tab_back(self, count: int = 1) -> None:
        """CBT: move back over `count` tab stops."""
        stops = sorted(stop for stop in self.tabstops if stop < self.cursor.x)
        self.cursor.x = stops[-count or -1] if (count or 1) <= len(stops) else 0

    def set_margins(self, top: int | None = None, bottom: int | None = None) -> None:
        """DECSTBM: the lines (from 1) that scroll. Moves the cursor home; ignores less than two lines."""
        first = (top or 1) - 1
        last = min(bottom or self.lines, self.lines) - 1
        if first < last:
            self.margins = Margins(first, last) if (first, last) != (0, self.lines - 1) else None
            self.cursor_position()

    # Erasing and shifting.

    def erase_in_line(self, how: int = 0, private: bool = False) -> None:  # noqa: ARG002 - as in the base
        """EL: from the cursor to the end (0), from the beginning to the cursor (1), or all of the line (2)."""
        line, x = self.buffer[self.cursor.y], self.cursor.x
        if how == 0:
            line[x:] = [self.cursor.attrs] * (self.columns - x)
        elif how == 1:
            end = min(x + 1, self.columns)
            line[:end] = [self.cursor.attrs] * end
        elif how == 2:
            line[:] = [self.cursor.attrs] * self.columns

    def erase_in_display(self, how: int = 0, *_args: Any, **_kwargs: Any) -> None:
        """ED: below the cursor (0), above it (1), or everything (2); 3 is the scroll-back, which isn't here."""
        y = self.cursor.y
        rows = {0: range(y + 1, self.lines), 1: range(y), 2: range(self.lines)}.get(how, range(0))
        for row in rows:
            self.buffer[row] = [self.cursor.attrs] * self.columns
        if how in (0, 1):
            self.erase_in_line(how)

    def erase_characters(self, count: int | None = None) -> None:
        """ECH: erase from the cursor on."""
        x = self.cursor.x
        end = min(x + (count or 1), self.columns)
        self.buffer[self.cursor.y][x:end] = [self.cursor.attrs] * (end - x)

    def insert_characters(self, count: int | None = None) -> None:
        """ICH: shift the rest of the line right."""
        line, x = self.buffer[self.cursor.y], self.cursor.x
        line[x:x] = [BLANK] * min(count or 1, self.columns - x)
        del line[self.columns :]

    def delete_characters(self, count: int | None = None) -> None:
        """DCH: shift the rest of the line left."""
        line, x = self.buffer[self.cursor.y], self.cursor.x
        del line[x : x + (count or 1)]
        line += [BLANK] * (self.columns - len(line))

    def alignment_display(self) -> None:
        """DECALN: fill the screen with E."""
        self.buffer[:] = [[Char("E")] * self.columns for _ in range(self.lines)]

    # Modes, saved state, size.

    def set_mode(self, *modes: int, **kwargs: Any) -> None:
        """Turn modes on; unknown ones are ignored."""
        for mode in modes:
            self._switch(mode, True, bool(kwargs.get("private")))

    def reset_mode(self, *modes: int, **kwargs: Any) -> None:
        """Turn modes off; unknown ones are ignored."""
        for mode in modes:
            self._switch(mode, False, bool(kwargs.get("private")))

    def _switch(self, mode: int, on: bool, private: bool) -> None:
        if private:
            if mode == _BRACKETED_PASTE:
                self.bracketed_paste = on
            if mode in _SAVE_CURSOR and on:
                self.save_cursor()
            if mode in _ALTERNATE:
                self._show_alternate(on)
            if mode in _SAVE_CURSOR and not on:
                self.restore_cursor()
        if mode not in (_PRIVATE_MODES if private else _PUBLIC_MODES):
            return
        mode = mode << 5 if private else mode
        (self.mode.add if on else self.mode.discard)(mode)
        if mode == modes.DECOM:
            self.cursor_position()
        elif mode == modes.DECTCEM:
            self.cursor.hidden = not on
        self._plain = modes.DECAWM in self.mode and modes.IRM not in self.mode

    @property
    def reversed(self) -> bool:
        """Whether the whole screen is shown in reverse video (DECSCNM)."""
        return modes.DECSCNM in self.mode

    @property
    def alternate(self) -> bool:
        """Whether the alternate screen is shown."""
        return self._main is not None

    def _show_alternate(self, on: bool) -> None:
        if on and self._main is None:
            self._main = self.buffer
            self.buffer = _blank(self.columns, self.lines)
        elif not on and self._main is not None:
            self.buffer, self._main = self._main, None

    def save_cursor(self) -> None:
        """DECSC: keep the cursor, its attributes and its modes. Each of the two screens has its own."""
        cursor = self.cursor
        self._saved[self.alternate] = _Saved(
            cursor.x, cursor.y, cursor.attrs, modes.DECOM in self.mode, modes.DECAWM in self.mode
        )

    def restore_cursor(self) -> None:
        """DECRC: back to what was saved last; home with plain attributes where nothing was."""
        x, y, attributes, origin, wrap = self._saved.get(self.alternate) or _Saved(0, 0, BLANK, False, True)
        (self.mode.add if origin else self.mode.discard)(modes.DECOM)
        (self.mode.add if wrap else self.mode.discard)(modes.DECAWM)
        self._plain = wrap and modes.IRM not in self.mode
        self.cursor.x, self.cursor.y, self.cursor.attrs = x, y, attributes
        self.ensure_hbounds()
        self.ensure_vbounds()

    def reset(self) -> None:
        """RIS: as after the start."""
        self._main = None
        self._saved = {}
        self.buffer = _blank(self.columns, self.lines)
        self.margins = None
        self.mode = {modes.DECAWM, modes.DECTCEM}
        self._plain = True
        self.bracketed_paste = False
        self.title = ""
        self.icon_name = ""
        self.charset = 0
        self.saved_columns = None
        self.tabstops = set(range(8, self.columns, 8))
        self.cursor = Cursor(0, 0, BLANK)
        self._style = self._style_of(BLANK)

    def _soft_reset(self) -> None:
        """DECSTR: modes, margins, attributes and the saved cursor as after the start; the text stays."""
        self.mode = {modes.DECAWM, modes.DECTCEM} | (self.mode & {modes.DECSCNM})
        self._plain = True
        self.margins = None
        self._saved = {}
        self.cursor.hidden = False
        self.cursor.attrs = BLANK

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Change the size, keeping the text and the cursor on it.

        Fewer lines: those below the cursor go first, then those at the top. Nothing is wrapped anew; what is right of
        fewer columns is lost, as the program is about to be told of the size and paints again.

        Raises ValueError for a size below 1 × 1 or above `MAX_COLUMNS` × `MAX_LINES`.
        """
        lines = self.lines if lines is None else lines
        columns = self.columns if columns is None else columns
        check_size(columns, lines)
        if (lines, columns) == (self.lines, self.columns):
            return
        saved = self._saved.get(False)
        for buffer, y in ((self.buffer, self.cursor.y), (self._main, saved.y if saved is not None else 0)):
            if buffer is None:
                continue
            dropped = max(0, y - (lines - 1))
            del buffer[:dropped], buffer[lines:]
            buffer += [[BLANK] * columns for _ in range(lines - len(buffer))]
            for line in buffer:
                del line[columns:]
                line += [BLANK] * (columns - len(line))
            if buffer is self.buffer:
                self.cursor.y -= dropped
            shifted = self._saved.get(self.alternate and buffer is self.buffer)
            if shifted is not None:
                self._saved[self.alternate and buffer is self.buffer] = shifted._replace(y=max(0, shifted.y - dropped))
        self.tabstops = {stop for stop in self.tabstops if stop < columns}
        self.tabstops |= {stop for stop in range(8, columns, 8) if stop >= self.columns}
        self.lines, self.columns = lines, columns
        self.margins = None
        self.ensure_hbounds()
        self.ensure_vbounds()


def check_size(columns: int, lines: int) -> None:
    """Raise ValueError for a size that no screen can have."""
    if not (1 <= columns <= MAX_COLUMNS and 1 <= lines <= MAX_LINES):
        raise ValueError(
            f"a screen can't have {columns} columns and {lines} lines: "
            f"give 1 to {MAX_COLUMNS} columns and 1 to {MAX_LINES} lines"
        )


def _blank(columns: int, lines: int) -> list[list[Char]]:
    return [[BLANK] * columns for _ in range(lines)]


def _nothing() -> None:
    """What a token does that means nothing here."""
