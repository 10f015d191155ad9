"""The signature of an SSH key: what stands in an SSHSIG and at the end of a certificate.

    string format | string value                         RFC 4253 6.6, RFC 5656 3.1.2, RFC 8332 3
    ... | byte flags | uint32 counter                    of a security key (PROTOCOL.u2f)

Decides whether such a blob is well formed for a key, and whether that key made it over some
bytes. Refuses to know what the bytes mean, and RSA with SHA-1.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ceremony.attest.ssh_wire import WireReader, uint32
from ceremony.errors import refuse
from ceremony.keys import PublicKey, Scheme
from ceremony.show import escaped

TOUCHED = 0x01  # PROTOCOL.u2f: bit 0, user presence
VERIFIED = 0x04  # bit 2, user verification: a PIN or a finger

_ECDSA = {
    "ecdsa-sha2-nistp256": "ecdsa-p256-sha256",
    "ecdsa-sha2-nistp384": "ecdsa-p384-sha384",
    "ecdsa-sha2-nistp521": "ecdsa-p521-sha512",
}
_RSA = {"rsa-sha2-256": Scheme.RSA_PKCS1_SHA256, "rsa-sha2-512": Scheme.RSA_PKCS1_SHA512}


class KeySignature(NamedTuple):
    """The raw value in the form `key.verify` takes; flags and counter of a security key."""

    scheme: Scheme
    value: bytes
    flags: int = 0
    counter: int = 0


def read_signature(key: PublicKey, blob: bytes, rule: str) -> KeySignature:
    """Read a signature blob that `key` may have made; Refused (`rule`) says what is wrong."""
    wire = WireReader(blob, rule)
    kind = wire.name()
    flags = counter = 0
    match kind:
        case "ssh-ed25519" if key.algorithm == "ed25519":
            scheme, raw = Scheme.ED25519, wire.string()
        case "sk-ssh-ed25519@openssh.com" if key.algorithm == "sk-ssh-ed25519":
            scheme, raw = Scheme.ED25519, wire.string()
            flags, counter = wire.byte(), wire.uint32()
        case "sk-ecdsa-sha2-nistp256@openssh.com" if key.algorithm == "sk-ecdsa-p256":
            scheme, raw = Scheme.ECDSA, _der(wire.string(), rule)
            flags, counter = wire.byte(), wire.uint32()
        case _ if _ECDSA.get(kind) == key.algorithm:
            scheme, raw = Scheme.ECDSA, _der(wire.string(), rule)
        # PROTOCOL.sshsig: RSA "MUST use either rsa-sha2-256 or rsa-sha2-512".
        case _ if kind in _RSA and key.algorithm.startswith("rsa-"):
            scheme, raw = _RSA[kind], _whole(wire.string(), key)
        case _:
            raise refuse(rule, f"a {key.algorithm} key makes no {escaped(kind)} signature")
    wire.end()
    return KeySignature(scheme, raw, flags, counter)


def verify_signature(key: PublicKey, signature: KeySignature, data: bytes) -> None:
    """Refuse (ATT-SIGNATURE) unless `key` made `signature` over `data`."""
    if key.is_security_key:
        # PROTOCOL.u2f, "SSH U2F Signatures": over the hash of the application, the flags byte,
        # the counter and the hash of the data.
        data = (
            hashlib.sha256(key.application.encode()).digest()
            + bytes([signature.flags])
            + uint32(signature.counter)
            + hashlib.sha256(data).digest()
        )
    key.verify(signature.value, data, signature.scheme)


def touched(key: PublicKey, flags: int) -> bool:
    """Say whether no touch is needed or the security key says that it was touched."""
    return not key.is_security_key or bool(flags & TOUCHED)


def _whole(value: bytes, key: PublicKey) -> bytes:
    """Return an RSA signature as long as its modulus: some agents leave leading zeros out.

    RFC 8332 3 has it whole; ssh-rsa.c pads a shorter one and refuses a longer one.
    """
    return value.rjust((int(key.algorithm.removeprefix("rsa-")) + 7) // 8, b"\0")


def _der(blob: bytes, rule: str) -> bytes:
    """Return an SSH ECDSA signature (RFC 5656 3.1.2: mpint r, mpint s) as DER."""
    wire = WireReader(blob, rule)
    der = encode_dss_signature(wire.mpint(), wire.mpint())
    wire.end()
    return der
