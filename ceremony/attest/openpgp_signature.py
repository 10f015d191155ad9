"""One OpenPGP v4 signature packet (RFC 9580 5.2): what it says and whether it fits a key.

Decides fields, times and hints, and the digest that was signed: SHA-256, SHA-384 and
SHA-512 only. Refuses v3 and v6, unknown critical subpackets, and to know who may sign what.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ceremony.attest.openpgp_wire import Subpacket, read_mpi, read_subpackets
from ceremony.attest.ssh_wire import WireReader, uint32
from ceremony.errors import Refused, refuse
from ceremony.keys import SIGNATURE_RULE, PublicKey, Scheme

RULE = "ATT-OPENPGP"
HASH_RULE = "ATT-OPENPGP-HASH"
HASHES = {8: "sha256", 9: "sha384", 10: "sha512"}
REFUSED_HASHES = {1: "MD5", 2: "SHA-1", 3: "RIPEMD-160", 11: "SHA-224"}

CREATED, EXPIRES, ISSUER, SIGNER, ISSUER_FINGERPRINT = 2, 3, 16, 28, 33
KEY_FLAGS, EMBEDDED = 27, 32

_RSA_SCHEMES = {
    "sha256": Scheme.RSA_PKCS1_SHA256,
    "sha384": Scheme.RSA_PKCS1_SHA384,
    "sha512": Scheme.RSA_PKCS1_SHA512,
}
# The hash must be no shorter than the one that the curve goes with.
_LEAST_HASH = {"ecdsa-p384-sha384": ("sha384", "sha512"), "ecdsa-p521-sha512": ("sha512",)}


class Hash(Protocol):
    """The part of a hashlib object that is used here."""

    def copy(self) -> Hash:
        """Return a second hash of the same bytes so far."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""

    def digest(self) -> bytes:
        """Return the digest of the bytes so far."""


@dataclass(frozen=True, slots=True)
class OpenPgpSignature:
    """A v4 signature: `created` in seconds since 1970, `fingerprint` and `issuer` as hints.

    `fingerprint` (40 hex digits, "" where none) is signed, `issuer` (16) need not be.
    `signed` is the part of the packet that is hashed after the content, `start` the first
    two bytes of the digest, `values` the algorithm's own fields.
    """

    kind: int
    algorithm: int
    hash_id: int
    created: int
    fingerprint: str
    issuer: str
    hashed: tuple[Subpacket, ...]
    unhashed: tuple[Subpacket, ...]
    signed: bytes
    start: bytes
    values: bytes

    @property
    def hash_name(self) -> str:
        """Return the name that hashlib knows the hash by, or refuse (ATT-OPENPGP-HASH)."""
        name = HASHES.get(self.hash_id)
        if name is None:
            called = REFUSED_HASHES.get(self.hash_id, f"the hash {self.hash_id}")
            raise refuse(HASH_RULE, f"the signature is made with {called}, not SHA-2")
        return name

    def stated(self, kind: int) -> tuple[bytes, ...]:
        """Return the bodies of the signed subpackets of one kind."""
        return tuple(part.body for part in self.hashed if part.kind == kind)

    def digest(self, content: Hash) -> bytes:
        """Return what was signed, `content` being the hash of the content."""
        return digest_of(self.signed, content)

    def hasher(self, content: bytes) -> Hash:
        """Return the hash of a content that is signed as it is."""
        return hashlib.new(self.hash_name, content)

    def verify(self, key: PublicKey, content: Hash) -> Scheme:
        """Refuse unless the signature is `key`'s over the content; return how it was made."""
        return self.fitted(key, self.digest(content))[0]

    def fitted(self, key: PublicKey, digest: bytes) -> tuple[Scheme, bytes]:
        """Do the same with the digest, and return the signature as the key takes it besides."""
        name = self.hash_name
        raw, scheme = self._raw(key)
        if weak_hash(key, name):
            raise refuse(HASH_RULE, f"{name} is too short for a {key.algorithm} key")
        if digest[:2] != self.start:
            raise no_fit()
        key.verify_digest(raw, digest, name)
        return scheme, raw

    def _raw(self, key: PublicKey) -> tuple[bytes, Scheme]:
        """Return the signature as the key takes it: PKCS #1, DER or R and S of 32 bytes each."""
        wire = WireReader(self.values, RULE)
        match self.algorithm:
            case 1 | 3 if key.algorithm.startswith("rsa-"):
                size = (int(key.algorithm.removeprefix("rsa-")) + 7) // 8
                raw, scheme = self._fixed(read_mpi(wire, RULE), size), _RSA_SCHEMES[self.hash_name]
            case 19 if key.algorithm.startswith("ecdsa-"):
                pair = read_mpi(wire, RULE), read_mpi(wire, RULE)
                raw, scheme = encode_dss_signature(*pair), Scheme.ECDSA
            case 22 if key.algorithm == "ed25519":
                raw = b"".join(self._fixed(read_mpi(wire, RULE), 32) for _ in "RS")
                scheme = Scheme.ED25519
            case 27 if key.algorithm == "ed25519":
                raw, scheme = wire.take(64), Scheme.ED25519
            case _:
                text = f"a {key.algorithm} key makes no signature of algorithm {self.algorithm}"
                raise refuse(SIGNATURE_RULE, text)
        wire.end()
        return raw, scheme

    def _fixed(self, number: int, size: int) -> bytes:
        if number.bit_length() > 8 * size:
            raise refuse(SIGNATURE_RULE, "a number of the signature is too great for this key")
        return number.to_bytes(size, "big")


