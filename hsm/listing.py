"""What every token of a module shows without a PIN, read in the child process.

Decides nothing: each slot with a token is described with its public objects, a slot that
cannot be read with the code it answers. At most 64 slots and 100 objects each are told.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

import pkcs11
from pkcs11 import Attribute, ObjectClass, PKCS11Error

from hsm.objects import UNREADABLE, description, octets
from hsm.worker import Answered, Reply

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib as Library  # noqa: N812 - pkcs11.lib is a function

SLOTS_MOST, OBJECTS_MOST = 64, 100
CERTIFICATE_MOST_BYTES = 6144
_KINDS = (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY, ObjectClass.CERTIFICATE)


def slots_of(lib: Library) -> list[pkcs11.Slot]:
    """Return the slots that hold a token; Answered (KEY-TOKEN) where they cannot be listed."""
    try:
        return list(lib.get_slots(token_present=True))[:SLOTS_MOST]
    except PKCS11Error as error:
        text = "the slots cannot be listed"
        raise Answered("KEY-TOKEN", type(error).__name__, text) from None


def objects_shown(slot: pkcs11.Slot) -> list[Reply]:
    """Return the keys and certificates that are seen before login."""
    try:
        session = slot.get_token().open()
    except PKCS11Error:
        return []
    found: list[Reply] = []
    try:
        for kind in _KINDS:
            seen = islice(session.get_objects({Attribute.CLASS: kind}), OBJECTS_MOST)
            found += [_object(one) for one in seen]
    except PKCS11Error:
        pass  # what was seen so far is told
    with suppress(PKCS11Error):
        session.close()
    return found[:OBJECTS_MOST]


def _object(one: pkcs11.Object) -> Reply:
    try:
        kind = one[Attribute.KEY_TYPE].name if not isinstance(one, pkcs11.Certificate) else ""
    except UNREADABLE:
        kind = ""
    return {
        **description(one),
        "key_type": kind,
        "bits": len(octets(one, Attribute.MODULUS).lstrip(b"\0")) * 8,
        "certificate": _der(one).hex(),
    }


def _der(one: pkcs11.Object) -> bytes:
    der = octets(one, Attribute.VALUE) if isinstance(one, pkcs11.Certificate) else b""
    return der if len(der) <= CERTIFICATE_MOST_BYTES else b""
