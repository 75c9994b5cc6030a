"""The keyboard of a session's terminal: qpty types by itself, unless a person has taken it over.

```
 free ──take──▶ taken ──give back, or the worker ends──▶ free
                  │
                  └─ keys typed: the worker is *handled*, and takes no message any more
```

One person has it at a time. While it is taken no message is begun; a turn that runs goes on by what the machine sees. A
worker that was handled is not trusted with another message: nobody knows what stands in its line editor, or in its
conversation. It is ended like one that hibernates, and what the CLI itself recorded is taken up by the next.

Which keys were typed is kept nowhere.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from qpty.sessions.errors import KeyboardNotTakenError, KeyboardTakenError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

TAKEN: Final = "keyboard_taken"
RETURNED: Final = "keyboard_returned"
"""The codes of the notices."""

TAKEN_TEXT: Final = "Somebody types at the terminal by hand. Messages wait until the keyboard is given back."
WAITS_TEXT: Final = "This message waits: somebody types at the terminal by hand."
RETURNED_TEXT: Final = "The keyboard was given back."
HANDLED_TEXT: Final = (
    "The keyboard was given back. Keys were typed by hand: the next message gets a fresh process, which takes up what "
    "this one recorded."
)
ENDED_TEXT: Final = "The terminal ended while somebody typed at it by hand."


class Keyboard:
    """Who has the keyboard of one session's terminal. `handled`: keys were typed at the worker that lives now."""

    def __init__(self) -> None:
        self.holder: KeyboardHold | None = None
        self.handled = False
        self._changed = asyncio.Event()

    @property
    def taken(self) -> bool:
        """Whether somebody has it."""
        return self.holder is not None

    def take(self, holder: KeyboardHold) -> None:
        """Take it. Raises KeyboardTakenError."""
        if self.holder is not None:
            raise KeyboardTakenError
        self._set(holder)

    def require(self, holder: KeyboardHold) -> None:
        """Raise KeyboardNotTakenError if somebody doesn't have it (any more)."""
        if self.holder is not holder:
            raise KeyboardNotTakenError

    def free(self) -> None:
        """Give it back."""
        self._set(None)

    async def wait_until_free(self) -> None:
        """Wait until nobody has it."""
        while self.holder is not None:
            await self._changed.wait()

    async def holders(self) -> AsyncGenerator[KeyboardHold | None, None]:
        """Yield who has it, and who has it from then on: the newest, for a slow reader. Never ends."""
        while True:
            changed, holder = self._changed, self.holder
            yield holder
            if self._changed is changed:
                await changed.wait()

    def _set(self, holder: KeyboardHold | None) -> None:
        self.holder = holder
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class HasKeyboard(Protocol):
    """The session whose keyboard is held."""

    @property
    def keyboard(self) -> Keyboard:
        """Who has it."""

    async def type_keys(self, hold: KeyboardHold, text: str) -> None:
        """Type for a hold; see `KeyboardHold.type`."""

    def give_keyboard_back(self, hold: KeyboardHold) -> None:
        """End a hold; nothing if it was ended before."""


class KeyboardHold:
    """One person's hold on a session's keyboard: made by `SessionManager.take_keyboard`, ended by `give_back`."""

    def __init__(self, session: HasKeyboard) -> None:
        self._session = session

    def is_held(self) -> bool:
        """Whether the keyboard is still this person's."""
        return self._session.keyboard.holder is self

    async def type(self, text: str) -> None:
        """Type raw characters and escape sequences, as a terminal sends them.

        Raises KeyboardNotTakenError (it was given back, or the worker ended), KeyboardBlockedError (the CLI doesn't
        take what was typed before), ValueRefusedError (no text), NotLiveError, ClosingError, SessionNotFoundError.
        """
        await self._session.type_keys(self, text)

    def give_back(self) -> None:
        """Give the keyboard back; nothing if it was given back before."""
        self._session.give_keyboard_back(self)
