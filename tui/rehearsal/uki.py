"""Build a unified kernel image: sections appended to a systemd stub, the same bytes each time.

Decides the file's layout: headers, then every section contiguous and padded to FileAlignment,
nothing behind the last. A stub's COFF symbol table, certificate table and overlay are dropped.
It refuses to know what the sections mean.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ceremony.errors import CeremonyError

PAGE = 4096
PE32_PLUS = 0x20B
ARCHITECTURES = {0x8664: "x86_64", 0xAA64: "aarch64"}  # PE/COFF 3.3.1
INITIALIZED_DATA_READ = 0x40000040  # PE/COFF 4.1: IMAGE_SCN_CNT_INITIALIZED_DATA | MEM_READ
SECTION_HEADER = struct.Struct("<8s6I2HI")
COFF_HEADER = struct.Struct("<2H3I2H")
CERTIFICATE_DIRECTORY = 4
DEBUG_DIRECTORY = 6


class NotAStub(CeremonyError):
    """The bytes given as a stub cannot carry a UKI; the text says why."""


@dataclass(frozen=True, slots=True)
class _Section:
    """A section to be written: its header's fields and its bytes in the file."""

    name: bytes
    address: int
    virtual_size: int
    characteristics: int
    data: bytes


def build_uki(stub: bytes, sections: list[tuple[str, bytes]]) -> bytes:
    """Return the stub with `sections` (name, content) behind its own.

    A name that the stub has already (`.sbat`) takes the place of the stub's section.
    Raises NotAStub when the stub's headers have no room.
    """
    header = bytearray(stub)
    coff, optional, directories = _places(header)
    section_alignment, file_alignment = struct.unpack_from("<2I", header, optional + 32)
    own = _stub_sections(stub, coff)
    names = {name.encode("ascii") for name, _ in sections}
    rows = [row for row in own if row.name not in names]
    step = max(section_alignment, PAGE)
    address = _up(max(row.address + row.virtual_size for row in own), step)
    for name, content in sections:
        rows.append(
            _Section(name.encode("ascii"), address, len(content), INITIALIZED_DATA_READ, content)
        )
        address = _up(address + len(content), step)

    table = optional + struct.unpack_from("<H", header, coff + 16)[0]
    headers_size = _up(table + SECTION_HEADER.size * len(rows), file_alignment)
    if headers_size > min(row.address for row in rows):
        raise NotAStub("the stub's headers have no room for more sections")
    del header[table:]
    header.extend(bytes(headers_size - len(header)))
    # PE/COFF 3.3: TimeDateStamp, PointerToSymbolTable, NumberOfSymbols.
    struct.pack_into("<H3I", header, coff + 2, len(rows), 0, 0, 0)
    struct.pack_into("<2I", header, optional + 56, address, headers_size)
    struct.pack_into("<I", header, optional + 64, 0)  # CheckSum
    for index in (CERTIFICATE_DIRECTORY, DEBUG_DIRECTORY):  # these hold offsets in the file
        if index < directories:
            struct.pack_into("<2I", header, optional + 112 + 8 * index, 0, 0)
    return _written(header, table, rows, file_alignment)


def section_content(image: bytes, name: str) -> bytes:
    """Return a section's content, VirtualSize bytes of it at most; empty where it is absent."""
    coff, _, _ = _places(image)
    for row in _stub_sections(image, coff):
        if row.name == name.encode("ascii"):
            return row.data[: row.virtual_size]
    return b""


def section_names(image: bytes) -> tuple[str, ...]:
    """Return the names of an image's sections, in the table's order."""
    coff, _, _ = _places(image)
    return tuple(row.name.decode("latin-1") for row in _stub_sections(image, coff))


def architecture(image: bytes) -> str:
    """Return `x86_64` or `aarch64`, as the image's header says; NotAStub for another machine."""
    coff, _, _ = _places(image)
    (machine,) = struct.unpack_from("<H", image, coff)
    if machine not in ARCHITECTURES:
        raise NotAStub(f"machine {machine:#06x} is neither x86_64 nor aarch64")
    return ARCHITECTURES[machine]


def _written(header: bytearray, table: int, rows: list[_Section], alignment: int) -> bytes:
    """Return headers and sections as a file: contiguous, each padded to `alignment`."""
    offset = len(header)
    body: list[bytes] = []
    for number, row in enumerate(rows):
        padded = row.data + bytes(-len(row.data) % alignment)
        SECTION_HEADER.pack_into(
            header,
            table + SECTION_HEADER.size * number,
            row.name,
            row.virtual_size,
            row.address,
            len(padded),
            offset if padded else 0,
            0,
            0,
            0,
            0,
            row.characteristics,
        )
        body.append(padded)
        offset += len(padded)
    return bytes(header) + b"".join(body)


def _places(image: bytes | bytearray) -> tuple[int, int, int]:
    """Return where COFF and optional header start, and how many data directories there are."""
    try:
        (signature,) = struct.unpack_from("<I", image, 60)
        (magic,) = struct.unpack_from("<H", image, signature + 24)
        (directories,) = struct.unpack_from("<I", image, signature + 24 + 108)
    except struct.error as error:
        raise NotAStub("the stub is shorter than its headers") from error
    if image[:2] != b"MZ" or image[signature : signature + 4] != b"PE\0\0" or magic != PE32_PLUS:
        raise NotAStub("the stub is not a PE32+ image")
    return signature + 4, signature + 24, directories


def _stub_sections(stub: bytes, coff: int) -> list[_Section]:
    """Return the sections that an image has, with their bytes."""
    _, count, _, _, _, optional_size, _ = COFF_HEADER.unpack_from(stub, coff)
    table = coff + COFF_HEADER.size + optional_size
    rows = []
    if table + SECTION_HEADER.size * count > len(stub):
        raise NotAStub("the section table ends behind the file")
    for number in range(count):
        name, virtual_size, address, size, offset, _, _, _, _, characteristics = (
            SECTION_HEADER.unpack_from(stub, table + SECTION_HEADER.size * number)
        )
        data = stub[offset : offset + size]
        rows.append(_Section(name.rstrip(b"\0"), address, virtual_size, characteristics, data))
    return rows


def _up(value: int, alignment: int) -> int:
    """Return `value` raised to the next multiple of `alignment`."""
    return value + -value % alignment
