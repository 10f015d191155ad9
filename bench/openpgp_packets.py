"""OpenPGP, version 4 (RFC 4880): as much as one key and its detached signatures need.

Decides bytes only; gpg verifies a sample of them in every run.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from signers import MADE, Signer

_P256 = bytes.fromhex("2a8648ce3d030107")
_EDWARDS = bytes.fromhex("2b06010401da470f01")
_NUMBERS = {"rsa": 1, "ecdsa": 19, "ed25519": 22}
_SHA256, _BINARY, _POSITIVE = 8, 0x00, 0x13
_SIGNS = 0x03  # key flags: certifies and signs
_BORN = int((MADE - timedelta(days=30)).timestamp())


def certificate(signer: Signer) -> bytes:
    """Return the binary transferable public key, its user id signed by itself."""
    body = _key_body(signer)
    user = signer.id.encode()
    hashed = _subpacket(2, struct.pack(">I", _BORN)) + _subpacket(27, bytes([_SIGNS]))
    prefix = b"\x99" + struct.pack(">H", len(body)) + body
    prefix += b"\xb4" + struct.pack(">I", len(user)) + user
    signature, _, _ = _packet_signature(signer, _POSITIVE, prefix, hashed)
    return _packet(6, body) + _packet(13, user) + signature


def fingerprint(signer: Signer) -> bytes:
    """Return the SHA-1 that OpenPGP v4 names a key by."""
    body = _key_body(signer)
    framed = b"\x99" + struct.pack(">H", len(body)) + body
    return hashlib.sha1(framed, usedforsecurity=False).digest()


def detached(signer: Signer, content: bytes) -> tuple[bytes, bytes, bytes]:
    """Return an armoured signature, its raw value, and the bytes that were signed."""
    hashed = _subpacket(2, struct.pack(">I", int(MADE.timestamp())))
    hashed += _subpacket(33, b"\x04" + fingerprint(signer))
    packet, raw, message = _packet_signature(signer, _BINARY, content, hashed)
    return armoured(packet, "SIGNATURE").encode(), raw, message


def armoured(data: bytes, what: str) -> str:
    """Return packets in the armour of a SIGNATURE or a PUBLIC KEY BLOCK (RFC 4880 6.2)."""
    text = base64.b64encode(data).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    check = base64.b64encode(_crc24(data)).decode()
    begin, end = (f"-----{word} PGP {what}-----" for word in ("BEGIN", "END"))
    return "\n".join((begin, "", *lines, f"={check}", end, ""))


def _packet_signature(
    signer: Signer, kind: int, content: bytes, hashed: bytes
) -> tuple[bytes, bytes, bytes]:
    number = _NUMBERS[signer.algorithm]
    head = struct.pack(">4BH", 4, kind, number, _SHA256, len(hashed)) + hashed
    message = content + head + b"\x04\xff" + struct.pack(">I", len(head))
    digest = hashlib.sha256(message).digest()
    unhashed = _subpacket(16, fingerprint(signer)[-8:])
    # RFC 4880bis 13.9: EdDSA signs the digest, not the message.
    signed = digest if signer.algorithm == "ed25519" else message
    raw = signer.sign(signed)
    body = head + struct.pack(">H", len(unhashed)) + unhashed + digest[:2]
    body += b"".join(_number(value) for value in _values(signer, raw))
    return _packet(2, body), raw, signed


def _values(signer: Signer, raw: bytes) -> tuple[int, ...]:
    if signer.algorithm == "rsa":
        return (int.from_bytes(raw, "big"),)
    if signer.algorithm == "ecdsa":
        return decode_dss_signature(raw)
    return int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")


def _key_body(signer: Signer) -> bytes:
    head = struct.pack(">BIB", 4, _BORN, _NUMBERS[signer.algorithm])
    match signer.private.public_key():
        case ed25519.Ed25519PublicKey() as key:
            point = b"\x40" + key.public_bytes_raw()
            return head + bytes([len(_EDWARDS)]) + _EDWARDS + _number(int.from_bytes(point, "big"))
        case ec.EllipticCurvePublicKey() as key:
            point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            return head + bytes([len(_P256)]) + _P256 + _number(int.from_bytes(point, "big"))
        case rsa.RSAPublicKey() as key:
            numbers = key.public_numbers()
            return head + _number(numbers.n) + _number(numbers.e)
        case _:
            raise TypeError(signer.algorithm)


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + struct.pack(">I", len(body)) + body


def _subpacket(kind: int, body: bytes) -> bytes:
    return bytes([len(body) + 1, kind]) + body


def _number(value: int) -> bytes:
    bits = value.bit_length()
    return struct.pack(">H", bits) + value.to_bytes((bits + 7) // 8, "big")


def _crc24(data: bytes) -> bytes:
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return (crc & 0xFFFFFF).to_bytes(3, "big")
