"""How a work tree differs from its commit, found by reading every file again.

Decides by content, kind and executable bit alone; neither the index nor what `git status`
remembers of a file's time is believed. Ignored is only what the commit's own .gitignore
files name. Refuses to know what is said of a difference, and to whom.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ceremony.show import escaped
from tui.building.commit import LINK, MODULE, Commit, Entry, object_hash, read_commit
from tui.building.git import ask, words_of

CHUNK = 1 << 20
MOST_POINTER = 1024  # git-lfs/docs/spec.md: a pointer file is less than 1024 bytes
MOST_CONVERTED = 10_000
EXECUTABLE = "100755"

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]+\n)*"
    rb"oid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n"
)


@dataclass(frozen=True, slots=True)
class Differences:
    """What is not as in the commit, and what the commit's own rules ignore; escaped paths."""

    changed: tuple[str, ...]
    ignored: tuple[str, ...]


def differences(root: Path, commit: Commit) -> Differences:
    """Return how the work tree at `root` differs from the commit that git has there."""
    found = dict(_unlike(root, commit))
    found |= {path: "staged" for path in _staged(root, commit) if path not in found}
    found |= {path: why for path, why in _unknown(root, commit) if path not in found}
    hidden = _hidden(root)
    changed = [
        f"{_shown(path)} ({why}, hidden from git status)"
        if path in hidden
        else f"{_shown(path)} ({why})"
        for path, why in sorted(found.items())
    ]
    others = ("ls-files", "-z", "--others", "--ignored", "--exclude-per-directory=.gitignore")
    ignored = [_shown(path) for path in words_of(ask(root, *others, "--directory"))]
    for path, entry in commit.entries.items():
        if entry.mode == MODULE and path not in found:
            inside = _module(root / os.fsdecode(path), entry)
            changed += [f"{_shown(path)}/{each}" for each in inside.changed]
            ignored += [f"{_shown(path)}/{each}" for each in inside.ignored]
    return Differences(tuple(changed), tuple(ignored))


def _shown(path: bytes) -> str:
    return escaped(os.fsdecode(path))


def _unlike(root: Path, commit: Commit) -> Iterator[tuple[bytes, str]]:
    """Give the paths of the commit that are not there as it holds them."""
    converted: list[tuple[bytes, Entry]] = []
    straight: dict[Path, bool] = {}
    for path, entry in commit.entries.items():
        at = root / os.fsdecode(path)
        folder = at.parent
        if folder not in straight:
            straight[folder] = Path(os.path.realpath(folder)) == folder
        if not straight[folder]:
            yield path, "behind a link or missing"
            continue
        why = _compare(at, entry)
        if why == "changed" and len(converted) < MOST_CONVERTED:
            converted.append((path, entry))
        elif why:
            yield path, why
    if converted:
        drivers = _drivers(root)
        for path, entry in converted:
            if not _converts(root, path, entry, drivers):
                yield path, "changed"


def _compare(at: Path, entry: Entry) -> str:
    """Return how what lies there is unlike the entry, "" if it is not."""
    try:
        status = at.lstat()
        if entry.mode == MODULE:
            there = stat.S_ISDIR(status.st_mode) and (at / ".git").exists()
            return "" if there else "submodule not checked out"
        if entry.mode == LINK:
            if not stat.S_ISLNK(status.st_mode):
                return "no link"
            data = os.fsencode(at.readlink())
            same = object_hash(entry.name)(b"blob %d\0" % len(data) + data) == entry.name
            return "" if same else "changed"
        if not stat.S_ISREG(status.st_mode):
            return "no regular file"
        if bool(status.st_mode & stat.S_IXUSR) != (entry.mode == EXECUTABLE):
            return "mode"
        return "" if _blob(at, status.st_size, entry) == entry.name else "changed"
    except OSError as error:
        return "missing" if isinstance(error, FileNotFoundError) else "cannot be read"


def _blob(at: Path, size: int, entry: Entry) -> str:
    kind = "sha1" if len(entry.name) == 40 else "sha256"  # noqa: PLR2004 - git's, not ours
    hashed = hashlib.new(kind, b"blob %d\0" % size, usedforsecurity=False)
    with at.open("rb") as file:
        while chunk := file.read(CHUNK):
            hashed.update(chunk)
    return hashed.hexdigest()


