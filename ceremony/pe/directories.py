"""The data directories that firmware follows before it starts an image.

Decides whether base relocations and debug entries can be read where the headers say that they
are. It refuses to know what they say. Found with generated images, each fault proven on OVMF.
Sources: EDK2 MdePkg BasePeCoffLib, PeCoffLoaderGetImageInfo and PeCoffLoaderRelocateImage.
"""

from __future__ import annotations

import struct

from ceremony.pe.headers import Bytes, Header, refusal
from ceremony.pe.sections import SectionHeader
from ceremony.types import Finding, Severity

RELOCATIONS, DEBUG = 5, 6
RELOCATIONS_STRIPPED = 0x0001  # IMAGE_FILE_RELOCS_STRIPPED


def directory_at(header: Header, number: int) -> int:
    """Return the file offset of a data directory's 8 bytes."""
    return header.optional_at + header.fixed_size + 8 * number


def loaded_findings(
    head: Bytes, header: Header, sections: tuple[SectionHeader, ...]
) -> tuple[Finding, ...]:
    """Judge relocations and debug entries of an image whose geometry is sound."""
    found: list[Finding] = []
    if header.characteristics & RELOCATIONS_STRIPPED:
        text = "relocations are stripped: firmware cannot place the image"
        found.append(refusal("PE-RELOCATIONS", text, header.optional_at - 2))
    address, size = _read(head, header, RELOCATIONS)
    if size and address + size > header.image_size:
        text = f"relocations at {address:#x} of {size:#x} bytes end past SizeOfImage"
        found.append(refusal("PE-RELOCATIONS", text, directory_at(header, RELOCATIONS)))
    return (*found, *_debug_findings(head, header, sections))


def _read(head: Bytes, header: Header, number: int) -> tuple[int, int]:
    if number >= header.directory_count:
        return 0, 0
    address, size = struct.unpack_from("<II", head, directory_at(header, number))
    return address, size


def _debug_findings(
    head: Bytes, header: Header, sections: tuple[SectionHeader, ...]
) -> tuple[Finding, ...]:
    address, size = _read(head, header, DEBUG)
    if not size:
        return ()
    at = directory_at(header, DEBUG)
    what = f"the debug directory at {address:#x} of {size:#x} bytes"
    if address + size > header.image_size:
        # AAVMF 2022.11 crashes on such an image, whoever signed it.
        return (refusal("PE-DEBUG", f"{what} ends past SizeOfImage", at),)
    holder = next((s for s in sections if 0 <= address - s.virtual_address < s.virtual_size), None)
    if holder is None:
        text = f"{what} lies in no section and is passed over"
        return (Finding("PE-DEBUG", Severity.WARN, text, at),)
    if address - holder.virtual_address + size > holder.size:
        text = f"{what} runs past the bytes of section {holder.name}"
        return (refusal("PE-DEBUG", text, at),)
    return ()
