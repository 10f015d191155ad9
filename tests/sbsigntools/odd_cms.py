"""PKCS#7 and certificates that no tool writes, byte by byte, signed rightly all the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pe.images import MOMENT, Signer

from ceremony.pe import cms
from ceremony.pe.attach import tail
from ceremony.pe.digest import CheckSum
from ceremony.pe.spc import content_octets, indirect_data
from ceremony.pe.sweep import sweep

NULL = b"\x05\x00"
SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
SPC = bytes.fromhex("060a2b060104018237020104")
SHA256 = bytes.fromhex("300d06096086480165030402010500")
RSA = bytes.fromhex("300d06092a864886f70d0101010500")
SHA256_RSA = bytes.fromhex("300d06092a864886f70d01010b0500")
EXPLICIT_0, EXPLICIT_1 = 0xA0, 0xA1


def tlv(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def seq(*contents: bytes) -> bytes:
    return tlv(0x30, *contents)


def set_of(*contents: bytes) -> bytes:
    return tlv(0x31, *contents)


def integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def children(der: bytes) -> list[bytes]:
    """Return the elements inside a constructed one."""
    at, end = _content(der, 0)
    found = []
    while at < end:
        stop = _content(der, at)[1]
        found.append(der[at:stop])
        at = stop
    return found


def _content(der: bytes, at: int) -> tuple[int, int]:
    size, start = der[at + 1], at + 2
    if size & 0x80:
        digits = size & 0x7F
        size, start = int.from_bytes(der[start : start + digits], "big"), start + digits
    return start, start + size


def certificate(by: Signer, version: int, parts: slice = slice(1, None)) -> bytes:
    """Return the signer's certificate as another version, signed again by its own key."""
    tbs = seq(tlv(EXPLICIT_0, integer(version)), *children(children(by.certificate)[0])[parts])
    return seq(tbs, SHA256_RSA, tlv(0x03, b"\0" + by.sign(tbs)))


@dataclass(frozen=True)
class Odd:
    """What is odd about a PKCS#7."""

    certificates: tuple[bytes, ...] = ()
    version: int = 1
    no_signer: bool = False
    revocations: bytes = b""
    unsigned: bytes = b""
    algorithm: bytes = RSA


def odd_cms(image: bytes, by: Signer, odd: Odd) -> bytes:
    """Sign an image as sbsign does, but for what is odd."""
    content = indirect_data(sweep(image).authenticode)
    said = cms.SignedAttributes(MOMENT, hashlib.sha256(content_octets(content)).digest())
    attributes = cms.encode_attributes(said)
    held = odd.certificates or (by.certificate,)
    parts = children(children(held[0])[0])
    name = seq(parts[3], parts[1])
    value = tlv(0x04, by.sign(attributes))
    signed = (b"\xa0" + attributes[1:], odd.algorithm, value, odd.unsigned)
    signer = seq(integer(1), name, SHA256, *signed)
    return seq(
        SIGNED_DATA,
        tlv(
            EXPLICIT_0,
            seq(
                integer(odd.version),
                set_of(SHA256),
                seq(SPC, tlv(EXPLICIT_0, content)),
                tlv(EXPLICIT_0, *held),
                odd.revocations,
                set_of(*(() if odd.no_signer else (signer,))),
            ),
        ),
    )


def attached(image: bytes, pkcs7: bytes) -> bytes:
    """Put any bytes into an image as its next signature, without looking at them."""
    swept = sweep(image)
    added = tail(swept.layout, pkcs7)
    end, directory = swept.layout.end, swept.layout.directory_at
    made = bytearray(image[:end] + bytes(added.padding) + swept.table + added.entry)
    made[directory : directory + 8] = added.directory
    at = swept.layout.checksum_at
    made[at : at + 4] = bytes(4)
    total = CheckSum(at)
    total.update(bytes(made))
    made[at : at + 4] = total.value().to_bytes(4, "little")
    return bytes(made)
