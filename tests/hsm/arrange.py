"""Put a key on a SoftHSM token, run as a program of its own: C_Initialize is once a process.

Standard input: JSON {module, token, pin, type, key (DER, hex), label, id, attributes, public}.
Without a key only the public half is put there; without a PIN nobody logs in for it.
"""

from __future__ import annotations

import json
import sys

import pkcs11
from pkcs11 import Attribute, MechanismFlag
from pkcs11.util.ec import decode_ec_private_key, decode_ec_public_key
from pkcs11.util.rsa import decode_rsa_private_key, decode_rsa_public_key


def main() -> None:
    wanted = json.load(sys.stdin)
    usage = MechanismFlag.SIGN | MechanismFlag.VERIFY
    token = next(
        slot.get_token()
        for slot in pkcs11.lib(wanted["module"]).get_slots()
        if slot.get_token().label.strip() == wanted["token"]
    )
    with token.open(rw=True, user_pin=wanted["pin"]) as session:
        names = {Attribute[name]: value for name, value in wanted["attributes"].items()}
        common = {
            Attribute.TOKEN: True,
            Attribute.LABEL: wanted["label"],
            Attribute.ID: bytes.fromhex(wanted["id"]),
        }
        data = bytes.fromhex(wanted["key"])
        rsa = wanted["type"] == "rsa"
        if data:
            private = (
                decode_rsa_private_key(data, usage)
                if rsa
                else {**decode_ec_private_key(data), Attribute.SIGN: True}
            )
            session.create_object(
                {
                    **private,
                    **common,
                    Attribute.PRIVATE: True,
                    Attribute.SENSITIVE: True,
                    Attribute.EXTRACTABLE: False,
                    **names,
                }
            )
        if wanted["public"]:
            half = bytes.fromhex(wanted["public"])
            public = decode_rsa_public_key(half, usage) if rsa else decode_ec_public_key(half)
            session.create_object({**public, **common})


main()
