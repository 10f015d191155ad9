"""Certificates on a token that speak of where its keys were made, as far as a module shows them.

`certificates_shown` runs in the child and reads every certificate object without a PIN; the
parent's `attesting` keeps those that attest a key and the CAs beside them. ykcs11 shows a
YubiKey's attestations as ordinary certificate objects. Whether they prove anything is for
`ceremony.key_attestation` to decide, here and whenever the transcript is replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from ceremony.errors import TokenTrouble
from ceremony.key_attestation import relevant

CERTIFICATES_MOST, CERTIFICATE_MOST_BYTES = 48, 6144


def certificates_shown(slot: object) -> list[str]:
    """Return the certificates that a slot's token shows without a PIN, DER in hex."""
    import pkcs11  # noqa: PLC0415 - in the child alone; the parent never loads it

    from hsm.objects import octets  # noqa: PLC0415 - it loads pkcs11 too

    if not isinstance(slot, pkcs11.Slot):
        return []
    found: list[str] = []
    try:
        with slot.get_token().open() as session:
            wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE}
            for one in islice(session.get_objects(wanted), CERTIFICATES_MOST):
                der = octets(one, pkcs11.Attribute.VALUE)
                if 0 < len(der) <= CERTIFICATE_MOST_BYTES:
                    found.append(der.hex())
    except pkcs11.PKCS11Error:
        pass  # what was seen so far is told
    return found


def attesting(answer: Mapping[str, object]) -> tuple[str, ...]:
    """Return the attesting certificates in the child's answer, in hex; TokenTrouble KEY-CHILD."""
    told = answer.get("certificates")
    if not isinstance(told, list) or len(told) > CERTIFICATES_MOST:
        raise TokenTrouble("KEY-CHILD", "the token's process gave no usable certificates")
    try:
        ders = tuple(bytes.fromhex(one) for one in told)
    except (TypeError, ValueError):
        raise TokenTrouble("KEY-CHILD", "the token's process gave no usable certificate") from None
    return tuple(der.hex() for der in relevant(ders))
