"""What one login left for the uses of its key: nothing to ask, people to ask, or a kept PIN.

Decides whether a PIN is asked for before a signature and what of it goes to the process. It
refuses to know people and how they are asked (ceremony.pin_uses). A PIN is kept in the token's
process only where nobody types it, or where it was typed as shares (ADR 27).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ceremony.errors import TokenTrouble
from ceremony.pin_parts import PinEntry
from ceremony.pin_uses import PinUse, UsePin, require_tries
from ceremony.token import LoginResult, PinState
from hsm.child import TokenRefused

# What can be typed; a PIN that cannot be one is never sent, since some tokens count it.
TYPEABLE = re.compile(rb"[ -~]{1,255}")
UNKNOWN_TRY = "whether the PIN try was counted is unknown"


@dataclass(slots=True)
class Uses:
    """One login: the tries `before` it, how its PIN is typed, and whether the key `asks` again."""

    before: PinState = "unknown"
    entry: PinEntry = PinEntry.WHOLE
    kept: bool = False
    asks: bool = False

    @property
    def typed(self) -> bool:
        """Tell whether people type the PIN before each use."""
        return self.asks and not self.kept

    @property
    def parts(self) -> str:
        """Return how the PIN of a use comes to the process: "" where it comes whole or not."""
        return self.entry if self.typed and self.entry is not PinEntry.WHOLE else ""

    def pin(self, which: PinUse, now: Callable[[], PinState], use: UsePin) -> bytearray:
        """Return the PIN for one use, empty where it comes in parts or is not asked for.

        Raises TokenTrouble KEY-PIN-USE, -FINAL, -LOCKED: then nothing was sent.
        """
        if not self.typed:
            return bytearray()
        state = now()
        require_tries(which, self.before, state)
        pin = use(state)
        named = which.value[1]
        if pin is None:
            raise TokenTrouble("KEY-PIN-USE", f"no PIN was given for the {named}; no try was spent")
        if not self.parts and not TYPEABLE.fullmatch(pin):
            pin[:] = bytes(len(pin))
            text = f"what was typed for the {named} cannot be a PIN; no try was spent"
            raise TokenTrouble("KEY-PIN-USE", text)
        return pin

    def said(self, text: str) -> str:
        """Return what is known of a try when a use gave no answer that tells."""
        return f"{text}; {UNKNOWN_TRY}" if self.typed else text

    def untested(self, refused: TokenRefused, now: Callable[[], PinState]) -> LoginResult:
        """Return what a no to the test signature makes of the login; TokenTrouble otherwise."""
        match refused.rule:
            case "KEY-PIN-WRONG":
                return LoginResult("wrong-pin", now())
            case "KEY-PIN-LOCKED":
                return LoginResult("locked", "locked")
            case _:
                rule = "KEY-REFUSED" if self.typed else "KEY-POSSESSION"
                said = self.said(f"no challenge signed: {refused.text}")
                raise TokenTrouble(rule, said) from None
