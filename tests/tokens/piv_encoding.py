"""How a PIV card writes and signs: BER-TLV, algorithm numbers, raw RSA, ECDSA over a digest.

Sources: ISO 7816-4, 5; SP 800-78-4, table 6-2; SP 800-73-4 part 2, 3.2.4 and 3.3.2.
"""

from __future__ import annotations

import socket

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def tlv(tag: int, value: bytes) -> bytes:
    """Return one BER-TLV with a tag of one octet."""
    size = len(value)
    long = b"" if size < 0x80 else (b"\x81" if size < 0x100 else b"\x82")
    return bytes([tag]) + long + size.to_bytes(2 if size > 0xFF else 1, "big") + value


def entries(data: bytes) -> list[tuple[int, bytes]]:
    """Return (tag, value) of each BER-TLV with a tag of one octet."""
    found, at = [], 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size > 0x80:
            size, at = int.from_bytes(data[at : at + size - 0x80], "big"), at + size - 0x80
        found.append((tag, data[at : at + size]))
        at += size
    return found


def algorithm(key: PrivateKey) -> bytes:
    """Return PIV's algorithm identifier (SP 800-78-4, table 6-2)."""
    if isinstance(key, rsa.RSAPrivateKey):
        return b"\x07" if key.key_size == 2048 else b"\x06"
    return b"\x11" if key.key_size == 256 else b"\x14"


def public_half(key: PrivateKey) -> bytes:
    """Return the public key as GENERATE ASYMMETRIC KEY PAIR answers it, without 7F49."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return tlv(0x81, numbers.n.to_bytes(key.key_size // 8, "big")) + tlv(0x82, b"\1\0\1")
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return tlv(0x86, point)


def signed(key: PrivateKey, data: bytes) -> bytes:
    """Apply the key: RSA to a block that the host padded, ECDSA to a digest."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        n = numbers.public_numbers.n
        # Garner's way with the two primes, four times as fast as one exponentiation.
        block, p, q = int.from_bytes(data, "big"), numbers.p, numbers.q
        one, two = pow(block, numbers.dmp1, p), pow(block, numbers.dmq1, q)
        return (two + q * (numbers.iqmp * (one - two) % p)).to_bytes((n.bit_length() + 7) // 8)
    digest = {32: hashes.SHA256(), 48: hashes.SHA384()}[len(data)]
    return key.sign(data, ec.ECDSA(utils.Prehashed(digest)))


def padded(pin: str) -> bytes:
    return pin.encode().ljust(8, b"\xff")


def body_of(apdu: bytes) -> bytes:
    """Return the data of a short or an extended command APDU (ISO 7816-4, 5.1)."""
    if len(apdu) <= 5:
        return b""
    if apdu[4] == 0 and len(apdu) > 7:
        return apdu[7 : 7 + int.from_bytes(apdu[5:7], "big")]
    return apdu[5 : 5 + apdu[4]]


def exactly(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        if not (more := line.recv(count - len(data))):
            raise EOFError
        data += more
    return data
