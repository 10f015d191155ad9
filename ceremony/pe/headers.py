"""The DOS, COFF and optional headers of a PE image: read, and judged field by field.

Two kinds of findings come out: geometry (the digest is not well defined, or verifiers
disagree on it) and loading (firmware would not start it, or should not).
It refuses to know sections and certificate table.
Field names and offsets: Microsoft, "PE Format", MS-DOS stub to optional header.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ceremony.types import Finding, Severity

Bytes = bytes | memoryview

HEAD_BYTES = 65536
MOST_SECTIONS = 96
SECTION_ROW = 40
DOS_HEADER_BYTES = 64
COFF_BYTES = 24  # the signature and the COFF file header
LEAST_HEADER_BYTES = COFF_BYTES + 112 + 8 * 5
EFI_APPLICATION, EFI_DRIVERS = 10, (11, 12)
NX_COMPAT = 0x0100
PAGE = 4096
MOST_SECTION_ALIGNMENT = 2 << 20  # EDK2 allocates as much; larger pages than that exist nowhere
CERTIFICATE_DIRECTORY = 4
FEWEST_DIRECTORIES, MOST_DIRECTORIES = 5, 16
LEAST_FILE_ALIGNMENT, MOST_FILE_ALIGNMENT = 512, 65536

PE32, PE32_PLUS = 0x10B, 0x20B
MACHINES = {
    0x8664: ("x86_64", PE32_PLUS),
    0xAA64: ("aarch64", PE32_PLUS),
    0x014C: ("i386", PE32),
    0x01C2: ("arm", PE32),
}


@dataclass(frozen=True, slots=True)
class Header:
    """The judged fields; `optional_at` is the file offset of the optional header."""

    optional_at: int
    machine: int
    section_count: int
    optional_size: int
    magic: int
    entry: int
    section_alignment: int
    file_alignment: int
    image_size: int
    headers_size: int
    characteristics: int
    subsystem: int
    dll_characteristics: int
    directory_count: int

    @property
    def machine_name(self) -> str:
        """Return the machine's name, empty where it is not known."""
        return MACHINES.get(self.machine, ("", 0))[0]

    @property
    def fixed_size(self) -> int:
        """Return the bytes of the optional header before its data directories."""
        return 112 if self.magic == PE32_PLUS else 96

    @property
    def checksum_at(self) -> int:
        """Return the offset of the CheckSum field."""
        return self.optional_at + 64

    @property
    def directory_at(self) -> int:
        """Return the offset of the certificate directory's 8 bytes."""
        return self.optional_at + self.fixed_size + 8 * CERTIFICATE_DIRECTORY

    @property
    def sections_at(self) -> int:
        """Return the offset of the section table."""
        return self.optional_at + self.optional_size

    @property
    def sections_end(self) -> int:
        """Return the offset behind the section table."""
        return self.sections_at + SECTION_ROW * self.section_count


def refusal(rule: str, text: str, at: int) -> Finding:
    """Make a finding that refuses, at a byte offset."""
    return Finding(rule, Severity.REFUSE, text, at)


def read_header(head: Bytes) -> tuple[Header | None, tuple[Finding, ...]]:
    """Read the header fields from the file's first bytes, as far as they can be read."""
    if len(head) < DOS_HEADER_BYTES or bytes(head[:2]) != b"MZ":
        return None, (refusal("PE-DOS-MAGIC", "the file does not start with a DOS header", 0),)
    (lfanew,) = struct.unpack_from("<I", head, 0x3C)
    if lfanew < DOS_HEADER_BYTES or lfanew > len(head) - LEAST_HEADER_BYTES:
        where = "inside the DOS header" if lfanew < DOS_HEADER_BYTES else "past the headers' room"
        return None, (refusal("PE-LFANEW", f"e_lfanew {lfanew:#x} points {where}", 0x3C),)
    if bytes(head[lfanew : lfanew + 4]) != b"PE\0\0":
        return None, (refusal("PE-SIGNATURE", f"no PE signature at {lfanew:#x}", lfanew),)
    findings: tuple[Finding, ...] = ()
    if lfanew % 8:
        text = f"e_lfanew {lfanew:#x} is not a multiple of 8"
        # Odd, it puts CheckSum across two of the words that are summed: tools disagree.
        severity = Severity.REFUSE if lfanew % 2 else Severity.WARN
        findings = (Finding("PE-LFANEW-ALIGN", severity, text, 0x3C),)
    optional_at = lfanew + COFF_BYTES
    (magic,) = struct.unpack_from("<H", head, optional_at)
    if magic not in (PE32, PE32_PLUS):
        text = f"the optional header's magic is {magic:#06x}"
        return None, (*findings, refusal("PE-MAGIC", text, optional_at))
    return _unpack(head, lfanew, magic), findings


def _unpack(head: Bytes, lfanew: int, magic: int) -> Header:
    optional_at = lfanew + COFF_BYTES
    machine, section_count = struct.unpack_from("<HH", head, lfanew + 4)
    optional_size, characteristics = struct.unpack_from("<HH", head, lfanew + 20)
    (entry,) = struct.unpack_from("<I", head, optional_at + 16)
    section_alignment, file_alignment = struct.unpack_from("<II", head, optional_at + 32)
    image_size, headers_size = struct.unpack_from("<II", head, optional_at + 56)
    subsystem, dll_characteristics = struct.unpack_from("<HH", head, optional_at + 68)
    count_at = optional_at + (108 if magic == PE32_PLUS else 92)
    (directory_count,) = struct.unpack_from("<I", head, count_at)
    return Header(
        optional_at=optional_at,
        machine=machine,
        section_count=section_count,
        optional_size=optional_size,
        magic=magic,
        entry=entry,
        section_alignment=section_alignment,
        file_alignment=file_alignment,
        image_size=image_size,
        headers_size=headers_size,
        characteristics=characteristics,
        subsystem=subsystem,
        dll_characteristics=dll_characteristics,
        directory_count=directory_count,
    )


