"""Put certificates on a SoftHSM token, as a program of its own: C_Initialize is once a process.

Standard input: JSON {module, pin, certificates (DER, hex)}.
"""

from __future__ import annotations

import json
import sys

import pkcs11
from pkcs11 import Attribute, CertificateType, ObjectClass, TokenFlag


def main() -> None:
    wanted = json.load(sys.stdin)
    slots = pkcs11.lib(wanted["module"]).get_slots()
    token = next(
        slot.get_token() for slot in slots if TokenFlag.TOKEN_INITIALIZED in slot.get_token().flags
    )
    with token.open(rw=True, user_pin=wanted["pin"]) as session:
        for number, der in enumerate(wanted["certificates"]):
            session.create_object(
                {
                    Attribute.CLASS: ObjectClass.CERTIFICATE,
                    Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
                    Attribute.TOKEN: True,
                    Attribute.PRIVATE: False,
                    Attribute.LABEL: f"X.509 Certificate for PIV Attestation {number}",
                    Attribute.ID: bytes([0xA0 + number]),
                    Attribute.SUBJECT: b"\x30\x00",
                    Attribute.VALUE: bytes.fromhex(der),
                }
            )


main()
