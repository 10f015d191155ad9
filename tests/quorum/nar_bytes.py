"""Nix archives written by hand, right ones and wrong ones."""

from __future__ import annotations

from typing import TypeAlias

Tree: TypeAlias = "bytes | str | dict[str, Tree]"


def word(text: bytes | str) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return len(data).to_bytes(8, "little") + data + bytes(-len(data) % 8)


def words(*texts: bytes | str) -> bytes:
    return b"".join(word(text) for text in texts)


def node(tree: Tree) -> bytes:
    """Return a node: bytes are a file, a text is a link's target, a dict a folder."""
    if isinstance(tree, bytes):
        return words("(", "type", "regular", "contents", tree, ")")
    if isinstance(tree, str):
        return words("(", "type", "symlink", "target", tree, ")")
    entries = b"".join(entry(name, node(inside)) for name, inside in tree.items())
    return words("(", "type", "directory") + entries + word(")")


def entry(name: bytes | str, inside: bytes) -> bytes:
    return words("entry", "(", "name", name, "node") + inside + word(")")


def archive(tree: Tree) -> bytes:
    return word("nix-archive-1") + node(tree)