def _drivers(root: Path) -> tuple[str, ...]:
    words = ("config", "-z", "--name-only", "--get-regexp", r"^filter\.")
    raw = ask(root, *words, well=(0, 1))  # 1: none is configured
    names = [name.decode("utf-8", "surrogateescape") for name in words_of(raw)]
    return tuple(sorted({name[len("filter.") :].rpartition(".")[0] for name in names}))


def _converts(root: Path, path: bytes, entry: Entry, drivers: tuple[str, ...]) -> bool:
    """Say whether a file is the entry in another form: line ends by attribute, or of git-lfs.

    The filter drivers that the repository or its user configured are not run.
    """
    at = root / os.fsdecode(path)
    if entry.mode == LINK or any("=" in name for name in drivers):
        return False  # git-config(1): `-c` sets no name with "=" in it
    size = int(ask(root, "cat-file", "-s", entry.name))
    blob = ask(root, "cat-file", "blob", entry.name) if size < MOST_POINTER else b""
    if pointer := _POINTER.fullmatch(blob):
        with at.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return (digest, at.stat().st_size) == (pointer[1].decode(), int(pointer[2]))
    words = ("hash-object", "--path", os.fsdecode(path), "--", str(at))
    return ask(root, *words, drivers=drivers).strip() == entry.name.encode()


def _staged(root: Path, commit: Commit) -> Iterator[bytes]:
    """Give the paths whose entry in the index is not the commit's."""
    for line in words_of(ask(root, "ls-files", "-z", "--stage", "--full-name")):
        said, _, path = line.partition(b"\t")
        mode, name, stage = said.decode("ascii", "replace").split(" ")
        if stage != "0" or commit.entries.get(path) != Entry(mode, name):
            yield path


def _unknown(root: Path, commit: Commit) -> Iterator[tuple[bytes, str]]:
    """Give what is in the tree and not in the commit, but for what its .gitignore files name."""
    words = ("ls-files", "-z", "--others", "--no-empty-directory")
    others = (*words, "--exclude-per-directory=.gitignore", "--directory")
    for path in words_of(ask(root, *others)):
        if path not in commit.entries:
            yield path, "not in the commit"
    rules = words_of(ask(root, *words, "--", ":(glob)**/.gitignore"))
    for path, source in zip(rules, _sources(root, rules), strict=True):
        if path not in commit.entries and source not in commit.entries:
            yield path, "a .gitignore that is not in the commit"
    # An ignored one still says in which form the commit's files below it may lie there.
    held = sorted(commit.entries)
    for path in words_of(ask(root, *words, "--", ":(glob)**/.gitattributes")):
        folder = path.removesuffix(b".gitattributes")
        at = bisect_left(held, folder)
        if path not in commit.entries and any(one.startswith(folder) for one in held[at : at + 1]):
            yield path, "attributes that are not in the commit"
    info = Path(os.fsdecode(ask(root, "rev-parse", "--git-path", "info/attributes").rstrip(b"\n")))
    if (root / info).exists():
        yield b".git/info/attributes", "attributes that are not in the commit"


def _sources(root: Path, paths: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return for each path the file of rules that names it, b"" where none does."""
    if not paths:
        return ()
    words = ("check-ignore", "-z", "-v", "--non-matching", "--stdin")
    said = words_of(ask(root, *words, said=b"".join(path + b"\0" for path in paths), well=(0, 1)))
    return said[::4]  # git-check-ignore(1), -z: source, line, pattern, path


def _hidden(root: Path) -> frozenset[bytes]:
    """Return the paths whose changes `git status` does not look for.

    git-ls-files(1), -v: lower-case letters are "assume unchanged", S is "skip-worktree".
    """
    entries = words_of(ask(root, "ls-files", "-v", "-z", "--full-name"))
    return frozenset(entry[2:] for entry in entries if entry[:1].islower() or entry[:1] == b"S")


def _module(at: Path, entry: Entry) -> Differences:
    """Return how a submodule differs from the commit that its parent names."""
    root = Path(os.fsdecode(ask(at, "rev-parse", "--show-toplevel").rstrip(b"\n")))
    if root != at:
        return Differences((f". (its work tree is {escaped(str(root))})",), ())
    commit = read_commit(at)
    if commit.name != entry.name:
        return Differences((f". (at commit {commit.name[:12]}, not {entry.name[:12]})",), ())
    return differences(at, commit)