def digest_of(signed: bytes, content: Hash) -> bytes:
    """Return the digest of a hashed content and the packet's own signed fields."""
    # RFC 9580 5.2.4: "0x04, 0xFF, and a four-octet big-endian number".
    state = content.copy()
    state.update(signed + b"\x04\xff" + uint32(len(signed)))
    return state.digest()


def weak_hash(key: PublicKey, name: str) -> bool:
    """Say whether a hash is shorter than the one that the key's curve goes with."""
    return name not in _LEAST_HASH.get(key.algorithm, HASHES.values())


def scheme_of(key: PublicKey, name: str) -> Scheme:
    """Return how a key signs a digest of that name."""
    if key.algorithm.startswith("rsa-"):
        return _RSA_SCHEMES[name]
    return Scheme.ED25519 if key.algorithm == "ed25519" else Scheme.ECDSA


def no_fit() -> Refused:
    """Make the error of a signature that is not this key's over this content."""
    return refuse(SIGNATURE_RULE, "the signature does not fit this key and content")


def read_signature(body: bytes, understood: tuple[int, ...]) -> OpenPgpSignature:
    """Read the body of a signature packet; a critical subpacket must be of `understood`."""
    if body[:1] != b"\x04":
        version = body[0] if body else 0
        raise refuse(RULE, f"a signature of version {version}; only version 4 serves")
    wire = WireReader(body, RULE)
    _, kind, algorithm, hash_id = wire.take(4)
    hashed_size = int.from_bytes(wire.take(2), "big")
    hashed = read_subpackets(wire.take(hashed_size), RULE)
    unhashed_size = int.from_bytes(wire.take(2), "big")
    unhashed = read_subpackets(wire.take(unhashed_size), RULE)
    start = wire.take(2)
    for part in (*hashed, *unhashed):
        if part.critical and part.kind not in understood:
            raise refuse(RULE, f"it says that subpacket {part.kind} must be understood")
    created = [part.body for part in hashed if part.kind == CREATED]
    if len(created) != 1 or len(created[0]) != 4:  # noqa: PLR2004 - RFC 9580 5.2.3.11
        raise refuse(RULE, "it does not say once when it was made")
    return OpenPgpSignature(
        kind=kind,
        algorithm=algorithm,
        hash_id=hash_id,
        created=int.from_bytes(created[0], "big"),
        fingerprint=_fingerprint(hashed),
        issuer=_issuer((*hashed, *unhashed)),
        hashed=hashed,
        unhashed=unhashed,
        signed=body[: 6 + hashed_size],
        start=start,
        values=body[10 + hashed_size + unhashed_size :],
    )


def _fingerprint(parts: tuple[Subpacket, ...]) -> str:
    """Return the v4 fingerprint of RFC 9580 5.2.3.35, one byte version before it."""
    found = {part.body for part in parts if part.kind == ISSUER_FINGERPRINT}
    if len(found) > 1:
        raise refuse(RULE, "it names two keys")
    body = found.pop() if found else b""
    return body[1:].hex() if body[:1] == b"\x04" and len(body) == 21 else ""  # noqa: PLR2004 - 1 and 20 of SHA-1


def _issuer(parts: tuple[Subpacket, ...]) -> str:
    """Return the key id that is named first."""
    return next((part.body.hex() for part in parts if part.kind == ISSUER), "")
