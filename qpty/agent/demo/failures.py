"""How q shows that the service failed: the same headlines, colours and causes."""

import time

from .record import new_id
from .terminal import BOLD, GREEN, GREY, RED, RESET, YELLOW

HEADLINE = "Amazon Q is having trouble responding right now: "
_PRICES = "https://aws.amazon.com/q/developer/pricing/"
_BACKTRACE = (
    "Backtrace omitted. Run with RUST_BACKTRACE=1 environment variable to display it.\n"
    "Run with RUST_BACKTRACE=full to include source snippets.\n"
)
_MESSAGES = {
    "suspended": "Your account is TEMPORARILY_SUSPENDED",
    "denied": "User is not authorized to make this call.",
    "expired": "The bearer token included in the request is invalid.",
}


def refused(kind: str) -> str:
    """`suspended`, `denied`, `expired` or `boom`: the request got an error for an answer."""
    code = "InternalServerException" if kind == "boom" else "AccessDeniedException"
    message = _MESSAGES.get(kind, "something broke")
    causes = (
        f"Failed to send the request: An unknown error occurred: {code}",
        f"An unknown error occurred: {code}",
        f"unhandled error ({code})",
        "service error",
        f"unhandled error ({code})",
        f'Error {{ code: "{code}", message: "{message}", aws_request_id: "{new_id()}" }}',
    )
    return _report(causes, 1149)


def cut_short(stream_error: bool) -> str:
    """The stream ended in mid-answer: with an error event, or because the connection closed."""
    why = "unhandled error" if stream_error else "dispatch failure (io error): request or response body error"
    return _report((f"Failed to receive the next message: request_id: {new_id()}, error: {why}",), 1151)


def _report(causes: tuple[str, ...], line: int) -> str:
    numbered = "".join(f"   {index}: {cause}\n" for index, cause in enumerate(causes))
    location = f"\nLocation:\n   crates/chat-cli/src/cli/chat/mod.rs:{line}\n\n"
    return f"{BOLD}{RED}{HEADLINE}\n{numbered}{location}{_BACKTRACE}{RESET}{RESET}"


def retrying(attempt: int) -> str:
    """The warning of a retry; the spinner goes on beside it."""
    return f"{YELLOW}\nWARNING: {RESET}Retry #{attempt}, retrying within 10.0s..\n"


RATE_LIMIT = (
    f"{BOLD}{RED} ⚠️  Amazon Q rate limit reached:\n"
    f"    Request quota exceeded. Please wait a moment and try again.\n\n{RESET}{RESET}"
)
_UNAVAILABLE = "The model you've selected is temporarily unavailable. Please select a different model."
OVERLOADED = f"{BOLD}{RED}\n{_UNAVAILABLE}\n{RESET}{RESET}\n"
OVERFLOW = f"{YELLOW}The context window has overflowed, summarizing the history...{RESET}\n\n"
COMPACTED = f"{GREEN}✔ Conversation history has been compacted successfully!\n\n{GREY}"
TOO_SHORT = f"{YELLOW}\nConversation too short to compact.\n\n{RESET}"
PANIC = (
    "\x1b[31mThe application panicked (crashed).\x1b[0m\n"
    "Message:  \x1b[36mnext_message should not exist\x1b[0m\n"
    "Location: \x1b[35mcrates/chat-cli/src/cli/chat/conversation.rs\x1b[0m:\x1b[35m386\x1b[0m\n"
    f"\n{_BACKTRACE}"
)
PANIC_STATUS = 101


def monthly_limit() -> str:
    """The monthly limit, which ends with this month."""
    month = time.gmtime().tm_mon % 12 + 1
    return (
        f"{YELLOW}Monthly request limit reached{RESET}\n\n"
        "You've used all your free requests for this month. You have two options:\n\n"
        "1. Upgrade to a paid subscription for increased limits. See our Pricing page for what's included> "
        f"\x1b[34m{_PRICES}{RESET}\n"
        f"2. Wait until next month when your limit automatically resets. The limits reset on {month:02}/01.{GREY}\n\n"
        f"Use {GREEN}/subscribe{GREY} to upgrade your subscription.\n\n{RESET}"
    )
