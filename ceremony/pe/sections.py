"""The section table of a PE image: read, and judged as file ranges and as mapped ranges.

Decides that the file is headers and then sections in file order without gap or overlap:
the tools disagree on the digest of anything else. It refuses to know names and contents.
Row layout: Microsoft, "PE Format", section table.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from itertools import pairwise

from ceremony.pe.headers import SECTION_ROW, Bytes, Header, refusal
from ceremony.show import escaped
from ceremony.types import Finding, Severity

EXECUTE, WRITE = 0x20000000, 0x80000000
PLAIN = bytes(range(0x21, 0x7F))
LONG_FORM = re.compile(rb"/[0-9]{1,7}\0*")
TWO_GIB = 1 << 31
U32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class SectionHeader:
    """One row of the section table; `at` is the row's own file offset."""

    at: int
    label: bytes
    virtual_size: int
    virtual_address: int
    size: int
    offset: int
    characteristics: int

    @property
    def name(self) -> str:
        """Return the name up to its first zero byte, escaped for people."""
        return escaped(self.label.split(b"\0", 1)[0].decode("latin-1"))

    @property
    def end(self) -> int:
        """Return the file offset behind the section's bytes."""
        return self.offset + self.size

    @property
    def mapped(self) -> int:
        """Return how many bytes are mapped, VirtualSize or for old linkers the raw size."""
        return self.virtual_size or self.size

    @property
    def content_size(self) -> int:
        """Return how many of the raw bytes are content, the rest being padding."""
        return min(self.mapped, self.size)


def read_sections(head: Bytes, header: Header) -> tuple[SectionHeader, ...]:
    """Read all rows; the caller has checked that the table lies inside `head`."""
    rows = []
    for at in range(header.sections_at, header.sections_end, SECTION_ROW):
        label, virtual_size, address, size, offset = struct.unpack_from("<8sIIII", head, at)
        (characteristics,) = struct.unpack_from("<I", head, at + 36)
        rows.append(SectionHeader(at, label, virtual_size, address, size, offset, characteristics))
    return tuple(rows)


def file_findings(
    header: Header, sections: tuple[SectionHeader, ...], size: int
) -> tuple[Finding, ...]:
    """Judge the sections as ranges of a file of `size` bytes."""
    found: list[Finding] = []
    filled = [s for s in sections if s.size]
    for s in filled:
        what = f"section {s.name} at {s.offset:#x} of {s.size:#x} bytes"
        if s.end > U32:
            found.append(refusal("PE-SECTION-WRAP", f"{what} wraps 32 bits", s.at + 16))
        if s.size >= TWO_GIB:
            found.append(refusal("PE-SECTION-2GIB", f"{what} is 2 GiB or more", s.at + 16))
        if s.end > size:
            text = f"{what} ends {s.end - size} bytes past the end of the file"
            found.append(refusal("PE-SECTION-EOF", text, s.at + 16))
        if s.offset < header.sections_end:
            text = f"{what} starts inside the headers"
            found.append(refusal("PE-SECTION-HEADERS", text, s.at + 20))
    for before, after in pairwise(filled):
        if after.offset < before.offset:
            text = f"section {after.name} stands after {before.name} and lies before it"
            found.append(refusal("PE-SECTION-ORDER", text, after.at + 20))
    return (*found, *_joint_findings(header, filled))


def _joint_findings(header: Header, filled: list[SectionHeader]) -> tuple[Finding, ...]:
    ordered = sorted(filled, key=lambda s: s.offset)
    if not ordered:
        return ()
    found: list[Finding] = []
    first = ordered[0]
    if header.headers_size > first.offset >= header.sections_end:
        text = f"SizeOfHeaders {header.headers_size:#x} runs into section {first.name}"
        found.append(refusal("PE-HEADERS-SECTION", text, header.optional_at + 60))
    if header.headers_size < first.offset:
        text = f"{first.offset - header.headers_size} bytes lie between headers and {first.name}"
        found.append(refusal("PE-SECTION-GAP", text, first.at + 20))
    for before, after in pairwise(ordered):
        if after.offset < before.end:
            text = (
                f"sections {before.name} and {after.name} share {before.end - after.offset} bytes"
            )
            found.append(refusal("PE-SECTION-OVERLAP", text, after.at + 20))
        if after.offset > before.end:
            text = f"{after.offset - before.end} bytes lie between {before.name} and {after.name}"
            found.append(refusal("PE-SECTION-GAP", text, after.at + 20))
    return tuple(found)


def mapping_findings(header: Header, sections: tuple[SectionHeader, ...]) -> tuple[Finding, ...]:
    """Judge the sections as firmware maps them, their names and rights."""
    found: list[Finding] = []
    if header.headers_size < header.image_size < header.sections_end + SECTION_ROW:
        # EDK2 PeCoffLoaderGetPeHeader wants room for one row more than there are.
        text = f"SizeOfImage {header.image_size:#x} has no room behind the section table"
        found.append(refusal("PE-IMAGE-SIZE", text, header.optional_at + 56))
    for s in sections:
        found += _name_findings(s)
        if s.size and s.virtual_address < header.headers_size:
            # EDK2 PeCoffLoaderGetPeHeader refuses such an image.
            text = f"section {s.name} is mapped at {s.virtual_address:#x}, over the headers"
            found.append(refusal("PE-SECTION-ADDRESS", text, s.at + 12))
        if s.virtual_address + s.mapped > header.image_size:
            text = f"section {s.name} is mapped past SizeOfImage {header.image_size:#x}"
            found.append(refusal("PE-ADDRESS-IMAGE", text, s.at + 8))
        if s.characteristics & EXECUTE and s.characteristics & WRITE:
            text = f"section {s.name} is both writable and executable"
            found.append(Finding("PE-WX", Severity.WARN, text, s.at + 36))
        if s.mapped > s.size or s.size - s.mapped >= max(header.file_alignment, 1):
            text = f"section {s.name}: {s.mapped} bytes mapped, {s.size} in the file"
            found.append(Finding("PE-VIRTUAL-SIZE", Severity.INFO, text, s.at + 8))
    for before, after in pairwise(sorted(sections, key=lambda s: s.virtual_address)):
        if after.virtual_address < before.virtual_address + before.mapped:
            text = f"sections {before.name} and {after.name} are mapped over each other"
            found.append(Finding("PE-ADDRESS-OVERLAP", Severity.WARN, text, after.at + 12))
    if not any(
        s.characteristics & EXECUTE
        and s.virtual_address <= header.entry < s.virtual_address + s.mapped
        for s in sections
    ):
        text = f"the entry point {header.entry:#x} lies in no executable section"
        found.append(refusal("PE-ENTRY", text, header.optional_at + 16))
    return tuple(found)


def _name_findings(section: SectionHeader) -> tuple[Finding, ...]:
    name = section.label.split(b"\0", 1)[0]
    hidden = section.label[len(name) :].strip(b"\0")
    # COFF's '/n' form names a string outside the headers; a stub never looks there, but shim
    # and fwupd have such sections, and the digest does not depend on names.
    if LONG_FORM.fullmatch(section.label):
        text = f"section name '{section.name}' is not plain"
        return (Finding("PE-SECTION-NAME", Severity.WARN, text, section.at),)
    if hidden or not name or name.startswith(b"/") or any(b not in PLAIN for b in name):
        text = f"section name '{escaped(section.label.decode('latin-1'))}' is not plain"
        return (refusal("PE-SECTION-NAME", text, section.at),)
    return ()
