"""A sigsum log and its witnesses, built for tests from the specifications and nothing of ours.

log.md (v1), C2SP tlog-cosignature/v1, doc/sigsum-proof.md (version 2). sigsum-go is in no
distribution that the tests run on; `test_sigsum_proof.py` holds what a public log answered.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

TIME = 1_790_000_000


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(sha256(name.encode()))


def raw(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes_raw()


def named(private: Ed25519PrivateKey) -> str:
    return sha256(raw(private)).hex()


def root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0])
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + root(leaves[:half]) + root(leaves[half:]))


def path(leaves: list[bytes], index: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*path(leaves[:half], index), root(leaves[half:])]
    return [*path(leaves[half:], index - half), root(leaves[:half])]


def read_request(text: bytes) -> dict[str, bytes]:
    lines = [line.split("=") for line in text.decode("ascii").splitlines()]
    assert [name for name, _ in lines] == ["message", "signature", "public_key"]
    return {name: bytes.fromhex(value) for name, value in lines}


@dataclass
class SigsumLog:
    """Takes add-leaf requests as a log does, and gives the proof that sigsum-submit would."""

    secret: Ed25519PrivateKey = field(default_factory=lambda: key("the log"))
    leaves: list[bytes] = field(default_factory=list)

    def fill(self, count: int) -> None:
        self.leaves += [sha256(b"other %d" % number) * 4 for number in range(count)]

    def add(self, request: bytes) -> bytes:
        """Return the leaf that a request makes; its signature is checked as a log checks it."""
        asked = read_request(request)
        checksum = sha256(asked["message"])
        submitter = Ed25519PublicKey.from_public_bytes(asked["public_key"])
        submitter.verify(asked["signature"], b"sigsum.org/v1/tree-leaf\0" + checksum)
        leaf = checksum + asked["signature"] + sha256(asked["public_key"])
        self.leaves.append(leaf)
        return leaf

    @property
    def head(self) -> bytes:
        origin = f"sigsum.org/v1/tree/{named(self.secret)}"
        encoded = base64.b64encode(root(self.leaves)).decode()
        return f"{origin}\n{len(self.leaves)}\n{encoded}\n".encode()

    def proof(self, leaf: bytes, witnesses: list[Ed25519PrivateKey]) -> bytes:
        index = self.leaves.index(leaf)
        cosigned = b"cosignature/v1\ntime %d\n" % TIME + self.head
        lines = [
            "version=2",
            f"log={named(self.secret)}",
            f"leaf={leaf[96:].hex()} {leaf[32:96].hex()}",
            "",
            f"size={len(self.leaves)}",
            f"root_hash={root(self.leaves).hex()}",
            f"signature={self.secret.sign(self.head).hex()}",
            *(f"cosignature={named(w)} {TIME} {w.sign(cosigned).hex()}" for w in witnesses),
        ]
        if len(self.leaves) > 1:
            lines += ["", f"leaf_index={index}"]
            lines += [f"node_hash={node.hex()}" for node in path(self.leaves, index)]
        return "".join(f"{line}\n" for line in lines).encode()


WITNESSES = {name: key(name) for name in ("north", "south", "east", "west")}


def policy(log: SigsumLog, quorum: str = "group enough 2 north south east\nquorum enough") -> bytes:
    lines = [f"log {raw(log.secret).hex()} https://log.example.org", ""]
    lines += [f"witness {name} {raw(secret).hex()}" for name, secret in WITNESSES.items()]
    return "\n".join([*lines, "# how many are enough", quorum, ""]).encode()
