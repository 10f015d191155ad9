"""An OpenPGP v4 public key as people export it: armour, base64 or binary, one certificate.

Decides which packets belong together. Refuses secret keys, two keys in one block, and to
know what a certificate's signatures say. A key's identity is its SubjectPublicKeyInfo,
never a fingerprint.
"""

from __future__ import annotations

from functools import lru_cache

from ceremony.attest.openpgp_armour import ARMOUR, PUBLIC_KEY, dearmoured
from ceremony.attest.openpgp_certificate import (
    Certificate,
    OpenPgpKey,
    Part,
    read_certifications,
)
from ceremony.attest.openpgp_material import RULE, read_member
from ceremony.attest.openpgp_wire import Packet, read_packets
from ceremony.attest.strict_base64 import decoded
from ceremony.errors import refuse

MOST_KEY_BYTES = 1 << 18
MOST_PACKETS = 2048
# RFC 9580 5.8 marker, 5.10 trust, 5.14 padding: to be ignored.
IGNORED = (10, 12, 21)


def parse_openpgp_key(text: str) -> OpenPgpKey:
    """Read a certificate from its armour, or from the plain base64 of its packets."""
    stripped = text.strip()
    if stripped.startswith(ARMOUR.decode()):
        return read_openpgp_key(stripped.encode())
    if len(stripped) > 2 * MOST_KEY_BYTES:
        raise refuse(RULE, f"the key is longer than {2 * MOST_KEY_BYTES} characters")
    return read_openpgp_key(decoded(stripped.replace("\n", ""), RULE))


@lru_cache(maxsize=256)
def read_openpgp_key(data: bytes) -> OpenPgpKey:
    """Read a certificate, armoured or binary."""
    if len(data) > 2 * MOST_KEY_BYTES:
        raise refuse(RULE, f"the key has more than {2 * MOST_KEY_BYTES} bytes")
    if data.startswith(ARMOUR):
        data = dearmoured(data, PUBLIC_KEY, RULE)
    if len(data) > MOST_KEY_BYTES:
        raise refuse(RULE, f"the key has more than {MOST_KEY_BYTES} bytes")
    parts = _parts(read_packets(data, RULE, MOST_PACKETS))
    return Certificate(read_member(parts[0][0].body), parts).read()


def _parts(packets: tuple[Packet, ...]) -> list[Part]:
    """Group each key, user id and subkey with the signatures behind it."""
    parts: list[Part] = []
    for packet in packets:
        match packet.tag:
            case 5 | 7:
                raise refuse(RULE, "this is a SECRET key: keep it apart, export the public one")
            case 6 if parts:
                raise refuse(RULE, "the block holds two keys; one is enrolled at a time")
            case 6:
                parts.append((packet, []))
            case _ if packet.tag in IGNORED:
                continue
            case _ if not parts:
                raise refuse(RULE, "the block does not begin with a public key")
            case 2:
                parts[-1][1].extend(read_certifications(packet.body))
            case 13 | 14 | 17:
                parts.append((packet, []))
            case _:
                raise refuse(RULE, f"a packet of type {packet.tag} stands in the key")
    if not parts:
        raise refuse(RULE, "the block holds no key")
    return parts
