"""Bytes from a keyboard to keys: an incremental reader, since a paste may be cut anywhere, inside a character too."""

import codecs

TEXT, PASTE, KEY = "text", "paste", "key"
"""The kinds of a `Key`: typed characters, a whole bracketed paste, and a named key."""

Key = tuple[str, str]
"""Kind and value: (TEXT, "ab"), (PASTE, "lines\\nof text"), (KEY, "enter")."""

MAX_SEQUENCE = 32
"""An escape sequence longer than this is none: it is dropped."""

_CONTROLS = {
    0x01: "home", 0x02: "left", 0x03: "interrupt", 0x04: "end-of-file", 0x05: "end", 0x06: "right", 0x08: "backspace",
    0x09: "tab", 0x0A: "newline", 0x0B: "kill-right", 0x0C: "clear-screen", 0x0D: "enter", 0x0E: "down", 0x10: "up",
    0x15: "kill-left", 0x17: "kill-word", 0x7F: "backspace",
}  # fmt: skip
_SEQUENCES = {
    "[A": "up", "[B": "down", "[C": "right", "[D": "left", "[H": "home", "[F": "end", "[3~": "delete", "[1~": "home",
    "[4~": "end", "[7~": "home", "[8~": "end", "OA": "up", "OB": "down", "OC": "right", "OD": "left", "OH": "home",
    "OF": "end",
}  # fmt: skip
_PASTE_END = b"\x1b[201~"


class KeyReader:
    """Feed it bytes as they come; it gives the keys that are complete and keeps the rest."""

    __slots__ = ("_bytes", "_decoder", "_paste")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._paste: bytearray | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def pasting(self) -> bool:
        """Whether a paste has begun and not ended: a good time to read much at once."""
        return self._paste is not None

    @property
    def escaping(self) -> bool:
        """Whether a lone ESC waits for what follows it."""
        return self._paste is None and bytes(self._bytes) == b"\x1b"

    def feed(self, data: bytes) -> list[Key]:
        """The keys that these bytes complete, in order."""
        keys: list[Key] = []
        if self._paste is None:
            self._bytes += data
        else:
            self._grow_paste(data, keys)
        while self._bytes and self._paste is None and self._next(keys):
            pass
        return keys

    def _next(self, keys: list[Key]) -> bool:
        """Take one key off the front; False if the front is incomplete."""
        first = self._bytes[0]
        if first == 0x1B:
            return self._escape(keys)
        if first in _CONTROLS or first < 0x20:
            del self._bytes[:1]
            if first in _CONTROLS:
                keys.append((KEY, _CONTROLS[first]))
            return True
        end = next((i for i, b in enumerate(self._bytes) if b < 0x20 or b == 0x7F), len(self._bytes))
        text = self._decoder.decode(bytes(self._bytes[:end]))
        del self._bytes[:end]
        if text:
            keys.append((TEXT, text))
        return True

    def _escape(self, keys: list[Key]) -> bool:
        if len(self._bytes) < 2:
            return False
        if self._bytes[1] not in b"[O":
            meta = self._bytes[1]
            del self._bytes[:2]
            if meta == 0x0D:  # Alt+Enter
                keys.append((KEY, "newline"))
            return True
        end = next((i for i, b in enumerate(self._bytes[2:], 2) if 0x40 <= b <= 0x7E), None)
        if end is None:
            if len(self._bytes) > MAX_SEQUENCE:
                self._bytes.clear()
            return False
        name = self._bytes[1 : end + 1].decode("latin-1")
        del self._bytes[: end + 1]
        if name == "[200~":
            rest = bytes(self._bytes)
            self._bytes.clear()
            self._paste = bytearray()
            self._grow_paste(rest, keys)
        elif name in _SEQUENCES:
            keys.append((KEY, _SEQUENCES[name]))
        return True

    def _grow_paste(self, data: bytes, keys: list[Key]) -> None:
        paste = self._paste
        if paste is None:
            return
        start = max(0, len(paste) - len(_PASTE_END))
        paste += data
        end = paste.find(_PASTE_END, start)
        if end < 0:
            return
        text = paste[:end].decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
        keys.append((PASTE, text))
        self._bytes += paste[end + len(_PASTE_END) :]
        self._paste = None
