"""Why a client's request has no answer. What is wrong with the request itself is `requests.RequestError`.

```
AnswerError
├── AnswerFailedError     .code .retryable: the turn failed, with a code of the journal's
├── AnswerStoppedError    somebody stopped the turn, in the page or by its interface
├── AnswerNotJsonError    the model's answer isn't the JSON that was asked for, nor was its second one
├── CallsAnsweredError    .call_ids: the results of these calls came before, and are being answered now
└── PreviousReplyError    .reply_id: no answer is known under this id
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qpty.core.errors import QptyError

if TYPE_CHECKING:
    from collections.abc import Sequence


class AnswerError(QptyError):
    """A request has no answer, or no more of it."""


class AnswerFailedError(AnswerError):
    """The turn failed; `code` is the journal's."""

    def __init__(self, message: str, *, code: str, retryable: bool) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class AnswerStoppedError(AnswerError):
    """Somebody else stopped the turn."""

    def __init__(self) -> None:
        super().__init__("somebody stopped this answer: send the message again if you want one")


class AnswerNotJsonError(AnswerError):
    """The model was asked for JSON twice, and gave something else."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the model did not answer with the JSON that was asked for: {why}")


class CallsAnsweredError(AnswerError):
    """A request brings results that an earlier one brought."""

    def __init__(self, call_ids: Sequence[str]) -> None:
        super().__init__(
            f"the results of {', '.join(call_ids)} were sent before, and are being answered: wait for that answer"
        )
        self.call_ids = tuple(call_ids)


class PreviousReplyError(AnswerError):
    """Nothing is known under an answer's id."""

    def __init__(self, reply_id: str) -> None:
        super().__init__(f"no answer {reply_id[:80]!r} is known: send the whole conversation as `input` instead")
        self.reply_id = reply_id
