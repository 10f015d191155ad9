"""The certificate directory and table of a PE image: WIN_CERTIFICATE entries, read strictly.

Decides that the table stands 8-aligned at the very end of the file and is a sequence of
PKCS#7 entries with nothing hidden between or behind them. It refuses to know what an
entry signs (entries.py).
Layout: Microsoft, "PE Format", attribute certificate table; sbsign writes dwLength unpadded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ceremony.errors import Refused
from ceremony.pe.der import element_size
from ceremony.pe.headers import Bytes, Header, refusal
from ceremony.pe.sections import U32, SectionHeader
from ceremony.types import Finding

ENTRY_HEADER = 8
ALIGNMENT = 8
REVISION_2, PKCS_SIGNED_DATA = 0x0200, 0x0002
MOST_ENTRIES = 16
MOST_ENTRY_BYTES = 65536
MOST_TABLE_BYTES = MOST_ENTRIES * (MOST_ENTRY_BYTES + 16)


@dataclass(frozen=True, slots=True)
class Entry:
    """One WIN_CERTIFICATE entry: its file offset, its dwLength and its PKCS#7 bytes."""

    offset: int
    size: int
    pkcs7: bytes


def read_directory(head: Bytes, header: Header) -> tuple[int, int]:
    """Return the certificate table's file offset and size, both 0 where there is none."""
    offset, length = struct.unpack_from("<II", head, header.directory_at)
    return offset, length


def directory_findings(
    header: Header, sections: tuple[SectionHeader, ...], offset: int, length: int, size: int
) -> tuple[Finding, ...]:
    """Judge the directory's `offset` and `length` against a file of `size` bytes."""
    at = header.directory_at
    if offset == 0 and length == 0:
        return ()
    what = f"the certificate table at {offset:#x} of {length:#x} bytes"
    if length == 0:
        text = f"the certificate directory has size 0 and offset {offset:#x}"
        return (refusal("PE-CERTDIR-EMPTY", text, at),)
    end = offset + length
    sections_end = max((s.end for s in sections if s.size), default=0)
    broken = (
        ("PE-CERTDIR-WRAP", end > U32, "wraps 32 bits"),
        ("PE-CERTDIR-LARGE", length > min(size, MOST_TABLE_BYTES), "is larger than can be"),
        ("PE-CERTDIR-EOF", end > size, "ends past the end of the file"),
        ("PE-CERTDIR-END", end < size, f"is followed by {size - end} more bytes"),
        ("PE-CERTDIR-HEADER", offset < header.headers_size, "starts inside the headers"),
        ("PE-CERTDIR-SECTION", offset < sections_end, "starts inside or before a section"),
        ("PE-CERTDIR-ALIGN", offset % 8 != 0, "does not start at a multiple of 8"),
        ("PE-CERTDIR-MULTIPLE", length % 8 != 0, "is not a multiple of 8 long"),
    )
    return tuple(refusal(rule, f"{what} {fact}", at) for rule, is_so, fact in broken if is_so)


def read_entries(table: Bytes, offset: int) -> tuple[tuple[Entry, ...], tuple[Finding, ...]]:
    """Read the entries of a table that stands at file offset `offset`.

    Reading ends at the first entry whose length cannot be believed: every step goes
    forward by at least 16 bytes, and at most 16 entries are read.
    """
    entries: list[Entry] = []
    found: list[Finding] = []
    at = 0
    while at < len(table):
        if len(entries) == MOST_ENTRIES:
            text = f"more than {MOST_ENTRIES} entries in the certificate table"
            found.append(refusal("PE-CERT-COUNT", text, offset + at))
            break
        left = len(table) - at
        length = struct.unpack_from("<I", table, at)[0] if left >= ENTRY_HEADER else 0
        if not ENTRY_HEADER < length <= left:
            text = f"dwLength {length} with {left} bytes left in the certificate table"
            found.append(refusal("PE-CERT-LENGTH", text, offset + at))
            break
        entry, faults = _read_entry(table[at : at + length], offset + at)
        found += faults
        if entry is not None:
            entries.append(entry)
        padded = min(length + -length % 8, left)
        if any(table[at + length : at + padded]):
            text = "bytes that are not zero stand in an entry's padding"
            found.append(refusal("PE-CERT-SLACK", text, offset + at + length))
        at += padded
    return tuple(entries), tuple(found)


def _read_entry(entry: Bytes, offset: int) -> tuple[Entry | None, tuple[Finding, ...]]:
    length, revision, kind = struct.unpack_from("<IHH", entry)
    found: list[Finding] = []
    if revision != REVISION_2:
        found.append(refusal("PE-CERT-REVISION", f"revision {revision:#06x}", offset + 4))
    if kind != PKCS_SIGNED_DATA:
        found.append(refusal("PE-CERT-TYPE", f"certificate type {kind:#06x}", offset + 6))
    if length > MOST_ENTRY_BYTES:
        text = f"an entry of {length} bytes, more than {MOST_ENTRY_BYTES}"
        found.append(refusal("PE-CERT-SIZE", text, offset))
    if found:
        return None, tuple(found)
    blob = bytes(entry[ENTRY_HEADER:])
    try:
        size = element_size(blob)
    except Refused as refused:
        faults = (refusal(f.rule, f.text, offset + ENTRY_HEADER) for f in refused.findings)
        return None, tuple(faults)
    slack = blob[size:]
    # Some writers round dwLength up to 8, so up to 7 zeros may stand inside it.
    if len(slack) >= ALIGNMENT or any(slack):
        text = f"{len(slack)} bytes stand behind the PKCS#7 inside its entry"
        found.append(refusal("PE-CERT-SLACK", text, offset + ENTRY_HEADER + size))
    return Entry(offset, length, blob[:size]), tuple(found)
