"""Our model of how EDK2 loads an application: the headers it believes, the sections it maps.

Written from the description of MdePkg's BasePeCoffLib and of MdeModulePkg's image services,
and held against OVMF. What is denied before the signature is looked at ("Access Denied") and
what fails later ("Load Error", "Out of Resources") is not told apart.
What is followed in the mapped image stands in edk2_mapped.py.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

U32 = 0xFFFFFFFF
PE32, PE32_PLUS = 0x10B, 0x20B
MACHINES = (0x8664, 0xAA64, 0x014C, 0x01C2)
APPLICATION, RUNTIME_DRIVER = 10, 12
RELOCATIONS_STRIPPED = 0x0001
MOST_DIRECTORIES, RESOURCES, SECURITY, RELOCATIONS, DEBUG = 16, 2, 4, 5, 6
DEBUG_ENTRY, CODEVIEW = 28, 2
HEADER_UNION = 4 + 20 + 240  # read as a whole before its fields are looked at
MOST_ALIGNMENT = 1 << 28  # a machine of 1 GiB finds no room for more


class DeniedError(Exception):
    """Raised inside the model for an image that does not start."""


@dataclass(frozen=True)
class Section:
    """One row of the section table."""

    virtual_size: int
    address: int
    size: int
    offset: int


@dataclass(frozen=True)
class Headers:
    """What the loader took from the headers."""

    optional_at: int
    machine: int
    plus: bool
    directories: int
    headers_size: int
    image_size: int
    section_alignment: int
    characteristics: int
    sections: tuple[Section, ...]

    @property
    def fixed(self) -> int:
        """Return the bytes of the optional header before its directories."""
        return 112 if self.plus else 96

    @property
    def table_end(self) -> int:
        """Return the offset behind the section table."""
        return self.optional_at + self.fixed + 8 * self.directories + 40 * len(self.sections)

    @property
    def directory_at(self) -> int:
        """Return the offset of the certificate directory."""
        return self.optional_at + self.fixed + 8 * SECURITY

    def directory(self, image: bytes, number: int) -> tuple[int, int]:
        """Return address and size in a directory, zeros where there is none."""
        if number >= self.directories:
            return 0, 0
        where, size = struct.unpack_from("<II", image, self.optional_at + self.fixed + 8 * number)
        return where, size


def need(holds: bool, why: str) -> None:  # noqa: FBT001 - the condition is the point
    """Deny the image unless the condition holds."""
    if not holds:
        raise DeniedError(why)


def load_header(image: bytes) -> Headers:
    """PeCoffLoaderGetPeHeader, and of PeCoffLoaderGetImageInfo what can fail."""
    need(len(image) >= 64, "no DOS header")
    (lfanew,) = struct.unpack_from("<I", image, 0x3C)
    if image[:2] != b"MZ":
        lfanew = 0  # an image without a DOS stub starts with the PE signature
    need(lfanew + HEADER_UNION <= len(image), "headers past the end of the file")
    need(image[lfanew : lfanew + 4] == b"PE\0\0", "no PE signature")
    machine, count = struct.unpack_from("<HH", image, lfanew + 4)
    need(machine in MACHINES, "machine")
    optional_size, characteristics = struct.unpack_from("<HH", image, lfanew + 20)
    at = lfanew + 24
    (magic,) = struct.unpack_from("<H", image, at)
    need(magic in (PE32, PE32_PLUS), "no such magic")
    fixed = 112 if magic == PE32_PLUS else 96
    (directories,) = struct.unpack_from("<I", image, at + fixed - 4)
    (alignment,) = struct.unpack_from("<I", image, at + 32)
    image_size, headers_size = struct.unpack_from("<II", image, at + 56)
    (subsystem,) = struct.unpack_from("<H", image, at + 68)
    need(directories <= MOST_DIRECTORIES, "too many directories")
    need(optional_size == fixed + 8 * directories, "SizeOfOptionalHeader")
    table = at + optional_size
    need(image_size > table and (image_size - table) // 40 > count, "SizeOfImage")
    need(table < headers_size < image_size, "SizeOfHeaders")
    need((headers_size - table) // 40 >= count, "SizeOfHeaders in the section table")
    need(headers_size <= len(image), "SizeOfHeaders past the end of the file")
    need(APPLICATION <= subsystem <= RUNTIME_DRIVER, "subsystem")
    headers = Headers(
        optional_at=at,
        machine=machine,
        plus=magic == PE32_PLUS,
        directories=directories,
        headers_size=headers_size,
        image_size=image_size,
        section_alignment=alignment,
        characteristics=characteristics,
        sections=tuple(_row(image, table + 40 * i, headers_size) for i in range(count)),
    )
    where, size = headers.directory(image, SECURITY)
    need(size == 0 or where + size <= min(U32, len(image)), "certificate directory")
    _read_debug_entries(image, headers)
    return headers


def _row(image: bytes, at: int, headers_size: int) -> Section:
    row = Section(*struct.unpack_from("<4I", image, at + 8))
    if row.size:
        need(row.address >= headers_size, "section mapped over the headers")
        need(row.offset >= headers_size, "section in the headers")
        need(row.offset + row.size <= U32, "section wraps")
        need(row.offset + row.size <= len(image), "section past the end of the file")
    return row


def _read_debug_entries(image: bytes, headers: Headers) -> None:
    """Every debug entry is read from the file, up to the first of type CodeView."""
    address, size = headers.directory(image, DEBUG)
    # AAVMF looks for the entries in memory too, and crashes where there is none.
    need(not size or address + size <= headers.image_size, "debug directory past SizeOfImage")
    holds = (s for s in headers.sections if s.address <= address < s.address + s.virtual_size)
    row = next(holds, None) if address else None
    if row is None:
        return
    start = address - row.address + row.offset
    for at in range(start, start + size, DEBUG_ENTRY):
        need(at + DEBUG_ENTRY <= len(image), "debug directory past the end of the file")
        if struct.unpack_from("<I", image, at + 12)[0] == CODEVIEW:
            return


def load_sections(image: bytes, headers: Headers) -> None:
    """PeCoffLoaderLoadImage and PeCoffLoaderRelocateImage, as far as the headers decide."""
    need(1 <= headers.section_alignment <= MOST_ALIGNMENT, "SectionAlignment")
    # An image that cannot be moved starts only where its own address happens to be free.
    need(not headers.characteristics & RELOCATIONS_STRIPPED, "relocations stripped")
    for row in headers.sections:
        copied = min(row.virtual_size, row.size) if row.virtual_size else row.size
        last = (row.address + row.virtual_size - 1) & U32
        if copied:
            inside = row.address < headers.image_size and last < headers.image_size
            need(inside, "section mapped past SizeOfImage")
