"""Unpacking one xz stream in pieces, within bounds on what comes out at once and on memory.

Decides whether a file is one whole xz stream and nothing more. The library that unpacks is C
and its input comes from strangers, so that a ceremony does this in a process of its own
(ceremony/ingest/unpacking.py), which answers with the same words. Refuses to know what it is.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from enum import StrEnum
from typing import Protocol, TypeAlias

from ceremony.errors import Refused
from ceremony.show import counted
from ceremony.types import Finding, Severity

RULE = "ATT-NAR"
MAGIC = b"\xfd7zXZ\0"
MOST_MEMORY = 128 << 20  # xz -9 needs 65 MiB to unpack
CHUNK = 1 << 20  # no more comes out at once, whatever the file promises

Bytes: TypeAlias = bytes | bytearray | memoryview


class Fault(StrEnum):
    """What is wrong with a file, in four letters: the child says no more than that."""

    SHORT = "shrt"
    TRAILING = "tail"
    GREEDY = "mem."
    DAMAGED = "torn"


_TEXTS = {
    Fault.SHORT: "the xz file ends too early",
    Fault.TRAILING: "there are bytes after the xz file's end",
    Fault.GREEDY: f"unpacking the xz file takes more than {counted(MOST_MEMORY)}",
    Fault.DAMAGED: "the xz file is damaged",
}


class Unfit(Refused):
    """The file is no whole xz stream, or too greedy a one (ATT-NAR)."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(Finding(RULE, Severity.REFUSE, _TEXTS[fault]))
        self.fault = fault


class Unpacker(Protocol):
    """Takes a packed file in order; Refused (ATT-NAR, MED-SANDBOX) says what is wrong."""

    def unpacked(self, chunk: Bytes) -> Iterator[bytes]:
        """Yield what the next bytes of the file unpack to."""
        ...

    def finish(self) -> None:
        """Refuse unless the stream has ended."""
        ...

    def release(self) -> None:
        """Give back what the unpacking holds, however it ended; may be called twice."""
        ...


class XzUnpacker:
    """Unpacks in this process."""

    def __init__(self) -> None:
        self._xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_MEMORY)

    def unpacked(self, chunk: Bytes) -> Iterator[bytes]:
        """Yield pieces of at most a chunk."""
        if self._xz.eof and len(chunk):
            raise Unfit(Fault.TRAILING)
        data = chunk
        while not self._xz.eof:
            try:
                piece = self._xz.decompress(data, CHUNK)
            except lzma.LZMAError as error:
                greedy = "limit" in str(error).lower()
                raise Unfit(Fault.GREEDY if greedy else Fault.DAMAGED) from None
            if piece:
                yield piece
            if self._xz.needs_input:
                return
            data = b""
        if self._xz.unused_data:
            raise Unfit(Fault.TRAILING)

    @property
    def ended(self) -> bool:
        """Say whether the stream has ended."""
        return self._xz.eof

    def finish(self) -> None:
        """Refuse unless the stream has ended."""
        if not self.ended:
            raise Unfit(Fault.SHORT)

    def release(self) -> None:
        """Nothing is held here."""
