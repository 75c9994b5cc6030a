"""How q types an answer: one word, space or symbol per write, with the losses that it has.

It drops control characters (tabs too) and the first space of each line that starts with one. A word at the end of what
has arrived waits for what follows it.
"""

from .layout import char_width

LINE_END = "\x1b[0m\x1b[0m\n"
_WORD = frozenset('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+,.!?"')


class Typist:
    """Feed it the answer as it arrives; it gives the writes, each of which takes one beat (an empty one too)."""

    __slots__ = ("_column", "_left")

    def __init__(self) -> None:
        self._left = ""
        self._column = 0

    def feed(self, text: str) -> list[str]:
        """The writes that this text completes; "" for a character that q drops but spends its time on."""
        text, at, writes = self._left + text, 0, []
        while at < len(text):
            end = at
            while end < len(text) and text[end] in _WORD:
                end += 1
            if end > at:
                if end == len(text):
                    break
                writes.append(text[at:end])
                self._column += end - at
                at = end
                continue
            if text[at] == "\r":
                if at + 1 == len(text):
                    break
                if text[at + 1] == "\n":
                    at += 1
            writes.append(self._symbol(text[at]))
            at += 1
        self._left = text[at:]
        return writes

    def _symbol(self, ch: str) -> str:
        if ch == "\n":
            self._column = 0
            return LINE_END
        width = char_width(ch)
        if width is None:
            return ""
        self._column += width
        return "" if ch == " " and self._column == 1 else ch
