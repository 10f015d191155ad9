"""The RFC 6962 Merkle tree over the lines of a transcript.

Source: RFC 6962, 2.1: leaf hash SHA-256(00 || line), node hash SHA-256(01 || left || right);
a line is its bytes without the newline. The tree grows a line at a time in O(log n).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


class Tree:
    """A growing tree: `append` lines, ask for `root` at any size."""

    def __init__(self, lines: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []  # (height, hash), highest first
        for line in lines:
            self.append(line)

    def append(self, line: bytes) -> None:
        """Add one line's bytes, without its newline."""
        height, node = 0, hashlib.sha256(b"\x00" + line).digest()
        while self._peaks and self._peaks[-1][0] == height:
            _, left = self._peaks.pop()
            height, node = height + 1, _node(left, node)
        self._peaks.append((height, node))
        self.size += 1

    def root(self) -> bytes:
        """Return the 32-byte root; of the empty tree, SHA-256 of nothing (RFC 6962, 2.1)."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        peaks = [node for _, node in self._peaks]
        root = peaks.pop()
        while peaks:
            root = _node(peaks.pop(), root)
        return root


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
