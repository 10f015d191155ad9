"""The checkpoint: the short text that people sign, print, show as QR code and read aloud.

Shape: C2SP tlog-checkpoint. Three lines: origin, number of lines, base64 of the RFC 6962
root. The origin names ceremony and mode, so that no head serves another ceremony.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from ceremony.errors import refuse
from ceremony.types import SHA256_BYTES, Mode
from ceremony.words import words

NAMESPACE = "transcript@uki-ceremony"
HEAD_WORDS = 6
MOST_BYTES = 512


@dataclass(frozen=True, slots=True)
class Head:
    """How many lines there are, and the root over them (32 bytes)."""

    origin: str
    count: int
    root: bytes

    @property
    def text(self) -> bytes:
        """Return the bytes of checkpoint.txt."""
        root = base64.b64encode(self.root).decode("ascii")
        return f"{self.origin}\n{self.count}\n{root}\n".encode("ascii")

    @property
    def spoken(self) -> str:
        """Return the six words that stand for this head on the witness's paper."""
        return " ".join(words(self.root[:HEAD_WORDS]))


def origin(ceremony: str, mode: Mode) -> str:
    """Return the origin line of a ceremony's checkpoints."""
    return f"uki-ceremony/{ceremony}/{mode}"


def read_checkpoint(data: bytes) -> Head:
    """Return the head that a checkpoint.txt states; Refused (TRN-CHECKPOINT) otherwise."""
    try:
        name, count, root, end = data[:MOST_BYTES].decode("ascii").split("\n")
        head = Head(name, int(count), base64.b64decode(root, validate=True))
    except (ValueError, binascii.Error):
        raise refuse("TRN-CHECKPOINT", "checkpoint.txt is not a checkpoint") from None
    if end or head.text != data or len(head.root) != SHA256_BYTES or head.count < 0:
        raise refuse("TRN-CHECKPOINT", "checkpoint.txt is not in its one canonical form")
    return head
