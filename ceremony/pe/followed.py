"""What relocations, debug entries and resources say, as far as firmware follows them.

Decides whether EDK2 comes through them, and that they change and copy nothing that people
read: firmware writes into the mapped image what relocations and unmapped debug data ask for.
It refuses to know where they stand (directories.py) and what resources and symbols mean.
Sources: EDK2 MdePkg BasePeCoffLib, PeCoffLoaderLoadImage and PeCoffLoaderRelocateImage;
Microsoft, "PE Format", .reloc, debug directory, .rsrc.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from ceremony.content import Content
from ceremony.pe.directories import DEBUG, RELOCATIONS, RESOURCES, RULES
from ceremony.pe.headers import Bytes, refusal
from ceremony.pe.layout import Layout
from ceremony.pe.sections import SectionHeader
from ceremony.types import Finding

BLOCK_HEADER = 8
# IMAGE_REL_BASED_ABSOLUTE, HIGH, LOW, HIGHLOW, DIR64; on ARM ARM_MOV32T: bytes that each changes
WIDTHS = {0: 0, 1: 2, 2: 2, 3: 4, 10: 8}
ARM_MOV32T, MOV32T_BYTES = 7, 8
DEBUG_ENTRY, CODEVIEW = 28, 2
LEAST_CODEVIEW = 24  # the largest of the three records that EDK2 knows, but for the file name
RESOURCE_TABLE, RESOURCE_ROW = 16, 8
LEVELS = 3  # type, name, language
HIGH_BIT = 0x80000000
HII = "HII".encode("utf-16-le")
# What a stub looks up in the mapped image, and people read in the file.
READ_BY_PEOPLE = frozenset(
    (
        *(".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".dtbauto"),
        *(".uname", ".sbat", ".pcrsig", ".pcrpkey", ".profile", ".hwids", ".efifw", ".sdmagic"),
    )
)


class Octets:
    """The bytes of the directories that firmware follows, as a sink."""

    def __init__(self, layout: Layout) -> None:
        self._wanted = layout.directories
        self._kept = [bytearray() for _ in self._wanted]
        self._at = 0

    def update(self, chunk: Bytes) -> None:
        """Keep what belongs to a directory."""
        start, stop = self._at, self._at + len(chunk)
        for wanted, kept in zip(self._wanted, self._kept, strict=True):
            first, last = wanted.offset, wanted.offset + wanted.size
            if first < stop and last > start:
                kept.extend(memoryview(chunk)[max(first - start, 0) : last - start])
        self._at = stop

    def octets(self) -> tuple[bytes, ...]:
        """Return each directory's bytes."""
        return tuple(map(bytes, self._kept))


def followed_findings(layout: Layout, octets: tuple[bytes, ...]) -> tuple[Finding, ...]:
    """Judge the bytes of `layout.directories`; each breaks its rule once at most."""
    faults = (
        (directory, next(JUDGES[directory.number](layout, data), ""))
        for directory, data in zip(layout.directories, octets, strict=True)
    )
    return tuple(
        refusal(RULES[directory.number], fault, directory.offset)
        for directory, fault in faults
        if fault
    )


def cut_out(image: Content, layout: Layout) -> tuple[bytes, ...]:
    """Return the bytes of the directories of an image that is here."""
    return tuple(bytes(image.part(d.offset, d.offset + d.size)) for d in layout.directories)


