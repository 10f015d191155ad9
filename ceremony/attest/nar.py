"""The Nix archive (NAR): what one holds, read in one pass from chunks of any size.

    str(s)  = u64 little-endian length, s, zeros up to a multiple of 8
    archive = str("nix-archive-1") node
    node    = "(" "type" "regular" ["executable" ""] "contents" str ")"
            | "(" "type" "symlink" "target" str ")"
            | "(" "type" "directory" { "entry" "(" "name" str "node" node ")" } ")"

Decides whether the bytes are the one archive of their tree, and the digests of archive and
files. Keeps no contents. Source: E. Dolstra, The Purely Functional Software Deployment
Model, figure 5.2; the strictness about names, order and padding is Nix's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias

from ceremony.errors import refuse
from ceremony.pe.headers import Bytes
from ceremony.show import counted, escaped

RULE = "ATT-NAR"
MAGIC = b"nix-archive-1"
ALIGNMENT = 8
MOST_ENTRIES = 4096
MOST_DEPTH = 32
MOST_NAME = 255  # NAME_MAX
MOST_TARGET = 4095  # PATH_MAX without its NUL
MOST_WORD = 16
MOST_PATH = 4096
MOST_PATHS = 1 << 18  # characters, all paths together, as a transcript holds them

# What the grammar asks for: so many bytes at once, or that `_left` bytes of a file pass by.
_Asks: TypeAlias = Generator[int, bytes, None]
_Text: TypeAlias = Generator[int, bytes, bytes]


@dataclass(frozen=True, slots=True)
class NarFile:
    """A regular file in an archive; `path` is "" where the archive is that one file."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Nar:
    """An archive that was read to its end: its own size and SHA-256, and what it holds."""

    size: int
    sha256: str
    files: tuple[NarFile, ...]
    links: tuple[str, ...]


class NarReader:
    """Takes an archive's bytes in order; every method may raise Refused (ATT-NAR)."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._size = 0
        self._hash = hashlib.sha256()
        self._files: list[NarFile] = []
        self._links: list[str] = []
        self._entries = 0
        self._paths = 0
        self._token = bytearray()
        self._left = 0
        self._contents = hashlib.sha256()
        self._grammar = self._archive()
        self._wanted = next(self._grammar)
        self._ended = False

    def update(self, chunk: Bytes) -> None:
        """Take the next bytes of the archive."""
        view = memoryview(chunk)
        if self._size + len(view) > self._most:
            raise refuse(RULE, f"the archive has more than {counted(self._most)}")
        self._hash.update(view)
        while view:
            if self._ended:
                raise refuse(RULE, "there are bytes after the archive's end", self._size)
            taken = self._take(view)
            self._size += taken
            view = view[taken:]
            self._advance()

    def close(self) -> Nar:
        """Return what was read; the archive must have ended."""
        if not self._ended:
            raise refuse(RULE, "the archive ends too early", self._size)
        return Nar(self._size, self._hash.hexdigest(), tuple(self._files), tuple(self._links))

    def _take(self, view: memoryview) -> int:
        """Pass on what belongs to the file or the word that is being read; return how much."""
        if self._left:
            part = view[: self._left]
            self._contents.update(part)
            self._left -= len(part)
        else:
            part = view[: self._wanted - len(self._token)]
            self._token += part
        return len(part)

    def _advance(self) -> None:
        while not self._ended and not self._left and len(self._token) == self._wanted:
            token = bytes(self._token)
            self._token.clear()
            try:
                self._wanted = self._grammar.send(token)
            except StopIteration:
                self._ended = True

    def _archive(self) -> _Asks:
        yield from self._expect(MAGIC)
        yield from self._node("", 0)

    def _node(self, path: str, depth: int) -> _Asks:
        yield from self._expect(b"(")
        yield from self._expect(b"type")
        match (yield from self._string(MOST_WORD)):
            case b"regular":
                yield from self._regular(path)
            case b"symlink":
                yield from self._expect(b"target")
                yield from self._string(MOST_TARGET)
                self._links.append(path)
                yield from self._expect(b")")
            case b"directory":
                yield from self._directory(path, depth)
            case other:
                raise self._fault(f"a node of the type {_shown(other)}")

    def _regular(self, path: str) -> _Asks:
        word = yield from self._string(MOST_WORD)
        if word == b"executable":
            yield from self._expect(b"")
            word = yield from self._string(MOST_WORD)
        if word != b"contents":
            raise self._fault(f"{_shown(word)} where contents belong")
        size = int.from_bytes((yield ALIGNMENT), "little")
        if size > self._most:
            raise self._fault(f"a file of more than {counted(self._most)}")
        self._contents = hashlib.sha256()
        self._left = size
        yield 0
        padding = yield -size % ALIGNMENT
        self._zeros(padding)
        self._files.append(NarFile(path, size, self._contents.hexdigest()))
        yield from self._expect(b")")

    def _directory(self, path: str, depth: int) -> _Asks:
        if depth == MOST_DEPTH:
            raise self._fault(f"folders nested deeper than {MOST_DEPTH}")
        last = b""
        while (word := (yield from self._string(MOST_WORD))) != b")":
            if word != b"entry":
                raise self._fault(f"{_shown(word)} where an entry belongs")
            self._entries += 1
            if self._entries > MOST_ENTRIES:
                raise self._fault(f"more than {MOST_ENTRIES:,} entries")
            yield from self._expect(b"(")
            yield from self._expect(b"name")
            name = yield from self._string(MOST_NAME)
            # One tree has one archive: names are sorted by their bytes and none comes twice.
            if name <= last:
                raise self._fault(f"the name {_shown(name)} is out of order")
            last = name
            yield from self._expect(b"node")
            yield from self._node(self._inside(path, name), depth + 1)
            yield from self._expect(b")")

    def _inside(self, path: str, name: bytes) -> str:
        if name in (b".", b"..") or b"/" in name or b"\0" in name:
            raise self._fault(f"the impossible name {_shown(name)}")
        try:
            text = name.decode("utf-8")
        except UnicodeDecodeError:
            raise self._fault(f"the name {_shown(name)}, which is not UTF-8") from None
        inside = f"{path}/{text}" if path else text
        if len(inside) > MOST_PATH:
            raise self._fault(f"a path of more than {MOST_PATH:,} characters")
        self._paths += len(inside)
        if self._paths > MOST_PATHS:
            raise self._fault(f"paths of more than {MOST_PATHS:,} characters together")
        return inside

    def _expect(self, word: bytes) -> _Asks:
        found = yield from self._string(MOST_WORD)
        if found != word:
            raise self._fault(f"{_shown(found)} where {_shown(word)} belongs")

    def _string(self, most: int) -> _Text:
        size = int.from_bytes((yield ALIGNMENT), "little")
        if size > most:
            raise self._fault(f"a word of {size:,} bytes where at most {most:,} can be")
        word = yield size + -size % ALIGNMENT
        self._zeros(word[size:])
        return word[:size]

    def _zeros(self, padding: bytes) -> None:
        if any(padding):
            raise self._fault("padding that is not zero")

    def _fault(self, what: str) -> Exception:
        return refuse(RULE, f"the archive has {what}", self._size)


def _shown(word: bytes) -> str:
    return '"' + escaped(word.decode("latin-1"), 40) + '"'
