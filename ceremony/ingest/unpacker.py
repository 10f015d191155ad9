"""The child that unpacks one xz file: it confines itself, takes pieces, gives what is in them.

Decides nothing: bytes go in and bytes come out. Frames on both sides are a length of four
bytes and so many bytes; a length of none is followed by a word of four letters.
Refuses to know what it unpacks. What it gives is hashed and walked by the parent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from ceremony.attest.xz import Unfit, XzUnpacker
from ceremony.ingest.confine import Bounds, confine

MEMORY = 512 << 20  # bytes of address space
LENGTH = 4
# Fault names the other words.
READY, MORE, END = b"here", b"more", b"done"


def main() -> None:
    """Serve standard input to its end."""
    confine(Bounds(MEMORY, int(sys.argv[2])))
    _put(READY)
    unpacker = XzUnpacker()
    for chunk in _frames():
        try:
            for piece in unpacker.unpacked(chunk):
                _put(len(piece).to_bytes(LENGTH, "big") + piece)
            _put(bytes(LENGTH) + (END if unpacker.ended else MORE))
        except Unfit as error:
            _put(bytes(LENGTH) + error.fault.encode("ascii"))
            return


def _frames() -> Iterator[bytes]:
    while head := _exactly(LENGTH):
        yield _exactly(int.from_bytes(head, "big"))


def _exactly(count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        chunk = os.read(0, count - len(data))
        if not chunk:
            return b""
        data += chunk
    return bytes(data)


def _put(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(1, rest) :]
