"""The RFC 6962 Merkle tree over the lines of a transcript, and proofs from it.

Source: RFC 6962, 2.1: leaf hash SHA-256(00 || line), node hash SHA-256(01 || left || right);
a line is its bytes without the newline. The tree grows a line at a time in O(log n).
Proofs are made as RFC 6962, 2.1.1 and 2.1.2 define them, and checked as RFC 9162, 2.1.3.2
and 2.1.4.2 say: a check knows hashes and sizes only, never the lines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY = hashlib.sha256(b"").digest()  # RFC 6962, 2.1: the root of the tree without leaves


class Tree:
    """A growing tree: `append` lines, ask for `root` at any size."""

    def __init__(self, lines: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []  # (height, hash), highest first
        for line in lines:
            self.append(line)

    def append(self, line: bytes) -> None:
        """Add one line's bytes, without its newline."""
        self.append_leaf(leaf(line))

    def append_leaf(self, node: bytes) -> None:
        """Add a line by its leaf hash."""
        height = 0
        while self._peaks and self._peaks[-1][0] == height:
            _, left = self._peaks.pop()
            height, node = height + 1, _node(left, node)
        self._peaks.append((height, node))
        self.size += 1

    def root(self) -> bytes:
        """Return the 32-byte root; of the empty tree, SHA-256 of nothing (RFC 6962, 2.1)."""
        if not self._peaks:
            return EMPTY
        peaks = [node for _, node in self._peaks]
        root = peaks.pop()
        while peaks:
            root = _node(peaks.pop(), root)
        return root


def leaf(line: bytes) -> bytes:
    """Return a line's leaf hash."""
    return hashlib.sha256(b"\x00" + line).digest()


def inclusion(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the audit path of leaf `index` in the tree over `leaves` (RFC 6962, 2.1.1)."""
    if len(leaves) <= 1:
        return ()
    half = _half(len(leaves))
    if index < half:
        return (*inclusion(leaves[:half], index), _root(leaves[half:]))
    return (*inclusion(leaves[half:], index - half), _root(leaves[:half]))


def consistency(leaves: Sequence[bytes], size: int) -> tuple[bytes, ...]:
    """Return the proof that the tree over `leaves` extends its first `size` (RFC 6962, 2.1.2)."""
    return _subproof(leaves, size, whole=True) if 0 < size < len(leaves) else ()


def _subproof(leaves: Sequence[bytes], size: int, *, whole: bool) -> tuple[bytes, ...]:
    if size == len(leaves):
        return () if whole else (_root(leaves),)
    half = _half(len(leaves))
    if size <= half:
        return (*_subproof(leaves[:half], size, whole=whole), _root(leaves[half:]))
    return (*_subproof(leaves[half:], size - half, whole=False), _root(leaves[:half]))


def included(node: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Tell whether `path` leads from the leaf hash `node` to `root` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    first, last = index, size - 1
    for other in path:
        if last == 0:
            return False
        if first & 1 or first == last:
            node = _node(other, node)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            node = _node(node, other)
        first, last = first >> 1, last >> 1
    return last == 0 and node == root


def consistent(before: tuple[int, bytes], after: tuple[int, bytes], path: Sequence[bytes]) -> bool:
    """Tell whether the tree (size, root) `after` extends `before` (RFC 9162, 2.1.4.2)."""
    (old, old_root), (new, new_root) = before, after
    if not 0 < old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    rest = list(path)
    if old & (old - 1) == 0:
        rest.insert(0, old_root)
    if not rest:
        return False
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    left = right = rest[0]
    for other in rest[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            left, right = _node(other, left), _node(other, right)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            right = _node(right, other)
        first, last = first >> 1, last >> 1
    return last == 0 and left == old_root and right == new_root


def _half(size: int) -> int:
    """Return the largest power of two below `size` (RFC 6962, 2.1)."""
    return 1 << (size - 1).bit_length() - 1


def _root(leaves: Sequence[bytes]) -> bytes:
    tree = Tree()
    for node in leaves:
        tree.append_leaf(node)
    return tree.root()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
