"""What sigsum logs of a ceremony: a leaf about its checkpoint, asked for by a request.

Source: sigsum's log.md (v1), 2.2 and 3.4. message = SHA-256(checkpoint.txt), so that
`sigsum-submit` and `sigsum-verify` take checkpoint.txt itself; checksum = SHA-256(message). The
signature is Ed25519 over "sigsum.org/v1/tree-leaf" 00 checksum. Refuses to know logs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from transcripts import merkle

NAMESPACE = b"sigsum.org/v1/tree-leaf"


def key_hash(raw: bytes) -> bytes:
    """Return what names a raw Ed25519 public key in sigsum."""
    return hashlib.sha256(raw).digest()


def message_of(checkpoint: bytes) -> bytes:
    """Return the 32-byte message that is logged for a checkpoint."""
    return hashlib.sha256(checkpoint).digest()


def checksum_of(message: bytes) -> bytes:
    """Return what the log publishes of a message."""
    return hashlib.sha256(message).digest()


def signed_data(message: bytes) -> bytes:
    """Return the 56 bytes that the submitter signs."""
    return NAMESPACE + b"\0" + checksum_of(message)


def request(message: bytes, signature: bytes, public_key: bytes) -> bytes:
    """Return the body of an add-leaf request, to be sent by a machine that has a network."""
    lines = (("message", message), ("signature", signature), ("public_key", public_key))
    return "".join(f"{name}={value.hex()}\n" for name, value in lines).encode("ascii")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A logged leaf: checksum, signature and the hash of the submitter's key."""

    checksum: bytes
    signature: bytes
    key_hash: bytes

    @property
    def hash(self) -> bytes:
        """Return the Merkle leaf hash (log.md, 2.3: RFC 6962 over the three, 128 bytes)."""
        return merkle.leaf(self.checksum + self.signature + self.key_hash)
