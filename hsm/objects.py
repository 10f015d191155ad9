"""What the objects on a token say of themselves, read in the child process.

Decides which objects bear the certificate's public key, by public numbers, and names the
attributes that preflight grades. It refuses to know sessions, logins and signatures. An
attribute that a module hides or garbles is "unreadable", never an error.
"""

from __future__ import annotations

from itertools import islice

import pkcs11
from pkcs11 import Attribute, KeyType, ObjectClass, PKCS11Error

from hsm.worker import Reply, Request

OBJECTS_MOST = 1000
FIELDS = ("certificate", "modulus", "exponent", "point")

_DER_SHORT_LENGTH_MOST = 0x7F

_GRADED = (
    Attribute.PRIVATE,
    Attribute.SENSITIVE,
    Attribute.EXTRACTABLE,
    Attribute.ALWAYS_SENSITIVE,
    Attribute.NEVER_EXTRACTABLE,
    Attribute.LOCAL,
    Attribute.SIGN,
    Attribute.DECRYPT,
    Attribute.UNWRAP,
    Attribute.ALWAYS_AUTHENTICATE,
)
# What is raised where an attribute is missing, hidden, or of a value that cannot be decoded.
_UNREADABLE = (PKCS11Error, KeyError, ValueError, TypeError, NotImplementedError)


class Wanted:
    """The public key that is looked for: RSA numbers, or an EC point, in hex."""

    def __init__(self, request: Request) -> None:
        self.fields = {name: request.text(name) for name in FIELDS}
        self._modulus = request.text("modulus")
        self._exponent = request.text("exponent")
        self._point = request.text("point")
        self._certificate = bytes.fromhex(request.text("certificate"))
        self._type = KeyType.RSA if self._modulus else KeyType.EC

    def objects(self, session: pkcs11.Session) -> list[pkcs11.Object]:
        """Return the private keys, else public keys, else certificates that bear this key."""
        public = [key for key in _listed(session, ObjectClass.PUBLIC_KEY) if self._borne_by(key)]
        certificates = [
            one
            for one in _listed(session, ObjectClass.CERTIFICATE)
            if octets(one, Attribute.VALUE) == self._certificate
        ]
        # Where a private key hides its public numbers (EC mostly does), the halves are tied
        # by CKA_ID (PKCS#11 v2.40, 4.7: "the same for both keys of a pair").
        halves = {octets(one, Attribute.ID) for one in (*public, *certificates)} - {b""}
        private = [
            key
            for key in _listed(session, ObjectClass.PRIVATE_KEY)
            if self._borne_by(key) or (self._hidden_in(key) and octets(key, Attribute.ID) in halves)
        ]
        return private or public or certificates

    def _borne_by(self, key: pkcs11.Object) -> bool:
        if self._type is KeyType.RSA:
            modulus = octets(key, Attribute.MODULUS).lstrip(b"\0").hex()
            exponent = octets(key, Attribute.PUBLIC_EXPONENT).lstrip(b"\0").hex()
            # A private key object need not hold the exponent (v2.40, table 32).
            return modulus == self._modulus and exponent in ("", self._exponent)
        # CKA_EC_POINT is a DER OCTET STRING; older modules give the point bare.
        point = bytes.fromhex(self._point)
        short = len(point) <= _DER_SHORT_LENGTH_MOST
        length = bytes([len(point)]) if short else bytes([0x81, len(point)])
        return octets(key, Attribute.EC_POINT) in (point, b"\x04" + length + point)

    def _hidden_in(self, key: pkcs11.Object) -> bool:
        shown = octets(key, Attribute.MODULUS) or octets(key, Attribute.EC_POINT)
        try:
            return not shown and key[Attribute.KEY_TYPE] == self._type
        except _UNREADABLE:
            return False


def _listed(session: pkcs11.Session, kind: ObjectClass) -> list[pkcs11.Object]:
    return list(islice(session.get_objects({Attribute.CLASS: kind}), OBJECTS_MOST))


def octets(item: pkcs11.Object, name: Attribute) -> bytes:
    """Return an attribute's bytes, none where it cannot be read."""
    try:
        return bytes(item[name])
    except _UNREADABLE:
        return b""


def flag(key: pkcs11.Object, name: Attribute) -> str:
    """Return a boolean attribute as "true", "false" or "unreadable"."""
    try:
        return "true" if key[name] else "false"
    except _UNREADABLE:
        return "unreadable"


def is_private(item: pkcs11.Object) -> bool:
    """Tell a private key object from public keys and certificates."""
    return isinstance(item, pkcs11.PrivateKey)


def description(item: pkcs11.Object) -> Reply:
    """Return label, id, what the object is, and the graded attributes of a private key."""
    try:
        label = str(item[Attribute.LABEL])
    except _UNREADABLE:
        label = ""
    private = is_private(item)
    public = "public key" if isinstance(item, pkcs11.PublicKey) else "certificate"
    return {
        "label": label,
        "id": octets(item, Attribute.ID).hex(),
        "found_as": "private key" if private else public,
        "attributes": [[name.name, flag(item, name)] for name in _GRADED] if private else [],
    }
