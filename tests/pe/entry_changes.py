"""A signed image whose one entry is taken apart, changed and put back, its lengths right again."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat import asn1

from ceremony.pe.attach import win_certificate
from ceremony.pe.cms import ContentInfo


def entry_changed(signed: bytes, change: Callable[[ContentInfo], None]) -> bytes:
    """Return the image with its last entry as `change` leaves it."""
    at = int.from_bytes(signed[0x3C:0x40], "little") + 24 + 144
    table = int.from_bytes(signed[at : at + 4], "little")
    length = int.from_bytes(signed[table : table + 4], "little")
    read = asn1.decode_der(ContentInfo, signed[table + 8 : table + length])
    change(read)
    return entry_replaced(signed, table, asn1.encode_der(read))


def two_signers(read: ContentInfo) -> None:
    (signer,) = read.content.signers.as_list()
    read.content.signers = asn1.SetOf([signer, signer])


def malformed_behind(read: ContentInfo) -> None:
    """Add a certificate that is none behind the signer's own."""
    assert read.content.certificates is not None
    read.content.certificates = [
        *read.content.certificates,
        asn1.decode_der(asn1.TLV, b"\x30\x03\x02\x01\x01"),
    ]


def entry_replaced(signed: bytes, table: int, blob: bytes) -> bytes:
    entry = win_certificate(blob)
    image = bytearray(signed[:table] + entry)
    at = int.from_bytes(signed[0x3C:0x40], "little") + 24 + 144
    image[at + 4 : at + 8] = len(entry).to_bytes(4, "little")
    return bytes(image)
