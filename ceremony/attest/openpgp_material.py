"""The body of one OpenPGP v4 key packet (RFC 9580 5.5.2.2): which public key it holds.

Decides RSA, ECDSA P-256/384/521, EdDSA with Ed25519 in the old form and Ed25519 in the
new. Refuses every other algorithm and version, and to know who signed for the key.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ceremony.attest.openpgp_wire import read_mpi
from ceremony.attest.ssh_wire import WireReader, mpint, string
from ceremony.errors import refuse
from ceremony.keys import PublicKey, from_ed25519, parse_ssh_blob

RULE = "ATT-OPENPGP-KEY"
NATIVE_POINT = b"\x40"
ED25519_BYTES = 32

_ED25519_OID = bytes.fromhex("2b06010401da470f01")
_CURVES = {
    bytes.fromhex("2a8648ce3d030107"): b"nistp256",
    bytes.fromhex("2b81040022"): b"nistp384",
    bytes.fromhex("2b81040023"): b"nistp521",
}


@dataclass(frozen=True, slots=True)
class OpenPgpMember:
    """One key of a certificate: the key, its v4 fingerprint (40 hex digits), its packet."""

    key: PublicKey
    fingerprint: str
    body: bytes


def read_member(body: bytes) -> OpenPgpMember:
    """Read the body of a public key or public subkey packet."""
    wire = WireReader(body, RULE)
    version = wire.byte()
    if version != 4:  # noqa: PLR2004 - RFC 9580 5.5.2.2
        raise refuse(RULE, f"a key of version {version}; only version 4 serves")
    wire.take(4)
    key = _key(wire, wire.byte())
    wire.end()
    # RFC 9580 5.5.4.2: the fingerprint is SHA-1 by definition; here it is a hint, no identity.
    fingerprint = hashlib.sha1(framed(body), usedforsecurity=False).hexdigest()
    return OpenPgpMember(key, fingerprint, body)


def _key(wire: WireReader, algorithm: int) -> PublicKey:
    match algorithm:
        # RSA, and RSA that only signs.
        case 1 | 3:
            modulus, exponent = read_mpi(wire, RULE), read_mpi(wire, RULE)
            return parse_ssh_blob(string(b"ssh-rsa") + mpint(exponent) + mpint(modulus))
        case 19:
            curve = _CURVES.get(wire.take(wire.byte()))
            if curve is None:
                raise refuse(RULE, "an ECDSA key on a curve that is not P-256, P-384 or P-521")
            words = string(b"ecdsa-sha2-" + curve) + string(curve)
            return parse_ssh_blob(words + string(_point(wire)))
        case 22:
            if wire.take(wire.byte()) != _ED25519_OID:
                raise refuse(RULE, "an EdDSA key on a curve that is not Ed25519")
            point = _point(wire)
            if not point.startswith(NATIVE_POINT):
                raise refuse(RULE, "the Ed25519 point is not in its native form")
            return from_ed25519(point[1:])
        case 27:
            return from_ed25519(wire.take(ED25519_BYTES))
        case _:
            raise refuse(RULE, f"keys of algorithm {algorithm} sign nothing here")


def _point(wire: WireReader) -> bytes:
    number = read_mpi(wire, RULE)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def framed(body: bytes) -> bytes:
    """Return a key as it is hashed (RFC 9580 5.2.4)."""
    if len(body) > 0xFFFF:  # noqa: PLR2004 - two bytes of length
        raise refuse(RULE, "a key packet has more than 65535 bytes")
    return b"\x99" + len(body).to_bytes(2, "big") + body
