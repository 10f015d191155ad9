"""A file's bytes that stay as they are: looked at in short parts, by nobody as a whole.

Decides how rules that need an image of any size ask for it: its size, and any part of it that
is short enough to hold. It refuses to know where the bytes are: in memory, in a copy that the
kernel keeps from being written to (ingest/sealed_copy.py), in a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ceremony.pe.headers import Bytes

PIECE = 1 << 20  # bytes; smaller ones cost more in handing on than they save in cache


class Content(Protocol):
    """Bytes that do not change, of a size that is known."""

    def __len__(self) -> int:
        """Return how many bytes there are."""
        ...

    def part(self, start: int, stop: int) -> Bytes:
        """Return the bytes from `start` to `stop`, fewer where the content ends before."""
        ...


Stored: TypeAlias = Bytes | Content


@dataclass(frozen=True, slots=True)
class InMemory:
    """A content that is in memory anyway; its parts are views, not copies."""

    data: Bytes

    def __len__(self) -> int:
        """Return how many bytes there are."""
        return len(self.data)

    def part(self, start: int, stop: int) -> Bytes:
        """Return the bytes from `start` to `stop`."""
        return memoryview(self.data)[start:stop]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A range of a content, itself a content."""

    whole: Content
    start: int
    stop: int

    def __len__(self) -> int:
        """Return how many bytes there are."""
        return self.stop - self.start

    def part(self, start: int, stop: int) -> Bytes:
        """Return the bytes from `start` to `stop` of this range."""
        return self.whole.part(self.start + start, min(self.start + stop, self.stop))


def content_of(stored: Stored) -> Content:
    """Return what gives these bytes part by part."""
    return InMemory(stored) if isinstance(stored, bytes | bytearray | memoryview) else stored


def pieces_of(stored: Stored, start: int = 0, stop: int | None = None) -> Iterator[Bytes]:
    """Yield the bytes from `start` to `stop`, or to the end, in order."""
    content = content_of(stored)
    end = len(content) if stop is None else stop
    for at in range(start, end, PIECE):
        yield content.part(at, min(at + PIECE, end))


def octets_of(stored: Stored) -> bytes:
    """Return all the bytes of a content that is short."""
    content = content_of(stored)
    return bytes(content.part(0, len(content)))
