"""Proofs as text: that a line is under a checkpoint, that a checkpoint extends an earlier head.

Shapes: C2SP tlog-proof for a line (header, `index`, hashes, a blank line, the checkpoint) and
the body of C2SP tlog-witness's add-checkpoint for a head (`old`, hashes, a blank line, the
checkpoint). A proof says nothing of who signed the checkpoint: the countersignatures do.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from ceremony.errors import refuse
from ceremony.show import escaped
from ceremony.types import SHA256_BYTES
from ceremony.words import words
from transcripts import merkle
from transcripts.checkpoint import HEAD_WORDS, Head, read_checkpoint
from transcripts.log import MOST_LINES

HEADER = "c2sp.org/tlog-proof@v1"
INDEX, OLD = "index", "old"
MOST_BYTES = 8 * 1024
MOST_HASHES = 2 * MOST_LINES.bit_length()
_NUMBER = re.compile(r"0|[1-9][0-9]{0,6}")
_ROOT_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof about the head it ends with.

    `place` is the index of the proved line from 0, or the number of lines of the earlier head.
    """

    kind: str
    place: int
    hashes: tuple[bytes, ...]
    head: Head

    @property
    def text(self) -> bytes:
        """Return the proof's one form."""
        hashes = (base64.b64encode(node).decode("ascii") for node in self.hashes)
        first = (HEADER,) if self.kind == INDEX else ()
        lines = (*first, f"{self.kind} {self.place}", *hashes, "")
        return "".join(f"{line}\n" for line in lines).encode("ascii") + self.head.text


@dataclass(frozen=True, slots=True)
class Earlier:
    """A head that was noted earlier: its count, and its root or only the words for it."""

    count: int
    root: bytes | None
    spoken: str

    def fits(self, root: bytes) -> bool:
        """Tell whether `root` is the root that was noted."""
        return root == self.root if self.root else _spoken(root).lower() == self.spoken


def prove_line(raw: tuple[bytes, ...], index: int, head: Head) -> Proof:
    """Return the proof that line `index` of `raw` is under `head`; TRN-PROOF if there is none."""
    if not 0 <= index < len(raw):
        text = f"there is no event {index + 1:,}; the transcript has {len(raw):,}, counted from 1"
        raise refuse("TRN-PROOF", text)
    leaves = tuple(map(merkle.leaf, raw))
    return Proof(INDEX, index, merkle.inclusion(leaves, index), head)


def prove_extension(raw: tuple[bytes, ...], earlier: Earlier, head: Head) -> Proof:
    """Return the proof that `head` over `raw` extends `earlier`; TRN-PROOF if it does not."""
    if not 0 < earlier.count <= len(raw):
        text = f"a head of {earlier.count:,} lines, and the transcript has {len(raw):,}"
        raise refuse("TRN-PROOF", text)
    there = merkle.Tree(raw[: earlier.count]).root()
    if not earlier.fits(there):
        text = (
            f"the first {earlier.count:,} lines have the head {_spoken(there)}, not the one given"
        )
        raise refuse("TRN-PROOF", text)
    leaves = tuple(map(merkle.leaf, raw))
    return Proof(OLD, earlier.count, merkle.consistency(leaves, earlier.count), head)


def check_line(proof: Proof, line: bytes) -> None:
    """Return if `proof` proves `line`, without its newline; Refused (TRN-PROOF) otherwise."""
    if proof.kind != INDEX:
        raise refuse("TRN-PROOF", "this is a proof of an earlier head, not of a line")
    head = proof.head
    if not merkle.included(merkle.leaf(line), proof.place, head.count, proof.hashes, head.root):
        raise refuse("TRN-PROOF", f"it does not lead from this line to the head of {head.origin}")


def check_extension(proof: Proof, earlier: Earlier) -> None:
    """Return if `proof` proves that its head extends `earlier`; Refused (TRN-PROOF) otherwise."""
    if proof.kind != OLD:
        raise refuse("TRN-PROOF", "this is a proof of a line, not of an earlier head")
    if earlier.root is None:
        raise refuse("TRN-PROOF", "words are six bytes of a root; give all of it, in hex or base64")
    before, after = (earlier.count, earlier.root), (proof.head.count, proof.head.root)
    if proof.place != earlier.count or not merkle.consistent(before, after, proof.hashes):
        raise refuse("TRN-PROOF", "it does not lead from the earlier head to the later one")


def read_proof(data: bytes) -> Proof:
    """Return the proof that `data` states in its one form; Refused (TRN-PROOF) otherwise."""
    above, blank, below = data.partition(b"\n\n")
    if len(data) > MOST_BYTES or not blank:
        raise refuse("TRN-PROOF", "the file is not a proof")
    head = read_checkpoint(below)
    try:
        lines = above.decode("ascii").split("\n")
        if lines[0] == HEADER:
            lines.pop(0)
        kind, _, place = lines.pop(0).partition(" ")
        hashes = tuple(base64.b64decode(line, validate=True) for line in lines)
    except (ValueError, IndexError, binascii.Error):
        raise refuse("TRN-PROOF", "the file is not a proof") from None
    if kind not in (INDEX, OLD) or not _NUMBER.fullmatch(place) or len(hashes) > MOST_HASHES:
        raise refuse("TRN-PROOF", "the file is not a proof of a line or of an earlier head")
    proof = Proof(kind, int(place), hashes, head)
    if proof.text != data or any(len(node) != SHA256_BYTES for node in hashes):
        raise refuse("TRN-PROOF", "the proof is not in its one canonical form")
    return proof


def read_earlier(text: str) -> Earlier:
    """Return the head that COUNT:ROOT names, ROOT in hex, in base64 or as its six words."""
    count, colon, root = text.partition(":")
    if not colon or not _NUMBER.fullmatch(count):
        raise refuse("TRN-PROOF", f"{escaped(text, 80)} is not COUNT:ROOT")
    if _ROOT_HEX.fullmatch(root):
        return Earlier(int(count), bytes.fromhex(root), "")
    if len(spoken := root.lower().split()) == HEAD_WORDS:
        return Earlier(int(count), None, " ".join(spoken))
    try:
        node = base64.b64decode(root, validate=True)
    except (ValueError, binascii.Error):
        node = b""
    if len(node) != SHA256_BYTES:
        raise refuse("TRN-PROOF", "ROOT is 64 hex digits, base64 of 32 bytes, or six words")
    return Earlier(int(count), node, "")


def _spoken(root: bytes) -> str:
    return " ".join(words(root[:HEAD_WORDS]))
