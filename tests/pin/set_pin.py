"""Change a SoftHSM token's PIN, as a program of its own: C_Initialize is once a process.

Standard input: JSON {module, old, new}.
"""

from __future__ import annotations

import json
import sys

import pkcs11
from pkcs11 import TokenFlag


def main() -> None:
    wanted = json.load(sys.stdin)
    slots = pkcs11.lib(wanted["module"]).get_slots()
    token = next(
        slot.get_token() for slot in slots if TokenFlag.TOKEN_INITIALIZED in slot.get_token().flags
    )
    with token.open(rw=True, user_pin=wanted["old"]) as session:
        session.set_pin(wanted["old"], wanted["new"])


main()