def _relocation_faults(layout: Layout, data: bytes) -> Iterator[str]:
    widths = WIDTHS | ({ARM_MOV32T: MOV32T_BYTES} if layout.machine == "arm" else {})
    kept = _untouchable(layout)
    at = 0
    # EDK2 stops at the last byte: a single one that is left over is not looked at.
    while at < len(data) - 1:
        if len(data) - at < BLOCK_HEADER:
            yield f"relocations are cut off at {at:#x}"
            return
        page, size = struct.unpack_from("<II", data, at)
        if size < BLOCK_HEADER or size % 2 or size > len(data) - at:
            yield f"a block of relocations has size {size:#x}, {len(data) - at:#x} bytes are left"
            return
        if page >= layout.image_size:
            yield f"relocations for {page:#x}, past SizeOfImage"
            return
        for (entry,) in struct.iter_unpack("<H", data[at + BLOCK_HEADER : at + size]):
            kind, target = entry >> 12, page + (entry & 0xFFF)
            width = widths.get(kind)
            if width is None:
                yield f"a relocation of type {kind}, which firmware does not know"
                return
            if target + width > layout.image_size or target >= layout.image_size:
                yield f"a relocation at {target:#x} changes what lies past SizeOfImage"
                return
            if width and (whose := _touched(target, width, kept)):
                yield f"a relocation at {target:#x} changes {whose}"
                return
        at += size


def _untouchable(layout: Layout) -> tuple[tuple[int, int, str], ...]:
    """Return the mapped ranges that no relocation may change, each with what it holds."""
    ranges = ((s.virtual_address, s.mapped, s) for s in layout.sections)
    named = ((at, at + size, _said(s)) for at, size, s in ranges if s.name in READ_BY_PEOPLE)
    return ((0, layout.headers_end, "the headers"), *named)


def _said(section: SectionHeader) -> str:
    return f"section {section.name}"


def _touched(target: int, width: int, kept: tuple[tuple[int, int, str], ...]) -> str:
    return next((what for a, b, what in kept if target < b and a < target + width), "")


def _debug_faults(layout: Layout, data: bytes) -> Iterator[str]:
    if len(data) % DEBUG_ENTRY:
        yield f"debug entries of {len(data)} bytes, each has {DEBUG_ENTRY}"
        return
    for at in range(0, len(data), DEBUG_ENTRY):
        kind, size, address, offset = struct.unpack_from("<4I", data, at + 12)
        if kind != CODEVIEW:
            continue
        # Older EDK2 follows the first CodeView entry, newer the last: each is judged.
        if address == 0 and offset:
            # EDK2 copies `size` bytes behind the section whose row is the last.
            yield f"debug data that is not mapped: firmware copies it from {offset:#x}"
        elif address and size < LEAST_CODEVIEW:
            yield f"CodeView data of {size} bytes, fewer than {LEAST_CODEVIEW}"
        elif address and address + size > layout.image_size:
            yield f"CodeView data at {address:#x} of {size:#x} bytes ends past SizeOfImage"


def _resource_faults(_: Layout, data: bytes) -> Iterator[str]:
    try:
        if not _walk(data, 0, LEVELS):
            yield "resources run past their directory, or deeper than three levels"
    except struct.error:
        yield "resources are cut off"


def _walk(data: bytes, at: int, levels: int) -> bool:
    """Say whether EDK2's search for an HII package list stays inside the directory."""
    named, numbered = struct.unpack_from("<HH", data, at + 12)
    if at + RESOURCE_TABLE + RESOURCE_ROW * (named + numbered) > len(data):
        return False
    first = at + RESOURCE_TABLE
    if levels < LEVELS:  # only the first row counts below the root
        return _leads(data, first, levels)
    for row in range(first, first + RESOURCE_ROW * named, RESOURCE_ROW):
        (name,) = struct.unpack_from("<I", data, row)
        if not name & HIGH_BIT:
            continue
        (length,) = struct.unpack_from("<H", data, name & ~HIGH_BIT)
        start = (name & ~HIGH_BIT) + 2
        if length == len("HII") and data[start : start + len(HII)] == HII:
            return _leads(data, row, levels)
    return True


def _leads(data: bytes, row: int, levels: int) -> bool:
    where: int = struct.unpack_from("<I", data, row + 4)[0]
    if where & HIGH_BIT:
        return levels > 1 and _walk(data, where & ~HIGH_BIT, levels - 1)
    return where + RESOURCE_TABLE <= len(data)  # a data entry has 16 bytes, too


JUDGES: dict[int, Callable[[Layout, bytes], Iterator[str]]] = {
    RESOURCES: _resource_faults,
    RELOCATIONS: _relocation_faults,
    DEBUG: _debug_faults,
}
