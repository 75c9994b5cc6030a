"""What the server itself refuses. Statuses and codes are in `statuses`, for these and for everybody else's errors.

```
ServerError
├── InvalidRequestError     .problems: fields of the body, the query or a header that can't be taken
├── MediaTypeError          .media_type .wanted: the body isn't what the route takes
├── BodyEncodingError       .encoding: the body is packed, which is not taken
├── BodyTooLargeError       .limit_bytes
├── KeyRequiredError        the request has no key
├── NoKeysError             signing in was tried where no key is asked for
├── KeyRefusedError         its key, cookie or link isn't (or is no longer) one of ours
├── NotAllowedError         what only a key that administers may do
├── RateLimitedError        .retry_after: too many requests of one key or address
└── TurnFailedError         .session_id .turn_id .code .retryable: the turn that was asked for failed
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qpty.core.errors import QptyError

if TYPE_CHECKING:
    from collections.abc import Sequence


class ServerError(QptyError):
    """Something about a request."""


class InvalidRequestError(ServerError):
    """A request can't be understood; `problems` are objects with `field` and `problem`."""

    def __init__(self, message: str, problems: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems)


class MediaTypeError(ServerError):
    """The body is of another type than the route takes."""

    def __init__(self, media_type: str, wanted: str = "application/json") -> None:
        super().__init__(f"the body is {media_type[:80]!r}: send it with Content-Type: {wanted}")
        self.media_type = media_type
        self.wanted = wanted


class BodyEncodingError(ServerError):
    """The body is packed: how large it is, unpacked, only unpacking it would tell."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"the body has the encoding {encoding[:80]!r}: send it as it is, without Content-Encoding")
        self.encoding = encoding


class BodyTooLargeError(ServerError):
    """The body has more bytes than is taken."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the body is too large: at most {limit_bytes:,} bytes are taken")
        self.limit_bytes = limit_bytes


class KeyRequiredError(ServerError):
    """A key is needed."""

    def __init__(self) -> None:
        super().__init__("a key is needed: send it as Authorization: Bearer KEY, or as x-api-key: KEY")


class KeyRefusedError(ServerError):
    """What was given as a key, a cookie or a link is not valid here."""

    def __init__(self, what: str = "key") -> None:
        super().__init__(f"this {what} is not valid here: it may be mistyped, used up, revoked or expired")


class NoKeysError(ServerError):
    """The server asks for no key, so there is nothing to sign in to."""

    def __init__(self) -> None:
        super().__init__("this server asks for no key: open its address")


class NotAllowedError(ServerError):
    """The key may not do this; `message` says what would help."""


class RateLimitedError(ServerError):
    """Too many requests; the next one is taken after `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"too many requests: try again in {retry_after:.0f} s")
        self.retry_after = retry_after


class TurnFailedError(ServerError):
    """A turn failed; `code` is the journal's."""

    def __init__(self, message: str, *, session_id: str, turn_id: str, code: str, retryable: bool) -> None:
        super().__init__(message)
        self.session_id = session_id
        self.turn_id = turn_id
        self.code = code
        self.retryable = retryable
