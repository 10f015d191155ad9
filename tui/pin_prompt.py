"""A PIN outside of a ceremony: the tries are said before the prompt, the last needs two people.

Decides whether a PIN may be asked for at all. In a ceremony the engine decides it, with the
internal witness as the other person (sign.last_try).
"""

from __future__ import annotations

from ceremony.errors import refuse
from ceremony.pin_parts import TRIES_SAID
from ceremony.pin_uses import PinUse, UsePin
from ceremony.token import PinState
from tui.sbsigntools.secrets import Secrets

WORD = b"LAST TRY"


def allow(secrets: Secrets, state: PinState) -> None:
    """Let the last try be used on another person's word only; Refused KEY-PIN-LOCKED, -FINAL."""
    if state == "locked":
        raise refuse("KEY-PIN-LOCKED", "the token says that its PIN is locked")
    if state != "final-try":
        return
    if secrets.descriptor is not None:
        raise refuse("KEY-PIN-FINAL", "one try is left, and nobody at a terminal to know it")
    asked = "ONE PIN try is left; a wrong PIN locks the token. Somebody else types LAST TRY: "
    if secrets.ask(asked) != WORD:
        raise refuse("KEY-PIN-FINAL", "one try is left, and nobody else allowed its use")


def ask_pin(secrets: Secrets, label: str, state: PinState) -> bytearray:
    """Say what the token tells of its tries, and return the PIN; whoever takes it wipes it."""
    allow(secrets, state)
    return secrets.ask(f"PIN of token {label} ({TRIES_SAID[state]}; not shown): ")


def asking(secrets: Secrets, label: str, use: PinUse) -> UsePin:
    """Return how a person is asked for the PIN of another use; an empty line cancels."""

    def ask(state: PinState) -> bytearray | None:
        asked = (
            f"The key on token {label} asks for its PIN at every use: {use.counted}.\n"
            f"PIN ({TRIES_SAID[state]}; not shown; empty cancels and costs no try): "
        )
        return secrets.ask(asked) or None

    return ask