def geometry_findings(header: Header, size: int) -> tuple[Finding, ...]:
    """Judge what decides which header bytes are hashed; `size` is the file's, in bytes."""
    found: list[Finding] = []
    optional_at = header.optional_at
    magic = MACHINES.get(header.machine, ("", header.magic))[1]
    if header.magic != magic:
        text = f"magic {header.magic:#x} on machine {header.machine_name} that needs {magic:#x}"
        found.append(refusal("PE-MAGIC", text, optional_at))
    if not FEWEST_DIRECTORIES <= header.directory_count <= MOST_DIRECTORIES:
        text = f"NumberOfRvaAndSizes is {header.directory_count}, not 5 to 16"
        at = optional_at + header.fixed_size - 4
        found.append(refusal("PE-DIRECTORIES", text, at))
    expected = header.fixed_size + 8 * header.directory_count
    if header.optional_size != expected:
        text = f"SizeOfOptionalHeader is {header.optional_size}, its directories need {expected}"
        found.append(refusal("PE-OPTIONAL-SIZE", text, optional_at - 4))
    if not 1 <= header.section_count <= MOST_SECTIONS:
        text = f"{header.section_count} sections, not 1 to {MOST_SECTIONS}"
        found.append(refusal("PE-SECTION-COUNT", text, optional_at - COFF_BYTES + 6))
    if header.sections_end > min(size, HEAD_BYTES):
        text = f"the section table ends at {header.sections_end}, past the headers' room"
        found.append(refusal("PE-SECTION-TABLE", text, header.sections_at))
    return (*found, *_headers_size_findings(header, size))


def _headers_size_findings(header: Header, size: int) -> tuple[Finding, ...]:
    at, value = header.optional_at + 60, header.headers_size
    if value == 0:
        return (refusal("PE-HEADERS-ZERO", "SizeOfHeaders is 0", at),)
    if value > min(size, HEAD_BYTES):
        text = f"SizeOfHeaders {value:#x} is past the end of the file or past 64 KiB"
        return (refusal("PE-HEADERS-EOF", text, at),)
    if value < header.directory_at + 8:
        text = f"SizeOfHeaders {value:#x} ends before the certificate directory does"
        return (refusal("PE-HEADERS-CERTDIR", text, at),)
    if value < header.sections_end:
        text = f"SizeOfHeaders {value:#x} cuts the section table that ends at {header.sections_end}"
        return (refusal("PE-HEADERS-TABLE", text, at),)
    return ()


def loading_findings(header: Header) -> tuple[Finding, ...]:
    """Judge what firmware looks at before it starts the image."""
    found: list[Finding] = []
    optional_at = header.optional_at
    if header.machine not in MACHINES:
        text = f"machine {header.machine:#06x} is not known"
        found.append(refusal("PE-MACHINE", text, optional_at - COFF_BYTES + 4))
    if header.subsystem != EFI_APPLICATION:
        # Firmware starts drivers, too; what is no UKI for it is inspect's to say.
        severity = Severity.WARN if header.subsystem in EFI_DRIVERS else Severity.REFUSE
        text = f"subsystem {header.subsystem} is not 10, an EFI application"
        found.append(Finding("PE-SUBSYSTEM", severity, text, optional_at + 68))
    if header.image_size <= header.headers_size:
        # EDK2 PeCoffLoaderGetPeHeader: SizeOfHeaders must be less than SizeOfImage.
        text = f"SizeOfImage {header.image_size:#x} does not exceed SizeOfHeaders"
        found.append(refusal("PE-IMAGE-SIZE", text, optional_at + 56))
    alignment = header.file_alignment
    if alignment.bit_count() != 1 or not (LEAST_FILE_ALIGNMENT <= alignment <= MOST_FILE_ALIGNMENT):
        # GNU-EFI's images for ARM and iPXE have 8 and 32; no verifier's digest depends on it.
        small = alignment.bit_count() == 1 and alignment < LEAST_FILE_ALIGNMENT
        severity = Severity.WARN if small else Severity.REFUSE
        text = f"FileAlignment {alignment} is not a power of two from 512 to 65536"
        found.append(Finding("PE-FILE-ALIGNMENT", severity, text, optional_at + 36))
    alignment = header.section_alignment
    if alignment.bit_count() != 1 or alignment > MOST_SECTION_ALIGNMENT:
        text = f"SectionAlignment {alignment} is not a power of two up to 2 MiB"
        found.append(refusal("PE-SECTION-ALIGNMENT", text, optional_at + 32))
    elif alignment < PAGE:
        text = f"SectionAlignment {header.section_alignment} is below 4096: no page protection"
        found.append(Finding("PE-SECTION-ALIGNMENT", Severity.INFO, text, optional_at + 32))
    if not header.dll_characteristics & NX_COMPAT:
        text = "NX_COMPAT is not set: firmware that demands it refuses the image"
        found.append(Finding("PE-NX", Severity.INFO, text, optional_at + 70))
    return tuple(found)
