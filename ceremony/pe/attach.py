"""Put a PKCS#7 behind an image as a WIN_CERTIFICATE entry: the signed file, without a copy.

Decides the bytes of the file that sbsign would write: padding, table, directory, CheckSum.
An entry is appended, those that stand there stay. It refuses a PKCS#7 of another image and
refuses to know whose key made it (verify.py).
Layout: Microsoft, "PE Format", attribute certificate table.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from ceremony.content import Content, Excerpt, InMemory, Stored, content_of, pieces_of
from ceremony.errors import Refused, refuse
from ceremony.pe.digest import CheckSum, file_sha256
from ceremony.pe.entries import entry_findings
from ceremony.pe.headers import Bytes
from ceremony.pe.layout import MOST_BYTES, Layout
from ceremony.pe.sweep import SweptImage, measured, sweep
from ceremony.pe.table import (
    ENTRY_HEADER,
    MOST_ENTRIES,
    MOST_ENTRY_BYTES,
    PKCS_SIGNED_DATA,
    REVISION_2,
    Entry,
)
from ceremony.types import Digest, refusals


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed file: its PKCS#7 (the bytes of `sbsign --detached`), size and SHA-256."""

    cms: bytes
    size: int
    sha256: Digest
    _parts: tuple[Content, ...] = field(repr=False, compare=False)

    def pieces(self) -> Iterator[Bytes]:
        """Yield the file's bytes in order; the image's own come from wherever it is."""
        for part in self._parts:
            yield from pieces_of(part)


@dataclass(frozen=True, slots=True)
class Tail:
    """What is written behind and into an image to sign it, but for the CheckSum.

    `padding` zeros go behind the image, then the old table, then `entry`; the 8 bytes of
    `directory` go to the certificate directory.
    """

    padding: int
    entry: bytes
    directory: bytes
    size: int


def win_certificate(cms: bytes) -> bytes:
    """Return the entry of one PKCS#7: dwLength unpadded, the entry padded to 8 with zeros."""
    length = ENTRY_HEADER + len(cms)
    if length > MOST_ENTRY_BYTES:
        raise refuse("PE-CERT-SIZE", f"an entry of {length} bytes is too large")
    return struct.pack("<IHH", length, REVISION_2, PKCS_SIGNED_DATA) + cms + bytes(-length % 8)


def tail(layout: Layout, cms: bytes) -> Tail:
    """Return what signing the image of this layout with `cms` adds; Refused (PE-...)."""
    entry = win_certificate(cms)
    table_at = layout.end + layout.padding
    table_size = layout.table_size + len(entry)
    if table_at > MOST_BYTES:
        raise refuse("PE-TOO-LARGE", "no room for a certificate table below 4 GiB")
    directory = struct.pack("<II", table_at, table_size)
    return Tail(layout.padding, entry, directory, table_at + table_size)


def check_attachable(image: SweptImage, cms: bytes) -> None:
    """Raise Refused (PE-CERT-COUNT, SIG-...) unless `cms` is a good signature of the image."""
    if len(image.entries) == MOST_ENTRIES:
        raise refuse("PE-CERT-COUNT", f"the table has {MOST_ENTRIES} entries already")
    layout = image.layout
    at = layout.end + layout.padding + layout.table_size
    if faults := refusals(entry_findings(Entry(at, len(cms), cms), image.authenticode)):
        raise Refused(*faults)


def attach(image: Stored, cms: bytes, known: Digest | None = None) -> Signed:
    """Attach a detached PKCS#7 to the image that it signs; an auditor needs no key for it.

    `known` is the Authenticode digest of these very bytes, where they were hashed before.
    Raises Refused (PE-..., SIG-...) where the image is not strict or the PKCS#7 is not a
    good signature of this image.
    """
    swept = sweep(image) if known is None else measured(image, known)
    check_attachable(swept, cms)
    layout, content = swept.layout, content_of(image)
    added = tail(layout, cms)
    head = bytearray(content.part(0, layout.headers_end))  # HEAD_BYTES at most
    head[layout.directory_at : layout.directory_at + 8] = added.directory
    rest = (
        Excerpt(content, len(head), layout.end),
        InMemory(bytes(added.padding) + swept.table + added.entry),
    )
    total = CheckSum(layout.checksum_at)
    for part in (InMemory(bytes(head)), *rest):
        for piece in pieces_of(part):
            total.update(piece)
    struct.pack_into("<I", head, layout.checksum_at, total.value())
    parts = (InMemory(bytes(head)), *rest)
    return Signed(cms, added.size, file_sha256(*parts), parts)
