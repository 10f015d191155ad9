"""One sequential read of an image: its head decides the layout, every byte is fed once.

Decides what there is to know of an image of any size without holding it: where everything
lies, its Authenticode digest, the entries of its certificate table. The bytes come in file
order in chunks of any size, from whoever reads them. It refuses to know files and threads:
`sinks` may each be fed on a thread of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ceremony.content import Stored, content_of, pieces_of
from ceremony.errors import Refused
from ceremony.pe.digest import Authenticode
from ceremony.pe.followed import Octets, cut_out, followed_findings
from ceremony.pe.headers import HEAD_BYTES, Bytes
from ceremony.pe.layout import Layout, read_layout
from ceremony.pe.table import Entry, read_entries
from ceremony.types import Digest, Finding, refusals


class Sink(Protocol):
    """Something that is fed a file's bytes in order."""

    def update(self, chunk: Bytes) -> None:
        """Take the next bytes of the file."""
        ...


@dataclass(frozen=True, slots=True)
class SweptImage:
    """What a whole read told of a strict image, signed already or not.

    `table` holds the bytes of the certificate table, `entries` what they are read as;
    `findings` are what people should know, none of them refuses.
    """

    layout: Layout
    authenticode: Digest
    table: bytes
    entries: tuple[Entry, ...]
    findings: tuple[Finding, ...]


class TableBytes:
    """The certificate table at a file's end, as a sink; at most MOST_TABLE_BYTES of it."""

    def __init__(self, layout: Layout) -> None:
        self._start = layout.end
        self._at = 0
        self._table = bytearray()

    def update(self, chunk: Bytes) -> None:
        """Keep what lies behind the image's end."""
        stop = self._at + len(chunk)
        if stop > self._start:
            self._table += memoryview(chunk)[max(self._start - self._at, 0) :]
        self._at = stop

    def entries(self) -> tuple[tuple[Entry, ...], tuple[Finding, ...]]:
        """Return the entries that were read, and what is wrong with the table."""
        return read_entries(self.octets(), self._start)

    def octets(self) -> bytes:
        """Return the table's bytes."""
        return bytes(self._table)


class Kept:
    """What is kept of an image: its certificate table and what firmware follows, as a sink."""

    def __init__(self, layout: Layout) -> None:
        self.table = TableBytes(layout)
        self.followed = Octets(layout)

    def update(self, chunk: Bytes) -> None:
        """Take the next bytes of the file."""
        self.table.update(chunk)
        self.followed.update(chunk)


class Sweep:
    """A read of one image, from the head on."""

    def __init__(self, head: Bytes, size: int) -> None:
        """Read the layout from a file's first min(size, 64 KiB) bytes; Refused (PE-...)."""
        self.layout, self._findings = sound_layout(head, size)
        self._authenticode = Authenticode(self.layout)
        self._kept = Kept(self.layout)

    @property
    def sinks(self) -> tuple[Sink, Sink]:
        """What the file's bytes, head included, are fed to; the first one is the costly one."""
        return self._authenticode, self._kept

    def close(self) -> SweptImage:
        """Return the image once every byte was fed; Refused (PE-..., SIG-DER)."""
        entries, found = self._kept.table.entries()
        found += followed_findings(self.layout, self._kept.followed.octets())
        if faults := refusals(found):
            raise Refused(*faults)
        digest = self._authenticode.digest()
        findings = (*self._findings, *found)
        return SweptImage(self.layout, digest, self._kept.table.octets(), entries, findings)


def sound_layout(head: Bytes, size: int) -> tuple[Layout, tuple[Finding, ...]]:
    """Return the layout that a file's head tells and what to know of it; Refused (PE-...)."""
    reading = read_layout(memoryview(head)[:HEAD_BYTES], size)
    faults = refusals(reading.findings)
    if faults or reading.layout is None:
        raise Refused(*faults)
    return reading.layout, reading.findings


def sweep(image: Stored) -> SweptImage:
    """Sweep an image that is here; raises Refused (PE-..., SIG-DER)."""
    content = content_of(image)
    reader = Sweep(content.part(0, HEAD_BYTES), len(content))
    for piece in pieces_of(content):
        for sink in reader.sinks:
            sink.update(piece)
    return reader.close()


def measured(image: Stored, authenticode: Digest) -> SweptImage:
    """Sweep an image whose Authenticode digest is known; raises Refused (PE-..., SIG-DER)."""
    content = content_of(image)
    layout, findings = sound_layout(content.part(0, HEAD_BYTES), len(content))
    table = bytes(content.part(layout.end, layout.size))  # MOST_TABLE_BYTES at most
    entries, found = read_entries(table, layout.end)
    found += followed_findings(layout, cut_out(content, layout))
    if faults := refusals(found):
        raise Refused(*faults)
    return SweptImage(layout, authenticode, table, entries, (*findings, *found))
