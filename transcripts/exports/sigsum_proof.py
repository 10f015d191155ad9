"""A sigsum proof (version 2), and what it proves of a checkpoint.

    version=2 / log=HASH / leaf=HASH SIGNATURE          / stands for a line feed
    size=N / root_hash=HASH / signature=SIGNATURE / cosignature=HASH TIME SIGNATURE, any number
    leaf_index=N / node_hash=HASH, any number           empty lines between; absent if size=1

Source: doc/sigsum-proof.md of sigsum-go; log.md (v1) for tree heads; C2SP tlog-cosignature/v1.
Decides by pinned keys alone whether a message was logged in public. Knows no clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ceremony.errors import Refused, refuse
from ceremony.keys import PublicKey, Scheme
from ceremony.show import escaped
from transcripts import merkle
from transcripts.checkpoint import Head
from transcripts.exports import sigsum_leaf
from transcripts.exports.sigsum_leaf import Leaf
from transcripts.exports.sigsum_policy import RULE, SigsumPolicy, Witness

VERSION = "2"
ORIGIN = "sigsum.org/v1/tree/"
MOST_BYTES = 64 * 1024
MOST_COSIGNATURES = 128
MOST_NODES = 63  # a tree of 2**63 - 1 leaves
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_HASH = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Cosignature:
    """That a witness saw the tree grow to this head, at `time` (seconds since 1970)."""

    key_hash: bytes
    time: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class SigsumProof:
    """A proof as it was read; nothing in it is believed yet."""

    log: bytes
    submitter: bytes
    leaf_signature: bytes
    size: int
    root: bytes
    signature: bytes
    cosignatures: tuple[Cosignature, ...]
    index: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Logged:
    """What a proof proved: by whose key, in which log, and which witnesses saw it when."""

    submitter: bytes
    log: bytes
    size: int
    index: int
    witnesses: tuple[tuple[str, int], ...]


def read_proof(data: bytes) -> SigsumProof:
    """Return the proof that `data` states; TRN-SIGSUM for anything but its one spelling."""
    if len(data) > MOST_BYTES:
        raise refuse(RULE, f"the sigsum proof has more than {MOST_BYTES:,} bytes")
    if not data.isascii() or not data.endswith(b"\n"):
        raise refuse(RULE, "the sigsum proof is not ASCII lines, each ended by a line feed")
    parts = [part.split("\n") for part in data[:-1].decode("ascii").split("\n\n")]
    lines = _Lines(parts[0])
    if (version := lines.words("version", 1)[0]) != VERSION:
        raise refuse(RULE, f"a sigsum proof of version {escaped(version, 20)}, not {VERSION}")
    log = _hex(lines.words("log", 1)[0], _HASH)
    submitter, leaf_signature = lines.words("leaf", 2)
    lines.end()
    lines = _Lines(parts[1] if len(parts) > 1 else [])
    size = _number(lines.words("size", 1)[0])
    root = _hex(lines.words("root_hash", 1)[0], _HASH)
    signature = _hex(lines.words("signature", 1)[0], _SIGNATURE)
    cosignatures = tuple(_cosignature(words) for words in lines.rest("cosignature", 3))
    index, path = _inclusion(parts[2:], size)
    hashes = {each.key_hash for each in cosignatures}
    if len(hashes) != len(cosignatures) or len(hashes) > MOST_COSIGNATURES:
        raise refuse(RULE, f"a witness cosigned twice, or there are over {MOST_COSIGNATURES}")
    return SigsumProof(
        log=log,
        submitter=_hex(submitter, _HASH),
        leaf_signature=_hex(leaf_signature, _SIGNATURE),
        size=size,
        root=root,
        signature=signature,
        cosignatures=cosignatures,
        index=index,
        path=path,
    )


def verify(
    proof: SigsumProof, message: bytes, submitters: Mapping[bytes, PublicKey], policy: SigsumPolicy
) -> Logged:
    """Return what the proof proves of `message`; TRN-SIGSUM where it does not.

    `submitters` are the keys that may have submitted it, by their hash.
    """
    submitter, log = submitters.get(proof.submitter), policy.logs.get(proof.log)
    if submitter is None:
        text = f"the leaf's key {proof.submitter.hex()[:16]} is none of those that may submit"
        raise refuse(RULE, text)
    if log is None:
        raise refuse(RULE, f"the log {proof.log.hex()[:16]} is none of the policy's")
    said = "the leaf is not about this checkpoint, or its signature is not good"
    _check(submitter, proof.leaf_signature, sigsum_leaf.signed_data(message), said)
    head = Head(ORIGIN + proof.log.hex(), proof.size, proof.root).text
    _check(log, proof.signature, head, "the log's signature is not good for this tree head")
    witnesses = tuple(_cosigned(proof, head, policy))
    if not policy.is_quorum({witness.name for witness, _ in witnesses}):
        names = ", ".join(escaped(witness.name, 40) for witness, _ in witnesses) or "none"
        raise refuse(RULE, f"no quorum of the policy's witnesses cosigned the tree head: {names}")
    checksum = sigsum_leaf.checksum_of(message)
    node = Leaf(checksum, proof.leaf_signature, proof.submitter).hash
    if not merkle.included(node, proof.index, proof.size, proof.path, proof.root):
        raise refuse(RULE, "the path does not lead from the leaf to the tree head")
    seen = tuple((witness.name, time) for witness, time in witnesses)
    return Logged(proof.submitter, proof.log, proof.size, proof.index, seen)


def _cosigned(proof: SigsumProof, head: bytes, policy: SigsumPolicy) -> list[tuple[Witness, int]]:
    """Return the known witnesses that cosigned; one whose cosignature is not good refuses."""
    seen = []
    for each in proof.cosignatures:
        witness = policy.witnesses.get(each.key_hash)
        if witness is None:
            continue  # signed-note: signatures by unknown keys are ignored
        # C2SP tlog-cosignature, "Format"
        text = b"cosignature/v1\ntime %d\n%b" % (each.time, head)
        said = f"the cosignature of {escaped(witness.name, 40)} is not good for this tree head"
        _check(witness.key, each.signature, text, said)
        seen.append((witness, each.time))
    return seen


def _check(key: PublicKey, signature: bytes, message: bytes, said: str) -> None:
    try:
        key.verify(signature, message, Scheme.ED25519)
    except Refused:
        raise refuse(RULE, said) from None


class _Lines:
    """The lines of one part, taken by their keys in order."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def words(self, key: str, count: int) -> list[str]:
        """Return the words of the next line, which must be of this key."""
        if not self._lines or not self._lines[0].startswith(f"{key}="):
            raise refuse(RULE, f"the sigsum proof has no {key} where it belongs")
        words = self._lines.pop(0).removeprefix(f"{key}=").split(" ")
        if len(words) != count:
            raise refuse(RULE, f"{key} in a sigsum proof has {count} words, not {len(words)}")
        return words

    def rest(self, key: str, count: int) -> list[list[str]]:
        """Return the words of all the lines that are left, each of this key."""
        found = []
        while self._lines:
            found.append(self.words(key, count))
        return found

    def end(self) -> None:
        if self._lines:
            raise refuse(RULE, "a part of the sigsum proof has more lines than it may")


def _inclusion(parts: list[list[str]], size: int) -> tuple[int, tuple[bytes, ...]]:
    """Return index and path; a tree of one leaf has neither."""
    if size == 1 and not parts:
        return 0, ()
    if size <= 1 or len(parts) != 1:
        raise refuse(RULE, "a sigsum proof has an inclusion part where its tree is over 1 leaf")
    lines = _Lines(parts[0])
    index = _number(lines.words("leaf_index", 1)[0])
    path = tuple(_hex(words[0], _HASH) for words in lines.rest("node_hash", 1))
    if len(path) > MOST_NODES:
        raise refuse(RULE, f"a path of {len(path)} hashes, the longest tree has {MOST_NODES}")
    return index, path


def _cosignature(words: list[str]) -> Cosignature:
    return Cosignature(_hex(words[0], _HASH), _number(words[1]), _hex(words[2], _SIGNATURE))


def _hex(text: str, shape: re.Pattern[str]) -> bytes:
    if not shape.fullmatch(text):
        raise refuse(RULE, f"{escaped(text, 40)} is no hash or signature in lower-case hex")
    return bytes.fromhex(text)


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) >= 1 << 63:
        raise refuse(RULE, f"{escaped(text, 40)} is no number below 2^63")
    return int(text)
