"""The PIN of a key that asks for it at every use (PKCS#11, CKA_ALWAYS_AUTHENTICATE).

Decides which uses there are, what is said before each, and when the PIN is not asked for. Such
a key wants a person's consent to each use, so whoever typed the PIN at the login types it anew:
no copy waits for the next use (ADR 27). It refuses to know a PIN, a token and a process.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NoReturn, TypeAlias

from ceremony.errors import TokenTrouble
from ceremony.pin_parts import TRIES_SAID
from ceremony.token import PinState


class PinUse(Enum):
    """What a PIN is typed for: its number of three, and its name."""

    LOGIN = (1, "login")
    TEST = (2, "test signature")
    SIGNATURE = (3, "signature")

    @property
    def counted(self) -> str:
        """Return which of the three uses this is."""
        number, name = self.value
        return f"{number} of {len(PinUse)}, the {name}"


# Asks people for the PIN, given the tries that are left; whoever takes it wipes it. None says
# that they cancelled; an empty one that the parts of it are with the token's process.
UsePin: TypeAlias = Callable[[PinState], bytearray | None]


def nobody(_state: PinState) -> NoReturn:
    """KEY-PIN-USE: ask where nobody is there to be asked."""
    raise TokenTrouble("KEY-PIN-USE", "nobody is there to type the PIN; no try was spent")


def require_tries(use: PinUse, before: PinState, now: PinState) -> None:
    """KEY-PIN-LOCKED, KEY-PIN-FINAL: tries that went away since the login are not asked for more.

    `before` is what the token said before the login, where another role allowed a last try; a
    right login PIN sets the counter back, though some modules show the old flags (OpenSC).
    """
    if now == before or now not in ("locked", "final-try"):
        return
    if now == "locked":
        raise TokenTrouble("KEY-PIN-LOCKED", f"the PIN was locked before the {use.value[1]}")
    text = f"tries went away since the login; the last one is not spent on the {use.value[1]}"
    raise TokenTrouble("KEY-PIN-FINAL", text)


def shown(use: PinUse, state: PinState, persons: tuple[str, ...]) -> tuple[str, ...]:
    """Return what is said before the PIN is typed for a use after the login."""
    what = {
        PinUse.LOGIN: ("the login.",),
        PinUse.TEST: ("the test signature.", "It is over random bytes, not over the image."),
        PinUse.SIGNATURE: ("the signature.", "It is over the image, once, and cannot be unmade."),
    }[use]
    again = f"{' and '.join(persons)} type{'s' if len(persons) == 1 else ''} it again"
    return (
        "This key asks for its PIN at every use; no copy is kept.",
        f"{use.value[0]} of {len(PinUse)}: {what[0]}",
        *what[1:],
        f"Its PIN: {TRIES_SAID[state]}.",
        f"{again}, as at the login.",
        "No PIN given cancels: no try is spent, nothing is signed,",
        "and the login begins again.",
    )
