"""Generate an EC key inside a SoftHSM token, run as a program: C_Initialize is once a process.

Standard input: JSON {module, token, pin, label, curve}. Standard output: the point,
uncompressed, in hex.
"""

from __future__ import annotations

import json
import sys

import pkcs11
from pkcs11 import Attribute, KeyType
from pkcs11.util.ec import encode_named_curve_parameters


def main() -> None:
    wanted = json.load(sys.stdin)
    token = next(
        slot.get_token()
        for slot in pkcs11.lib(wanted["module"]).get_slots()
        if slot.get_token().label.strip() == wanted["token"]
    )
    with token.open(rw=True, user_pin=wanted["pin"]) as session:
        curve = {Attribute.EC_PARAMS: encode_named_curve_parameters(wanted["curve"])}
        parameters = session.create_domain_parameters(KeyType.EC, curve, local=True)
        own = {Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
        public, _ = parameters.generate_keypair(
            store=True, label=wanted["label"], id=b"\xec", private_template=own
        )
        # CKA_EC_POINT is a DER OCTET STRING of 65 or 97 octets: two before the point itself.
        sys.stdout.write(public[Attribute.EC_POINT][2:].hex())


main()
