"""The digests of an image, fed with one sequential read: Authenticode SHA-256 and CheckSum.

Both take chunks of any size in file order and know their own position. They believe the
`Layout` they are given and refuse to know where the chunks come from.
Sources: Microsoft, "Windows Authenticode Portable Executable Signature Format", calculating
the PE image hash; the CheckSum is ImageHlp's, as sbsign writes it.
"""

from __future__ import annotations

import hashlib

from ceremony.content import Stored, pieces_of
from ceremony.pe.headers import Bytes
from ceremony.pe.layout import Layout
from ceremony.types import Digest, DigestKind

CHUNK = 1 << 20
SUM_CHUNK = 1 << 15  # larger integers leave the cache, smaller ones cost interpreter time
ONES = 0xFFFF  # 2**16 == 1 (mod 65535): a residue is a one's-complement sum


class Authenticode:
    """The Authenticode SHA-256: all but CheckSum, certificate directory and table.

    The zeros that pad the image to a multiple of 8 are hashed, as sbsign does.
    """

    def __init__(self, layout: Layout) -> None:
        holes = (layout.checksum_at, layout.checksum_at + 4)
        directory = (layout.directory_at, layout.directory_at + 8)
        self._kept = ((0, holes[0]), (holes[1], directory[0]), (directory[1], layout.end))
        self._end = layout.end
        self._padding = layout.padding
        self._hash = hashlib.sha256()
        self._at = 0

    def update(self, chunk: Bytes) -> None:
        """Take the next bytes of the file; those of the certificate table are passed over."""
        view = memoryview(chunk)
        start, stop = self._at, self._at + len(view)
        for first, last in self._kept:
            if first < stop and last > start:
                self._hash.update(view[max(first - start, 0) : last - start])
        self._at = stop

    def digest(self) -> Digest:
        """Return the digest; the whole image must have been fed."""
        if self._at < self._end:
            raise TypeError(f"the image ends at {self._end}, {self._at} bytes were fed")
        padded = self._hash.copy()
        padded.update(bytes(self._padding))
        return Digest(DigestKind.AUTHENTICODE_SHA256, padded.digest())


class FileSha256:
    """The plain SHA-256 of a file."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, chunk: Bytes) -> None:
        """Take the next bytes of the file."""
        self._hash.update(chunk)

    def digest(self) -> Digest:
        """Return the digest of the bytes fed so far."""
        return Digest(DigestKind.FILE_SHA256, self._hash.digest())


class CheckSum:
    """The PE CheckSum of a file: one's-complement sum of its 16-bit words, plus its size.

    The CheckSum field counts as zero. Sums 32 KiB at a time as one large integer, which
    modulo 65535 is the sum of its words.
    """

    def __init__(self, checksum_at: int) -> None:
        self._field = range(checksum_at, checksum_at + 4)
        self._at = 0
        self._sum = 0
        self._seen = False

    def update(self, chunk: Bytes) -> None:
        """Take the next bytes of the file."""
        view = memoryview(chunk)
        first, last = self._field.start - self._at, self._field.stop - self._at
        if first < len(view) and last > 0:
            blanked = bytearray(view)
            blanked[max(first, 0) : last] = bytes(min(last, len(view)) - max(first, 0))
            view = memoryview(blanked)
        total = 0
        for at in range(0, len(view), SUM_CHUNK):
            total += int.from_bytes(view[at : at + SUM_CHUNK], "little")
        self._seen = self._seen or total != 0
        # A chunk that starts at an odd offset is worth 2**8 times as much.
        self._sum = (self._sum + (total << (8 * (self._at % 2)))) % ONES
        self._at += len(view)

    def value(self) -> int:
        """Return the CheckSum of the bytes fed so far."""
        words = ONES if self._seen and self._sum == 0 else self._sum
        return (words + self._at) & 0xFFFFFFFF


def authenticode(image: Stored, layout: Layout) -> Digest:
    """Return the Authenticode SHA-256 of a whole image."""
    hasher = Authenticode(layout)
    for piece in pieces_of(image):
        hasher.update(piece)
    return hasher.digest()


def file_sha256(*parts: Stored) -> Digest:
    """Return the plain SHA-256 of a file given in parts."""
    hasher = FileSha256()
    for part in parts:
        for piece in pieces_of(part):
            hasher.update(piece)
    return hasher.digest()
