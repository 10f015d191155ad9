"""Archives as they lie in a `file://` binary cache: plain or in xz, told by the first bytes.

Decides what a file of any size holds, fed in chunks, within a cap on what comes out of it.
Other compressions are refused by name. Refuses to know who signed what: narinfo.py does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from ceremony.attest.nar import ALIGNMENT, MAGIC, Nar, NarReader
from ceremony.attest.xz import MAGIC as XZ
from ceremony.attest.xz import Unpacker, XzUnpacker
from ceremony.errors import Refused, refuse
from ceremony.pe.headers import Bytes
from ceremony.policy_model import ArtifactRule
from ceremony.types import Finding, MediaFile

RULE = "ATT-NAR"
PACKED_RULE = "ATT-NAR-PACKED"
# What an output may hold besides the image: a kernel, an initrd, notes.
SLACK = 64 << 20
MOST_ARCHIVES = 64  # of a medium; each may be as large as the image

_PLAIN = len(MAGIC).to_bytes(ALIGNMENT, "little") + MAGIC
_OTHERS = (
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x1f\x8b", "gzip"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x5d\0\0", "lzma"),
    (b"LZIP", "lzip"),
)
_HEAD = len(_PLAIN)


@dataclass(frozen=True, slots=True)
class NarFacts:
    """What a file that is named as an archive was found to hold, or why it is none."""

    path: str
    nar: Nar | None
    fault: Finding | None


def looks_like_nar(path: str) -> bool:
    """Say whether a file is named as archives in a binary cache are."""
    if ".nar" not in path:
        return False
    name = path.rpartition("/")[2]
    return name.endswith(".nar") or ".nar." in name


def most_unpacked(artifact: ArtifactRule) -> int:
    """Return how many bytes an archive may have, from how many the image may have."""
    return artifact.max_bytes + SLACK


def archives_among(files: tuple[MediaFile, ...], most_bytes: int) -> tuple[NarFacts, ...]:
    """Return the facts of the first archives that are small enough to be among small files."""
    named = (file for file in files if looks_like_nar(file.path))
    return tuple(
        read_nar_file(file.path, (file.data,), most_bytes) for file in islice(named, MOST_ARCHIVES)
    )


def read_nar_file(path: str, chunks: Iterable[Bytes], most_bytes: int) -> NarFacts:
    """Read a whole file; a fault is a fact like any other. `most_bytes` is the unpacked cap."""
    reader = NarFileReader(most_bytes)
    try:
        for chunk in chunks:
            reader.update(chunk)
        return NarFacts(path, reader.close(), None)
    except Refused as error:
        return NarFacts(path, None, error.findings[0])


class NarFileReader:
    """A sink for a .nar or .nar.xz file; Refused (ATT-NAR, ATT-NAR-PACKED, MED-SANDBOX).

    `unpack` begins to unpack, in this process or in another.
    """

    def __init__(self, most_bytes: int, unpack: Callable[[], Unpacker] = XzUnpacker) -> None:
        self._unpack = unpack
        self._unpacker: Unpacker | None = None
        self._nar = NarReader(most_bytes)
        self._head: bytearray | None = bytearray()

    def update(self, chunk: Bytes) -> None:
        """Take the next bytes of the file."""
        if self._head is None:
            self._pass(chunk)
            return
        self._head += chunk
        if len(self._head) >= _HEAD:
            self._begin()

    def close(self) -> Nar:
        """Return the archive once every byte of the file was fed."""
        if self._head is not None:
            self._begin()
        if self._unpacker is not None:
            self._unpacker.finish()
        return self._nar.close()

    def release(self) -> None:
        """Give back what unpacking holds; nothing is fed any more."""
        if self._unpacker is not None:
            self._unpacker.release()

    def _begin(self) -> None:
        head, self._head = bytes(self._head or b""), None
        if head.startswith(XZ):
            self._unpacker = self._unpack()
        elif not head.startswith(_PLAIN):
            raise _unknown(head)
        self._pass(head)

    def _pass(self, chunk: Bytes) -> None:
        if self._unpacker is None:
            self._nar.update(chunk)
            return
        for piece in self._unpacker.unpacked(chunk):
            self._nar.update(piece)


def _unknown(head: bytes) -> Refused:
    for magic, name in _OTHERS:
        if head.startswith(magic):
            return refuse(PACKED_RULE, f"the archive is packed with {name}, which is not read here")
    return refuse(RULE, "the file is neither a Nix archive nor one in xz")
