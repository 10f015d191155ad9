"""A detached OpenPGP signature file: which signature packets it holds, and no content.

Decides what such a file looks like, armoured or binary. Refuses clear-signed and
inline-signed files by name (ATT-OPENPGP-CLEARSIGNED), and to know what is signed.
"""

from __future__ import annotations

from ceremony.attest import openpgp_signature as sig
from ceremony.attest.openpgp_armour import ARMOUR, CLEAR_SIGNED, MESSAGE, SIGNATURE, dearmoured
from ceremony.attest.openpgp_signature import RULE, OpenPgpSignature, read_signature
from ceremony.attest.openpgp_wire import packet_tag, read_packets
from ceremony.errors import Refused, refuse

CLEAR_SIGNED_RULE = "ATT-OPENPGP-CLEARSIGNED"
MOST_BYTES = 1 << 17
MOST_SIGNATURES = 64

BINARY, TEXT = 0x00, 0x01
SIGNATURE_TAG = 2
# RFC 9580 5.8 marker, 5.14 padding: to be ignored.
IGNORED = (10, 21)
# Session keys, one-pass signatures, encrypted, compressed and literal data.
INLINE = (1, 3, 4, 8, 9, 11, 18, 20)
UNDERSTOOD = (sig.CREATED, sig.EXPIRES, sig.ISSUER, sig.SIGNER, sig.ISSUER_FINGERPRINT)
BINARY_NAMES = (".sig", ".gpg", ".pgp", ".asc")
# Tag 2 with one, two or four bytes of length, and in the newer form.
BINARY_STARTS = (b"\x88", b"\x89", b"\x8a", b"\xc2")
_ARMOURS = {kind: f"-----BEGIN {kind}-----".encode() for kind in (SIGNATURE, CLEAR_SIGNED, MESSAGE)}


def looks_like_openpgp(path: str, data: bytes) -> bool:
    """Say whether a file begins as a signature does: armoured, or binary and named so."""
    if data.startswith(ARMOUR):
        return data.startswith(tuple(_ARMOURS.values()))
    return data[:1] in BINARY_STARTS and path.endswith(BINARY_NAMES)


def read_signature_file(data: bytes) -> tuple[bytes, ...]:
    """Return the bodies of the distinct signature packets of a detached signature file."""
    if len(data) > MOST_BYTES:
        raise refuse(RULE, f"the signature has more than {MOST_BYTES} bytes")
    if data.startswith(ARMOUR):
        if data.startswith((_ARMOURS[CLEAR_SIGNED], _ARMOURS[MESSAGE])):
            raise _inline()
        data = dearmoured(data, SIGNATURE, RULE)
    # Such a packet may have no length: it is known by its first byte.
    if data and packet_tag(data[0]) in INLINE:
        raise _inline()
    found: dict[bytes, None] = {}
    for packet in read_packets(data, RULE, MOST_SIGNATURES):
        if packet.tag in INLINE:
            raise _inline()
        if packet.tag == SIGNATURE_TAG:
            found[packet.body] = None
        elif packet.tag not in IGNORED:
            raise refuse(RULE, f"a packet of type {packet.tag} stands among the signatures")
    if not found:
        raise refuse(RULE, "the file holds no signature")
    return tuple(found)


def _inline() -> Refused:
    return refuse(CLEAR_SIGNED_RULE, "the file carries what it signs; only detached ones serve")


def read_detached(body: bytes) -> OpenPgpSignature:
    """Read one signature over a file: binary or text, of no limited life."""
    signature = read_signature(body, UNDERSTOOD)
    if signature.kind not in (BINARY, TEXT):
        raise refuse(RULE, f"a signature of type 0x{signature.kind:02x} is not over a file")
    # Whether an attestation is too old is the policy's to say, for every format alike.
    if signature.stated(sig.EXPIRES):
        raise refuse(RULE, "the signature says that it expires")
    return signature
