"""Where two files differ first, in words a builder can act on.

Decides the first offset, how many bytes differ, and in a PE image which header field or
section that is. Refuses to know why they differ.
"""

from __future__ import annotations

from ceremony.effects import Buffer
from ceremony.pe.headers import HEAD_BYTES, Header, read_header
from ceremony.pe.sections import read_sections
from ceremony.show import counted

CHUNK = 1 << 20
STAMP_BACK, STAMP_BYTES = 16, 4  # PE/COFF 2.3: at 4 of the 20 bytes before the optional header
CHECKSUM_BYTES = 4


def first_difference(one: Buffer, other: Buffer) -> int | None:
    """Return the first offset at which two files differ, None when they are equal."""
    for at in range(0, max(len(one), len(other)), CHUNK):
        here, there = bytes(one[at : at + CHUNK]), bytes(other[at : at + CHUNK])
        if here != there:
            pairs = enumerate(zip(here, there, strict=False))
            inside = next((n for n, (a, b) in pairs if a != b), min(len(here), len(there)))
            return at + inside
    return None


def describe(one: Buffer, other: Buffer) -> tuple[int, str]:
    """Return the first offset at which two unequal files differ, and a sentence about it."""
    at = first_difference(one, other)
    if at is None:
        raise TypeError("equal files do not differ")
    sizes = ""
    if len(one) != len(other):
        sizes = f"the sizes are {counted(len(one))} and {len(other):,}; "
    where = place(one, at) or place(other, at)
    inside = f", in {where}" if where else ""
    number = counted(_differing(one, other), "bytes differ")
    return at, f"{sizes}{number}, the first at offset {at:#x}{inside}"


def place(image: Buffer, at: int) -> str:
    """Return what of a PE image stands at an offset, "" for another file."""
    head = memoryview(image)[:HEAD_BYTES]
    header, _ = read_header(head)
    if header is None or at >= len(image):
        return ""
    rows = read_sections(head, header) if header.sections_end <= len(head) else ()
    for section in rows:
        if section.size and section.offset <= at < section.end:
            return f"section {section.name} at its byte {at - section.offset:#x}"
    return _of_headers(header, at)


def _of_headers(header: Header, at: int) -> str:
    stamp = header.optional_at - STAMP_BACK
    if stamp <= at < stamp + STAMP_BYTES:
        return "the headers: COFF TimeDateStamp"
    if header.checksum_at <= at < header.checksum_at + CHECKSUM_BYTES:
        return "the headers: CheckSum"
    if at < header.headers_size:
        return "the headers"
    return "the bytes behind the sections"


def _differing(one: Buffer, other: Buffer) -> int:
    number = abs(len(one) - len(other))
    for at in range(0, min(len(one), len(other)), CHUNK):
        here, there = bytes(one[at : at + CHUNK]), bytes(other[at : at + CHUNK])
        if here != there:
            number += sum(a != b for a, b in zip(here, there, strict=False))
    return number
