"""What a token tells of itself without a PIN, read in the child process.

Decides which flags say how many PIN tries are left and how PKCS#11's names are written. It
refuses to know keys, sessions and logins.
"""

from __future__ import annotations

import pkcs11
from pkcs11 import Mechanism, PKCS11Error, TokenFlag

from hsm.libraries import mapped_files
from hsm.worker import Answered, Reply

# The flags that PKCS#11 v2.40, table 6 counts a wrong user PIN with, gravest first.
_PIN_FLAGS = (
    (TokenFlag.USER_PIN_LOCKED, "locked"),
    (TokenFlag.USER_PIN_FINAL_TRY, "final-try"),
    (TokenFlag.USER_PIN_COUNT_LOW, "count-low"),
)

# What tells a token from another one in its slot.
NAMES = ("token_label", "token_serial", "token_model", "token_manufacturer")


def described(slot: pkcs11.Slot, keys: list[Reply]) -> Reply:
    """Describe the token in a slot, and beside it the objects that were found; Answered."""
    try:
        # The PIN's flags are a snapshot in a token object; a fresh one tells the present.
        token = slot.get_token()
        mechanisms = sorted(_mechanism_name(one) for one in slot.get_mechanisms())
    except PKCS11Error as error:
        raise Answered("KEY-TOKEN", code_of(error), "the token cannot be read") from None
    flags = token.flags
    return {
        "slot_id": slot.slot_id,
        "slot_description": slot.slot_description.rstrip(),
        "slot_manufacturer": slot.manufacturer_id.rstrip(),
        **names_of(token),
        "token_flags": [flag.name for flag in TokenFlag if flag in flags],
        "mechanisms": mechanisms,
        "pin_state": next((state for flag, state in _PIN_FLAGS if flag in flags), "ok"),
        "protected_path": TokenFlag.PROTECTED_AUTHENTICATION_PATH in flags,
        "keys": keys,
        "libraries": mapped_files(),
    }


def names_of(token: pkcs11.Token) -> Reply:
    """Return the NAMES of a token, as C_GetTokenInfo gives them now."""
    return {
        "token_label": token.label.rstrip(),
        "token_serial": token.serial.decode("utf-8", "replace").rstrip(),
        "token_model": token.model.rstrip(),
        "token_manufacturer": token.manufacturer_id.rstrip(),
    }


def _mechanism_name(mechanism: Mechanism | int) -> str:
    if not isinstance(mechanism, Mechanism):
        return f"0x{int(mechanism):08x}"
    # The library marks some names of old mechanisms with an underscore of its own.
    return f"CKM_{mechanism.name.lstrip('_')}"


def code_of(error: Exception) -> str:
    """Return PKCS#11's name of an error; `Unmapped error code` keeps the vendor's number."""
    text = str(error)
    return text if text.startswith("Unmapped error code") else type(error).__name__
