"""The data directories that firmware follows before it starts an image: where they may lie.

Decides whether resources, base relocations and debug entries stand in the bytes of one section,
which nothing else is mapped over: firmware reads them there before and after it maps the file.
What they say is judged by followed.py. Found with generated images, each fault proven on OVMF.
Sources: EDK2 MdePkg BasePeCoffLib, PeCoffLoaderGetImageInfo, PeCoffLoaderLoadImage and
PeCoffLoaderRelocateImage.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ceremony.pe.headers import Bytes, Header, refusal
from ceremony.pe.sections import SectionHeader
from ceremony.types import Finding, Severity

RESOURCES, RELOCATIONS, DEBUG = 2, 5, 6
RULES = {RESOURCES: "PE-RESOURCES", RELOCATIONS: "PE-RELOCATIONS", DEBUG: "PE-DEBUG"}
NOUNS = {RESOURCES: "resources", RELOCATIONS: "relocations", DEBUG: "debug entries"}
RELOCATIONS_STRIPPED = 0x0001  # IMAGE_FILE_RELOCS_STRIPPED
MOST_DIRECTORY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that firmware follows: its bytes in the file, and where its row stands."""

    number: int
    at: int
    offset: int
    size: int


def followed_directories(
    head: Bytes, header: Header, sections: tuple[SectionHeader, ...]
) -> tuple[tuple[Directory, ...], tuple[Finding, ...]]:
    """Return the directories that stand where they may, and what is wrong with the others."""
    placed: list[Directory] = []
    found = list(_stripped_findings(header, sections))
    for number, rule in RULES.items():
        if number >= header.directory_count:
            continue
        at = header.optional_at + header.fixed_size + 8 * number
        address, size = struct.unpack_from("<II", head, at)
        if not size:
            continue
        where, why = _place(address, size, header.image_size, sections)
        if where is not None:
            placed.append(Directory(number, at, where, size))
            continue
        text = f"{NOUNS[number]} at {address:#x} of {size:#x} bytes {why}"
        outside = number == DEBUG and not _holders(address, size, sections)
        # Linux keeps debug entries in its headers, where EDK2 never looks.
        passed_over = outside and address + size <= header.image_size
        severity = Severity.WARN if passed_over else Severity.REFUSE
        found.append(Finding(rule, severity, text, at))
    return tuple(placed), tuple(found)


def _stripped_findings(header: Header, sections: tuple[SectionHeader, ...]) -> tuple[Finding, ...]:
    if header.characteristics & RELOCATIONS_STRIPPED:
        text = "relocations are stripped: firmware cannot place the image"
        return (refusal("PE-RELOCATIONS", text, header.optional_at - 2),)
    # EDK2 asks whether the count is below 5, not whether it exceeds 5: with 5 directories it
    # reads the first section's name as address and size of the relocations.
    if header.directory_count == RELOCATIONS and any(sections[0].label[4:]):
        text = f"of 5 directories none tells relocations: firmware reads '{sections[0].name}' so"
        return (refusal("PE-RELOCATIONS", text, sections[0].at),)
    return ()


def _place(
    address: int, size: int, image_size: int, sections: tuple[SectionHeader, ...]
) -> tuple[int | None, str]:
    """Return the file offset of a mapped range, or None and why there is none."""
    if address + size > image_size:
        # AAVMF 2022.11 crashes on debug entries there, whoever signed the image.
        return None, "end past SizeOfImage"
    if size > MOST_DIRECTORY_BYTES:
        return None, f"are more than {MOST_DIRECTORY_BYTES} bytes"
    holders = _holders(address, size, sections)
    if not holders:
        return None, "lie in no section"
    if len(holders) > 1:
        return None, f"lie across {holders[0].name} and {holders[1].name}"
    inside = address - holders[0].virtual_address
    if inside < 0 or inside + size > holders[0].content_size:
        return None, f"run past the bytes of section {holders[0].name}"
    return holders[0].offset + inside, ""


def _holders(
    address: int, size: int, sections: tuple[SectionHeader, ...]
) -> tuple[SectionHeader, ...]:
    """Return the sections that are mapped to any byte of a range."""
    return tuple(
        s
        for s in sections
        if s.virtual_address < address + size and address < s.virtual_address + s.mapped
    )
