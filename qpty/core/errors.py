"""What can go wrong in the core, as a tree of types.

    QptyError                       the base of every error that qpty raises on purpose
    └── PromptError                 a message cannot be typed as it is; nothing was written to the terminal
        ├── EmptyPromptError        nothing visible is left to send
        ├── PromptTooLongError      more bytes than one message may have
        └── PromptEncodingError     not a Unicode text: a lone surrogate

Each carries its facts as attributes, and its message says what to do.
"""

from __future__ import annotations


class QptyError(Exception):
    """The base of every error that qpty raises on purpose."""


class PromptError(QptyError):
    """A message cannot be typed as it is. Nothing was written to the terminal."""


class EmptyPromptError(PromptError):
    """The message has nothing to send: it is empty, or only white space and characters that no model would see."""

    def __init__(self) -> None:
        super().__init__(
            "the message has nothing to send, only white space, control or invisible characters: "
            "give it at least one visible character"
        )


class PromptTooLongError(PromptError):
    """The message is longer than one paste may be.

    `size_bytes` is its size in UTF-8 as it would be sent (guards and closers included), `limit_bytes` the most allowed.
    """

    def __init__(self, *, limit_bytes: int, size_bytes: int) -> None:
        super().__init__(
            f"the message has {size_bytes:,} bytes of UTF-8 and at most {limit_bytes:,} can be sent at once; "
            "shorten it, or put the text in a file of the session's directory and ask to read that"
        )
        self.limit_bytes = limit_bytes
        self.size_bytes = size_bytes


class PromptEncodingError(PromptError):
    """The message is not a Unicode text: it holds half of a surrogate pair, which has no UTF-8.

    `position` is the index of the first one in the text as given, counted in characters from 0; `code_point` is its
    number, 0xD800–0xDFFF.
    """

    def __init__(self, *, position: int, code_point: int) -> None:
        super().__init__(
            f"character {position} of the message is the lone surrogate U+{code_point:04X}, which cannot be sent; "
            "don't cut a text inside a surrogate pair, and decode bytes as UTF-8 before sending them"
        )
        self.position = position
        self.code_point = code_point
