"""Where everything lies in a PE/COFF image, read strictly from the file's first 64 KiB.

Decides whether headers, section table and certificate directory are such that every
verifier hashes the same bytes, and names each broken rule with its byte offset. No count
or offset is believed before it is checked. It refuses to know what sections mean (uki.py),
what the certificate table holds (table.py) and what policy wants (inspect.py).
A `Layout` exists only for a file that is headers, then contiguous sections in ascending
order, then overlay, then certificate table: so one sequential read can hash it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ceremony.pe.directories import Directory, followed_directories
from ceremony.pe.headers import (
    HEAD_BYTES,
    Bytes,
    Header,
    geometry_findings,
    loading_findings,
    read_header,
    refusal,
)
from ceremony.pe.sections import (
    SectionHeader,
    file_findings,
    mapping_findings,
    read_sections,
)
from ceremony.pe.table import directory_findings, read_directory
from ceremony.types import Finding, Severity

MOST_BYTES = 0xFFFF0000  # 4 GiB - 64 KiB: a table behind it keeps 32-bit offsets


@dataclass(frozen=True, slots=True)
class Layout:
    """Offsets and sizes in bytes of an image whose digest is well defined.

    `size` is the whole file, `image_size` the mapped image; `table_at` and `table_size` are
    the certificate table's, 0 where there is none; `checksum_at` and `directory_at` are the two
    holes in the digest; `directories` are those that firmware follows.
    """

    size: int
    machine: str
    checksum_at: int
    directory_at: int
    headers_end: int
    image_size: int
    sections: tuple[SectionHeader, ...]
    table_at: int
    table_size: int
    directories: tuple[Directory, ...]

    @property
    def end(self) -> int:
        """Return the offset where the image ends and a certificate table may start."""
        return self.size - self.table_size

    @property
    def padding(self) -> int:
        """Return how many zeros (0 to 7) are hashed and written behind the image."""
        return -self.end % 8

    @property
    def sections_end(self) -> int:
        """Return the offset behind the last section's bytes."""
        return max([self.headers_end, *(s.end for s in self.sections if s.size)])


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: the layout if it is sound, the machine's name if known, all findings."""

    layout: Layout | None
    machine: str
    findings: tuple[Finding, ...]


def read_layout(head: Bytes, size: int) -> Reading:
    """Read the layout of a file of `size` bytes from its first min(size, 64 KiB) bytes.

    Every broken rule gives a finding. `layout` is None when one of them leaves the digest
    ill-defined; findings that refuse for another reason leave it readable.
    """
    head = memoryview(head)[: min(size, HEAD_BYTES)]
    header, found = read_header(head)
    if header is None:
        return Reading(None, "", found)
    geometry = geometry_findings(header, size)
    if size > MOST_BYTES:
        geometry += (refusal("PE-TOO-LARGE", f"{size} bytes do not fit 32-bit offsets", 0),)
    found += geometry + loading_findings(header)
    if geometry:
        return Reading(None, header.machine_name, found)
    sections = read_sections(head, header)
    table_at, table_size = read_directory(head, header)
    geometry = file_findings(header, sections, size)
    geometry += directory_findings(header, sections, table_at, table_size, size)
    found += geometry + mapping_findings(header, sections)
    directories, followed = followed_directories(head, header, sections)
    found += followed + _header_bytes(head, header)
    if geometry:
        return Reading(None, header.machine_name, found)
    layout = Layout(
        size=size,
        machine=header.machine_name,
        checksum_at=header.checksum_at,
        directory_at=header.directory_at,
        headers_end=header.headers_size,
        image_size=header.image_size,
        sections=sections,
        table_at=table_at,
        table_size=table_size,
        directories=directories,
    )
    return Reading(layout, header.machine_name, found)


def _header_bytes(head: Bytes, header: Header) -> tuple[Finding, ...]:
    room = bytes(head[header.sections_end : header.headers_size])
    hidden = len(room.rstrip(b"\0"))
    if not hidden:
        return ()
    at = header.sections_end + len(room) - len(room.lstrip(b"\0"))
    text = f"{hidden} bytes that are not all zero stand behind the section table"
    return (Finding("PE-HEADER-BYTES", Severity.WARN, text, at),)
