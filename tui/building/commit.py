"""What a commit holds, proved from its name: its time and every path with its object's name.

Decides that the commit and all of its trees hash to what names them (ATT-SOURCE), so that
nothing that lies about in a repository can put other paths under a commit's name. Refuses to
know the work tree. Source: gitformat-pack(5), git-ls-tree(1), "Git Objects" in Pro Git.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ceremony.errors import refuse
from ceremony.show import escaped
from tui.building.git import ask, words_of

RULE = "ATT-SOURCE"
TREE, LINK, MODULE = "040000", "120000", "160000"

_NAME = re.compile(rb"[0-9a-f]{40}|[0-9a-f]{64}")
_HEAD = re.compile(rb"tree ([0-9a-f]+)\n(?:(?!committer )[^\n]+\n)*committer [^\n]*> (\d{1,11}) ")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a commit holds under one path: the mode in six octal digits, the object's name."""

    mode: str
    name: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit's own name, the committer's time, and its entries that are no trees by path."""

    name: str
    time: int
    entries: dict[bytes, Entry]


def object_hash(name: str) -> Callable[[bytes], str]:
    """Return the function that names git's objects in a repository with names like this one."""
    kind = hashlib.sha1 if len(name) == 40 else hashlib.sha256  # noqa: PLR2004 - git's, not ours
    return lambda data: kind(data, usedforsecurity=False).hexdigest()


def read_commit(root: Path) -> Commit:
    """Return what HEAD holds; ATT-SOURCE where there is no commit or an object is not its name."""
    name = ask(root, "rev-parse", "--verify", "HEAD^{commit}").strip()
    if not _NAME.fullmatch(name):
        raise refuse(RULE, f"git names no commit in {escaped(str(root))}")
    shown = name.decode("ascii")
    raw = ask(root, "cat-file", "commit", shown)
    head = _HEAD.match(raw)
    if head is None or object_hash(shown)(b"commit %d\0" % len(raw) + raw) != shown:
        raise refuse(RULE, f"the commit {shown} of {escaped(str(root))} is not what its name says")
    return Commit(shown, int(head[2]), _entries(root, head[1].decode("ascii")))


def _entries(root: Path, tree: str) -> dict[bytes, Entry]:
    all_entries: dict[bytes, Entry] = {}
    folders: dict[bytes, list[bytes]] = {b"": []}
    for line in words_of(ask(root, "ls-tree", "-r", "-t", "-z", "--full-tree", tree)):
        said, _, path = line.partition(b"\t")
        mode, _, name = said.decode("ascii", "replace").split(" ")
        folder, _, last = path.rpartition(b"/")
        all_entries[path] = Entry(mode, name)
        row = mode.lstrip("0").encode() + b" " + last + b"\0" + bytes.fromhex(name)
        folders[folder].append(row)
        if mode == TREE:
            folders[path] = []
    named = object_hash(tree)
    for path, rows in folders.items():
        content = b"".join(rows)
        expected = all_entries[path].name if path else tree
        if named(b"tree %d\0" % len(content) + content) != expected:
            where = escaped(path.decode("utf-8", "replace")) or "its root"
            raise refuse(RULE, f"the tree {expected} ({where}) is not what its name says")
    return {path: entry for path, entry in all_entries.items() if entry.mode != TREE}
